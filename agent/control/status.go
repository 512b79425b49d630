package control

import (
	"encoding/hex"
	"maps"
	"slices"
	"time"

	"github.com/sealgate/sealgate/crypto/signed"
)

// Stats is what a gate reports, for metrics and for people.
type Stats struct {
	Offers      map[Code]uint64
	Source      string // of the policy in force: local, group, gateway or sealed
	Version     uint64 // of the policy as a signed document; 0: local
	NotAfter    time.Time
	Probation   bool
	Lockdown    bool
	RootVersion uint64
	RootEpoch   uint64
	TrustedTime time.Time
	Alarms      []Alarm // by id
}

// Stats reports.
func (g *Gate) Stats() Stats {
	g.mu.Lock()
	defer g.mu.Unlock()
	now, _ := g.clock.now()
	s := Stats{
		Offers: maps.Clone(g.codes), Source: "local",
		Probation: g.state.Pending != nil, Lockdown: g.state.Lockdown,
		RootVersion: g.root.Version, RootEpoch: g.root.Epoch, TrustedTime: now,
	}
	if e := g.state.Effective; e.Hash != "" {
		s.Source, s.Version = source(e.Target), e.Version
		s.NotAfter = g.state.target(e.Target).NotAfter
	}
	if g.state.Sealed != "" {
		s.Source = "sealed"
	}
	for _, id := range slices.Sorted(maps.Keys(g.alarms)) {
		s.Alarms = append(s.Alarms, g.alarms[id])
	}
	return s
}

// Status returns the signed status. mode is how the host runs, where nothing
// remote overrides it; alarms, links and counters are the host's.
func (g *Gate) Status(mode string, alarms []string, links []signed.Link, counters []signed.Counter) ([]byte, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now, _ := g.clock.now()
	s := &g.state
	switch {
	case s.Lockdown:
		mode = "lockdown"
	case s.Sealed != "":
		mode = "sealed"
	}
	g.sequence++
	doc := &signed.GatewayStatus{
		Site: g.opt.Site, Gateway: g.opt.Gateway, Group: g.opt.Group,
		Boot: g.opt.Boot, Sequence: g.sequence, IssuedAt: now.UTC().Format(time.RFC3339), Synchronized: g.clock.Synchronized(),
		RootVersion: g.root.Version, RootEpoch: g.root.Epoch, Mode: mode,
		Challenge: hex.EncodeToString(s.Challenge[:]), Build: g.opt.Version,
		Alarms: append(slices.Clone(alarms), slices.Sorted(maps.Keys(g.alarms))...), Links: links, Counters: counters,
	}
	for _, name := range []string{"d/" + g.opt.Gateway, "g/" + g.opt.Group, signed.RoleRecipients} {
		doc.Targets = append(doc.Targets, g.targetStatus(name))
	}
	return signed.SignStatus(doc, g.opt.Signer)
}

// targetStatus says where the gateway stands with one target.
func (g *Gate) targetStatus(name string) signed.TargetStatus {
	t, e := g.state.target(name), g.state.Effective
	out := signed.TargetStatus{Target: name, Offered: g.offered[name], Floor: t.Version, State: "none"}
	if t.Document != "" {
		out.Effective = signed.Reference{Version: t.Stands, Hash: t.Document}
		out.State = "applied"
	}
	last := g.last[name]
	switch p := g.state.Pending; {
	case g.state.Sealed != "" && e.Target == name:
		out.State, out.Reason = "sealed", string(g.state.Sealed)
	case t.Failed != "":
		out.State, out.Reason = "rolled-back", string(t.Failed)
	case p != nil && p.Target == name:
		out.State = "probation"
	case last == CodeHeld:
		out.State = "held"
	case t.Document != "" && name != signed.RoleRecipients && e.Target != name:
		out.State = "shadowed"
	}
	if last != "" && !last.accepted() && out.Reason == "" {
		out.State, out.Reason = "refused", string(last)
	}
	return out
}
