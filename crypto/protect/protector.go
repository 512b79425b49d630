package protect

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/sealgate/sealgate/classify"
	"github.com/sealgate/sealgate/classify/payload"
	"github.com/sealgate/sealgate/classify/policy"
	"github.com/sealgate/sealgate/crypto"
	"github.com/sealgate/sealgate/crypto/envelope"
)

// Options configures a Protector.
type Options struct {
	Policy        *policy.Policy
	Gateway       string
	Recipients    []envelope.Recipient // who may open, the recovery keys among them; empty: nothing that needs a key leaves
	BundleVersion uint64
	Signer        *crypto.Signer
	Pseudonyms    func(domains []string) (*crypto.Pseudonymizer, error) // reads or makes the keys of the policy's domains
	Boot          uint64                                                // counter, persisted before the first seal of each start
	Reference     bool                                                  // leave grants out of the messages
	Limits        envelope.Limits
}

// Protector carries out the decisions of one policy. It is immutable, but for
// the data keys in its sealers, and safe for concurrent use.
type Protector struct {
	policy  *policy.Policy
	applies []apply            // by Action.ID
	sealers []*envelope.Sealer // by Action.ID of encrypt and seal: the one of its recipients
	closed  error              // why nothing can be sealed
	scratch sync.Pool
}

// New prepares every action of a policy. Without recipients it returns a
// Protector that is not Usable: it still passes what needs no key.
func New(o Options) (*Protector, error) {
	if o.Policy == nil || o.Signer == nil || o.Pseudonyms == nil || o.Gateway == "" {
		return nil, errors.New("prepare protection: policy, signer, pseudonyms and gateway are required")
	}
	p := &Protector{policy: o.Policy}
	p.scratch.New = func() any { return &scratch{} }
	actions := o.Policy.Actions()

	var domains []string
	for _, a := range actions {
		if d := a.Strings["domain"]; a.Spec.Name == "pseudonymize" && !slices.Contains(domains, d) {
			domains = append(domains, d)
		}
	}
	var k keys
	var err error
	if len(domains) > 0 {
		if k.pseudonyms, err = o.Pseudonyms(domains); err != nil {
			return nil, fmt.Errorf("prepare protection: %w", err)
		}
	}
	if p.applies, err = prepare(actions, k); err != nil {
		return nil, fmt.Errorf("prepare protection: %w", err)
	}
	if len(o.Recipients) == 0 {
		p.closed = errors.New("there is no recipient")
		return p, nil
	}
	return p, p.prepareSealers(actions, o)
}

// prepareSealers makes one sealer for each set of recipients that the policy
// uses.
func (p *Protector) prepareSealers(actions []*policy.Action, o Options) error {
	p.sealers = make([]*envelope.Sealer, len(actions))
	bySet := map[string]*envelope.Sealer{}
	for _, a := range actions {
		if a.Spec.Name != "encrypt" && a.Spec.Name != "seal" {
			continue
		}
		set := slices.Clone(a.Recipients)
		if len(set) == 0 {
			set = o.Policy.Recipients()
		}
		slices.Sort(set)
		set = slices.Compact(set)
		id := strings.Join(set, "\x00")
		if bySet[id] == nil {
			s, err := envelope.NewSealer(envelope.SealerOptions{
				Gateway: o.Gateway, Recipients: choose(o.Recipients, set), Signer: o.Signer, Boot: o.Boot,
				BundleVersion: o.BundleVersion, Reference: o.Reference, Limits: o.Limits,
			})
			if err != nil {
				return fmt.Errorf("prepare sealing for %s: %w", strings.Join(set, ", "), err)
			}
			bySet[id] = s
		}
		p.sealers[a.ID] = bySet[id]
	}
	return nil
}

// choose returns the keys of the audiences in set and the recovery keys. An
// empty set means every audience.
func choose(all []envelope.Recipient, set []string) (out []envelope.Recipient) {
	for _, r := range all {
		if r.Recovery || len(set) == 0 || slices.Contains(set, r.Audience) {
			out = append(out, r)
		}
	}
	return out
}

// Closed returns a Protector with no key at all: what needs one is held.
func Closed(p *policy.Policy, why error) *Protector {
	c := &Protector{policy: p, applies: make([]apply, len(p.Actions())), closed: why}
	c.scratch.New = func() any { return &scratch{} }
	return c
}

// Usable returns why nothing can be sealed, nil where it can.
func (p *Protector) Usable() error { return p.closed }

// Rotate makes the next message start a new data key for each set of
// recipients.
func (p *Protector) Rotate() {
	for _, s := range p.sealers {
		if s != nil {
			s.Rotate()
		}
	}
}

// scratch is the memory of one call.
type scratch struct {
	edits   []payload.Edit
	topics  []payload.Edit
	values  []byte // replacements, one after the other
	doc     []byte // the edited document
	topic   []byte
	ciphers []cipher
	fields  []envelope.FieldCipher
	sealers []*envelope.Sealer
	leases  []*envelope.Lease
}

// A cipher is a field to encrypt.
type cipher struct {
	field  int32
	sealer *envelope.Sealer
}

// job is one call of Protect.
type job struct {
	p *Protector
	v *policy.Verdict
	d *policy.Decision
	r Request
	s *scratch
	o Output

	tightened policy.Reason // a transform did not fit: the field is encrypted instead
}

// Protect carries out one decision of a verdict. It never fails: what can't be
// done as planned is done more strictly, and where nothing can be done the
// outcome is held.
func (p *Protector) Protect(v *policy.Verdict, d *policy.Decision, r Request) (out Output) {
	s := p.scratch.Get().(*scratch)
	defer p.scratch.Put(s)
	j := &job{p: p, v: v, d: d, r: r, s: s}
	defer func() {
		if recover() != nil { // the value may hold data: never printed
			out = Output{Outcome: OutcomeHeld, WouldBe: OutcomeHeld, Reason: policy.ReasonPanic, MessageID: r.MessageID}
		}
	}()
	s.edits, s.topics, s.values, s.ciphers = s.edits[:0], s.topics[:0], s.values[:0], s.ciphers[:0]
	j.o = Output{MessageID: r.MessageID, Residual: d.Residual, Reason: d.Reason}
	if d.Mode == policy.Observe {
		return j.observe()
	}
	j.run()
	j.o.WouldBe = j.o.Outcome
	return j.o
}

func (j *job) run() {
	if !j.mapTopic() {
		j.seal(ReasonTransform)
		return
	}
	switch j.d.Message {
	case policy.MessageBlock:
		j.block()
	case policy.MessageSeal:
		j.seal(j.d.Reason)
	case policy.MessagePass:
		j.fields()
	default:
		j.block() // a value that this version does not know
	}
}

func (j *job) block() {
	j.o.Outcome, j.o.Payload, j.o.Residual = OutcomeBlocked, nil, classify.L1
}

// held: no key is usable, so nothing may leave.
func (j *job) held() {
	j.o = Output{MessageID: j.r.MessageID, Outcome: OutcomeHeld, Reason: ReasonNoKey}
}

// fields carries out the actions on fields, or seals where one can't be.
func (j *job) fields() {
	for i := range j.d.Fields {
		if fa := &j.d.Fields[i]; j.v.Document.Fields[fa.Field].Kind != payload.KindTopic {
			if !j.field(fa) {
				j.seal(ReasonTransform)
				return
			}
		}
	}
	doc := j.v.Document
	if len(j.s.edits) == 0 {
		j.o.Payload = doc.Raw
		j.o.Outcome = OutcomePassed
		if len(j.s.topics) > j.r.Mapping.Strip {
			j.o.Outcome = OutcomeTransformed
		}
		return
	}
	edited, err := doc.Append(j.s.doc[:0], j.s.edits)
	if err != nil {
		j.seal(policy.ReasonUnfit)
		return
	}
	j.s.doc = edited
	if len(j.s.ciphers) > 0 {
		j.encrypt(edited)
		return
	}
	j.o.Outcome, j.o.Payload = OutcomeTransformed, slices.Clone(edited)
}

// field turns one action into an edit. It reports false where the message has
// to be sealed.
func (j *job) field(fa *policy.FieldAction) bool {
	switch name := fa.Action.Spec.Name; name {
	case "pass":
		return true
	case "encrypt":
		j.o.Actions++
		return j.cipher(fa, fa.Action, fa.Action.Leave)
	case "seal", "block":
		return false // a message-level action here: the decision should have said so
	}
	j.o.Actions++
	if j.edit(fa, fa.Action) {
		return true
	}
	// The transform does not fit the value: what is encrypted fits always.
	j.tightened = ReasonTransform
	return j.cipher(fa, j.d.Seal, nil)
}

// edit carries out a transform on a field or a part of its text.
func (j *job) edit(fa *policy.FieldAction, a *policy.Action) bool {
	doc := j.v.Document
	f := &doc.Fields[fa.Field]
	v := value{doc: doc, field: fa.Field, kind: f.Kind, text: doc.Text(fa.Field), class: fa.Class}
	part := fa.End > 0 && (fa.Start > 0 || int(fa.End) < len(v.text))
	if part {
		if int(fa.End) > len(v.text) || fa.Start >= fa.End {
			return false
		}
		v.text, v.kind = v.text[fa.Start:fa.End], payload.KindString
	}
	run := j.p.applies[a.ID]
	if run == nil {
		return false
	}
	from := len(j.s.values)
	out, kind, ok := run(j.s.values, v)
	if !ok {
		return false
	}
	j.s.values = out
	e := payload.Edit{Field: fa.Field, Kind: kind, Value: out[from:len(out):len(out)]}
	switch {
	case part && (kind == payload.EditString || kind == payload.EditRemove):
		e.Kind, e.Start, e.End = payload.EditString, fa.Start, fa.End
	case part:
		return false
	case kind == payload.EditString:
		e.WholeText = true
	}
	if !f.Accepts.Has(e.Kind) {
		return false
	}
	if f.Kind == payload.KindTopic {
		j.s.topics = append(j.s.topics, e)
	} else {
		j.s.edits = append(j.s.edits, e)
	}
	return true
}

// cipher notes that a whole field is to be encrypted, and what is left in its
// place.
func (j *job) cipher(fa *policy.FieldAction, a, leave *policy.Action) bool {
	f := &j.v.Document.Fields[fa.Field]
	if !j.v.Document.TopLevelObject() || f.Parent < 0 || !f.Accepts.Has(payload.EditRaw) {
		return false
	}
	if j.p.closed != nil {
		return false // sealing will hold the message
	}
	whole := *fa
	whole.Start, whole.End = 0, 0
	// Earlier edits on parts of this field are superseded by the field itself.
	j.s.edits = slices.DeleteFunc(j.s.edits, func(e payload.Edit) bool { return e.Field == fa.Field })
	if slices.ContainsFunc(j.s.ciphers, func(c cipher) bool { return c.field == fa.Field }) {
		j.s.edits = append(j.s.edits, payload.Edit{Field: fa.Field, Kind: payload.EditRaw, Value: null})
		return true
	}
	j.s.ciphers = append(j.s.ciphers, cipher{fa.Field, j.p.sealers[a.ID]})
	if leave != nil && j.edit(&whole, leave) {
		return true
	}
	j.s.edits = append(j.s.edits, payload.Edit{Field: fa.Field, Kind: payload.EditRaw, Value: null})
	return true
}

var null = []byte("null")

// encrypt seals the noted fields into the edited document.
func (j *job) encrypt(edited []byte) {
	s := j.s
	s.fields, s.sealers, s.leases = s.fields[:0], s.sealers[:0], s.leases[:0]
	for _, c := range s.ciphers {
		key := slices.Index(s.sealers, c.sealer)
		if key < 0 {
			key, s.sealers = len(s.sealers), append(s.sealers, c.sealer)
		}
		s.fields = append(s.fields, envelope.FieldCipher{
			Pointer: j.pointer(c.field), Plaintext: j.v.Document.Value(c.field), Key: key,
		})
	}
	for key, sealer := range s.sealers {
		n, size := 1, 0 // the document tag
		for i := range s.fields {
			if s.fields[i].Key == key {
				n, size = n+1, size+len(s.fields[i].Plaintext)
			}
		}
		lease, err := sealer.Lease(n, size)
		if err != nil {
			j.held()
			return
		}
		s.leases = append(s.leases, lease)
	}
	out, err := s.leases[0].SealFields(make([]byte, 0, len(edited)+1024), j.stamp(""), edited, s.fields, s.leases[1:]...)
	if err != nil {
		j.seal(ReasonShape)
		return
	}
	j.o.Outcome, j.o.Payload = OutcomeEncrypted, out
	if j.tightened != "" {
		j.o.Reason = j.tightened
	}
	j.keys(s.leases)
}

func (j *job) keys(leases []*envelope.Lease) {
	for _, l := range leases {
		j.o.KIDs = append(j.o.KIDs, l.KID())
		j.o.Grants = append(j.o.Grants, l.Grant())
	}
}

func (j *job) stamp(realTopic string) envelope.Stamp {
	return envelope.Stamp{
		Stream: j.r.Stream, Seq: j.r.Seq, MessageID: j.r.MessageID,
		Grade: uint8(j.d.Grade), PolicyVersion: j.p.policy.Version(),
		Topic: j.o.Topic, RealTopic: realTopic,
	}
}

// seal makes the whole message an envelope.
func (j *job) seal(reason policy.Reason) {
	a := j.d.Seal
	if j.p.closed != nil || a == nil || j.p.sealers[a.ID] == nil {
		j.held()
		return
	}
	real, ok := j.sealTopic(a.Strings["topic"])
	if !ok {
		j.held()
		return
	}
	raw := j.v.Document.Raw
	lease, err := j.p.sealers[a.ID].Lease(1, len(raw)+len(real))
	if err != nil {
		j.held()
		return
	}
	enc := envelope.EncodingCOSE
	if a.Strings["encoding"] == "json" {
		enc = envelope.EncodingJSON
	}
	out, err := lease.SealMessage(make([]byte, 0, len(raw)+1024), j.stamp(real), raw, enc)
	if err != nil {
		j.held()
		return
	}
	j.o.Outcome, j.o.Payload, j.o.Reason, j.o.Residual, j.o.Actions = OutcomeSealed, out, reason, classify.L1, 0
	j.keys([]*envelope.Lease{lease})
}

// observe leaves the bytes as they are and says what enforcing would do.
func (j *job) observe() Output {
	o := &j.o
	o.Topic, o.Payload, o.Outcome, o.Residual = j.plainTopic(), j.v.Document.Raw, OutcomePassed, j.d.Grade
	switch j.d.Message {
	case policy.MessagePass:
		o.WouldBe = OutcomePassed
		for i := range j.d.Fields {
			switch j.d.Fields[i].Action.Spec.Strength {
			case policy.StrengthPass:
			case policy.StrengthTransform:
				o.WouldBe = max(o.WouldBe, OutcomeTransformed)
			default:
				o.WouldBe = OutcomeEncrypted
			}
		}
	case policy.MessageSeal:
		o.WouldBe = OutcomeSealed
	default:
		o.WouldBe = OutcomeBlocked
	}
	return j.o
}
