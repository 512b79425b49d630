package payload

import "strings"

// A SparkplugTopic is a topic of Sparkplug B (Eclipse Sparkplug 3.0, 4.1):
// spBv1.0/group/kind/node[/device], or spBv1.0/STATE/host.
type SparkplugTopic struct{ Group, Kind, Node, Device string }

// ParseSparkplugTopic reads one. It reports false for any other topic.
func ParseSparkplugTopic(topic string) (t SparkplugTopic, ok bool) {
	rest, ok := strings.CutPrefix(topic, "spBv1.0/")
	if !ok {
		return t, false
	}
	t.Group, rest, ok = strings.Cut(rest, "/")
	if t.Group == "STATE" {
		return SparkplugTopic{Kind: "STATE", Node: rest}, ok
	}
	t.Kind, rest, _ = strings.Cut(rest, "/")
	t.Node, t.Device, _ = strings.Cut(rest, "/")
	switch t.Kind {
	case "NBIRTH", "NDATA", "NDEATH", "NCMD", "DBIRTH", "DDATA", "DDEATH", "DCMD":
		return t, t.Node != ""
	}
	return SparkplugTopic{}, false
}

// Birth reports whether the message says what metrics a node or device has.
func (t SparkplugTopic) Birth() bool { return t.Kind == "NBIRTH" || t.Kind == "DBIRTH" }

// LifeCycle reports whether others depend on finding the message where it is and
// in a form that they can read: all but data.
func (t SparkplugTopic) LifeCycle() bool { return t.Kind != "NDATA" && t.Kind != "DDATA" }
