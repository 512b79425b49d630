package control

import (
	"errors"

	"github.com/sealgate/sealgate/crypto/signed"
)

// A Code says what became of an offer. The set is closed: it is a metric's
// label and part of the status.
type Code string

// What became of a document that was admitted.
const (
	CodeApplied   Code = "applied"   // in force
	CodeUnchanged Code = "unchanged" // known already
	CodeHeld      Code = "held"      // the rollout does not select this gateway
	CodeShadowed  Code = "shadowed"  // admitted; the gateway's own policy goes before its group's
	CodeWaiting   Code = "waiting"   // a trust root that came before the one it follows
)

// Why an offer was refused, in the order of the checks.
const (
	CodeTopic      Code = "topic"      // not a topic of this gateway
	CodeEmpty      Code = "empty"      // a retained message was deleted
	CodeSize       Code = "size"       // too large
	CodeFormat     Code = "format"     // malformed
	CodeType       Code = "type"       // of another payload type
	CodeSignature  Code = "signature"  // too few of the role's keys signed it
	CodeSite       Code = "site"       // for another site
	CodeStream     Code = "stream"     // of another stream
	CodeTarget     Code = "target"     // for another gateway or group
	CodeEpoch      Code = "epoch"      // made under another trust root
	CodeRollback   Code = "rollback"   // older than what was accepted, or another one of the same version
	CodeExpired    Code = "expired"    // its validity is over
	CodeFuture     Code = "future"     // issued more than a day ahead of trusted time
	CodeStale      Code = "stale"      // the freshness list names a later one, and this one loosens
	CodeAgent      Code = "agent"      // needs a later agent
	CodeGuard      Code = "guard"      // loosens what the guard holds
	CodeContent    Code = "content"    // does not compile, or fails its self-tests
	CodeStorage    Code = "storage"    // can't be written down
	CodeActivation Code = "activation" // the host could not take it into force
	CodeProbe      Code = "probe"      // what is in force does not seal and open
	CodePanic      Code = "panic"      // the host panicked on messages
	CodeCrash      Code = "crash"      // the agent was started again and again with it
	CodeFailed     Code = "failed"     // failed before, and is not tried again
	CodeChallenge  Code = "challenge"  // a command that does not echo the present challenge
	CodeExecute    Code = "execute"    // a command that could not be carried out
)

// accepted tells whether a code is that of an offer that was not refused.
func (c Code) accepted() bool {
	return c == CodeApplied || c == CodeUnchanged || c == CodeHeld || c == CodeShadowed || c == CodeWaiting
}

// Codes lists all codes.
func Codes() []Code {
	return []Code{
		CodeApplied, CodeUnchanged, CodeHeld, CodeShadowed, CodeWaiting,
		CodeTopic, CodeEmpty, CodeSize, CodeFormat, CodeType, CodeSignature, CodeSite, CodeStream, CodeTarget, CodeEpoch, CodeRollback,
		CodeExpired, CodeFuture, CodeStale, CodeAgent, CodeGuard, CodeContent, CodeStorage, CodeActivation, CodeProbe, CodePanic, CodeCrash,
		CodeFailed, CodeChallenge, CodeExecute,
	}
}

// codeOf maps the reasons of package signed.
func codeOf(err error) Code {
	for _, m := range []struct {
		err  error
		code Code
	}{
		{signed.ErrSize, CodeSize}, {signed.ErrType, CodeType}, {signed.ErrThreshold, CodeSignature},
		{signed.ErrTarget, CodeSite}, {signed.ErrStream, CodeStream}, {signed.ErrEpoch, CodeEpoch},
		{signed.ErrRollback, CodeRollback}, {signed.ErrExpired, CodeExpired}, {signed.ErrNotYet, CodeFuture},
	} {
		if errors.Is(err, m.err) {
			return m.code
		}
	}
	return CodeFormat
}
