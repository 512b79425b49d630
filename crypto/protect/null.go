package protect

import (
	"github.com/sealgate/sealgate/classify"
	"github.com/sealgate/sealgate/classify/payload"
	"github.com/sealgate/sealgate/classify/policy"
)

// null takes the place of a seal for what keeps Sparkplug B going: births,
// deaths, commands and states have to be found where they are, and read, by
// those who need nothing but the frame. So the frame stays, and every value
// goes. What can't be read, or has a value that does not go, is blocked.
func (j *job) null(reason policy.Reason) {
	doc := j.v.Document
	if doc.Sparkplug() == nil || reason == ReasonTopic || reason == policy.ReasonPanic || !framed(j.v.Reason) {
		j.block(reason)
		return
	}
	j.edits, j.done, j.ciphers = j.edits[:0], j.done[:0], j.ciphers[:0]
	gone := make([]bool, len(doc.Fields))
	for i := range doc.Fields {
		f := &doc.Fields[i]
		if f.Kind == payload.KindTopic || int32(i) == doc.Root {
			continue
		}
		if gone[i] = f.Parent >= 0 && gone[f.Parent]; gone[i] || f.Kind == payload.KindNull {
			continue
		}
		edit := payload.Edit{Field: int32(i), Kind: payload.EditNull}
		if !f.Accepts.Has(edit.Kind) {
			edit.Kind = payload.EditRemove
		}
		switch {
		case f.Accepts.Has(edit.Kind):
			gone[i] = true
			j.edits, j.done = append(j.edits, edit), append(j.done, removed)
		case !f.Kind.Leaf(), string(doc.Key(int32(i))) == "bdSeq" && f.Parent == doc.Root:
		default:
			j.block(reason)
			return
		}
	}
	edited, err := doc.Append(j.doc[:0], j.edits)
	if err != nil {
		j.block(reason)
		return
	}
	j.doc = edited
	j.o.Outcome, j.o.Reason, j.o.Residual = OutcomeTransformed, reason, j.topicResidual()
	j.o.Payload = append(make([]byte, 0, len(edited)), edited...)
}

// framed reports whether a message that can't be judged for a reason was read:
// every value in it has its place.
func framed(why policy.Reason) bool {
	return why == payload.ReasonNone || why == policy.ReasonAlias || why == classify.ReasonUnresolved
}
