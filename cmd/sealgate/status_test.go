package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sealgate/sealgate/agent/telemetry"
)

// A watch asks again, also when there is no answer in between, and says how much
// came and left since.
func TestStatusWatch(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var asked atomic.Int32
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		n := asked.Add(1)
		switch n {
		case 2:
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		case 4:
			cancel() // the answer comes too late
		}
		s := telemetry.Stats{Gateway: "gw-1", Ready: true, Ingress: telemetry.IngressStats{Received: 100 * uint64(n)},
			Uplinks: []telemetry.Uplink{{Name: "city", Connected: true, Acknowledged: 100 * uint64(n)}},
			Flows:   []telemetry.Flow{{Route: "doors", Uplink: "city", Grade: "L3", Outcome: "encrypted", Messages: 7, Last: time.Now()}}}
		if err := json.NewEncoder(w).Encode(s); err != nil {
			t.Error(err)
		}
	}))
	defer srv.Close()

	var out, errs bytes.Buffer
	if code := run(ctx, environment{args: []string{"status", "--watch", "--url", srv.URL}, stdin: strings.NewReader(""), stdout: &out, stderr: &errs}); code != exitFine {
		t.Fatalf("exit %d: %s", code, errs.String())
	}
	pages := strings.Split(out.String(), "\n\n")
	if strings.Count(out.String(), "gw-1  ready") != 2 || !strings.Contains(out.String(), "no answer since ") || len(pages) < 4 {
		t.Errorf("it shows\n%s", out.String())
	}
	if !strings.Contains(out.String(), "doors                      city           L3    encrypted               7     0s") {
		t.Errorf("it does not show what leaves:\n%s", out.String())
	}
	if strings.Count(out.String(), "messages/s in") != 1 || !strings.Contains(out.String(), "acknowledged by city") {
		t.Errorf("it does not say how fast:\n%s", out.String())
	}
	if strings.Contains(out.String(), "\x1b") {
		t.Error("it moves the cursor of what is no terminal")
	}
	for line := range strings.Lines(out.String()) {
		if len(line) > columns+1 && !strings.Contains(line, srv.URL) {
			t.Errorf("a line of %d columns: %s", len(line), line)
		}
	}
}

// A gateway that was started again between two answers has no negative rate.
func TestStatusRates(t *testing.T) {
	var out bytes.Buffer
	a := &telemetry.Stats{Ingress: telemetry.IngressStats{Received: 100}, Uplinks: []telemetry.Uplink{{Name: "city", Acknowledged: 90}}}
	b := &telemetry.Stats{Ingress: telemetry.IngressStats{Received: 10}, Uplinks: []telemetry.Uplink{{Name: "city", Acknowledged: 94}}}
	printRates(&out, a, b, 2*time.Second)
	if want := "\nnow        0.0 messages/s in, 2.0/s acknowledged by city\n"; out.String() != want {
		t.Errorf("%q, want %q", out.String(), want)
	}
}
