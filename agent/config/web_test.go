package config

import (
	"crypto/tls"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const hashed = "$2y$10$" + "abcdefghijklmnopqrstuvABCDEFGHIJKLMNOPQRSTUVWXYZ01234"

func TestWeb(t *testing.T) {
	w, err := ParseWeb("/etc/x/web.yml", []byte(`
tls_server_config:
  cert_file: gw.pem
  key_file: /run/gw.key
  client_ca_file: ca.pem
  client_auth_type: RequireAndVerifyClientCert
  client_allowed_sans: [prometheus.example.com]
  min_version: TLS13
  cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256]
  curve_preferences: [X25519, CurveP256]
  prefer_server_cipher_suites: true
http_server_config:
  http2: false
  headers: {Strict-Transport-Security: max-age=31536000, X-Frame-Options: SAMEORIGIN, X-XSS-Protection: "0"}
basic_auth_users:
  prometheus: `+hashed+`
rate_limit: {interval: 100ms, burst: 20}
`))
	if err != nil {
		t.Fatal(err)
	}
	if w.TLS.CertFile != "/etc/x/gw.pem" || w.TLS.KeyFile != "/run/gw.key" || w.TLS.ClientCAFile != "/etc/x/ca.pem" {
		t.Errorf("paths: %+v", w.TLS)
	}
	if w.TLS.MinVersion != tls.VersionTLS13 || w.TLS.Curves[0] != Curve(tls.X25519) || w.TLS.Ciphers[0] != Cipher(tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256) || !w.Private() || *w.HTTP.HTTP2 {
		t.Errorf("read as %+v", w)
	}
}

// TestWebPrivate: what is enough to be reached by others.
func TestWebPrivate(t *testing.T) {
	const files = "tls_server_config: {cert_file: a, key_file: b"
	for src, want := range map[string]bool{
		"":            false,
		files + "}\n": false,
		"basic_auth_users: {p: " + hashed + "}\n":                                       false, // the password would be read on the way
		files + "}\nbasic_auth_users: {p: " + hashed + "}\n":                            true,
		files + ", client_auth_type: RequestClientCert}\n":                              false,
		files + ", client_auth_type: RequireAnyClientCert}\n":                           false, // anybody can make one
		files + ", client_auth_type: VerifyClientCertIfGiven, client_ca_file: c}\n":     false,
		files + ", client_auth_type: RequireAndVerifyClientCert, client_ca_file: c}\n":  true,
		files + ", client_auth_type: RequireAndVerifyClientCert, client_ca: inline }\n": true,
	} {
		w, err := ParseWeb("web.yml", []byte(src))
		if err != nil {
			t.Errorf("%s: %v", src, err)
		} else if w.Private() != want {
			t.Errorf("%s: private is %t", src, w.Private())
		}
	}
}

func TestWebRefuses(t *testing.T) {
	const files = "cert_file: a, key_file: b"
	for src, want := range map[string]string{
		"tls_server_config:\n":                                                               "1:1: tls_server_config is empty",
		"tls_server_config: {cert_file: a}\n":                                                "one of key_file and key",
		"tls_server_config: {" + files + ", cert: x}\n":                                      "one of cert_file and cert",
		"tls_server_config: {" + files + ", keyfile: x}\n":                                   `unknown key "keyfile", did you mean "key_file"?`,
		"tls_server_config: {" + files + ", client_ca_file: c}\n":                            "does nothing without client_auth_type",
		"tls_server_config: {" + files + ", client_auth_type: RequireAndVerifyClientCert}\n": "it needs client_ca_file",
		"tls_server_config: {" + files + ", client_auth_type: Always}\n":                     "client_auth_type must be",
		"tls_server_config: {" + files + ", client_ca: x, client_ca_file: c}\n":              "exclude each other",
		"tls_server_config: {" + files + ", client_allowed_sans: [x]}\n":                     "it needs client_auth_type",
		"tls_server_config: {" + files + ", min_version: TLS11}\n":                           "RFC 8996",
		"tls_server_config: {" + files + ", min_version: TLS13, max_version: TLS12}\n":       "below min_version",
		"tls_server_config: {" + files + ", cipher_suites: [TLS_RSA_WITH_RC4_128_SHA]}\n":    "insecure cipher",
		"tls_server_config: {" + files + ", curve_preferences: [P192]}\n":                    "unknown curve",
		"http_server_config: {headers: {X-Powered-By: us}}\n":                                "can't be set here",
		"http_server_config: {headers: {X-Frame-Options: allow}}\n":                          "deny or sameorigin",
		"http_server_config: {headers: {Strict-Transport-Security: \"a\\nb\"}}\n":            "printable ASCII",
		"basic_auth_users:\n":                                                         "basic_auth_users is empty",
		"basic_auth_users: {p: " + "secret-in-clear}\n":                               "expected a bcrypt hash",
		"basic_auth_users: {p: " + strings.Replace(hashed, "$10$", "$19$", 1) + "}\n": "cost 4 to 14",
		"basic_auth_users: {\"a:b\": " + hashed + "}\n":                               "RFC 7617",
		"rate_limit: {interval: 1s}\n":                                                "rate_limit needs",
		"rate_limit: {interval: 10h, burst: 3}\n":                                     "rate_limit needs",
		"web: {}\n": `unknown key "web"`,
	} {
		_, err := ParseWeb("web.yml", []byte(src))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", src, err)
		}
		if err != nil && (strings.Contains(err.Error(), "secret-in-clear") || strings.Contains(err.Error(), hashed[7:])) {
			t.Errorf("the error shows a secret: %v", err)
		}
	}
}

// TestListenElsewhere: a listener that others can reach needs a web
// configuration.
func TestListenElsewhere(t *testing.T) {
	const head = "gateway: gw\ningress: {broker: {anonymous: true}}\nuplinks: {city: {url: 'mqtt://127.0.0.1:1'}}\n"
	for metrics, good := range map[string]bool{
		`{listen: "off"}`: true, `{listen: "[::1]:1"}`: true, `{listen: "localhost:1"}`: true,
		`{listen: "0.0.0.0:1"}`: false, `{listen: ":9464"}`: false, `{listen: "gw.example.com:1"}`: false, `{listen: "9464"}`: false,
		`{listen: ":9464", web_config: web.yml}`: true,
	} {
		c, err := Parse("/etc/sealgate/agent.yaml", []byte(head+"metrics: "+metrics+"\n"))
		if (err == nil) != good {
			t.Errorf("%s: %v", metrics, err)
		}
		if err == nil && c.Metrics.WebConfig != "" && c.Metrics.WebConfig != "/etc/sealgate/web.yml" {
			t.Errorf("web_config is %s", c.Metrics.WebConfig)
		}
	}
}

// FuzzWeb: what is taken names a certificate and a key, and nobody who would be
// let in by everybody's certificate.
func FuzzWeb(f *testing.F) {
	seeds, err := filepath.Glob("testdata/web/*.yml")
	if err != nil || len(seeds) < 3 {
		f.Fatalf("%d seeds, %v", len(seeds), err)
	}
	for _, s := range seeds {
		src, err := os.ReadFile(s)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(src)
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		w, err := ParseWeb("web.yml", src)
		if err != nil {
			return
		}
		if s := w.TLS; s != nil && (s.Cert+s.CertFile == "" || s.Key+s.KeyFile == "" || s.Requires() && s.ClientCA+s.ClientCAFile == "") {
			t.Errorf("taken: %+v", s)
		}
		for user, hash := range w.Users {
			if user == "" || len(hash) != 60 {
				t.Errorf("taken: user %q with %q", user, hash)
			}
		}
	})
}
