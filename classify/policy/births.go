package policy

import (
	"sync"

	"github.com/sealgate/sealgate/classify/payload"
)

// ReasonAlias says that a Sparkplug message names a metric by an alias that no
// birth certificate was seen for.
const ReasonAlias Reason = "alias"

// Births is what the birth certificates of Sparkplug B's edge nodes say: which
// metric each alias stands for. It outlives generations and is safe for
// concurrent use. The zero value is ready.
type Births struct {
	mu    sync.RWMutex // guards what follows
	nodes map[edgeNode]map[uint64]birth
	size  int // aliases of all nodes
}

// edgeNode is one: aliases are unique within it (Sparkplug 3.0, 6.4.16).
type edgeNode struct{ group, name string }

type birth struct {
	name     string
	datatype uint32
}

// maxAliases bounds what is remembered. What is beyond stays unknown, and is
// sealed.
const maxAliases = 1 << 16

// apply learns from a birth certificate, and names the metrics of any other
// Sparkplug message. It reports false where one stays unnamed.
func (b *Births) apply(d *payload.Document) (known bool) {
	frame := d.Sparkplug()
	if frame == nil {
		return true
	}
	t, ok := payload.ParseSparkplugTopic(d.Topic)
	if !ok {
		return true
	}
	if t.Birth() {
		b.learn(t, d, frame)
	}
	b.mu.RLock()
	defer b.mu.RUnlock()
	births := b.nodes[edgeNode{t.Group, t.Node}]
	known = true
	for i := range frame.Metrics {
		m := &frame.Metrics[i]
		if m.Named || !m.Aliased {
			continue
		}
		x, ok := births[m.Alias]
		if !ok {
			known = false
			continue
		}
		d.NameMetric(i, []byte(x.name), x.datatype)
	}
	return known
}

// learn remembers what a birth certificate declares. That of a node ends what
// was known of it and its devices.
func (b *Births) learn(t payload.SparkplugTopic, d *payload.Document, frame *payload.Sparkplug) {
	b.mu.Lock()
	defer b.mu.Unlock()
	key := edgeNode{t.Group, t.Node}
	if t.Kind == "NBIRTH" {
		b.size -= len(b.nodes[key])
		delete(b.nodes, key)
	}
	for i := range frame.Metrics {
		m := &frame.Metrics[i]
		if !m.Named || !m.Aliased || m.Inner {
			continue
		}
		if b.nodes == nil {
			b.nodes = map[edgeNode]map[uint64]birth{}
		}
		if b.nodes[key] == nil {
			b.nodes[key] = map[uint64]birth{}
		}
		if _, again := b.nodes[key][m.Alias]; !again {
			if b.size == maxAliases {
				continue
			}
			b.size++
		}
		b.nodes[key][m.Alias] = birth{string(d.Key(m.Field)), m.Datatype}
	}
}
