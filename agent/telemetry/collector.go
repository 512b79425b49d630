package telemetry

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/sealgate/sealgate/agent/control"
	"github.com/sealgate/sealgate/classify"
	"github.com/sealgate/sealgate/crypto/protect"
)

// collector turns what was counted and Stats into metrics at each scrape.
type collector struct {
	m     *Metrics
	build Build
	stats func() Stats
	descs map[string]*prometheus.Desc
}

func newCollector(m *Metrics, b Build, stats func() Stats) *collector {
	c := &collector{m: m, build: b, stats: stats, descs: map[string]*prometheus.Desc{}}
	add := func(name, help string, labels ...string) {
		c.descs[name] = prometheus.NewDesc(prometheus.BuildFQName(namespace, "", name), help, labels, nil)
	}
	add("messages_total", "Messages by grade before protection and effective outcome.", "grade", "outcome")
	add("message_payload_bytes_total", "Payload bytes as published by devices, by grade before protection and effective outcome.", "grade", "outcome")
	add("observed_messages_total", "Messages that left unchanged in observe mode, by the outcome that enforcing would have had.", "would_be")
	add("findings_total", "Messages in which a class was found.", "class")
	add("observed_findings_total", "Messages in which a class was found and left as it was, because the policy only observes that class.", "class")
	add("unclassified_fields_total", "Fields in which nothing was found and that the policy does not declare: encrypted, or passed where it says unclassified: pass. Numbers, switches, times and words of an enumeration count only where it says strict.")
	add("unreadable_messages_total", "Messages whose payload could not be read.")
	add("guard_corrections_total", "Decisions that the guard made stricter than the policy.")
	add("fields_transformed_total", "Actions carried out on fields and topic levels; none in messages sealed as a whole.", "action")
	add("classify_duration_seconds", "Time to parse, classify, grade and decide one message.")
	add("stage_duration_seconds", "Time that a message spends in one stage of the corridor; judge is classify_duration_seconds again.", "stage")

	add("build_info", "The program: always 1.", "version", "revision", "goversion")
	add("support_end_timestamp_seconds", "Until when this version gets security updates; absent where the build does not state it.")
	add("ready", "1 where the ingress listens and the spool is recovered.")
	add("alarms", "Alarms that stand; the status page says which, and what to do.")
	add("mode_info", "Whether any route observes: always 1.", "mode")
	add("clock_synchronized", "1 where the kernel says that the wall clock is synchronized; 0 where it is not, or can't tell.")
	add("policy_version", "Version of the policy in force.")
	add("policy_info", "The policy in force: always 1.", "hash", "source")
	add("policy_applied_timestamp_seconds", "When the policy in force was applied.")
	add("policy_not_after_timestamp_seconds", "When the validity of the policy that the site's operators sent ends; it is enforced after that as well. 0 where they sent none.")
	add("remote_config_updates_total", "Documents and commands from the site's operators, by what became of them.", "result")
	add("remote_probation", "1 while a change from the site's operators is on probation.")
	add("remote_lockdown", "1 while nothing leaves, by command.")
	add("trust_root_version", "Version of the trust root in force; 0 where nothing is taken from outside.")
	add("recipients_version", "Version of the recipients bundle in force; 0 where there is none.")
	add("recipients_not_after_timestamp_seconds", "When the recipients bundle in force expires; 0 where there is none.")
	add("key_created_timestamp_seconds", "When the newest generation of a key of the gateway was made.", "purpose")
	add("keys_sealed", "1 where the gateway's own keys can't be opened: then nothing leaves.")
	add("custody_info", "Who keeps the key of the gateway's own keys: always 1.", "kind")
	add("custody_rescue_keys", "Offline keys that open the gateway's own keys when their custodian is lost.")
	add("rollback_protected", "1 where an older copy of the state directory would be noticed.")
	add("crypto_failures_total", "Attempts to protect that failed; nothing left in clear. no_key: no usable recipient, once for each attempt; data_key: none could be made; seal: a message could not be sealed.", "op")
	add("dek_keys_total", "Data keys made.")
	add("dek_wraps_total", "Wraps of data keys, one for each recipient.")
	add("dek_messages_total", "Messages encrypted under data keys.")
	add("ingress_connected_clients", "Devices connected to the embedded broker.")
	add("ingress_refused_connections_total", "Connections that the embedded broker refused. login: credentials, a client id or a will that is not allowed; full: too many clients or sessions; tls: the handshake failed.", "reason")
	add("ingress_ended_connections_total", "Connections that the embedded broker ended. fault: a malformed packet, a timeout or a broken socket; incomplete: large packets left standing; slow: the client did not read; held: a message could not be taken; not_durable: one could not be kept.", "reason")
	add("ingress_denied_messages_total", "Messages that the embedded broker's access list refused.")
	add("ingress_local_refusals_total", "What the embedded broker had no room for among local clients; what leaves is not touched. undelivered: deliveries with QoS 0 to slow subscribers; session_full: deliveries to sessions; not_retained: retained messages, which were delivered; not_subscribed: filters.", "reason")
	add("ingress_received_messages_total", "Messages received from devices that were meant to leave.")
	add("ingress_received_bytes_total", "Their bytes, topics included.")
	add("ingress_in_flight_messages", "Messages received and not yet acknowledged.")
	add("ingress_acknowledged_messages_total", "Messages acknowledged to devices.")
	add("ingress_refused_messages_total", "Messages not taken: held too long, or the agent was closing. They were not acknowledged.")
	add("ingress_held_messages", "Messages that wait for a usable key, unacknowledged.")
	add("ingress_unrouted_messages_total", "Messages on topics that begin with $ and have no route.")
	add("ingress_unmapped_messages_total", "Messages on topics that no uplink takes: they stay here.")
	add("ingress_dropped_messages_total", "Messages on routes that say offline: drop, while the uplink was down.")
	add("ingress_broker_connected", "1 while the gateway reads this existing broker.", "broker")
	add("ingress_broker_sessions_forgotten_total", "Sessions that an existing broker has forgotten, and with them what was queued in them.", "broker")
	add("uplink_connected", "1 while the uplink is connected.", "uplink")
	add("uplink_acknowledged_messages_total", "Messages that the uplink has acknowledged.", "uplink")
	add("uplink_acknowledged_bytes_total", "Their bytes, topics included.", "uplink")
	add("uplink_resent_messages_total", "Messages sent again after a lost connection.", "uplink")
	add("uplink_quarantined_messages_total", "Messages that the uplink refused again and again; kept, protected, in quarantine.", "uplink")
	add("downlink_received_messages_total", "Messages for local devices that the uplink's broker delivered; after a lost connection some come again.", "uplink")
	add("downlink_relayed_messages_total", "Of those, delivered to the embedded broker's clients and retained messages.", "uplink")
	add("downlink_refused_messages_total", "Of those, acknowledged and not relayed. reserved: the local topic means something to the gateway itself; unmapped: no mapping names a local topic; topic_too_long: longer than MQTT permits, once mapped.", "uplink", "reason")
	add("uplink_in_flight_messages", "Messages sent and not yet acknowledged.", "uplink")
	add("uplink_round_trip_seconds", "Smoothed time from publish to acknowledgement.", "uplink")
	add("uplink_subjects", "Estimate of how many people data left of over the uplink this year. sensitive: those of whom something graded L4 left.", "uplink", "kind")
	add("uplink_subjects_limit_ratio", "Share that is reached of the legal profile's nearest number of people a year; from 1 on data may be important (L5).", "uplink")
	add("spool_bytes", "Bytes in the logs that are not yet released.")
	add("spool_limit_bytes", "Bytes that the logs may hold.")
	add("spool_records", "Records in the logs that are not yet released.")
	add("spool_oldest_message_timestamp_seconds", "When the oldest message in the logs was stored; 0 where they are empty.")
	add("spool_memory_bytes", "Bytes that wait for the uplink in memory, not yet written: spool.mode spill.")
	add("spool_spared_bytes_total", "Bytes that the uplink acknowledged before they were written, so that they never were: spool.mode spill.")
	add("spool_written_bytes_total", "Bytes written to the medium: wear.")
	add("spool_written_day_bytes", "Of those, in the last 24 hours, or since the start.")
	add("spool_fsync_duration_seconds", "Time of one flush of the medium.")
	add("spool_dropped_messages_total", "Messages lost from the logs. damaged: found missing or damaged; quarantine_full: the oldest ones of a full quarantine; evicted: of priority low, for others, where spool.when_full says so.", "reason")
	add("spool_unsent_messages_total", "Messages not sent because their route says so. max_age: too old; latest: a later one of the topic took its place while the uplink was down.", "reason")
	add("spool_commit_failures_total", "Batches that the spool refused; their messages were not acknowledged.")
	add("recovered_panics_total", "Panics that were caught; the message was sealed or refused.")
	return c
}

func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, d := range c.descs {
		ch <- d
	}
}

// A sink sends metrics of the collector's descriptions.
type sink struct {
	c  *collector
	ch chan<- prometheus.Metric
}

func (k sink) gauge(name string, v float64, labels ...string) {
	k.ch <- prometheus.MustNewConstMetric(k.c.descs[name], prometheus.GaugeValue, v, labels...)
}

func (k sink) count(name string, v uint64, labels ...string) {
	k.ch <- prometheus.MustNewConstMetric(k.c.descs[name], prometheus.CounterValue, float64(v), labels...)
}

func (k sink) histogram(name string, h histogram, labels ...*dto.LabelPair) {
	k.ch <- &histogramMetric{desc: k.c.descs[name], labels: labels, scale: k.c.m.scale, h: h}
}

func (c *collector) Collect(ch chan<- prometheus.Metric) {
	k := sink{c, ch}
	t := c.m.snapshot()
	k.tally(&t)
	s := c.stats()
	k.rules(&s)
	k.ways(&s)
}

// tally sends what was counted for each message.
func (k sink) tally(t *tally) {
	for o := range outcomes {
		for g := range grades {
			k.count("messages_total", t.messages[g][o], g.String(), o.String())
			k.count("message_payload_bytes_total", t.bytes[g][o], g.String(), o.String())
		}
		k.count("observed_messages_total", t.observed[o], o.String())
	}
	for _, class := range classify.Classes() {
		k.count("findings_total", t.findings[class.ID], class.Name)
		k.count("observed_findings_total", t.left[class.ID], class.Name)
	}
	for i, name := range protect.FieldActions() {
		k.count("fields_transformed_total", t.actions[i], name)
	}
	k.count("unclassified_fields_total", t.loose)
	k.count("unreadable_messages_total", t.unreadable)
	k.count("guard_corrections_total", t.guard)
	k.histogram("classify_duration_seconds", t.judge)
	stage := func(name string, h histogram) {
		k.histogram("stage_duration_seconds", h, &dto.LabelPair{Name: new("stage"), Value: &name})
	}
	stage("queue", t.queue)
	stage("judge", t.judge)
	stage("protect", t.protect)
	stage("commit", t.commit)
	k.histogram("spool_fsync_duration_seconds", t.fsync)
}

// rules sends what is in force, and the keys.
func (k sink) rules(s *Stats) {
	b := &k.c.build
	k.gauge("build_info", 1, b.Version, b.Revision, b.GoVersion)
	if !b.SupportEnd.IsZero() {
		k.gauge("support_end_timestamp_seconds", unix(b.SupportEnd))
	}
	k.gauge("ready", truth(s.Ready))
	k.gauge("alarms", float64(len(s.Alarms)))
	k.gauge("mode_info", 1, s.Mode)
	k.gauge("clock_synchronized", truth(s.ClockSynchronized))
	k.gauge("policy_version", float64(s.Policy.Version))
	k.gauge("policy_info", 1, s.Policy.Hash, s.Policy.Source)
	k.gauge("policy_applied_timestamp_seconds", unix(s.Policy.Applied))
	remote := RemoteStats{}
	if s.Remote != nil {
		remote = *s.Remote
	}
	k.gauge("policy_not_after_timestamp_seconds", unix(remote.NotAfter))
	for _, code := range control.Codes() {
		k.count("remote_config_updates_total", remote.Offers[code], string(code))
	}
	k.gauge("remote_probation", truth(remote.Probation))
	k.gauge("remote_lockdown", truth(remote.Lockdown))
	k.gauge("trust_root_version", float64(remote.RootVersion))
	k.gauge("recipients_version", float64(s.Recipients.Version))
	k.gauge("recipients_not_after_timestamp_seconds", unix(s.Recipients.NotAfter))
	for _, key := range s.Keys {
		k.gauge("key_created_timestamp_seconds", unix(key.Created), key.Purpose)
	}
	k.gauge("keys_sealed", truth(s.Custody.Sealed))
	if s.Custody.Kind != "" {
		k.gauge("custody_info", 1, s.Custody.Kind)
	}
	k.gauge("custody_rescue_keys", float64(s.Custody.Rescue))
	k.gauge("rollback_protected", truth(s.Custody.Rollback == "tpm"))
	k.count("crypto_failures_total", s.Crypto.NoKey, "no_key")
	k.count("crypto_failures_total", s.Crypto.DataKey, "data_key")
	k.count("crypto_failures_total", s.Crypto.Seal, "seal")
	k.count("dek_keys_total", s.Crypto.DataKeys)
	k.count("dek_wraps_total", s.Crypto.Wraps)
	k.count("dek_messages_total", s.Crypto.Messages)
	k.count("recovered_panics_total", s.Panics)
}

// ways sends what the ingress, the uplinks and the spool report.
func (k sink) ways(s *Stats) {
	k.gauge("ingress_connected_clients", float64(s.Ingress.Connected))
	if b := s.Ingress.Local; b != nil {
		k.count("ingress_refused_connections_total", b.BadLogins, "login")
		k.count("ingress_refused_connections_total", b.TooMany, "full")
		k.count("ingress_refused_connections_total", b.BadTLS, "tls")
		k.count("ingress_ended_connections_total", b.Faults, "fault")
		k.count("ingress_ended_connections_total", b.Incomplete, "incomplete")
		k.count("ingress_ended_connections_total", b.SlowClients, "slow")
		k.count("ingress_ended_connections_total", b.Held, "held")
		k.count("ingress_ended_connections_total", b.NotDurable, "not_durable")
		k.count("ingress_denied_messages_total", b.Denied)
		k.count("ingress_local_refusals_total", b.Undelivered, "undelivered")
		k.count("ingress_local_refusals_total", b.SessionFull, "session_full")
		k.count("ingress_local_refusals_total", b.NotRetained, "not_retained")
		k.count("ingress_local_refusals_total", b.NotSubscribed, "not_subscribed")
	}
	k.count("ingress_received_messages_total", s.Ingress.Received)
	k.count("ingress_received_bytes_total", s.Ingress.Bytes)
	k.gauge("ingress_in_flight_messages", float64(s.Ingress.InFlight))
	k.count("ingress_acknowledged_messages_total", s.Ingress.Acknowledged)
	for _, b := range s.Ingress.Brokers {
		k.gauge("ingress_broker_connected", truth(b.Connected), b.Broker)
		k.count("ingress_broker_sessions_forgotten_total", b.Forgotten, b.Broker)
	}
	k.count("ingress_refused_messages_total", s.Ingress.Refused)
	k.gauge("ingress_held_messages", float64(s.Held))
	k.count("ingress_unrouted_messages_total", s.Unrouted)
	k.count("ingress_unmapped_messages_total", s.Unmapped)
	k.count("ingress_dropped_messages_total", s.Dropped)
	for _, u := range s.Uplinks {
		k.gauge("uplink_connected", truth(u.Connected), u.Name)
		k.count("uplink_acknowledged_messages_total", u.Acknowledged, u.Name)
		k.count("uplink_acknowledged_bytes_total", u.Bytes, u.Name)
		k.count("uplink_resent_messages_total", u.Resent, u.Name)
		k.count("uplink_quarantined_messages_total", u.Quarantined, u.Name)
		if d := u.Downlink; d != nil {
			k.count("downlink_received_messages_total", d.Received, u.Name)
			k.count("downlink_relayed_messages_total", d.Relayed, u.Name)
			k.count("downlink_refused_messages_total", d.Reserved, u.Name, "reserved")
			k.count("downlink_refused_messages_total", d.Unmapped, u.Name, "unmapped")
			k.count("downlink_refused_messages_total", d.TooLong, u.Name, "topic_too_long")
		}
		k.gauge("uplink_in_flight_messages", float64(u.InFlight), u.Name)
		k.gauge("uplink_round_trip_seconds", u.RoundTrip.Seconds(), u.Name)
		k.gauge("uplink_subjects", float64(u.Subjects.All), u.Name, "all")
		k.gauge("uplink_subjects", float64(u.Subjects.Sensitive), u.Name, "sensitive")
		k.gauge("uplink_subjects_limit_ratio", u.Subjects.Share, u.Name)
	}
	k.gauge("spool_bytes", float64(s.Spool.Bytes))
	k.gauge("spool_limit_bytes", float64(s.Spool.Limit))
	k.gauge("spool_records", float64(s.Spool.Records))
	k.gauge("spool_oldest_message_timestamp_seconds", unix(s.Spool.Oldest))
	k.gauge("spool_memory_bytes", float64(s.Spool.Memory))
	k.count("spool_spared_bytes_total", s.Spool.Spared)
	k.count("spool_written_bytes_total", s.Spool.Written)
	k.gauge("spool_written_day_bytes", float64(s.Spool.WrittenDay))
	k.count("spool_dropped_messages_total", s.Spool.Damaged, "damaged")
	k.count("spool_dropped_messages_total", s.Spool.QuarantineFull, "quarantine_full")
	k.count("spool_dropped_messages_total", s.Spool.Evicted, "evicted")
	k.count("spool_unsent_messages_total", s.Spool.Expired, "max_age")
	k.count("spool_unsent_messages_total", s.Spool.Replaced, "latest")
	k.count("spool_commit_failures_total", s.Spool.CommitFailures)
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
