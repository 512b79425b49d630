package config

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/sealgate/sealgate/internal/strictyaml"
)

// Uplink is one cloud broker.
type Uplink struct {
	Name string
	// URL is mqtts://host:port, or wss://host:port/path for WebSockets;
	// mqtt:// and ws:// for a broker on loopback or where Cleartext is said.
	URL string `yaml:"url"`
	// Cleartext permits mqtt:// and ws:// to another machine: what a policy
	// lets pass is readable on the way then. Default: false.
	Cleartext    bool   `yaml:"cleartext"`
	ClientID     string `yaml:"client_id"` // default: GATEWAY
	Username     string `yaml:"username"`
	PasswordFile string `yaml:"password_file"`
	// TLS is read again at each connection: a renewed certificate needs no
	// restart.
	TLS *ClientTLS `yaml:"tls"`
	// Headers go along with the WebSocket's HTTP request. Names of credentials
	// are refused: use username and password_file.
	Headers map[string]string `yaml:"headers"`
	// Proxy is an HTTP proxy that is asked to CONNECT. Default: none; what the
	// environment says is not used.
	Proxy *Proxy `yaml:"proxy"`
	// Keepalive is the MQTT keep alive. Default: 60s.
	Keepalive time.Duration `yaml:"keepalive"`
	// Topics map local topics to published ones, as in a mosquitto bridge; the
	// first match wins, and a topic that none matches does not go to this
	// uplink. Default: {pattern: "#"}.
	Topics Topics `yaml:"topics"`
	Window Window `yaml:"window"`
	Rate   Rate   `yaml:"rate"`
	// Preset fills in what a kind of broker is known to take, where nothing
	// else is said: aws-iot-core, azure-event-grid, emqx or hivemq. Default:
	// none.
	Preset string `yaml:"preset"`
	Takes  Takes  `yaml:"takes"`
	// MaxQoS caps the QoS of published messages: 1 or 2. Default: 1.
	MaxQoS int `yaml:"max_qos"`
	// Protocol is "3.1.1" or "5". With 5, grade, policy version, message id and
	// key ids go along as user properties, and the broker says why it refuses a
	// message. Default: "3.1.1", which every broker takes.
	Protocol string `yaml:"protocol"`
	// Will says whether the broker is given a will at each connection, signed by
	// this gateway, that it publishes below sg/v1/SITE/will/GATEWAY/ when the
	// connection is lost: "on" or "off". Default: on for the uplink of `control`,
	// but for the preset aws-iot-core, where a policy has to permit it; off for
	// the others.
	Will string `yaml:"will"`
	// Client is what speaks it: lean, our own writer, or paho, the Eclipse
	// library (3.1.1 only), which costs about 15 µs of CPU a message more.
	// Default: lean.
	Client string `yaml:"client"`
}

// Topic maps local topics to published ones.
type Topic struct {
	// Pattern is a topic filter, matched behind LocalPrefix.
	Pattern string `yaml:"pattern"`
	// LocalPrefix is removed from the local topic. Empty or ending in '/'.
	LocalPrefix string `yaml:"local_prefix"`
	// RemotePrefix is put before it as it stands: end it in '/' for a level of
	// its own. {site} and {gateway} are replaced.
	RemotePrefix string `yaml:"remote_prefix"`
	// Direction is "out", or "in": what the uplink's broker has below
	// RemotePrefix is relayed to local devices, below LocalPrefix. Default: out.
	Direction string `yaml:"direction"`
}

// Topics are the mappings of an uplink.
type Topics []Topic

// Out are the mappings of what leaves, in order.
func (ts Topics) Out() []Topic { return ts.only("out") }

// In are the mappings of what is relayed to local devices, in order.
func (ts Topics) In() []Topic { return ts.only("in") }

func (ts Topics) only(direction string) (out []Topic) {
	for _, t := range ts {
		if t.Direction == direction {
			out = append(out, t)
		}
	}
	return out
}

// Window bounds what is sent and not yet acknowledged.
type Window struct {
	Messages int   `yaml:"messages"` // default: 100
	Bytes    Bytes `yaml:"bytes"`    // default: 4MiB
}

// Rate bounds what is sent in a second.
type Rate struct {
	Messages int   `yaml:"messages"` // default: as fast as the broker takes them
	Bytes    Bytes `yaml:"bytes"`
}

// Takes is what a broker takes of one message. What is beyond is not sent: it
// goes to quarantine (see `sealgate quarantine`). Default: what MQTT permits.
type Takes struct {
	TopicBytes  int    `yaml:"topic_bytes"`
	TopicLevels int    `yaml:"topic_levels"`
	Payload     Bytes  `yaml:"payload"`
	Retain      string `yaml:"retain"` // keep the retain flag, or strip it. Default: keep
}

// Proxy is an HTTP proxy.
type Proxy struct {
	URL          string `yaml:"url"` // http://host:port or https://host:port
	Username     string `yaml:"username"`
	PasswordFile string `yaml:"password_file"`
}

// presets are what public documentation says of brokers, as of 2026. Values are
// the defaults of each: an operator who raised a quota says so.
var presets = map[string]Uplink{
	// AWS IoT Core quotas: 256 bytes and 8 levels of topic, 128 KiB, QoS 1, 100
	// publishes and 512 KiB a second and connection. A will needs a condition of
	// its own in the policy (LastWill), and without it the connection is refused.
	"aws-iot-core": {
		MaxQoS: 1, Will: "off", Takes: Takes{TopicBytes: 256, TopicLevels: 8, Payload: 128 << 10},
		Rate: Rate{Messages: 100, Bytes: 512 << 10},
	},
	// Azure Event Grid namespaces: 512 KiB, 256 bytes and 8 levels of topic, QoS
	// 1, 100 messages and 1 MiB a second and session; retain has to be turned on
	// for a namespace, and ends the connection where it is not.
	"azure-event-grid": {
		MaxQoS: 1, Protocol: "5", Takes: Takes{TopicBytes: 256, TopicLevels: 8, Payload: 512 << 10, Retain: "strip"},
		Rate: Rate{Messages: 100, Bytes: 1 << 20},
	},
	// EMQX: max_packet_size 1 MB (a little is left for header and topic),
	// max_topic_levels 128.
	"emqx": {Takes: Takes{TopicLevels: 128, Payload: 1<<20 - 8<<10}},
	// HiveMQ: Server Receive Maximum 10, which MQTT 5 tells and 3.1.1 does not.
	"hivemq": {Protocol: "5", Window: Window{Messages: 10}},
}

// defaults completes an uplink. controlled says that it is the one of control.
func (u *Uplink) defaults(gateway string, controlled bool, replace *strings.Replacer) {
	p := presets[u.Preset]
	set(&u.MaxQoS, p.MaxQoS)
	set(&u.Protocol, p.Protocol)
	set(&u.Will, p.Will)
	set(&u.Takes.TopicBytes, p.Takes.TopicBytes)
	set(&u.Takes.TopicLevels, p.Takes.TopicLevels)
	set(&u.Takes.Payload, p.Takes.Payload)
	set(&u.Takes.Retain, p.Takes.Retain)
	set(&u.Rate.Messages, p.Rate.Messages)
	set(&u.Rate.Bytes, p.Rate.Bytes)
	set(&u.Window.Messages, p.Window.Messages)
	if at, err := url.Parse(u.URL); err == nil && u.Preset == "aws-iot-core" && at.Scheme == "mqtts" && at.Port() == "443" {
		if u.TLS == nil {
			u.TLS = &ClientTLS{}
		}
		if len(u.TLS.ALPN) == 0 {
			u.TLS.ALPN = []string{"x-amzn-mqtt-ca"}
		}
	}
	set(&u.ClientID, gateway)
	set(&u.Keepalive, time.Minute)
	set(&u.Window.Messages, 100)
	set(&u.Window.Bytes, 4<<20)
	set(&u.Takes.Retain, "keep")
	set(&u.MaxQoS, 1)
	set(&u.Protocol, "3.1.1")
	set(&u.Client, "lean")
	if controlled {
		set(&u.Will, "on")
	}
	set(&u.Will, "off")
	if len(u.Topics) == 0 {
		u.Topics = Topics{{Pattern: "#"}}
	}
	for j := range u.Topics {
		t := &u.Topics[j]
		set(&t.Direction, "out")
		t.RemotePrefix = replace.Replace(t.RemotePrefix)
	}
}

func (c *Config) checkUplink(d *strictyaml.Document, u Uplink) {
	path := "uplinks." + u.Name
	if !nameRule.MatchString(u.Name) {
		d.Errorf(path, "the name of an uplink must be 1 to 64 letters, digits, '.', '_' or '-'")
	}
	if p := checkURL(d, path+".url", u.URL, "mqtt", "mqtts", "ws", "wss"); p != nil {
		if !strings.HasSuffix(p.Scheme, "s") || p.Scheme == "ws" {
			if !u.Cleartext && !loopback(p.Hostname()) {
				d.Errorf(path+".url", "%s:// to another machine is readable on the way: use %ss://, or say `cleartext: true` if that is meant", p.Scheme, p.Scheme)
			}
		}
		if len(u.Headers) > 0 && p.Scheme != "ws" && p.Scheme != "wss" {
			d.Errorf(path+".headers", "headers are set but the url is not wss://")
		}
	}
	for name := range u.Headers {
		if slices.Contains([]string{"authorization", "proxy-authorization", "cookie"}, strings.ToLower(name)) {
			d.Errorf(path+".headers", "no credentials in headers: use username and password_file")
		}
	}
	if p := u.Proxy; p != nil {
		checkURL(d, path+".proxy.url", p.URL, "http", "https")
	}
	if u.Preset != "" {
		oneOf(d, path+".preset", u.Preset, "aws-iot-core", "azure-event-grid", "emqx", "hivemq")
	}
	oneOf(d, path+".takes.retain", u.Takes.Retain, "keep", "strip")
	if u.Takes.TopicBytes < 0 || u.Takes.TopicLevels < 0 || u.Rate.Messages < 0 {
		d.Errorf(path+".takes", "limits and rates must be positive")
	}
	checkClientTLS(d, path, u.URL, u.TLS)
	if u.MaxQoS < 1 || u.MaxQoS > 2 {
		d.Errorf(path+".max_qos", "max_qos must be 1 or 2")
	}
	oneOf(d, path+".protocol", u.Protocol, "3.1.1", "5")
	oneOf(d, path+".will", u.Will, "on", "off")
	oneOf(d, path+".client", u.Client, "lean", "paho")
	if u.Client == "paho" && u.Protocol == "5" {
		d.Errorf(path+".client", "client paho speaks 3.1.1: leave client out for protocol 5")
	}
	if u.Window.Messages < 1 || u.Window.Messages > 65535 {
		d.Errorf(path+".window.messages", "window.messages must be between 1 and 65535")
	}
	if u.Keepalive < time.Second || u.Keepalive > 65535*time.Second {
		d.Errorf(path+".keepalive", "keepalive must be between 1s and 18h12m15s")
	}
	for i, t := range u.Topics {
		tp := fmt.Sprintf("%s.topics.%d", path, i)
		checkFilter(d, tp+".pattern", t.Pattern)
		if !validPrefix(t.LocalPrefix) {
			d.Errorf(tp+".local_prefix", "local_prefix must end in '/' and hold no wildcard")
		}
		if strings.ContainsAny(t.RemotePrefix, "+#\x00") {
			d.Errorf(tp+".remote_prefix", "remote_prefix must hold no wildcard")
		}
		oneOf(d, tp+".direction", t.Direction, "out", "in")
		if t.Direction != "in" {
			continue
		}
		if c.Ingress.Broker == nil {
			d.Errorf(tp+".direction", "direction in needs ingress.broker: it is what local devices listen to")
		}
		if t.RemotePrefix != "" && !strings.HasSuffix(t.RemotePrefix, "/") {
			d.Errorf(tp+".remote_prefix", "remote_prefix of direction in must end in '/'")
		}
		for _, out := range u.Topics.Out() {
			if overlap(t.RemotePrefix+t.Pattern, out.RemotePrefix+out.Pattern) {
				d.Errorf(tp+".pattern", "what this gateway publishes as %s%s would come back by %s%s: give what comes in another prefix", out.RemotePrefix, out.Pattern, t.RemotePrefix, t.Pattern)
			}
		}
	}
}

// overlap says whether a topic may match both filters. A remote prefix may make
// a filter whose wildcard stands behind the beginning of a level, as in "site-#".
func overlap(a, b string) bool {
	as, bs := strings.Split(a, "/"), strings.Split(b, "/")
	for i := 0; ; i++ {
		switch {
		case i == len(as) && i == len(bs):
			return true
		case i < len(as) && as[i] == "#", i < len(bs) && bs[i] == "#": // "a/#" matches "a", too
			return true
		case i == len(as) || i == len(bs) || !levelsOverlap(as[i], bs[i]):
			return false
		case strings.HasSuffix(as[i], "#") || strings.HasSuffix(bs[i], "#"):
			return true
		}
	}
}

func levelsOverlap(a, b string) bool {
	pa, pb := strings.TrimRight(a, "+#"), strings.TrimRight(b, "+#")
	switch {
	case pa == a && pb == b:
		return a == b
	case pb == b:
		return strings.HasPrefix(b, pa)
	case pa == a:
		return strings.HasPrefix(a, pb)
	}
	return strings.HasPrefix(pa, pb) || strings.HasPrefix(pb, pa)
}
