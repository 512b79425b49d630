package broker

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// mostLevels is how many levels a topic or a filter may have: each is a node in
// a tree, hundreds of times as large as the slash that makes it. mosquitto has
// the same limit.
const mostLevels = 200

// checkTopic says why a topic can't be published to (MQTT 5, 4.7; 3.1.1, 4.7).
func checkTopic(t string) error {
	switch {
	case t == "":
		return errors.New("topic is empty")
	case len(t) > 65535:
		return errors.New("topic is longer than 65535 bytes")
	case strings.ContainsAny(t, "+#\x00"):
		return errors.New("topic has a wildcard or NUL")
	case !utf8.ValidString(t):
		return errors.New("topic is not UTF-8")
	case strings.Count(t, "/") >= mostLevels:
		return fmt.Errorf("topic has more than %d levels", mostLevels)
	}
	return nil
}

// checkFilter says what is wrong with a topic filter.
func checkFilter(f string) error {
	switch {
	case f == "":
		return errors.New("topic filter is empty")
	case len(f) > 65535:
		return errors.New("topic filter is longer than 65535 bytes")
	case strings.IndexByte(f, 0) >= 0 || !utf8.ValidString(f):
		return fmt.Errorf("topic filter %q is not UTF-8 without NUL", f)
	case strings.Count(f, "/") >= mostLevels:
		return fmt.Errorf("topic filter has more than %d levels", mostLevels)
	}
	if rest, shared := strings.CutPrefix(f, "$share/"); shared {
		group, filter, ok := strings.Cut(rest, "/")
		if !ok || group == "" || filter == "" || strings.ContainsAny(group, "+#") {
			return fmt.Errorf("shared topic filter %q: want $share/GROUP/FILTER", f)
		}
		f = filter
	}
	for level, rest, more := cut(f); ; level, rest, more = cut(rest) {
		if strings.Contains(level, "#") && (level != "#" || more) {
			return fmt.Errorf("topic filter %q: # must be the whole last level", f)
		}
		if strings.Contains(level, "+") && level != "+" {
			return fmt.Errorf("topic filter %q: + must be a whole level", f)
		}
		if !more {
			return nil
		}
	}
}

func cut(s string) (level, rest string, more bool) { return strings.Cut(s, "/") }

// isFilter tells a filter from a topic.
func isFilter(s string) bool {
	return strings.ContainsAny(s, "+#") || strings.HasPrefix(s, "$share/")
}

// isSys says whether a topic is the broker's own.
func isSys(t string) bool {
	return len(t) >= 4 && strings.EqualFold(t[:4], "$SYS") && (len(t) == 4 || t[4] == '/')
}

// match says whether a topic matches a filter. A wildcard at the first level
// does not match a topic beginning with "$" [MQTT-4.7.2-1].
func match(filter, topic string) bool {
	if topic != "" && topic[0] == '$' && (filter == "" || filter[0] != '$') {
		return false
	}
	for {
		fl, frest, fmore := cut(filter)
		if fl == "#" {
			return true
		}
		tl, trest, tmore := cut(topic)
		if fl != "+" && fl != tl {
			return false
		}
		if !tmore {
			return !fmore || frest == "#" // "a/#" matches "a"
		}
		if !fmore {
			return false
		}
		filter, topic = frest, trest
	}
}

// overlap says whether some topic matches both filters.
func overlap(a, b string) bool {
	if a != "" && b != "" && (a[0] == '$') != (b[0] == '$') {
		return false
	}
	for {
		al, arest, amore := cut(a)
		bl, brest, bmore := cut(b)
		if al == "#" || bl == "#" {
			return true
		}
		if al != bl && al != "+" && bl != "+" {
			return false
		}
		switch {
		case amore && bmore:
			a, b = arest, brest
		case amore:
			return arest == "#"
		case bmore:
			return brest == "#"
		default:
			return true
		}
	}
}

func matchAny(filters []string, topic string) bool {
	for _, f := range filters {
		if match(f, topic) {
			return true
		}
	}
	return false
}
