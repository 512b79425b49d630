package protect

import (
	"errors"
	"fmt"

	"github.com/sealgate/sealgate/classify"
	"github.com/sealgate/sealgate/classify/payload"
	"github.com/sealgate/sealgate/classify/policy"
	"github.com/sealgate/sealgate/crypto"
)

// defaultDomain is the join domain of a policy that names none: tokens are
// stable on this gateway.
const defaultDomain = "gateway"

// maxDomain is the longest name of a domain that the keyring takes, in bytes.
const maxDomain = 32

// formReversible is the form of tokens from which the key gives the value back.
const formReversible = "reversible"

// Reversible tells whether an action makes tokens from which the key gives the
// value back.
func Reversible(a *policy.Action) bool {
	return a.Spec.Name == "pseudonymize" && a.Strings["form"] == formReversible
}

func pseudonymize() Transform {
	return Transform{
		Spec: policy.ActionSpec{
			Name: "pseudonymize", Doc: "a keyed token, the same for the same value within a join domain; still personal data",
			On: policy.OnField | policy.OnTopicLevel, Strength: policy.StrengthTransform, Residue: policy.ResidueLower2,
			Edits: accepts(payload.EditString, payload.EditRaw), Becomes: "string",
			Params: []policy.ParamSpec{
				{Name: "domain", Kind: policy.ParamName, Text: defaultDomain, Doc: "join domain: equal values have equal tokens within it, and unrelated ones across domains"},
				{Name: "bits", Kind: policy.ParamInt, Min: 16, Max: 128, Default: 128, Doc: "of the token, a multiple of 8; few make different values share one, so that it is nobody's alone"},
				{Name: "form", Kind: policy.ParamString, Enum: []string{"token", formReversible}, Text: "token", Doc: "reversible: who has the domain's key has the value; the gateway must permit it for the domain"},
			},
			Check: func(_ classify.ClassID, a *policy.Action) error {
				switch {
				case len(a.Strings["domain"]) > maxDomain:
					return fmt.Errorf("domain has more than %d characters", maxDomain)
				case a.Ints["bits"]%8 != 0:
					return errors.New("bits is not a multiple of 8")
				case Reversible(a) && a.Ints["bits"] != 128:
					return errors.New("a reversible token can't be truncated: leave bits out")
				}
				return nil
			},
		},
		prepare: func(a *policy.Action, k keys) (apply, error) {
			if k.pseudonyms == nil {
				return nil, errors.New("no pseudonym keys")
			}
			domain, bytes, token := a.Strings["domain"], int(a.Ints["bits"]/8), k.pseudonyms.Token
			if Reversible(a) {
				token = k.pseudonyms.Reversible
			}
			return func(dst []byte, v value) ([]byte, payload.EditKind, bool) {
				if !v.kind.Leaf() || v.kind == payload.KindBinary {
					return dst, 0, false
				}
				// Behind dst is room for the normal form: a token is made before
				// it is written there.
				normal := normalize(dst, v.class, v.text)[len(dst):]
				if len(normal) == 0 {
					return dst, 0, false
				}
				out, err := token(dst, crypto.Pseudonym{
					Domain: domain, Class: v.class.String(), Normalization: Normalization, Value: normal, Bytes: bytes,
				})
				if err != nil {
					return dst, 0, false
				}
				return out, payload.EditString, true
			}, nil
		},
	}
}
