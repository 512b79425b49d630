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
	"github.com/sealgate/sealgate/crypto/envelope"
	"github.com/sealgate/sealgate/internal/durable"
)

// A brokerOptions says how to reach a broker.
type brokerOptions struct {
	url          string
	username     string
	passwordFile string
	caFile       string
	certFile     string
	keyFile      string
}

// register adds the flags of credentials, with a prefix before their names.
func (o *brokerOptions) register(f *pflag.FlagSet, prefix, whose string) {
	f.StringVar(&o.username, prefix+"username", "", "`NAME` for "+whose)
	f.StringVar(&o.passwordFile, prefix+"password-file", "", "`FILE` with the password for "+whose)
	f.StringVar(&o.caFile, prefix+"ca", "", "PEM `FILE` of the authorities that "+whose+" is trusted by (default: the system's)")
	f.StringVar(&o.certFile, prefix+"cert", "", "PEM `FILE` of the client certificate for "+whose)
	f.StringVar(&o.keyFile, prefix+"key", "", "PEM `FILE` of its key")
}

// options translates what the user said for package mqtt.
func (o *brokerOptions) options() (mqtt.Options, error) {
	x := mqtt.Options{URL: o.url, Username: o.username, PacketBytes: maxMessage}
	if o.passwordFile != "" {
		secret, err := readSecret(o.passwordFile)
		if err != nil {
			return x, fmt.Errorf("read password: %w", err)
		}
		x.Password = mqtt.Password(secret)
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

// readSecret reads a file that holds one line.
func readSecret(path string) (string, error) {
	raw, err := readFile(path, 64<<10)
	return strings.TrimRight(string(raw), "\r\n"), err
}

type subscribeOptions struct {
	brokerOptions
	count    int
	clientID string
	state    string
	forward  forwardOptions
}

func (o *subscribeOptions) register(f *pflag.FlagSet) {
	f.StringVar(&o.url, "subscribe", "", "open what this broker sends: `URL` mqtt://host:1883 or mqtts://host:8883")
	f.IntVar(&o.count, "count", 0, "end after `N` messages (default: until interrupted)")
	f.StringVar(&o.clientID, "client-id", "", "keep a session under this `ID`, so that nothing is missed in between")
	o.brokerOptions.register(f, "", "the broker")
	f.StringVar(&o.state, "state", "", "remember in `FILE` what was opened, so that replays are told across runs (with --registry or --gateway-key)")
	o.forward.register(f)
}

// options translates what the user said for package mqtt.
func (o *subscribeOptions) options() (mqtt.SubscribeOptions, error) {
	x := mqtt.SubscribeOptions{AcceptRetainLoss: true}
	var err error
	if x.Options, err = o.brokerOptions.options(); err != nil {
		return x, err
	}
	x.ClientID = o.clientID
	if o.clientID == "" {
		// A session of our own that the broker may forget as soon as we are gone.
		var id [6]byte
		if _, err := rand.Read(id[:]); err != nil {
			return x, fmt.Errorf("read random bytes: %w", err)
		}
		x.ClientID, x.SessionExpiry = "sealctl-"+hex.EncodeToString(id[:]), time.Second
	}
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
	if err := o.sub.forward.check(o); err != nil {
		return err
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
	if o.shares() {
		fmt.Fprintln(e.stderr, "sealctl: a member of a shared subscription sees a part of the messages: replays are unchecked")
	}
	if !o.knowsGateways() {
		fmt.Fprintln(e.stderr, "sealctl: without --registry or --gateway-key nobody's origin is verified, and replays are not told")
	}
	sink := &openSink{s: s, left: o.sub.count, memory: memory, cancel: cancel, out: printer{s}}
	if sink.letters, err = openDeadLetters(o.sub.forward.deadLetters); err != nil {
		return err
	}
	if o.sub.forward.is() {
		out, stop, err := newForwarder(ctx, o, x.Logger)
		if err != nil {
			return err
		}
		defer stop()
		sink.out, x.Drain = out, forwardDrain
	}
	var watch sync.WaitGroup
	watch.Go(func() { sink.watch(ctx) })
	err = mqtt.Subscribe(ctx, x, sink)
	cancel(nil)
	watch.Wait()
	if o.sub.forward.is() {
		fmt.Fprintf(e.stderr, "sealctl: %d handed on, %d refused\n", s.opened, s.refused)
	}
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

// A consumer takes opened messages in order. deliver may wait until ctx ends,
// which is what stops the broker from sending more; it returns nil when it took
// the message, and then done is called once, when what was made of the message
// is out. An error that wraps errUnfit says that it can't take this message;
// any other ends the program.
type consumer interface {
	deliver(ctx context.Context, in mqtt.Message, m *envelope.Opened, done func(error)) error
}

// A printer prints messages.
type printer struct{ s *opening }

func (p printer) deliver(_ context.Context, in mqtt.Message, m *envelope.Opened, done func(error)) error {
	if err := p.s.show(visible(in.Topic), in.Topic, m, false); err != nil {
		return err
	}
	done(nil)
	return nil
}

// An openSink opens messages as they arrive, and hands them on. What is refused
// is acknowledged once it is among the dead letters, if these are kept.
type openSink struct {
	s       *opening
	out     consumer
	letters *deadLetters // nil: not kept
	memory  *replayFile
	cancel  context.CancelCauseFunc

	mu      sync.Mutex // guards the rest
	left    int        // 0: no bound
	over    bool
	waiting waitingRoom
}

// Submit takes one message.
func (p *openSink) Submit(ctx context.Context, _ mqtt.Source, in mqtt.Message, done func(error)) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over {
		return errEnough
	}
	err := p.take(ctx, arrival{in: in, done: done, at: time.Now()})
	if err == nil {
		err = p.memory.sometimes()
	}
	return p.ended(err)
}

// ended remembers what ends the program: an error, or enough messages.
func (p *openSink) ended(err error) error {
	if err != nil && !p.over {
		p.over = true
		p.cancel(err)
	}
	return err
}

// take opens a message and hands it on. What lacks its grant waits for it, and
// what comes behind it waits too, so that the order stays.
func (p *openSink) take(ctx context.Context, a arrival) error {
	if isGrant(a.in.Payload) {
		if err := p.s.grant(visible(a.in.Topic), a.in.Payload); err != nil {
			return p.refuse(a, err)
		}
		a.done(nil)
		p.waiting.until = time.Time{}
		return p.admit(ctx, time.Now())
	}
	if len(p.waiting.room) > 0 {
		return p.waiting.add(a)
	}
	return p.open(ctx, a)
}

// open opens one message, or lets it wait for its grant.
func (p *openSink) open(ctx context.Context, a arrival) error {
	m, err := p.s.opener.Open(a.in.Topic, a.in.Payload)
	if envelope.ReasonOf(err) == envelope.ReasonUnknownKey && p.waiting.worth(a) {
		return p.waiting.add(a)
	}
	return p.settle(ctx, a, &m, err)
}

// settle hands on what was opened, or refuses it.
func (p *openSink) settle(ctx context.Context, a arrival, m *envelope.Opened, err error) error {
	if err != nil {
		err = p.refuse(a, err)
	} else {
		err = p.handOn(ctx, a, m)
	}
	if err == nil && p.left > 0 {
		if p.left--; p.left == 0 {
			p.over = true
			p.cancel(errEnough)
		}
	}
	return err
}

func (p *openSink) handOn(ctx context.Context, a arrival, m *envelope.Opened) error {
	err := p.out.deliver(ctx, a.in, m, a.done)
	if unfit := new(unfitError); errors.As(err, &unfit) {
		p.s.refused++
		fmt.Fprintf(p.s.e.stderr, "sealctl: %s: %v\n", visible(a.in.Topic), err)
		return p.bury(a, unfit.reason)
	}
	if err == nil {
		p.s.opened++
	}
	return err
}

func (p *openSink) refuse(a arrival, why error) error {
	if err := p.s.refuse(visible(a.in.Topic), a.in.Topic, why); err != nil {
		return err
	}
	return p.bury(a, string(envelope.ReasonOf(why)))
}

func (p *openSink) bury(a arrival, reason string) error {
	if err := p.letters.add(a.in, reason); err != nil {
		return err
	}
	a.done(nil)
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
	if o.shares() {
		return nil, usageError("--state does not go with $share: what one member remembers says nothing about what the others saw")
	}
	if !o.knowsGateways() {
		return nil, usageError("--state needs --registry or --gateway-key: who can't prove an origin can't tell a replay")
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
