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
		if t.in {
			m.remark(Unmapped, t.at, "topic", "direction %s: messages from the cloud to devices are not relayed yet: keep the mosquitto bridge for this topic (direction in), or wait",
				map[bool]string{true: "both", false: "in"}[t.out])
		}
		if !t.out {
			continue
		}
		ts, why := mapTopic(t)
		if why != "" {
			m.remark(Unmapped, t.at, "topic", "%s", why)
		}
		if t.local == "" && t.remote == "" {
			plain = append(plain, ts...)
		} else {
			out = append(out, ts...)
		}
	}
	out = append(out, plain...)
	var kept []mappedTopic
	for _, t := range out {
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
func mapTopic(t mosqTopic) (out []mappedTopic, why string) {
	local, pattern, remote := t.local, t.pattern, t.remote
	filter := local + pattern
	switch {
	case !validFilter(filter):
		return nil, filter + " is not a valid topic filter: nothing matches it"
	case strings.HasPrefix(filter, "$"):
		return nil, "topics that begin with $ are the local broker's own: they don't leave"
	case strings.Contains(remote, "{site}") || strings.Contains(remote, "{gateway}"):
		return nil, "a remote prefix with {site} or {gateway} in it means something else here: rename it on both sides"
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
	default:
		// Move the first level of the pattern into both prefixes, if it is
		// literal and something stays behind it.
		first, rest, more := strings.Cut(pattern, "/")
		if !more || strings.ContainsAny(first, "+#") {
			return nil, "a prefix must end in '/' here: " + t.remote + t.pattern + " can't be made of " + filter
		}
		if rest == "#" {
			why = "a prefix must end in '/' here: all below " + local + first + "/ is mapped, but not the topic " + local + first + " itself"
		}
		local, remote, pattern = local+first+"/", remote+first+"/", rest
		out = append(out, mappedTopic{Topic: Topic{Pattern: pattern, LocalPrefix: local, RemotePrefix: remote}, at: t.at})
		return valid(out, why)
	}
	out = append(out, mappedTopic{Topic: Topic{Pattern: pattern, LocalPrefix: local, RemotePrefix: remote}, at: t.at})
	if pattern == "#" && local != "" {
		// "a/#" is also a match for "a", which has no prefix "a/" to remove.
		out = append(out, mappedTopic{Topic: Topic{Pattern: strings.TrimSuffix(local, "/"), RemotePrefix: remote}, at: t.at,
			note: "as mosquitto does: " + local + "# is also about this topic"})
	}
	return valid(out, why)
}

// valid leaves out what agent.yaml would not accept.
func valid(out []mappedTopic, why string) ([]mappedTopic, string) {
	for _, t := range out {
		if strings.HasPrefix(t.RemotePrefix, "$") {
			return nil, "a remote topic that begins with $ can't be published to from here"
		}
		if !validFilter(t.Pattern) || !validPrefix(t.LocalPrefix) || !validPrefix(t.RemotePrefix) {
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
