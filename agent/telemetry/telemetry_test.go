package telemetry

import (
	"context"
	"encoding/json"
	"flag"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sealgate/sealgate/agent/corridor"
	"github.com/sealgate/sealgate/classify"
	"github.com/sealgate/sealgate/classify/policy"
	"github.com/sealgate/sealgate/crypto/protect"
)

var update = flag.Bool("update", false, "write the golden file")

func sampleStats() Stats {
	return Stats{
		Gateway: "gw", Ready: true, Mode: "enforce",
		Policy:  PolicyStats{Version: 7, Hash: "00ff", Source: "file", Applied: time.Unix(1_767_225_600, 0)},
		Uplinks: []Uplink{{Name: "city", Connected: true, Acknowledged: 5, RoundTrip: 3 * time.Millisecond, Subjects: Subjects{All: 8100, Sensitive: 40, Limit: 10000, Share: 0.81}, Downlink: &Downlink{Received: 3, Relayed: 2, Reserved: 1}}},
		Crypto:  CryptoStats{NoKey: 2, Wraps: 4, DataKeys: 2, Messages: 9},
		Custody: CustodyStats{Kind: "tpm", Rescue: 1, Rollback: "tpm"},
		Keys:    []Key{{"signing", time.Unix(1_767_000_000, 0)}},
		Ingress: IngressStats{Received: 6, Bytes: 600, InFlight: 1, Local: &Local{BadLogins: 3, NotSubscribed: 2}, Brokers: []Subscribed{{Broker: "127.0.0.1:1883", Connected: true}}},
		Spool:   SpoolStats{Bytes: 10, Limit: 100, Records: 1, Oldest: time.Unix(1_767_225_601, 0)},
	}
}

func serve(t *testing.T, m *Metrics, stats func() Stats) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := m.Serve(ln, stats, nil, slog.New(slog.DiscardHandler))
	t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return "http://" + s.Addr().String()
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// TestExposition holds the whole exposition to a golden file; values of the Go
// runtime and the process are left out.
func TestExposition(t *testing.T) {
	m := New(Build{Version: "1.2.3", Revision: "abc", GoVersion: "go1", SupportEnd: time.Unix(1_800_000_000, 0)}, sampleStats)
	m.Observe(&corridor.Event{
		Mode: policy.Observe, Grade: classify.L4, Outcome: protect.OutcomePassed, WouldBe: protect.OutcomeSealed,
		Classes: classify.ClassSet(0).With(classify.Classes()[1].ID), InBytes: 100, Loose: 3, Actions: protect.Counts{1: 2, 6: 1}, Unreadable: true, Guard: true,
		Judge: 3 * time.Microsecond, Protect: 4 * time.Microsecond, Commit: time.Millisecond, Queue: time.Microsecond,
	})
	_, body := get(t, serve(t, m, sampleStats)+"/metrics")
	var kept []string
	for line := range strings.Lines(body) {
		if !regexp.MustCompile(`^(# (HELP|TYPE) )?(go|process|promhttp)_`).MatchString(line) {
			kept = append(kept, line)
		}
	}
	got := strings.Join(kept, "")
	const golden = "testdata/metrics.txt"
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the exposition differs from %s: run the test with -update and look at the difference", golden)
	}
	for _, line := range []string{
		`sealgate_messages_total{grade="L4",outcome="passed"} 1`,
		`sealgate_messages_total{grade="L5",outcome="passed"} 0`,
		`sealgate_observed_messages_total{would_be="sealed"} 1`,
		`sealgate_message_payload_bytes_total{grade="L4",outcome="passed"} 100`,
		`sealgate_fields_transformed_total{action="mask"} 2`,
		`sealgate_fields_transformed_total{action="encrypt"} 1`,
		`sealgate_fields_transformed_total{action="remove"} 0`,
		`sealgate_stage_duration_seconds_bucket{stage="judge",le="2.5e-06"} 0`,
		`sealgate_stage_duration_seconds_bucket{stage="judge",le="5e-06"} 1`,
		`sealgate_classify_duration_seconds_count 1`,
		`sealgate_crypto_failures_total{op="no_key"} 2`,
		`sealgate_ingress_refused_connections_total{reason="login"} 3`,
		`sealgate_ingress_local_refusals_total{reason="not_subscribed"} 2`,
		`sealgate_spool_dropped_messages_total{reason="quarantine_full"} 0`,
		`sealgate_support_end_timestamp_seconds 1.8e+09`,
		`sealgate_guard_corrections_total 1`,
		`sealgate_unclassified_fields_total 3`,
		`sealgate_ingress_received_bytes_total 600`,
		`sealgate_ingress_broker_connected{broker="127.0.0.1:1883"} 1`,
		`sealgate_unreadable_messages_total 1`,
		`sealgate_policy_info{hash="00ff",source="file"} 1`,
		`sealgate_uplink_connected{uplink="city"} 1`,
	} {
		if !strings.Contains(got, line+"\n") {
			t.Errorf("%s is missing", line)
		}
	}
}

func TestPromtool(t *testing.T) {
	promtool, err := exec.LookPath("promtool")
	if err != nil {
		skip(t, "promtool is not installed: apt-get install prometheus")
	}
	src, err := os.ReadFile("testdata/metrics.txt")
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(promtool, "check", "metrics")
	cmd.Stdin = strings.NewReader(string(src))
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
}

// skip skips a test whose part is not installed; where CI is to run everything
// that is a failure.
func skip(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("SEALGATE_CI") != "" {
		t.Fatal(why)
	}
	t.Skip(why)
}

func TestHealth(t *testing.T) {
	stats := Stats{Why: "the gateway is starting"}
	url := serve(t, New(Build{}, func() Stats { return stats }), func() Stats { return stats })
	if code, _ := get(t, url+"/-/healthy"); code != http.StatusOK {
		t.Errorf("healthy: %d", code)
	}
	if code, body := get(t, url+"/-/ready"); code != http.StatusServiceUnavailable || !strings.Contains(body, "starting") {
		t.Errorf("not ready: %d %q", code, body)
	}
	stats = sampleStats()
	if code, _ := get(t, url+"/-/ready"); code != http.StatusOK {
		t.Errorf("ready: %d", code)
	}
	code, body := get(t, url+"/api/v1/status")
	var back Stats
	if err := json.Unmarshal([]byte(body), &back); err != nil || code != http.StatusOK || back.Policy.Version != 7 || back.Uplinks[0].Name != "city" {
		t.Errorf("status: %d %v %s", code, err, body)
	}
	for _, path := range []string{"/debug/pprof/", "/nope"} {
		if code, _ := get(t, url+path); code != http.StatusNotFound {
			t.Errorf("%s: %d", path, code)
		}
	}
}

func BenchmarkObserve(b *testing.B) {
	m := New(Build{}, sampleStats)
	e := &corridor.Event{Grade: classify.L3, Outcome: protect.OutcomeEncrypted, WouldBe: protect.OutcomeEncrypted, Classes: 0b1010, Judge: 2 * time.Microsecond}
	b.ReportAllocs()
	for b.Loop() {
		m.Observe(e)
	}
}
