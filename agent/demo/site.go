package demo

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/sealgate/sealgate/agent/mqtt"
	"github.com/sealgate/sealgate/agent/mqtt/broker"
	"github.com/sealgate/sealgate/crypto"
	"github.com/sealgate/sealgate/crypto/signed"
)

const (
	siteName = "plant-7"
	gateway  = "gw-0042"
	audience = "cloud-analytics"
	prefix   = siteName + "/" + gateway + "/"
)

// cloud is the stand-in for the cloud broker: a real MQTT broker in this
// process that keeps all that it receives.
type cloud struct {
	broker *broker.Broker
	addr   string

	mu       sync.Mutex // guards received
	received []mqtt.Message
}

// Submit implements mqtt.Sink.
func (c *cloud) Submit(_ context.Context, _ mqtt.Source, m mqtt.Message, done func(error)) error {
	c.mu.Lock()
	m.Payload = slices.Clone(m.Payload)
	c.received = append(c.received, m)
	c.mu.Unlock()
	done(nil)
	return nil
}

// start listens, at the same address again after a stop.
func (c *cloud) start() error {
	addr := c.addr
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("open cloud broker: %w", err)
	}
	c.addr = ln.Addr().String()
	c.broker, err = broker.New(broker.Options{
		Listeners: []broker.Listener{{Net: ln, Anonymous: true}}, Sink: c, ACL: broker.AllowAll(),
	})
	if err != nil {
		return fmt.Errorf("open cloud broker: %w", err)
	}
	return c.broker.Start()
}

// kill ends the broker without waiting for anyone.
func (c *cloud) kill() error {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return c.broker.Close(ctx)
}

func (c *cloud) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.received)
}

// since returns what came after the first n messages.
func (c *cloud) since(n int) []mqtt.Message {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.received[n:])
}

// await waits until there is an n-th message.
func (c *cloud) await(ctx context.Context, n int) error {
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	for c.count() < n {
		select {
		case <-ctx.Done():
			return fmt.Errorf("the cloud received %d of %d messages in time", c.count(), n)
		case <-time.After(time.Millisecond):
		}
	}
	return nil
}

// consumer is who may open what leaves.
type consumer struct {
	keys []*crypto.RecipientKey
}

// layOut writes the files of a gateway: recipients, trust root, configuration.
func layOut(dir, cloudAddr string) (*consumer, error) {
	operator, err := crypto.GenerateSigner()
	if err != nil {
		return nil, err
	}
	c := &consumer{}
	bundle := &signed.Bundle{Chain: signed.Chain{Site: siteName, Version: 1, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().AddDate(1, 0, 0)}}
	for _, name := range []string{audience, signed.Recovery} {
		key, err := crypto.GenerateRecipientKey(crypto.KEMX25519)
		if err != nil {
			return nil, err
		}
		bundle.Entries = append(bundle.Entries, signed.Entry{Audience: name, Status: signed.Active, Recipient: key.Recipient()})
		if name == audience {
			c.keys = append(c.keys, key)
		}
	}
	sealed, err := signed.SignBundle(bundle, operator)
	if err != nil {
		return nil, err
	}
	root, err := (&signed.Root{Site: siteName, Roles: map[string]signed.RoleKeys{
		signed.RoleRecipients: {Threshold: 1, Keys: []*crypto.Verifier{operator.Verifier()}},
	}}).Marshal()
	if err != nil {
		return nil, err
	}
	for name, content := range map[string][]byte{
		"recipients.bundle": sealed,
		"root.json":         root,
		"policy.yaml":       policyFile("observe"),
		"agent.yaml":        agentFile(cloudAddr),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), content, 0o600); err != nil {
			return nil, err
		}
	}
	return c, nil
}

func policyFile(mode string) []byte {
	return fmt.Appendf(nil, `schema: sealgate/policy/v1
version: 1
profile: generic
mode: %s
recipients: [%s]
routes:
  - {name: cameras, topics: ["cameras/#"]}
  - {name: fleet, topics: ["fleet/#", "lorawan/#"]}
  - {name: devices, topics: ["devices/#", "plc/#", "serial/#"]}
  - {name: everything else, topics: ["#"]}
`, mode, audience)
}

func agentFile(cloudAddr string) []byte {
	return fmt.Appendf(nil, `gateway: %s
site: %s
state: state
ingress:
  broker: {listeners: [{address: "127.0.0.1:0"}], anonymous: true}
uplinks:
  cloud:
    url: "mqtt://%s"
    topics: [{pattern: "#", remote_prefix: "{site}/{gateway}/"}]
policy: policy.yaml
keys: {recipients: recipients.bundle, trust_root: root.json}
spool: {size: 64MiB, volatile: true}
guard: {observe_until: %s}
metrics: {listen: "127.0.0.1:0"}
`, gateway, siteName, cloudAddr, time.Now().UTC().Format(time.DateOnly))
}
