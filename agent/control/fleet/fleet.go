// Package fleet is the operators' side of remote control: it gathers the signed
// statuses and wills of a site's gateways, tells who stands where, and carries a
// rollout from stage to stage.
//
// Mental model: a [Fleet] is a table with a row for each gateway that the
// registry lists. [Fleet.Offer] takes what arrives on the topics of statuses and
// wills; only what that gateway signed changes its row. A broker can withhold
// statuses, which shows as silence, and repeat old ones, which are told by their
// numbers. A will, which the broker publishes when it has lost the gateway,
// counts until a status names a later connection.
//
// It opens no connection, signs nothing and holds no key but public ones.
package fleet

import (
	"cmp"
	"errors"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sealgate/sealgate/crypto"
	"github.com/sealgate/sealgate/crypto/signed"
)

// Options configures a Fleet.
type Options struct {
	Site string
	// Keys are the signing keys of each gateway that exists; the table has a row
	// for each, from the start.
	Keys   map[string][]*crypto.Verifier
	Part   bool             // Keys are a part of the site's gateways: follow no others
	Silent time.Duration    // after which a gateway counts as silent; 0: 5 minutes
	Now    func() time.Time // nil: time.Now
}

// A Gateway is one row.
type Gateway struct {
	Name   string
	Status *signed.GatewayStatus // nil: nothing came yet
	Seen   time.Time             // when its last new status came
	Wills  []*signed.Will        // of the connections that the broker lost and that nothing followed, by uplink
	Silent bool                  // no status came lately, or a will stands
	Twice  bool                  // two that run at the same time sign as this gateway: a copy, or a theft

	// What came in its name and did not count.
	Unsigned uint64
	Old      uint64
}

// Since is the last sign of life that a gateway signed; zero: none.
func (g Gateway) Since() (t time.Time) {
	signs := make([]string, 0, 1+signed.MaxLinks)
	if g.Status != nil {
		signs = append(signs, g.Status.IssuedAt)
	}
	for _, w := range g.Wills {
		signs = append(signs, w.ConnectingAt)
	}
	for _, s := range signs {
		if at, err := time.Parse(time.RFC3339, s); err == nil && at.After(t) {
			t = at
		}
	}
	return t
}

// Fleet is the table. Its methods may be called concurrently.
type Fleet struct {
	opt Options
	mu  sync.Mutex
	row map[string]*row
}

type row struct {
	Gateway
	boots map[uint64]uint64       // highest sequence of each of the last boots
	wills map[string]*signed.Will // by uplink, the newest; some are void
}

// maxBoots bounds what is remembered of a gateway's starts.
const maxBoots = 8

// New makes the table.
func New(opt Options) *Fleet {
	if opt.Silent == 0 {
		opt.Silent = 5 * time.Minute
	}
	if opt.Now == nil {
		opt.Now = time.Now
	}
	f := &Fleet{opt: opt, row: map[string]*row{}}
	for name := range opt.Keys {
		f.row[name] = &row{Gateway: Gateway{Name: name}, boots: map[uint64]uint64{}, wills: map[string]*signed.Will{}}
	}
	return f
}

// Topics returns the filters to subscribe to.
func (f *Fleet) Topics() []string {
	prefix := "sg/v1/" + f.opt.Site
	if !f.opt.Part {
		return []string{prefix + "/status/+", prefix + "/will/+/+"}
	}
	var out []string
	for name := range f.opt.Keys {
		out = append(out, prefix+"/status/"+name, prefix+"/will/"+name+"/+")
	}
	return out
}

// Why a status or a will does not count.
var (
	ErrUnknown  = errors.New("no gateway of the registry")
	ErrUnsigned = errors.New("not signed by the gateway it is from")
	ErrOld      = errors.New("repeated, or older than what came before")
)

// Offer takes what arrived on a topic.
func (f *Fleet) Offer(topic string, raw []byte) error {
	rest, ok := strings.CutPrefix(topic, "sg/v1/"+f.opt.Site+"/")
	kind, rest, _ := strings.Cut(rest, "/")
	name, uplink, _ := strings.Cut(rest, "/")
	keys := f.opt.Keys[name]
	will := kind == "will" && uplink != ""
	if !ok || len(keys) == 0 || !will && (kind != "status" || uplink != "") {
		return ErrUnknown
	}
	if will && len(raw) == 0 {
		return nil // the gateway is back, or somebody says so: its status tells
	}
	// Signatures are verified without the lock.
	var st *signed.GatewayStatus
	var w *signed.Will
	err := ErrUnsigned
	for _, k := range keys {
		if will {
			w, err = signed.OpenWill(raw, f.opt.Site, name, uplink, k)
		} else {
			st, err = signed.OpenStatus(raw, f.opt.Site, name, k)
		}
		if err == nil {
			break
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	r := f.row[name]
	if err != nil {
		r.Unsigned++
		return ErrUnsigned
	}
	if will {
		err = r.will(w)
	} else {
		err = f.status(r, st)
	}
	if err != nil {
		r.Old++
	}
	return err
}

// will takes a will. The one that stands may be repeated.
func (r *row) will(w *signed.Will) error {
	last, known := r.wills[w.Uplink]
	if known && (w.Boot < last.Boot || w.Boot == last.Boot && w.Connection < last.Connection) ||
		r.void(w) || !known && len(r.wills) >= signed.MaxLinks {
		return ErrOld
	}
	r.wills[w.Uplink] = w
	return nil
}

// void says whether the newest status names a later connection than the one
// that a will is of.
func (r *row) void(w *signed.Will) bool {
	if r.Status == nil || r.Status.Boot != w.Boot {
		return r.Status != nil && r.Status.Boot > w.Boot
	}
	for _, l := range r.Status.Links {
		if l.Uplink == w.Uplink {
			return l.Connection > w.Connection
		}
	}
	return false
}

// status takes a status.
func (f *Fleet) status(r *row, st *signed.GatewayStatus) error {
	last, known := r.boots[st.Boot]
	newest := r.Status == nil || st.Boot > r.Status.Boot || st.Boot == r.Status.Boot && st.Sequence > r.Status.Sequence
	switch {
	case known && st.Sequence <= last:
		return ErrOld
	case !newest && known:
		// The counter of starts only rises, and an earlier start goes on
		// counting: two agents live.
		r.Twice = true
	case !newest:
		return ErrOld
	}
	r.boots[st.Boot] = st.Sequence
	for len(r.boots) > maxBoots {
		least := st.Boot
		for b := range r.boots {
			least = min(least, b)
		}
		delete(r.boots, least)
	}
	if newest {
		r.Status = st
	}
	r.Seen = f.opt.Now()
	return nil
}

// Gateways returns the rows by name.
func (f *Fleet) Gateways() []Gateway {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := f.opt.Now()
	out := make([]Gateway, 0, len(f.row))
	for _, r := range f.row {
		g := r.Gateway
		for _, uplink := range slices.Sorted(maps.Keys(r.wills)) {
			if w := r.wills[uplink]; !r.void(w) {
				g.Wills = append(g.Wills, w)
			}
		}
		g.Silent = g.Status == nil || now.Sub(g.Seen) > f.opt.Silent || len(g.Wills) > 0
		out = append(out, g)
	}
	slices.SortFunc(out, func(a, b Gateway) int { return cmp.Compare(a.Name, b.Name) })
	return out
}

// Find returns one row.
func (f *Fleet) Find(name string) (Gateway, bool) {
	for _, g := range f.Gateways() {
		if g.Name == name {
			return g, true
		}
	}
	return Gateway{}, false
}

// Target returns what a gateway's status says of a target: "g" or "d" for the
// policy of its group or its own, or "recipients".
func (g Gateway) Target(name string) (signed.TargetStatus, bool) {
	if g.Status == nil {
		return signed.TargetStatus{}, false
	}
	for _, t := range g.Status.Targets {
		if t.Target == name {
			return t, true
		}
	}
	return signed.TargetStatus{}, false
}
