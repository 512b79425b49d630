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

func pseudonymize() Transform {
	return Transform{
		Spec: policy.ActionSpec{
			Name: "pseudonymize", Doc: "a keyed token, the same for the same value within a join domain; still personal data",
			On: policy.OnField | policy.OnTopicLevel, Strength: policy.StrengthTransform, Residue: policy.ResidueLower2,
			Edits: accepts(payload.EditString, payload.EditRaw), Becomes: "string",
			Params: []policy.ParamSpec{
				{Name: "domain", Kind: policy.ParamName, Text: defaultDomain, Doc: "join domain: equal values have equal tokens within it, and unrelated ones across domains"},
			},
			Check: func(_ classify.ClassID, a *policy.Action) error {
				if len(a.Strings["domain"]) > maxDomain {
					return fmt.Errorf("domain has more than %d characters", maxDomain)
				}
				return nil
			},
		},
		prepare: func(a *policy.Action, k keys) (apply, error) {
			if k.pseudonyms == nil {
				return nil, errors.New("no pseudonym keys")
			}
			domain := a.Strings["domain"]
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
				out, err := k.pseudonyms.Token(dst, crypto.Pseudonym{
					Domain: domain, Class: v.class.String(), Normalization: normalization, Value: normal,
				})
				if err != nil {
					return dst, 0, false
				}
				return out, payload.EditString, true
			}, nil
		},
	}
}
