package protect

import (
	"bytes"
	"errors"

	"github.com/sealgate/sealgate/classify/payload"
	"github.com/sealgate/sealgate/classify/policy"
	"github.com/sealgate/sealgate/crypto"
)

// defaultDomain is the join domain of a policy that names none: tokens are
// stable on this gateway.
const defaultDomain = "gateway"

func pseudonymize() Transform {
	return Transform{
		Spec: policy.ActionSpec{
			Name: "pseudonymize", Doc: "keyed token, stable within a join domain; still personal data",
			On: policy.OnField | policy.OnTopicLevel, Strength: policy.StrengthTransform, Residue: policy.ResidueLower2,
			Edits: editsText, Becomes: "string",
			Params: []policy.ParamSpec{
				{Name: "domain", Kind: policy.ParamName, Text: defaultDomain, Doc: "join domain: equal values get equal tokens within it"},
			},
		},
		prepare: func(a *policy.Action, k keys) (apply, error) {
			if k.pseudonyms == nil {
				return nil, errors.New("no pseudonym keys")
			}
			domain := a.Strings["domain"]
			return func(dst []byte, v value) ([]byte, payload.EditKind, bool) {
				if len(v.text) == 0 || !v.kind.Leaf() {
					return dst, 0, false
				}
				class := v.class.String()
				out, err := k.pseudonyms.Token(dst, crypto.Pseudonym{
					Domain: domain, Class: class, Normalization: normalization, Value: normalize(class, v.text),
				})
				return out, payload.EditString, err == nil
			}, nil
		},
	}
}

// normalization is the version of the rules in normalize. A change of rules
// needs a new one: tokens made before and after must not be joined unseen.
const normalization = 1

// normalize brings the ways of writing one value to one form: "B-AB 123" and
// "b ab123" are one plate.
func normalize(class string, text []byte) []byte {
	text = bytes.TrimSpace(text)
	switch class {
	case "contact.email":
		return bytes.ToLower(text)
	case "contact.phone":
		return keepBytes(text, func(b byte) bool { return b == '+' || (b >= '0' && b <= '9') })
	case "id.vehicle_plate", "id.vin", "id.device", "finance.iban":
		return bytes.ToUpper(keepBytes(text, func(b byte) bool {
			return b != ' ' && b != '-' && b != ':' && b != '.'
		}))
	}
	return text
}

func keepBytes(text []byte, keep func(byte) bool) []byte {
	out := make([]byte, 0, len(text))
	for _, b := range text {
		if keep(b) {
			out = append(out, b)
		}
	}
	return out
}
