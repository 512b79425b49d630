package telemetry

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/sealgate/sealgate/internal/testcert"
)

// selfSigned writes a certificate and its key as NAME.pem and NAME.key.
func selfSigned(t *testing.T, dir, name string) {
	t.Helper()
	if _, _, err := testcert.Write(filepath.Join(dir, name), name, time.Now().Add(-time.Hour), time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func hashOf(t *testing.T, password string) string {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return string(hash)
}

// guarded is a listener with a web configuration.
type guarded struct {
	t       *testing.T
	dir     string
	web     *Web
	addr    string
	reports []error
}

func guard(t *testing.T, config string, certificates ...string) *guarded {
	t.Helper()
	g := &guarded{t: t, dir: t.TempDir()}
	for _, name := range certificates {
		selfSigned(t, g.dir, name)
	}
	g.write(config)
	web, err := OpenWeb(filepath.Join(g.dir, "web.yml"), false, slog.New(slog.DiscardHandler), func(err error) { g.reports = append(g.reports, err) })
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	g.web = web
	s := New(Build{}, sampleStats).Serve(ln, sampleStats, web, slog.New(slog.DiscardHandler))
	t.Cleanup(func() {
		if err := s.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	g.addr = s.Addr().String()
	return g
}

func (g *guarded) write(config string) {
	g.t.Helper()
	write(g.t, filepath.Join(g.dir, "web.yml"), config)
}

// look lets the files be read again now.
func (g *guarded) look() {
	g.web.mu.Lock()
	g.web.looked = time.Time{}
	g.web.mu.Unlock()
	g.web.current()
}

// client trusts the server's certificate and shows that of a name; "" is none.
func (g *guarded) client(server, name string) *http.Client {
	g.t.Helper()
	raw, err := os.ReadFile(filepath.Join(g.dir, server+".pem"))
	if err != nil {
		g.t.Fatal(err)
	}
	c := &tls.Config{RootCAs: x509.NewCertPool()}
	c.RootCAs.AppendCertsFromPEM(raw)
	if name != "" {
		pair, err := tls.LoadX509KeyPair(filepath.Join(g.dir, name+".pem"), filepath.Join(g.dir, name+".key"))
		if err != nil {
			g.t.Fatal(err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	tr := &http.Transport{TLSClientConfig: c, ForceAttemptHTTP2: true}
	g.t.Cleanup(tr.CloseIdleConnections)
	return &http.Client{Transport: tr}
}

func (g *guarded) ask(c *http.Client, scheme, user, password string) (*http.Response, error) {
	g.t.Helper()
	r, err := http.NewRequestWithContext(g.t.Context(), http.MethodGet, scheme+"://"+g.addr+"/-/healthy", nil)
	if err != nil {
		g.t.Fatal(err)
	}
	if user != "" {
		r.SetBasicAuth(user, password)
	}
	resp, err := c.Do(r)
	if err == nil {
		_, _ = io.Copy(io.Discard, resp.Body)
		_ = resp.Body.Close()
	}
	return resp, err
}

// code is what a client gets: the status, or 0 where it is not let in at all.
func (g *guarded) code(c *http.Client, scheme, user, password string) int {
	g.t.Helper()
	resp, err := g.ask(c, scheme, user, password)
	if err != nil {
		return 0
	}
	return resp.StatusCode
}

const tlsFiles = "tls_server_config: {cert_file: gw.pem, key_file: gw.key"

func TestWebLogins(t *testing.T) {
	users := fmt.Sprintf("basic_auth_users:\n  prometheus: %s\n  ops: %s\n", hashOf(t, "one"), hashOf(t, "two"))
	g := guard(t, tlsFiles+"}\n"+users+"http_server_config: {headers: {Strict-Transport-Security: max-age=600, Content-Security-Policy: \"sandbox\"}}\n", "gw")
	c := g.client("gw", "")
	for _, l := range []struct {
		user, password string
		want           int
	}{
		{"", "", 401}, {"prometheus", "one", 200}, {"prometheus", "one", 200}, {"ops", "two", 200}, {"prometheus", "two", 401},
		{"prometheus", "", 401}, {"nobody", "one", 401}, {"prometheus", "one", 200},
	} {
		resp, err := g.ask(c, "https", l.user, l.password)
		if err != nil {
			t.Fatal(err)
		}
		if resp.StatusCode != l.want {
			t.Errorf("%s with %q: %d, want %d", l.user, l.password, resp.StatusCode, l.want)
		}
		if resp.ProtoMajor != 2 || resp.TLS == nil || resp.TLS.Version != tls.VersionTLS13 {
			t.Errorf("spoke %s", resp.Proto)
		}
		if (resp.Header.Get("WWW-Authenticate") != "") != (l.want == 401) {
			t.Errorf("%d: WWW-Authenticate is %q", l.want, resp.Header.Get("WWW-Authenticate"))
		}
		if resp.Header.Get("Strict-Transport-Security") != "max-age=600" || len(resp.Header.Values("Content-Security-Policy")) != 2 || resp.Header.Get("X-Frame-Options") != "DENY" {
			t.Errorf("headers: %v", resp.Header)
		}
	}
	if code := g.code(http.DefaultClient, "http", "prometheus", "one"); code != 400 { // what net/http says to plain HTTP at a TLS listener
		t.Errorf("in clear: %d", code)
	}
	old := g.client("gw", "")
	old.Transport.(*http.Transport).TLSClientConfig.MaxVersion = tls.VersionTLS11
	if code := g.code(old, "https", "prometheus", "one"); code != 0 {
		t.Errorf("TLS 1.1: %d", code)
	}

	// A password that is changed is good no more, and the other one still is.
	g.write(tlsFiles + "}\n" + strings.Replace(users, "prometheus: $2a", "prometheus: "+hashOf(t, "three")+"\n  former: $2a", 1))
	g.look()
	if a, b, d := g.code(c, "https", "prometheus", "three"), g.code(c, "https", "ops", "two"), g.code(c, "https", "prometheus", "one"); a != 200 || b != 200 || d != 401 {
		t.Errorf("after the change: %d %d %d", a, b, d)
	}
}

// TestWebReload: a renewed certificate is shown; what can't be used is told
// once, and leaves what was.
func TestWebReload(t *testing.T) {
	g := guard(t, tlsFiles+"}\n", "gw", "renewed")
	before, after := g.client("gw", ""), g.client("renewed", "")
	if code := g.code(before, "https", "", ""); code != 200 {
		t.Fatalf("before: %d", code)
	}
	copyFile := func(from, to string) {
		raw, err := os.ReadFile(filepath.Join(g.dir, from))
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(g.dir, to), string(raw))
	}
	copyFile("renewed.pem", "gw.pem") // and not yet its key
	g.look()
	g.look()
	if len(g.reports) != 1 || g.reports[0] == nil || !strings.Contains(g.reports[0].Error(), "load server certificate") {
		t.Fatalf("reports: %v", g.reports)
	}
	before.CloseIdleConnections()
	if code := g.code(before, "https", "", ""); code != 200 {
		t.Errorf("between: %d", code)
	}
	copyFile("renewed.key", "gw.key")
	g.look()
	if len(g.reports) != 2 || g.reports[1] != nil {
		t.Errorf("reports: %v", g.reports)
	}
	before.CloseIdleConnections()
	if a, b := g.code(before, "https", "", ""), g.code(after, "https", "", ""); a != 0 || b != 200 {
		t.Errorf("after: %d %d", a, b)
	}
	for _, bad := range []string{"basic_auth_users: {}\n", "", "tls_server_config: {cert_file: gone.pem, key_file: gw.key}\n"} {
		g.write(bad)
		g.look()
		if last := g.reports[len(g.reports)-1]; last == nil {
			t.Errorf("%q was taken", bad)
		}
		if code := g.code(after, "https", "", ""); code != 200 {
			t.Errorf("%q: %d", bad, code)
		}
	}
	if err := os.Remove(filepath.Join(g.dir, "web.yml")); err != nil {
		t.Fatal(err)
	}
	g.look()
	if len(g.reports) != 6 || !errors.Is(g.reports[5], os.ErrNotExist) {
		t.Errorf("reports: %v", g.reports)
	}
}

// TestWebClients: certificates of clients, and that connections don't outlive
// what let them in.
func TestWebClients(t *testing.T) {
	const clients = ", client_auth_type: RequireAndVerifyClientCert, client_ca_file: "
	g := guard(t, tlsFiles+clients+"prom.pem}\n", "gw", "prom", "other")
	prom, other := g.client("gw", "prom"), g.client("gw", "other")
	if a, b, c := g.code(prom, "https", "", ""), g.code(other, "https", "", ""), g.code(g.client("gw", ""), "https", "", ""); a != 200 || b != 0 || c != 0 {
		t.Errorf("%d %d %d, want 200 and nothing", a, b, c)
	}
	g.write(tlsFiles + clients + "prom.pem, client_allowed_sans: [other]}\n")
	g.look()
	if code := g.code(prom, "https", "", ""); code != 403 {
		t.Errorf("a name that is not allowed, on an open connection: %d", code)
	}
	g.write(tlsFiles + clients + "prom.pem, client_allowed_sans: [other, 127.0.0.1]}\n")
	g.look()
	if code := g.code(prom, "https", "", ""); code != 200 {
		t.Errorf("an allowed address: %d", code)
	}
	g.write(tlsFiles + clients + "other.pem}\n")
	g.look()
	if a, b := g.code(prom, "https", "", ""), g.code(other, "https", "", ""); a != 403 || b != 200 {
		t.Errorf("after the change of authorities: %d %d", a, b)
	}
}

// TestWebPrivate: a listener that others reach has TLS and asks who is there,
// from the start and after every change.
func TestWebPrivate(t *testing.T) {
	dir := t.TempDir()
	selfSigned(t, dir, "gw")
	path := filepath.Join(dir, "web.yml")
	good := tlsFiles + "}\nbasic_auth_users: {p: " + hashOf(t, "x") + "}\n"
	for _, weak := range []string{"", tlsFiles + "}\n", strings.TrimPrefix(good, tlsFiles+"}\n")} {
		write(t, path, weak)
		if _, err := OpenWeb(path, true, nil, nil); err == nil || !strings.Contains(err.Error(), "not on loopback") {
			t.Errorf("%q: %v", weak, err)
		}
		if _, err := OpenWeb(path, false, nil, nil); err != nil {
			t.Errorf("on loopback: %v", err)
		}
	}
	write(t, path, good)
	var told error
	w, err := OpenWeb(path, true, nil, func(err error) { told = err })
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, tlsFiles+"}\n")
	w.looked = time.Time{}
	if w.current().logins == nil || told == nil {
		t.Errorf("weakened while it runs: %v", told)
	}
	w, err = OpenWeb(filepath.Join(dir, "gone.yml"), true, nil, nil)
	if w != nil || !errors.Is(err, os.ErrNotExist) {
		t.Errorf("%v, %v", w, err)
	}
}

// TestWebNames: behind TLS or passwords the gateway may be asked by its name;
// in clear it may not.
func TestWebNames(t *testing.T) {
	dir := t.TempDir()
	selfSigned(t, dir, "gw")
	m := New(Build{}, sampleStats)
	for config, want := range map[string]int{
		"rate_limit: {interval: 1h, burst: 1}\n":               421,
		tlsFiles + "}\n":                                       200,
		"basic_auth_users: {p: " + hashOf(t, "right") + "}\n":  200,
		tlsFiles + "}\nrate_limit: {interval: 1h, burst: 1}\n": 200,
	} {
		path := filepath.Join(dir, "web.yml")
		write(t, path, config)
		w, err := OpenWeb(path, false, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		ask := func() int {
			r := httptest.NewRequest("GET", "http://gw.example.com/-/healthy", nil)
			r.SetBasicAuth("p", "right")
			rec := httptest.NewRecorder()
			m.handler(sampleStats, w).ServeHTTP(rec, r)
			return rec.Code
		}
		if got := ask(); got != want {
			t.Errorf("%s: %d, want %d", config, got, want)
		}
		if again := ask(); strings.Contains(config, "rate_limit") && want == 200 && again != 429 {
			t.Errorf("%s: %d above the rate", config, again)
		}
	}
}

// TestLoginsRest: after a wrong password the next one waits, and who asks no
// longer is not kept waiting; a right one that is known does not wait.
func TestLoginsRest(t *testing.T) {
	l := newLogins(map[string]string{"p": hashOf(t, "right")})
	if good, err := l.verify(t.Context(), "p", "right"); !good || err != nil {
		t.Fatalf("%t, %v", good, err)
	}
	l.slot <- struct{}{} // another one is compared
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if good, err := l.verify(gone, "p", "right"); !good || err != nil {
		t.Errorf("a known password: %t, %v", good, err)
	}
	if _, err := l.verify(gone, "p", "wrong"); !errors.Is(err, context.Canceled) {
		t.Errorf("another password: %v", err)
	}
	<-l.slot
	if good, err := l.verify(t.Context(), "p", "wrong"); good || err != nil {
		t.Errorf("a wrong password: %t, %v", good, err)
	}
	l.slot <- struct{}{} // free again after the rest
}

func TestBucket(t *testing.T) {
	b, now := bucket{interval: time.Second, burst: 3}, time.Unix(1_800_000_000, 0)
	got := ""
	for _, wait := range []time.Duration{0, 0, 0, 0, time.Second, 0, 500 * time.Millisecond, 500 * time.Millisecond, time.Hour, 0, 0, 0} {
		now = now.Add(wait)
		got += map[bool]string{true: "+", false: "-"}[b.take(now)]
	}
	if got != "+++-+--++++-" {
		t.Errorf("taken: %s", got)
	}
}

// TestBounded: connections beyond the bound wait until one ends, and a close
// ends the waiting.
func TestBounded(t *testing.T) {
	inner, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln := bound(inner, 1)
	accepted, failed := make(chan net.Conn, 2), make(chan error, 1)
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				failed <- err
				return
			}
			accepted <- c
		}
	}()
	for range 2 {
		c, err := net.Dial("tcp", inner.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	first := <-accepted
	select {
	case <-accepted:
		t.Error("the second connection was taken beside the first")
	default:
	}
	_, _ = first.Close(), first.Close() // counts once
	second := <-accepted
	defer second.Close()
	if err := ln.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-failed; !errors.Is(err, net.ErrClosed) {
		t.Errorf("accept after close: %v", err)
	}
}
