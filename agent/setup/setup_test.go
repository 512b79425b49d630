package setup

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/sealgate/sealgate/agent/config"
	"github.com/sealgate/sealgate/configs"
	"github.com/sealgate/sealgate/internal/testcert"
)

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

// nobody answers with defaults.
func nobody(t *testing.T) Options {
	return Options{Dir: t.TempDir(), Facts: Facts{Hostname: "gw-7"}, Now: now, Defaults: true}
}

// someone types lines, one after the other, and then goes.
func someone(t *testing.T, out io.Writer, lines ...string) Options {
	next := func(context.Context) (string, error) {
		if len(lines) == 0 {
			return "", io.EOF
		}
		l := lines[0]
		lines = lines[1:]
		return l, nil
	}
	o := nobody(t)
	o.Defaults, o.Person = false, &Person{Out: out, Line: next, Secret: next}
	return o
}

func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// certificate writes one for 127.0.0.1 that signed itself, and its key.
func certificate(t *testing.T, until time.Time) (cert, key string) {
	t.Helper()
	cert, key, err := testcert.Write(filepath.Join(t.TempDir(), "c"), "test", now.AddDate(-1, 0, 0), until)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

// load writes a plan and reads it back.
func load(t *testing.T, p *Plan) *config.Config {
	t.Helper()
	if _, err := Write(p.Dir, p.Files, WriteOptions{Now: now}); err != nil {
		t.Fatal(err)
	}
	cfg, err := config.Load(p.Path())
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

// TestBrokers: for each kind of broker, by its name alone, the file is valid and
// says what is known of it.
func TestBrokers(t *testing.T) {
	cert, key := certificate(t, now.AddDate(1, 0, 0))
	pw := write(t, filepath.Join(t.TempDir(), "pw"), "secret\n")
	for _, x := range []struct{ host, preset, login, protocol string }{
		{"a1b2c3-ats.iot.eu-central-1.amazonaws.com", "aws-iot-core", "certificate", "3.1.1"},
		{"a1b2c3.ats.iot.cn-north-1.amazonaws.com.cn", "aws-iot-core", "certificate", "3.1.1"},
		{"plant.westeurope-1.ts.eventgrid.azure.net", "azure-event-grid", "certificate", "5"},
		{"x1234567.ala.eu-central-1.emqxsl.com", "emqx", "password", "3.1.1"},
		{"0123abcd.s1.eu.hivemq.cloud", "hivemq", "password", "5"},
		{"mosquitto.example.com", "", "password", "3.1.1"},
	} {
		given := Answers{Uplink: x.host, Cert: cert, Key: key}
		if x.login == "password" {
			given = Answers{Uplink: x.host, Username: "gw-7", PasswordFile: pw}
		}
		p, err := New(t.Context(), given, nobody(t))
		if err != nil {
			t.Errorf("%s: %v", x.host, err)
			continue
		}
		u := load(t, p).Uplinks[0]
		if u.Preset != x.preset || p.Answers.Login != x.login || u.Protocol != x.protocol || u.URL != "mqtts://"+x.host+":8883" {
			t.Errorf("%s: %+v", x.host, u)
		}
		if x.login == "password" && (u.Username != "gw-7" || u.PasswordFile != pw) || x.login == "certificate" && (u.TLS == nil || u.TLS.Cert != cert || u.TLS.Key != key) {
			t.Errorf("%s does not log in: %+v", x.host, u)
		}
		if x.preset == "azure-event-grid" && u.Username != "gw-7" {
			t.Errorf("%s: user name is %q", x.host, u.Username)
		}
	}
}

func TestFlagsAreChecked(t *testing.T) {
	cert, key := certificate(t, now.AddDate(1, 0, 0))
	old, oldKey := certificate(t, now.AddDate(0, 0, -1))
	const at = "mqtts://h"
	for _, x := range []struct {
		given Answers
		word  string
	}{
		{Answers{}, "say --uplink: it has no default"},
		{Answers{Uplink: "http://h"}, "--uplink: a URL of a broker begins with mqtts://"},
		{Answers{Uplink: "mqtts://u:p@h"}, "no credentials"},
		{Answers{Uplink: "mqtts://h:0"}, "a port is"},
		{Answers{Uplink: "mqtts://h/x"}, "give mqtts://host:port"},
		{Answers{Uplink: "mqtt://h"}, "say --cleartext"},
		{Answers{Uplink: "mqtt://127.0.0.1:1883"}, "round in circles"},
		{Answers{Devices: "mqtt://10.0.0.1", Uplink: "mqtt://10.0.0.1", Cleartext: true}, "round in circles"},
		{Answers{Devices: "1883", Uplink: at}, "--devices: give host:port"},
		{Answers{Devices: "wss://h", Uplink: at}, "--devices: a local broker"},
		{Answers{Devices: ":1883", Device: "a:b", Uplink: at}, "--device: letters"},
		{Answers{Uplink: at, Broker: "kafka"}, "--broker: one of"},
		{Answers{Uplink: at}, "say --username"},
		{Answers{Uplink: at, Username: "u"}, "say --password-file"},
		{Answers{Uplink: at, Username: "u", PasswordFile: "/none"}, "--password-file: open"},
		{Answers{Uplink: at, Login: "none", Username: "u"}, "it can't be none"},
		{Answers{Uplink: at, Login: "none", Cert: cert, Key: key}, "it must be certificate"},
		{Answers{Uplink: at, Cert: cert, Key: oldKey}, "private key does not match"},
		{Answers{Uplink: at, Cert: old, Key: oldKey}, "expired 2026-11-22"},
		{Answers{Uplink: "mqtt://127.0.0.1:1884", Cert: cert, Key: key}, "needs TLS"},
		{Answers{Uplink: at, Login: "none", CA: "/none"}, "read certificate authorities"},
		{Answers{Uplink: at, Login: "none", Profile: "mars"}, "--profile: one of generic"},
		{Answers{Uplink: at, Login: "none", Mode: "pass"}, "--mode: one of observe"},
		{Answers{Uplink: at, Login: "none", Keys: "cloud"}, "--keys: one of tpm"},
		{Answers{Uplink: at, Login: "none", Gateway: "a b"}, "gateway must be"},
		{Answers{Uplink: at, Login: "none", Site: "A"}, "site must be"},
		{Answers{Uplink: at, Login: "none", State: "/dev/shm/state"}, "say --volatile"},
		{Answers{Uplink: at, Login: "none", Recipients: "/none", TrustRoot: "/none"}, "read trust root"},
		{Answers{Uplink: at + "\x1b"}, "printable"},
	} {
		_, err := New(t.Context(), x.given, nobody(t))
		if err == nil || !strings.Contains(err.Error(), x.word) {
			t.Errorf("%+v: %v, want %q", x.given, err, x.word)
		}
	}
	o := nobody(t)
	o.Defaults = false
	if _, err := New(t.Context(), Answers{}, o); !errors.Is(err, ErrNobody) {
		t.Errorf("nobody is there: %v", err)
	}
}

func TestWhatIsWritten(t *testing.T) {
	given := Answers{Uplink: "h", Login: "none", Devices: "0.0.0.0:1883", Profile: "cn", Mode: "enforce", Keys: "tpm"}
	p, err := New(t.Context(), given, nobody(t))
	if err != nil {
		t.Fatal(err)
	}
	cfg := load(t, p)
	if cfg.Gateway != "gw-7" || cfg.Custody.Kind != "tpm" || cfg.Guard.ObserveUntil != "" || cfg.Ingress.Broker.Anonymous || cfg.State != filepath.Join(p.Dir, "state") {
		t.Errorf("%+v", cfg)
	}
	if src, err := os.ReadFile(cfg.Policy); err != nil || !strings.Contains(string(src), "profile: cn ") || !strings.Contains(string(src), "\nmode: enforce\n") {
		t.Errorf("policy: %v\n%s", err, src)
	}
	for name, mode := range map[string]fs.FileMode{"users": 0o600, "device-1.password": 0o600, "agent.yaml": 0o644} {
		if st, err := os.Stat(filepath.Join(p.Dir, name)); err != nil || st.Mode().Perm() != mode {
			t.Errorf("%s: %v %v", name, st, err)
		}
	}
	next := p.Next()
	if !slices.ContainsFunc(next, func(l string) bool {
		return strings.HasPrefix(l, "mosquitto_pub -h 127.0.0.1 -p 1883 -u device-1 -P") && strings.Contains(l, " -t device-1/hello ")
	}) {
		t.Errorf("next: %q", next)
	}

	given = Answers{Uplink: "h", Login: "none"}
	o := nobody(t)
	o.Facts.TPM = true
	p, err = New(t.Context(), given, o)
	if err != nil {
		t.Fatal(err)
	}
	if cfg := load(t, p); cfg.Custody.Kind != "tpm" || cfg.Guard.ObserveUntil != "2026-12-23" || cfg.Guard.ObserveThen != "enforce" || !cfg.Ingress.Broker.Anonymous {
		t.Errorf("defaults: %+v", cfg)
	}
}

// TestLocalLogin: a broker that runs already and wants a name gets one.
func TestLocalLogin(t *testing.T) {
	p, err := New(t.Context(), Answers{
		Devices: "mqtt://10.0.0.9", DevicesUsername: "sealgate", DevicesPasswordFile: write(t, filepath.Join(t.TempDir(), "pw"), "x\n"), Uplink: "h", Login: "none",
	}, nobody(t))
	if err != nil {
		t.Fatal(err)
	}
	cfg := load(t, p)
	if s := cfg.Ingress.Subscribe; cfg.Ingress.Broker != nil || len(s) != 1 || s[0].URL != "mqtt://10.0.0.9:1883" || s[0].Username != "sealgate" || s[0].PasswordFile == "" {
		t.Errorf("%+v", cfg.Ingress)
	}
	if hello := p.hello(); !strings.HasPrefix(hello, "mosquitto_pub -h 10.0.0.9 -p 1883 -u sealgate -P PASSWORD ") {
		t.Error(hello)
	}
}

// TestUnknownAuthority: who signed the broker's certificate is asked for where
// this machine does not know.
func TestUnknownAuthority(t *testing.T) {
	cert, key := certificate(t, time.Now().AddDate(1, 0, 0))
	pair, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		t.Fatal(err)
	}
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				_, _ = io.Copy(io.Discard, c)
				_ = c.Close()
			}()
		}
	}()
	var out strings.Builder
	_, err = New(t.Context(), Answers{Devices: "127.0.0.1:1", Broker: "mosquitto"}, someone(t, &out, "mqtts://"+l.Addr().String(), "y", "/none", cert))
	if err == nil || !strings.Contains(err.Error(), "nothing was written") {
		t.Error(err)
	}
	for _, word := range []string{"does not know who signed", "open /none", "ok    it can be reached", "3 of 5"} {
		if !strings.Contains(out.String(), word) {
			t.Errorf("no %q in\n%s", word, out.String())
		}
	}
}

func TestWrite(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new", "gw")
	files := []config.ImportedFile{{Name: "agent.yaml", Mode: 0o644, Data: []byte("a: 1\n")}, {Name: "users", Mode: 0o600, Data: []byte("u\n")}}
	got, err := Write(dir, files, WriteOptions{Now: now})
	if err != nil || len(got) != 2 || got[0].Path != filepath.Join(dir, "agent.yaml") || got[0].Backup != "" {
		t.Fatalf("%+v, %v", got, err)
	}
	files[0].Data = []byte("a: 2\n")
	files = append(files, config.ImportedFile{Name: "more", Mode: 0o600, Data: []byte("m\n")})
	if _, err := Write(dir, files, WriteOptions{Now: now}); !errors.Is(err, fs.ErrExist) {
		t.Errorf("it replaces what is there: %v", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "more")); err == nil {
		t.Error("some of it was written")
	}
	if err := MayWrite(dir, false); !errors.Is(err, fs.ErrExist) {
		t.Error(err)
	}
	got, err = Write(dir, files, WriteOptions{Force: true, Now: now})
	if err != nil || got[0].Backup != filepath.Join(dir, "agent.yaml.20261123-120000.bak") || got[2].Backup != "" {
		t.Fatalf("%+v, %v", got, err)
	}
	if old, err := os.ReadFile(got[0].Backup); err != nil || string(old) != "a: 1\n" {
		t.Errorf("kept: %q, %v", old, err)
	}
	write(t, filepath.Join(dir, "agent.yaml"), string(configs.Packaged))
	for _, f := range []string{"users", "more"} {
		if err := os.Remove(filepath.Join(dir, f)); err != nil {
			t.Fatal(err)
		}
	}
	if got, err = Write(dir, files, WriteOptions{Now: now.Add(time.Hour)}); err != nil || got[0].Backup == "" {
		t.Errorf("what the package ships is in the way, or lost: %+v, %v", got, err)
	}
}

func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() == 0 {
		return
	}
	if os.Getenv("SEALGATE_CI") != "" {
		t.Fatal("needs root")
	}
	t.Skip("needs root")
}

// TestHandOver: the service owns all of its state, and nothing that a link in it
// names; what is not the packages' state directory stays root's. The lifecycle
// has the service start with what setup made as root.
func TestHandOver(t *testing.T) {
	needRoot(t)
	dir, outside := t.TempDir(), write(t, filepath.Join(t.TempDir(), "outside"), "x")
	if err := os.MkdirAll(filepath.Join(dir, "keys", "old"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "keys", "kek"), "k")
	if err := os.Symlink(outside, filepath.Join(dir, "keys", "link")); err != nil {
		t.Fatal(err)
	}
	owners := func(want uint32, paths ...string) {
		t.Helper()
		for _, path := range paths {
			st, err := os.Lstat(path)
			if err != nil {
				t.Fatal(err)
			}
			if sys := st.Sys().(*syscall.Stat_t); sys.Uid != want || sys.Gid != want {
				t.Errorf("%s belongs to %d:%d, want %d", path, sys.Uid, sys.Gid, want)
			}
		}
	}
	all := []string{dir, filepath.Join(dir, "keys"), filepath.Join(dir, "keys", "old"), filepath.Join(dir, "keys", "kek"), filepath.Join(dir, "keys", "link")}
	if err := HandOver(dir); err != nil {
		t.Fatal(err)
	}
	owners(0, all...)
	if err := handOver(dir, 4242, 4242); err != nil {
		t.Fatal(err)
	}
	owners(4242, all...)
	owners(0, outside)
	if err := handOver(filepath.Join(dir, "missing"), 4242, 4242); err == nil {
		t.Error("a missing directory was handed over")
	}
}

func TestGroupOfTheService(t *testing.T) {
	needRoot(t)
	dir := t.TempDir()
	if err := os.Chown(dir, 0, 4242); err != nil {
		t.Fatal(err)
	}
	files := []config.ImportedFile{{Name: "users", Mode: 0o600, Data: []byte("u\n")}}
	if _, err := Write(dir, files, WriteOptions{Now: now}); err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(filepath.Join(dir, "users"))
	if err != nil || st.Mode().Perm() != 0o640 {
		t.Errorf("%v, %v", st, err)
	}
}

// TestTakenPort: an address that somebody else listens at is told at once; that
// of the gateway that is configured already may be its own.
func TestTakenPort(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	addr := l.Addr().String()
	var out strings.Builder
	o := someone(t, &out, addr)
	if _, err := New(t.Context(), Answers{}, o); err == nil || !strings.Contains(out.String(), "another program listens there") || strings.Contains(out.String(), "2 of 5") {
		t.Errorf("%v\n%s", err, out.String())
	}
	out.Reset()
	own := someone(t, &out, addr)
	write(t, filepath.Join(own.Dir, "agent.yaml"), "ingress: {broker: {anonymous: true, listeners: [{address: \""+addr+"\"}]}}\nuplinks: {c: {url: \"mqtt://127.0.0.1:1\"}}\n")
	if _, err := New(t.Context(), Answers{}, own); err == nil || !strings.Contains(out.String(), "2 of 5") {
		t.Errorf("%v\n%s", err, out.String())
	}

	// A gateway that runs at the usual address is not a broker to read from.
	again := nobody(t)
	again.Facts.BrokerRuns = true
	write(t, filepath.Join(again.Dir, "agent.yaml"), "ingress: {broker: {anonymous: true}}\nuplinks: {c: {url: \"mqtt://127.0.0.1:1\"}}\n")
	p, err := New(t.Context(), Answers{Uplink: "h", Login: "none"}, again)
	if err != nil || p.Answers.Devices != "127.0.0.1:1883" {
		t.Errorf("edited: %+v, %v", p, err)
	}
	write(t, filepath.Join(again.Dir, "agent.yaml"), string(configs.Packaged))
	p, err = New(t.Context(), Answers{Uplink: "h", Login: "none"}, again)
	if err != nil || p.Answers.Devices != "mqtt://127.0.0.1:1883" {
		t.Errorf("packaged: %+v, %v", p, err)
	}
}

// TestLocalBrokerIsSilent: one that does not answer can be looked at again, left,
// or replaced by another answer.
func TestLocalBrokerIsSilent(t *testing.T) {
	for _, x := range []struct {
		typed []string
		want  string
		looks int
	}{
		{[]string{"mqtt://127.0.0.1:1", "y", "retry", "leave"}, "2 of 5", 2},
		{[]string{"mqtt://127.0.0.1:1", "n"}, "2 of 5", 0},
		{[]string{"mqtt://127.0.0.1:1", "y", "change"}, "1 of 5", 1},
	} {
		var out strings.Builder
		if _, err := New(t.Context(), Answers{}, someone(t, &out, x.typed...)); err == nil {
			t.Errorf("%q: nobody answered the rest", x.typed)
		}
		at := strings.LastIndex(out.String(), " of 5")
		if got := out.String()[at-1 : at+5]; got != x.want || strings.Count(out.String(), "nothing listens there") != x.looks {
			t.Errorf("%q: ended at %s:\n%s", x.typed, got, out.String())
		}
	}
}
