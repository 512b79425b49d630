package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/pflag"

	"github.com/sealgate/sealgate/agent/mqtt"
	"github.com/sealgate/sealgate/internal/durable"
)

// forwardOptions say where opened messages go instead of stdout.
type forwardOptions struct {
	republish    brokerOptions
	prefix       string
	webhook      string
	webhookToken string
	deadLetters  string
}

func (o *forwardOptions) register(f *pflag.FlagSet) {
	f.StringVar(&o.republish.url, "republish", "", "publish what was opened to the broker at `URL`")
	f.StringVar(&o.prefix, "topic-prefix", "", "with --republish, put `PREFIX` before each topic")
	o.republish.register(f, "republish-", "the broker of --republish")
	f.StringVar(&o.webhook, "webhook", "", "post what was opened to `URL`, as the JSON of --json")
	f.StringVar(&o.webhookToken, "webhook-token-file", "", "`FILE` with a bearer token for the webhook")
	f.StringVar(&o.deadLetters, "dead-letter", "", "keep what is refused in `DIR`, a file each, to be opened again with --jsonl")
}

func (o *forwardOptions) is() bool { return o.republish.url != "" || o.webhook != "" }

// check refuses what would lose messages, or send them in a circle.
func (o *forwardOptions) check(all *openOptions) error {
	if !o.is() {
		if o.prefix != "" {
			return usageError("--topic-prefix goes with --republish")
		}
		return nil
	}
	switch {
	case o.republish.url != "" && o.webhook != "":
		return usageError("choose one of --republish and --webhook; a second sealctl can do the other")
	case o.deadLetters == "":
		return usageError("say where to keep what does not open: --dead-letter DIR")
	case all.sub.clientID == "":
		return usageError("say --client-id ID, so that the broker keeps what comes while we are away")
	case o.prefix != "" && !validTopic(o.prefix):
		return usageError("the prefix is no beginning of a topic")
	}
	if o.webhook != "" {
		u, err := url.Parse(o.webhook)
		if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
			return usageError("the webhook is no URL of HTTP")
		}
		return nil
	}
	if sameBroker(all.sub.url, o.republish.url) {
		for _, f := range all.topics {
			if o.prefix == "" || mayMatch(f, o.prefix) {
				return usageError("%s also matches what is republished to the same broker: take another --topic-prefix or --topic", f)
			}
		}
	}
	return nil
}

// sameBroker reports whether two URLs may name one broker, as far as their texts
// tell.
func sameBroker(a, b string) bool {
	host := func(s string) (string, error) {
		u, err := url.Parse(s)
		if err != nil {
			return "", err
		}
		port := u.Port()
		if port == "" {
			port = "1883"
			if u.Scheme != "mqtt" && u.Scheme != "tcp" {
				port = "8883"
			}
		}
		return net.JoinHostPort(strings.ToLower(u.Hostname()), port), nil
	}
	x, err := host(a)
	y, err2 := host(b)
	return err != nil || err2 != nil || x == y
}

// mayMatch reports whether an MQTT filter can match a topic that begins with
// prefix.
func mayMatch(filter, prefix string) bool {
	if rest, ok := strings.CutPrefix(filter, "$share/"); ok {
		_, filter, _ = strings.Cut(rest, "/")
	}
	levels := strings.Split(prefix, "/")
	whole := len(levels) - 1 // the last one goes on in the topic
	for i, f := range strings.Split(filter, "/") {
		switch {
		case f == "#":
			return true
		case i == whole:
			return f == "+" || strings.HasPrefix(f, levels[i])
		case f != "+" && f != levels[i]:
			return false
		}
	}
	return false // the filter ends above
}

// validTopic reports whether one may publish to the topic (MQTT 5, section
// 4.7.1). A real topic is what the gateway says it is, so it is checked.
func validTopic(topic string) bool {
	return topic != "" && len(topic) <= 65535 && utf8.ValidString(topic) && topic[0] != '$' && !strings.ContainsAny(topic, "+#\x00")
}

// An unfitError says that a message can't be delivered, now or later.
type unfitError struct{ reason string }

func (e *unfitError) Error() string { return e.reason + ": the receiver does not take it" }

const (
	forwardDrain = 10 * time.Second // for deliveries under way when we are told to stop
	minRetry     = 250 * time.Millisecond
	maxRetry     = 30 * time.Second
)

// pause waits before try n, counted from 1, with full jitter. It reports false
// if ctx ended first.
func pause(ctx context.Context, n int) bool {
	t := time.NewTimer(minRetry/2 + rand.N(min(maxRetry, minRetry<<min(n, 10))))
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// newForwarder connects to where opened messages go. stop ends it.
func newForwarder(ctx context.Context, o *openOptions, log *slog.Logger) (out consumer, stop func(), err error) {
	if f := &o.sub.forward; f.webhook != "" {
		w, err := newWebhook(f.webhook, f.webhookToken, log)
		return w, func() {}, err
	}
	x, err := o.sub.forward.republish.options()
	if err != nil {
		return nil, nil, err
	}
	x.ClientID = o.sub.clientID + "-out"
	r, err := newRepublisher(ctx, x, o.sub.forward.prefix, log)
	if err != nil {
		return nil, nil, fmt.Errorf("connect to the broker of --republish: %w", err)
	}
	return r, r.stop, nil
}

// maxLetters bounds a dead-letter directory, so that who can publish to the
// broker can't fill the disk.
const maxLetters = 100_000

// deadLetters is a directory of messages that were refused, a file each:
//
//	{"topic","payload_b64","reason","qos","retain","received"}
//
// which `sealctl open --jsonl` takes. The payload is as it was received.
type deadLetters struct {
	dir   string
	count int
}

type deadLetter struct {
	Topic      string    `json:"topic"`
	PayloadB64 []byte    `json:"payload_b64"`
	Reason     string    `json:"reason"`
	QoS        byte      `json:"qos"`
	Retain     bool      `json:"retain"`
	Received   time.Time `json:"received"`
}

func openDeadLetters(dir string) (*deadLetters, error) {
	if dir == "" {
		return nil, nil
	}
	if err := durable.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make dead-letter directory: %w", err)
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("read dead-letter directory: %w", err)
	}
	return &deadLetters{dir: dir, count: len(entries)}, nil
}

var errLettersFull = errors.New("the dead-letter directory is full: look at what was refused, and clear it")

// add keeps one message. A nil receiver keeps nothing.
func (d *deadLetters) add(in mqtt.Message, reason string) error {
	if d == nil {
		return nil
	}
	if d.count >= maxLetters {
		return errLettersFull
	}
	now := time.Now().UTC()
	payload := in.Payload
	if payload == nil {
		payload = []byte{}
	}
	line, err := json.Marshal(deadLetter{Topic: in.Topic, PayloadB64: payload, Reason: reason, QoS: in.QoS, Retain: in.Retain, Received: now})
	if err != nil {
		return fmt.Errorf("write dead letter: %w", err)
	}
	sum := sha256.Sum256(line)
	name := fmt.Sprintf("%s-%s-%x.json", now.Format("20060102T150405.000000000Z"), reason, sum[:4])
	if err := durable.WriteFile(filepath.Join(d.dir, name), append(line, '\n'), 0o600); err != nil {
		return fmt.Errorf("write dead letter: %w", err)
	}
	d.count++
	return nil
}
