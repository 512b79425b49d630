package main

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/sealgate/sealgate/agent/config"
	"github.com/sealgate/sealgate/agent/mqtt"
	"github.com/sealgate/sealgate/classify"
	"github.com/sealgate/sealgate/classify/learn"
	"github.com/sealgate/sealgate/classify/policy"
	"github.com/sealgate/sealgate/crypto/protect"
	"github.com/sealgate/sealgate/internal/durable"
)

type learnOptions struct {
	broker    brokerOptions
	topics    []string
	dirs      []string
	length    time.Duration
	count     int
	profile   string
	config    string
	out       string
	inventory string
	site      string
	force     bool
}

func newPolicyLearn(e *env) *cobra.Command {
	var o learnOptions
	c := &cobra.Command{
		Use:   "learn (--broker URL | --dir DIR)",
		Short: "Draft a policy and an inventory from real traffic",
		Long: `Learn watches what devices publish and writes two files: a draft policy that
observes, with a comment on each thing that it says, and an inventory of the data
that would leave, by route and uplink, as a page that a data-protection officer
can read, fill in and sign.

It reads as one more subscriber and publishes nothing. No value is stored: what is
kept are patterns of topics, names of fields and numbers. End it early with Ctrl-C;
what was seen until then is written.

With --config agent.yaml the uplinks, the topics that each takes, and the guard's
profile are the gateway's. --dir reads captures instead of a broker: files,
directories and archives as "sealctl classify" takes them.`,
		Example: `  sealctl policy learn --broker mqtt://127.0.0.1:1883 --for 10m
  sealctl policy learn --broker mqtts://broker.site:8883 --username watch \
    --password-file pw --profile eu --config /etc/sealgate/agent.yaml
  sealctl policy learn --dir captures/ --out policy.yaml --inventory inventory.html`,
		Args: want(0, 0, "no argument, but --broker or --dir"),
		RunE: func(c *cobra.Command, _ []string) error {
			return e.learn(c.Context(), &o)
		},
	}
	f := c.Flags()
	f.StringVar(&o.broker.url, "broker", "", "watch this broker: `URL` mqtt://host:1883 or mqtts://host:8883")
	f.StringArrayVar(&o.topics, "topic", []string{"#"}, "watch topics of this `FILTER`; may be repeated")
	f.StringArrayVar(&o.dirs, "dir", nil, "read captures in this `DIR`, file or archive instead; may be repeated")
	f.DurationVar(&o.length, "for", 10*time.Minute, "watch for this `TIME`: 90s, 10m, 24h")
	f.IntVar(&o.count, "count", 0, "end after `N` messages")
	f.StringVar(&o.profile, "profile", "", "grade by this legal `PROFILE`: generic, eu, cn, automotive (default: the guard's, else generic)")
	f.StringVar(&o.config, "config", "", "take uplinks and profile from this agent.yaml `FILE`")
	f.StringVar(&o.out, "out", "policy-draft.yaml", "write the draft to this `FILE`")
	f.StringVar(&o.inventory, "inventory", "inventory.html", "write the inventory to this HTML `FILE`")
	f.StringVar(&o.site, "site", "", "`NAME` of the site, for the inventory")
	f.BoolVar(&o.force, "force", false, "write over files that are there")
	o.broker.register(f, "", "the broker")
	return c
}

func (e *env) learn(ctx context.Context, o *learnOptions) error {
	if o.broker.url != "" && len(o.dirs) > 0 {
		return usageError("learn from one of the two: --broker URL or --dir DIR")
	}
	if o.broker.url == "" && len(o.dirs) == 0 {
		return usageError("say what to learn from: --broker URL or --dir DIR; see sealctl policy learn --help")
	}
	if o.length <= 0 {
		return usageError("--for wants a time: 90s, 10m, 24h")
	}
	if o.profile != "" && !slices.Contains(classify.Profiles(), o.profile) {
		return usageError("there is no profile %q; choose one of %q", o.profile, classify.Profiles())
	}
	if !o.force {
		for _, path := range []string{o.out, o.inventory} {
			if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
				return fmt.Errorf("%s is there already; --force writes over it", path)
			}
		}
	}
	l, err := o.learner()
	if err != nil {
		return err
	}
	if o.broker.url != "" {
		err = e.learnBroker(ctx, o, l)
	} else {
		err = e.learnFiles(ctx, o, l)
	}
	if err != nil && !errors.Is(err, errInterrupted) {
		return err
	}
	return e.writeLearned(o, l.Inventory())
}

// learner makes a learner for the gateway that is configured, or for any.
func (o *learnOptions) learner() (*learn.Learner, error) {
	x := learn.Options{Profile: o.profile, Vocab: policy.Vocabulary{Actions: protect.Specs()}}
	if o.broker.url != "" {
		x.Begun = time.Now()
	}
	if o.config != "" {
		c, err := config.Load(o.config)
		if err != nil {
			return nil, fmt.Errorf("read configuration: %w", err)
		}
		if x.Profile == "" {
			x.Profile = c.Guard.Profile
		}
		if o.site == "" {
			o.site = strings.Trim(c.Site+" "+c.Gateway, " ")
		}
		var takes [][]policy.Filter
		for _, u := range c.Uplinks {
			x.Vocab.Uplinks = append(x.Vocab.Uplinks, u.Name)
			var fs []policy.Filter
			for _, t := range u.Topics {
				f, err := policy.ParseFilter(t.LocalPrefix + t.Pattern)
				if err != nil {
					return nil, fmt.Errorf("read topics of uplink %s: %w", u.Name, err)
				}
				fs = append(fs, f)
			}
			takes = append(takes, fs)
		}
		x.Takes = func(uplink int, topic string) bool {
			return len(takes[uplink]) == 0 || slices.ContainsFunc(takes[uplink], func(f policy.Filter) bool { return f.Match(topic) })
		}
	}
	return learn.New(x)
}

// learnFiles reads captures.
func (e *env) learnFiles(ctx context.Context, o *learnOptions, l *learn.Learner) error {
	in := &input{e: e, ctx: ctx, take: func(_, topic string, raw []byte) error {
		l.Add(topic, raw)
		return nil
	}}
	sources, size, err := in.list(o.dirs)
	if err != nil {
		return err
	}
	in.bar = e.newProgress("learn", size)
	err = in.read(sources)
	return cmp.Or(err, in.complaints())
}

// learnBroker watches a broker until the time is over or the user has seen
// enough.
func (e *env) learnBroker(ctx context.Context, o *learnOptions, l *learn.Learner) error {
	base, err := o.broker.options()
	if err != nil {
		return err
	}
	// A session of our own that the broker may forget as soon as we are gone.
	var id [6]byte
	if _, err := rand.Read(id[:]); err != nil {
		return fmt.Errorf("read random bytes: %w", err)
	}
	x := mqtt.SubscribeOptions{Options: base, AcceptRetainLoss: true, SessionExpiry: time.Second, Reads: new(mqtt.SubscribeStats), Logger: slog.New(proseHandler{e.stderr})}
	x.ClientID = "sealctl-" + hex.EncodeToString(id[:])
	for _, t := range o.topics {
		x.Filters = append(x.Filters, mqtt.Filter{Topic: t})
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	tries := 0
	x.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if tries++; tries > firstTries && x.Reads.Connects.Load() == 0 {
			cancel(errUnreachable)
			return nil, errUnreachable
		}
		return new(net.Dialer).DialContext(ctx, network, addr)
	}
	w := &watch{l: l, e: e, what: "watching " + hostOf(o.broker.url), length: o.length, begun: time.Now(), left: o.count, cancel: cancel}
	timer := time.AfterFunc(o.length, func() { cancel(errEnough) })
	defer timer.Stop()
	stop := w.tick()
	err = mqtt.Subscribe(ctx, x, w)
	stop()
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, errEnough):
		return nil
	case errors.Is(cause, context.Canceled):
		return errInterrupted
	case cause != nil:
		return cause
	}
	return fmt.Errorf("subscribe: %w", err)
}

// hostOf is the host of a URL, without what may be secret in it.
func hostOf(raw string) string {
	u, err := url.Parse(raw)
	if err != nil {
		return "the broker"
	}
	return visible(u.Host)
}

// A watch feeds messages of a broker to a learner and shows that it does.
type watch struct {
	e      *env
	what   string
	length time.Duration
	begun  time.Time

	mu       sync.Mutex
	l        *learn.Learner // guarded by mu
	messages int            // guarded by mu
	left     int            // guarded by mu; 0: no bound
	cancel   context.CancelCauseFunc
}

// Submit takes one message.
func (w *watch) Submit(_ context.Context, _ mqtt.Source, m mqtt.Message, done func(error)) error {
	w.mu.Lock()
	w.l.Add(m.Topic, m.Payload)
	w.messages++
	if w.left > 0 {
		if w.left--; w.left == 0 {
			w.cancel(errEnough)
		}
	}
	w.mu.Unlock()
	done(nil)
	return nil
}

// tick shows on a terminal how far the watch is, until the function that it
// returns is called.
func (w *watch) tick() (stop func()) {
	if !w.e.lively {
		fmt.Fprintf(w.e.stderr, "sealctl: %s for %s; end it early with Ctrl-C\n", w.what, w.length)
		return func() {}
	}
	quit := make(chan struct{})
	var ended sync.WaitGroup
	ended.Go(func() {
		t := time.NewTicker(250 * time.Millisecond)
		defer t.Stop()
		for {
			w.mu.Lock()
			n, routes, classes := w.messages, w.l.Topics(), w.l.Classes()
			w.mu.Unlock()
			fmt.Fprintf(w.e.stderr, "\r\x1b[K%s  %s of %s  %s, %s, %s  %s", w.what, clock(time.Since(w.begun)), clock(w.length),
				plural(n, "message", "messages"), plural(routes, "topic pattern", "topic patterns"), plural(classes, "class", "classes"), "Ctrl-C ends it")
			select {
			case <-t.C:
			case <-quit:
				fmt.Fprint(w.e.stderr, "\r\x1b[K")
				return
			}
		}
	})
	return func() { close(quit); ended.Wait() }
}

// clock writes a time as minutes and seconds.
func clock(d time.Duration) string {
	s := int(d.Seconds())
	return fmt.Sprintf("%d:%02d", s/60, s%60)
}

// writeLearned writes the draft and the inventory, and says what is in them.
func (e *env) writeLearned(o *learnOptions, inv learn.Inventory) error {
	if inv.Messages == 0 {
		return errors.New("no message was seen, so there is nothing to learn; does --topic fit, and may this user read it?")
	}
	draft := inv.Draft()
	v := policy.Vocabulary{Actions: protect.Specs()}
	if o.config != "" {
		v.Uplinks = inv.Uplinks
	}
	if _, err := policy.Compile(draft, v, policy.Guard{Observe: true}); err != nil {
		return fmt.Errorf("compile the draft: %w", err) // would be a fault of ours
	}
	if err := durable.WriteFile(o.out, draft, 0o644); err != nil {
		return fmt.Errorf("write draft: %w", err)
	}
	if err := writePage(o.inventory, "inventory", inventoryPage(&inv, o.site)); err != nil {
		return err
	}
	e.showLearned(&inv)
	fmt.Fprintf(e.stdout, "\n%s  the draft policy: read it, then sealctl policy check %s\n%s  the inventory, for the data-protection officer\n",
		e.styled(bold, visible(o.out)), visible(o.out), e.styled(bold, visible(o.inventory)))
	return nil
}

// showLearned shows what was found, route by route.
func (e *env) showLearned(inv *learn.Inventory) {
	t := table{head: []string{"ROUTE", "TOPICS", "MESSAGES", "GRADE", "FOUND"}, right: []bool{false, false, true, false, false}, flex: 1}
	for i := range inv.Routes {
		r := &inv.Routes[i]
		if r.Messages == 0 {
			continue
		}
		topics := r.Topics[0]
		if len(r.Topics) > 1 {
			topics += fmt.Sprintf(" and %d more", len(r.Topics)-1)
		}
		grade := cell{"unreadable", faint}
		if r.Grade != classify.Ungraded {
			grade = cell{r.Grade.String(), gradeStyle(r.Grade)}
		}
		t.add(cell{shorten(r.Name, 24), plain}, cell{topics, faint}, number(r.Messages, plain), grade, cell{worst(r.Found), plain})
	}
	t.write(e.stdout, e, 0)
}

// worst names the two most harmful classes.
func worst(found []learn.Found) string {
	var names []string
	for _, f := range found[:min(len(found), 2)] {
		names = append(names, f.Class.Name)
	}
	if more := len(found) - len(names); more > 0 {
		names = append(names, fmt.Sprintf("+%d", more))
	}
	return strings.Join(names, " ")
}
