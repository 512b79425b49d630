package doctor

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/sealgate/sealgate/agent/config"
	"github.com/sealgate/sealgate/internal/testcert"
)

// answer is a broker that answers each CONNECT with a code, and tells the packet.
func answer(t *testing.T, l net.Listener, code byte) <-chan string {
	t.Helper()
	t.Cleanup(func() { _ = l.Close() })
	seen := make(chan string, 4)
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			r := bufio.NewReader(c)
			head, err := r.Peek(2)
			if err == nil {
				packet := make([]byte, 2+int(head[1]))
				if _, err := io.ReadFull(r, packet); err == nil {
					seen <- string(packet)
					_, _ = c.Write([]byte{0x20, 2, 0, code})
					_, _ = io.Copy(io.Discard, r) // until it goes
				}
			}
			_ = c.Close()
		}
	}()
	return seen
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func closedPort(t *testing.T) string {
	t.Helper()
	l := listen(t)
	defer l.Close()
	return l.Addr().String()
}

// certificate writes one of 127.0.0.1, and its key.
func certificate(t *testing.T, dir string, from, to time.Time) (cert, key string) {
	t.Helper()
	cert, key, err := testcert.Write(filepath.Join(dir, "c"), "test", from, to)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

func write(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

// site writes an agent.yaml with an uplink's settings and more lines.
func site(t *testing.T, dir, uplink, more string) Options {
	t.Helper()
	for _, d := range []string{"state", "state/spool"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	path := filepath.Join(dir, "agent.yaml")
	write(t, path, fmt.Sprintf(`gateway: gw-1
state: state
ingress: {broker: {anonymous: true, listeners: [{address: "%s"}]}}
metrics: {listen: "off"}
uplinks: {city: {%s}}
%s
`, closedPort(t), uplink, more), 0o600)
	return Options{Path: path, Timeout: 5 * time.Second}
}

const volatile = "spool: {volatile: true, size: 64MiB}"

// has demands a result that begins so, with a word in its detail.
func has(t *testing.T, results []Result, check string, level Level, word string) {
	t.Helper()
	for _, r := range results {
		if r.Check == check && r.Level == level && strings.Contains(r.Detail, word) {
			if (level == Fail || level == Warn) && r.Do == "" {
				t.Errorf("%s does not say what to do", check)
			}
			return
		}
	}
	t.Errorf("no result %q %s with %q in:\n%+v", check, level, word, results)
}

func TestReach(t *testing.T) {
	for _, x := range []struct {
		name  string
		code  byte
		level Level
		word  string
	}{
		{"accepted", 0, OK, "accepts"},
		{"bad password", 4, Fail, "bad user name or password"},
		{"the id may be bound", 5, Warn, "not authorized"},
	} {
		t.Run(x.name, func(t *testing.T) {
			dir, l := t.TempDir(), listen(t)
			seen := answer(t, l, x.code)
			write(t, filepath.Join(dir, "pw"), "wrong-horse\n", 0o600)
			got := Run(t.Context(), site(t, dir, `url: "mqtt://`+l.Addr().String()+`", client_id: mine, username: u, password_file: pw`, volatile))
			has(t, got, "uplink city", x.level, x.word)
			has(t, got, "configuration", OK, "valid")
			has(t, got, "secret files", OK, "1 closed")
			if packet := <-seen; !strings.Contains(packet, "\x00\x0bmine-doctor") {
				t.Errorf("client id is not that of the doctor: %q", packet)
			}
			if all := fmt.Sprintf("%+v", got); strings.Contains(all, "wrong-horse") {
				t.Error("the password is shown")
			}
			if Failed(got) != (x.level == Fail) {
				t.Errorf("failed is %t: %+v", Failed(got), got)
			}
		})
	}
}

func TestUplinkIsClosed(t *testing.T) {
	opt := site(t, t.TempDir(), `url: "mqtt://`+closedPort(t)+`"`, volatile)
	has(t, Run(t.Context(), opt), "uplink city", Fail, "refused")
	opt.Offline = true
	has(t, Run(t.Context(), opt), "uplink city", Skip, "offline")
}

// TestUplinkIsSilent: a peer that takes the connection and says nothing ends
// with the time that was given, not later.
func TestUplinkIsSilent(t *testing.T) {
	l := listen(t) // nobody accepts
	defer l.Close()
	opt := site(t, t.TempDir(), `url: "mqtt://`+l.Addr().String()+`"`, volatile)
	opt.Timeout = 50 * time.Millisecond
	has(t, Run(t.Context(), opt), "uplink city", Fail, "")
}

// TestWebConfiguration: what guards the metrics listener is looked at, too.
func TestWebConfiguration(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	cert, key := certificate(t, dir, now.Add(-time.Hour), now.Add(24*time.Hour))
	write(t, filepath.Join(dir, "web.yml"), "tls_server_config: {cert_file: "+cert+", key_file: "+key+"}\n", 0o644)
	opt := site(t, dir, `url: "mqtt://`+closedPort(t)+`"`, volatile)
	raw, err := os.ReadFile(opt.Path)
	if err != nil {
		t.Fatal(err)
	}
	write(t, opt.Path, strings.Replace(string(raw), `listen: "off"`, `listen: "`+closedPort(t)+`", web_config: web.yml`, 1), 0o600)
	opt.Offline = true
	got := Run(t.Context(), opt)
	has(t, got, "configuration", OK, "valid")
	has(t, got, "certificate metrics", OK, "valid until")
	has(t, got, "secret files", Fail, "web.yml has mode 0644")
	write(t, key, "", 0o600)
	has(t, Run(t.Context(), opt), "configuration", Fail, "load server certificate")
}

func TestExpiredCertificates(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	cert, key := certificate(t, dir, now.Add(-48*time.Hour), now.Add(-24*time.Hour))
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	l := tls.NewListener(listen(t), &tls.Config{Certificates: []tls.Certificate{pair}})
	answer(t, l, 0)
	got := Run(t.Context(), site(t, dir, `url: "mqtts://`+l.Addr().String()+`", tls: {ca: c.pem, cert: c.pem, key: c.key}`, volatile))
	has(t, got, "certificate city", Fail, "expired")
	has(t, got, "CA city", Fail, "expired")
	has(t, got, "uplink city", Fail, "certificate has expired")
}

func TestDates(t *testing.T) {
	now := time.Now()
	for _, x := range []struct {
		from, to time.Duration
		level    Level
	}{
		{-time.Hour, 365 * 24 * time.Hour, OK},
		{-300 * 24 * time.Hour, 20 * 24 * time.Hour, Warn},
		{-time.Hour, 23 * time.Hour, OK}, // short-lived, and young
		{time.Hour, 2 * time.Hour, Fail},
		{-2 * time.Hour, -time.Hour, Fail},
	} {
		v := &visit{now: now}
		cert, _ := certificate(t, t.TempDir(), now.Add(x.from), now.Add(x.to))
		v.dates("c", cert, false)
		if len(v.results) != 1 || v.results[0].Level != x.level {
			t.Errorf("%s to %s: %+v, want %s", x.from, x.to, v.results, x.level)
		}
	}
}

func TestFilesAndDirectories(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "pw"), "x\n", 0o644)
	opt := site(t, dir, `url: "mqtt://127.0.0.1:1", password_file: pw`, "spool: {volatile: true, size: 1024GiB}")
	opt.Offline = true
	if err := os.Chmod(filepath.Join(dir, "state"), 0o755); err != nil {
		t.Fatal(err)
	}
	got := Run(t.Context(), opt)
	has(t, got, "secret files", Fail, "mode 0644")
	has(t, got, "state", Fail, "mode 0755")
	has(t, got, "free space", Fail, "1048576 MiB")
	has(t, got, "custody", Warn, "no keys yet")
	if err := os.RemoveAll(filepath.Join(dir, "state")); err != nil {
		t.Fatal(err)
	}
	has(t, Run(t.Context(), opt), "spool", Warn, "not there yet")
	if _, err := os.Stat(filepath.Join(dir, "state")); err == nil {
		t.Error("the doctor made the state directory")
	}
}

func TestPorts(t *testing.T) {
	l := listen(t)
	defer l.Close()
	name := "port " + l.Addr().String()
	v := &visit{}
	v.port(t.Context(), l.Addr().String())
	has(t, v.results, name, Fail, "another program")
	dir := t.TempDir()
	f, err := os.Create(filepath.Join(dir, "lock"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if locked(dir) {
		t.Error("locked, although nobody holds it")
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	v = &visit{running: locked(dir)}
	v.port(t.Context(), l.Addr().String())
	has(t, v.results, name, OK, "while the gateway runs")
}

func TestNoConfiguration(t *testing.T) {
	got := Run(context.Background(), Options{Path: filepath.Join(t.TempDir(), "none.yaml")})
	has(t, got, "configuration", Fail, "no such file")
	has(t, got, "everything else", Skip, "")
}

func TestUnitAndWear(t *testing.T) {
	for _, x := range []struct {
		out, check string
		level      Level
	}{
		{"LoadState=not-found\n", "unit", Warn},
		{"LoadState=loaded\nUnitFileState=disabled\nActiveState=inactive\n", "unit", Warn},
		{"LoadState=loaded\nUnitFileState=enabled\nActiveState=failed\n", "unit", Fail},
		{"LoadState=loaded\nUnitFileState=enabled\nActiveState=active\nMemoryMax=134217728\n", "unit", OK},
		{"LoadState=loaded\nUnitFileState=enabled\nActiveState=active\nMemoryMax=134217728\n", "memory limit", OK},
		{"LoadState=loaded\nUnitFileState=enabled\nMemoryMax=infinity\n", "memory limit", Warn},
		{"LoadState=loaded\nUnitFileState=enabled\nMemoryMax=8388608\n", "memory limit", Warn},
	} {
		v := &visit{}
		v.judgeUnit(x.out)
		has(t, v.results, x.check, x.level, "")
	}
	for text, level := range map[string]Level{"0x01 0x02\n": OK, "0x01 0x0a\n": Warn, "0x00 0x00\n": Skip, "what": Skip} {
		v := &visit{}
		v.judgeWear(text)
		has(t, v.results, "flash wear", level, "")
	}
}

func TestPrint(t *testing.T) {
	var b bytes.Buffer
	err := Print(&b, []Result{
		{"clock", OK, "synchronized", ""},
		{"uplink " + strings.Repeat("n", 90), Fail, "a\x1b[2Jb\nc " + strings.Repeat("/long", 30), strings.Repeat("do it ", 30)},
	})
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(b.String()) {
		if utf8.RuneCountInString(strings.TrimSuffix(line, "\n")) > 80 || strings.Contains(line, "\x1b") {
			t.Errorf("line %q", line)
		}
	}
	if want := "ok    clock                 synchronized\n"; !strings.HasPrefix(b.String(), want) || !strings.HasSuffix(b.String(), "\n1 ok, 0 warnings, 1 failures, 0 skipped\n") {
		t.Errorf("printed:\n%s", b.String())
	}
}

// TestLook: without login nobody is asked for a password; a name that nobody
// knows, a closed port and a stranger's certificate are told apart.
func TestLook(t *testing.T) {
	dir, now := t.TempDir(), time.Now()
	cert, key := certificate(t, dir, now.Add(-time.Hour), now.Add(time.Hour))
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	l := tls.NewListener(listen(t), &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAnyClientCert})
	answer(t, l, 0)
	at := "mqtts://" + l.Addr().String()
	for _, x := range []struct {
		name  string
		u     config.Uplink
		login bool
		level Level
		do    string
	}{
		{"wants a certificate", config.Uplink{URL: at, TLS: &config.ClientTLS{CA: cert}}, false, OK, ""},
		{"stranger", config.Uplink{URL: at}, false, Fail, "tls.ca"},
		{"closed", config.Uplink{URL: "mqtt://" + closedPort(t)}, false, Fail, "nothing listens"},
		{"closed to a login", config.Uplink{URL: "mqtt://" + closedPort(t), ClientID: "x"}, true, Fail, "nothing listens"},
		{"no name", config.Uplink{URL: "mqtt://gateway.invalid:1883"}, false, Fail, "look at the name"},
	} {
		results, err := Look(t.Context(), &x.u, x.login, 5*time.Second)
		last := results[len(results)-1]
		if (err == nil) != (x.level == OK) || last.Level != x.level || !strings.Contains(last.Do, x.do) {
			t.Errorf("%s: %+v, %v", x.name, last, err)
		}
	}
}
