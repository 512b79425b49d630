// Package telemetry shows what the agent does: Prometheus metrics, health,
// readiness, a status document and a status page, on one HTTP listener.
//
// It is the only importer of the Prometheus client in the agent. Others expose
// plain Stats; telemetry reads them when it is scraped, and is fed one
// corridor.Event per message and uplink, which it counts under one lock and
// turns into metrics at the scrape. Labels are closed sets and every series
// exists from the start, so that a rate never misses its first event. No topic,
// client id, payload or error text is ever a label.
//
// It decides nothing and stores nothing across restarts.
package telemetry

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/sealgate/sealgate/agent/corridor"
	"github.com/sealgate/sealgate/classify"
	"github.com/sealgate/sealgate/classify/policy"
	"github.com/sealgate/sealgate/crypto/protect"
)

const namespace = "sealgate"

// Build identifies the program.
type Build struct {
	Version, Revision, GoVersion string
	SupportEnd                   time.Time // until when it gets security updates; zero: not stated
	Built                        time.Time // of the sources; zero: not known
}

// Metrics is the registry of one agent.
type Metrics struct {
	reg   *prometheus.Registry
	scale *scale

	mu    sync.Mutex // guards tally
	tally tally
}

// A tally is all that Observe counts.
type tally struct {
	messages   [grades][outcomes]uint64
	bytes      [grades][outcomes]uint64
	observed   [outcomes]uint64
	findings   [64]uint64 // by class
	left       [64]uint64 // by class: only observed
	actions    [len(protect.Counts{})]uint64
	loose      uint64
	unreadable uint64
	guard      uint64
	queue      histogram
	judge      histogram
	protect    histogram
	commit     histogram
	fsync      histogram
	flows      flows
	hour       hour
}

const (
	grades   = classify.L5 + 1
	outcomes = protect.OutcomeQuarantined + 1
)

// New builds the registry with every series at zero. stats is read at each
// scrape.
func New(b Build, stats func() Stats) *Metrics {
	m := &Metrics{reg: prometheus.NewRegistry(), scale: newScale()}
	for _, h := range []*histogram{&m.tally.queue, &m.tally.judge, &m.tally.protect, &m.tally.commit, &m.tally.fsync} {
		*h = m.scale.histogram()
	}
	m.reg.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		newCollector(m, b, stats),
	)
	return m
}

// Observe counts one event. The corridor's committer calls it; it allocates
// nothing but for the first message of a route.
func (m *Metrics) Observe(e *corridor.Event) {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := &m.tally
	t.messages[e.Grade][e.Outcome]++
	t.bytes[e.Grade][e.Outcome] += uint64(e.InBytes)
	if e.Mode == policy.Observe {
		t.observed[e.WouldBe]++
	}
	for set := e.Classes; set != 0; set &= set - 1 {
		t.findings[set.First()]++
	}
	for set := e.Observed; set != 0; set &= set - 1 {
		t.left[set.First()]++
	}
	for i, n := range e.Actions {
		t.actions[i] += uint64(n)
	}
	t.loose += uint64(e.Loose)
	if e.Unreadable {
		t.unreadable++
	}
	if e.Guard {
		t.guard++
	}
	t.queue.observe(m.scale, e.Queue)
	t.judge.observe(m.scale, e.Judge)
	t.protect.observe(m.scale, e.Protect)
	t.commit.observe(m.scale, e.Commit)
	t.flows.observe(e)
	t.hour.observe(e)
}

// ObserveSync counts one flush of the medium.
func (m *Metrics) ObserveSync(d time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.tally.fsync.observe(m.scale, d)
}

// ResetFlows begins the table of what leaves anew: the routes are another
// policy's.
func (m *Metrics) ResetFlows() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.tally.flows = flows{}
}

// snapshot copies what a scrape shows.
func (m *Metrics) snapshot() tally {
	m.mu.Lock()
	defer m.mu.Unlock()
	t := m.tally
	for _, h := range []*histogram{&t.queue, &t.judge, &t.protect, &t.commit, &t.fsync} {
		*h = h.clone()
	}
	t.flows = flows{}
	return t
}
