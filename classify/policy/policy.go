// Package policy routes messages and decides what happens to them.
//
// Mental model: a policy is a document written by people and compiled whole
// into an immutable [Policy]. [Policy.Route] picks a [Route] for a topic;
// [Policy.Judge] runs payload, classify and decide for one message and returns
// a [Verdict]: the parsed document, the findings, and one [Decision] for each
// uplink of the route. A Decision is data: a plan for package protect, which
// may only tighten it.
//
// Everything that can go wrong (an unreadable payload, a detector that panics)
// becomes a Decision with a Reason. Nothing here performs I/O or touches a key.
package policy

import (
	"time"

	"github.com/sealgate/sealgate/classify"
	"github.com/sealgate/sealgate/classify/payload"
)

// Reason says in a closed word why a decision is stricter than the rule.
type Reason = payload.Reason

// Reasons of this package.
const (
	ReasonGrade        Reason = "grade"        // the message-level action for the residual grade
	ReasonGuard        Reason = "guard"        // raised to the guard's minimum
	ReasonInKey        Reason = "in_key"       // a finding stands in a key of the document
	ReasonUnfit        Reason = "unfit"        // the format can't carry out the edit there
	ReasonPanic        Reason = "panic"        // judging panicked; the message is sealed
	ReasonUnclassified Reason = "unclassified" // strict: nobody declared this field
	ReasonAudience     Reason = "audience"     // no envelope keeps each part to its own recipients
	ReasonNoRoute      Reason = "no_route"     // a "$…" topic without a route
)

// Mode says whether a decision is carried out.
type Mode uint8

// The modes. The zero value protects.
const (
	Enforce Mode = iota
	Observe      // bytes leave unchanged; what would have happened is recorded
)

// Strength orders actions by how much they protect.
type Strength uint8

// The strengths, weakest first.
const (
	StrengthPass Strength = iota
	StrengthTransform
	StrengthEncrypt // encrypt, remove, seal
	StrengthBlock
)

// Target says what an action may be applied to.
type Target uint8

// The targets.
const (
	OnField Target = 1 << iota
	OnTopicLevel
	OnMessage
)

// Residue says what is left of a field's grade and class after an action.
type Residue uint8

// The residues.
const (
	ResidueSame   Residue = iota // unchanged
	ResidueLower2                // the lower of its own grade and L2: pseudonymized, masked, truncated
	ResidueCoarse                // its coarse class, where the taxonomy has one and the parameters reach it; else unchanged
	ResidueGone                  // nothing: L1
)

// An ActionSpec describes an action: what the policy parser accepts and what
// the decision assumes about its effect. Package protect carries the specs of
// its transforms; the policy gets them injected.
type ActionSpec struct {
	Name     string
	On       Target
	Strength Strength
	Residue  Residue
	Params   []ParamSpec
	Doc      string           // one line for people
	Edits    payload.EditMask // a field must accept one of these (none: anything will do); part of a text always needs EditString
	Becomes  string           // the type that every value has afterwards: "string", "null", "absent"; empty: its own
	CanLeave bool             // may stand as encrypt's `leave`
	Trailer  bool             // needs a member of its own in the document, which then must be one object

	Check  func(class classify.ClassID, a *Action) error // optional: do the parameters make sense for this class (ClassNone: for any)
	Coarse func(a *Action) bool                          // optional, ResidueCoarse: do the parameters reach the coarse class
	Floor  func(a *Action) bool                          // optional: do the parameters reach the guard's floor; below it the action counts as pass
}

// ParamKind is the type of a parameter.
type ParamKind uint8

// The parameter kinds.
const (
	ParamInt ParamKind = iota + 1
	ParamDuration
	ParamString     // one of Enum, if that is set
	ParamName       // an identifier: [a-z0-9][a-z0-9-]{0,63}
	ParamAction     // a nested action (encrypt's leave)
	ParamRecipients // a list of audiences
)

// A ParamSpec describes one parameter of an action.
type ParamSpec struct {
	Name     string
	Kind     ParamKind
	Min, Max int64    // ParamInt, and ParamDuration in seconds; ParamString: of its length in bytes, 0: no bound
	Default  int64    // where it is not given
	Text     string   // ParamString and ParamName: the default
	Enum     []string // ParamString
	Required bool     // must be given
	Optional bool     // where it is not given it is absent from the Action: no default
	Doc      string
}

// An Action is one use of an ActionSpec in a compiled policy, immutable. ID is
// its index in Policy.Actions, so that package protect can prepare each once.
type Action struct {
	ID         int
	Spec       *ActionSpec
	Ints       map[string]int64 // ParamInt; ParamDuration in seconds. Defaults are filled in
	Strings    map[string]string
	Leave      *Action  // nil: null
	Recipients []string // audiences; empty: the policy's

	text     string   // canonical, see String
	rank     uint8    // orders actions by what they protect
	strength Strength // what the guard counts it as
	residue  Residue  // after Leave
	edits    payload.EditMask
	audience audience // who can open it
}

// A FieldAction is what to do with one finding, or one unclassified leaf.
type FieldAction struct {
	Finding    int32  // index into Verdict.Findings, -1 for an unclassified leaf
	Field      int32  // index into Document.Fields
	Start, End uint32 // range in the field's Text; 0, 0: the whole field
	Action     *Action
	Class      classify.ClassID
	Grade      classify.Grade
}

// MessageAction is what happens to the message as a whole.
type MessageAction uint8

// The message-level actions, weakest first.
const (
	MessagePass  MessageAction = iota // leaves, with its field actions carried out
	MessageSeal                       // becomes an envelope
	MessageBlock                      // does not leave
)

// String returns "pass", "seal" or "block".
func (a MessageAction) String() string {
	switch a {
	case MessagePass:
		return "pass"
	case MessageSeal:
		return "seal"
	}
	return "block"
}

// A Decision is the plan for one uplink. Package protect may only tighten it.
// Where Message is MessageSeal the payload is sealed as the device sent it, and
// only the actions on topic levels are carried out beside.
type Decision struct {
	Uplink     int // index into the vocabulary's uplinks
	Mode       Mode
	Message    MessageAction
	Fields     []FieldAction     // ordered by field, then start; topic levels first
	Seal       *Action           // parameters of seal (encoding, recipients); set even where Message is pass, for tightening
	Grade      classify.Grade    // before
	Residual   classify.Grade    // after the field actions: what the message-level action is decided on. Ungraded: unreadable
	Observed   classify.ClassSet // found, and left as they are because the policy only observes them
	Loose      int               // unclassified leaves: encrypted, or passed by unclassified: pass; where that or balanced holds, numbers and the like are not counted
	Reason     Reason            // why stricter than the field actions alone
	GuardRaise bool              // the guard corrected the plan
}

// A Verdict is what Judge returns. It belongs to the Scratch and lives until
// the next Judge on it.
type Verdict struct {
	Route     *Route
	Document  *payload.Document
	Findings  []classify.Finding
	Grade     classify.Grade
	Classes   classify.ClassSet
	Reason    Reason // why unreadable, if it is
	Decisions []Decision
}

// Input is one message to judge.
type Input struct {
	Topic   string // as the device published it
	Payload []byte
	Retain  bool
	Now     int64   // boot-time clock, nanoseconds
	Births  *Births // names the metrics of Sparkplug B by alias; nil: they stay unnamed, and that is no fault
	Subject uint64  // see classify.Context
}

// Lane is the log that a route's messages wait in, and by that their priority.
type Lane uint8

// The lanes.
const (
	LaneNormal Lane = iota
	LaneHigh
	LaneLow
	LaneLatest // of routes that say `offline: latest`
)

// String returns "normal", "high", "low" or "latest".
func (l Lane) String() string { return [...]string{"normal", "high", "low", "latest"}[l] }

// Offline says what a route wants while its uplink is down.
type Offline uint8

// The offline behaviours.
const (
	OfflineQueue  Offline = iota // keep everything, in order
	OfflineLatest                // keep the newest of each topic
	OfflineDrop                  // keep nothing
)

// A Route is one compiled route of a policy, immutable.
type Route struct {
	ID      int    // index in Policy.Routes
	Name    string // closed set: safe as a label
	Lane    Lane
	OrderBy OrderBy
	Offline Offline
	MaxAge  time.Duration // older messages are not sent any more; 0: all are
	Uplinks []int         // indices into the vocabulary's uplinks that this route goes to
	Mode    Mode          // Observe only where every uplink of the route observes
	Record  Record

	rules *routeRules
}

// OrderBy says within which key a route keeps the order of messages.
type OrderBy uint8

// The order keys.
const (
	OrderTopic         OrderBy = iota
	OrderSparkplugNode         // group and edge node of "spBv1.0/group/type/node[/device]"
)

// Record is what a record of processing activities says about a route (GDPR
// art. 30, PIPL art. 55). It changes nothing that is decided.
type Record struct {
	Purpose    string
	LegalBasis string
	Retention  time.Duration // 0: not stated
	Transfer   string        // to which third country; "none"
}

// Vocabulary is what a policy may name: injected by the caller, so that this
// package needs no key and no uplink to check a policy.
type Vocabulary struct {
	Actions    []*ActionSpec
	Uplinks    []string // nil: any name is accepted, in order of appearance; one named "default" where the policy names none
	Recipients []string // nil: any name is accepted
}

// Guard is what no policy can loosen. Its documentation for people is in
// package config, which reads it from agent.yaml. The zero value is the
// strictest that is usable: L3 transform, L4 encrypt, L5 block, no observe mode.
type Guard struct {
	Profile         string                    // empty: the policy's
	Minimum         map[classify.Grade]string // nil: {L3: transform, L4: encrypt, L5: block}
	Observe         bool                      // observe mode is permitted now
	Expired         bool                      // observe mode was permitted and is over: what observes is accepted, and enforced
	Recipients      []string                  // nil: the policy's; else the only audiences it may use
	AllowUnreadable bool                      // a route may let unreadable payloads pass (with a reason)
	AllowUnclass    bool                      // `unclassified: pass` is permitted
	Detectors       []classify.Custom         // the site's own that are there whatever the policy says
	RequireStrict   bool                      // `unclassified` must be strict, which then is also the default
}
