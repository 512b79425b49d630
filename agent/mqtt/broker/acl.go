package broker

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// An ACL says who may read and write which topics.
type ACL struct {
	anonymous []rule
	users     map[string][]rule
	patterns  []rule // for everybody, with %u and %c
	anyone    []rule // for everybody, before all others
}

type rule struct {
	filter      string
	all         bool // every topic, those beginning with "$" too, which "#" does not match
	read, write bool
	deny        bool
}

// ParseACL reads an ACL file with the meaning mosquitto gives it:
//
//	topic [read|write|readwrite|deny] FILTER
//	user NAME
//	pattern [read|write|readwrite|deny] FILTER
//
// A "topic" line is about the user named above it; before the first "user", it
// is about anonymous clients. A "pattern" line is about everybody; %u and %c in
// it stand for the user name and the client id, and the line does not apply to
// a client whose name or id is missing or holds "+", "#" or "/". The access is
// readwrite if it is not said. Deny goes before anything else; what no line
// allows is refused. Lines that begin with "#" and empty lines are skipped;
// anything else is an error, with its line, and all are returned at once.
//
// Reading is checked for each delivery, so that a subscription to "#" gets what
// the client may read. A subscription to which no readable topic can belong is
// refused, which mosquitto leaves open.
func ParseACL(src []byte) (*ACL, error) {
	a := &ACL{users: make(map[string][]rule)}
	var errs []error
	user, named := "", false
	n := 0
	for line := range bytes.Lines(src) {
		n++
		s := strings.TrimRight(string(line), " \t\r\n")
		if s == "" || s[0] == '#' {
			continue
		}
		fail := func(format string, args ...any) {
			errs = append(errs, fmt.Errorf("line %d: "+format, append([]any{n}, args...)...))
		}
		if !utf8.ValidString(s) {
			fail("not UTF-8")
			continue
		}
		word, rest, _ := strings.Cut(s, " ")
		rest = strings.TrimLeft(rest, " \t")
		switch word {
		case "user":
			if rest == "" {
				fail("user has no name")
				continue
			}
			user, named = rest, true
		case "topic", "pattern":
			r, err := parseRule(rest)
			switch {
			case err != nil:
				fail("%w", err)
			case word == "pattern":
				a.patterns = append(a.patterns, r)
			case named:
				a.users[user] = append(a.users[user], r)
			default:
				a.anonymous = append(a.anonymous, r)
			}
		default:
			fail("want user, topic or pattern")
		}
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return a, nil
}

func parseRule(s string) (rule, error) {
	r := rule{read: true, write: true, filter: s}
	if word, rest, ok := strings.Cut(s, " "); ok {
		rest = strings.TrimLeft(rest, " \t")
		known := true
		switch word {
		case "read":
			r.write = false
		case "write":
			r.read = false
		case "readwrite":
		case "deny":
			r = rule{deny: true}
		default:
			known = false // a filter may hold spaces
		}
		if known {
			r.filter = rest
		}
	}
	return r, checkFilter(r.filter)
}

// DefaultACL is what holds without an ACL file: a user may read and write below
// its own name ("alice/#", from "pattern readwrite %u/#"), and nothing else. An
// anonymous client, which only a loopback listener admits and only if told to,
// may use every topic.
func DefaultACL() *ACL {
	return &ACL{
		anonymous: []rule{{all: true, read: true, write: true}},
		patterns:  []rule{{filter: "%u/#", read: true, write: true}, {filter: "%u", read: true, write: true}},
	}
}

// AllowAll lets every client that is let in use every topic, as mosquitto does
// without an ACL file.
func AllowAll() *ACL {
	return &ACL{anyone: []rule{{all: true, read: true, write: true}}}
}

// MayWrite says whether the client may publish to the topic.
func (a *ACL) MayWrite(user string, named bool, client, topic string) bool {
	return a.allows(user, named, client, func(r rule, f string) bool {
		return (r.deny || r.write) && (r.all || match(f, topic))
	})
}

// MayRead says whether the client may receive a message on the topic.
func (a *ACL) MayRead(user string, named bool, client, topic string) bool {
	return a.allows(user, named, client, func(r rule, f string) bool {
		return (r.deny || r.read) && (r.all || match(f, topic))
	})
}

// MayReadFilter says whether the client may receive something on a filter.
func (a *ACL) MayReadFilter(user string, named bool, client, filter string) bool {
	if rest, shared := strings.CutPrefix(filter, "$share/"); shared {
		_, filter, _ = strings.Cut(rest, "/")
	}
	return a.allows(user, named, client, func(r rule, f string) bool {
		return r.read && (r.all || overlap(f, filter)) || r.deny && f == filter
	})
}

// allows finds out: denied by any rule that applies, else allowed by any.
func (a *ACL) allows(user string, named bool, client string, applies func(rule, string) bool) bool {
	own := a.anonymous
	if named {
		own = a.users[user]
	}
	ok := false
	for _, r := range a.anyone {
		if applies(r, r.filter) {
			if r.deny {
				return false
			}
			ok = true
		}
	}
	for _, r := range own {
		if applies(r, r.filter) {
			if r.deny {
				return false
			}
			ok = true
		}
	}
	for _, r := range a.patterns {
		f, fits := expand(r.filter, user, named, client)
		if fits && applies(r, f) {
			if r.deny {
				return false
			}
			ok = true
		}
	}
	return ok
}

// expand replaces %u and %c.
func expand(f, user string, named bool, client string) (string, bool) {
	if !strings.Contains(f, "%") {
		return f, true
	}
	if strings.Contains(f, "%u") {
		if !named || user == "" || strings.ContainsAny(user, "+#/") {
			return "", false
		}
	}
	if strings.Contains(f, "%c") && (client == "" || strings.ContainsAny(client, "+#/")) {
		return "", false
	}
	return strings.NewReplacer("%u", user, "%c", client).Replace(f), true
}
