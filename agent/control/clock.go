package control

import "time"

// Clock is what a gateway knows of time by itself.
type Clock struct {
	Wall         func() time.Time
	Boot         func() time.Duration // since the machine started, suspended time included
	BootID       string               // differs for each start of the machine
	Synchronized func() bool          // a time service vouches for Wall
}

// An anchor is the last time that the site's operators vouched for.
type anchor struct {
	Issued time.Time     `json:"issued"`
	BootID string        `json:"boot_id"`
	Boot   time.Duration `json:"boot"`
}

// What trusted time allows.
const (
	maxElapsed = 7 * 24 * time.Hour // that an anchor is extended by the boot-time clock
	maxAhead   = 24 * time.Hour     // that a document may be issued in the future
)

// trustedClock knows a time that is not later than the true one as long as
// nobody who vouches for time lies: the latest of the build, the last freshness
// list carried on by the boot-time clock, and the wall clock if it is
// synchronized.
type trustedClock struct {
	Clock
	built  time.Time
	anchor anchor
}

func (c *trustedClock) resume(a anchor) { c.anchor = a }

// now returns trusted time. firm says that it is about the true one, and not
// just a bound: only then can a document be told to come from the future.
func (c *trustedClock) now() (t time.Time, firm bool) {
	t = c.built
	if !c.anchor.Issued.IsZero() {
		a := c.anchor.Issued
		if c.anchor.BootID == c.BootID {
			elapsed := max(c.Boot()-c.anchor.Boot, 0)
			firm = elapsed <= maxElapsed
			a = a.Add(min(elapsed, maxElapsed))
		}
		if a.After(t) {
			t = a
		}
	}
	if c.Synchronized() {
		firm = true
		if w := c.Wall(); w.After(t) {
			t = w
		}
	}
	return t, firm
}

// vouch takes the time of a freshness list. It never moves trusted time back.
func (c *trustedClock) vouch(issued time.Time) {
	if now, _ := c.now(); issued.After(now) || c.anchor.Issued.IsZero() || c.anchor.BootID != c.BootID {
		c.anchor = anchor{Issued: later(issued, c.anchor.Issued), BootID: c.BootID, Boot: c.Boot()}
	}
}

// reset takes the time that a trust root sets, back too: it repairs what a
// stolen key of the freshness list did.
func (c *trustedClock) reset(t time.Time) {
	c.anchor = anchor{Issued: t, BootID: c.BootID, Boot: c.Boot()}
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
