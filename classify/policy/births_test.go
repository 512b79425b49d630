package policy

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/sealgate/sealgate/classify/payload"
)

func sparkplugMetric(name string, alias uint64) string {
	m := ""
	if name != "" {
		m = "\x0a" + string(rune(len(name))) + name
	}
	m += "\x10" + string(binary.AppendUvarint(nil, alias)) + "\x20\x03\x50\x07" // Int32 7
	return "\x12" + string(rune(len(m))) + m
}

func TestBirths(t *testing.T) {
	var b Births
	read := func(topic, raw string) (names []string, known bool) {
		t.Helper()
		var d payload.Document
		if why := payload.Parse(&d, topic, []byte(raw), payload.Limits{}); why != payload.ReasonNone {
			t.Fatalf("%s: %s", topic, why)
		}
		known = b.apply(&d)
		if s := d.Sparkplug(); s != nil {
			for _, m := range s.Metrics {
				names = append(names, string(d.Key(m.Field)))
			}
		}
		return names, known
	}
	for i, step := range []struct {
		topic, raw string
		known      bool
		names      string
	}{
		{"spBv1.0/g/NDATA/e", sparkplugMetric("", 1), false, "[1]"},
		{"spBv1.0/g/NBIRTH/e", sparkplugMetric("speed", 1) + sparkplugMetric("door", 2), true, "[speed door]"},
		{"spBv1.0/g/DBIRTH/e/d", sparkplugMetric("lamp", 3), true, "[lamp]"},
		{"spBv1.0/g/NDATA/e", sparkplugMetric("", 2) + sparkplugMetric("", 1), true, "[door speed]"},
		{"spBv1.0/g/DDATA/e/d", sparkplugMetric("", 3), true, "[lamp]"},
		{"spBv1.0/g/DDATA/e/d", sparkplugMetric("", 3) + sparkplugMetric("", 4), false, "[lamp 4]"},
		{"spBv1.0/g/NDATA/other", sparkplugMetric("", 1), false, "[1]"},
		{"spBv1.0/other/NDATA/e", sparkplugMetric("", 1), false, "[1]"},
		{"spBv1.0/g/NBIRTH/e", sparkplugMetric("weight", 1), true, "[weight]"}, // a new life
		{"spBv1.0/g/NDATA/e", sparkplugMetric("", 1), true, "[weight]"},
		{"spBv1.0/g/DDATA/e/d", sparkplugMetric("", 3), false, "[3]"},
		{"line/1", `{"a":1}`, true, "[]"},
	} {
		if names, known := read(step.topic, step.raw); known != step.known || fmt.Sprint(names) != step.names {
			t.Errorf("step %d: %v, known %t, want %s", i, names, known, step.names)
		}
	}
	for node := range 1 << 6 { // more than is remembered
		raw := ""
		for alias := range uint64(1 << 11) {
			raw += sparkplugMetric("m", alias)
		}
		read(fmt.Sprintf("spBv1.0/g/NBIRTH/n%d", node), raw)
	}
	if b.size != maxAliases {
		t.Errorf("%d aliases are remembered", b.size)
	}
}
