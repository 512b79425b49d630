package telemetry

import "log/slog"

// A LogEvent is one thing that the agent can say in its log. Its name stays the
// same when the message is worded anew.
type LogEvent struct {
	Name    string
	Level   slog.Level
	Message string
	Fields  string // of the record, beside time, level, msg and event
	Meaning string // what the message does not say by itself
}

// LogEvents is everything that the agent logs. A test compares it with the
// program's calls.
func LogEvents() []LogEvent {
	const (
		debug = slog.LevelDebug
		info  = slog.LevelInfo
		warn  = slog.LevelWarn
		fail  = slog.LevelError
	)
	return []LogEvent{
		{"gateway-started", info, "gateway started", "gateway boot mode policy_version policy_source", "The ingress listens."},
		{"gateway-stopped", info, "gateway stopped", "gateway", "All that was taken is durable."},
		{"alarm", warn, "alarm", "alarm text do", "Something stands that a person should look at; status page and `sealgate status` show it until it is over."},
		{"alarm-cleared", info, "alarm cleared", "alarm", "It is over."},
		{"rules-swapped", info, "rules swapped", "mode policy_version policy_source recipients_version", "A reload is in force."},
		{"rules-due", warn, "rules are built again", "why", "A date has passed: that of observing, or of the recipients."},
		{"rules-failed", fail, "rules can't be built", "error", "Then those in force stay, or what needs a key waits."},
		{"clients-ended", info, "clients were disconnected: their user is gone or has another password", "clients", "After a reload of users and access rules."},
		{"reload-refused", fail, "reload refused; the rules in force stay", "error", "`sealgate check` shows every problem."},
		{"policy-refused", fail, "policy refused; the built-in one is enforced", "error", "At the start, there is nothing else to enforce."},
		{"remote-result", info, "remote configuration", "result", "A document or command of the site's operators was taken."},
		{"remote-refused", warn, "remote configuration refused", "reason error", "A document or command was refused; each is counted, one in ten seconds is logged."},
		{"remote-unsettled", fail, "a change from the site's operators can't be settled", "error", "Its probation neither ended well nor was it taken back; it is tried again."},
		{"remote-swapped", info, "rules swapped by remote configuration", "mode policy_version policy_source recipients_version", "A change from the site's operators is in force."},
		{"remote-policy-lost", fail, "the policy in force can't be read; everything is sealed", "error", "The state directory was damaged or changed."},
		{"remote-recipients-lost", fail, "the recipients in force can't be read; everything is sealed", "error", "The same."},
		{"remote-link-ended", fail, "link to the site's operators ended", "error", "It is tried again in a minute."},
		{"remote-status-ended", debug, "status connection ended", "error", "It is opened again."},
		{"lockdown", warn, "lockdown", "on", "By command, nothing leaves, or may leave again."},
		{"keys-sealed", fail, "the gateway's keys can't be opened; only the local broker runs", "error", "Nothing leaves and nothing is stored."},
		{"keys-unsealed", info, "the gateway's keys can be opened", "", "The gateway starts again by itself."},
		{"keys-still-sealed", warn, "the gateway's keys still can't be opened", "error", "It is tried again."},
		{"keys-no-rescue", warn, "no rescue key opens the gateway's keys: with their custodian they are lost", "do", ""},
		{"keys-memory", warn, "keys in memory could be dumped", "error", "The system did not keep this process from swap and core dumps."},
		{"keys-unbound", warn, "this machine has no id: keys are not bound to it", "error", "/etc/machine-id can't be read."},
		{"state-sweep", warn, "what a kill left of a file can't be removed", "error", "It takes space, nothing else."},
		{"state-unnoted", warn, "the disk is full: this start is not noted in the state", "error", "The boot counter has its own place and counted it."},
		{"socket-closed", warn, "control socket can't be opened: `sealgate quarantine` works only while the gateway is stopped", "error", ""},
		{"web-read", info, "the metrics listener's web configuration was read again", "", ""},
		{"web-login-refused", warn, "the metrics listener refused a login", "", "A wrong name or password, or none after one was asked for."},
		{"web-error", debug, "the metrics listener could not answer", "error", "A handshake or request that was no good."},
		{"uplink-ended", warn, "uplink connection ended", "uplink error retry_in", "What is not acknowledged stays, and is sent again."},
		{"uplink-refuses", fail, "the uplink refuses the messages of a lane; it stands", "uplink lane reason retry_in", "A quota or a permission at the broker."},
		{"uplink-takes-nothing", fail, "the uplink takes nothing and its quarantine is full; the lane stands", "uplink lane reason retry_in", "Nothing is lost: runbook quarantine."},
		{"quarantine-refused", fail, "message moved to quarantine", "uplink reason message_id", "The broker refused it for what it is, or it is beyond the uplink's limits."},
		{"quarantine-poison", fail, "message moved to quarantine: the uplink ended the connection each time it was sent, and took another", "uplink message_id", ""},
		{"quarantine-failed", fail, "record can't be moved to quarantine; it stays at the head", "uplink error", ""},
		{"downlink-ended", fail, "downlink ended", "uplink error", "It is tried again in a minute."},
		{"ingress-ended", warn, "connection to local broker ended", "error", "An existing broker; it is opened again."},
		{"ingress-mqtt311", warn, "broker does not speak MQTT 5: reading with 3.1.1, retain flags are lost", "", ""},
		{"ingress-forgotten", warn, "local broker has forgotten our session, and with it what was queued in it", "", "Messages may be lost: runbook ingress-down."},
		{"ingress-low-qos", warn, "local broker grants a lower QoS than asked: it may lose messages", "filters", "Raise the broker's limit (mosquitto: max_qos)."},
		{"ingress-short-session", warn, "local broker keeps our session for less than asked", "seconds", "A longer absence loses what it queued."},
		{"broker-panic", fail, "client connection panicked", "ingress client", "That connection was ended; `client` is a keyed hash of this process."},
		{"broker-accept", warn, "accept client", "error", ""},
		{"broker-will-dropped", fail, "will not submitted: too many wait already", "ingress", ""},
		{"broker-not-retained", warn, "message not retained: the local broker holds as much as it may", "ingress", "It was delivered, and leaves. 16 MiB of retained messages, or four of the largest packets."},
		{"broker-not-subscribed", warn, "subscription refused: the local broker holds as many as it may", "ingress", "Of one client, a quarter of what all may have."},
		{"broker-not-queued", warn, "message not kept for a session: the local broker holds as much as it may", "ingress", "A local client that is away, or does not acknowledge. 16 MiB for all, or four of the largest packets; a quarter of it for one."},
		{"broker-state-write", fail, "write broker state", "error", "Retained messages and sessions may be older after a restart."},
		{"broker-state-unreadable", fail, "broker state is unreadable, starting without it", "error kept", "Retained messages and sessions of before are in the file named."},
		{"broker-state-torn", warn, "broker state ends in a torn record, as after a power cut", "", ""},
		{"sparkplug-foreign", warn, "an edge node is to send its birth certificate again, and can't be told: it is a client of another broker", "", ""},
		{"blocked-not-kept", fail, "a blocked message is not kept", "error", ""},
		{"corridor-refused", fail, "spool refused a batch; its messages stay unacknowledged", "messages error", "The devices keep them."},
		{"corridor-fence", fail, "spool refused a fence; it is tried again with the next message", "error", ""},
		{"lanes-unreadable", fail, "lanes of the last run can't be read", "error", ""},
		{"lanes-wait", fail, "lanes of the last run can't be read; every lane waits for the others", "error", "So nothing is reordered."},
		{"lanes-unnoted", fail, "lanes can't be noted", "error", ""},
		{"lane-fenced", fail, "lane stays at its fence", "uplink error", ""},
		{"spool-lost", fail, "records are damaged on disk and lost", "uplink log records", "Runbook spool-dropped."},
		{"spool-full", warn, "spool is full: devices wait with messages of a lane", "lane", "Nothing is lost: they are unacknowledged. Runbook spool-full."},
		{"spool-given-up", fail, "segment given up", "uplink log error", "It could not be written or synced; another one is used."},
		{"spool-unsynced", fail, "recovered segments can't be synced", "uplink log error", ""},
		{"spool-unreplaced", fail, "damaged segment can't be replaced", "uplink log error", ""},
		{"spool-unmoved", fail, "records of a segment that could not be synced stay where they are", "uplink log error", ""},
		{"spool-unremoved", warn, "segment not removed", "error", ""},
		{"spool-unmerged", fail, "small segments can't be merged", "uplink log error", ""},
		{"spool-unfreed", fail, "segment can't be freed", "uplink log error", ""},
		{"spool-unfreed-all", fail, "segments can't be freed", "uplink log error", ""},
		{"spool-memory", fail, "records in memory can't be written; they stay there, unacknowledged", "uplink log error", ""},
		{"spool-unevicted", fail, "records of the low lane can't be evicted", "uplink error", ""},
		{"spool-evicted", warn, "records of the low lane were evicted for more important ones", "uplink records", "As spool.when_full says."},
		{"spool-grants", fail, "grants can't be brought together", "uplink error", ""},
		{"spool-unreserved", fail, "segments can't be reserved: the spool is smaller than configured", "uplink error", "The disk is too full."},
		{"spool-control", fail, "control log can't be kept", "uplink error", ""},
		{"spool-untidy", fail, "log can't be tidied", "uplink log error", ""},
		{"spool-unwritable", fail, "free segment can't be written", "uplink error", ""},
		{"subjects-year", fail, "the count of subjects can't begin a new year", "uplink error", ""},
		{"subjects-unsaved", fail, "the count of subjects can't be saved", "uplink error", ""},
		{"service-untold", warn, "the service manager can't be told", "error", ""},
		{"service-unwatched", warn, "the watchdog is not fed", "error", ""},
		{"service-stuck", fail, "no message moves through the corridor; the watchdog is not fed", "restart_in", "systemd will start the gateway again."},
	}
}
