package control

import (
	"fmt"

	"github.com/sealgate/sealgate/crypto/signed"
)

// activate has the host put in force what the state says, and notes how the
// host fares, to compare.
func (g *Gate) activate() error {
	g.since, g.health = g.clock.Boot(), g.opt.Host.Health()
	return g.opt.Host.Activate(g.effective())
}

// fail ends a probation badly.
func (g *Gate) fail(code Code) error {
	g.fallBack(code)
	if err := g.writeState(); err != nil {
		return err
	}
	return g.activate()
}

// fallBack changes the state to what was in force before, or, where that would
// protect less, to sealing everything. The version stays refused.
func (g *Gate) fallBack(code Code) {
	s, p := &g.state, g.state.Pending
	t := s.target(p.Target)
	t.Failed = code
	if p.Keep {
		s.Sealed = code
	} else {
		t.Stands, t.Document = p.Restore.Stands, p.Restore.Document
		t.Tombstone, t.NotAfter = p.Restore.Tombstone, p.Restore.NotAfter
		s.Effective, s.Sealed = p.Previous, p.Sealed
	}
	s.Pending = nil
}

// seal has everything sealed until a new policy is admitted.
func (g *Gate) seal(code Code) error {
	g.state.Sealed = code
	if err := g.writeState(); err != nil {
		return err
	}
	return g.activate()
}

// Tick ends a probation that has seen enough, and looks at what time has
// brought. Call it every few seconds. Without traffic a probation goes on: that
// proves nothing, and harms nothing.
func (g *Gate) Tick() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.look()
	if g.state.Pending == nil {
		return nil
	}
	health := g.opt.Host.Health()
	seen := health.Judged - g.health.Judged
	enough := seen >= probationMessages || seen > 0 && g.clock.Boot()-g.since >= probationTime
	switch {
	case health.Panics > g.health.Panics:
		defer g.opt.Changed()
		g.last[g.state.Pending.Target] = CodePanic
		return g.fail(CodePanic)
	case !enough:
		return nil
	}
	defer g.opt.Changed()
	if err := g.opt.Host.Probe(); err != nil {
		g.last[g.state.Pending.Target] = CodeProbe
		return g.fail(CodeProbe)
	}
	g.state.Pending = nil
	if err := g.writeState(); err != nil {
		return err
	}
	g.sweep()
	return nil
}

// look raises and clears alarms.
func (g *Gate) look() {
	now, _ := g.clock.now()
	s := &g.state
	g.set("remote-sealed", s.Sealed != "", "everything is sealed: a change that tightens or revokes could not be carried out ("+string(s.Sealed)+")",
		"look at the log, correct the cause, and sign a new version")
	g.set("lockdown", s.Lockdown, "locked down by command: nothing leaves, what devices publish is kept",
		"send a signed release when the reason for it is gone")
	var expired, withheld, failed string
	for name, t := range s.Targets {
		if t.Document != "" && !now.Before(t.NotAfter) {
			expired = name
		}
		if t.Failed != "" {
			failed = fmt.Sprintf("%s (%s)", name, t.Failed)
		}
	}
	for _, name := range []string{"d/" + g.opt.Gateway, "g/" + g.opt.Group, signed.RoleRecipients} {
		if !g.freshValid() {
			break
		}
		e, listed := g.fresh.Entry(name)
		if t := s.Targets[name]; listed && (t == nil || t.Version < e.Version) {
			withheld = name
		}
	}
	g.set("remote-expired", expired != "", "the validity of "+expired+" is over; it is still enforced",
		"sign and push a new version")
	g.set("remote-failed", failed != "", "a change was taken back or could not be carried out: "+failed,
		"look at the log, correct the cause, and sign a new version")
	g.set("remote-withheld", withheld != "", "the freshness list names a version of "+withheld+" that has not come: the broker may withhold it, or the list may run ahead",
		"look whether the document is retained on the broker, and whether this gateway may read it")
	g.set("freshness-lost", g.fresh != nil && !g.freshValid(), "the freshness list has expired: a withheld document would not be noticed",
		"look whether the service that signs it runs, and whether the broker delivers it")
}

func (g *Gate) set(id string, on bool, text, do string) {
	if on {
		g.alarms[id] = Alarm{ID: id, Text: text, Do: do}
	} else {
		delete(g.alarms, id)
	}
}
