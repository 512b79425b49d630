package envelope

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/sealgate/sealgate/crypto"
)

// A Recipient is an audience's public key.
type Recipient struct {
	*crypto.Recipient
	Audience string // who it is; never on the wire
	Recovery bool   // the recovery key: belongs to no audience of its own
}

// Limits bound the use of one data key. Zero values mean the defaults, which
// are also the maximum.
type Limits struct {
	Lifetime    time.Duration // default 10 minutes
	Invocations int64         // encryptions, default 2^20
	Bytes       int64         // plaintext, default 1 GiB
}

var defaultLimits = Limits{Lifetime: 10 * time.Minute, Invocations: 1 << 20, Bytes: 1 << 30}

// maxStep is how far the wall clock may move against the monotonic clock
// before a new data key is made.
const maxStep = time.Second

func (l Limits) withDefaults() (Limits, error) {
	d := defaultLimits
	if l.Lifetime < 0 || l.Invocations < 0 || l.Bytes < 0 ||
		l.Lifetime > d.Lifetime || l.Invocations > d.Invocations || l.Bytes > d.Bytes {
		return l, fmt.Errorf("limits %v are not within %v", l, d)
	}
	if l.Lifetime == 0 {
		l.Lifetime = d.Lifetime
	}
	if l.Invocations == 0 {
		l.Invocations = d.Invocations
	}
	if l.Bytes == 0 {
		l.Bytes = d.Bytes
	}
	return l, nil
}

// A Clock reads two clocks at one moment: one that only moves forward, counted
// from anywhere, and the wall clock.
type Clock func() (monotonic time.Duration, wall time.Time)

// systemClock uses the monotonic reading of package time. It may stand still
// while the machine sleeps; then the wall clock runs away from it, which makes
// a new data key as well.
func systemClock() Clock {
	start := time.Now()
	return func() (time.Duration, time.Time) {
		now := time.Now()
		return now.Sub(start), now.Round(0)
	}
}

// SealerOptions say who seals, for whom.
type SealerOptions struct {
	Gateway       string         // 1 to 128 bytes
	Recipients    []Recipient    // 1 to 64, the recovery key among them
	Signer        *crypto.Signer // the gateway's signing key
	Boot          uint64         // counter, persisted before the first seal of each start
	BundleVersion uint64         // of the recipients bundle that Recipients were taken from
	Reference     bool           // leave grants out of the messages; they are delivered on their own
	Alg           crypto.Alg     // 0: crypto.PreferredAlg()
	Limits        Limits
	Clock         Clock  // nil: the system's
	Meter         *Meter // may be nil
}

// A Meter counts what sealers do. Its zero value is ready, several sealers may
// share one, and it is safe for concurrent use.
type Meter struct {
	Keys   atomic.Uint64 // data keys made
	Wraps  atomic.Uint64 // wraps of data keys, one for each recipient
	Leases atomic.Uint64 // messages
}

// A Sealer encrypts for one set of recipients. It holds one data key at a time,
// in memory only. It is safe for concurrent use.
type Sealer struct {
	gateway   string
	boot      uint64
	audiences int
	options   SealerOptions
	scratch   sync.Pool // of *scratch

	mu  sync.Mutex // guards key, and the counts in it
	key *sealingKey
}

// A sealingKey is one generation of the data key. What Lease counts is guarded
// by Sealer.mu; the rest does not change.
type sealingKey struct {
	dek    *crypto.DEK
	alg    crypto.Alg
	kid    crypto.KID
	grant  []byte
	inline []byte        // CBOR [grant] in base64url, ready for a trailer
	born   time.Duration // monotonic
	wall   time.Time

	invocations int64 // leased so far
	bytes       int64
}

// NewSealer checks the options. It makes no key yet.
func NewSealer(o SealerOptions) (*Sealer, error) {
	if o.Gateway == "" || len(o.Gateway) > maxName || !utf8.ValidString(o.Gateway) {
		return nil, fmt.Errorf("gateway name must be UTF-8 of 1 to %d bytes", maxName)
	}
	if o.Signer == nil {
		return nil, errors.New("sealer needs a signing key")
	}
	if o.Boot > maxCount {
		return nil, fmt.Errorf("boot counter %d is not a counter", o.Boot)
	}
	if len(o.Recipients) == 0 || len(o.Recipients) > maxWraps {
		return nil, fmt.Errorf("sealer needs 1 to %d recipients, got %d", maxWraps, len(o.Recipients))
	}
	audiences := map[string]bool{}
	rids := map[crypto.RID]bool{}
	for _, r := range o.Recipients {
		if r.Recipient == nil {
			return nil, errors.New("recipient has no key")
		}
		if rids[r.RID()] {
			return nil, fmt.Errorf("recipient %x is listed twice", r.RID())
		}
		rids[r.RID()] = true
		if !r.Recovery {
			audiences[r.Audience] = true
		}
	}
	if o.Alg == 0 {
		o.Alg = crypto.PreferredAlg()
	}
	if !o.Alg.Valid() {
		return nil, fmt.Errorf("algorithm %v can't seal", o.Alg)
	}
	var err error
	if o.Limits, err = o.Limits.withDefaults(); err != nil {
		return nil, err
	}
	if o.Clock == nil {
		o.Clock = systemClock()
	}
	if o.Meter == nil {
		o.Meter = new(Meter)
	}
	o.Recipients = slices.Clone(o.Recipients)
	s := &Sealer{gateway: o.Gateway, boot: o.Boot, audiences: len(audiences), options: o}
	s.scratch.New = func() any { return new(scratch) }
	return s, nil
}

// A Lease is the right to encrypt one message under one data key. It is not
// safe for concurrent use.
type Lease struct {
	sealer      *Sealer
	key         *sealingKey
	invocations int
	bytes       int
	issuedAt    int64
}

// Lease reserves encryptions under the current data key, after making a new one
// if a limit is reached: SealMessage takes one invocation, SealFields one for
// each field and one for the document tag. bytes is the sum of what will be
// encrypted: the payload and real topic, or the fields' values, unpadded.
//
// Making a key takes some 200 µs for each recipient, during which other callers
// wait.
func (s *Sealer) Lease(invocations, bytes int) (*Lease, error) {
	if invocations < 1 || bytes < 0 || int64(invocations) > s.options.Limits.Invocations || int64(bytes) > s.options.Limits.Bytes {
		return nil, fmt.Errorf("lease %d invocations and %d bytes: not within the limits of one data key", invocations, bytes)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now, wall := s.options.Clock()
	if s.key == nil || s.spent(now, wall, int64(invocations), int64(bytes)) {
		key, err := s.newKey(now, wall)
		if err != nil {
			return nil, err
		}
		s.key = key
	}
	s.options.Meter.Leases.Add(1)
	s.key.invocations += int64(invocations)
	s.key.bytes += int64(bytes)
	return &Lease{sealer: s, key: s.key, invocations: invocations, bytes: bytes, issuedAt: wall.Unix()}, nil
}

// spent reports whether the current key can't take the given load now.
func (s *Sealer) spent(now time.Duration, wall time.Time, invocations, bytes int64) bool {
	k, l := s.key, &s.options.Limits
	age := now - k.born
	step := wall.Sub(k.wall) - age
	return age < 0 || age >= l.Lifetime || step > maxStep || step < -maxStep ||
		k.invocations+invocations > l.Invocations || k.bytes+bytes > l.Bytes
}

func (s *Sealer) newKey(now time.Duration, wall time.Time) (*sealingKey, error) {
	if wall.Unix() < 0 {
		return nil, errors.New("make data key: the wall clock stands before 1970")
	}
	dek, err := crypto.NewDEK(s.options.Alg)
	if err != nil {
		return nil, fmt.Errorf("make data key: %w", err)
	}
	issued := wall.Unix()
	// Within the lifetime the wall clock may gain up to maxStep. Rounded up, this
	// also covers the fraction that issued lost: see TestExpiryHolds.
	expires := issued + int64((s.options.Limits.Lifetime+maxStep+time.Second-1)/time.Second)
	kid, grant, err := newGrant(&s.options, dek, issued, expires)
	if err != nil {
		return nil, fmt.Errorf("make data key: %w", err)
	}
	s.options.Meter.Keys.Add(1)
	s.options.Meter.Wraps.Add(uint64(len(s.options.Recipients)))
	return &sealingKey{
		dek: dek, alg: dek.Alg(), kid: kid, grant: grant,
		inline: b64.AppendEncode(nil, appendBytes([]byte{majorArray<<5 | 1}, grant)),
		born:   now, wall: wall,
	}, nil
}

// Rotate makes the next Lease start a new data key: on a new policy, new
// recipients, a resumed snapshot.
func (s *Sealer) Rotate() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.key = nil
}

// KID names the lease's data key and its grant.
func (l *Lease) KID() crypto.KID { return l.key.kid }

// Grant is the grant of the lease's data key, a COSE_Sign1. It must not be
// changed.
func (l *Lease) Grant() []byte { return l.key.grant }

// take uses up part of the lease.
func (l *Lease) take(invocations, bytes int) error {
	if invocations > l.invocations || bytes > l.bytes {
		return ErrLease
	}
	l.invocations -= invocations
	l.bytes -= bytes
	return nil
}
