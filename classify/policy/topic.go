package policy

import (
	"errors"
	"strings"
	"unicode/utf8"
)

// A filter is an MQTT topic filter (MQTT 3.1.1, section 4.7): "+" stands for
// one level, a last "#" for any number of levels, none included.
type filter struct {
	text   string
	levels []string // without a last "#"
	rest   bool     // ends with "#"
}

// maxTopicBytes is the longest topic and filter of MQTT, in bytes.
const maxTopicBytes = 65535

func parseFilter(s string) (filter, error) {
	switch {
	case s == "":
		return filter{}, errors.New("a topic filter is empty")
	case len(s) > maxTopicBytes || !utf8.ValidString(s) || strings.ContainsRune(s, 0):
		return filter{}, errors.New("not a topic filter of MQTT")
	case strings.HasPrefix(s, "$share/"):
		return filter{}, errors.New("a shared subscription is not a topic filter")
	}
	f := filter{text: s, levels: strings.Split(s, "/")}
	for i, l := range f.levels {
		switch {
		case l == "+":
		case l == "#" && i == len(f.levels)-1:
			f.levels, f.rest = f.levels[:i], true
		case strings.ContainsAny(l, "+#"):
			return filter{}, errors.New(`"+" stands for a whole level, "#" for all the last ones`)
		}
	}
	return f, nil
}

// match reports whether the filter takes a topic. A filter that begins with a
// wildcard takes no topic that begins with "$" [MQTT-4.7.2-1].
func (f *filter) match(topic string) bool {
	if topic == "" {
		return false
	}
	if topic[0] == '$' && (len(f.levels) == 0 || f.levels[0] == "+") {
		return false
	}
	for i, want := range f.levels {
		if i > 0 {
			if topic == "" || topic[0] != '/' {
				return false // the topic ends before the filter
			}
			topic = topic[1:]
		}
		if want == "+" {
			n := strings.IndexByte(topic, '/')
			if n < 0 {
				n = len(topic)
			}
			topic = topic[n:]
			continue
		}
		if len(topic) < len(want) || topic[:len(want)] != want {
			return false
		}
		if topic = topic[len(want):]; topic != "" && topic[0] != '/' {
			return false
		}
	}
	return topic == "" || f.rest
}

func (f *filter) dollar() bool { return len(f.levels) > 0 && strings.HasPrefix(f.levels[0], "$") }

// wild reports whether the filter's first level is a wildcard.
func (f *filter) wild() bool { return len(f.levels) == 0 || f.levels[0] == "+" }

// covers reports whether f takes every topic that g takes.
func (f *filter) covers(g *filter) bool {
	if f.wild() && g.dollar() {
		return false
	}
	for i, want := range f.levels {
		if i >= len(g.levels) {
			return false // g ends here, or goes on as it likes
		}
		if want != "+" && want != g.levels[i] {
			return false
		}
	}
	return f.rest || len(f.levels) == len(g.levels) && !g.rest
}

// meets reports whether some topic is taken by both filters.
func (f *filter) meets(g *filter) bool {
	if f.wild() && g.dollar() || g.wild() && f.dollar() {
		return false
	}
	for i := range min(len(f.levels), len(g.levels)) {
		a, b := f.levels[i], g.levels[i]
		if a != b && a != "+" && b != "+" {
			return false
		}
	}
	switch n, m := len(f.levels), len(g.levels); {
	case n < m:
		return f.rest
	case n > m:
		return g.rest
	}
	return true
}
