package policy

import "strings"

// OrderKey returns what the order of messages is kept within: messages of one
// key are published in the order in which they arrived.
func (r *Route) OrderKey(topic string) string {
	if r.OrderBy != OrderSparkplugNode {
		return topic
	}
	// spBv1.0/group/type/node[/device]: group and node, without the type between
	// them. A topic of another shape keeps its own order.
	parts := strings.SplitN(topic, "/", 5)
	if len(parts) < 4 {
		return topic
	}
	return parts[1] + "/" + parts[3]
}

// Observes reports whether the route observes on any of its uplinks: everything,
// or some classes.
func (r *Route) Observes() bool {
	for i := range r.rules.uplinks {
		if t := &r.rules.uplinks[i]; t.mode() == Observe || t.watched != 0 {
			return true
		}
	}
	return false
}

// A Filter is a topic filter (MQTT 5.0, section 4.7).
type Filter struct{ f filter }

// ParseFilter reads a topic filter.
func ParseFilter(s string) (Filter, error) {
	f, err := parseFilter(s)
	return Filter{f}, err
}

// Match reports whether a topic matches. A filter that begins with a wildcard
// does not match topics that begin with '$'.
func (f *Filter) Match(topic string) bool { return f.f.match(topic) }
