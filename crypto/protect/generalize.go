package protect

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/sealgate/sealgate/classify"
	"github.com/sealgate/sealgate/classify/payload"
	"github.com/sealgate/sealgate/classify/policy"
)

// From here on a generalized position is location.coarse.
const (
	coarseDecimals = 2
	coarseGrid     = 1000 // metres
)

const day = 24 * 60 * 60 // seconds

func generalize() Transform {
	return Transform{
		Spec: policy.ActionSpec{
			Name: "generalize", Doc: "coordinates to decimals or a grid, a time to a bucket, a number to a band",
			On: policy.OnField, Strength: policy.StrengthTransform, Residue: policy.ResidueCoarse,
			Edits: accepts(payload.EditString, payload.EditNumber, payload.EditRaw), CanLeave: true,
			Params: []policy.ParamSpec{
				{Name: "decimals", Kind: policy.ParamInt, Min: 0, Max: 6, Optional: true, Doc: "decimals of a coordinate in degrees that stay; 2 is about 1 km"},
				{Name: "grid", Kind: policy.ParamInt, Min: 10, Max: 1_000_000, Optional: true, Doc: "width in metres of the grid that a coordinate is moved to"},
				{Name: "bucket", Kind: policy.ParamDuration, Min: 1, Max: 366 * day, Optional: true, Doc: "width of the span of time whose begin stays"},
				{Name: "band", Kind: policy.ParamInt, Min: 1, Max: 1_000_000_000, Optional: true, Doc: "width of the band of numbers whose lower end stays"},
			},
			Check:  checkGeneralize,
			Coarse: reachesCoarse,
			Floor:  reachesCoarse,
		},
		prepare: func(a *policy.Action, _ keys) (apply, error) { return generalizer(a) },
	}
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

func has(a *policy.Action, name string) bool {
	_, ok := a.Ints[name]
	return ok
}

func reachesCoarse(a *policy.Action) bool {
	return has(a, "decimals") && a.Ints["decimals"] <= coarseDecimals || has(a, "grid") && a.Ints["grid"] >= coarseGrid
}

// generalizer picks the one kind of rounding that the action asks for.
func generalizer(a *policy.Action) (apply, error) {
	switch {
	case has(a, "decimals"):
		return place{decimals: int(a.Ints["decimals"])}.apply, nil
	case has(a, "grid"):
		return place{metres: float64(a.Ints["grid"])}.apply, nil
	case has(a, "bucket"):
		return bucket(time.Duration(a.Ints["bucket"]) * time.Second), nil
	case has(a, "band"):
		return band(a.Ints["band"]), nil
	}
	return nil, errors.New("no parameter")
}
