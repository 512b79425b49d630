package telemetry

import (
	"time"

	"github.com/sealgate/sealgate/agent/control"
)

// Stats is what the parts of the agent report when they are asked: a plain
// value, assembled by package agent. It is also the document served at
// /api/v1/status.
type Stats struct {
	Gateway           string         `json:"gateway"`
	Ready             bool           `json:"ready"`
	Why               string         `json:"why,omitempty"` // what readiness waits for
	Mode              string         `json:"mode"`          // observe or enforce
	Alarms            []Alarm        `json:"alarms"`
	Policy            PolicyStats    `json:"policy"`
	Remote            *RemoteStats   `json:"remote,omitempty"` // nil: nothing is taken from outside
	Recipients        RecipientStats `json:"recipients"`
	Keys              []Key          `json:"keys"`
	Custody           CustodyStats   `json:"custody"`
	Crypto            CryptoStats    `json:"crypto"`
	ClockSynchronized bool           `json:"clock_synchronized"`
	Ingress           IngressStats   `json:"ingress"`
	Uplinks           []Uplink       `json:"uplinks"`
	Spool             SpoolStats     `json:"spool"`
	Panics            uint64         `json:"recovered_panics"`  // each kept the gateway running
	Held              uint64         `json:"held_messages"`     // wait for a usable key, unacknowledged
	Unrouted          uint64         `json:"unrouted_messages"` // topics that begin with $ and have no route
	Dropped           uint64         `json:"dropped_messages"`  // on routes that say offline: drop, while the uplink was down
	Unmapped          uint64         `json:"unmapped_messages"` // topics that no uplink takes: they stay here
	Flows             []Flow         `json:"flows"`             // what leaves, since the policy in force was applied
	Hour              []Minute       `json:"hour"`              // the last hour, the current minute at the end
}

// An Alarm is something that a person should look at, and what to do next.
type Alarm struct {
	ID   string `json:"id"`
	Text string `json:"text"`
	Do   string `json:"do"`
}

// PolicyStats describes the policy in force.
type PolicyStats struct {
	Version uint64    `json:"version"`
	Hash    string    `json:"hash"`   // SHA-256 of the document, in hex
	Source  string    `json:"source"` // file, built-in, or remote: group, gateway, sealed
	Applied time.Time `json:"applied"`
}

// RemoteStats describes what the site's operators sent.
type RemoteStats struct {
	Offers      map[control.Code]uint64 `json:"offers"` // documents and commands, by what became of them
	Version     uint64                  `json:"version"`
	NotAfter    time.Time               `json:"not_after,omitzero"` // of the policy that was sent
	Probation   bool                    `json:"probation"`          // the policy is being tried: it is rolled back if it fails
	Lockdown    bool                    `json:"lockdown"`           // a signed command stopped all that leaves
	RootVersion uint64                  `json:"root_version"`
}

// RecipientStats describes the recipients bundle in force.
type RecipientStats struct {
	Version  uint64    `json:"version"` // 0: there is none
	NotAfter time.Time `json:"not_after,omitzero"`
}

// Key describes one of the gateway's own keys.
type Key struct {
	Purpose string    `json:"purpose"` // kem, signing or spool
	Created time.Time `json:"created"` // its newest generation
}

// CustodyStats describes who keeps the key of the gateway's own keys.
type CustodyStats struct {
	Kind    string    `json:"kind,omitempty"`   // tpm, credential, vault or file
	Created time.Time `json:"created,omitzero"` // the key-encryption key
	Rescue  int       `json:"rescue_keys"`
	// Rollback is what notices an older copy of the state: tpm or unprotected.
	Rollback string `json:"rollback,omitempty"`
	Sealed   bool   `json:"sealed"` // the keys can't be opened: nothing leaves
}

// CryptoStats counts what protecting did, since the start.
type CryptoStats struct {
	DataKeys uint64 `json:"data_keys"`
	Wraps    uint64 `json:"wraps"`
	Messages uint64 `json:"messages"`          // encrypted
	NoKey    uint64 `json:"no_key_failures"`   // attempts that found no usable recipient
	DataKey  uint64 `json:"data_key_failures"` // attempts to make a data key
	Seal     uint64 `json:"seal_failures"`
}

// IngressStats describes the devices' side.
type IngressStats struct {
	Connected    int          `json:"connected"` // devices, to the embedded broker
	Received     uint64       `json:"received"`
	Bytes        uint64       `json:"received_bytes"` // topics included
	Acknowledged uint64       `json:"acknowledged"`
	Refused      uint64       `json:"refused"`           // not taken: the device has to send again, or may not
	InFlight     uint64       `json:"in_flight"`         // between receipt and acknowledgement
	Brokers      []Subscribed `json:"brokers,omitempty"` // existing ones that are read
	Local        *Local       `json:"local,omitempty"`   // the embedded broker
}

// Local is what the embedded broker refused, ended and had no room for.
type Local struct {
	BadLogins     uint64 `json:"bad_logins"`     // credentials, client ids and wills that are not allowed
	TooMany       uint64 `json:"too_many"`       // connections over limits.clients, or its sessions
	BadTLS        uint64 `json:"bad_tls"`        // handshakes
	Denied        uint64 `json:"denied"`         // messages that the ACL refused
	Faults        uint64 `json:"faults"`         // connections ended by a malformed packet, a timeout or a broken socket
	Incomplete    uint64 `json:"incomplete"`     // connections ended that left large packets standing
	SlowClients   uint64 `json:"slow_clients"`   // connections ended because the client did not read
	Held          uint64 `json:"held"`           // connections ended because a message could not be taken
	NotDurable    uint64 `json:"not_durable"`    // connections ended because a message could not be kept
	Undelivered   uint64 `json:"undelivered"`    // deliveries with QoS 0 to slow subscribers
	SessionFull   uint64 `json:"session_full"`   // deliveries to sessions with full queues
	NotRetained   uint64 `json:"not_retained"`   // messages delivered, and not retained
	NotSubscribed uint64 `json:"not_subscribed"` // filters
}

// Subscribed describes an existing broker that the gateway reads, by one or more
// connections.
type Subscribed struct {
	Broker    string `json:"broker"` // host and port, of the configuration
	Connected bool   `json:"connected"`
	Forgotten uint64 `json:"sessions_forgotten"` // by the broker, and what was queued in them
}

// Uplink describes one connection to a cloud broker.
type Uplink struct {
	Name         string        `json:"name"`
	Connected    bool          `json:"connected"`
	Acknowledged uint64        `json:"acknowledged"`
	Bytes        uint64        `json:"acknowledged_bytes"`
	Resent       uint64        `json:"resent"` // after a lost connection
	Quarantined  uint64        `json:"quarantined"`
	InFlight     int           `json:"in_flight"`
	RoundTrip    time.Duration `json:"round_trip_ns"`
	Subjects     Subjects      `json:"subjects"`
	Downlink     *Downlink     `json:"downlink,omitempty"` // nil: nothing is taken from its broker for devices
}

// Downlink counts messages for local devices. Received without a verdict were
// not acknowledged: they come again.
type Downlink struct {
	Received uint64 `json:"received"`
	Relayed  uint64 `json:"relayed"`
	Reserved uint64 `json:"refused_reserved"`       // on topics that mean something to the gateway itself
	Unmapped uint64 `json:"refused_unmapped"`       // on topics that no mapping gives a local name
	TooLong  uint64 `json:"refused_topic_too_long"` // once mapped
}

// Subjects estimates of how many people data left over an uplink this year.
type Subjects struct {
	All       uint64  `json:"all"`
	Sensitive uint64  `json:"sensitive"`       // of whom something graded L4 left
	Limit     uint64  `json:"limit,omitempty"` // of the legal profile that is nearest; 0: there is none, or nobody was counted
	Share     float64 `json:"share,omitempty"` // of that limit
}

// Percent is Share for people.
func (s Subjects) Percent() float64 { return 100 * s.Share }

// SpoolStats describes the logs.
type SpoolStats struct {
	Bytes          int64     `json:"bytes"`
	Limit          int64     `json:"limit"`
	Records        int64     `json:"records"`
	Oldest         time.Time `json:"oldest,omitzero"`   // zero: empty
	Mode           string    `json:"mode"`              // sync, or spill: what the uplink is quick to acknowledge is not written
	Memory         int64     `json:"memory_bytes"`      // that wait in memory, not yet written; spill only
	Spared         uint64    `json:"spared_bytes"`      // that the uplink acknowledged before they were written
	Written        uint64    `json:"written_bytes"`     // to the medium since the start: wear
	WrittenDay     uint64    `json:"written_day_bytes"` // of those, in the last 24 hours
	Expired        uint64    `json:"expired"`           // records older than their route's max_age, not sent
	Replaced       uint64    `json:"replaced"`          // records that a later one took the place of, as offline: latest says
	Evicted        uint64    `json:"evicted"`           // records of low priority that made way for others
	Damaged        uint64    `json:"damaged"`           // records found missing or damaged
	QuarantineFull uint64    `json:"quarantine_full"`   // records that a full quarantine lost
	CommitFailures uint64    `json:"commit_failures"`
}
