package corridor

import (
	"sync"
	"time"

	"github.com/sealgate/sealgate/classify"
	"github.com/sealgate/sealgate/classify/payload"
	"github.com/sealgate/sealgate/classify/policy"
	"github.com/sealgate/sealgate/crypto/protect"
)

// rebirths says when which edge node was asked.
type rebirths struct {
	mu   sync.Mutex // guards the rest
	last map[payload.SparkplugTopic]time.Time
}

const (
	rebirthEvery = time.Minute // a node is not asked more often
	maxRebirths  = 4096        // nodes that are remembered
)

// askRebirth asks an edge node for its birth certificate where one is missing:
// a message uses an alias that nobody explained, or a birth can't be read or was
// blocked.
func (c *Corridor) askRebirth(topic string, v *policy.Verdict, events []Event) {
	t, ok := payload.ParseSparkplugTopic(topic)
	if !ok || c.opt.Rebirth == nil {
		return
	}
	missing := v.Reason == policy.ReasonAlias
	if t.Birth() {
		missing = v.Reason != payload.ReasonNone && v.Reason != classify.ReasonUnresolved
		for i := range events {
			missing = missing || events[i].Outcome == protect.OutcomeBlocked
		}
	}
	if !missing || t.Kind == "NCMD" || t.Kind == "DCMD" {
		return
	}
	if c.rebirth.due(payload.SparkplugTopic{Group: t.Group, Node: t.Node}, time.Now()) {
		c.opt.Rebirth(t.Group, t.Node)
	}
}

// due says whether the node is to be asked now, and notes that.
func (r *rebirths) due(node payload.SparkplugTopic, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if last, asked := r.last[node]; asked && now.Sub(last) < rebirthEvery {
		return false
	}
	if r.last == nil || len(r.last) >= maxRebirths {
		r.last = map[payload.SparkplugTopic]time.Time{}
	}
	r.last[node] = now
	return true
}
