package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/pflag"

	"github.com/sealgate/sealgate/agent"
	"github.com/sealgate/sealgate/agent/config"
)

// A source is where status is asked for, as the flags say.
type source struct {
	path, url          string
	ca, cert, key      string
	user, passwordFile string
	given              func(flag string) bool
}

func (s *source) flags(f *pflag.FlagSet) {
	f.StringVarP(&s.path, "config", "c", defaultConfig, "configuration `file`")
	f.StringVar(&s.url, "url", "", "`URL` of a gateway's metrics listener")
	f.StringVar(&s.ca, "ca", "", "PEM `file` of the authorities of its certificate (default: the system's)")
	f.StringVar(&s.cert, "cert", "", "PEM `file` of a client certificate")
	f.StringVar(&s.key, "key", "", "PEM `file` of its key")
	f.StringVar(&s.user, "user", "", "user `name`")
	f.StringVar(&s.passwordFile, "password-file", "", "`file` whose first line is the password")
}

// open finds out whom to ask, and how.
func (s *source) open() (base string, client *http.Client, err error) {
	for _, flag := range []string{"ca", "cert", "key", "user", "password-file"} {
		if s.url == "" && s.given(flag) {
			return "", nil, usageError{fmt.Errorf("--%s goes with --url", flag)}
		}
	}
	switch {
	case s.url != "" && s.given("config"):
		return "", nil, usageError{errors.New("say --config or --url, not both")}
	case s.url != "":
		client, err = s.client()
		return s.url, client, err
	}
	cfg, err := config.Load(s.path)
	if err != nil {
		return "", nil, hinted{err, "say --config FILE, or --url http://HOST:PORT of the gateway's metrics listener"}
	}
	c, err := net.Dial("unix", cfg.Socket)
	if err == nil {
		_ = c.Close()
		return "http://gateway", agent.AtSocket(cfg.Socket), nil
	}
	switch {
	case cfg.Metrics.Listen == "off":
		return "", nil, hinted{fmt.Errorf("ask the gateway at its socket: %w", err), "run it as root or as the gateway's user; metrics.listen is off"}
	case cfg.Metrics.WebConfig != "":
		return "", nil, hinted{fmt.Errorf("ask the gateway at its socket: %w", err), "run it as root or as the gateway's user; or say --url, and what the listener asks for: --ca, --user and --password-file, --cert and --key"}
	}
	return "http://" + cfg.Metrics.Listen, http.DefaultClient, nil
}

func (s *source) client() (*http.Client, error) {
	t := &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS12}, ForceAttemptHTTP2: true}
	if s.ca != "" {
		pem, err := os.ReadFile(s.ca)
		if err != nil {
			return nil, fmt.Errorf("read --ca: %w", err)
		}
		t.TLSClientConfig.RootCAs = x509.NewCertPool()
		if !t.TLSClientConfig.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("--ca %s holds no certificate in PEM", s.ca)
		}
	}
	if (s.cert == "") != (s.key == "") {
		return nil, usageError{errors.New("--cert and --key belong together")}
	}
	if s.cert != "" {
		pair, err := tls.LoadX509KeyPair(s.cert, s.key)
		if err != nil {
			return nil, fmt.Errorf("load --cert: %w", err)
		}
		t.TLSClientConfig.Certificates = []tls.Certificate{pair}
	}
	if (s.user == "") != (s.passwordFile == "") {
		return nil, usageError{errors.New("--user and --password-file belong together")}
	}
	if s.user == "" {
		return &http.Client{Transport: t}, nil
	}
	if !strings.HasPrefix(s.url, "https://") && !s.loopback() {
		return nil, usageError{errors.New("a password goes over https:// only, or over loopback")}
	}
	raw, err := os.ReadFile(s.passwordFile)
	if err != nil {
		return nil, fmt.Errorf("read --password-file: %w", err)
	}
	password, _, _ := strings.Cut(string(raw), "\n")
	return &http.Client{
		Transport:     login{t, s.user, strings.TrimSuffix(password, "\r")},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}, nil
}

func (s *source) loopback() bool {
	u, err := url.Parse(s.url)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

// login adds a name and a password to requests.
type login struct {
	http.RoundTripper
	user, password string
}

func (l login) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.SetBasicAuth(l.user, l.password)
	return l.RoundTripper.RoundTrip(r)
}
