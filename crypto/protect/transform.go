package protect

import (
	"errors"
	"fmt"
	"slices"

	"github.com/sealgate/sealgate/classify"
	"github.com/sealgate/sealgate/classify/payload"
	"github.com/sealgate/sealgate/classify/policy"
	"github.com/sealgate/sealgate/crypto"
)

// A Transform is one action that a policy may name. To add one, write a file
// with a function that returns it, and add a line to Transforms; the contract
// suite of this package then demands that no byte of the plaintext survives
// that its specification does not let stay.
type Transform struct {
	Spec policy.ActionSpec

	// prepare turns one use of the action into its implementation, once per
	// generation. nil: the action is carried out by Protect itself (pass,
	// encrypt, seal, block).
	prepare func(a *policy.Action, k keys) (apply, error)
}

// keys is what a transform may need.
type keys struct {
	pseudonyms *crypto.Pseudonymizer
}

// A value is what a transform is given: a field, or a part of its text.
type value struct {
	doc   *payload.Document
	field int32
	kind  payload.Kind // of a part: KindString
	text  []byte       // the part's decoded text; empty for a container
	class classify.ClassID
}

// textual reports whether v is written as text, and number whether it is a
// number: what is one before is one afterwards.
func (v *value) textual() bool { return v.kind == payload.KindString || v.kind == payload.KindText }
func (v *value) number() bool  { return v.kind == payload.KindNumber }

// apply appends the replacement of v to dst and says how it is written into
// the document. ok is false where the transform does not fit the value: the
// caller then does something stricter.
type apply func(dst []byte, v value) (out []byte, kind payload.EditKind, ok bool)

// Transforms returns every action, weakest first.
func Transforms() []Transform {
	return []Transform{pass(), strip(), mask(), truncate(), generalize(), pseudonymize(), remove(), encrypt(), seal(), block()}
}

// Specs returns the specifications of all actions: the vocabulary of a policy.
func Specs() []*policy.ActionSpec {
	var specs []*policy.ActionSpec
	for _, t := range Transforms() {
		specs = append(specs, &t.Spec)
	}
	return specs
}

func accepts(kinds ...payload.EditKind) (m payload.EditMask) {
	for _, k := range kinds {
		m = m.With(k)
	}
	return m
}

func pass() Transform {
	return Transform{Spec: policy.ActionSpec{
		Name: "pass", Doc: "leaves unchanged",
		On: policy.OnField | policy.OnTopicLevel | policy.OnMessage, Strength: policy.StrengthPass, Residue: policy.ResidueSame,
	}}
}

// becomesAbsent marks an action that leaves nothing in a field's place.
const becomesAbsent = "absent"

func remove() Transform {
	return Transform{
		Spec: policy.ActionSpec{
			Name: "remove", Doc: "gone; the document stays well-formed",
			On: policy.OnField | policy.OnTopicLevel, Strength: policy.StrengthEncrypt, Residue: policy.ResidueGone,
			Edits: accepts(payload.EditRemove), Becomes: becomesAbsent, CanLeave: true,
		},
		prepare: func(*policy.Action, keys) (apply, error) {
			return func(dst []byte, _ value) ([]byte, payload.EditKind, bool) {
				return dst, payload.EditRemove, true // a part of a text is replaced by nothing
			}, nil
		},
	}
}

func encrypt() Transform {
	return Transform{Spec: policy.ActionSpec{
		Name: "encrypt", Doc: "opens only for its recipients; the document keeps its shape",
		On: policy.OnField, Strength: policy.StrengthEncrypt, Residue: policy.ResidueGone,
		Edits: accepts(payload.EditRaw, payload.EditToken), Becomes: "null", Trailer: true,
		Params: []policy.ParamSpec{
			{Name: "recipients", Kind: policy.ParamRecipients, Optional: true, Doc: "audiences that can open it; by default the policy's"},
			{Name: "leave", Kind: policy.ParamAction, Optional: true, Doc: "what stays in its place: null, remove, mask, truncate or generalize"},
		},
	}}
}

func seal() Transform {
	return Transform{Spec: policy.ActionSpec{
		Name: "seal", Doc: "the payload becomes an envelope",
		On: policy.OnMessage, Strength: policy.StrengthEncrypt, Residue: policy.ResidueGone,
		Params: []policy.ParamSpec{
			{Name: "encoding", Kind: policy.ParamString, Enum: []string{"cose", "json"}, Text: "cose", Doc: "binary, or JSON for what can't carry bytes"},
			{Name: "topic", Kind: policy.ParamString, Min: 1, Max: 256, Text: topicHole, Doc: "where the envelope is published; {topic} is the topic that the message would have had"},
			{Name: "recipients", Kind: policy.ParamRecipients, Optional: true, Doc: "audiences that can open it; by default the policy's"},
		},
		Check: checkSealTopic,
	}}
}

func block() Transform {
	return Transform{Spec: policy.ActionSpec{
		Name: "block", Doc: "does not leave; counted, and kept as an envelope for the audience blocked, if there is one",
		On: policy.OnMessage, Strength: policy.StrengthBlock, Residue: policy.ResidueGone,
	}}
}

// prepare readies every action of a policy, by its ID.
func prepare(actions []*policy.Action, k keys) ([]apply, error) {
	out := make([]apply, len(actions))
	for _, a := range actions {
		f, err := prepareOne(a, k)
		if err != nil {
			return nil, fmt.Errorf("prepare action %s: %w", a.Spec.Name, err)
		}
		out[a.ID] = f
	}
	return out, nil
}

func prepareOne(a *policy.Action, k keys) (apply, error) {
	ts := Transforms()
	i := slices.IndexFunc(ts, func(t Transform) bool { return t.Spec.Name == a.Spec.Name })
	if i < 0 {
		return nil, errors.ErrUnsupported
	}
	if ts[i].prepare == nil {
		return nil, nil
	}
	return ts[i].prepare(a, k)
}
