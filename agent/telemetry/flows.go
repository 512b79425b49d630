package telemetry

import (
	"cmp"
	"slices"
	"time"

	"github.com/sealgate/sealgate/agent/corridor"
	"github.com/sealgate/sealgate/classify"
	"github.com/sealgate/sealgate/crypto/protect"
)

// A Flow is what one route has sent one way, since the policy in force was
// applied.
type Flow struct {
	Route    string    `json:"route"` // of the policy
	Uplink   string    `json:"uplink"`
	Grade    string    `json:"grade"`
	Outcome  string    `json:"outcome"`
	Classes  []string  `json:"classes"` // that were found in any of them
	Messages uint64    `json:"messages"`
	Last     time.Time `json:"last"` // when the last one was received
}

// flows counts by route, uplink, grade and outcome: all four are closed sets of
// the policy and the configuration.
type flows struct {
	last *flowRow // the row of the last event: most come in runs
	rows map[flowKey]*flowRow
}

type flowKey struct{ route, uplink string }

type flowRow struct {
	flowKey
	cells [grades][outcomes]struct {
		messages uint64
		last     time.Time
		classes  classify.ClassSet
	}
}

func (f *flows) observe(e *corridor.Event) {
	row := f.last
	if row == nil || row.route != e.Route || row.uplink != e.Uplink {
		key := flowKey{e.Route, e.Uplink}
		if row = f.rows[key]; row == nil {
			if f.rows == nil {
				f.rows = map[flowKey]*flowRow{}
			}
			row = &flowRow{flowKey: key}
			f.rows[key] = row
		}
		f.last = row
	}
	c := &row.cells[e.Grade][e.Outcome]
	c.messages++
	c.last = e.Received
	c.classes |= e.Classes
}

// list returns what was counted: the highest grade first, and of one grade the
// least protected.
func (f *flows) list() []Flow {
	type ranked struct {
		Flow
		grade int
		rank  int
	}
	var all []ranked
	for _, row := range f.rows {
		for g := range grades {
			for o := range outcomes {
				if c := row.cells[g][o]; c.messages > 0 {
					all = append(all, ranked{Flow{row.route, row.uplink, g.String(), o.String(), classNames(c.classes), c.messages, c.last}, int(g), int(o)})
				}
			}
		}
	}
	slices.SortFunc(all, func(a, b ranked) int {
		return cmp.Or(cmp.Compare(b.grade, a.grade), cmp.Compare(a.rank, b.rank), cmp.Compare(a.Route, b.Route), cmp.Compare(a.Uplink, b.Uplink))
	})
	out := make([]Flow, len(all))
	for i := range all {
		out[i] = all[i].Flow
	}
	return out
}

func classNames(set classify.ClassSet) []string {
	names := []string{}
	for ; set != 0; set &= set - 1 {
		names = append(names, set.First().String())
	}
	return names
}

// A Minute is what became of the messages of one minute.
type Minute struct {
	Protected uint64 `json:"protected"` // transformed, encrypted or sealed
	Passed    uint64 `json:"passed"`
	Blocked   uint64 `json:"blocked"`
}

// hour is the last sixty minutes, by minute of the wall clock.
type hour [60]struct {
	minute int64 // since 1970
	Minute
}

func (h *hour) observe(e *corridor.Event) {
	now := e.Received.Unix() / 60
	slot := &h[uint64(now)%uint64(len(h))]
	if slot.minute != now {
		slot.minute, slot.Minute = now, Minute{}
	}
	switch e.Outcome {
	case protect.OutcomeTransformed, protect.OutcomeEncrypted, protect.OutcomeSealed:
		slot.Protected++
	case protect.OutcomePassed:
		slot.Passed++
	default:
		slot.Blocked++
	}
}

// list returns the last hour, the current minute at the end.
func (h *hour) list(now time.Time) []Minute {
	out := make([]Minute, len(h))
	end := now.Unix() / 60
	for i := range out {
		minute := end - int64(len(h)-1-i)
		if slot := &h[uint64(minute)%uint64(len(h))]; slot.minute == minute {
			out[i] = slot.Minute
		}
	}
	return out
}

// leaving adds to s what Observe has seen leave.
func (m *Metrics) leaving(s Stats, now time.Time) Stats {
	m.mu.Lock()
	defer m.mu.Unlock()
	s.Flows, s.Hour = m.tally.flows.list(), m.tally.hour.list(now)
	return s
}
