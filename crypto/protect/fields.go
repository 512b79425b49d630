package protect

import (
	"encoding/json"

	"github.com/sealgate/sealgate/classify/payload"
	"github.com/sealgate/sealgate/classify/policy"
)

// A cipher is a field to encrypt, or the part of a plain text from start to end.
type cipher struct {
	field      int32
	start, end uint32
	sealer     *sealer
}

var null = []byte("null")

// plan turns the actions on fields into edits and ciphers. It reports false
// where it had to do something to the whole message instead.
func (j *job) plan() bool {
	for rest := j.d.Fields; len(rest) > 0; {
		n := 1
		for n < len(rest) && rest[n].Field == rest[0].Field {
			n++
		}
		if j.v.Document.Fields[rest[0].Field].Kind != payload.KindTopic && !j.field(rest[:n]) {
			return false
		}
		rest = rest[n:]
	}
	return true
}

// field carries out all actions on one field. Where they don't fit the field or
// each other it is encrypted whole, and no edit of a part remains.
func (j *job) field(actions []policy.FieldAction) bool {
	field := actions[0].Field
	var encrypt *policy.Action
	todo, whole := 0, false
	for i := range actions {
		a := actions[i].Action
		switch spec := a.Spec; {
		case spec.On&policy.OnField == 0: // the decision should have been one on the message
			if spec.Strength >= policy.StrengthBlock {
				j.block(policy.ReasonUnfit)
			} else {
				j.seal(policy.ReasonUnfit)
			}
			return false
		case spec.Strength == policy.StrengthPass:
			continue
		case spec.Trailer && encrypt != nil && j.p.sealers[a.ID] != j.p.sealers[encrypt.ID]:
			j.seal(policy.ReasonAudience)
			return false
		case spec.Trailer:
			encrypt = a
		}
		todo++
		whole = whole || actions[i].End == 0
	}
	if todo == 0 {
		return true
	}
	if j.outer >= 0 && j.v.Document.Fields[field].Raw.Start < j.v.Document.Fields[j.outer].Raw.End {
		return j.swallow(encrypt)
	}
	if encrypt != nil && !whole && j.v.Document.Partial(field) {
		return j.parts(actions)
	}
	mark := len(j.edits)
	if !j.v.Document.Fields[field].Kind.Leaf() {
		j.outer, j.outerMark = field, mark
	}
	if encrypt != nil {
		var leave *policy.Action
		if todo == 1 {
			leave = encrypt.Leave
		}
		return j.cipher(field, j.p.sealer(encrypt), leave, mark)
	}
	fits := todo == 1 || !whole
	for i := 0; fits && i < len(actions); i++ {
		if actions[i].Action.Spec.Strength != policy.StrengthPass {
			fits = j.edit(&actions[i], actions[i].Action)
		}
	}
	if fits {
		return true
	}
	j.tightened = ReasonTransform
	return j.cipher(field, j.p.sealer(j.d.Seal), nil, mark)
}

// swallow deals with actions inside a container that was acted on: the stricter
// holds for the whole of it. Package policy plans no such thing, but in a string
// that holds a document and is encrypted for something in it.
func (j *job) swallow(encrypt *policy.Action) bool {
	n := len(j.ciphers)
	ciphered := n > 0 && j.ciphers[n-1].field == j.outer
	switch {
	case encrypt != nil:
	case ciphered:
		return j.cipher(j.outer, j.ciphers[n-1].sealer, nil, j.outerMark)
	case len(j.edits) > j.outerMark && j.edits[j.outerMark].Kind == payload.EditRemove:
		return true // gone
	default:
		encrypt = j.d.Seal
	}
	j.tightened = policy.ReasonUnfit
	return j.cipher(j.outer, j.p.sealer(encrypt), nil, j.outerMark)
}

// cipher notes that a whole field is to be encrypted, in place of all edits
// from mark on, and what is left there. It reports false where it had to do
// something to the whole message instead.
func (j *job) cipher(field int32, s *sealer, leave *policy.Action, mark int) bool {
	doc := j.v.Document
	if holder := doc.Holder(field); holder != field {
		field, mark = holder, min(mark, j.before(holder))
		j.outer, j.outerMark = field, mark
		if leave != nil { // of a part of what is encrypted now
			leave, j.tightened = nil, ReasonTransform
		}
	}
	j.edits, j.done = j.edits[:mark], j.done[:mark]
	if !doc.Encryptable(field, false) {
		j.seal(policy.ReasonUnfit)
		return false
	}
	n := len(j.ciphers)
	switch {
	case s == nil:
		j.p.meter.NoKey.Add(1)
		j.held()
		return false
	case n == 0 || j.ciphers[n-1].field != field:
		j.ciphers = append(j.ciphers, cipher{field: field, sealer: s})
	case j.ciphers[n-1].sealer != s:
		j.seal(policy.ReasonAudience)
		return false
	}
	if !doc.TopLevelObject() { // the token stands where something else could be left
		if leave != nil {
			j.tightened = ReasonTransform
		}
		j.token(payload.Edit{Field: field, WholeText: true})
		return true
	}
	if leave != nil {
		// An element can't be left out: its place would name another one.
		element := leave.Spec.Becomes == becomesAbsent && doc.Fields[doc.Fields[field].Parent].Kind == payload.KindArray
		if !element && j.edit(&policy.FieldAction{Field: field}, leave) {
			j.done[len(j.done)-1] = encrypted
			return true
		}
		j.tightened = ReasonTransform
	}
	j.edits, j.done = append(j.edits, payload.Edit{Field: field, Kind: payload.EditRaw, Value: null}), append(j.done, encrypted)
	return true
}

// before returns how many of the edits are on fields in front of one.
func (j *job) before(field int32) int {
	n := len(j.edits)
	for n > 0 && j.edits[n-1].Field >= field {
		n--
	}
	return n
}

// token notes that a token will stand in some place.
func (j *job) token(e payload.Edit) {
	e.Kind = payload.EditToken
	j.edits, j.done = append(j.edits, e), append(j.done, encrypted)
}

// parts carries out actions on parts of a plain text, some of which are to be
// encrypted. It reports false where it had to do something to the whole message
// instead.
func (j *job) parts(actions []policy.FieldAction) bool {
	for i := range actions {
		switch fa := &actions[i]; {
		case fa.Action.Spec.Strength == policy.StrengthPass:
		case fa.Action.Spec.Trailer:
			s := j.p.sealer(fa.Action)
			if s == nil {
				j.p.meter.NoKey.Add(1)
				j.held()
				return false
			}
			if fa.Action.Leave != nil {
				j.tightened = ReasonTransform
			}
			j.ciphers = append(j.ciphers, cipher{fa.Field, fa.Start, fa.End, s})
			j.token(payload.Edit{Field: fa.Field, Start: fa.Start, End: fa.End})
		case !j.edit(fa, fa.Action):
			j.seal(ReasonTransform)
			return false
		}
	}
	return true
}

// edit carries out a transform on a field or a part of its text. It reports
// false, and changes nothing, where the transform does not fit.
func (j *job) edit(fa *policy.FieldAction, a *policy.Action) bool {
	doc := j.v.Document
	f := &doc.Fields[fa.Field]
	run := j.p.applies[a.ID]
	if run == nil {
		return false
	}
	v := value{doc: doc, field: fa.Field, kind: f.Kind, text: doc.Text(fa.Field), class: fa.Class}
	part := fa.End > 0 && (fa.Start > 0 || int(fa.End) != len(v.text))
	if part {
		if int(fa.End) > len(v.text) || fa.Start >= fa.End {
			return false
		}
		v.text, v.kind = v.text[fa.Start:fa.End], payload.KindString
	}
	from := len(j.values)
	out, kind, ok := run(j.values, v)
	if !ok {
		return false
	}
	if kind == payload.EditString && !part && !f.Accepts.Has(kind) && f.Accepts.Has(payload.EditRaw) {
		quoted, err := json.Marshal(string(out[from:]))
		if err != nil {
			return false
		}
		out, kind = append(out[:from], quoted...), payload.EditRaw
	}
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
	j.values = out
	if f.Kind == payload.KindTopic {
		j.topics, j.doneTopic = append(j.topics, e), append(j.doneTopic, j.p.kinds[a.ID])
		return true
	}
	j.edits, j.done = append(j.edits, e), append(j.done, j.p.kinds[a.ID])
	j.dropped = j.dropped || e.Kind == payload.EditRemove && f.Parent >= 0 && doc.Fields[f.Parent].Kind == payload.KindArray
	return true
}
