package config

import (
	"slices"
	"strings"
)

// mapTopics turns the topic lines of a bridge into ours, so that the same
// messages are published under the same topics. mosquitto takes the first line
// with a prefix whose local prefix and pattern match, and where none does
// leaves the topic as it is, whatever the order of the lines without a prefix:
// those come last here. What can't be said in whole levels is left out, with a
// remark.
func (m *mosquitto) mapTopics(b *mosqBridge) (out []mappedTopic) {
	var plain []mappedTopic
	for _, t := range b.topics {
		if !t.out {
			continue
		}
		ts, why := mapTopic(t, "out")
		if why != "" {
			m.remark(Unmapped, t.at, "topic", "%s", why)
		}
		if t.local == "" && t.remote == "" {
			plain = append(plain, ts...)
		} else {
			out = append(out, ts...)
		}
	}
	return append(once(append(out, plain...)), m.mapIncoming(b, append(out, plain...))...)
}

// mapIncoming maps what a bridge brings from the cloud. What would come back of
// what the gateway publishes is left out: mosquitto's bridges know each other by
// a private extension of the protocol, an uplink is an ordinary client.
func (m *mosquitto) mapIncoming(b *mosqBridge, out []mappedTopic) (in []mappedTopic) {
	for _, t := range b.topics {
		if !t.in {
			continue
		}
		ts, why := mapTopic(t, "in")
		for _, x := range ts {
			if i := slices.IndexFunc(out, func(o mappedTopic) bool { return overlap(o.RemotePrefix+o.Pattern, x.RemotePrefix+x.Pattern) }); i >= 0 {
				ts, why = nil, "what the gateway publishes as "+out[i].RemotePrefix+out[i].Pattern+" would come back by "+x.RemotePrefix+x.Pattern+", so nothing is relayed: let the cloud use another prefix for what devices are to get"
				break
			}
		}
		if why != "" {
			m.remark(Unmapped, t.at, "topic", "%s", why)
		}
		if len(ts) > 0 && t.qos == 2 {
			m.remark(Differs, t.at, "topic", "what comes is taken with QoS 1: it may come twice")
		}
		in = append(in, ts...)
	}
	return once(in)
}

// once leaves out what stands twice.
func once(topics []mappedTopic) (kept []mappedTopic) {
	for _, t := range topics {
		if !slices.ContainsFunc(kept, func(k mappedTopic) bool { return k.Topic == t.Topic }) {
			kept = append(kept, t)
		}
	}
	return kept
}

// A mappedTopic is a topic of an uplink and where it comes from.
type mappedTopic struct {
	Topic
	at   place
	note string
}

// filter is the local topic filter.
func (t *mappedTopic) filter() string { return t.LocalPrefix + t.Pattern }

// mapTopic returns why it can't map all of it, if so.
func mapTopic(t mosqTopic, direction string) (out []mappedTopic, why string) {
	local, pattern, remote, in := t.local, t.pattern, t.remote, direction == "in"
	filter := local + pattern
	switch {
	case !validFilter(filter):
		return nil, filter + " is not a valid topic filter: nothing matches it"
	case strings.HasPrefix(filter, "$"):
		return nil, "topics that begin with $ are the local broker's own: they don't leave, and none come"
	case strings.Contains(remote, "{site}") || strings.Contains(remote, "{gateway}"):
		return nil, "a remote prefix with {site} or {gateway} in it means something else here: rename it on both sides"
	}
	add := func(x Topic, note string) {
		x.Direction = direction
		out = append(out, mappedTopic{Topic: x, at: t.at, note: note})
	}
	// Whole levels only: move what both prefixes have behind their last '/'
	// into the pattern.
	localDir, localTail := cutLevel(local)
	remoteDir, remoteTail := cutLevel(remote)
	switch {
	case localTail == remoteTail:
		local, remote, pattern = localDir, remoteDir, localTail+pattern
	case pattern == "":
		return nil, "a topic can't get another last level: " + filter + " would have to become " + remote
	case localTail == "" && !in:
		// A remote prefix is put before what leaves as it stands.
	default:
		// Move the first level of the pattern into both prefixes, if it is
		// literal and something stays behind it.
		first, rest, more := strings.Cut(pattern, "/")
		if !more || strings.ContainsAny(first, "+#") {
			return nil, "a prefix must end in '/' here: " + remote + pattern + " and " + filter + " can't be made of each other"
		}
		if rest == "#" {
			why = "a prefix must end in '/' here: all below " + local + first + "/ is mapped, but not the topic " + local + first + " itself"
		}
		add(Topic{Pattern: rest, LocalPrefix: local + first + "/", RemotePrefix: remote + first + "/"}, "")
		return valid(out, why)
	}
	add(Topic{Pattern: pattern, LocalPrefix: local, RemotePrefix: remote}, "")
	if pattern == "#" && local != "" && !in {
		// "a/#" is also a match for "a", which has no prefix "a/" to remove.
		add(Topic{Pattern: strings.TrimSuffix(local, "/"), RemotePrefix: remote}, "as mosquitto does: "+local+"# is also about this topic")
	}
	return valid(out, why)
}

// valid leaves out what agent.yaml would not accept.
func valid(out []mappedTopic, why string) ([]mappedTopic, string) {
	for _, t := range out {
		in := t.Direction == "in"
		if strings.HasPrefix(t.RemotePrefix, "$") && !in {
			return nil, "a remote topic that begins with $ can't be published to from here"
		}
		if in && !validFilter(t.RemotePrefix+t.Pattern) || !validFilter(t.Pattern) || !validPrefix(t.LocalPrefix) || strings.ContainsAny(t.RemotePrefix, "+#\x00") || in && t.RemotePrefix != "" && !strings.HasSuffix(t.RemotePrefix, "/") {
			return nil, "this combination of prefixes can't be said in whole levels"
		}
	}
	return out, why
}

// cutLevel splits behind the last '/'.
func cutLevel(s string) (dir, tail string) {
	i := strings.LastIndexByte(s, '/') + 1
	return s[:i], s[i:]
}

// covers reports whether every topic that b matches is also matched by a.
func covers(a, b string) bool {
	as, bs := strings.Split(a, "/"), strings.Split(b, "/")
	for i, l := range as {
		switch {
		case l == "#":
			return i > 0 || !strings.HasPrefix(b, "$")
		case i >= len(bs) || bs[i] == "#" || l != "+" && l != bs[i]:
			return false
		}
	}
	return len(as) == len(bs)
}

// narrowFirst orders filters so that none stands behind one that covers it, and
// leaves out duplicates.
func narrowFirst(filters []string) (out []string) {
	for _, f := range filters {
		if slices.Contains(out, f) {
			continue
		}
		i := slices.IndexFunc(out, func(o string) bool { return covers(o, f) })
		if i < 0 {
			i = len(out)
		}
		out = slices.Insert(out, i, f)
	}
	return out
}
