package config

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"slices"
	"strings"
	"time"

	"github.com/sealgate/sealgate/classify"
)

// ImportOptions says what to import.
type ImportOptions struct {
	Path     string    // mosquitto.conf
	Hostname string    // of the gateway: part of the default client id
	Profile  string    // of the policy; default: generic
	Now      time.Time // observing is permitted for 30 days from then
}

// Imported is a configuration made of mosquitto's.
type Imported struct {
	Files   []ImportedFile
	Remarks []Remark // by file and line
}

// ImportedFile is a file to write, by its name beside agent.yaml.
type ImportedFile struct {
	Name string
	Mode fs.FileMode // 0600 where it holds secrets
	Data []byte
}

// A RemarkKind says how much a remark matters.
type RemarkKind string

// The kinds.
const (
	Unmapped RemarkKind = "not mapped" // something is missing, and someone has to decide
	Differs  RemarkKind = "differs"    // it works, in another way
)

// A Remark says what an import could not map, or maps to something else.
type Remark struct {
	Kind      RemarkKind `json:"kind"`
	File      string     `json:"file"`
	Line      int        `json:"line"` // 0: about what is not there
	Directive string     `json:"directive"`
	Text      string     `json:"text"`
}

const importDays = 30

// ImportMosquitto makes a configuration of a gateway, and a policy that
// observes, from mosquitto.conf: what its bridges publish to other brokers,
// Sealgate will, under the same topics. It reads the files that mosquitto.conf
// names and writes none. The configuration is one that Parse accepts; the error
// lists every line that mosquitto itself would refuse.
func ImportMosquitto(opt ImportOptions) (*Imported, error) {
	return importMosquitto(opt, localFiles)
}

func importMosquitto(opt ImportOptions, files importFiles) (*Imported, error) {
	set(&opt.Profile, "generic")
	if !slices.Contains(classify.Profiles(), opt.Profile) {
		return nil, fmt.Errorf("unknown profile %q: one of %s", opt.Profile, strings.Join(classify.Profiles(), ", "))
	}
	m, err := readMosquitto(opt.Path, files)
	if err != nil {
		return nil, err
	}
	im := &importer{m: m, opt: opt, files: files}
	if err := im.uplinks(); err != nil {
		return nil, err
	}
	if err := im.ingress(); err != nil {
		return nil, err
	}
	im.add("agent.yaml", 0o644, im.agentYAML())
	im.add("policy.yaml", 0o644, im.policyYAML())
	slices.SortStableFunc(im.out, func(a, b ImportedFile) int { return strings.Compare(a.Name, b.Name) })
	if _, err := Parse("agent.yaml", im.file("agent.yaml")); err != nil {
		return nil, fmt.Errorf("what %s says can't be said in agent.yaml:\n%w", opt.Path, err)
	}
	slices.SortStableFunc(m.remarks, func(a, b Remark) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(uint(a.Line-1), uint(b.Line-1))) // what has no line, last
	})
	return &Imported{Files: im.out, Remarks: m.remarks}, nil
}

type importer struct {
	m     *mosquitto
	opt   ImportOptions
	files importFiles
	out   []ImportedFile

	listeners  []Listener
	anonymous  bool
	users, acl bool // the files exist
	limits     []string
	up         []importedUplink
}

type importedUplink struct {
	Uplink
	bridge *mosqBridge
	topics []mappedTopic
	maxQoS int
}

func (im *importer) add(name string, mode fs.FileMode, data []byte) {
	im.out = append(im.out, ImportedFile{name, mode, data})
}

func (im *importer) file(name string) []byte {
	for _, f := range im.out {
		if f.Name == name {
			return f.Data
		}
	}
	return nil
}

// uplinks makes one of each bridge that publishes.
func (im *importer) uplinks() error {
	m := im.m
	if len(m.bridges) == 0 {
		return fmt.Errorf("%s has no bridge (no connection line): there is nothing to replace; write agent.yaml by hand", im.opt.Path)
	}
	for _, b := range m.bridges {
		if b.skip != "" {
			m.remark(Unmapped, b.skipAt, "connection", "connection %s was left out: %s", b.name, b.skip)
			continue
		}
		topics := m.mapTopics(b)
		if len(topics) == 0 {
			m.remark(Unmapped, b.at, "connection", "connection %s was left out: it has no topic that could be mapped", b.name)
			continue
		}
		u := importedUplink{bridge: b, topics: topics, maxQoS: 1}
		u.Name = im.uplinkName(b.name)
		if im.m.inflight > 0 {
			u.Window.Messages = im.m.inflight
		}
		im.qos(&u)
		im.connection(&u)
		if b.password != "" {
			u.PasswordFile = u.Name + ".password"
			im.add(u.PasswordFile, 0o600, []byte(b.password+"\n"))
		}
		im.up = append(im.up, u)
	}
	switch {
	case len(im.up) == 0:
		var why []error
		for _, r := range m.remarks {
			if r.Kind == Unmapped {
				why = append(why, fmt.Errorf("%s: %s", place{r.File, r.Line}, r.Text))
			}
		}
		return fmt.Errorf("no bridge of %s can be mapped:\n%w", im.opt.Path, errors.Join(why...))
	case len(im.up) > 16:
		return fmt.Errorf("%s has %d bridges: a gateway has at most 16 uplinks", im.opt.Path, len(im.up))
	}
	return nil
}

// uplinkName makes a valid name of a connection's, used once.
func (im *importer) uplinkName(name string) string {
	base := safeName(name)
	for n, i := base, 2; ; n, i = fmt.Sprintf("%.60s-%d", base, i), i+1 {
		if !slices.ContainsFunc(im.up, func(u importedUplink) bool { return u.Name == n }) {
			return n
		}
	}
}

// safeName makes what nameRule accepts.
func safeName(s string) string {
	s = strings.Map(func(c rune) rune {
		if c < 0x80 && nameRule.MatchString("a"+string(c)) {
			return c
		}
		return '-'
	}, s)
	s = strings.TrimLeft(s, "._-")
	if s == "" {
		s = "uplink"
	}
	return s[:min(len(s), 64)]
}

// qos: a bridge has one for each topic, an uplink has one bound.
func (im *importer) qos(u *importedUplink) {
	for _, t := range u.bridge.topics {
		if t.out {
			u.maxQoS = max(u.maxQoS, t.qos)
		}
	}
	for _, t := range u.bridge.topics {
		if t.out && t.qos < u.maxQoS {
			im.m.remark(Differs, t.at, "topic", "QoS %d: messages leave with the QoS of the device, at most the uplink's max_qos: %d", t.qos, u.maxQoS)
		}
	}
}

// connection maps how the bridge connects.
func (im *importer) connection(u *importedUplink) {
	b, m := u.bridge, im.m
	u.ClientID = b.clientID
	if u.ClientID == "" {
		u.ClientID = im.opt.Hostname + "." + b.name
	}
	if slices.ContainsFunc(u.topics, func(t mappedTopic) bool { return t.Direction == "in" }) {
		m.remark(Differs, b.at, "connection", "what comes for devices has a connection and a session of its own, client id %s-down: the cloud must let it in", u.ClientID)
	}
	u.Username, u.Protocol, u.Takes.Payload = b.username, b.protocol, Bytes(b.maxPacket)
	if b.stripRetain {
		u.Takes.Retain = "strip"
	}
	if b.keepalive > 0 {
		u.Keepalive = time.Duration(b.keepalive) * time.Second
	}
	host, _, _ := net.SplitHostPort(b.addresses[0])
	if !b.tls() {
		u.URL = "mqtt://" + b.addresses[0]
		if !loopback(host) {
			u.Cleartext = true
			m.remark(Differs, b.at, "connection", "connection %s is not encrypted (no bridge_cafile): what a policy lets pass is readable on the way; use mqtts:// as soon as the cloud broker can", b.name)
		}
		if b.certfile != "" {
			m.remark(Unmapped, b.certAt, "bridge_certfile", "without bridge_cafile mosquitto uses no TLS and no certificate; neither does the uplink")
		}
		if b.alpn != "" {
			m.remark(Unmapped, b.alpnAt, "bridge_alpn", "without bridge_cafile mosquitto uses no TLS and no ALPN; neither does the uplink")
		}
		return
	}
	u.URL = "mqtts://" + b.addresses[0]
	t := ClientTLS{CA: b.cafile, Cert: b.certfile, Key: b.keyfile}
	switch {
	case b.capath == "" || strings.TrimSuffix(b.capath, "/") == "/etc/ssl/certs":
		// The system's roots, which are the default.
	case t.CA != "":
		m.remark(Unmapped, b.capathAt, "bridge_capath", "only bridge_cafile is trusted: put further authorities into that file")
	default:
		m.remark(Unmapped, b.capathAt, "bridge_capath", "the system's authorities are trusted instead: put those of %s into one file, and name it as tls.ca", b.capath)
	}
	if b.systemRoots && t.CA != "" {
		m.remark(Unmapped, b.cafileAt, "bridge_cafile", "only this file is trusted, not also the system's authorities")
	}
	if b.alpn != "" {
		t.ALPN = []string{b.alpn}
	}
	if t.CA != "" || t.Cert != "" || t.Key != "" || b.alpn != "" {
		u.TLS = &t
	}
}

// ingress maps listeners and who may connect. A listener is left out where
// keeping it would let in more than mosquitto does.
func (im *importer) ingress() error {
	m := im.m
	var access mosqAccess
	first, everybody, outside, certs := true, true, false, true
	clients, unlimited := 0, false
	for _, l := range m.listeners {
		if l.skip != "" {
			m.remark(Unmapped, l.skipAt, "listener", "the listener of port %d was left out: %s", l.port, l.skip)
			continue
		}
		a := m.global
		if m.perListener {
			a = l.access
		}
		if !first && (a.users != access.users || a.acl != access.acl || a.plugin != access.plugin) {
			m.remark(Unmapped, l.at, "listener", "the listener of port %d was left out: one password_file and one acl_file hold for all listeners here, and it has others than the first", l.port)
			continue
		}
		anonymous := l.local
		if a.anonymous != nil {
			anonymous = *a.anonymous
		}
		if first {
			access = a
		}
		first = false
		ours := Listener{Address: l.address()}
		if l.certfile != "" {
			ours.TLS = &TLS{Cert: l.certfile, Key: l.keyfile}
		}
		if l.requireCert {
			ours.TLS.ClientCA = l.cafile
			if !l.identity {
				m.remark(Differs, l.requireCertAt, "require_certificate", "the common name of the certificate is the user name (as with use_identity_as_username); user name and password of the client are not looked at")
			}
		} else {
			certs = false
			everybody = everybody && anonymous && !a.plugin
			outside = outside || !loopback(l.host)
			if l.cafile != "" {
				m.remark(Differs, l.at, "cafile", "certificates of clients are not asked for on port %d, because require_certificate is not set", l.port)
			}
		}
		if l.maxConnections >= 0 {
			clients += l.maxConnections
		} else {
			unlimited = true
		}
		im.listeners = append(im.listeners, ours)
	}
	if len(im.listeners) == 0 {
		m.remark(Unmapped, place{im.opt.Path, 0}, "listener", "no listener can be mapped: the gateway listens at 127.0.0.1:1883")
		im.listeners, everybody, certs = []Listener{{Address: "127.0.0.1:1883"}}, false, false
	}
	if err := im.access(access, everybody, outside, certs); err != nil {
		return err
	}
	im.bounds(clients, unlimited)
	return nil
}

// access copies the password file and the access rules, or writes out what
// mosquitto does without them.
func (im *importer) access(a mosqAccess, everybody, outside, certs bool) error {
	m := im.m
	im.anonymous = everybody && !outside && !certs
	if everybody && outside && !certs {
		at := a.anonymousAt
		if at.file == "" {
			at = place{im.opt.Path, 0}
		}
		m.remark(Unmapped, at, "allow_anonymous", "clients without a password are let in on loopback only: give the devices names and passwords (mosquitto_passwd users NAME), or certificates (tls.client_ca), or let the listeners listen on 127.0.0.1")
	}
	switch {
	case a.users != "":
		src, err := im.files.read(a.users)
		if err != nil {
			return fmt.Errorf("%s: read password_file: %w", a.usersAt, err)
		}
		im.add("users", 0o600, src)
		im.users = true
	case !im.anonymous && !certs:
		im.add("users", 0o600, []byte("# name:hash, a line for each device: mosquitto_passwd FILE NAME\n"))
		im.users = true
		if !everybody {
			m.remark(Unmapped, place{im.opt.Path, 0}, "password_file", "no client can connect yet: mosquitto.conf has neither a password_file that is mapped nor allow_anonymous true; add devices to users")
		}
	}
	switch {
	case a.acl != "":
		src, err := im.files.read(a.acl)
		if err != nil {
			return fmt.Errorf("%s: read acl_file: %w", a.aclAt, err)
		}
		im.add("acl", 0o600, src)
		im.acl = true
	case im.anonymous || a.plugin:
		// Everything on loopback; below the own name where a plugin decided.
	default:
		im.add("acl", 0o600, []byte(openACL))
		im.acl = true
		m.remark(Differs, place{im.opt.Path, 0}, "acl_file", "without an acl_file every client may use every topic; acl says so now: tighten it")
	}
	return nil
}

const openACL = `# mosquitto.conf named no acl_file, so every client may use every topic.
# Without this file a client may publish and subscribe below its own name only,
# which would be:
#   pattern readwrite %u/#
topic readwrite #
pattern readwrite #
pattern read $SYS/#
`

// bounds maps limits, as far as there are any.
func (im *importer) bounds(clients int, unlimited bool) {
	m := im.m
	packet, at, name := m.packet, m.packetAt, "max_packet_size"
	if packet == 0 && m.payload > 0 {
		// The payload, and the longest topic and header.
		packet, at, name = m.payload+65535+64, m.payloadAt, "message_size_limit"
	}
	// What is sealed must fit into a log: 22 times as much for each uplink.
	switch fit := min(max(packet, 1<<10), max(8<<20/len(im.up), 1<<20)); {
	case packet == 0:
		m.remark(Differs, place{im.opt.Path, 0}, "max_packet_size", "mosquitto takes messages of up to 256 MiB, here packets of up to 1 MiB are taken: raise limits.packet if devices send more (at most 16MiB; spool.size must be 22 times as much for each uplink)")
	default:
		im.limits = append(im.limits, fmt.Sprintf("packet: %d", fit))
		if fit != packet {
			m.remark(Differs, at, name, "limits.packet is %d bytes here; it can be up to 16MiB where spool.size is 22 times as much for each uplink", fit)
		}
	}
	if !unlimited && clients > 0 {
		im.limits = append(im.limits, fmt.Sprintf("clients: %d", min(clients, 100_000)))
	}
	if m.inflight >= 0 {
		n := m.inflight
		if n == 0 {
			n = 65535
		}
		im.limits = append(im.limits, fmt.Sprintf("inflight: %d", n))
	}
}
