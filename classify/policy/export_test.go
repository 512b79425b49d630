package policy

import (
	"github.com/sealgate/sealgate/classify"
	"github.com/sealgate/sealgate/classify/payload"
)

// Redecide decides again about a verdict: the stage of Judge that is this
// package's own, for its benchmark.
func Redecide(p *Policy, s *Scratch, v *Verdict) {
	s.actions, s.decisions, s.done = s.actions[:0], s.decisions[:0], [2]bool{}
	for i, u := range v.Route.Uplinks {
		pl := plan{p: p, s: s, d: v.Document, t: &v.Route.rules.uplinks[i], findings: v.Findings}
		pl.raise(MessagePass, payload.ReasonNone)
		s.decisions = append(s.decisions, pl.decide(u, v.Grade, false))
	}
}

// Break makes judging panic.
func Break(p *Policy) { p.classifier = (*classify.Classifier)(nil) }
