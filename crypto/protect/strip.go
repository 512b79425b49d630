package protect

import (
	"github.com/sealgate/sealgate/classify/payload"
	"github.com/sealgate/sealgate/classify/policy"
)

// strip leaves a picture or a film without its metadata. What is left is a
// picture still, with a picture's grade, and no guard is content with it.
func strip() Transform {
	return Transform{
		Spec: policy.ActionSpec{
			Name: "strip", Doc: "the metadata of a JPEG, PNG, WebP, GIF, HEIF or MP4 goes (position, camera, comments); the picture stays",
			On: policy.OnField, Strength: policy.StrengthTransform, Residue: policy.ResidueSame,
			Edits: accepts(payload.EditStrip),
			Floor: func(*policy.Action) bool { return false },
		},
		prepare: func(*policy.Action, keys) (apply, error) {
			return func(dst []byte, v value) ([]byte, payload.EditKind, bool) {
				return dst, payload.EditStrip, v.kind == payload.KindBinary
			}, nil
		},
	}
}
