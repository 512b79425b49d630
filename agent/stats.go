package agent

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

	"github.com/sealgate/sealgate/agent/corridor"
	"github.com/sealgate/sealgate/agent/spool"
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
	s.Custody = a.custody
	s.ClockSynchronized = ClockSynchronized()
	if a.sealed != nil {
		a.sealedStats(&s)
		return s
	}
	a.remoteStats(&s)

	for purpose, created := range a.keyring.Created() {
		s.Keys = append(s.Keys, telemetry.Key{Purpose: purpose, Created: created})
	}
	slices.SortFunc(s.Keys, func(x, y telemetry.Key) int { return cmp.Compare(x.Purpose, y.Purpose) })
	s.Crypto = telemetry.CryptoStats{
		DataKeys: a.meter.Keys.Keys.Load(), Wraps: a.meter.Keys.Wraps.Load(), Messages: a.meter.Keys.Leases.Load(),
		NoKey: a.meter.NoKey.Load(), DataKey: a.meter.Lease.Load(), Seal: a.meter.Seal.Load(),
	}
	sp := a.spool.Stats()
	s.Spool = telemetry.SpoolStats{
		Bytes: sp.Bytes, Limit: sp.Limit, Records: sp.Records, Oldest: sp.Oldest,
		Mode: a.cfg.Spool.Mode, Memory: sp.Memory, Spared: sp.Spared,
		Written: sp.Written, WrittenDay: sp.Day, Damaged: sp.Lost, QuarantineFull: sp.Dropped,
		Evicted: sp.Evicted, Expired: sp.Expired, Replaced: sp.Replaced,
	}
	if al, ok := crowded(sp.Uplinks, a.cfg.Spool.WhenFull); ok {
		s.Alarms = append(s.Alarms, al)
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
	s.Ingress = telemetry.IngressStats{
		Received: cs.Submitted, Bytes: cs.Bytes, Acknowledged: cs.Committed, Refused: cs.Refused, InFlight: cs.Queued - cs.Finished,
	}
	s.Ingress.Brokers = a.brokers()
	for i, u := range cs.Uplinks {
		s.Uplinks = append(s.Uplinks, telemetry.Uplink{
			Name: u.Name, Connected: u.Connected, Acknowledged: u.Acknowledged, Bytes: u.Bytes, Resent: u.Resent,
			Quarantined: u.Quarantined, InFlight: int(u.InFlight), RoundTrip: u.RoundTrip,
			Subjects: a.volumes.stats(i),
		})
		if r, ok := a.downlinks.Load(u.Name); ok {
			s.Uplinks[i].Downlink = r.(*relay).stats()
		}
	}
	if a.broker != nil {
		bs := a.broker.Stats()
		s.Ingress.Connected = bs.Clients
		s.Ingress.Local = &telemetry.Local{
			BadLogins: bs.RefusedAuth, TooMany: bs.RefusedFull, BadTLS: bs.RefusedTLS, Denied: bs.Denied,
			Faults: bs.Faults, Incomplete: bs.HalfPackets, SlowClients: bs.SlowClients, Held: bs.HoldTimeouts, NotDurable: bs.SinkErrors,
			Undelivered: bs.DroppedQoS0, SessionFull: bs.DroppedQueue, NotRetained: bs.NotRetained, NotSubscribed: bs.NotFiltered,
		}
		s.Panics += bs.Panics
	}
	return s
}

// crowded is the alarm for the fullest log, in the steps in which the spool
// holds messages back.
func crowded(uplinks []spool.UplinkStats, whenFull string) (al telemetry.Alarm, ok bool) {
	var full spool.UplinkStats
	for _, u := range uplinks {
		if u.Level > full.Level {
			full = u
		}
	}
	held := ""
	switch {
	case full.Level < 0.70:
		return al, false
	case full.Level < 0.85:
		held = "nothing is held back yet"
	case full.Level < 0.95:
		held = "devices wait with messages of routes with priority: low"
	default:
		held = "devices wait with all messages but those of routes with priority: high"
	}
	if whenFull == "evict-low" && full.Level >= 0.85 {
		held += "; the oldest of priority: low make way for more important ones"
	}
	return telemetry.Alarm{
		ID:   "spool-full",
		Text: fmt.Sprintf("the logs of uplink %s are %.0f %% full: %s", full.Name, full.Level*100, held),
		Do:   "restore the uplink, or raise spool.size; give what nobody needs late offline: drop, latest or a max_age",
	}, true
}
