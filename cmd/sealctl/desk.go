package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/spf13/pflag"

	"github.com/sealgate/sealgate/agent/mqtt"
	"github.com/sealgate/sealgate/crypto"
	"github.com/sealgate/sealgate/crypto/signed"
)

// A desk is where a site is operated from: its trust root, the keys of whoever
// sits there, and the way to the broker, which need not be trusted.
type desk struct {
	dir     string
	signers []string
	pass    passphraseFlags
	broker  brokerOptions
	part    string // of the gateways to follow, "K/N"; empty: all
}

// registerKeys adds the flags of commands that look documents up or sign them.
func (d *desk) registerKeys(f *pflag.FlagSet) {
	f.StringVar(&d.dir, "dir", "keys", "the `DIR` with the site's trust root and the operator's keys")
}

func (d *desk) registerSigners(f *pflag.FlagSet) {
	f.StringArrayVar(&d.signers, "signer", nil, "sign with the private key in `FILE` (default: all in DIR/operator)")
	d.pass.register(f, false)
}

func (d *desk) registerBroker(f *pflag.FlagSet) {
	f.StringVar(&d.broker.url, "broker", "", "the broker that carries the site's documents: `URL` mqtt://host:1883 or mqtts://host:8883")
	d.broker.register(f, "", "the broker")
}

// root reads the site's trust root.
func (d *desk) root() (*signed.Root, error) {
	path := filepath.Join(d.dir, rootFile)
	raw, err := readFile(path, signed.MaxSize)
	if err != nil {
		return nil, fmt.Errorf("read trust root: %w; sealctl keys init makes one", err)
	}
	r, err := signed.ParseRoot(raw)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	return r, nil
}

func (d *desk) load(e *env) ([]*crypto.Signer, error) {
	o := bundleOptions{dir: d.dir, signers: d.signers, pass: d.pass}
	return o.loadSigners(e)
}

// topic is where a document of the site is published.
func topic(site, rest string) string { return "sg/v1/" + site + "/" + rest }

// connect returns a connection that publishes.
func (d *desk) connect(ctx context.Context) (mqtt.Conn, error) {
	if d.broker.url == "" {
		return nil, usageError("say which broker carries the site's documents: --broker URL")
	}
	o, err := d.broker.options()
	if err != nil {
		return nil, err
	}
	if o.ClientID, err = shortName("sealctl-"); err != nil {
		return nil, err
	}
	conn, err := mqtt.DialPaho311(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", d.broker.url, err)
	}
	return conn, nil
}

func shortName(prefix string) (string, error) {
	var id [6]byte
	if _, err := rand.Read(id[:]); err != nil {
		return "", fmt.Errorf("read random bytes: %w", err)
	}
	return prefix + hex.EncodeToString(id[:]), nil
}

// publish sends one message and waits until the broker has it.
// post is a document to be published.
type post struct {
	topic  string // where its gateways look
	said   string // what the operator is told once the broker has it
	retain bool
	raw    []byte
}

// publish connects, and publishes documents in their order.
func (d *desk) publish(ctx context.Context, e *env, posts ...post) error {
	conn, err := d.connect(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	for _, p := range posts {
		if err := publish(ctx, conn, p.topic, p.retain, p.raw); err != nil {
			return err
		}
		fmt.Fprintln(e.stdout, p.said)
	}
	return nil
}

func publish(ctx context.Context, conn mqtt.Conn, topic string, retain bool, raw []byte) error {
	acked := make(chan mqtt.Ack, 1)
	m := &mqtt.Message{Topic: topic, Payload: raw, QoS: 1, Retain: retain}
	if err := conn.Publish(m, func(a mqtt.Ack) { acked <- a }); err != nil {
		return fmt.Errorf("publish on %s: %w", topic, err)
	}
	late := time.NewTimer(20 * time.Second)
	defer late.Stop()
	select {
	case a := <-acked:
		if a.Err != nil {
			return fmt.Errorf("publish on %s: %w", topic, a.Err)
		}
		return nil
	case err := <-conn.Done():
		return fmt.Errorf("publish on %s: %w", topic, err)
	case <-late.C:
		return fmt.Errorf("publish on %s: the broker does not acknowledge", topic)
	case <-ctx.Done():
		return errInterrupted
	}
}

// listen hands what arrives on the topics to take, until ctx ends.
func (d *desk) listen(ctx context.Context, e *env, topics []string, take func(topic string, raw []byte)) error {
	o, err := d.broker.options()
	if err != nil {
		return err
	}
	if o.ClientID, err = shortName("sealctl-"); err != nil {
		return err
	}
	var filters []mqtt.Filter
	for _, t := range topics {
		filters = append(filters, mqtt.Filter{Topic: t, QoS: 1})
	}
	err = mqtt.Subscribe(ctx, mqtt.SubscribeOptions{
		Options: o, AcceptRetainLoss: true, SessionExpiry: time.Second, Logger: slog.New(proseHandler{e.stderr}),
		Filters: filters,
	}, takes(take))
	if ctx.Err() != nil {
		return nil
	}
	return err
}

type takes func(topic string, raw []byte)

func (t takes) Submit(_ context.Context, _ mqtt.Source, m mqtt.Message, done func(error)) error {
	t(m.Topic, m.Payload)
	done(nil)
	return nil
}

// roleOf says which role must sign a type of document.
func roleOf(payloadType string) (string, error) {
	for _, m := range [][2]string{
		{signed.PolicyType, signed.RolePolicy}, {signed.RootType, signed.RoleRoot}, {signed.CommandType, signed.RoleCommand},
		{signed.BundleType, signed.RoleRecipients}, {signed.FreshType, signed.RoleNow},
	} {
		if m[0] == payloadType {
			return m[1], nil
		}
	}
	return "", errors.New("a document of this type is not signed here")
}
