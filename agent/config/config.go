// Package config reads agent.yaml: who this gateway is, where messages come
// from and go to, where keys and logs live, and the guard that no remote policy
// can loosen. The file is local and owned by the administrator.
//
// Each setting is documented on its field; what a missing setting means is the
// protective thing. Decoding is strict and reports every problem at once, with
// its line.
//
// The package imports no implementation and opens no connection. It does not
// read the policy, which says what is sensitive and what to do about it.
package config

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/sealgate/sealgate/classify"
	"github.com/sealgate/sealgate/classify/policy"
	"github.com/sealgate/sealgate/internal/strictyaml"
)

// Config is agent.yaml.
type Config struct {
	// Gateway is the name of this gateway, part of every envelope: 1 to 64
	// letters, digits, '.', '_' or '-'. Keys are bound to it. Default: the host
	// name.
	Gateway string `yaml:"gateway"`
	// Site is the name of the place, for topics: the same in lower case, as in
	// the trust root. Default: "site".
	Site string `yaml:"site"`
	// State is the directory of everything the agent writes and no other
	// setting places elsewhere. Default: $STATE_DIRECTORY, else
	// /var/lib/sealgate.
	State string `yaml:"state"`
	// Socket is where the running gateway answers `sealgate quarantine`; who may
	// open it may use it. Default: STATE/control.sock.
	Socket string `yaml:"socket"`

	// Ingress is where messages come from.
	Ingress Ingress `yaml:"ingress"`
	// Uplinks are the cloud brokers, by name. At least one, at most 16.
	Uplinks []Uplink `yaml:"uplinks,named"`

	// Policy is the path of the policy. Default: none, and the built-in policy
	// for the guard's profile is enforced.
	Policy string `yaml:"policy"`

	Keys    Keys    `yaml:"keys"`
	Control Control `yaml:"control"`
	Custody Custody `yaml:"custody"`
	Spool   Spool   `yaml:"spool"`
	Guard   Guard   `yaml:"guard"`
	Metrics Metrics `yaml:"metrics"`
	Log     Log     `yaml:"log"`
}

// Ingress is where messages come from: the embedded broker, existing brokers,
// or both.
type Ingress struct {
	// Broker is the embedded MQTT broker. On by default at 127.0.0.1:1883; off
	// when Subscribe is set and Broker is not.
	Broker *Broker `yaml:"broker"`
	// Subscribe lists existing local brokers to read from.
	Subscribe []Subscribe `yaml:"subscribe"`
}

// Broker is the embedded MQTT broker.
type Broker struct {
	// Listeners are the addresses that devices connect to. Default:
	// 127.0.0.1:1883.
	Listeners []Listener `yaml:"listeners"`
	// Anonymous lets clients connect without a password. Permitted only while
	// every listener without client certificates is on loopback. Default: false.
	Anonymous bool `yaml:"anonymous"`
	// Users is a password file: `name:hash` lines with bcrypt, or the hashes of
	// mosquitto_passwd ($6$ and $7$). A reload reads it again, and disconnects who
	// is no longer in it.
	Users string `yaml:"users"`
	// ACL is a file in mosquitto's format, read again by a reload. Default: a client may publish below
	// its own name and subscribe to everything it may publish; with Anonymous
	// and no ACL, everything.
	ACL string `yaml:"acl"`
	// LocalOnly lists topic filters that never leave this gateway.
	LocalOnly []string `yaml:"local_only"`
	Limits    Limits   `yaml:"limits"`
}

// Listener is one address of the embedded broker.
type Listener struct {
	// Address is host:port. A host must be written; ":8883" means every
	// interface.
	Address string `yaml:"address"`
	TLS     *TLS   `yaml:"tls"`
}

// TLS is the server side of a listener.
type TLS struct {
	Cert string `yaml:"cert"` // PEM file of the certificate chain
	Key  string `yaml:"key"`  // PEM file of its key
	// ClientCA is a PEM file of authorities; clients must show a certificate of
	// one of them.
	ClientCA string `yaml:"client_ca"`
}

// Limits bound what clients may do.
type Limits struct {
	// Packet is the largest packet, in bytes (KiB, MiB). Default: 1MiB.
	Packet Bytes `yaml:"packet"`
	// Clients is the largest number of connections. Default: 1000.
	Clients int `yaml:"clients"`
	// Inflight is the largest number of unacknowledged messages of one client.
	// Default: 64.
	Inflight int `yaml:"inflight"`
	// InflightBytes bounds their payloads; one message always fits. Default: 4MiB.
	InflightBytes Bytes `yaml:"inflight_bytes"`
	// Rate is how many messages one client may publish in a second, with bursts
	// of a second; beyond it, only that client is read more slowly. Default: as
	// many as it likes.
	Rate int `yaml:"rate"`
	// RateBytes is the same for the bytes of their payloads. Default: as many as
	// it likes.
	RateBytes Bytes `yaml:"rate_bytes"`
	// Sessions is how many sessions may outlive their connections. Default: ten
	// times clients.
	Sessions int `yaml:"sessions"`
	// SessionBytes bounds the messages that wait for all of them, a quarter for
	// one. Default: 16MiB, at least four packets.
	SessionBytes Bytes `yaml:"session_bytes"`
	// RetainedBytes bounds the retained messages. Default: 16MiB, at least four
	// packets.
	RetainedBytes Bytes `yaml:"retained_bytes"`
	// FilterBytes bounds what clients are subscribed to, a quarter for one, with
	// 512 bytes for each level of a filter. Default: 32MiB.
	FilterBytes Bytes `yaml:"filter_bytes"`
	// Hold is how long a message may wait for space or a key before its client
	// is disconnected, unacknowledged. Default: 30s.
	Hold time.Duration `yaml:"hold"`
}

// Subscribe is an existing broker to read from.
type Subscribe struct {
	// URL is mqtt://host:port or mqtts://host:port.
	URL string `yaml:"url"`
	// Topics are the filters to subscribe to, QoS 1. Default: "#".
	Topics []string `yaml:"topics"`
	// ClientID names the persistent session. Default: sealgate-GATEWAY.
	ClientID     string     `yaml:"client_id"`
	Username     string     `yaml:"username"`
	PasswordFile string     `yaml:"password_file"`
	TLS          *ClientTLS `yaml:"tls"`
	// AcceptRetainLoss lets the agent use MQTT 3.1.1 where the broker refuses
	// 5. The retain flag of forwarded messages is lost then. Default: false.
	AcceptRetainLoss bool `yaml:"accept_retain_loss"`
}

// ClientTLS is the client side of a connection.
type ClientTLS struct {
	CA   string `yaml:"ca"`   // PEM file; default: the system's roots
	Cert string `yaml:"cert"` // PEM file of this client's certificate chain
	Key  string `yaml:"key"`  // PEM file of its key
	// ServerName is verified in the certificate. Default: the URL's host.
	ServerName string `yaml:"server_name"`
	// ALPN are the protocols to offer, for brokers that share port 443: "mqtt",
	// or "x-amzn-mqtt-ca" for AWS IoT Core. Default: none.
	ALPN []string `yaml:"alpn"`
}

// Keys says where keys live and who may open what leaves.
type Keys struct {
	// Directory holds the gateway's own keys. Default: STATE/keys.
	Directory string `yaml:"directory"`
	// Recipients is the signed bundle of recipients: who can open what leaves.
	// Without one nothing that needs a key leaves.
	Recipients string `yaml:"recipients"`
	// TrustRoot is the file of the public keys that may sign the bundle, with
	// their threshold.
	TrustRoot string `yaml:"trust_root"`
	// Grants says how the wrapped data keys travel: inline, in each message; or
	// reference, as retained messages of their own on
	// sg/v1/SITE/grants/GATEWAY/KEY. By reference a message is 200 bytes to
	// several KiB smaller, and whoever deletes the grant of a period, and every
	// copy of it, makes the messages of that period unreadable. Default: inline.
	Grants string `yaml:"grants"`
	// GrantsKeep is how long a retained grant stays at the broker. What arrives
	// later than that, or is archived without its grants, can't be opened.
	// Default: 720h.
	GrantsKeep time.Duration `yaml:"grants_keep"`
	// SharedDomains are pseudonym domains whose key other gateways have, too, so
	// that tokens join across them: by name, the file that sealctl keys domain
	// made. Others are this gateway's own. Default: none.
	SharedDomains map[string]string `yaml:"shared_domains"`
	// ReversibleDomains are the pseudonym domains in which a policy may make
	// tokens that give the value back to who has the key. Default: none.
	ReversibleDomains []string `yaml:"reversible_domains"`
	// PseudonymWindow is how long after the rotation of a domain's key values
	// have two tokens, new and old. Default: 168h.
	PseudonymWindow time.Duration `yaml:"pseudonym_window"`
}

// Control is how the site's operators reach this gateway: with signed policies,
// recipients and commands, over a broker that need not be trusted. An accepted
// remote policy replaces the local one. Nothing remote can loosen the guard.
type Control struct {
	// Uplink is the one whose broker carries the site's documents. Default: none,
	// and the gateway takes nothing from outside.
	Uplink string `yaml:"uplink"`
	// Group is the group whose policy this gateway takes, unless it has one of
	// its own. Default: default.
	Group string `yaml:"group"`
}

// Spool is where protected messages wait for the uplink.
type Spool struct {
	// Directory. Default: STATE/spool.
	Directory string `yaml:"directory"`
	// Size of all logs together: "auto" or bytes. Auto is the smaller of
	// 256 MiB and a fifth of the free space. Default: auto.
	Size Bytes `yaml:"size"`
	// WhenFull says what happens when the logs of an uplink are full: hold
	// (devices wait; nothing is lost) or evict-low (the oldest messages of routes
	// with `priority: low` make way for others, counted). Default: hold.
	WhenFull string `yaml:"when_full"`
	// Mode says when a device's message of QoS 1 or 2 is acknowledged: sync (when
	// it is flushed to the medium) or spill (when every uplink that it goes to has
	// acknowledged it, or it is flushed, whichever is first; while the uplinks are
	// up hardly anything is written). Default: sync.
	Mode string `yaml:"mode"`
	// Linger is how long a message waits in memory for an uplink before it is
	// written, with mode: spill. An uplink that is down or behind is not waited
	// for. Default: 2s.
	Linger time.Duration `yaml:"linger"`
	// Memory is how much may wait there; beyond it all of it is written. Default:
	// 4MiB, and at most an eighth of the logs.
	Memory Bytes `yaml:"memory"`
	// Sync lists filters of local topics whose messages are flushed before they
	// are acknowledged, also with mode: spill. What waits before them in their
	// lane is written with them. Default: none.
	Sync []string `yaml:"sync"`
	// Volatile permits a spool and a state directory that do not survive a power
	// cut (tmpfs, overlay). Default: false.
	Volatile bool `yaml:"volatile"`
}

// Guard is what no policy can loosen.
type Guard struct {
	// Profile grades by the built-in taxonomy whatever the policy says:
	// generic, eu, cn or automotive. Default: the policy's.
	Profile string `yaml:"profile"`
	// Minimum is the weakest action allowed at each grade: pass, transform,
	// encrypt or block. Default: {L3: transform, L4: encrypt, L5: block}.
	Minimum map[string]string `yaml:"minimum"`
	// ObserveUntil permits observe mode until the end of that day (UTC),
	// YYYY-MM-DD. Default: never.
	ObserveUntil string `yaml:"observe_until"`
	// ObserveThen says what happens after that day: enforce, or keep (go on
	// observing, with an alarm). Default: enforce.
	ObserveThen string `yaml:"observe_then"`
	// Recipients are the only audiences that a policy may use. Default: those
	// of the bundle.
	Recipients []string `yaml:"recipients"`
	// Unreadable "allow" permits a route to pass payloads that can't be read.
	// Default: seal.
	Unreadable string `yaml:"unreadable"`
	// Unclassified "pass" permits a policy to pass leaves without a finding.
	// Default: balanced.
	Unclassified string `yaml:"unclassified"`
	// Detectors are the site's own that no policy can take away: what they find
	// is found whatever the policy says, and graded by Profile.
	Detectors []Detector `yaml:"detectors"`
}

// Detector is one of the site's own, with the keys of a policy's detectors (see
// docs/taxonomy.md), but for the examples.
type Detector struct {
	Name       string   `yaml:"name"`
	Class      string   `yaml:"class"`
	Keywords   []string `yaml:"keywords"`
	Pattern    string   `yaml:"pattern"`
	Verifier   string   `yaml:"verifier"`
	Confidence int      `yaml:"confidence"` // percent. Default: 80
}

// custom is the detector as the classifier takes it.
func (x *Detector) custom() classify.Custom {
	id, _ := classify.ClassByName(x.Class)
	return classify.Custom{
		Name: x.Name, Origin: "guard", Class: id, Keywords: x.Keywords, Pattern: x.Pattern, Verifier: x.Verifier,
		Confidence: uint8(min(max(x.Confidence, 0), 255)),
	}
}

// Metrics is the listener for Prometheus, people and health checks.
type Metrics struct {
	// Listen is host:port, or "off". Anything but loopback needs WebConfig with
	// TLS, and with users or certificates of clients. Default: 127.0.0.1:9464.
	Listen string `yaml:"listen"`
	// WebConfig is a web configuration file as Prometheus exporters take it: see
	// [Web]. Default: none, and everybody on loopback is answered, in clear.
	WebConfig string `yaml:"web_config"`
}

// OnLoopback reports whether the listener is reached from this machine only.
func (m *Metrics) OnLoopback() bool {
	host, _, err := net.SplitHostPort(m.Listen)
	return err == nil && loopback(host)
}

// Log is what goes to standard error.
type Log struct {
	Level  string `yaml:"level"`  // debug, info, warn or error. Default: info
	Format string `yaml:"format"` // text or json. Default: text
}

// Bytes is a size: a number with an optional KiB, MiB or GiB. 0 means not set.
type Bytes int64

// UnmarshalText implements encoding.TextUnmarshaler.
func (b *Bytes) UnmarshalText(text []byte) error {
	s := string(text)
	if s == "auto" {
		*b = 0
		return nil
	}
	shift := 0
	for unit, n := range map[string]int{"KiB": 10, "MiB": 20, "GiB": 30} {
		if rest, ok := strings.CutSuffix(s, unit); ok {
			s, shift = strings.TrimSpace(rest), n
		}
	}
	n, err := strconv.ParseInt(s, 10, 64)
	if err != nil || n <= 0 || n > 1<<40>>shift {
		return fmt.Errorf("expected a size such as 64KiB or 256MiB")
	}
	*b = Bytes(n << shift)
	return nil
}

// Load reads, completes and checks the file. The error lists every problem.
func Load(path string) (*Config, error) {
	src, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	return Parse(path, src)
}

// Parse is Load on bytes; name is used in errors, and relative paths are taken
// from its directory.
func Parse(name string, src []byte) (*Config, error) {
	c := &Config{}
	doc := strictyaml.Decode(name, src, c)
	c.defaults(filepath.Dir(name))
	c.check(doc)
	if err := doc.Err(); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *Config) defaults(dir string) {
	if c.Gateway == "" {
		if h, err := os.Hostname(); err == nil {
			c.Gateway, _, _ = strings.Cut(h, ".")
		}
	}
	set(&c.Site, "site")
	set(&c.State, os.Getenv("STATE_DIRECTORY"))
	set(&c.State, "/var/lib/sealgate")
	set(&c.Socket, filepath.Join(c.State, "control.sock"))
	set(&c.Keys.Directory, filepath.Join(c.State, "keys"))
	c.Custody.defaults(c.Keys.Directory)
	set(&c.Keys.Grants, "inline")
	set(&c.Keys.GrantsKeep, 720*time.Hour)
	set(&c.Keys.PseudonymWindow, 168*time.Hour)
	set(&c.Control.Group, "default")
	set(&c.Spool.Directory, filepath.Join(c.State, "spool"))
	set(&c.Spool.WhenFull, "hold")
	c.Spool.defaults()
	set(&c.Guard.ObserveThen, "enforce")
	set(&c.Guard.Unreadable, "seal")
	set(&c.Guard.Unclassified, "balanced")
	set(&c.Metrics.Listen, "127.0.0.1:9464")
	set(&c.Log.Level, "info")
	set(&c.Log.Format, "text")
	if c.Ingress.Broker == nil && len(c.Ingress.Subscribe) == 0 {
		c.Ingress.Broker = &Broker{}
	}
	if b := c.Ingress.Broker; b != nil {
		if len(b.Listeners) == 0 {
			b.Listeners = []Listener{{Address: "127.0.0.1:1883"}}
		}
		set(&b.Limits.Packet, 1<<20)
		set(&b.Limits.Clients, 1000)
		set(&b.Limits.Inflight, 64)
		set(&b.Limits.InflightBytes, 4<<20)
		set(&b.Limits.Hold, 30*time.Second)
	}
	for i := range c.Ingress.Subscribe {
		s := &c.Ingress.Subscribe[i]
		set(&s.ClientID, "sealgate-"+c.Gateway)
		if len(s.Topics) == 0 {
			s.Topics = []string{"#"}
		}
	}
	replace := strings.NewReplacer("{site}", c.Site, "{gateway}", c.Gateway)
	for i := range c.Uplinks {
		c.Uplinks[i].defaults(c.Gateway, c.Uplinks[i].Name == c.Control.Uplink, replace)
	}
	for name, p := range c.Keys.SharedDomains {
		if p != "" && !filepath.IsAbs(p) {
			c.Keys.SharedDomains[name] = filepath.Join(dir, p)
		}
	}
	for _, p := range c.paths() {
		if *p != "" && !filepath.IsAbs(*p) {
			*p = filepath.Join(dir, *p)
		}
	}
}

// paths are the settings that name a file or directory.
func (c *Config) paths() []*string {
	ps := []*string{&c.State, &c.Socket, &c.Policy, &c.Keys.Directory, &c.Keys.Recipients, &c.Keys.TrustRoot, &c.Spool.Directory, &c.Metrics.WebConfig}
	ps = append(ps, c.Custody.paths()...)
	if b := c.Ingress.Broker; b != nil {
		ps = append(ps, &b.Users, &b.ACL)
		for i := range b.Listeners {
			if t := b.Listeners[i].TLS; t != nil {
				ps = append(ps, &t.Cert, &t.Key, &t.ClientCA)
			}
		}
	}
	client := func(password *string, t *ClientTLS) {
		ps = append(ps, password)
		if t != nil {
			ps = append(ps, &t.CA, &t.Cert, &t.Key)
		}
	}
	for i := range c.Ingress.Subscribe {
		client(&c.Ingress.Subscribe[i].PasswordFile, c.Ingress.Subscribe[i].TLS)
	}
	for i := range c.Uplinks {
		client(&c.Uplinks[i].PasswordFile, c.Uplinks[i].TLS)
		if p := c.Uplinks[i].Proxy; p != nil {
			ps = append(ps, &p.PasswordFile)
		}
	}
	return ps
}

func set[T comparable](p *T, v T) {
	var zero T
	if *p == zero {
		*p = v
	}
}

// PolicyGuard is the guard in the terms of package policy, at a moment.
func (c *Config) PolicyGuard(now time.Time) policy.Guard {
	g := policy.Guard{
		Profile:         c.Guard.Profile,
		Observe:         c.ObservePermitted(now),
		Expired:         c.ObserveExpired(now),
		Recipients:      c.Guard.Recipients,
		AllowUnreadable: c.Guard.Unreadable == "allow",
		AllowUnclass:    c.Guard.Unclassified == "pass",
		RequireStrict:   c.Guard.Unclassified == "strict",
	}
	for i := range c.Guard.Detectors {
		g.Detectors = append(g.Detectors, c.Guard.Detectors[i].custom())
	}
	if c.Guard.Minimum != nil {
		g.Minimum = map[classify.Grade]string{}
		for k, v := range c.Guard.Minimum {
			grade, _ := parseGrade(k)
			g.Minimum[grade] = v
		}
	}
	return g
}

// ObservePermitted reports whether routes may observe at that moment.
func (c *Config) ObservePermitted(now time.Time) bool {
	return c.Guard.ObserveUntil != "" && (!c.ObserveExpired(now) || c.Guard.ObserveThen == "keep")
}

// ObserveExpired reports whether the last day of observing is over.
func (c *Config) ObserveExpired(now time.Time) bool {
	last, err := time.Parse(time.DateOnly, c.Guard.ObserveUntil)
	return err == nil && !now.UTC().Before(last.AddDate(0, 0, 1))
}
