package agent

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sealgate/sealgate/agent/control"
	"github.com/sealgate/sealgate/agent/telemetry"
	"github.com/sealgate/sealgate/classify/policy"
	"github.com/sealgate/sealgate/crypto"
	"github.com/sealgate/sealgate/crypto/envelope"
	"github.com/sealgate/sealgate/crypto/signed"
)

// openControl opens the gate for what the site's operators send, before the
// first rules are built: what was accepted in an earlier run is part of them.
func (a *Agent) openControl() error {
	if a.cfg.Control.Uplink == "" {
		return nil
	}
	raw, err := os.ReadFile(a.cfg.Keys.TrustRoot)
	if err != nil {
		return fmt.Errorf("read trust root: %w", err)
	}
	root, err := signed.ParseRoot(raw)
	if err != nil {
		return fmt.Errorf("trust root %s: %w", a.cfg.Keys.TrustRoot, err)
	}
	if root.Site != a.cfg.Site {
		return fmt.Errorf("trust root %s is for the site %q, and this gateway's site is %q: correct `site` in the configuration", a.cfg.Keys.TrustRoot, root.Site, a.cfg.Site)
	}
	key, err := a.keyring.State().Derive("control", nil, []byte(a.cfg.Gateway))
	if err != nil {
		return fmt.Errorf("derive key of the remote configuration: %w", err)
	}
	gate, err := control.Open(control.Options{
		Dir: filepath.Join(a.cfg.State, "control"), Site: a.cfg.Site, Gateway: a.cfg.Gateway, Group: a.cfg.Control.Group,
		Root: root, Version: a.opt.Build.Version, Built: a.opt.Build.Built, Boot: a.boot,
		Key: key, Signer: a.keyring.Signer(), Recipients: control.Floor(a.floor), Host: controlled{a},
		Clock:   control.Clock{Wall: time.Now, Boot: bootClock, BootID: bootID(), Synchronized: ClockSynchronized},
		Changed: a.askStatus, Logger: a.log,
	})
	if err != nil {
		return err
	}
	a.gate, a.remote = gate, gate.Effective()
	a.lifecycle.add("control", gate.Close)
	return nil
}

// controlled is the agent as its gate sees it.
type controlled struct{ *Agent }

func (c controlled) Compile(src []byte, unguarded bool) (*policy.Policy, error) {
	now := time.Now()
	guard := c.cfg.PolicyGuard(now)
	if unguarded {
		guard = control.Unguarded(guard.Profile)
	}
	if src == nil {
		var r rules
		p, err := c.readOwnPolicy(now, c.current().audiences, &r)
		return p, err
	}
	return policy.Compile(src, Vocabulary(c.cfg, c.current().audiences), guard)
}

func (c controlled) InForce() *policy.Policy { return c.corridor.Generation().Policy }

// Activate puts a remote configuration in force. Unlike Reload it takes no
// fallback: what can't be carried out as it is, is an error.
func (c controlled) Activate(e control.Effective) error {
	a := c.Agent
	a.reloading.Lock()
	defer a.reloading.Unlock()
	before := a.remote
	a.remote = e
	gen, rules := a.build(time.Now(), nil)
	err := rules.refused
	if err == nil && rules.noKey != nil && a.current().usable() {
		err = rules.noKey
	}
	if err == nil {
		err = a.raiseFloor(rules)
	}
	if err != nil {
		a.remote = before
		return err
	}
	a.corridor.Swap(gen)
	a.adopt(rules)
	a.metrics.ResetFlows()
	a.log.Info("rules swapped by remote configuration", "mode", rules.mode, "policy_version", rules.policy.Version, "policy_source", rules.policy.Source, "recipients_version", rules.bundle)
	return nil
}

// Probe seals a message to the recipients in force and to this gateway, opens
// it with the gateway's own key, and judges a message that must not pass. Where
// nothing can be sealed everything is held, which is safe.
func (c controlled) Probe() error {
	r := c.current()
	if !r.usable() {
		return nil
	}
	own := c.keyring.RecipientKey()
	sealer, err := envelope.NewSealer(envelope.SealerOptions{
		Gateway: c.cfg.Gateway, Boot: c.boot, Signer: c.keyring.Signer(), BundleVersion: r.bundle,
		Recipients: append([]envelope.Recipient{{Recipient: own.Recipient(), Audience: "probe"}}, r.recipients...),
	})
	if err != nil {
		return fmt.Errorf("probe: %w", err)
	}
	lease, err := sealer.Lease(1, 64)
	if err != nil {
		return fmt.Errorf("probe: %w", err)
	}
	message := []byte(`{"password":"` + strings.Repeat("pR0be-", 4) + `"}`)
	sealed, err := lease.SealMessage(nil, envelope.Stamp{Topic: "probe", Grade: 4, Sign: true}, message, envelope.EncodingCOSE)
	if err != nil {
		return fmt.Errorf("probe: %w", err)
	}
	opener, err := envelope.NewOpener(envelope.OpenerOptions{
		Keys: []*crypto.RecipientKey{own}, Mode: envelope.Archive,
		Verifiers: func(string) []*crypto.Verifier { return []*crypto.Verifier{c.Verifier()} },
	})
	if err != nil {
		return fmt.Errorf("probe: %w", err)
	}
	opened, err := opener.Open("probe", sealed)
	if err != nil || !bytes.Equal(opened.Payload, message) {
		return errors.Join(errors.New("probe: what was sealed does not open"), err)
	}
	p := c.InForce()
	var scratch policy.Scratch
	v := p.Judge(&scratch, c.state, p.Route("probe"), policy.Input{Topic: "probe", Payload: message})
	for i := range v.Decisions {
		if d := &v.Decisions[i]; d.Mode == policy.Enforce && d.Message == policy.MessagePass && len(d.Fields) == 0 {
			return errors.New("probe: a password would leave in clear")
		}
	}
	return nil
}

func (c controlled) Health() control.Health {
	s := c.corridor.Stats()
	return control.Health{Judged: s.Finished, Panics: s.Panics}
}

func (c controlled) Hold(on bool) {
	c.corridor.Hold(on)
	c.log.Warn("lockdown", "on", on)
}

func (c controlled) Execute(command, argument string) error {
	switch {
	case command == signed.Resync:
		c.resync()
		return nil
	case command == signed.RotateKeys && argument == "":
		c.corridor.Generation().Protector.Rotate()
		return nil
	case command == signed.RotateKeys:
		return errors.New("a key other than the data key is rotated at the gateway: sealgate keys rotate " + argument)
	case command == signed.ReleaseQuarantine:
		return c.releaseQuarantine(argument)
	}
	return errors.New("the command is not known here")
}

// releaseQuarantine sends what was quarantined on an uplink, or on all of them.
// The messages are protected as they were when they were set aside.
func (c controlled) releaseQuarantine(uplink string) error {
	opt, _ := spoolOptions(c.cfg)
	if uplink != "" && !slices.Contains(opt.Uplinks, uplink) {
		return fmt.Errorf("there is no uplink %q", uplink)
	}
	l := localQuarantine{c.spool, opt.Uplinks}
	all, err := l.list()
	if err != nil {
		return err
	}
	for _, q := range all {
		if uplink == "" || q.Uplink == uplink {
			if err := l.release(q.ID); err != nil {
				return err
			}
		}
	}
	return nil
}

// counters is what a status carries of the metrics.
func counters(s telemetry.Stats) []signed.Counter {
	out := []signed.Counter{
		{Name: "sealgate_ingress_received_total", Value: s.Ingress.Received},
		{Name: "sealgate_ingress_acknowledged_total", Value: s.Ingress.Acknowledged},
		{Name: "sealgate_spool_records", Value: uint64(max(s.Spool.Records, 0))},
		{Name: "sealgate_spool_bytes", Value: uint64(max(s.Spool.Bytes, 0))},
		{Name: "sealgate_held_messages", Value: s.Held},
		{Name: "sealgate_recovered_panics_total", Value: s.Panics},
		{Name: "sealgate_policy_version", Value: s.Policy.Version},
		{Name: "sealgate_recipients_version", Value: s.Recipients.Version},
	}
	var acknowledged, quarantined uint64
	for _, u := range s.Uplinks {
		acknowledged, quarantined = acknowledged+u.Acknowledged, quarantined+u.Quarantined
	}
	return append(out,
		signed.Counter{Name: "sealgate_uplink_acknowledged_total", Value: acknowledged},
		signed.Counter{Name: "sealgate_uplink_quarantined_total", Value: quarantined})
}

// remoteStats adds what the gate has to say.
func (a *Agent) remoteStats(s *telemetry.Stats) {
	if a.gate == nil {
		return
	}
	g := a.gate.Stats()
	for _, al := range g.Alarms {
		s.Alarms = append(s.Alarms, telemetry.Alarm(al))
	}
	s.Remote = &telemetry.RemoteStats{
		Offers: g.Offers, Version: g.Version, NotAfter: g.NotAfter,
		Probation: g.Probation, Lockdown: g.Lockdown, RootVersion: g.RootVersion,
	}
}
