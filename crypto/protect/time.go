package protect

import (
	"math"
	"strconv"
	"time"

	"github.com/sealgate/sealgate/classify/payload"
)

// layouts are the ways of writing a time that a bucket keeps: RFC 3339, and the
// parts of it that people use.
var layouts = [...]string{time.RFC3339Nano, "2006-01-02 15:04:05Z07:00", "2006-01-02T15:04:05", "2006-01-02 15:04:05", time.DateOnly}

// firstYear bounds the past: a bucket must not begin before the year 1.
const firstYear = 1000

// bucket moves a time back to the begin of its span. Spans are counted in UTC
// from Monday, January 1 of the year 1, so that a day begins at midnight UTC
// and a week on Monday, whatever zone a time is written in and whether it is
// text or a number.
func bucket(span time.Duration) apply {
	return func(dst []byte, v value) ([]byte, payload.EditKind, bool) {
		if v.number() {
			out, ok := bucketEpoch(dst, v.text, span)
			return out, payload.EditNumber, ok
		}
		if !v.textual() {
			return dst, 0, false
		}
		text := string(v.text)
		for _, layout := range layouts {
			if t, err := time.Parse(layout, text); err == nil {
				return t.Truncate(span).AppendFormat(dst, layout), payload.EditString, t.Year() >= firstYear
			}
		}
		out, ok := bucketEpoch(dst, v.text, span)
		return out, payload.EditString, ok
	}
}

// bucketEpoch reads a count since 1970: seconds, milliseconds, microseconds or
// nanoseconds, which of them its size tells. Times from 1973 on are told right.
func bucketEpoch(dst, text []byte, span time.Duration) ([]byte, bool) {
	var d decimal
	if !d.parse(text) {
		return dst, false
	}
	n, fraction, ok := d.whole()
	if !ok || d.neg && (n > 0 || fraction) {
		return dst, false
	}
	unit := time.Second
	switch {
	case n >= 1e17:
		unit = time.Nanosecond
	case n >= 1e14:
		unit = time.Microsecond
	case n >= 1e11:
		unit = time.Millisecond
	}
	perSecond := int64(time.Second / unit)
	t := time.Unix(n/perSecond, n%perSecond*int64(unit)).Truncate(span)
	return strconv.AppendInt(dst, max(t.Unix()*perSecond+int64(t.Nanosecond())/int64(unit), 0), 10), true
}

// band moves a number down to the begin of its band, which is a multiple of
// width, below zero as well.
func band(width int64) apply {
	return func(dst []byte, v value) ([]byte, payload.EditKind, bool) {
		kind := payload.EditNumber
		if v.textual() {
			kind = payload.EditString
		} else if !v.number() {
			return dst, 0, false
		}
		var d decimal
		if !d.parse(v.text) {
			return dst, 0, false
		}
		n, fraction, ok := d.whole()
		if !ok || n > math.MaxInt64/4 { // the band's begin must be a number as well
			return dst, 0, false
		}
		if d.neg {
			if n = -n; fraction {
				n--
			}
		}
		rest := n % width
		if rest < 0 {
			rest += width
		}
		return strconv.AppendInt(dst, n-rest, 10), kind, true
	}
}
