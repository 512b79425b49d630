package telemetry

import (
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sealgate/sealgate/agent/corridor"
	"github.com/sealgate/sealgate/classify"
	"github.com/sealgate/sealgate/crypto/protect"
)

// busy is a gateway with an hour of traffic and alarms.
func busy(t testing.TB, now time.Time) (*Metrics, func() Stats) {
	t.Helper()
	stats := func() Stats {
		s := sampleStats()
		s.Gateway, s.Mode, s.ClockSynchronized = "gw-0042", "observe", true
		s.Remote = &RemoteStats{Version: 7, NotAfter: now.AddDate(0, 1, 0), RootVersion: 2}
		s.Policy.Applied = now.Add(-3 * time.Hour)
		s.Policy.Hash = "5d41402abc4b2a76"
		s.Recipients = RecipientStats{Version: 3, NotAfter: now.AddDate(0, 2, 0)}
		s.Keys = []Key{{"kem", now.AddDate(0, 0, -40)}, {"signing", now.AddDate(0, 0, -40)}, {"spool", now.AddDate(0, 0, -40)}}
		s.Uplinks = []Uplink{{Name: "cloud", Connected: true, Acknowledged: 128430, Bytes: 48 << 20, InFlight: 3, RoundTrip: 12400 * time.Microsecond}}
		s.Spool = SpoolStats{Bytes: 11 << 20, Limit: 64 << 20, Records: 512, Oldest: now.Add(-40 * time.Second)}
		s.Ingress = IngressStats{Connected: 17, Received: 131002, Acknowledged: 131000, Brokers: []Subscribed{{Broker: "plc:1883", Connected: true}}}
		s.Alarms = []Alarm{{ID: "observing", Text: "route <everything else> observes: its messages leave unprotected", Do: "look at what would happen (sealctl policy explain), then set its mode to enforce"}}
		return s
	}
	m := New(Build{}, stats)
	for i := range 60 {
		for n := range 40 + 15*(i%7) {
			e := corridor.Event{Route: "cameras", Uplink: "cloud", Grade: classify.L4, Outcome: protect.OutcomeSealed, Received: now.Add(-time.Duration(59-i) * time.Minute)}
			e.Classes = found(t, "media.image", "id.vehicle_plate")
			switch {
			case n%5 == 1:
				e.Route, e.Grade, e.Outcome, e.Classes = "fleet", classify.L3, protect.OutcomeEncrypted, found(t, "location.precise", "id.vin")
			case n%5 == 2:
				e.Route, e.Grade, e.Outcome, e.Classes = "devices", classify.L1, protect.OutcomePassed, 0
			case n%40 == 3:
				e.Route, e.Grade, e.Outcome = "devices", classify.L5, protect.OutcomeBlocked
			case n%40 == 4:
				e.Route, e.Grade, e.Outcome = "everything else", classify.L3, protect.OutcomePassed
			}
			m.Observe(&e)
		}
	}
	return m, stats
}

// found is the set of classes by their names.
func found(t testing.TB, names ...string) (set classify.ClassSet) {
	t.Helper()
	for _, name := range names {
		id, ok := classify.ClassByName(name)
		if !ok {
			t.Fatalf("no class %s", name)
		}
		set = set.With(id)
	}
	return set
}

func TestPage(t *testing.T) {
	now := time.Now()
	m, stats := busy(t, now)
	w := httptest.NewRecorder()
	m.handler(stats, nil).ServeHTTP(w, httptest.NewRequest("GET", "http://127.0.0.1/", nil))
	body := w.Body.String()
	for _, want := range []string{
		"gw-0042", "route &lt;everything else&gt; observes", "then set its mode to enforce",
		`<td>cameras</td><td>L4</td><td class="good">sealed</td>`,
		`<td>everything else</td><td>L3</td><td class="bad strong">passed</td>`,
		`<td>devices</td><td>L1</td><td class="soft">passed</td>`,
		`<td class="soft classes">id.vehicle_plate media.image</td>`, `<td class="soft classes"></td>`,
		"version 7, until " + now.AddDate(0, 1, 0).UTC().Format(time.DateOnly), `<dt>Broker plc:1883</dt><dd class="good strong">read</dd>`,
		"48.0 MiB", "128,430 messages", "40 days ago", "<svg",
		"<style>" + pageCSS + "</style>", "<script>" + pageJS + "</script>",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("the page lacks %q", want)
		}
	}
	for _, bad := range []string{"style=\"", "onclick", "http:", "https:", "ZgotmplZ"} {
		if strings.Contains(body, bad) {
			t.Errorf("the page has %q", bad)
		}
	}
	if csp := w.Header().Get("Content-Security-Policy"); strings.Contains(csp, "unsafe") || strings.Count(csp, "sha256-") != 2 || !strings.HasPrefix(csp, "default-src 'none'; ") {
		t.Errorf("content security policy: %s", csp)
	}
}

// TestHour: what is older than an hour is not shown, whatever slot it had.
func TestHour(t *testing.T) {
	var h hour
	now := time.Unix(1_800_000_000, 0)
	at := func(age time.Duration, o protect.Outcome) {
		h.observe(&corridor.Event{Received: now.Add(-age), Outcome: o})
	}
	at(60*time.Minute, protect.OutcomePassed)
	at(59*time.Minute, protect.OutcomeSealed)
	at(0, protect.OutcomePassed)
	at(0, protect.OutcomeBlocked)
	got := h.list(now)
	if got[0] != (Minute{Protected: 1}) || got[59] != (Minute{Passed: 1, Blocked: 1}) {
		t.Errorf("hour: first %v, last %v", got[0], got[59])
	}
	if later := h.list(now.Add(time.Hour)); later[59] != (Minute{}) || later[0] != (Minute{}) {
		t.Errorf("an hour later: %v", later)
	}
}

func TestFlows(t *testing.T) {
	m, stats := busy(t, time.Now())
	flows := m.leaving(stats(), time.Now()).Flows
	if len(flows) != 5 || flows[0].Grade != "L5" || flows[4].Grade != "L1" {
		t.Fatalf("flows: %v", flows)
	}
	m.ResetFlows()
	if left := m.leaving(stats(), time.Now()).Flows; len(left) != 0 {
		t.Errorf("after a swap: %v", left)
	}
}

// TestListenerRefuses: other methods, other paths, other names, large and slow
// requests.
func TestListenerRefuses(t *testing.T) {
	m, stats := busy(t, time.Now())
	h := m.handler(stats, nil)
	for _, c := range []struct {
		method, url string
		want        int
	}{
		{"GET", "http://localhost:9464/", 200}, {"HEAD", "http://[::1]:9464/", 200},
		{"POST", "http://127.0.0.1/", 405}, {"PUT", "http://127.0.0.1/metrics", 405}, {"DELETE", "http://127.0.0.1/api/v1/status", 405},
		{"GET", "http://127.0.0.1/index.html", 404}, {"GET", "http://127.0.0.1/debug/pprof/", 404}, {"GET", "http://127.0.0.1/api/v1/", 404},
		{"GET", "http://evil.example/", 421}, {"GET", "http://evil.example:9464/api/v1/status", 421},
	} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest(c.method, c.url, nil))
		if w.Code != c.want {
			t.Errorf("%s %s: %d, want %d", c.method, c.url, w.Code, c.want)
		}
	}
	addr := strings.TrimPrefix(serve(t, m, stats), "http://")
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: "+strings.Repeat("a", 64<<10)+"\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	answer := make([]byte, 12)
	if _, err := io.ReadFull(c, answer); err != nil || string(answer) != "HTTP/1.1 431" {
		t.Errorf("large header: %q %v", answer, err)
	}
}

// TestListenerTimeout: a request that does not come to its end is given up.
func TestListenerTimeout(t *testing.T) {
	if testing.Short() || os.Getenv("SEALGATE_CI") == "" {
		t.Skip("takes five seconds: run with SEALGATE_CI=1")
	}
	m, stats := busy(t, time.Now())
	c, err := net.Dial("tcp", strings.TrimPrefix(serve(t, m, stats), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: "); err != nil {
		t.Fatal(err)
	}
	if err := c.SetReadDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(c); err != nil {
		t.Errorf("the connection was not ended: %v", err)
	}
}

func FuzzListener(f *testing.F) {
	m, stats := busy(f, time.Now())
	h := m.handler(stats, nil)
	f.Add("", "/", "0.0.0.0", "0") // GET, says net/http
	f.Add("GET", "/", "127.0.0.1", "*/*")
	f.Add("POST", "/metrics", "evil.example", "application/openmetrics-text")
	f.Add("GET", "/metrics", "[::1]:1", "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited")
	f.Add("HEAD", "/..//%2e/-/ready", "", "")
	f.Fuzz(func(t *testing.T, method, path, host, accept string) {
		r, err := http.NewRequest(method, "http://127.0.0.1/", nil)
		if err != nil {
			return
		}
		r.URL.Path, r.Host = path, host
		r.Header.Set("Accept", accept)
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code >= 500 || w.Code == 200 && r.Method != "GET" && r.Method != "HEAD" {
			t.Errorf("%d", w.Code)
		}
		if !local(host) && w.Code != http.StatusMisdirectedRequest {
			t.Errorf("host %q: %d", host, w.Code)
		}
		if w.Header().Get("Content-Security-Policy") == "" {
			t.Error("no content security policy")
		}
	})
}

// TestBrowser has Chromium draw the page: without a script error or a refused
// resource, wide and light, and narrow. With -update the pictures are kept.
func TestBrowser(t *testing.T) {
	chromium, err := exec.LookPath("chromium")
	if err != nil {
		skip(t, "chromium is not installed: apt-get install chromium")
	}
	m, stats := busy(t, time.Now())
	url := serve(t, m, stats)
	for _, c := range []struct{ name, size, extra string }{
		{"status", "1000,1100", "--blink-settings=preferredColorScheme=1"},
		{"status-phone", "500,1200", "--blink-settings=preferredColorScheme=0"},
	} {
		dir := t.TempDir()
		shot := filepath.Join(dir, c.name+".png")
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, chromium, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
			"--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars", "--disable-dev-shm-usage",
			"--enable-logging=stderr", "--user-data-dir="+filepath.Join(dir, "profile"), c.extra, "--window-size="+c.size, "--screenshot="+shot, url+"/")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("chromium: %v\n%s", err, out)
		}
		if strings.Contains(string(out), "CONSOLE") {
			t.Errorf("the browser complains:\n%s", out)
		}
		picture, err := os.ReadFile(shot)
		if err != nil {
			t.Fatal(err)
		}
		if len(picture) < 10_000 {
			t.Errorf("a picture of %d bytes shows nothing", len(picture))
		}
		if *update {
			if err := os.WriteFile("../../docs/"+c.name+".png", picture, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}
