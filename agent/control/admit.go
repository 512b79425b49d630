package control

import (
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/sealgate/sealgate/classify/policy"
	"github.com/sealgate/sealgate/crypto/signed"
)

// admitPolicy admits a policy for this gateway or its group. The order of the
// checks is fixed: nothing is parsed before it is verified, and nothing is
// compiled that would not be accepted anyway.
func (g *Gate) admitPolicy(name string, raw []byte) (Code, error) {
	if name != "g/"+g.opt.Group && name != "d/"+g.opt.Gateway {
		return refuse(CodeTarget, "the topic is another target's")
	}
	body, err := g.verify(signed.RolePolicy, signed.PolicyType, raw)
	if err != nil {
		return codeOf(err), err
	}
	p, err := signed.ParsePolicy(body)
	if err != nil {
		return codeOf(err), err
	}
	t := g.state.target(name)
	switch {
	case p.Site != g.opt.Site:
		return refuse(CodeSite, "it is for another site")
	case p.Target != name:
		return refuse(CodeTarget, "it is for another target than its topic's")
	case p.Epoch != g.root.Epoch:
		return refuse(CodeEpoch, fmt.Sprintf("it was made under epoch %d of the trust root, which is at %d", p.Epoch, g.root.Epoch))
	}
	g.offered[name] = signed.Reference{Version: p.Version, Hash: hexHash(p.Hash)}
	switch {
	case p.Version == t.Version && hexHash(p.Hash) == t.Hash && t.Failed != "":
		return refuse(CodeFailed, fmt.Sprintf("version %d failed before (%s); sign a new version", p.Version, t.Failed))
	case p.Version == t.Version && hexHash(p.Hash) == t.Hash:
		return CodeUnchanged, nil
	case p.Version <= t.Version:
		return refuse(CodeRollback, fmt.Sprintf("version %d is not above %d, which was accepted before", p.Version, t.Version))
	}
	if code, err := g.timely(p.IssuedAt, p.NotAfter); err != nil {
		return code, err
	}
	if !understands(g.opt.Version, p.MinAgent) {
		return refuse(CodeAgent, "it needs agent "+p.MinAgent+" or later; this is "+g.opt.Version)
	}
	if !p.Rollout.Selects(g.opt.Gateway) {
		return CodeHeld, nil
	}
	return g.change(p, body)
}

// change takes an admitted policy into force, if its target is the one that
// counts.
func (g *Gate) change(p *signed.Policy, body []byte) (Code, error) {
	t := g.state.target(p.Target)
	before := *t
	compiled, code, err := g.compile(p)
	if err != nil {
		return code, err
	}
	document, err := g.keep(body)
	if err != nil {
		return CodeStorage, err
	}
	*t = target{Version: p.Version, Hash: hexHash(p.Hash), Stands: p.Version, Document: document, NotAfter: p.NotAfter, Tombstone: p.Tombstone}
	next := g.choose()
	if next == g.state.Effective {
		if err := g.writeState(); err != nil {
			*t = before
			return CodeStorage, err
		}
		return CodeShadowed, nil
	}
	if p.Tombstone {
		if compiled, err = g.compileReference(next); err != nil {
			*t = before
			return CodeContent, err
		}
	}
	direction := policy.Diff(g.opt.Host.InForce(), compiled)
	if g.superseded(p) && direction.Direction == policy.Loosens {
		*t = before
		return refuse(CodeStale, "the freshness list names a later version, and this one loosens")
	}
	held := g.state
	g.state.Pending = &pending{
		Target: p.Target, Change: next, Previous: held.Effective, Restore: before, Sealed: held.Sealed,
		Keep:     slices.ContainsFunc(direction.Changes, func(c policy.Change) bool { return c.Direction == policy.Tightens }),
		Attempts: 1,
	}
	if old := held.Pending; old != nil {
		// The one before never proved itself: what was good before it is what
		// to fall back to, unless it tightened.
		g.state.Pending.Previous, g.state.Pending.Sealed = old.Previous, old.Sealed
		g.state.Pending.Keep = g.state.Pending.Keep || old.Keep
		if old.Target == p.Target {
			g.state.Pending.Restore = old.Restore
		}
	}
	g.state.Effective, g.state.Sealed = next, ""
	if err := g.writeState(); err != nil {
		g.state, *t = held, before
		return CodeStorage, err
	}
	if err := g.activate(); err != nil {
		return CodeActivation, errors.Join(err, g.fail(CodeActivation))
	}
	if err := g.opt.Host.Probe(); err != nil {
		return CodeProbe, errors.Join(err, g.fail(CodeProbe))
	}
	return CodeApplied, nil
}

// compile compiles the content under the guard, and tells a guard's refusal
// from that of a document that is wrong in itself. A tombstone has no content.
func (g *Gate) compile(p *signed.Policy) (*policy.Policy, Code, error) {
	if p.Tombstone {
		return nil, "", nil
	}
	compiled, err := g.opt.Host.Compile([]byte(p.Content), false)
	if err == nil {
		return compiled, "", nil
	}
	if _, bad := g.opt.Host.Compile([]byte(p.Content), true); bad == nil {
		return nil, CodeGuard, err
	}
	return nil, CodeContent, err
}

func (g *Gate) compileReference(r reference) (*policy.Policy, error) {
	if r.Hash == "" {
		return g.opt.Host.Compile(nil, false)
	}
	p, err := g.readPolicy(r.Hash)
	if err != nil {
		return nil, err
	}
	return g.opt.Host.Compile([]byte(p.Content), false)
}

// choose returns the policy that counts: the gateway's own, else its group's,
// else the one in its file.
func (g *Gate) choose() reference {
	for _, name := range []string{"d/" + g.opt.Gateway, "g/" + g.opt.Group} {
		if t := g.state.Targets[name]; t != nil && t.Document != "" && !t.Tombstone {
			return reference{Target: name, Version: t.Stands, Hash: t.Document}
		}
	}
	return reference{}
}

// superseded tells whether the freshness list knows a later version.
func (g *Gate) superseded(p *signed.Policy) bool {
	if !g.freshValid() {
		return false
	}
	e, ok := g.fresh.Entry(p.Target)
	return ok && (e.Version > p.Version || e.Version == p.Version && e.Hash != p.Hash)
}

func (g *Gate) freshValid() bool {
	now, _ := g.clock.now()
	return g.fresh != nil && now.Before(g.fresh.NotAfter)
}

// admitRecipients admits a recipients bundle. It is never taken back: a revoked
// recipient must not come again.
func (g *Gate) admitRecipients(raw []byte) (Code, error) {
	role, err := g.root.Role(signed.RoleRecipients)
	if err != nil {
		return CodeSignature, err
	}
	t := g.state.target(signed.RoleRecipients)
	now, firm := g.clock.now()
	expect := signed.Expect{Site: g.opt.Site, Floor: t.Version, Now: now, Bound: !firm}
	known := unhexHash(t.Hash, &expect.Hash)
	if !known {
		expect.Floor = 0 // a floor that a trust root set names no hash
	}
	b, err := signed.OpenBundle(raw, role, expect)
	if err != nil {
		return codeOf(err), err
	}
	g.offered[signed.RoleRecipients] = signed.Reference{Version: b.Version, Hash: hexHash(b.Hash)}
	switch {
	case !known && b.Version <= t.Version:
		return refuse(CodeRollback, "its version is not above the trust root's floor")
	case b.Version == t.Version && t.Document != "":
		return CodeUnchanged, nil
	}
	// The body is kept, not the envelope: that it was verified is in the state,
	// and the keys that signed it may not be the root's any more when it is read.
	body, err := role.Verify(raw, signed.BundleType)
	if err != nil {
		return codeOf(err), err
	}
	document, err := g.keep(body)
	if err != nil {
		return CodeStorage, err
	}
	before := *t
	*t = target{Version: b.Version, Hash: hexHash(b.Hash), Stands: b.Version, Document: document, NotAfter: b.NotAfter}
	if err := g.writeState(); err != nil {
		*t = before
		return CodeStorage, err
	}
	if err := g.activate(); err != nil {
		return CodeActivation, errors.Join(err, g.seal(CodeActivation))
	}
	if err := g.opt.Host.Probe(); err != nil {
		return CodeProbe, errors.Join(err, g.seal(CodeProbe))
	}
	g.sweep()
	return CodeApplied, nil
}

// maxRoots bounds the trust roots that wait for the ones before them.
const maxRoots = 16

// admitRoot admits the trust root that follows the one in force, and then those
// that waited for it.
func (g *Gate) admitRoot(raw []byte, number string) (Code, error) {
	n, err := strconv.ParseUint(number, 10, 63)
	if err != nil || len(raw) > signed.MaxEnvelope {
		return refuse(CodeFormat, "the topic has no number, or the trust root is too large")
	}
	switch {
	case n <= g.root.Version:
		return CodeUnchanged, nil
	case n > g.root.Version+1 && (n > g.root.Version+maxRoots || len(g.roots) >= maxRoots):
		return refuse(CodeRollback, "it is too far ahead")
	case n > g.root.Version+1:
		// Not looked into: only its predecessor can tell whether it is true.
		g.roots[n] = slices.Clone(raw)
		return CodeWaiting, nil
	}
	if err := g.follow(raw); err != nil {
		return codeOf(err), err
	}
	for raw, ok := g.roots[g.root.Version+1]; ok; raw, ok = g.roots[g.root.Version+1] {
		delete(g.roots, g.root.Version+1)
		if err := g.follow(raw); err != nil {
			return codeOf(err), err
		}
	}
	maps.DeleteFunc(g.roots, func(n uint64, _ []byte) bool { return n <= g.root.Version })
	return CodeApplied, nil
}

// follow replaces the trust root. In a new epoch the floors are those that the
// root sets. What is in force stays so until something new is admitted.
func (g *Gate) follow(raw []byte) error {
	next, body, err := signed.OpenRoot(g.root, raw)
	if err != nil {
		return err
	}
	g.state.Root = body
	if next.Epoch > g.root.Epoch {
		floors := map[string]uint64{}
		for _, f := range next.Floors {
			floors[f.Target] = f.Version
		}
		for name, t := range g.state.Targets {
			t.Version, t.Hash, t.Failed = floors[name], "", ""
		}
		g.state.Commands = floors["commands"]
		g.fresh = nil
		if err := g.state.newChallenge(); err != nil {
			return err
		}
	}
	if !next.Time.IsZero() {
		g.clock.reset(next.Time)
		g.fresh = nil
	}
	g.root = next
	return g.writeState()
}

// maxFreshness bounds how long a freshness list may hold: what one key that is
// online signs must not last.
const maxFreshness = 7 * 24 * time.Hour

// admitFresh admits a freshness list, and the time that it vouches for.
func (g *Gate) admitFresh(raw []byte) (Code, error) {
	body, err := g.verify(signed.RoleNow, signed.FreshType, raw)
	if err != nil {
		return codeOf(err), err
	}
	f, err := signed.ParseFresh(body)
	if err != nil {
		return codeOf(err), err
	}
	switch {
	case f.Site != g.opt.Site:
		return refuse(CodeSite, "it is for another site")
	case f.Epoch != g.root.Epoch:
		return refuse(CodeEpoch, "it was made in another epoch of the trust root")
	case f.NotAfter.Sub(f.IssuedAt) > maxFreshness:
		return refuse(CodeContent, "it holds for longer than 7 days")
	case g.fresh != nil && f.IssuedAt.Before(g.fresh.IssuedAt):
		return refuse(CodeRollback, "it is older than the one before")
	case g.fresh != nil && f.IssuedAt.Equal(g.fresh.IssuedAt):
		return CodeUnchanged, nil
	}
	if code, err := g.timely(f.IssuedAt, f.NotAfter); err != nil {
		return code, err
	}
	g.clock.vouch(f.IssuedAt)
	g.fresh = f
	if err := g.writeState(); err != nil {
		return CodeStorage, err
	}
	return CodeApplied, nil
}

// verify returns the body of an envelope that enough keys of a role signed.
func (g *Gate) verify(role, payloadType string, raw []byte) ([]byte, error) {
	r, err := g.root.Role(role)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", signed.ErrThreshold, err)
	}
	return r.Verify(raw, payloadType)
}

// timely checks a document's times against trusted time.
func (g *Gate) timely(issued, notAfter time.Time) (Code, error) {
	now, firm := g.clock.now()
	switch {
	case !now.Before(notAfter):
		return refuse(CodeExpired, "its validity ended at "+notAfter.Format(time.RFC3339))
	case firm && issued.After(now.Add(maxAhead)):
		return refuse(CodeFuture, "it was issued more than a day ahead of the time here: check both clocks")
	}
	return "", nil
}

// understands tells whether an agent of version have is at least want. A build
// without a version is a developer's, and understands everything.
func understands(have, want string) bool {
	if want == "" {
		return true
	}
	h, err := signed.ParseVersion(have)
	if err != nil {
		return true
	}
	w, err := signed.ParseVersion(want)
	return err == nil && slices.Compare(h[:], w[:]) >= 0
}

func unhexHash(s string, dst *[32]byte) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == len(dst) && copy(dst[:], b) == len(dst)
}
