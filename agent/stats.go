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
		Recipients: telemetry.RecipientStats{Version: a.rules.bundle, NotAfter: a.rules.bundleEnds},
		Alarms:     slices.SortedFunc(maps.Values(a.alarms), func(x, y telemetry.Alarm) int { return cmp.Compare(x.ID, y.ID) }),
	}
	a.mu.Unlock()
	s.Alarms = append(s.Alarms, a.remoteAlarms()...)

	for purpose, created := range a.keyring.Created() {
		s.Keys = append(s.Keys, telemetry.Key{Purpose: purpose, Created: created})
	}
	slices.SortFunc(s.Keys, func(x, y telemetry.Key) int { return cmp.Compare(x.Purpose, y.Purpose) })
	s.Crypto = telemetry.CryptoStats{
		DataKeys: a.meter.Keys.Keys.Load(), Wraps: a.meter.Keys.Wraps.Load(), Messages: a.meter.Keys.Leases.Load(),
		NoKey: a.meter.NoKey.Load(), DataKey: a.meter.Lease.Load(), Seal: a.meter.Seal.Load(),
	}
	s.ClockSynchronized = clockSynchronized()
	sp := a.spool.Stats()
	s.Spool = telemetry.SpoolStats{
		Bytes: sp.Bytes, Limit: sp.Limit, Records: sp.Records, Oldest: sp.Oldest,
		Written: sp.Written, Damaged: sp.Lost, QuarantineFull: sp.Dropped,
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
	s.Spool.CommitFailures = cs.CommitErrors
	s.Ingress = telemetry.IngressStats{Received: cs.Submitted, Acknowledged: cs.Committed, Refused: cs.Refused}
	for _, u := range cs.Uplinks {
		s.Uplinks = append(s.Uplinks, telemetry.Uplink{
			Name: u.Name, Connected: u.Connected, Acknowledged: u.Acknowledged, Bytes: u.Bytes, Resent: u.Resent,
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
