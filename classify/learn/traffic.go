package learn

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/sealgate/sealgate/classify"
	"github.com/sealgate/sealgate/classify/payload"
	"github.com/sealgate/sealgate/classify/policy"
)

// traffic is what is remembered of the messages of some topics.
type traffic struct {
	messages, bytes int
	unread          int
	grade           classify.Grade // highest
	formats         map[string]int
	found           map[classify.ClassID]*found
	loose           map[string]int // messages with text about which nothing is known, by path
	uplinks         map[int]int    // messages, by uplink
}

// found is what is remembered of a class.
type found struct {
	messages int
	grade    classify.Grade // highest
	sure     uint8          // lowest confidence
	paths    map[string]int // messages, by path
	more     bool           // there were more paths
	last     int            // the message that was counted last
}

func newTraffic() *traffic {
	return &traffic{formats: map[string]int{}, found: map[classify.ClassID]*found{}, loose: map[string]int{}, uplinks: map[int]int{}}
}

func (t *traffic) add(l *Learner, topic string, size int, v *policy.Verdict) {
	t.messages++
	t.bytes += size
	for i := range l.o.Vocab.Uplinks {
		if l.o.Takes == nil || l.o.Takes(i, topic) {
			t.uplinks[i]++
		}
	}
	if v.Document == nil || v.Reason != payload.ReasonNone {
		t.unread++
		t.formats["unreadable"]++
		return
	}
	t.formats[v.Document.FormatName()]++
	t.grade = max(t.grade, v.Grade)
	seen := map[string]bool{}
	for i := range v.Findings {
		f := &v.Findings[i]
		x := t.found[f.Class]
		if x == nil {
			x = &found{paths: map[string]int{}, sure: 100}
			t.found[f.Class] = x
		}
		if x.last != t.messages {
			x.last = t.messages
			x.messages++
		}
		x.grade, x.sure = max(x.grade, f.Grade), min(x.sure, f.Confidence)
		path := cleanPath(v.Document, f.Field, f.Why&classify.WhyInKey != 0)
		if key := fmt.Sprint(f.Class, path); !seen[key] {
			seen[key] = true
			x.more = count(x.paths, path) || x.more
		}
	}
	for _, d := range v.Decisions[:min(1, len(v.Decisions))] {
		for i := range d.Fields {
			if x := &d.Fields[i]; x.Finding < 0 {
				path := cleanPath(v.Document, x.Field, false)
				if !seen[path] {
					seen[path] = true
					count(t.loose, path)
				}
			}
		}
	}
}

// count counts a path and reports whether there is no room for it.
func count(paths map[string]int, path string) bool {
	if _, known := paths[path]; !known && len(paths) >= maxPaths {
		return true
	}
	paths[path]++
	return false
}

// classes names what was found, for comparison.
func (t *traffic) classes() string {
	return fmt.Sprint(slices.Sorted(maps.Keys(t.found)), t.unread == t.messages)
}

// sum adds b to a, either of which may be nil.
func sum(a, b *traffic) *traffic {
	if a == nil {
		return b
	}
	if b == nil {
		return a
	}
	a.messages += b.messages
	a.bytes += b.bytes
	a.unread += b.unread
	a.grade = max(a.grade, b.grade)
	for k, n := range b.formats {
		a.formats[k] += n
	}
	for k, n := range b.uplinks {
		a.uplinks[k] += n
	}
	for k, n := range b.loose {
		if _, known := a.loose[k]; known || len(a.loose) < maxPaths {
			a.loose[k] += n
		}
	}
	for k, y := range b.found {
		x := a.found[k]
		if x == nil {
			a.found[k] = y
			y.last = 0
			continue
		}
		x.messages += y.messages
		x.grade, x.sure, x.more, x.last = max(x.grade, y.grade), min(x.sure, y.sure), x.more || y.more, 0
		for path, n := range y.paths {
			if _, known := x.paths[path]; known || len(x.paths) < maxPaths {
				x.paths[path] += n
			} else {
				x.more = true
			}
		}
	}
	return a
}

// cleanPath is a field's path in which places in arrays, and keys that look like
// the names of things, are "*": keys can be data. The whole payload is "".
func cleanPath(d *payload.Document, field int32, inKey bool) string {
	path := string(d.AppendPath(nil, field))
	if !strings.HasPrefix(path, "/") {
		return path // a topic level, or the whole
	}
	parts := strings.Split(path[1:], "/")
	for i, p := range parts {
		if !keyWord(p) || inKey && i == len(parts)-1 {
			parts[i] = "*"
		}
	}
	return "/" + strings.Join(parts, "/")
}

// keyWord reports whether a key is a word of a message's structure: letters of
// any script, with few digits. An attribute of XML begins with "@".
func keyWord(s string) bool {
	s = strings.TrimPrefix(s, "@")
	if s == "" || len(s) > 48 || !utf8.ValidString(s) {
		return false
	}
	digits, letters := 0, 0
	for _, r := range s {
		switch {
		case r >= '0' && r <= '9':
			digits++
		case unicode.IsLetter(r):
			letters++
		case r == '_', r == '-', r == '.', r == '$':
		default:
			return false
		}
	}
	return letters > 0 && digits <= 2 && digits < letters
}
