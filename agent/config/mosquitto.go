package config

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/sealgate/sealgate/internal/strictyaml"
)

// Bounds of what is read of mosquitto's configuration.
const (
	maxIncluded   = 1000    // files of one include_dir
	maxDirectives = 100_000 // of all files
)

// A place is a line of a file of mosquitto's configuration.
type place struct {
	file string
	line int
}

func (p place) String() string { return fmt.Sprintf("%s:%d", p.file, p.line) }

// A directive is one line: a name, a space, a value.
type directive struct {
	at          place
	name, value string
}

// words are the values of directives that take several, separated by spaces.
func (d directive) words() []string {
	return strings.FieldsFunc(d.value, func(r rune) bool { return r == ' ' })
}

// mosquitto is what mosquitto.conf says, as mosquitto 2.0 understands it.
type mosquitto struct {
	listeners   []*mosqListener
	bridges     []*mosqBridge
	perListener bool
	global      mosqAccess // where access is not per listener
	packet      int        // max_packet_size; 0: not said
	payload     int        // message_size_limit; 0: not said
	payloadAt   place
	packetAt    place
	inflight    int // max_inflight_messages; -1: not said
	inflightAt  place

	remarks []Remark
	errs    []error
}

// mosqAccess is who may connect, for one listener or for all.
type mosqAccess struct {
	anonymous      *bool
	anonymousAt    place
	users, acl     string
	usersAt, aclAt place
	plugin         bool
}

type mosqListener struct {
	at             place
	local          bool // implied by the absence of every listener
	host           string
	port           int
	access         mosqAccess
	cafile         string
	certfile       string
	keyfile        string
	requireCert    bool
	requireCertAt  place
	identity       bool // use_identity_as_username
	maxConnections int  // -1: no limit
	skip           string
	skipAt         place
}

func (l *mosqListener) address() string { return hostPort(l.host, l.port) }

type mosqBridge struct {
	at        place
	name      string
	addresses []string // host:port
	topics    []mosqTopic

	clientID, username, password      string
	usernameAt, passwordAt            place
	cafile, capath, certfile, keyfile string
	cafileAt, capathAt, certAt        place
	systemRoots                       bool
	keepalive                         int
	alpn                              string
	alpnAt                            place
	protocol                          string // of agent.yaml; empty: the default
	maxPacket                         int    // 0: no limit
	stripRetain                       bool
	skip                              string
	skipAt                            place
}

func (b *mosqBridge) tls() bool { return b.cafile != "" || b.capath != "" || b.systemRoots }

// A mosqTopic is one topic line of a bridge; empty strings are mosquitto's "".
type mosqTopic struct {
	at                     place
	pattern, local, remote string
	out, in                bool
	qos                    int
}

// readMosquitto reads the file and those that it includes. The error lists
// every line that mosquitto itself would refuse.
func readMosquitto(path string, f importFiles) (*mosquitto, error) {
	m := &mosquitto{inflight: -1}
	r := &mosqReader{m: m, files: f}
	ds := r.read(path, true)
	r.standard = &mosqListener{at: place{path, 0}, port: 1883, maxConnections: -1}
	r.listener = r.standard
	for _, d := range ds {
		r.directive(d)
	}
	r.finish()
	if err := errors.Join(m.errs...); err != nil {
		return nil, err
	}
	return m, nil
}

// importFiles is where an import reads.
type importFiles struct {
	read func(path string) ([]byte, error)
	list func(dir string) ([]string, error) // names of the files of a directory
}

var localFiles = importFiles{
	read: func(path string) ([]byte, error) {
		st, err := os.Stat(path)
		if err == nil && st.Size() > strictyaml.MaxBytes {
			return nil, fmt.Errorf("%s is larger than %d bytes", path, strictyaml.MaxBytes)
		}
		return os.ReadFile(path)
	},
	list: func(dir string) (names []string, err error) {
		entries, err := os.ReadDir(dir)
		for _, e := range entries {
			names = append(names, e.Name())
		}
		return names, err
	},
}

type mosqReader struct {
	m        *mosquitto
	files    importFiles
	n        int // directives read
	standard *mosqListener
	used     bool // the standard listener was configured
	listener *mosqListener
	bridge   *mosqBridge
}

func (r *mosqReader) fail(at place, format string, args ...any) {
	r.m.errs = append(r.m.errs, fmt.Errorf("%s: %s", at, fmt.Sprintf(format, args...)))
}

func (m *mosquitto) remark(k RemarkKind, at place, directive, format string, args ...any) {
	m.remarks = append(m.remarks, Remark{Kind: k, File: at.file, Line: at.line, Directive: directive, Text: fmt.Sprintf(format, args...)})
}

// read splits a file into directives, with included files in their place.
// mosquitto knows comments only at the start of a line, and separates by
// spaces only.
func (r *mosqReader) read(path string, main bool) (ds []directive) {
	src, err := r.files.read(path)
	if err != nil {
		r.m.errs = append(r.m.errs, fmt.Errorf("read mosquitto's configuration: %w", err))
		return nil
	}
	n := 0
	for line := range bytes.Lines(src) {
		n++
		at := place{path, n}
		s := strings.TrimRight(string(line), " \t\r\n\v\f")
		if s == "" || s[0] == '#' {
			continue
		}
		if !utf8.ValidString(s) || strings.ContainsFunc(s, func(c rune) bool { return c < ' ' || c == 0x7f }) {
			r.fail(at, "only text is allowed: words are separated by single spaces, not by tabs")
			continue
		}
		name, value, _ := strings.Cut(strings.TrimLeft(s, " "), " ")
		d := directive{at, name, strings.TrimLeft(value, " ")}
		if r.n++; r.n > maxDirectives {
			r.fail(at, "more than %d lines", maxDirectives)
			return ds
		}
		if d.name != "include_dir" {
			ds = append(ds, d)
			continue
		}
		if !main {
			r.fail(at, "include_dir is read in the main file only")
			continue
		}
		for _, f := range r.included(d) {
			ds = append(ds, r.read(f, false)...)
		}
	}
	return ds
}

// included lists the files of an include_dir in mosquitto's order: without
// regard to case, and "A" before "a" where that is all that differs.
func (r *mosqReader) included(d directive) (paths []string) {
	dir := r.path(d, d.value)
	names, err := r.files.list(dir)
	if err != nil {
		r.fail(d.at, "list include_dir: %v", err)
		return nil
	}
	names = slices.DeleteFunc(names, func(n string) bool { return !strings.HasSuffix(n, ".conf") })
	if len(names) > maxIncluded {
		r.fail(d.at, "more than %d files in %s", maxIncluded, dir)
		return nil
	}
	slices.SortFunc(names, func(a, b string) int {
		if c := strings.Compare(strings.ToLower(a), strings.ToLower(b)); c != 0 {
			return c
		}
		return strings.Compare(a, b)
	})
	for _, n := range names {
		paths = append(paths, filepath.Join(dir, n))
	}
	return paths
}

// path makes a path absolute. mosquitto takes relative ones from where it was
// started, which nobody knows here.
func (r *mosqReader) path(d directive, p string) string {
	if p == "" || filepath.IsAbs(p) {
		return p
	}
	abs := filepath.Join(filepath.Dir(d.at.file), p)
	r.m.remark(Differs, d.at, d.name, "the relative path %s is taken from the directory of this file: %s", p, abs)
	return abs
}

func (r *mosqReader) text(d directive) string {
	if d.value == "" {
		r.fail(d.at, "%s has no value", d.name)
	}
	return d.value
}

func (r *mosqReader) file(d directive) string { return r.path(d, r.text(d)) }

func (r *mosqReader) bool(d directive) bool {
	switch d.value {
	case "true", "1":
		return true
	case "false", "0":
	default:
		r.fail(d.at, "%s must be true or false", d.name)
	}
	return false
}

func (r *mosqReader) int(d directive, min, max int) int {
	n, err := strconv.Atoi(d.value)
	if err != nil || n < min || n > max {
		r.fail(d.at, "%s must be a number from %d to %d", d.name, min, max)
		return min
	}
	return n
}

// directive takes one line. Order matters: a listener's settings follow its
// line, a bridge's its connection line.
func (r *mosqReader) directive(d directive) {
	switch {
	case r.accessDirective(d), r.listenerDirective(d), r.bridgeDirective(d), r.globalDirective(d), r.otherDirective(d):
	default:
		r.m.remark(Unmapped, d.at, d.name, "not a directive of mosquitto 2.0%s; it was ignored", strictyaml.Suggest(d.name, knownDirectives()))
	}
}

func (r *mosqReader) accessDirective(d directive) bool {
	a := &r.m.global
	if r.m.perListener {
		a = &r.listener.access
	}
	switch d.name {
	case "per_listener_settings":
		r.m.perListener = r.bool(d)
	case "allow_anonymous":
		v := r.bool(d)
		a.anonymous, a.anonymousAt = &v, d.at
	case "password_file":
		a.users, a.usersAt = r.file(d), d.at
	case "acl_file":
		a.acl, a.aclAt = r.file(d), d.at
	case "plugin", "auth_plugin":
		a.plugin = true
		r.m.remark(Unmapped, d.at, d.name, "plugins don't run here: clients that only it let in are refused; give them passwords (users) or certificates, and write its rules into acl")
	default:
		return false
	}
	return true
}

func (r *mosqReader) listenerDirective(d directive) bool {
	l := r.listener
	switch d.name {
	case "listener":
		r.newListener(d)
		return true
	case "port":
		l = r.standard
		l.port = r.int(d, 1, 65535)
		l.at = d.at
	case "bind_address":
		l = r.standard
		l.host = r.text(d)
		l.at = d.at
	case "certfile":
		l.certfile = r.file(d)
	case "keyfile":
		l.keyfile = r.file(d)
	case "cafile":
		l.cafile = r.file(d)
	case "require_certificate":
		l.requireCert, l.requireCertAt = r.bool(d), d.at
	case "use_identity_as_username":
		l.identity = r.bool(d)
	case "max_connections":
		l.maxConnections = r.int(d, -1, 1<<31-1)
	case "protocol":
		switch strings.ToLower(d.value) {
		case "mqtt":
		case "websockets":
			r.skip(l, d, "websockets are not spoken here")
		default:
			r.fail(d.at, "protocol must be mqtt or websockets")
		}
	case "mount_point":
		r.skip(l, d, "topics of a listener can't be moved below a prefix")
	case "psk_hint":
		r.skip(l, d, "pre-shared keys are not spoken here; use certificates")
	case "crlfile":
		r.skip(l, d, "revoked certificates would be let in; give the devices certificates of a new authority")
	default:
		return false
	}
	r.used = r.used || l == r.standard
	return true
}

func (r *mosqReader) skip(l *mosqListener, d directive, why string) {
	l.skip, l.skipAt = d.name+": "+why, d.at
}

func (r *mosqReader) newListener(d directive) {
	l := &mosqListener{at: d.at, maxConnections: -1}
	r.listener = l
	r.m.listeners = append(r.m.listeners, l)
	port, host, _ := strings.Cut(d.value, " ")
	n, err := strconv.Atoi(port)
	switch host = strings.TrimLeft(host, " "); {
	case err != nil || n < 0 || n > 65535 || (n == 0 && host == ""):
		r.fail(d.at, "listener must be a port from 1 to 65535, or 0 and the path of a socket")
	case n == 0:
		l.skip, l.skipAt = "a Unix socket is not served here", d.at
	case strings.ContainsAny(host, " /"):
		r.fail(d.at, "listener: %q is not an address", host)
	}
	l.port, l.host = n, host
}

func (r *mosqReader) globalDirective(d directive) bool {
	switch d.name {
	case "max_packet_size":
		r.m.packet, r.m.packetAt = r.int(d, 20, 1<<31-1), d.at
	case "message_size_limit":
		r.m.payload, r.m.payloadAt = r.int(d, 0, 268435455), d.at
	case "max_inflight_messages":
		r.m.inflight, r.m.inflightAt = r.int(d, 0, 65535), d.at
	default:
		return false
	}
	return true
}

// finish adds the listener that is there when none is named: at 1883, on this
// machine only unless port or bind_address say otherwise.
func (r *mosqReader) finish() {
	m, l := r.m, r.standard
	if r.used || len(m.listeners) == 0 {
		l.local = len(m.listeners) == 0 && l.at.line == 0
		if l.local {
			l.host = "127.0.0.1"
		}
		m.listeners = append([]*mosqListener{l}, m.listeners...)
	}
	for _, l := range m.listeners {
		if l.skip == "" && (l.certfile == "") != (l.keyfile == "") {
			r.fail(l.at, "certfile and keyfile belong together")
		}
		if l.skip == "" && l.requireCert && (l.cafile == "" || l.certfile == "") {
			r.skip(l, directive{at: l.requireCertAt, name: "require_certificate"}, "certfile, keyfile and cafile are needed for it (capath can't be mapped: put its certificates into one cafile)")
		}
	}
	for _, b := range m.bridges {
		if len(b.addresses) == 0 {
			r.fail(b.at, "connection %s has no address", b.name)
		}
		if (b.certfile == "") != (b.keyfile == "") {
			r.fail(b.at, "bridge_certfile and bridge_keyfile of connection %s belong together", b.name)
		}
		if b.password != "" && b.username == "" {
			r.fail(b.passwordAt, "remote_password needs remote_username")
		}
	}
}
