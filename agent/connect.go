package agent

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"

	"github.com/sealgate/sealgate/agent/config"
	"github.com/sealgate/sealgate/agent/corridor"
	"github.com/sealgate/sealgate/agent/mqtt"
	"github.com/sealgate/sealgate/classify/policy"
	"github.com/sealgate/sealgate/crypto/protect"
)

// uplink turns the configuration of an uplink into what the corridor runs. The
// files of its credentials are read at each connection, so that a renewed
// certificate or password is used without a restart.
func (a *Agent) uplink(cfg *config.Uplink) (corridor.Uplink, error) {
	mapping, err := topicMapping(cfg.Topics.Out())
	if err != nil {
		return corridor.Uplink{}, fmt.Errorf("uplink %s: %w", cfg.Name, err)
	}
	if _, err := a.dialOptions(cfg); err != nil {
		return corridor.Uplink{}, fmt.Errorf("uplink %s: %w", cfg.Name, err)
	}
	l := &link{Agent: a, cfg: cfg}
	a.links = append(a.links, l)
	grants, err := a.grants(cfg.Name)
	if err != nil {
		return corridor.Uplink{}, fmt.Errorf("uplink %s: %w", cfg.Name, err)
	}
	return corridor.Uplink{
		Name: cfg.Name, Map: mapping, Grants: grants, Window: cfg.Window.Messages, WindowBytes: int(cfg.Window.Bytes),
		Limits: corridor.Limits{
			TopicBytes: cfg.Takes.TopicBytes, TopicLevels: cfg.Takes.TopicLevels,
			PayloadBytes: int(cfg.Takes.Payload), StripRetain: cfg.Takes.Retain == "strip",
		},
		Rate:       corridor.Rate{Messages: float64(cfg.Rate.Messages), Bytes: float64(cfg.Rate.Bytes)},
		Properties: cfg.Protocol == "5",
		Refused:    a.refused(cfg.Name),
		Dial:       l.dial,
	}, nil
}

func (a *Agent) dialOptions(cfg *config.Uplink) (mqtt.Options, error) {
	password, err := readSecret(cfg.PasswordFile)
	if err != nil {
		return mqtt.Options{}, err
	}
	tlsConfig, err := clientTLS(cfg.URL, cfg.TLS)
	if err != nil {
		return mqtt.Options{}, err
	}
	var proxy *mqtt.Proxy
	if p := cfg.Proxy; p != nil {
		proxy = &mqtt.Proxy{URL: p.URL, Username: p.Username}
		if proxy.Password, err = readSecret(p.PasswordFile); err != nil {
			return mqtt.Options{}, fmt.Errorf("proxy: %w", err)
		}
	}
	header := http.Header{}
	for name, value := range cfg.Headers {
		header.Set(name, value)
	}
	return mqtt.Options{
		Header: header, Proxy: proxy,
		URL: cfg.URL, ClientID: cfg.ClientID, Username: cfg.Username, Password: password,
		TLS: tlsConfig, KeepAlive: cfg.Keepalive, MaxQoS: byte(cfg.MaxQoS),
		Version: map[string]byte{"3.1.1": 4, "5": 5}[cfg.Protocol],
	}, nil
}

// refused keeps the alarm of an uplink whose broker refuses a lane.
func (a *Agent) refused(uplink string) func(byte) {
	id := "uplink-refused-" + uplink
	return func(code byte) {
		if code == 0 {
			a.clear(id)
			return
		}
		remedy := "look at the quota and the permissions of this gateway at the broker"
		if corridor.RefusesContent(code) {
			remedy = "the quarantine is full (sealgate quarantine list): look at what topics and sizes the broker takes"
		}
		why := (&mqtt.ReasonError{Code: code}).Error()
		a.raise(id, "uplink "+uplink+": "+why+"; the lane stands, and nothing of it is lost", remedy+"; it is tried again by itself")
	}
}

// topicMapping compiles the mapping of one uplink: the first pattern that
// matches behind its local prefix wins.
func topicMapping(topics []config.Topic) (func(string) (protect.Mapping, bool), error) {
	type rule struct {
		filter policy.Filter
		local  string
		m      protect.Mapping
	}
	var rules []rule
	for _, t := range topics {
		f, err := policy.ParseFilter(t.LocalPrefix + t.Pattern)
		if err != nil {
			return nil, fmt.Errorf("topic pattern: %w", err)
		}
		rules = append(rules, rule{f, t.LocalPrefix, protect.Mapping{Strip: strings.Count(t.LocalPrefix, "/"), Prefix: t.RemotePrefix}})
	}
	return func(topic string) (protect.Mapping, bool) {
		for i := range rules {
			if strings.HasPrefix(topic, rules[i].local) && rules[i].filter.Match(topic) {
				return rules[i].m, !reserved(rules[i].m.Prefix, topic[len(rules[i].local):])
			}
		}
		return protect.Mapping{}, false
	}, nil
}

// ours is the prefix of what gateways and operators tell each other: control,
// status and grants. No message of a device may come to stand there.
const ours = "sg/v1/"

// reserved says whether prefix and rest together begin with ours.
func reserved(prefix, rest string) bool {
	n := min(len(prefix), len(ours))
	return prefix[:n] == ours[:n] && strings.HasPrefix(rest, ours[n:])
}

// readSecret reads a password file: its first line.
func readSecret(path string) (mqtt.Password, error) {
	if path == "" {
		return "", nil
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("read password file: %w", err)
	}
	line, _, _ := strings.Cut(string(raw), "\n")
	line = strings.TrimSuffix(line, "\r")
	if line == "" {
		return "", fmt.Errorf("password file %s is empty", path)
	}
	return mqtt.Password(line), nil
}

// clientTLS is nil for a URL without TLS.
func clientTLS(raw string, cfg *config.ClientTLS) (*tls.Config, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return nil, errors.New("url can't be parsed")
	}
	if u.Scheme != "mqtts" && u.Scheme != "wss" {
		return nil, nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, ServerName: u.Hostname()}
	if cfg == nil {
		return c, nil
	}
	if cfg.ServerName != "" {
		c.ServerName = cfg.ServerName
	}
	c.NextProtos = cfg.ALPN
	if cfg.CA != "" {
		if c.RootCAs, err = readCAs(cfg.CA); err != nil {
			return nil, err
		}
	}
	if cfg.Cert != "" {
		pair, err := tls.LoadX509KeyPair(cfg.Cert, cfg.Key)
		if err != nil {
			return nil, fmt.Errorf("load client certificate: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

// serverTLS reads the certificate and the authorities of clients for each
// handshake, so that renewed ones are used without a restart.
func serverTLS(cfg *config.TLS) (*tls.Config, error) {
	if _, err := tls.LoadX509KeyPair(cfg.Cert, cfg.Key); err != nil {
		return nil, fmt.Errorf("load server certificate: %w", err)
	}
	c := &tls.Config{
		MinVersion: tls.VersionTLS12,
		GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) {
			pair, err := tls.LoadX509KeyPair(cfg.Cert, cfg.Key)
			return &pair, err
		},
	}
	if cfg.ClientCA == "" {
		return c, nil
	}
	if _, err := readCAs(cfg.ClientCA); err != nil {
		return nil, err
	}
	// The authorities are read for each handshake, too, and no session is resumed:
	// one that is taken out of the file lets nobody in from then on.
	c.ClientAuth, c.SessionTicketsDisabled = tls.RequireAndVerifyClientCert, true
	c.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		pool, err := readCAs(cfg.ClientCA)
		if err != nil {
			return nil, err
		}
		now := c.Clone()
		now.ClientCAs, now.GetConfigForClient = pool, nil
		return now, nil
	}
	return c, nil
}

func readCAs(path string) (*x509.CertPool, error) {
	pem, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read certificate authorities: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate in PEM", path)
	}
	return pool, nil
}

// Reach connects to an uplink's broker as the gateway does, and goes again. Its
// client id has "-doctor" behind it, so that a running gateway keeps its
// session. A refusal by the broker is a [*mqtt.ConnectError].
func Reach(ctx context.Context, cfg *config.Uplink) error {
	opt, err := new(Agent).dialOptions(cfg)
	if err != nil {
		return err
	}
	opt.ClientID += "-doctor"
	c, err := mqtt.Dial(ctx, opt)
	if err != nil {
		return err
	}
	return c.Close()
}

// Knock connects to an uplink's broker, not by a proxy, as far as the TLS
// handshake, without certificate or login, and goes again. A broker that wants a
// certificate has answered.
func Knock(ctx context.Context, cfg *config.Uplink) error {
	at, err := url.Parse(cfg.URL)
	if err != nil {
		return errors.New("url can't be parsed")
	}
	opt, err := clientTLS(cfg.URL, cfg.TLS)
	if err != nil {
		return err
	}
	c, err := new(net.Dialer).DialContext(ctx, "tcp", at.Host)
	if err != nil {
		return err
	}
	defer c.Close()
	if opt == nil {
		return nil
	}
	known := false
	opt.Certificates = nil
	opt.VerifyConnection = func(tls.ConnectionState) error { known = true; return nil }
	if err := tls.Client(c, opt).HandshakeContext(ctx); err != nil && !known {
		return err
	}
	return nil
}
