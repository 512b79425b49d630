package main

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/spf13/pflag"

	"github.com/sealgate/sealgate/agent/mqtt"
	"github.com/sealgate/sealgate/internal/durable"
)

type subscribeOptions struct {
	url          string
	count        int
	clientID     string
	username     string
	passwordFile string
	caFile       string
	certFile     string
	keyFile      string
	state        string
}

func (o *subscribeOptions) register(f *pflag.FlagSet) {
	f.StringVar(&o.url, "subscribe", "", "open what this broker sends: `URL` mqtt://host:1883 or mqtts://host:8883")
	f.IntVar(&o.count, "count", 0, "end after `N` messages (default: until interrupted)")
	f.StringVar(&o.clientID, "client-id", "", "keep a session under this `ID`, so that nothing is missed in between")
	f.StringVar(&o.username, "username", "", "`NAME` for the broker")
	f.StringVar(&o.passwordFile, "password-file", "", "`FILE` with the password for the broker")
	f.StringVar(&o.caFile, "ca", "", "PEM `FILE` of the authorities to trust (default: the system's)")
	f.StringVar(&o.certFile, "cert", "", "PEM `FILE` of the client certificate")
	f.StringVar(&o.keyFile, "key", "", "PEM `FILE` of its key")
	f.StringVar(&o.state, "state", "", "remember in `FILE` what was opened, so that replays are told across runs (with --gateway-key)")
}

// options translates what the user said for package mqtt.
func (o *subscribeOptions) options() (mqtt.SubscribeOptions, error) {
	x := mqtt.SubscribeOptions{AcceptRetainLoss: true}
	x.URL, x.ClientID, x.Username, x.PacketBytes = o.url, o.clientID, o.username, maxMessage
	if o.clientID == "" {
		// A session of our own that the broker may forget as soon as we are gone.
		var id [6]byte
		if _, err := rand.Read(id[:]); err != nil {
			return x, fmt.Errorf("read random bytes: %w", err)
		}
		x.ClientID, x.SessionExpiry = "sealctl-"+hex.EncodeToString(id[:]), time.Second
	}
	if o.passwordFile != "" {
		raw, err := readFile(o.passwordFile, 64<<10)
		if err != nil {
			return x, fmt.Errorf("read password: %w", err)
		}
		x.Password = mqtt.Password(strings.TrimRight(string(raw), "\r\n"))
	}
	if o.caFile == "" && o.certFile == "" {
		return x, nil
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if o.caFile != "" {
		pem, err := readFile(o.caFile, maxDocument)
		if err != nil {
			return x, fmt.Errorf("read authorities: %w", err)
		}
		c.RootCAs = x509.NewCertPool()
		if !c.RootCAs.AppendCertsFromPEM(pem) {
			return x, fmt.Errorf("read authorities: there is no certificate in %s", o.caFile)
		}
	}
	if o.certFile != "" {
		pair, err := tls.LoadX509KeyPair(o.certFile, o.keyFile)
		if err != nil {
			return x, fmt.Errorf("read client certificate: %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	x.TLS = c
	return x, nil
}

// firstTries is how many connections may fail before the first that works: one
// more than it takes to find out that a broker does not speak MQTT 5.
const firstTries = 2

// subscribe opens what a broker sends until there were enough messages or the
// user has seen enough. A message is acknowledged when it is printed.
func (e *env) subscribe(ctx context.Context, o *openOptions, s *opening) error {
	if len(o.topics) == 0 {
		return usageError("say what to subscribe to: --topic FILTER")
	}
	x, err := o.sub.options()
	if err != nil {
		return err
	}
	for _, t := range o.topics {
		x.Filters = append(x.Filters, mqtt.Filter{Topic: t, QoS: 1})
	}
	memory, err := newReplayFile(o, s)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	reads := new(mqtt.SubscribeStats)
	x.Reads = reads
	x.Logger = slog.New(proseHandler{e.stderr})
	tries := 0
	x.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if tries++; tries > firstTries && reads.Connects.Load() == 0 {
			cancel(errUnreachable)
			return nil, errUnreachable
		}
		return new(net.Dialer).DialContext(ctx, network, addr)
	}
	if len(o.gatewayKeys) == 0 {
		fmt.Fprintln(e.stderr, "sealctl: without --gateway-key nobody's origin is verified, and replays are not told")
	}
	sink := &printSink{s: s, left: o.sub.count, memory: memory, cancel: cancel}
	err = mqtt.Subscribe(ctx, x, sink)
	if merr := memory.save(); merr != nil {
		return merr
	}
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, errEnough), errors.Is(cause, context.Canceled):
		return nil
	case cause != nil:
		return cause
	}
	return fmt.Errorf("subscribe: %w", err)
}

var (
	errEnough      = errors.New("enough messages")
	errUnreachable = errors.New("the broker can't be reached, or refuses us: see the warnings above; check URL, credentials and TLS")
)

// A printSink opens and prints messages as they arrive.
type printSink struct {
	s      *opening
	memory *replayFile
	cancel context.CancelCauseFunc

	mu   sync.Mutex
	left int // guarded by mu; 0: no bound
	over bool
}

// Submit takes one message.
func (p *printSink) Submit(_ context.Context, _ mqtt.Source, m mqtt.Message, done func(error)) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over {
		return errEnough
	}
	grant := isGrant(m.Payload)
	if err := p.s.one(visible(m.Topic), m.Topic, m.Payload, false); err != nil {
		p.over = true
		p.cancel(err)
		return err
	}
	if err := p.memory.sometimes(); err != nil {
		p.over = true
		p.cancel(err)
		return err
	}
	done(nil)
	if !grant && p.left > 0 {
		if p.left--; p.left == 0 {
			p.over = true
			p.cancel(errEnough)
		}
	}
	return nil
}

// A replayFile keeps what the opener remembers across runs. It is written after
// the messages it tells of were printed: a crash lets some be printed twice,
// and loses none.
type replayFile struct {
	path string // empty: nothing is kept
	s    *opening
	last time.Time
}

const (
	saveEvery = 5 * time.Second
	maxState  = 64 << 20
)

func newReplayFile(o *openOptions, s *opening) (*replayFile, error) {
	f := &replayFile{path: o.sub.state, s: s, last: time.Now()}
	if f.path == "" {
		return f, nil
	}
	if len(o.gatewayKeys) == 0 {
		return nil, usageError("--state needs --gateway-key: who can't prove an origin can't tell a replay")
	}
	raw, err := readFile(f.path, maxState)
	if errors.Is(err, fs.ErrNotExist) {
		return f, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read state: %w", err)
	}
	if err := s.opener.RestoreState(raw); err != nil {
		return nil, fmt.Errorf("read state %s: %w", f.path, err)
	}
	return f, nil
}

func (f *replayFile) sometimes() error {
	if time.Since(f.last) < saveEvery {
		return nil
	}
	return f.save()
}

func (f *replayFile) save() error {
	if f.path == "" {
		return nil
	}
	f.last = time.Now()
	if err := durable.WriteFile(f.path, f.s.opener.State(), 0o600); err != nil {
		return fmt.Errorf("write state: %w", err)
	}
	return nil
}

// A proseHandler logs warnings as the program says everything else.
type proseHandler struct{ w io.Writer }

// Enabled is part of slog.Handler.
func (h proseHandler) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelWarn }

// Handle is part of slog.Handler.
func (h proseHandler) Handle(_ context.Context, r slog.Record) error {
	line := "sealctl: warning: " + r.Message
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "error" {
			line += ": " + a.Value.String()
		} else {
			line += fmt.Sprintf(" (%s %s)", a.Key, a.Value)
		}
		return true
	})
	_, err := fmt.Fprintln(h.w, line)
	return err
}

// WithAttrs is part of slog.Handler; nobody here sets attributes beforehand.
func (h proseHandler) WithAttrs([]slog.Attr) slog.Handler { return h }

// WithGroup is part of slog.Handler.
func (h proseHandler) WithGroup(string) slog.Handler { return h }

// splitName splits NAME=FILE; without a name it is a file.
func splitName(arg string) (name, path string) {
	if _, err := os.Stat(arg); err == nil {
		return "", arg
	}
	if name, path, ok := strings.Cut(arg, "="); ok {
		return name, path
	}
	return "", arg
}
