package policy_test

import (
	"errors"
	"fmt"
	"strings"

	"github.com/sealgate/sealgate/classify"
	"github.com/sealgate/sealgate/classify/payload"
	"github.com/sealgate/sealgate/classify/policy"
)

const day = 24 * 3600

func edits(kinds ...payload.EditKind) (m payload.EditMask) {
	for _, k := range kinds {
		m = m.With(k)
	}
	return m
}

// testActions is a vocabulary like that of package protect, and stricter about
// parameters, so that each kind of complaint has its cause.
func testActions() []*policy.ActionSpec {
	return []*policy.ActionSpec{
		{
			Name: "pass", On: policy.OnField | policy.OnTopicLevel | policy.OnMessage,
			Doc: "leaves unchanged",
		},
		{
			Name: "mask", On: policy.OnField | policy.OnTopicLevel, Strength: policy.StrengthTransform, Residue: policy.ResidueLower2,
			Doc:   "keeps the last characters, at most a quarter of them; the rest becomes *",
			Edits: edits(payload.EditString), Becomes: "string", CanLeave: true,
			Params: []policy.ParamSpec{
				{Name: "keep", Kind: policy.ParamInt, Min: 0, Max: 4, Default: 4, Doc: "characters kept at the end; never more than 25 % of the value"},
			},
		},
		{
			Name: "truncate", On: policy.OnField, Strength: policy.StrengthTransform, Residue: policy.ResidueLower2,
			Doc:   "cuts an IP address to its network, a MAC address to its maker, any other text to its first characters",
			Edits: edits(payload.EditString), Becomes: "string", CanLeave: true,
			Params: []policy.ParamSpec{
				{Name: "text", Kind: policy.ParamInt, Min: 1, Max: 1024, Optional: true, Doc: "characters of any other text that stay; a text that is not longer does not fit"},
			},
			Floor: func(a *policy.Action) bool { return a.Ints["text"] <= 4 },
		},
		{
			Name: "generalize", On: policy.OnField, Strength: policy.StrengthTransform, Residue: policy.ResidueCoarse,
			Doc:   "coordinates to decimals or a grid, a time to a bucket, a number to a band",
			Edits: edits(payload.EditString, payload.EditNumber, payload.EditRaw), CanLeave: true,
			Params: []policy.ParamSpec{
				{Name: "decimals", Kind: policy.ParamInt, Min: 0, Max: 6, Optional: true, Doc: "decimals of a coordinate in degrees that stay; 2 is about 1 km"},
				{Name: "grid", Kind: policy.ParamInt, Min: 1, Max: 90_000, Optional: true, Doc: "cell of a grid, in thousandths of a degree"},
				{Name: "bucket", Kind: policy.ParamDuration, Min: 1, Max: 366 * day, Optional: true, Doc: "width of the span of time whose begin stays"},
				{Name: "band", Kind: policy.ParamInt, Min: 1, Max: 1_000_000_000, Optional: true, Doc: "width of the band of numbers whose lower end stays"},
			},
			Check:  checkGeneralize,
			Coarse: coarse,
		},
		{
			Name: "pseudonymize", On: policy.OnField | policy.OnTopicLevel, Strength: policy.StrengthTransform, Residue: policy.ResidueLower2,
			Doc:   "a keyed token, the same for the same value within a join domain",
			Edits: edits(payload.EditString), Becomes: "string",
			Params: []policy.ParamSpec{
				{Name: "domain", Kind: policy.ParamName, Text: "gateway", Doc: "join domain: equal values have equal tokens within it, and unrelated ones across domains"},
			},
		},
		{
			Name: "remove", On: policy.OnField | policy.OnTopicLevel, Strength: policy.StrengthEncrypt, Residue: policy.ResidueGone,
			Doc:   "gone; the document stays well-formed",
			Edits: edits(payload.EditRemove), Becomes: "absent", CanLeave: true,
		},
		{
			Name: "encrypt", On: policy.OnField, Strength: policy.StrengthEncrypt, Residue: policy.ResidueGone,
			Doc:   "opens only for its recipients; the document keeps its shape",
			Edits: edits(payload.EditRaw), Becomes: "null", Trailer: true,
			Params: []policy.ParamSpec{
				{Name: "recipients", Kind: policy.ParamRecipients, Optional: true, Doc: "audiences that can open it; by default the policy's"},
				{Name: "leave", Kind: policy.ParamAction, Optional: true, Doc: "what stays in its place: null, remove, mask, truncate or generalize"},
			},
		},
		{
			Name: "seal", On: policy.OnMessage, Strength: policy.StrengthEncrypt, Residue: policy.ResidueGone,
			Doc: "the payload becomes an envelope",
			Params: []policy.ParamSpec{
				{Name: "encoding", Kind: policy.ParamString, Enum: []string{"cose", "json"}, Text: "cose", Doc: "binary, or JSON for what can't carry bytes"},
				{Name: "topic", Kind: policy.ParamString, Min: 1, Max: 256, Text: "{topic}", Doc: "where the envelope is published; {topic} is the topic that the message would have had"},
				{Name: "recipients", Kind: policy.ParamRecipients, Optional: true, Doc: "audiences that can open it; by default the policy's"},
			},
			Check: func(_ classify.ClassID, a *policy.Action) error {
				if strings.ContainsAny(strings.ReplaceAll(a.Strings["topic"], "{topic}", ""), "+#{}\x00") {
					return errors.New("topic holds a wildcard, or a placeholder other than {topic}")
				}
				return nil
			},
		},
		{
			Name: "block", On: policy.OnMessage, Strength: policy.StrengthBlock, Residue: policy.ResidueGone,
			Doc: "does not leave; counted, and kept as an envelope for the audience blocked, if there is one",
		},
	}
}

func has(a *policy.Action, name string) bool {
	_, ok := a.Ints[name]
	return ok
}

func coarse(a *policy.Action) bool {
	return has(a, "decimals") && a.Ints["decimals"] <= 2 || has(a, "grid") && a.Ints["grid"] >= 10
}

func checkGeneralize(class classify.ClassID, a *policy.Action) error {
	if len(a.Ints) != 1 {
		return fmt.Errorf("%d of its parameters are given; one of decimals, grid, bucket, band", len(a.Ints))
	}
	place := strings.HasPrefix(class.String(), "location.")
	switch degrees := has(a, "decimals") || has(a, "grid"); {
	case degrees && !place && class != classify.ClassNone:
		return fmt.Errorf("decimals and grid are for coordinates, not %s", class)
	case !degrees && place:
		return errors.New("coordinates need decimals or grid")
	}
	return nil
}

func vocabulary() policy.Vocabulary { return policy.Vocabulary{Actions: testActions()} }
