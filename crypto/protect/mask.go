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
			Name: "mask", Doc: "keeps at most 4 characters and 25 %; the rest becomes *",
			On: policy.OnField | policy.OnTopicLevel, Strength: policy.StrengthTransform, Residue: policy.ResidueLower2,
			Edits: editsText, Becomes: "string", CanLeave: true,
			Params: []policy.ParamSpec{
				{Name: "keep", Kind: policy.ParamInt, Min: 0, Max: maskKeep, Default: maskKeep, Doc: "characters to keep"},
				{Name: "side", Kind: policy.ParamString, Enum: []string{"end", "start"}, Text: "end", Doc: "which end to keep them at"},
			},
		},
		prepare: func(a *policy.Action, _ keys) (apply, error) {
			keep, start := int(a.Ints["keep"]), a.Strings["side"] == "start"
			return func(dst []byte, v value) ([]byte, payload.EditKind, bool) {
				if len(v.text) == 0 || !v.kind.Leaf() {
					return dst, 0, false
				}
				n := utf8.RuneCount(v.text)
				k := min(keep, n/4)
				for i := 0; len(v.text) > 0; i++ {
					_, size := utf8.DecodeRune(v.text)
					if (start && i < k) || (!start && i >= n-k) {
						dst = append(dst, v.text[:size]...)
					} else {
						dst = append(dst, '*')
					}
					v.text = v.text[size:]
				}
				return dst, payload.EditString, true
			}, nil
		},
	}
}
