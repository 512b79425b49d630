package config

import (
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sealgate/sealgate/internal/strictyaml"
)

// Web is the web configuration file that Prometheus exporters share
// (exporter-toolkit, docs/web-configuration.md): TLS, logins and limits of a
// listener. The same file can serve the exporters on the machine. What it says
// is refused, not ignored, where it would make the listener weaker than ours is.
type Web struct {
	TLS  *WebTLS `yaml:"tls_server_config"`
	HTTP WebHTTP `yaml:"http_server_config"`
	// Users are names and bcrypt hashes of passwords.
	Users map[string]string `yaml:"basic_auth_users"`
	Rate  WebRate           `yaml:"rate_limit"`
}

// WebTLS is the server side of TLS. Certificate, key and authorities of clients
// are files or stand in PEM in the file itself.
type WebTLS struct {
	Cert         string `yaml:"cert"`
	CertFile     string `yaml:"cert_file"`
	Key          string `yaml:"key"`
	KeyFile      string `yaml:"key_file"`
	ClientCA     string `yaml:"client_ca"`
	ClientCAFile string `yaml:"client_ca_file"`
	// ClientAuth is what clients must show. Default: NoClientCert, so it must
	// be set where there are authorities.
	ClientAuth ClientAuth `yaml:"client_auth_type"`
	// ClientSANs are the alternate names, DNS, IP, mail or URI, of which a
	// client's certificate must have one. Default: any.
	ClientSANs []string   `yaml:"client_allowed_sans"`
	MinVersion TLSVersion `yaml:"min_version"` // TLS12 or TLS13. Default: TLS12
	MaxVersion TLSVersion `yaml:"max_version"` // default: TLS13
	Ciphers    []Cipher   `yaml:"cipher_suites"`
	Curves     []Curve    `yaml:"curve_preferences"`
	// PreferServer has had no effect in Go since 1.17: read, and not used.
	PreferServer bool `yaml:"prefer_server_cipher_suites"`
}

// WebHTTP is how answers are given.
type WebHTTP struct {
	HTTP2 *bool `yaml:"http2"` // with TLS. Default: true
	// Headers are added to each answer. They can't weaken those that the
	// listener sets by itself.
	Headers map[string]string `yaml:"headers"`
}

// WebRate bounds the requests of all clients together.
type WebRate struct {
	Interval time.Duration `yaml:"interval"` // between two requests; 0: no bound
	Burst    int           `yaml:"burst"`
}

// ClientAuth is a tls.ClientAuthType by its name.
type ClientAuth tls.ClientAuthType

// UnmarshalText implements encoding.TextUnmarshaler.
func (a *ClientAuth) UnmarshalText(text []byte) error {
	for t := tls.NoClientCert; t <= tls.RequireAndVerifyClientCert; t++ {
		if t.String() == string(text) {
			*a = ClientAuth(t)
			return nil
		}
	}
	if string(text) == "RequireClientCert" { // the toolkit's former name
		*a = ClientAuth(tls.RequireAnyClientCert)
		return nil
	}
	return errors.New("client_auth_type must be NoClientCert, RequestClientCert, RequireAnyClientCert, VerifyClientCertIfGiven or RequireAndVerifyClientCert")
}

// TLSVersion is a version by its name.
type TLSVersion uint16

// UnmarshalText implements encoding.TextUnmarshaler.
func (v *TLSVersion) UnmarshalText(text []byte) error {
	switch string(text) {
	case "TLS12":
		*v = tls.VersionTLS12
	case "TLS13":
		*v = tls.VersionTLS13
	case "TLS10", "TLS11":
		return errors.New("TLS 1.0 and 1.1 are broken (RFC 8996): use TLS12 or TLS13")
	default:
		return errors.New("the version must be TLS12 or TLS13")
	}
	return nil
}

// Cipher is a suite of TLS 1.2 by its name.
type Cipher uint16

// UnmarshalText implements encoding.TextUnmarshaler.
func (c *Cipher) UnmarshalText(text []byte) error {
	for _, s := range tls.CipherSuites() {
		if s.Name == string(text) {
			*c = Cipher(s.ID)
			return nil
		}
	}
	return errors.New("unknown or insecure cipher suite: the names are those of crypto/tls")
}

// Curve is a key exchange by its name.
type Curve tls.CurveID

// UnmarshalText implements encoding.TextUnmarshaler.
func (c *Curve) UnmarshalText(text []byte) error {
	for _, id := range []tls.CurveID{tls.CurveP256, tls.CurveP384, tls.CurveP521, tls.X25519, tls.X25519MLKEM768} {
		if id.String() == string(text) {
			*c = Curve(id)
			return nil
		}
	}
	return errors.New("unknown curve: CurveP256, CurveP384, CurveP521, X25519 or X25519MLKEM768")
}

// webHeaders are what the file may set, and to what; nil: to anything that is a
// header's value.
var webHeaders = map[string][]string{
	"Content-Security-Policy":   nil,
	"X-Frame-Options":           {"deny", "sameorigin"},
	"X-Content-Type-Options":    {"nosniff"},
	"X-XSS-Protection":          nil,
	"Strict-Transport-Security": nil,
}

// LoadWeb reads and checks a web configuration file. It does not open the files
// that it names.
func LoadWeb(path string) (*Web, error) {
	src, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read web configuration: %w", err)
	}
	return ParseWeb(path, src)
}

// ParseWeb is LoadWeb on bytes; relative paths are taken from name's directory.
func ParseWeb(name string, src []byte) (*Web, error) {
	w := &Web{}
	doc := strictyaml.Decode(name, src, w)
	w.check(doc)
	if err := doc.Err(); err != nil {
		return nil, err
	}
	if t := w.TLS; t != nil {
		for _, p := range []*string{&t.CertFile, &t.KeyFile, &t.ClientCAFile} {
			if *p != "" && !filepath.IsAbs(*p) {
				*p = filepath.Join(filepath.Dir(name), *p)
			}
		}
	}
	return w, nil
}

func (w *Web) check(d *strictyaml.Document) {
	if w.TLS == nil && d.Has("tls_server_config") {
		d.Errorf("tls_server_config", "tls_server_config is empty: name cert_file and key_file, or remove it")
	}
	if w.TLS != nil {
		w.TLS.check(d)
	}
	if len(w.Users) == 0 && d.Has("basic_auth_users") {
		d.Errorf("basic_auth_users", "basic_auth_users is empty: name users, or remove it")
	}
	for user, hash := range w.Users {
		path := "basic_auth_users." + user
		if user == "" || strings.ContainsFunc(user, func(r rune) bool { return r < ' ' || r == ':' || r == 0x7f }) {
			d.Errorf(path, "a user name is not empty and has no colon or control character (RFC 7617)")
		}
		if !bcryptHash(hash) {
			d.Errorf(path, "expected a bcrypt hash of cost 4 to 14, as `htpasswd -nBC 10 NAME` prints it behind the colon")
		}
	}
	for name, value := range w.HTTP.Headers {
		path := "http_server_config.headers." + name
		values, known := webHeaders[name]
		switch {
		case !known:
			d.Errorf(path, "header %q can't be set here%s", name, strictyaml.Suggest(name, slices.Collect(maps.Keys(webHeaders))))
		case values != nil && !slices.Contains(values, strings.ToLower(value)):
			d.Errorf(path, "the value must be %s", strings.Join(values, " or "))
		case strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' }):
			d.Errorf(path, "the value must be printable ASCII")
		}
	}
	if r := w.Rate; r.Burst < 0 || r.Burst > 1<<20 || r.Interval > time.Hour || (r.Interval == 0) != (r.Burst == 0) {
		d.Errorf("rate_limit", "rate_limit needs an interval of at most 1h and a burst of 1 to 1048576, or neither")
	}
}

func (t *WebTLS) check(d *strictyaml.Document) {
	const at = "tls_server_config"
	if (t.Cert == "") == (t.CertFile == "") {
		d.Errorf(at, "one of cert_file and cert is needed")
	}
	if (t.Key == "") == (t.KeyFile == "") {
		d.Errorf(at, "one of key_file and key is needed")
	}
	authorities := t.ClientCA != "" || t.ClientCAFile != ""
	verifies := tls.ClientAuthType(t.ClientAuth) >= tls.VerifyClientCertIfGiven
	switch {
	case t.ClientCA != "" && t.ClientCAFile != "":
		d.Errorf(at, "client_ca_file and client_ca exclude each other")
	case authorities && !verifies:
		d.Errorf(at, "client_ca_file does nothing without client_auth_type: RequireAndVerifyClientCert")
	case verifies && !authorities:
		// Go would take any public authority's certificate.
		d.Errorf(at+".client_auth_type", "it needs client_ca_file: whose certificates are good")
	case len(t.ClientSANs) > 0 && !t.Requires():
		d.Errorf(at+".client_allowed_sans", "it needs client_auth_type: RequireAndVerifyClientCert")
	}
	if t.MinVersion != 0 && t.MaxVersion != 0 && t.MinVersion > t.MaxVersion {
		d.Errorf(at+".max_version", "max_version is below min_version")
	}
}

// Requires reports whether a client must show a certificate that is verified.
func (t *WebTLS) Requires() bool {
	return t != nil && tls.ClientAuthType(t.ClientAuth) == tls.RequireAndVerifyClientCert
}

// Private reports whether only who proves to be somebody is answered, and nobody
// on the way can read along.
func (w *Web) Private() bool {
	return w.TLS != nil && (w.TLS.Requires() || len(w.Users) > 0)
}

// bcryptHash reports whether s is written as a bcrypt hash of a bearable cost:
// $2y$10$ and 53 characters of its base64.
func bcryptHash(s string) bool {
	if len(s) != 60 || s[:2] != "$2" || !strings.Contains("aby", s[2:3]) || s[3] != '$' || s[6] != '$' {
		return false
	}
	if cost := s[4:6]; cost < "04" || cost > "14" || cost[1] < '0' || cost[1] > '9' {
		return false
	}
	return !strings.ContainsFunc(s[7:], func(r rune) bool {
		return r != '.' && r != '/' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	})
}
