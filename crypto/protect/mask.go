package protect

import (
	"unicode/utf8"

	"github.com/sealgate/sealgate/classify/payload"
	"github.com/sealgate/sealgate/classify/policy"
)

// maskKeep is the most characters that a mask leaves; it also leaves at most a
// quarter of them.
const maskKeep = 4

func mask() Transform {
	return Transform{
		Spec: policy.ActionSpec{
			Name: "mask", Doc: "keeps the last characters, at most a quarter of them; the rest becomes *",
			On: policy.OnField | policy.OnTopicLevel, Strength: policy.StrengthTransform, Residue: policy.ResidueLower2,
			Edits: accepts(payload.EditString, payload.EditRaw), Becomes: "string", CanLeave: true,
			Params: []policy.ParamSpec{
				{Name: "keep", Kind: policy.ParamInt, Min: 0, Max: maskKeep, Doc: "characters kept at the end; never more than 25 % of the value"},
			},
		},
		prepare: func(a *policy.Action, _ keys) (apply, error) {
			keep := int(a.Ints["keep"])
			return func(dst []byte, v value) ([]byte, payload.EditKind, bool) {
				text := v.text
				if len(text) == 0 || !v.kind.Leaf() {
					return dst, 0, false
				}
				n := utf8.RuneCount(text)
				for i := n - min(keep, n/4); i > 0; i-- {
					_, size := utf8.DecodeRune(text)
					text, dst = text[size:], append(dst, '*')
				}
				return append(dst, text...), payload.EditString, true
			}, nil
		},
	}
}
