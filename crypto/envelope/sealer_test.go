package envelope

import (
	"bytes"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sealgate/sealgate/crypto"
)

// A testClock is two clocks moved by hand.
type testClock struct {
	mono time.Duration
	wall time.Time
}

func (c *testClock) read() (time.Duration, time.Time) { return c.mono, c.wall }

func (c *testClock) pass(d time.Duration) { c.mono += d; c.wall = c.wall.Add(d) }

func clockedSealer(t testing.TB, lim Limits) (*Sealer, *testClock) {
	t.Helper()
	c := &testClock{wall: time.Unix(1_800_000_000, 900_000_000)}
	return must(NewSealer(SealerOptions{
		Gateway: "gw-1", Signer: must(crypto.GenerateSigner()), Boot: 1, Limits: lim, Clock: c.read,
		Recipients: []Recipient{{Recipient: must(crypto.GenerateRecipientKey(crypto.KEMX25519)).Recipient()}},
	})), c
}

func TestRotation(t *testing.T) {
	const lifetime = 10 * time.Minute
	tests := []struct {
		name   string
		lim    Limits
		before func(*Sealer, *testClock) // after the first lease of (1, 10)
		rotate bool
	}{
		{"nothing happens", Limits{}, func(*Sealer, *testClock) {}, false},
		{"just within the lifetime", Limits{}, func(_ *Sealer, c *testClock) { c.pass(lifetime - 1) }, false},
		{"lifetime", Limits{}, func(_ *Sealer, c *testClock) { c.pass(lifetime) }, true},
		{"shorter lifetime", Limits{Lifetime: time.Second}, func(_ *Sealer, c *testClock) { c.pass(time.Second) }, true},
		{"small step of the wall clock", Limits{}, func(_ *Sealer, c *testClock) { c.wall = c.wall.Add(time.Second) }, false},
		{"step forward", Limits{}, func(_ *Sealer, c *testClock) { c.wall = c.wall.Add(time.Second + 1) }, true},
		{"step back", Limits{}, func(_ *Sealer, c *testClock) { c.wall = c.wall.Add(-time.Second - 1) }, true},
		{"sleep that only the wall clock sees", Limits{}, func(_ *Sealer, c *testClock) { c.wall = c.wall.Add(time.Hour) }, true},
		{"monotonic clock goes back", Limits{}, func(_ *Sealer, c *testClock) { c.mono = -1 }, true},
		{"explicit", Limits{}, func(s *Sealer, _ *testClock) { s.Rotate() }, true},
		{"last invocation", Limits{Invocations: 2}, func(*Sealer, *testClock) {}, false},
		{"invocations", Limits{Invocations: 2}, func(s *Sealer, _ *testClock) { must(s.Lease(1, 0)) }, true},
		{"last byte", Limits{Bytes: 20}, func(*Sealer, *testClock) {}, false},
		{"bytes", Limits{Bytes: 19}, func(*Sealer, *testClock) {}, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s, c := clockedSealer(t, tt.lim)
			first := must(s.Lease(1, 10))
			tt.before(s, c)
			second := must(s.Lease(1, 10))
			if got := first.KID() != second.KID(); got != tt.rotate {
				t.Errorf("rotated: %v, want %v", got, tt.rotate)
			}
			g, ok := parseGrant(second.Grant())
			if !ok || g.kid != second.KID() || g.expires.Unix() < second.issuedAt || g.issuedAt.Unix() > second.issuedAt {
				t.Errorf("grant from %v to %v for a message of %d", g.issuedAt, g.expires, second.issuedAt)
			}
		})
	}
}

// TestExpiryHolds: at the last moment of a key's life, with a wall clock that
// gained all it may, no message is later than its grant's exp; the exp is no
// later than that needs.
func TestExpiryHolds(t *testing.T) {
	for _, lifetime := range []time.Duration{time.Second, 5 * time.Second, 1500 * time.Millisecond, 10 * time.Minute} {
		reached := false
		for _, fraction := range []time.Duration{0, 1, 499_999_999, 500_000_000, 999_999_999} {
			s, c := clockedSealer(t, Limits{Lifetime: lifetime})
			c.wall = time.Unix(1_800_000_000, int64(fraction))
			first := must(s.Lease(1, 0))
			c.pass(lifetime - 1)
			c.wall = c.wall.Add(maxStep)
			last := must(s.Lease(1, 0))
			g, ok := parseGrant(last.Grant())
			if !ok || first.KID() != last.KID() {
				t.Fatalf("lifetime %v: another key", lifetime)
			}
			if last.issuedAt > g.expires.Unix() || first.issuedAt < g.issuedAt.Unix() {
				t.Errorf("lifetime %v, born at %v: message of %d under a grant from %v to %v", lifetime, fraction, last.issuedAt, g.issuedAt, g.expires)
			}
			reached = reached || last.issuedAt == g.expires.Unix()
		}
		if !reached {
			t.Errorf("lifetime %v: the grant lasts longer than any message needs", lifetime)
		}
	}
}

func TestLeaseIsExact(t *testing.T) {
	s, _ := clockedSealer(t, Limits{})
	st := testStamp()
	l := must(s.Lease(1, 4))
	if _, err := l.SealMessage(nil, st, []byte("12345"), EncodingCOSE); !errors.Is(err, ErrLease) {
		t.Errorf("more bytes than leased: %v", err)
	}
	must(l.SealMessage(nil, st, []byte("1234"), EncodingCOSE))
	if _, err := l.SealMessage(nil, st, nil, EncodingCOSE); !errors.Is(err, ErrLease) {
		t.Errorf("a second message: %v", err)
	}
	st.RealTopic = "1"
	if _, err := must(s.Lease(1, 4)).SealMessage(nil, st, []byte("1234"), EncodingCOSE); !errors.Is(err, ErrLease) {
		t.Errorf("real topic not leased: %v", err)
	}
	fields := []FieldCipher{{Pointer: "/a", Plaintext: []byte("12")}, {Pointer: "/b", Plaintext: []byte("34")}}
	for _, tt := range []struct {
		invocations, bytes int
		ok                 bool
	}{{2, 4, false}, {3, 3, false}, {3, 4, true}} {
		if _, err := must(s.Lease(tt.invocations, tt.bytes)).SealFields(nil, testStamp(), []byte("{}"), fields); tt.ok != (err == nil) || !tt.ok && !errors.Is(err, ErrLease) {
			t.Errorf("lease of %d, %d: %v", tt.invocations, tt.bytes, err)
		}
	}
	for _, bad := range [][2]int{{0, 0}, {-1, 0}, {1, -1}, {1<<20 + 1, 0}, {1, 1<<30 + 1}} {
		if _, err := s.Lease(bad[0], bad[1]); err == nil {
			t.Errorf("lease of %v was given", bad)
		}
	}
}

// TestLimitsHoldAcrossGoroutines counts what each data key really encrypted.
func TestLimitsHoldAcrossGoroutines(t *testing.T) {
	const limit, workers, messages = 50, 8, 60
	s, _ := clockedSealer(t, Limits{Invocations: limit})
	var counts sync.Map // KID → *atomic.Int64
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for i := range messages {
				var fields []FieldCipher
				for f := range 1 + (w+i)%3 {
					fields = append(fields, FieldCipher{Pointer: "/" + string(rune('a'+f)), Plaintext: []byte("1")})
				}
				l, err := s.Lease(len(fields)+1, len(fields))
				if err != nil {
					t.Error(err)
					return
				}
				if _, err := l.SealFields(nil, testStamp(), []byte("{}"), fields); err != nil {
					t.Error(err)
				}
				n, _ := counts.LoadOrStore(l.KID(), new(atomic.Int64))
				n.(*atomic.Int64).Add(int64(len(fields) + 1))
			}
		})
	}
	wg.Wait()
	total, keys := int64(0), 0
	counts.Range(func(_, n any) bool {
		if c := n.(*atomic.Int64).Load(); c > limit {
			t.Errorf("a data key made %d encryptions of at most %d", c, limit)
		} else {
			total += c
		}
		keys++
		return true
	})
	if want := int64(workers * messages * 3); total != want || keys < int(want/limit) {
		t.Errorf("%d encryptions under %d keys, want %d", total, keys, want)
	}
}

func TestSealerOptions(t *testing.T) {
	signer := must(crypto.GenerateSigner())
	r := Recipient{Recipient: must(crypto.GenerateRecipientKey(crypto.KEMX25519)).Recipient()}
	good := SealerOptions{Gateway: "gw", Signer: signer, Recipients: []Recipient{r}}
	must(NewSealer(good))
	for name, change := range map[string]func(*SealerOptions){
		"no gateway":        func(o *SealerOptions) { o.Gateway = "" },
		"gateway not UTF-8": func(o *SealerOptions) { o.Gateway = "\xff" },
		"long gateway":      func(o *SealerOptions) { o.Gateway = string(make([]byte, maxName+1)) },
		"no signer":         func(o *SealerOptions) { o.Signer = nil },
		"no recipient":      func(o *SealerOptions) { o.Recipients = nil },
		"empty recipient":   func(o *SealerOptions) { o.Recipients = []Recipient{{}} },
		"same twice":        func(o *SealerOptions) { o.Recipients = []Recipient{r, r} },
		"unknown algorithm": func(o *SealerOptions) { o.Alg = 5 },
		"boot too great":    func(o *SealerOptions) { o.Boot = 1 << 63 },
		"lifetime":          func(o *SealerOptions) { o.Limits.Lifetime = time.Hour },
		"negative lifetime": func(o *SealerOptions) { o.Limits.Lifetime = -1 },
		"invocations":       func(o *SealerOptions) { o.Limits.Invocations = 1 << 21 },
		"bytes":             func(o *SealerOptions) { o.Limits.Bytes = 1 << 31 },
	} {
		o := good
		change(&o)
		if _, err := NewSealer(o); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	o := good
	o.Clock = func() (time.Duration, time.Time) { return 0, time.Unix(-1, 0) }
	if _, err := must(NewSealer(o)).Lease(1, 1); err == nil {
		t.Error("a wall clock before 1970 was accepted")
	}
}

func TestPadding(t *testing.T) {
	for n := range 300000 {
		p := padme(n)
		if p < n || n > 0 && float64(p-n) > 0.12*float64(n) || padme(p) != p {
			t.Fatalf("padme(%d) = %d", n, p)
		}
		zeros := padSealed(n)
		if total := n + headLen(zeros) + zeros; total < minPadded || padme(total) != total || total > padme(padme(max(n+1, minPadded))+1)+1 {
			t.Fatalf("%d bytes are padded to %d", n, total)
		}
		if f := padField(n); f < n || f < 32 || f&(f-1) != 0 || n > 32 && f >= 2*n {
			t.Fatalf("field of %d bytes is padded to %d", n, f)
		}
	}
	// Values of the PURBs paper's definition, worked out by hand.
	for n, want := range map[int]int{0: 0, 1: 1, 9: 10, 17: 18, 100: 104, 400: 400, 401: 416, 1000: 1024, 1 << 20: 1 << 20, 1<<20 + 1: 1<<20 + 1<<15} {
		if got := padme(n); got != want {
			t.Errorf("padme(%d) = %d, want %d", n, got, want)
		}
	}
}

// TestLengthsSayNothing: what leaves is as long for one value as for another of
// about its length: "true" and "false", a short name and a longer one, a number
// of three digits and one of six.
func TestLengthsSayNothing(t *testing.T) {
	p := newParties(t)
	for name, sizes := range map[string][2]int{"up to 32 bytes": {1, 32}, "to 64": {33, 64}, "to 128": {65, 128}} {
		lengths := map[int]bool{}
		for n := sizes[0]; n <= sizes[1]; n++ {
			value := bytes.Repeat([]byte("7"), n)
			lengths[len(p.document(testStamp(), `{"a":null}`, []FieldCipher{{Pointer: "/a", Plaintext: value}}))] = true
		}
		if len(lengths) != 1 {
			t.Errorf("fields of %s make documents of %d lengths", name, len(lengths))
		}
	}
	lengths := map[int]bool{}
	for n := range 1001 {
		lengths[len(p.message(testStamp(), string(make([]byte, n)), EncodingCOSE))] = true
	}
	// Padmé leaks O(log log n) bits: of a thousand lengths few are told apart.
	if len(lengths) > 60 {
		t.Errorf("messages of up to 1,000 bytes have %d lengths", len(lengths))
	}
}
