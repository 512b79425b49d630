package mqtt

import "sync/atomic"

// ConnStats count what connections did. Safe for concurrent use; read each
// value with Load.
type ConnStats struct {
	Connects  atomic.Uint64 // CONNACK with success
	Refused   atomic.Uint64 // CONNACK with a refusal
	Losses    atomic.Uint64 // connections that ended without Close
	Published atomic.Uint64 // messages handed to the client
	Acked     atomic.Uint64 // and acknowledged
	BytesOut  atomic.Uint64
	BytesIn   atomic.Uint64
	Writes    atomic.Uint64 // system calls: BytesOut / Writes is how well writes coalesce
}

// SubscribeStats count what a subscriber read. Safe for concurrent use.
type SubscribeStats struct {
	Connected  atomic.Bool // and subscribed, now
	Connects   atomic.Uint64
	Subscribed atomic.Uint64 // connections on which the broker granted all filters
	Losses     atomic.Uint64
	Received   atomic.Uint64 // messages
	Submitted  atomic.Uint64 // messages the sink took
	Acked      atomic.Uint64 // acknowledged to the broker
	SinkErrors atomic.Uint64 // messages the sink refused or could not make durable: the broker sends them again
	VoidAcks   atomic.Uint64 // acknowledgements that came after their connection had ended
	Lost       atomic.Uint64 // sessions the broker had forgotten, and with them what was queued in it
}
