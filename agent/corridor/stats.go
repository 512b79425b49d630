package corridor

import "time"

// Stats is a snapshot of the counters.
type Stats struct {
	Submitted    uint64 // messages taken from an ingress
	Bytes        uint64 // of them, topics included
	Unrouted     uint64 // on "$…" topics without a route: not taken
	Unmapped     uint64 // on topics that no uplink's mapping takes: they stay here
	Dropped      uint64 // on routes that say `offline: drop`, while the uplink was down
	Held         uint64 // waiting now for a usable key
	Refused      uint64 // not taken: held too long, or closing
	Committed    uint64 // acknowledged: durable, or with the uplinks
	Queued       uint64 // given to the workers: all that was submitted and had space
	Finished     uint64 // of those, answered in any way; Queued - Finished are under way
	CommitErrors uint64
	Panics       uint64
	Uplinks      []UplinkStats
}

// UplinkStats is a snapshot of one sender.
type UplinkStats struct {
	Name         string
	Connected    bool
	Acknowledged uint64
	Bytes        uint64 // of acknowledged messages
	Resent       uint64
	Quarantined  uint64
	InFlight     int64
	RoundTrip    time.Duration // smoothed
}

// Stats returns the counters as they are now.
func (c *Corridor) Stats() Stats {
	s := Stats{
		Submitted: c.stats.submitted.Load(), Bytes: c.stats.received.Load(), Unrouted: c.stats.unrouted.Load(), Unmapped: c.stats.unmapped.Load(), Dropped: c.stats.dropped.Load(), Held: c.stats.held.Load(),
		Finished: c.stats.finished.Load(), Queued: c.stats.queued.Load(), // in this order: never more finished than queued
		Refused: c.stats.refused.Load(), Committed: c.stats.committed.Load(),
		CommitErrors: c.stats.commitErrors.Load(), Panics: c.stats.panics.Load(),
	}
	for _, u := range c.senders {
		s.Uplinks = append(s.Uplinks, UplinkStats{
			Name: u.u.Name, Connected: u.stats.connected.Load(), Acknowledged: u.stats.acknowledged.Load(), Bytes: u.stats.bytes.Load(),
			Resent: u.stats.resent.Load(), Quarantined: u.stats.quarantined.Load(),
			InFlight: u.stats.inFlight.Load(), RoundTrip: time.Duration(u.stats.roundTrip.Load()),
		})
	}
	return s
}
