package agent

import (
	"cmp"
	"maps"
	"slices"

	"github.com/sealgate/sealgate/agent/corridor"
	"github.com/sealgate/sealgate/agent/telemetry"
)

// observe is called for each message and uplink.
func (a *Agent) observe(e *corridor.Event) {
	a.metrics.Observe(e)
	if a.opt.Observe != nil {
		a.opt.Observe(e)
	}
}

// Stats is what the gateway reports about itself.
func (a *Agent) Stats() telemetry.Stats {
	a.mu.Lock()
	s := telemetry.Stats{
		Gateway: a.cfg.Gateway, Mode: a.rules.mode, Policy: a.rules.policy,
		Alarms: slices.SortedFunc(maps.Values(a.alarms), func(x, y telemetry.Alarm) int { return cmp.Compare(x.ID, y.ID) }),
	}
	a.mu.Unlock()

	sp := a.spool.Stats()
	s.Spool = telemetry.SpoolStats{
		Bytes: sp.Bytes, Limit: sp.Limit, Records: sp.Records, Oldest: sp.Oldest,
		Written: sp.Written, Fsyncs: sp.Fsyncs, FsyncTime: sp.FsyncTime.Seconds(),
	}
	select {
	case <-a.started:
	default:
		s.Why = "the gateway is starting"
		return s
	}
	s.Ready = true
	cs := a.corridor.Stats()
	s.Held, s.Unrouted, s.Unmapped, s.Dropped, s.Panics = cs.Held, cs.Unrouted, cs.Unmapped, cs.Dropped, cs.Panics
	s.Ingress = telemetry.IngressStats{Received: cs.Submitted, Acknowledged: cs.Committed, Refused: cs.Refused}
	for _, u := range cs.Uplinks {
		s.Uplinks = append(s.Uplinks, telemetry.Uplink{
			Name: u.Name, Connected: u.Connected, Acknowledged: u.Acknowledged, Resent: u.Resent,
			Quarantined: u.Quarantined, InFlight: int(u.InFlight), RoundTrip: u.RoundTrip,
		})
	}
	if a.broker != nil {
		bs := a.broker.Stats()
		s.Ingress.Connected = bs.Clients
		s.Panics += bs.Panics
	}
	return s
}
