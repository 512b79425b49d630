package broker

import "sync/atomic"

// Stats are counts since New, and gauges where said.
type Stats struct {
	Clients      int    // gauge: open connections
	Sessions     int    // gauge: sessions, connected or not
	Retained     int    // gauge: retained messages, those of $SYS included
	Unacked      int    // gauge: messages submitted and not acknowledged to the client
	Accepted     uint64 // connections
	RefusedAuth  uint64 // bad credentials, or a will or client id that is not allowed
	RefusedFull  uint64 // over Limits.Clients
	RefusedTLS   uint64 // handshake failed
	Faults       uint64 // connections ended by a malformed packet, a timeout or a broken socket
	Panics       uint64 // connections ended by a panic
	HoldTimeouts uint64 // connections ended because the sink did not take a message
	SinkErrors   uint64 // messages that the sink could not make durable; the client was disconnected
	HalfPackets  uint64 // connections ended because they left large packets standing: Limits.HalfBytes
	SlowClients  uint64 // connections ended because the client did not read
	Received     uint64 // messages, wills included
	Submitted    uint64 // messages the sink took
	Durable      uint64 // messages the sink made durable
	Denied       uint64 // messages the ACL refused
	Duplicates   uint64 // redeliveries of a message not yet acknowledged
	DroppedQoS0  uint64 // deliveries dropped because a subscriber was slow
	DroppedQueue uint64 // deliveries dropped because a session's queue was full
	NotRetained  uint64 // messages delivered but not retained: Limits.RetainedBytes
	NotFiltered  uint64 // filters of SUBSCRIBEs refused: Limits.FilterBytes
	Wills        uint64 // published
	WillsLost    uint64 // wills that the sink did not take; local delivery was done
	BytesIn      uint64
	BytesOut     uint64
	StoreErrors  uint64 // writes of the state that failed; they are tried again
}

type counters struct {
	accepted, refusedAuth, refusedFull, refusedTLS, faults, panics, holdTimeouts,
	sinkErrors, halfPackets, slowClients, received, submitted, durable, denied, duplicates, droppedQoS0,
	droppedQueue, notRetained, filtersRefused, wills, willsLost, bytesIn, bytesOut, storeErrors, relayed atomic.Uint64
}

// Stats returns the counts so far.
func (b *Broker) Stats() Stats {
	c := &b.stats
	s := Stats{
		Retained:     b.srv.Topics.Retained.Len(),
		Unacked:      b.unacknowledged(),
		Accepted:     c.accepted.Load(),
		RefusedAuth:  c.refusedAuth.Load(),
		RefusedFull:  c.refusedFull.Load(),
		RefusedTLS:   c.refusedTLS.Load(),
		Faults:       c.faults.Load(),
		Panics:       c.panics.Load(),
		HoldTimeouts: c.holdTimeouts.Load(),
		SinkErrors:   c.sinkErrors.Load(),
		HalfPackets:  c.halfPackets.Load(),
		SlowClients:  c.slowClients.Load(),
		Received:     c.received.Load(),
		Submitted:    c.submitted.Load(),
		Durable:      c.durable.Load(),
		Denied:       c.denied.Load(),
		Duplicates:   c.duplicates.Load(),
		DroppedQoS0:  c.droppedQoS0.Load(),
		DroppedQueue: c.droppedQueue.Load() + uint64(max(0, atomic.LoadInt64(&b.srv.Info.InflightDropped))),
		NotRetained:  c.notRetained.Load(),
		NotFiltered:  c.filtersRefused.Load(),
		Wills:        c.wills.Load(),
		WillsLost:    c.willsLost.Load(),
		BytesIn:      c.bytesIn.Load(),
		BytesOut:     c.bytesOut.Load(),
		StoreErrors:  c.storeErrors.Load(),
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	s.Clients, s.Sessions = len(b.open), len(b.sessions)
	return s
}
