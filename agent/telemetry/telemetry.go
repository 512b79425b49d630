// Package telemetry shows what the agent does: Prometheus metrics, health,
// readiness and a status document, on one HTTP listener.
//
// It is the only importer of the Prometheus client in the agent. Others expose
// plain Stats; telemetry reads them when it is scraped, and is fed one
// corridor.Event per message and uplink. Labels are closed sets and every
// series exists from the start, so that a rate never misses its first event.
// No topic, client id, payload or error text is ever a label.
//
// It decides nothing and stores nothing across restarts.
package telemetry

import (
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
}

// Metrics is the registry of one agent.
type Metrics struct {
	reg *prometheus.Registry

	messages   [grades][outcomes]prometheus.Counter
	bytes      [grades][outcomes]prometheus.Counter
	observed   [outcomes]prometheus.Counter
	findings   [64]prometheus.Counter
	unreadable prometheus.Counter
	guard      prometheus.Counter
	actions    prometheus.Counter
	classify   prometheus.Histogram
	stages     struct{ queue, judge, protect, commit prometheus.Histogram }
}

const (
	grades   = classify.L5 + 1
	outcomes = protect.OutcomeQuarantined + 1
)

// New builds the registry with every series at zero. stats is read at each
// scrape.
func New(b Build, stats func() Stats) *Metrics {
	m := &Metrics{reg: prometheus.NewRegistry()}
	m.reg.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		newCollector(b, stats),
	)
	messages := m.counterVec("messages_total", "Messages by grade before protection and effective outcome.", "grade", "outcome")
	bytes := m.counterVec("message_payload_bytes_total", "Payload bytes as published by devices, by grade before protection and effective outcome.", "grade", "outcome")
	observed := m.counterVec("observed_messages_total", "Messages that left unchanged in observe mode, by the outcome that enforcing would have had.", "would_be")
	for o := range outcomes {
		for g := range grades {
			m.messages[g][o] = messages.WithLabelValues(g.String(), o.String())
			m.bytes[g][o] = bytes.WithLabelValues(g.String(), o.String())
		}
		m.observed[o] = observed.WithLabelValues(o.String())
	}
	findings := m.counterVec("findings_total", "Messages in which a class was found.", "class")
	for _, c := range classify.Classes() {
		m.findings[c.ID] = findings.WithLabelValues(c.Name)
	}
	m.unreadable = m.counter("unreadable_messages_total", "Messages whose payload could not be read.")
	m.guard = m.counter("guard_corrections_total", "Decisions that the guard made stricter than the policy.")
	m.actions = m.counter("fields_transformed_total", "Field actions carried out.")
	m.classify = m.histogram("classify_duration_seconds", "Time to parse, classify, grade and decide one message.", "")
	m.stages.queue = m.histogram("stage_duration_seconds", stageHelp, "queue")
	m.stages.judge = m.histogram("stage_duration_seconds", stageHelp, "judge")
	m.stages.protect = m.histogram("stage_duration_seconds", stageHelp, "protect")
	m.stages.commit = m.histogram("stage_duration_seconds", stageHelp, "commit")
	return m
}

const stageHelp = "Time that a message spends in one stage of the corridor."

// Observe counts one event. The corridor's committer calls it; it allocates
// nothing.
func (m *Metrics) Observe(e *corridor.Event) {
	m.messages[e.Grade][e.Outcome].Inc()
	m.bytes[e.Grade][e.Outcome].Add(float64(e.InBytes))
	if e.Mode == policy.Observe {
		m.observed[e.WouldBe].Inc()
	}
	for set := e.Classes; set != 0; set &= set - 1 {
		if c := m.findings[set.First()]; c != nil {
			c.Inc()
		}
	}
	if e.Unreadable {
		m.unreadable.Inc()
	}
	if e.Guard {
		m.guard.Inc()
	}
	m.actions.Add(float64(e.Actions))
	m.classify.Observe(e.Judge.Seconds())
	m.stages.queue.Observe(e.Queue.Seconds())
	m.stages.judge.Observe(e.Judge.Seconds())
	m.stages.protect.Observe(e.Protect.Seconds())
	m.stages.commit.Observe(e.Commit.Seconds())
}

func (m *Metrics) counterVec(name, help string, labels ...string) *prometheus.CounterVec {
	v := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help}, labels)
	m.reg.MustRegister(v)
	return v
}

func (m *Metrics) counter(name, help string) prometheus.Counter {
	c := prometheus.NewCounter(prometheus.CounterOpts{Namespace: namespace, Name: name, Help: help})
	m.reg.MustRegister(c)
	return c
}

// histogram is a native one, with classic buckets (seconds) for servers that
// don't ask for it.
func (m *Metrics) histogram(name, help, stage string) prometheus.Histogram {
	var labels prometheus.Labels
	if stage != "" {
		labels = prometheus.Labels{"stage": stage}
	}
	h := prometheus.NewHistogram(prometheus.HistogramOpts{
		Namespace: namespace, Name: name, Help: help, ConstLabels: labels,
		Buckets:                         []float64{1e-6, 2.5e-6, 5e-6, 1e-5, 2.5e-5, 5e-5, 1e-4, 5e-4, 1e-3, 5e-3, 2.5e-2, 0.1, 1},
		NativeHistogramBucketFactor:     1.2,
		NativeHistogramMaxBucketNumber:  80,
		NativeHistogramMinResetDuration: time.Hour,
	})
	m.reg.MustRegister(h)
	return h
}
