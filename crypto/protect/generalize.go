package protect

import (
	"errors"
	"math"
	"strconv"
	"time"

	"github.com/sealgate/sealgate/classify"
	"github.com/sealgate/sealgate/classify/payload"
	"github.com/sealgate/sealgate/classify/policy"
)

// Floors below which a generalized position is no longer location.coarse.
const (
	coarseDecimals = 2
	coarseGrid     = 10 // thousandths of a degree: the same as two decimals
)

func generalize() Transform {
	return Transform{
		Spec: policy.ActionSpec{
			Name: "generalize", Doc: "coordinates to n decimals or a grid, time to a bucket, a number to a band",
			On: policy.OnField | policy.OnTopicLevel, Strength: policy.StrengthTransform, Residue: policy.ResidueCoarse,
			Edits: editsText.With(payload.EditNumber).With(payload.EditRaw), CanLeave: true,
			Params: []policy.ParamSpec{
				{Name: "decimals", Kind: policy.ParamInt, Min: 0, Max: 6, Optional: true, Doc: "decimals of a degree to keep; default 2 where nothing else is said"},
				{Name: "grid", Kind: policy.ParamInt, Min: 1, Max: 90_000, Optional: true, Doc: "cell of a grid, in thousandths of a degree"},
				{Name: "bucket", Kind: policy.ParamDuration, Min: 1, Max: 366 * 86400, Optional: true, Doc: "span that a time is rounded down to"},
				{Name: "band", Kind: policy.ParamInt, Min: 1, Max: 1 << 40, Optional: true, Doc: "width of the band that a number is rounded down to"},
			},
			Check:  checkGeneralize,
			Coarse: reachesCoarse,
			Floor: func(a *policy.Action) bool {
				_, decimals := a.Ints["decimals"]
				_, grid := a.Ints["grid"]
				return (!decimals && !grid) || reachesCoarse(a)
			},
		},
		prepare: func(a *policy.Action, _ keys) (apply, error) {
			return generalizer(a), nil
		},
	}
}

func checkGeneralize(_ classify.ClassID, a *policy.Action) error {
	if len(a.Ints) > 1 {
		return errors.New("say one of decimals, grid, bucket and band")
	}
	return nil
}

func reachesCoarse(a *policy.Action) bool {
	if n, ok := a.Ints["decimals"]; ok {
		return n <= coarseDecimals
	}
	if n, ok := a.Ints["grid"]; ok {
		return n >= coarseGrid
	}
	return len(a.Ints) == 0
}

// generalizer picks the one kind of rounding that the action asks for.
func generalizer(a *policy.Action) apply {
	if n, ok := a.Ints["bucket"]; ok {
		return bucket(time.Duration(n) * time.Second)
	}
	if n, ok := a.Ints["band"]; ok {
		return band(float64(n))
	}
	step := func(text []byte, dst []byte) ([]byte, bool) { return cutDecimals(dst, text, coarseDecimals) }
	if n, ok := a.Ints["decimals"]; ok {
		step = func(text []byte, dst []byte) ([]byte, bool) { return cutDecimals(dst, text, int(n)) }
	}
	if n, ok := a.Ints["grid"]; ok {
		step = func(text []byte, dst []byte) ([]byte, bool) { return snap(dst, text, float64(n)/1000) }
	}
	return func(dst []byte, v value) ([]byte, payload.EditKind, bool) {
		switch v.kind {
		case payload.KindNumber:
			out, ok := step(v.text, dst)
			return out, payload.EditNumber, ok
		case payload.KindArray:
			return eachNumber(dst, v, step)
		case payload.KindString, payload.KindText, payload.KindTopic:
			out, ok := eachInText(dst, v.text, step)
			return out, payload.EditString, ok
		}
		return dst, 0, false
	}
}

// eachNumber rounds every number of an array of numbers, however nested.
func eachNumber(dst []byte, v value, step func(text, dst []byte) ([]byte, bool)) ([]byte, payload.EditKind, bool) {
	raw := v.doc.Fields[v.field].Raw
	at, found := raw.Start, false
	for i := v.field + 1; int(i) < len(v.doc.Fields); i++ {
		f := &v.doc.Fields[i]
		if f.Raw.Start >= raw.End {
			break
		}
		if f.Kind == payload.KindArray {
			continue
		}
		if f.Kind != payload.KindNumber {
			return dst, 0, false
		}
		dst = append(dst, v.doc.Raw[at:f.Raw.Start]...)
		var ok bool
		if dst, ok = step(v.doc.Text(i), dst); !ok {
			return dst, 0, false
		}
		at, found = f.Raw.End, true
	}
	return append(dst, v.doc.Raw[at:raw.End]...), payload.EditRaw, found
}

// eachInText rounds every number of a text such as "52.5163,13.3777" that holds
// nothing else but separators.
func eachInText(dst, text []byte, step func(text, dst []byte) ([]byte, bool)) ([]byte, bool) {
	found := false
	for i := 0; i < len(text); {
		switch c := text[i]; {
		case c == ',' || c == ';' || c == ' ':
			dst = append(dst, c)
			i++
		case c == '-' || c == '+' || c == '.' || (c >= '0' && c <= '9'):
			end := i + 1
			for end < len(text) && (text[end] == '.' || (text[end] >= '0' && text[end] <= '9')) {
				end++
			}
			var ok bool
			if dst, ok = step(text[i:end], dst); !ok {
				return dst, false
			}
			i, found = end, true
		default:
			return dst, false
		}
	}
	return dst, found
}

// maxDegrees bounds what may be a coordinate.
const maxDegrees = 360

// cutDecimals keeps n decimals of a coordinate by cutting, not rounding: the
// result never tells on which side of a boundary the true value lies better
// than the cell does.
func cutDecimals(dst, text []byte, n int) ([]byte, bool) {
	x, ok := coordinate(text)
	if !ok {
		return dst, false
	}
	scale := math.Pow10(n)
	return appendNumber(dst, math.Trunc(x*scale)/scale, n), true
}

func snap(dst, text []byte, cell float64) ([]byte, bool) {
	x, ok := coordinate(text)
	if !ok {
		return dst, false
	}
	return appendNumber(dst, math.Floor(x/cell)*cell, 3), true
}

func coordinate(text []byte) (float64, bool) {
	x, err := strconv.ParseFloat(string(text), 64)
	return x, err == nil && math.Abs(x) <= maxDegrees
}

func appendNumber(dst []byte, x float64, decimals int) []byte {
	if x == 0 {
		x = 0 // no minus sign
	}
	return strconv.AppendFloat(dst, x, 'f', decimals, 64)
}

// Seconds, milliseconds and so on since 1970: what a number is, its size tells.
var epochUnits = []struct {
	from float64
	unit time.Duration
}{{1e17, time.Nanosecond}, {1e14, time.Microsecond}, {1e11, time.Millisecond}, {0, time.Second}}

func bucket(span time.Duration) apply {
	return func(dst []byte, v value) ([]byte, payload.EditKind, bool) {
		switch v.kind {
		case payload.KindNumber:
			x, err := strconv.ParseFloat(string(v.text), 64)
			if err != nil || x < 0 || x > 1e19 {
				return dst, 0, false
			}
			for _, u := range epochUnits {
				if x >= u.from {
					width := float64(span) / float64(u.unit)
					return appendNumber(dst, math.Floor(x/width)*width, 0), payload.EditNumber, true
				}
			}
		case payload.KindString, payload.KindText, payload.KindTopic:
			for _, layout := range []string{time.RFC3339Nano, "2006-01-02 15:04:05", "2006-01-02T15:04:05", time.DateOnly} {
				if t, err := time.Parse(layout, string(v.text)); err == nil {
					return t.Truncate(span).AppendFormat(dst, layout), payload.EditString, true
				}
			}
		}
		return dst, 0, false
	}
}

func band(width float64) apply {
	return func(dst []byte, v value) ([]byte, payload.EditKind, bool) {
		kind := payload.EditNumber
		if v.kind == payload.KindString || v.kind == payload.KindText || v.kind == payload.KindTopic {
			kind = payload.EditString
		} else if v.kind != payload.KindNumber {
			return dst, 0, false
		}
		x, err := strconv.ParseFloat(string(v.text), 64)
		if err != nil || math.IsInf(x, 0) || math.IsNaN(x) || math.Abs(x) > 1e15 {
			return dst, 0, false
		}
		return appendNumber(dst, math.Floor(x/width)*width, 0), kind, true
	}
}
