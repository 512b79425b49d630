package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Stats is what the parts of the agent report when they are asked: a plain
// value, assembled by package agent. It is also the document served at
// /api/v1/status.
type Stats struct {
	Gateway  string       `json:"gateway"`
	Ready    bool         `json:"ready"`
	Why      string       `json:"why,omitempty"` // what readiness waits for
	Mode     string       `json:"mode"`          // observe or enforce
	Alarms   []Alarm      `json:"alarms"`
	Policy   PolicyStats  `json:"policy"`
	Ingress  IngressStats `json:"ingress"`
	Uplinks  []Uplink     `json:"uplinks"`
	Spool    SpoolStats   `json:"spool"`
	Panics   uint64       `json:"recovered_panics"`
	Held     uint64       `json:"held_messages"`     // wait for a usable key, unacknowledged
	Unrouted uint64       `json:"unrouted_messages"` // topics that begin with $ and have no route
	Dropped  uint64       `json:"dropped_messages"`  // on routes that say offline: drop, while the uplink was down
	Unmapped uint64       `json:"unmapped_messages"` // topics that no uplink takes: they stay here
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
	Hash    string    `json:"hash"`
	Source  string    `json:"source"` // file or built-in
	Applied time.Time `json:"applied"`
}

// IngressStats describes the devices' side.
type IngressStats struct {
	Connected    int    `json:"connected"`
	Received     uint64 `json:"received"`
	Acknowledged uint64 `json:"acknowledged"`
	Refused      uint64 `json:"refused"`
}

// Uplink describes one connection to a cloud broker.
type Uplink struct {
	Name         string        `json:"name"`
	Connected    bool          `json:"connected"`
	Acknowledged uint64        `json:"acknowledged"`
	Resent       uint64        `json:"resent"`
	Quarantined  uint64        `json:"quarantined"`
	InFlight     int           `json:"in_flight"`
	RoundTrip    time.Duration `json:"round_trip_ns"`
}

// SpoolStats describes the logs.
type SpoolStats struct {
	Bytes     int64     `json:"bytes"`
	Limit     int64     `json:"limit"`
	Records   int64     `json:"records"`
	Oldest    time.Time `json:"oldest,omitzero"` // zero: empty
	Written   uint64    `json:"written_bytes"`   // to the medium since the start: wear
	Fsyncs    uint64    `json:"fsyncs"`
	FsyncTime float64   `json:"fsync_seconds"`
}

// collector turns Stats into metrics at each scrape.
type collector struct {
	build Build
	stats func() Stats
	descs map[string]*prometheus.Desc
}

func newCollector(b Build, stats func() Stats) *collector {
	c := &collector{build: b, stats: stats, descs: map[string]*prometheus.Desc{}}
	add := func(name, help string, labels ...string) {
		c.descs[name] = prometheus.NewDesc(prometheus.BuildFQName(namespace, "", name), help, labels, nil)
	}
	add("build_info", "The program: always 1.", "version", "revision", "goversion")
	add("ready", "1 where the ingress listens and the spool is recovered.")
	add("mode_info", "Whether any route observes: always 1.", "mode")
	add("policy_version", "Version of the policy in force.")
	add("policy_info", "The policy in force: always 1.", "hash", "source")
	add("policy_applied_timestamp_seconds", "When the policy in force was applied.")
	add("ingress_connected_clients", "Devices connected to the embedded broker.")
	add("ingress_received_messages_total", "Messages received from devices that were meant to leave.")
	add("ingress_acknowledged_messages_total", "Messages acknowledged to devices.")
	add("ingress_refused_messages_total", "Messages not taken: held too long, or the agent was closing. They were not acknowledged.")
	add("ingress_held_messages", "Messages that wait for a usable key, unacknowledged.")
	add("ingress_unrouted_messages_total", "Messages on topics that begin with $ and have no route.")
	add("ingress_unmapped_messages_total", "Messages on topics that no uplink takes: they stay here.")
	add("ingress_dropped_messages_total", "Messages on routes that say offline: drop, while the uplink was down.")
	add("uplink_connected", "1 while the uplink is connected.", "uplink")
	add("uplink_acknowledged_messages_total", "Messages that the uplink has acknowledged.", "uplink")
	add("uplink_resent_messages_total", "Messages sent again after a lost connection.", "uplink")
	add("uplink_quarantined_messages_total", "Messages that the uplink refused again and again; kept, protected, in quarantine.", "uplink")
	add("uplink_in_flight_messages", "Messages sent and not yet acknowledged.", "uplink")
	add("uplink_round_trip_seconds", "Smoothed time from publish to acknowledgement.", "uplink")
	add("spool_bytes", "Bytes in the logs that are not yet released.")
	add("spool_limit_bytes", "Bytes that the logs may hold.")
	add("spool_records", "Records in the logs that are not yet released.")
	add("spool_oldest_message_timestamp_seconds", "When the oldest message in the logs was stored; 0 where they are empty.")
	add("spool_written_bytes_total", "Bytes written to the medium: wear.")
	add("spool_fsyncs_total", "Flushes of the medium.")
	add("spool_fsync_seconds_total", "Time spent in flushes of the medium.")
	add("recovered_panics_total", "Panics that were caught; the message was sealed or refused.")
	return c
}

func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		ch <- d
	}
}

func (c *collector) Collect(ch chan<- prometheus.Metric) {
	s := c.stats()
	gauge := func(name string, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(c.descs[name], prometheus.GaugeValue, v, labels...)
	}
	count := func(name string, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(c.descs[name], prometheus.CounterValue, v, labels...)
	}
	gauge("build_info", 1, c.build.Version, c.build.Revision, c.build.GoVersion)
	gauge("ready", truth(s.Ready))
	gauge("mode_info", 1, s.Mode)
	gauge("policy_version", float64(s.Policy.Version))
	gauge("policy_info", 1, s.Policy.Hash, s.Policy.Source)
	gauge("policy_applied_timestamp_seconds", unix(s.Policy.Applied))
	gauge("ingress_connected_clients", float64(s.Ingress.Connected))
	count("ingress_received_messages_total", float64(s.Ingress.Received))
	count("ingress_acknowledged_messages_total", float64(s.Ingress.Acknowledged))
	count("ingress_refused_messages_total", float64(s.Ingress.Refused))
	gauge("ingress_held_messages", float64(s.Held))
	count("ingress_unrouted_messages_total", float64(s.Unrouted))
	count("ingress_unmapped_messages_total", float64(s.Unmapped))
	count("ingress_dropped_messages_total", float64(s.Dropped))
	for _, u := range s.Uplinks {
		gauge("uplink_connected", truth(u.Connected), u.Name)
		count("uplink_acknowledged_messages_total", float64(u.Acknowledged), u.Name)
		count("uplink_resent_messages_total", float64(u.Resent), u.Name)
		count("uplink_quarantined_messages_total", float64(u.Quarantined), u.Name)
		gauge("uplink_in_flight_messages", float64(u.InFlight), u.Name)
		gauge("uplink_round_trip_seconds", u.RoundTrip.Seconds(), u.Name)
	}
	gauge("spool_bytes", float64(s.Spool.Bytes))
	gauge("spool_limit_bytes", float64(s.Spool.Limit))
	gauge("spool_records", float64(s.Spool.Records))
	gauge("spool_oldest_message_timestamp_seconds", unix(s.Spool.Oldest))
	count("spool_written_bytes_total", float64(s.Spool.Written))
	count("spool_fsyncs_total", float64(s.Spool.Fsyncs))
	count("spool_fsync_seconds_total", s.Spool.FsyncTime)
	count("recovered_panics_total", float64(s.Panics))
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func unix(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.UnixMilli()) / 1e3
}
