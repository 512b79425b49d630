package fleet

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Handler serves the table to Prometheus, for sites whose gateways can't be
// scraped. The label gateway comes from the registry, so it is a closed set.
func (f *Fleet) Handler() (http.Handler, error) {
	reg := prometheus.NewPedanticRegistry()
	if err := reg.Register(f.collector()); err != nil {
		return nil, fmt.Errorf("register metrics: %w", err)
	}
	return promhttp.HandlerFor(reg, promhttp.HandlerOpts{}), nil
}

func (f *Fleet) collector() *collector {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("sealgate_fleet_"+name, help, append([]string{"gateway"}, labels...), nil)
	}
	c := &collector{
		fleet:   f,
		up:      desc("up", "1 if the gateway's status came lately and no will of it stands."),
		silent:  desc("silent_since_timestamp_seconds", "Last sign of life of a gateway of which a will stands: its broker has lost it."),
		ignored: desc("ignored_total", "Statuses and wills that came in the gateway's name and did not count.", "reason"),
		seen:    desc("status_timestamp_seconds", "When the last new status came."),
		boot:    desc("boot", "Starts of the agent."),
		mode:    desc("mode_info", "How the gateway runs: observe, enforce, sealed or lockdown.", "mode"),
		version: desc("document_version", "Version in force, by kind of target.", "target"),
		floor:   desc("document_floor", "Newest version that was accepted.", "target"),
		failed:  desc("document_failed", "1 if the last document was refused or taken back.", "target"),
		alarms:  desc("alarms", "Alarms that stand."),
		twice:   desc("twice", "1 if two agents sign as this gateway."),
		counter: map[string]*prometheus.Desc{},
	}
	for _, name := range counters {
		c.counter["sealgate_"+name] = desc(name, "As the gateway's own metric sealgate_"+name+".")
	}
	return c
}

// counters are the numbers of a status that are served. A gateway that sends
// others adds no series.
var counters = []string{
	"ingress_received_total", "ingress_acknowledged_total", "uplink_acknowledged_total", "uplink_quarantined_total",
	"spool_records", "spool_bytes", "held_messages", "recovered_panics_total", "policy_version", "recipients_version",
}

type collector struct {
	fleet                                                                        *Fleet
	up, silent, ignored, seen, boot, mode, version, floor, failed, alarms, twice *prometheus.Desc

	counter map[string]*prometheus.Desc
}

func (c *collector) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(c, ch) }

func (c *collector) Collect(ch chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, v float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, v, labels...)
	}
	for _, g := range c.fleet.Gateways() {
		gauge(c.up, number(!g.Silent), g.Name)
		gauge(c.twice, number(g.Twice), g.Name)
		if len(g.Wills) > 0 {
			gauge(c.silent, float64(g.Since().Unix()), g.Name)
		}
		for reason, n := range map[string]uint64{"unsigned": g.Unsigned, "old": g.Old} {
			ch <- prometheus.MustNewConstMetric(c.ignored, prometheus.CounterValue, float64(n), g.Name, reason)
		}
		if g.Status == nil {
			continue
		}
		gauge(c.seen, float64(g.Seen.UnixMilli())/1000, g.Name)
		gauge(c.boot, float64(g.Status.Boot), g.Name)
		gauge(c.alarms, float64(len(g.Status.Alarms)), g.Name)
		for _, mode := range []string{"observe", "enforce", "sealed", "lockdown"} {
			gauge(c.mode, number(g.Status.Mode == mode), g.Name, mode)
		}
		for _, t := range g.Status.Targets {
			// "d", "g" or "recipients": a gateway can't invent a label's value.
			kind, _, _ := strings.Cut(t.Target, "/")
			if kind != "d" && kind != "g" && kind != "recipients" {
				continue
			}
			gauge(c.version, float64(t.Effective.Version), g.Name, kind)
			gauge(c.floor, float64(t.Floor), g.Name, kind)
			gauge(c.failed, number(failed(t.State)), g.Name, kind)
		}
		for _, n := range g.Status.Counters {
			d, served := c.counter[n.Name]
			if !served {
				continue
			}
			kind := prometheus.GaugeValue
			if strings.HasSuffix(n.Name, "_total") {
				kind = prometheus.CounterValue
			}
			ch <- prometheus.MustNewConstMetric(d, kind, float64(n.Value), g.Name)
		}
	}
}

func failed(state string) bool {
	return state == "refused" || state == "rolled-back" || state == "sealed"
}

func number(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
