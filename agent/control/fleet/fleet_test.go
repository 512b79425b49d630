package fleet

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/sealgate/sealgate/crypto"
	"github.com/sealgate/sealgate/crypto/signed"
)

func signer(t *testing.T) *crypto.Signer {
	t.Helper()
	k, err := crypto.GenerateSigner()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

type bench struct {
	t     *testing.T
	keys  map[string]*crypto.Signer
	now   time.Time
	fleet *Fleet
}

func newBench(t *testing.T, n int) *bench {
	b := &bench{t: t, keys: map[string]*crypto.Signer{}, now: time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)}
	keys := map[string][]*crypto.Verifier{}
	for i := range n {
		name := fmt.Sprintf("gw-%d", i)
		b.keys[name] = signer(t)
		keys[name] = []*crypto.Verifier{b.keys[name].Verifier()}
	}
	b.fleet = New(Options{Site: "plant", Keys: keys, Now: func() time.Time { return b.now }})
	return b
}

func (b *bench) status(gw string, boot, sequence uint64, edit func(*signed.GatewayStatus)) []byte {
	b.t.Helper()
	st := &signed.GatewayStatus{
		Site: "plant", Gateway: gw, Group: "default", Boot: boot, Sequence: sequence, IssuedAt: b.now.Format(time.RFC3339),
		Mode: "enforce", Challenge: strings.Repeat("ab", 16), Build: "1.0.0",
	}
	if edit != nil {
		edit(st)
	}
	raw, err := signed.SignStatus(st, b.keys[gw])
	if err != nil {
		b.t.Fatal(err)
	}
	return raw
}

func (b *bench) offer(gw string, raw []byte, want error) {
	b.t.Helper()
	if err := b.fleet.Offer("sg/v1/plant/status/"+gw, raw); !errors.Is(err, want) {
		b.t.Fatalf("%s: %v, want %v", gw, err, want)
	}
}

// TestOnlyTheGatewayCounts: forged, misdirected, repeated and older statuses
// change nothing.
func TestOnlyTheGatewayCounts(t *testing.T) {
	b := newBench(t, 2)
	first := b.status("gw-0", 1, 1, nil)
	b.offer("gw-0", first, nil)
	b.offer("gw-0", first, ErrOld)
	b.offer("gw-1", first, ErrUnsigned)
	b.offer("gw-9", first, ErrUnknown)
	b.keys["gw-1"], b.keys["gw-0"] = b.keys["gw-0"], b.keys["gw-1"]
	b.offer("gw-0", b.status("gw-0", 1, 2, nil), ErrUnsigned)
	b.keys["gw-1"], b.keys["gw-0"] = b.keys["gw-0"], b.keys["gw-1"]
	b.offer("gw-0", b.status("gw-0", 2, 1, nil), nil)
	b.offer("gw-0", first, ErrOld)
	g, _ := b.fleet.Find("gw-0")
	if g.Status.Boot != 2 || g.Twice || g.Silent {
		t.Errorf("row %+v", g)
	}
	if other, _ := b.fleet.Find("gw-1"); !other.Silent || other.Status != nil {
		t.Errorf("a gateway that never spoke: %+v", other)
	}
	b.now = b.now.Add(6 * time.Minute)
	if g, _ = b.fleet.Find("gw-0"); !g.Silent {
		t.Error("silence is not told")
	}
}

// TestTwice: a copy of a gateway starts, and both go on.
func TestTwice(t *testing.T) {
	b := newBench(t, 1)
	b.offer("gw-0", b.status("gw-0", 7, 1, nil), nil)
	b.offer("gw-0", b.status("gw-0", 8, 1, nil), nil)
	if g, _ := b.fleet.Find("gw-0"); g.Twice {
		t.Fatal("a restart is taken for a copy")
	}
	b.offer("gw-0", b.status("gw-0", 7, 2, nil), nil)
	if g, _ := b.fleet.Find("gw-0"); !g.Twice || g.Status.Boot != 8 {
		t.Errorf("two live agents are not told: %+v", g)
	}
}

// TestRollout: from stage to stage, and no further when too many fail.
func TestRollout(t *testing.T) {
	b := newBench(t, 200)
	p := &signed.Policy{Target: "g/default", Version: 4, Rollout: signed.Rollout{Permille: 1000}, Hash: [32]byte{4}}
	for gw := range b.keys {
		b.offer(gw, b.status(gw, 1, 1, nil), nil)
	}
	answer := func(from, to int, sequence uint64, state string) {
		for i := from; i < to; i++ {
			gw := fmt.Sprintf("gw-%d", i)
			ref := signed.Reference{Version: 4, Hash: hex.EncodeToString(p.Hash[:])}
			target := signed.TargetStatus{Target: "g/default", Offered: ref, Effective: ref, State: state}
			if state == "refused" {
				target.Effective = signed.Reference{Version: 3}
			}
			b.offer(gw, b.status(gw, 1, sequence, func(st *signed.GatewayStatus) { st.Targets = []signed.TargetStatus{target} }), nil)
		}
	}
	verdict := func(want Verdict, probation bool) {
		t.Helper()
		if got := b.fleet.Progress(p); got.Judge(MaxFailures, probation) != want {
			t.Fatalf("%s: %s, want %s", got, got.Judge(MaxFailures, probation), want)
		}
	}
	verdict(Wait, false)
	answer(0, 190, 2, "probation")
	verdict(Wait, true)
	answer(190, 200, 2, "refused") // 5 %: permitted
	verdict(Wait, false)
	verdict(Next, true)
	answer(0, 189, 3, "applied")
	verdict(Wait, false)
	b.now = b.now.Add(4 * time.Minute)
	answer(0, 1, 4, "applied")
	answer(189, 190, 3, "rolled-back")
	verdict(Stop, false)
	if got := b.fleet.Progress(p); got != (Progress{Selected: 200, Offered: 200, Applied: 189, Failed: 11}) {
		t.Errorf("%+v", got)
	}
	other := *p
	other.Target = "g/other"
	if got := b.fleet.Progress(&other); got.Selected != 0 {
		t.Errorf("gateways of another group are selected: %s", got)
	}
}

func TestCollector(t *testing.T) {
	b := newBench(t, 2)
	b.offer("gw-0", b.status("gw-0", 3, 1, func(st *signed.GatewayStatus) {
		st.Counters = []signed.Counter{{Name: "sealgate_spool_bytes", Value: 9}, {Name: "sealgate_invented", Value: 1}}
		st.Targets = []signed.TargetStatus{
			{Target: "g/default", Effective: signed.Reference{Version: 5}, Floor: 6, State: "rolled-back"},
			{Target: "invented/x", Effective: signed.Reference{Version: 5}},
		}
	}), nil)
	if err := b.fleet.Offer("sg/v1/plant/will/gw-1/cloud", b.will("gw-1", "cloud", 4, 2)); err != nil {
		t.Fatal(err)
	}
	_ = b.fleet.Offer("sg/v1/plant/will/gw-1/cloud", b.will("gw-0", "cloud", 4, 2))
	h, err := b.fleet.Handler()
	if err != nil {
		t.Fatal(err)
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, httptest.NewRequest("GET", "/metrics", nil))
	got := rec.Body.String()
	for _, want := range []string{
		`sealgate_fleet_document_failed{gateway="gw-0",target="g"} 1`,
		`sealgate_fleet_document_version{gateway="gw-0",target="g"} 5`,
		`sealgate_fleet_spool_bytes{gateway="gw-0"} 9`,
		`sealgate_fleet_up{gateway="gw-0"} 1`,
		`sealgate_fleet_up{gateway="gw-1"} 0`,
		`sealgate_fleet_mode_info{gateway="gw-0",mode="enforce"} 1`,
		fmt.Sprintf(`sealgate_fleet_silent_since_timestamp_seconds{gateway="gw-1"} %g`, float64(b.now.Unix())),
		`sealgate_fleet_ignored_total{gateway="gw-1",reason="unsigned"} 1`,
	} {
		if !strings.Contains(got, want+"\n") {
			t.Errorf("%s is not served", want)
		}
	}
	if strings.Contains(got, `silent_since_timestamp_seconds{gateway="gw-0"`) {
		t.Error("a gateway without a will is silent since some time")
	}
	if strings.Contains(got, "invented") {
		t.Error("a gateway makes up a series")
	}
}

func (b *bench) will(gw, uplink string, boot, connection uint64) []byte {
	b.t.Helper()
	raw, err := signed.SignWill(&signed.Will{
		Site: "plant", Gateway: gw, Uplink: uplink, Boot: boot, Connection: connection, ConnectingAt: b.now.Format(time.RFC3339),
	}, b.keys[gw])
	if err != nil {
		b.t.Fatal(err)
	}
	return raw
}

// TestWill: a will that the gateway signed marks it silent until a status names
// a later connection; forged and replayed ones change nothing and are counted.
func TestWill(t *testing.T) {
	b := newBench(t, 2)
	topic := "sg/v1/plant/will/gw-0/cloud"
	will := func(topic string, raw []byte, want error) {
		t.Helper()
		if err := b.fleet.Offer(topic, raw); !errors.Is(err, want) {
			t.Fatalf("%s: %v, want %v", topic, err, want)
		}
	}
	silent := func(want bool) Gateway {
		t.Helper()
		g, _ := b.fleet.Find("gw-0")
		if g.Silent != want || len(g.Wills) > 0 != want {
			t.Fatalf("silent %t with %d wills, want %t", g.Silent, len(g.Wills), want)
		}
		return g
	}
	link := func(connection uint64) func(*signed.GatewayStatus) {
		return func(st *signed.GatewayStatus) {
			st.Links = []signed.Link{{Uplink: "cloud", Connection: connection}}
		}
	}
	first := b.will("gw-0", "cloud", 1, 1)
	b.now = b.now.Add(time.Minute)
	b.offer("gw-0", b.status("gw-0", 1, 1, link(1)), nil)
	silent(false)

	// Nobody but the gateway, and for that uplink only.
	will("sg/v1/plant/will/gw-1/cloud", first, ErrUnsigned)
	will("sg/v1/plant/will/gw-0/city", first, ErrUnsigned)
	will("sg/v1/plant/will/gw-0", first, ErrUnknown)
	will("sg/v1/plant/will/gw-9/cloud", first, ErrUnknown)
	will("sg/v1/plant/status/gw-0/cloud", first, ErrUnknown)
	will("sg/v1/other/will/gw-0/cloud", first, ErrUnknown)
	b.keys["gw-0"], b.keys["gw-1"] = b.keys["gw-1"], b.keys["gw-0"]
	will(topic, b.will("gw-0", "cloud", 1, 1), ErrUnsigned)
	b.keys["gw-0"], b.keys["gw-1"] = b.keys["gw-1"], b.keys["gw-0"]
	silent(false)

	// The connection is lost. The last sign of life is the status; that it is
	// removed, or repeated, or that the link of the status goes on, ends nothing.
	will(topic, first, nil)
	at := b.now
	if g := silent(true); !g.Since().Equal(at) {
		t.Errorf("silent since %s, want %s", g.Since(), at)
	}
	will(topic, nil, nil)
	will(topic, first, nil)
	b.offer("gw-0", b.status("gw-0", 1, 2, link(1)), nil)
	silent(true)

	// Another connection: the will is void, and stays so when it is replayed.
	b.offer("gw-0", b.status("gw-0", 1, 3, link(2)), nil)
	silent(false)
	will(topic, first, ErrOld)
	silent(false)

	// A second start dies before its first status: known by its will alone.
	b.now = b.now.Add(time.Minute)
	will(topic, b.will("gw-0", "cloud", 2, 1), nil)
	if g := silent(true); !g.Since().Equal(b.now) {
		t.Errorf("silent since %s, want %s", g.Since(), b.now)
	}
	will(topic, b.will("gw-0", "cloud", 1, 9), ErrOld)
	b.offer("gw-0", b.status("gw-0", 3, 1, nil), nil)
	g := silent(false)
	if g.Unsigned != 2 || g.Old != 2 {
		t.Errorf("ignored %d unsigned and %d old, want 2 and 2", g.Unsigned, g.Old)
	}

	// A gateway is remembered by a bounded number of uplinks.
	for n := range signed.MaxLinks + 1 {
		uplink := fmt.Sprintf("u%d", n)
		want := error(nil)
		if n >= signed.MaxLinks-1 { // one is known by now
			want = ErrOld
		}
		will("sg/v1/plant/will/gw-0/"+uplink, b.will("gw-0", uplink, 3, 1), want)
	}
}

// TestWillBeforeStatus: retained messages come in any order.
func TestWillBeforeStatus(t *testing.T) {
	b := newBench(t, 2)
	for _, gw := range []string{"gw-0", "gw-1"} {
		if err := b.fleet.Offer("sg/v1/plant/will/"+gw+"/cloud", b.will(gw, "cloud", 1, 1)); err != nil {
			t.Fatal(err)
		}
	}
	b.offer("gw-0", b.status("gw-0", 1, 1, func(st *signed.GatewayStatus) { st.Links = []signed.Link{{Uplink: "cloud", Connection: 2}} }), nil)
	b.offer("gw-1", b.status("gw-1", 1, 1, func(st *signed.GatewayStatus) { st.Links = []signed.Link{{Uplink: "cloud", Connection: 1}} }), nil)
	if g, _ := b.fleet.Find("gw-0"); g.Silent {
		t.Error("a will of an earlier connection makes a living gateway silent")
	}
	if g, _ := b.fleet.Find("gw-1"); !g.Silent {
		t.Error("the will of the connection that the status names does not count")
	}
}
