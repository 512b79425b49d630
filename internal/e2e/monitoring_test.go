package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sealgate/sealgate/agent"
	"github.com/sealgate/sealgate/agent/config"
)

// mayBeEmpty lists expressions that say nothing on a healthy gateway, and why.
var mayBeEmpty = map[string]string{
	`count(up{job="sealgate"} == 0)`:                                                        "no gateway is silent",
	`count(sealgate_mode_info{mode="observe"})`:                                             "no route observes",
	`sealgate_uplink_connected == 0`:                                                        "the uplink is connected",
	`ALERTS{alertname=~"Sealgate.+", alertstate="firing"}`:                                  "no alert has had the time to fire",
	`time() - (sealgate_spool_oldest_message_timestamp_seconds{instance=~"$instance"} > 0)`: "nothing waits",
}

// TestDashboards runs a gateway under traffic and a Prometheus with our rules
// that scrapes it, and asks for every expression of every dashboard: each is
// valid, and none comes back empty.
func TestDashboards(t *testing.T) {
	Need(t, "mosquitto")
	needPrometheus(t)
	exprs := dashboardExpressions(t)
	checkAsRules(t, exprs)

	site := NewSite(t, StartMosquitto(t, "").Addr)
	site.Topics = `[{pattern: "#", remote_prefix: "{site}/{gateway}/"}, {pattern: "#", direction: in, remote_prefix: "down/", local_prefix: "cloud/"}]`
	src, err := os.ReadFile(site.Config(t))
	check(t, err)
	cfg, err := config.Parse(filepath.Join(site.Dir, "agent.yaml"), src)
	check(t, err)
	a, err := agent.Start(t.Context(), agent.Options{Config: cfg, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	check(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		check(t, a.Stop(ctx))
	})
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		payloads := []string{`{"driver":{"email":"anna.schmidt@example.org"},"rpm":1840}`, `{"temperature":21.5}`, `{"latitude":48.137154,"longitude":11.576124}`}
		for {
			if err := Blast(site.Addr, "d1", "d1/state", 30, 10, func(i int) []byte { return []byte(payloads[i%len(payloads)]) }); err != nil {
				t.Error(err)
				return
			}
			select {
			case <-stop:
				return
			case <-time.After(200 * time.Millisecond):
			}
		}
	}()
	defer func() { close(stop); <-stopped }()

	// One that takes classic histograms only, and one that asks for native ones.
	for _, prom := range []string{startPrometheus(t, site.Metrics), startPrometheus(t, site.Metrics, "--enable-feature=native-histograms")} {
		for _, e := range exprs {
			if _, ok := mayBeEmpty[e]; ok {
				query(t, prom, e) // valid, whatever it says
				continue
			}
			Until(t, "an answer to "+e, 30*time.Second, func() bool { return query(t, prom, e) > 0 })
		}
	}
}

func needPrometheus(t *testing.T) {
	t.Helper()
	for _, p := range []string{"prometheus", "promtool", "curl"} {
		if _, err := find(p); err != nil {
			const how = "%s is not installed: apt-get install prometheus curl"
			if Full() {
				t.Fatalf(how, p)
			}
			t.Skipf(how, p)
		}
	}
}

func dashboardExpressions(t *testing.T) (exprs []string) {
	t.Helper()
	files, err := filepath.Glob("../../configs/grafana/*.json")
	check(t, err)
	if len(files) < 2 {
		t.Fatalf("only %d dashboards", len(files))
	}
	for _, f := range files {
		raw, err := os.ReadFile(f)
		check(t, err)
		var d struct {
			Panels []struct {
				Targets []struct{ Expr string }
			}
		}
		check(t, json.Unmarshal(raw, &d))
		for _, p := range d.Panels {
			if len(p.Targets) == 0 {
				t.Errorf("%s: a panel asks for nothing", f)
			}
			for _, target := range p.Targets {
				exprs = append(exprs, target.Expr)
			}
		}
	}
	for e := range mayBeEmpty {
		if !slices.Contains(exprs, e) {
			t.Errorf("no dashboard has %s: take it off the list", e)
		}
	}
	return exprs
}

// concrete puts in what Grafana would.
func concrete(expr string) string {
	return strings.NewReplacer("$instance", ".+", "$__rate_interval", "1m").Replace(expr)
}

func checkAsRules(t *testing.T, exprs []string) {
	t.Helper()
	var b strings.Builder
	b.WriteString("groups:\n  - name: dashboards\n    rules:\n")
	for i, e := range exprs {
		fmt.Fprintf(&b, "      - record: dashboard:expression%d\n        expr: %q\n", i, concrete(e))
	}
	path := filepath.Join(t.TempDir(), "dashboards.yml")
	check(t, os.WriteFile(path, []byte(b.String()), 0o600))
	if out, err := exec.CommandContext(t.Context(), "promtool", "check", "rules", path).CombinedOutput(); err != nil {
		t.Fatalf("promtool check rules: %v\n%s", err, out)
	}
}

// startPrometheus runs one that scrapes the gateway each half second, and
// returns its URL.
func startPrometheus(t *testing.T, target string, flags ...string) string {
	t.Helper()
	return startPrometheusWith(t, fmt.Sprintf("static_configs: [{targets: [%q]}]", target), flags...)
}

// startPrometheusWith is startPrometheus with further settings of the scrape, a
// line each.
func startPrometheusWith(t *testing.T, scrape string, flags ...string) string {
	t.Helper()
	dir, addr := t.TempDir(), FreeAddr(t)
	rules, err := filepath.Abs("../../configs/prometheus/sealgate.rules.yml")
	check(t, err)
	conf := fmt.Sprintf("global: {scrape_interval: 500ms, scrape_timeout: 500ms, evaluation_interval: 1s}\nrule_files: [%q]\nscrape_configs:\n  - job_name: sealgate\n%s\n", rules, indent(scrape))
	check(t, os.WriteFile(filepath.Join(dir, "prometheus.yml"), []byte(conf), 0o600))
	path, err := find("prometheus")
	check(t, err)
	cmd := exec.Command(path, append(flags, "--config.file="+filepath.Join(dir, "prometheus.yml"), "--storage.tsdb.path="+filepath.Join(dir, "data"),
		"--web.listen-address="+addr, "--log.level=error")...)
	cmd.Stderr = t.Output()
	check(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // its data go with the directory
		_ = cmd.Wait()
	})
	Until(t, "Prometheus", 30*time.Second, func() bool {
		resp, err := http.Get("http://" + addr + "/-/ready")
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		return resp.StatusCode == http.StatusOK
	})
	return "http://" + addr
}

// query returns how many series answer.
func query(t *testing.T, prom, expr string) int {
	t.Helper()
	resp, err := http.Get(prom + "/api/v1/query?query=" + url.QueryEscape(concrete(expr)))
	check(t, err)
	defer resp.Body.Close()
	var a struct {
		Status, Error string
		Data          struct{ Result []json.RawMessage }
	}
	check(t, json.NewDecoder(resp.Body).Decode(&a))
	if a.Status != "success" {
		t.Fatalf("query %s: %s", expr, a.Error)
	}
	return len(a.Data.Result)
}

// TestMonitoringScript brings up what `make monitoring` does, and asks its
// Prometheus for the sample traffic.
func TestMonitoringScript(t *testing.T) {
	if !Full() {
		t.Skip("builds and runs everything: run with SEALGATE_CI=1")
	}
	addr := FreeAddr(t)
	cmd := exec.Command("../tools/monitoring")
	cmd.Env = append(os.Environ(), "PROMETHEUS_ADDRESS="+addr)
	cmd.Stderr = t.Output()
	check(t, cmd.Start())
	ask := func() bool {
		resp, err := http.Get("http://" + addr + "/api/v1/query?query=" + url.QueryEscape(`sum(increase(sealgate_messages_total{outcome="encrypted"}[1m])) > 0`))
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		return err == nil && strings.Contains(string(body), `"value"`)
	}
	Until(t, "sample traffic in Prometheus", 2*time.Minute, ask)
	check(t, cmd.Process.Signal(os.Interrupt))
	check(t, cmd.Wait())
	if _, err := http.Get("http://" + addr + "/-/ready"); err == nil {
		t.Error("Prometheus is still there")
	}
}
