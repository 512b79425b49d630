package config

import (
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
)

func hostPort(host string, port int) string { return net.JoinHostPort(host, strconv.Itoa(port)) }

func (r *mosqReader) bridgeDirective(d directive) bool {
	if d.name == "connection" {
		r.connection(d)
		return true
	}
	if !slices.Contains(bridgeDirectives, d.name) {
		return false
	}
	b := r.bridge
	if b == nil {
		r.fail(d.at, "%s belongs to a bridge: there is no connection line before it", d.name)
		return true
	}
	switch d.name {
	case "address", "addresses":
		r.addresses(b, d)
	case "topic":
		r.topic(b, d)
	case "remote_clientid", "clientid":
		b.clientID = r.text(d)
	case "remote_username", "username":
		b.username, b.usernameAt = r.text(d), d.at
	case "remote_password", "password":
		b.password, b.passwordAt = r.text(d), d.at
	case "bridge_cafile":
		b.cafile, b.cafileAt = r.file(d), d.at
	case "bridge_capath":
		b.capath, b.capathAt = r.file(d), d.at
	case "bridge_certfile":
		b.certfile, b.certAt = r.file(d), d.at
	case "bridge_keyfile":
		b.keyfile = r.file(d)
	case "bridge_tls_use_os_certs":
		b.systemRoots = r.bool(d)
	case "keepalive_interval":
		b.keepalive = max(r.int(d, 0, 65535), 5) // as mosquitto does
	case "bridge_alpn":
		b.alpn, b.alpnAt = r.text(d), d.at
	case "bridge_protocol_version":
		switch d.value {
		case "mqttv50":
			b.protocol = "5"
		case "mqttv311":
		case "mqttv31":
			r.m.remark(Differs, d.at, d.name, "uplinks speak MQTT 3.1.1, which brokers of 3.1 take, too")
		default:
			r.fail(d.at, "bridge_protocol_version must be mqttv31, mqttv311 or mqttv50")
		}
	case "bridge_max_packet_size":
		if b.maxPacket = r.int(d, 0, 268435455); b.maxPacket > 0 {
			r.m.remark(Differs, d.at, d.name, "the bound is that of the payload, and what is larger goes to quarantine (sealgate quarantine), not away")
		}
	case "bridge_outgoing_retain":
		b.stripRetain = !r.bool(d)
	case "bridge_psk", "bridge_identity":
		b.skip, b.skipAt = d.name+": pre-shared keys are not spoken here; ask the cloud side for a certificate or a password", d.at
	}
	return true
}

// bridgeDirectives need a connection line before them and say what is mapped.
var bridgeDirectives = []string{
	"address", "addresses", "topic", "remote_clientid", "clientid", "remote_username", "username", "remote_password", "password",
	"bridge_cafile", "bridge_capath", "bridge_certfile", "bridge_keyfile", "bridge_tls_use_os_certs", "keepalive_interval",
	"bridge_alpn", "bridge_protocol_version", "bridge_max_packet_size", "bridge_outgoing_retain", "bridge_psk", "bridge_identity",
}

func (r *mosqReader) connection(d directive) {
	name, rest, _ := strings.Cut(d.value, " ")
	b := &mosqBridge{at: d.at, name: name}
	switch {
	case name == "" || rest != "":
		r.fail(d.at, "connection needs one word as its name")
	case slices.ContainsFunc(r.m.bridges, func(o *mosqBridge) bool { return o.name == name }):
		r.fail(d.at, "connection %s stands twice", name)
	}
	r.bridge = b
	r.m.bridges = append(r.m.bridges, b)
}

// addresses reads host[:port] words; the last colon is the one before the port.
func (r *mosqReader) addresses(b *mosqBridge, d directive) {
	if len(b.addresses) > 0 {
		r.fail(d.at, "connection %s has a second address line", b.name)
		return
	}
	if d.value == "" {
		r.fail(d.at, "%s has no value", d.name)
	}
	for _, w := range d.words() {
		host, port := w, 1883
		if i := strings.LastIndexByte(w, ':'); i >= 0 {
			n, err := strconv.Atoi(w[i+1:])
			if err != nil || n < 1 || n > 65535 {
				r.fail(d.at, "%q has no port from 1 to 65535", w)
				continue
			}
			host, port = w[:i], n
		}
		host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
		if net.ParseIP(host) == nil && !validHost(host) {
			r.fail(d.at, "%q is not the address of a host", w)
			continue
		}
		b.addresses = append(b.addresses, hostPort(host, port))
	}
	if len(b.addresses) > 1 {
		r.m.remark(Unmapped, d.at, d.name, "an uplink has one address: %s was taken; put the others behind a name that resolves to several, or make each an uplink", b.addresses[0])
	}
}

func validHost(h string) bool {
	return h != "" && len(h) <= 253 && !strings.ContainsFunc(h, func(c rune) bool {
		return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '.' || c == '_')
	})
}

// topic reads `pattern [[[out|in|both] qos] local-prefix remote-prefix]`.
func (r *mosqReader) topic(b *mosqBridge, d directive) {
	w := d.words()
	if len(w) == 0 {
		r.fail(d.at, "topic has no pattern")
		return
	}
	if len(w) > 5 {
		r.fail(d.at, "topic: %q is too much; a comment needs a line of its own", w[5])
		return
	}
	word := func(i int) string {
		if i >= len(w) || w[i] == `""` {
			return ""
		}
		return w[i]
	}
	t := mosqTopic{at: d.at, pattern: word(0), local: word(3), remote: word(4), out: true}
	if len(w) > 1 {
		switch strings.ToLower(w[1]) {
		case "out":
		case "in":
			t.out, t.in = false, true
		case "both":
			t.in = true
		default:
			r.fail(d.at, "the direction of a topic must be out, in or both, got %q", w[1])
			return
		}
	}
	if len(w) > 2 {
		if len(w[2]) != 1 || w[2][0] < '0' || w[2][0] > '2' {
			r.fail(d.at, "the QoS of a topic must be 0, 1 or 2, got %q", w[2])
			return
		}
		t.qos = int(w[2][0] - '0')
	}
	switch {
	case t.pattern == "" && (t.local == "" || t.remote == ""):
		r.fail(d.at, "a topic without a pattern needs a local and a remote topic")
	case strings.ContainsAny(t.local+t.remote, "+#"):
		r.fail(d.at, "a prefix holds no wildcard; a comment needs a line of its own")
	default:
		b.topics = append(b.topics, t)
	}
}

// otherDirective takes what has no counterpart: most of it silently, because
// nothing is lost; the rest with a remark, where its value is not the one that
// changes nothing.
func (r *mosqReader) otherDirective(d directive) bool {
	if _, silent := silentDirectives[d.name]; silent {
		return true
	}
	if strings.HasPrefix(d.name, "auth_opt_") || strings.HasPrefix(d.name, "plugin_opt_") {
		return true // the plugin's own line has the remark
	}
	o, known := otherDirectives[d.name]
	if known && (o.harmless == "" || d.value != o.harmless) {
		r.m.remark(o.kind, d.at, d.name, "%s", o.text)
	}
	return known
}

type otherDirective struct {
	kind     RemarkKind
	harmless string // the value that changes nothing; empty: none
	text     string
}

const (
	cipherText = "listeners and uplinks use TLS 1.2 or later with Go's choice of ciphers"
	lazyText   = "an uplink is always connected while the gateway runs"
)

var otherDirectives = map[string]otherDirective{
	"psk_file":                     {Unmapped, "", "pre-shared keys are not spoken here"},
	"capath":                       {Unmapped, "", "put the certificates into one file, and name it as tls.client_ca"},
	"tls_engine":                   {Unmapped, "", "keys are read from files"},
	"tls_keyform":                  {Unmapped, "pem", "keys are read from PEM files"},
	"use_subject_as_username":      {Unmapped, "false", "the common name of the certificate is the user name, not its subject: check the access rules"},
	"use_username_as_clientid":     {Unmapped, "false", "client ids stay as clients send them: a client can't take over another user's session"},
	"clientid_prefixes":            {Unmapped, "", "client ids are not restricted; users are"},
	"retain_available":             {Unmapped, "true", "retained messages are kept here"},
	"max_qos":                      {Unmapped, "2", "every QoS is taken here"},
	"bind_interface":               {Unmapped, "", "write the address of the interface into the listener"},
	"allow_zero_length_clientid":   {Differs, "true", "clients without an id get one here"},
	"ciphers":                      {Differs, "", cipherText},
	"ciphers_tls1.3":               {Differs, "", cipherText},
	"tls_version":                  {Differs, "", cipherText},
	"upgrade_outgoing_qos":         {Differs, "false", "messages leave with the QoS of the device, at most max_qos"},
	"local_username":               {Unmapped, "", "access rules for the bridge as this user hold for no uplink: what an uplink's topics match leaves; narrow the topics where the rules did"},
	"max_queued_messages":          {Differs, "", "what waits for the cloud is bounded in bytes, on disk (spool.size); what is full holds devices back instead of dropping"},
	"max_queued_bytes":             {Differs, "", "what waits for the cloud is bounded in bytes, on disk (spool.size); what is full holds devices back instead of dropping"},
	"bridge_insecure":              {Unmapped, "false", "the certificate of the cloud is always verified: get its authority into tls.ca, or its name into tls.server_name"},
	"bridge_require_ocsp":          {Unmapped, "false", "OCSP answers are not asked for"},
	"bridge_tls_version":           {Differs, "", "uplinks use TLS 1.2 or later"},
	"bridge_bind_address":          {Unmapped, "", "the system chooses the address that an uplink connects from"},
	"bridge_max_topic_alias":       {Differs, "", "uplinks use no topic aliases"},
	"cleansession":                 {Differs, "false", "what waits for the cloud always survives a lost connection and a restart"},
	"try_private":                  {Differs, "", "uplinks connect as ordinary clients"},
	"notifications":                {Differs, "false", "the state of an uplink is not published: see sealgate status and the metrics"},
	"notifications_local_only":     {Differs, "", "the state of an uplink is not published: see sealgate status and the metrics"},
	"notification_topic":           {Unmapped, "", "the state of an uplink is not published: see sealgate status and the metrics"},
	"start_type":                   {Differs, "automatic", lazyText},
	"idle_timeout":                 {Differs, "", lazyText},
	"threshold":                    {Differs, "", lazyText},
	"restart_timeout":              {Differs, "", "an uplink reconnects after a second, then with growing pauses"},
	"round_robin":                  {Unmapped, "false", "an uplink has one address"},
	"persistence":                  {Differs, "false", "what mosquitto has stored (retained messages, sessions) is not taken over: what is retained has to be published again; what is new is kept here"},
	"persistent_client_expiration": {Differs, "", "sessions are kept until their client ends them, or as MQTT 5 clients ask"},
}

// silentDirectives have no counterpart and lose nothing.
var silentDirectives = nameSet("allow_duplicate_messages", "auth_plugin_deny_special_chars", "auto_id_prefix", "autosave_interval",
	"autosave_on_changes", "bridge_attempt_unsubscribe", "check_retain_source", "connection_messages", "dhparamfile", "http_dir",
	"local_cleansession", "local_clientid", "local_password", "log_dest", "log_facility", "log_timestamp",
	"log_timestamp_format", "log_type", "max_inflight_bytes", "max_keepalive", "max_topic_alias", "memory_limit", "persistence_file", "persistence_location", "pid_file", "queue_qos0_messages", "set_tcp_nodelay", "socket_domain",
	"store_clean_interval", "sys_interval", "tls_engine_kpass_sha1", "user", "websockets_headers_size", "websockets_log_level")

func nameSet(names ...string) map[string]struct{} {
	m := map[string]struct{}{}
	for _, n := range names {
		m[n] = struct{}{}
	}
	return m
}

func knownDirectives() []string {
	names := slices.Concat(bridgeDirectives, slices.Collect(maps.Keys(otherDirectives)), slices.Collect(maps.Keys(silentDirectives)),
		[]string{"listener", "port", "bind_address", "certfile", "keyfile", "cafile", "require_certificate", "use_identity_as_username",
			"max_connections", "protocol", "mount_point", "psk_hint", "connection", "allow_anonymous", "password_file", "acl_file",
			"per_listener_settings", "max_packet_size", "message_size_limit", "max_inflight_messages", "include_dir"})
	slices.Sort(names)
	return names
}
