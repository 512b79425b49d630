// Package fleet is the operators' side of remote control: it gathers the signed
// statuses of a site's gateways, tells who stands where, and carries a rollout
// from stage to stage.
//
// Mental model: a [Fleet] is a table with a row for each gateway that the
// registry lists. [Fleet.Offer] takes what arrives on a status topic; only what
// that gateway signed changes its row. A broker can withhold statuses, which
// shows as silence, and repeat old ones, which are told by their numbers.
//
// It opens no connection, signs nothing and holds no key but public ones.
package fleet

import (
	"cmp"
	"errors"
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
	Silent bool
	Twice  bool // two that run at the same time sign as this gateway: a copy, or a theft
	old    int  // repeated statuses
}

// Fleet is the table. Its methods may be called concurrently.
type Fleet struct {
	opt Options
	mu  sync.Mutex
	row map[string]*row
}

type row struct {
	Gateway
	boots map[uint64]uint64 // highest sequence of each of the last boots
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
		f.row[name] = &row{Gateway: Gateway{Name: name}, boots: map[uint64]uint64{}}
	}
	return f
}

// Topics returns the filters to subscribe to.
func (f *Fleet) Topics() []string {
	prefix := "sg/v1/" + f.opt.Site + "/status/"
	if !f.opt.Part {
		return []string{prefix + "+"}
	}
	var out []string
	for name := range f.opt.Keys {
		out = append(out, prefix+name)
	}
	return out
}

// Why a status does not count.
var (
	ErrUnknown  = errors.New("no gateway of the registry")
	ErrUnsigned = errors.New("not signed by the gateway it is from")
	ErrOld      = errors.New("repeated, or older than what came before")
)

// Offer takes what arrived on a topic.
func (f *Fleet) Offer(topic string, raw []byte) error {
	name, ok := strings.CutPrefix(topic, "sg/v1/"+f.opt.Site+"/status/")
	keys := f.opt.Keys[name]
	if !ok || len(keys) == 0 {
		return ErrUnknown
	}
	var st *signed.GatewayStatus
	for _, k := range keys {
		var err error
		if st, err = signed.OpenStatus(raw, f.opt.Site, name, k); err == nil {
			break
		}
		st = nil
	}
	if st == nil {
		return ErrUnsigned
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	r := f.row[name]
	last, known := r.boots[st.Boot]
	newest := r.Status == nil || st.Boot > r.Status.Boot || st.Boot == r.Status.Boot && st.Sequence > r.Status.Sequence
	switch {
	case known && st.Sequence <= last:
		r.old++
		return ErrOld
	case !newest && known:
		// The counter of starts only rises, and an earlier start goes on
		// counting: two agents live.
		r.Twice = true
	case !newest:
		r.old++
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
		g.Silent = g.Status == nil || now.Sub(g.Seen) > f.opt.Silent
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
