package corridor

import (
	"time"

	"github.com/sealgate/sealgate/classify"
	"github.com/sealgate/sealgate/classify/policy"
	"github.com/sealgate/sealgate/crypto/protect"
)

// An Event is what happened to one message on one uplink. It holds closed
// values only: no topic, no client id, no payload. Metrics, audit and incident
// rules are fed from it.
type Event struct {
	Route      string // name of the policy's route
	Uplink     string // name in agent.yaml
	Mode       policy.Mode
	Grade      classify.Grade
	Residual   classify.Grade
	Outcome    protect.Outcome // effective
	WouldBe    protect.Outcome // observe mode: what enforcing would have done
	Reason     policy.Reason
	Classes    classify.ClassSet
	Observed   classify.ClassSet // of these: only observed, and left as they were
	Loose      int               // fields that nobody classified: see policy.Decision
	Findings   int               // number of findings
	Actions    protect.Counts    // carried out on fields and topic levels
	Guard      bool              // the guard corrected the plan
	Unreadable bool              // the payload could not be read
	InBytes    int               // payload as published by the device
	OutBytes   int               // payload as stored for the uplink

	Received time.Time     // wall clock, for people
	Queue    time.Duration // ingress to worker
	Judge    time.Duration
	Protect  time.Duration
	Commit   time.Duration // worker to the log; the flush comes behind
}
