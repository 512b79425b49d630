package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

var importDay = time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)

// imports runs an import of files held in memory; "main" is mosquitto.conf.
func imports(files map[string]string) (*Imported, error) {
	return importMosquitto(ImportOptions{Path: "/m/mosquitto.conf", Hostname: "gw-1.example", Now: importDay}, importFiles{
		read: func(path string) ([]byte, error) {
			if src, ok := files[strings.TrimPrefix(path, "/m/")]; ok {
				return []byte(src), nil
			}
			return nil, fmt.Errorf("open %s: %w", path, fs.ErrNotExist)
		},
		list: func(dir string) (names []string, err error) {
			for name := range files {
				if filepath.Join("/m", filepath.Dir(name)) == dir {
					names = append(names, filepath.Base(name))
				}
			}
			return names, nil
		},
	})
}

const bridge = "connection c\naddress 127.0.0.1:1884\n"

func one(t *testing.T, src string) (*Config, *Imported) {
	t.Helper()
	im, err := imports(map[string]string{"mosquitto.conf": src, "pw": "a:b\n", "acl": "topic #\n", "pw2": "c:d\n"})
	if err != nil {
		t.Fatal(err)
	}
	return parsed(t, im), im
}

func parsed(t *testing.T, im *Imported) *Config {
	t.Helper()
	c, err := Parse("/o/agent.yaml", data(im, "agent.yaml"))
	if err != nil {
		t.Fatalf("%v\n%s", err, data(im, "agent.yaml"))
	}
	return c
}

func data(im *Imported, name string) []byte {
	for _, f := range im.Files {
		if f.Name == name {
			return f.Data
		}
	}
	return nil
}

// remarked reports whether a line has a remark with that text.
func remarked(im *Imported, line int, text string) bool {
	return slices.ContainsFunc(im.Remarks, func(r Remark) bool { return r.Line == line && strings.Contains(r.Text, text) })
}

func TestImportPlant(t *testing.T) {
	im, err := ImportMosquitto(ImportOptions{Path: "testdata/mosquitto/plant.conf", Hostname: "gw-1", Profile: "eu", Now: importDay})
	if err != nil {
		t.Fatal(err)
	}
	c := parsed(t, im)
	b := c.Ingress.Broker
	if c.Gateway != "gw-1" || len(b.Listeners) != 2 || b.Listeners[0].Address != "127.0.0.1:1883" || b.Listeners[1].Address != ":8883" ||
		b.Listeners[1].TLS.ClientCA != "/etc/mosquitto/certs/devices.pem" || b.Anonymous || b.Users != "/o/users" || b.ACL != "/o/acl" ||
		b.Limits.Packet != 2<<20 {
		t.Errorf("ingress: %+v %+v", c.Gateway, b)
	}
	cloud, archive := c.Uplinks[0], c.Uplinks[1]
	if cloud.URL != "mqtts://broker.example.com:8883" || cloud.ClientID != "plant-7" || cloud.Username != "plant" ||
		cloud.PasswordFile != "/o/cloud.password" || cloud.TLS.CA != "/etc/mosquitto/certs/cloud.pem" || cloud.MaxQoS != 2 {
		t.Errorf("cloud: %+v", cloud)
	}
	if want := []Topic{
		{Pattern: "sensors/#", RemotePrefix: "plant-7/", Direction: "out"},
		{Pattern: "alarms", LocalPrefix: "line/", RemotePrefix: "plant-7/", Direction: "out"},
		{Pattern: "cmd/#", RemotePrefix: "plant-7/", Direction: "in"},
	}; !slices.Equal(cloud.Topics, want) {
		t.Errorf("topics: %+v", cloud.Topics)
	}
	if archive.URL != "mqtt://127.0.0.1:1884" || archive.Cleartext || archive.ClientID != "gw-1.archive" || archive.MaxQoS != 1 {
		t.Errorf("archive: %+v", archive)
	}
	if c.Guard.ObserveUntil != "2026-12-01" || c.Guard.ObserveThen != "enforce" || !c.ObservePermitted(importDay) {
		t.Errorf("guard: %+v", c.Guard)
	}
	for _, f := range im.Files {
		want := fs.FileMode(0o600)
		if strings.HasSuffix(f.Name, ".yaml") {
			want = 0o644
			if strings.Contains(string(f.Data), "correct horse") {
				t.Errorf("%s holds a password", f.Name)
			}
		}
		if f.Mode != want {
			t.Errorf("%s has mode %o", f.Name, f.Mode)
		}
	}
	if got := string(data(im, "cloud.password")); got != "correct horse\n" {
		t.Errorf("password file: %q", got)
	}
	p := string(data(im, "policy.yaml"))
	if !strings.Contains(p, "profile: eu ") || !strings.Contains(p, "mode: observe\n") {
		t.Errorf("policy:\n%s", p)
	}
	at := func(s string) int { return strings.Index(p, s) }
	if at(`"sensors/#"`) < 0 || at(`"line/alarms"`) < 0 || at("everything else") < at(`"sensors/#"`) || at("everything else") < at(`"line/alarms"`) {
		t.Errorf("routes:\n%s", p)
	}
	for line, text := range map[int]string{6: "relative path", 15: "common name", 18: "plant-7-down"} {
		if !remarked(im, line, text) {
			t.Errorf("line %d has no remark %q in %+v", line, text, im.Remarks)
		}
	}
}

// TestImportAccess: never lets in more than mosquitto does.
func TestImportAccess(t *testing.T) {
	for name, tc := range map[string]struct {
		conf      string
		listeners []string
		anonymous bool
		users     string // content; "-": no file
		acl       string // prefix; "-": no file
		remark    string
	}{
		"nothing said":               {bridge, []string{"127.0.0.1:1883"}, true, "-", "-", "256 MiB"},
		"refused on this machine":    {"allow_anonymous false\npassword_file /m/pw\n" + bridge, []string{"127.0.0.1:1883"}, false, "a:b\n", "# mosquitto.conf named no", "tighten"},
		"port opens":                 {"port 1885\npassword_file /m/pw\n" + bridge, []string{":1885"}, false, "a:b\n", "# ", ""},
		"bind_address":               {"bind_address ::1\nallow_anonymous true\n" + bridge, []string{"[::1]:1883"}, true, "-", "-", ""},
		"a listener closes":          {"listener 1883\n" + bridge, []string{":1883"}, false, "# name:hash", "# ", "no client can connect yet"},
		"anonymous outside":          {"listener 1883\nallow_anonymous true\n" + bridge, []string{":1883"}, false, "# name:hash", "# ", "on loopback only"},
		"anonymous beside passwords": {"listener 1883 localhost\nallow_anonymous true\npassword_file /m/pw\nacl_file /m/acl\n" + bridge, []string{"localhost:1883"}, true, "a:b\n", "topic #", ""},
		"per listener, mixed": {"per_listener_settings true\nlistener 1883 127.0.0.1\nallow_anonymous true\nlistener 1884\npassword_file /m/pw\n" + bridge,
			[]string{"127.0.0.1:1883"}, true, "-", "-", "the listener of port 1884 was left out: one password_file"},
		"per listener, alike": {"per_listener_settings true\nlistener 1883 127.0.0.1\nallow_anonymous true\npassword_file /m/pw\nlistener 1884\npassword_file /m/pw\n" + bridge,
			[]string{"127.0.0.1:1883", ":1884"}, false, "a:b\n", "# ", ""},
		"certificates": {"listener 8883\ncertfile /c\nkeyfile /k\ncafile /a\nrequire_certificate true\nuse_identity_as_username true\n" + bridge, []string{":8883"}, false, "-", "# ", ""},
		"revocation":   {"listener 8883\ncertfile /c\nkeyfile /k\ncafile /a\nrequire_certificate true\ncrlfile /r\n" + bridge, []string{"127.0.0.1:1883"}, false, "# name", "# ", "revoked certificates"},
		"websockets":   {"listener 9001\nprotocol websockets\nlistener 1883 127.0.0.1\nallow_anonymous true\n" + bridge, []string{"127.0.0.1:1883"}, true, "-", "-", "websockets"},
		"socket":       {"listener 0 /run/m.sock\nlistener 1883 127.0.0.1\nallow_anonymous true\n" + bridge, []string{"127.0.0.1:1883"}, true, "-", "-", "Unix socket"},
		"plugin":       {"listener 1883 127.0.0.1\nallow_anonymous true\nplugin /p.so\nplugin_opt_x 1\n" + bridge, []string{"127.0.0.1:1883"}, false, "# name", "-", "plugins don't run"},
		"mount point":  {"listener 1883 127.0.0.1\nmount_point a/\n" + bridge, []string{"127.0.0.1:1883"}, false, "# name", "# ", "below a prefix"},
	} {
		t.Run(name, func(t *testing.T) {
			c, im := one(t, tc.conf+"topic # out 1\n")
			var got []string
			for _, l := range c.Ingress.Broker.Listeners {
				got = append(got, l.Address)
			}
			if !slices.Equal(got, tc.listeners) || c.Ingress.Broker.Anonymous != tc.anonymous {
				t.Errorf("listeners %v, anonymous %v", got, c.Ingress.Broker.Anonymous)
			}
			for file, want := range map[string]string{"users": tc.users, "acl": tc.acl} {
				src := data(im, file)
				if want == "-" != (src == nil) || want != "-" && !strings.HasPrefix(string(src), want) {
					t.Errorf("%s: %q", file, src)
				}
			}
			if !slices.ContainsFunc(im.Remarks, func(r Remark) bool { return strings.Contains(r.Text, tc.remark) }) {
				t.Errorf("no remark %q in %+v", tc.remark, im.Remarks)
			}
		})
	}
}

// TestImportBridge: how a bridge connects.
func TestImportBridge(t *testing.T) {
	for name, tc := range map[string]struct {
		conf   string
		want   Uplink
		remark string
	}{
		"plain":         {"address h\n", Uplink{URL: "mqtt://h:1883", Cleartext: true, ClientID: "gw-1.example.c"}, "not encrypted"},
		"loopback":      {"address 127.0.0.1\n", Uplink{URL: "mqtt://127.0.0.1:1883", ClientID: "gw-1.example.c"}, ""},
		"IPv6":          {"address ::1:1884\n", Uplink{URL: "mqtt://[::1]:1884", ClientID: "gw-1.example.c"}, ""},
		"TLS at 1883":   {"address h\nbridge_cafile /ca\nclientid x\n", Uplink{URL: "mqtts://h:1883", ClientID: "x", TLS: &ClientTLS{CA: "/ca"}}, ""},
		"system roots":  {"address h:8883\nbridge_capath /etc/ssl/certs/\n", Uplink{URL: "mqtts://h:8883", ClientID: "gw-1.example.c"}, ""},
		"own roots":     {"address h:8883\nbridge_capath /srv/ca\n", Uplink{URL: "mqtts://h:8883", ClientID: "gw-1.example.c"}, "into one file"},
		"certificate":   {"address h:8883\nbridge_cafile /ca\nbridge_certfile /c\nbridge_keyfile /k\n", Uplink{URL: "mqtts://h:8883", ClientID: "gw-1.example.c", TLS: &ClientTLS{CA: "/ca", Cert: "/c", Key: "/k"}}, ""},
		"no cafile":     {"address h:8883\nbridge_certfile /c\nbridge_keyfile /k\n", Uplink{URL: "mqtt://h:8883", Cleartext: true, ClientID: "gw-1.example.c"}, "no certificate"},
		"insecure":      {"address h:8883\nbridge_cafile /ca\nbridge_insecure true\n", Uplink{URL: "mqtts://h:8883", ClientID: "gw-1.example.c", TLS: &ClientTLS{CA: "/ca"}}, "always verified"},
		"two addresses": {"addresses h:8883 i:8883\nbridge_tls_use_os_certs true\n", Uplink{URL: "mqtts://h:8883", ClientID: "gw-1.example.c"}, "one address"},
		"keep alive":    {"address 127.0.0.1\nkeepalive_interval 3\nremote_username u\n", Uplink{URL: "mqtt://127.0.0.1:1883", ClientID: "gw-1.example.c", Username: "u", Keepalive: 5 * time.Second}, ""},
		"alpn, TLS":     {"address h:443\nbridge_cafile /ca\nbridge_alpn mqtt\n", Uplink{URL: "mqtts://h:443", ClientID: "gw-1.example.c", TLS: &ClientTLS{CA: "/ca", ALPN: []string{"mqtt"}}}, ""},
		"alpn":          {"address 127.0.0.1\nbridge_alpn mqtt\n", Uplink{URL: "mqtt://127.0.0.1:1883", ClientID: "gw-1.example.c"}, "ALPN"},
	} {
		t.Run(name, func(t *testing.T) {
			c, im := one(t, "connection c\n"+tc.conf+"topic # out 1\n")
			got := c.Uplinks[0]
			if got.URL != tc.want.URL || got.Cleartext != tc.want.Cleartext || got.ClientID != tc.want.ClientID || got.Username != tc.want.Username ||
				(got.TLS == nil) != (tc.want.TLS == nil) || got.TLS != nil && !reflect.DeepEqual(got.TLS, tc.want.TLS) || tc.want.Keepalive != 0 && got.Keepalive != tc.want.Keepalive {
				t.Errorf("got %+v", got)
			}
			if !slices.ContainsFunc(im.Remarks, func(r Remark) bool { return strings.Contains(r.Text, tc.remark) }) {
				t.Errorf("no remark %q in %+v", tc.remark, im.Remarks)
			}
		})
	}
}

// TestImportTopics: both directions, and what would come back.
func TestImportTopics(t *testing.T) {
	for name, tc := range map[string]struct {
		conf   string
		want   Topics
		remark string
	}{
		"down":          {"topic cmd/# in 1 l/ r/\n", Topics{{"cmd/#", "l/", "r/", "in"}}, "c-down"},
		"down, QoS 2":   {"topic cmd/# in 2\n", Topics{{"cmd/#", "", "", "in"}}, "it may come twice"},
		"both":          {"topic a/# both 1 l/ r/\n", Topics{{"a/#", "l/", "r/", "out"}}, "r/a/# would come back by r/a/#"},
		"apart":         {"topic a/# both 1 l/ r/\ntopic +/cmd in\n", Topics{{"a/#", "l/", "r/", "out"}, {"+/cmd", "", "", "in"}}, "would come back"},
		"overlap":       {"topic # out 1 \"\" up/\ntopic +/x in\n", Topics{{"#", "", "up/", "out"}}, "up/# would come back by +/x"},
		"out as it is":  {"topic # out 1 \"\" site-\n", Topics{{"#", "", "site-", "out"}}, ""},
		"in a level":    {"topic # out 1 \"\" site-\ntopic +/x in 1 c/ site-a/\n", Topics{{"#", "", "site-", "out"}}, "site-# would come back by site-a/+/x"},
		"in by levels":  {"topic a/# in 1 \"\" site-\ntopic x out\n", Topics{{"x", "", "", "out"}, {"#", "a/", "site-a/", "in"}}, "not the topic a itself"},
		"in, no levels": {"topic # in 1 \"\" site-\ntopic x out\n", Topics{{"x", "", "", "out"}}, "must end in '/'"},
		"shadow":        {"topic delta in 1 things/ $aws/things/\n", Topics{{"delta", "things/", "$aws/things/", "in"}}, ""},
		"to $":          {"topic delta out 1 things/ $aws/things/\ntopic x out\n", Topics{{"x", "", "", "out"}}, "begins with $"},
	} {
		c, im := one(t, bridge+tc.conf)
		if got := c.Uplinks[0].Topics; !slices.Equal(got, tc.want) {
			t.Errorf("%s: %+v", name, got)
		}
		if !slices.ContainsFunc(im.Remarks, func(r Remark) bool { return strings.Contains(r.Text, tc.remark) }) {
			t.Errorf("%s: no remark %q in %+v", name, tc.remark, im.Remarks)
		}
	}
}

// TestImportLimits: what is larger than a spool of the usual size can hold is
// lowered, and said.
func TestImportLimits(t *testing.T) {
	for conf, want := range map[string][3]int{ // packet, clients, inflight
		"": {1 << 20, 1000, 64},
		"max_packet_size 100000\nmax_inflight_messages 0\n":    {100_000, 1000, 65535},
		"max_packet_size 100000000\nmax_connections 12\n":      {8 << 20, 12, 64},
		"message_size_limit 100000\nmax_inflight_messages 9\n": {165_599, 1000, 9},
		"max_packet_size 20\nmax_connections -1\n":             {1 << 10, 1000, 64},
	} {
		c, im := one(t, "listener 1883 127.0.0.1\nallow_anonymous true\n"+conf+bridge+"topic # out 1\n")
		l := c.Ingress.Broker.Limits
		if got := [3]int{int(l.Packet), l.Clients, l.Inflight}; got != want {
			t.Errorf("%q: %v", conf, got)
		}
		if lowered := want[0] == 8<<20 || want[0] == 1<<10; lowered != remarked(im, 3, "limits.packet is") {
			t.Errorf("%q: remarks %+v", conf, im.Remarks)
		}
	}
}

func TestImportInclude(t *testing.T) {
	im, err := imports(map[string]string{
		"mosquitto.conf": "include_dir conf.d\ninclude_dir other\n", "conf.d/B.conf": "address 127.0.0.1\n", "conf.d/a.conf": "connection c\n",
		"conf.d/b.conf": "topic b out\n", "conf.d/00.conf": "listener 1883 127.0.0.1\nallow_anonymous true\n", "conf.d/c.txt": "nonsense nonsense\n", "other/x.conf": "topic a out\nnotice 1\n",
	})
	if err != nil {
		t.Fatal(err)
	}
	c := parsed(t, im)
	if got := c.Uplinks[0].Topics; len(got) != 2 || got[0].Pattern != "b" || got[1].Pattern != "a" {
		t.Errorf("topics: %+v", got)
	}
	if !slices.ContainsFunc(im.Remarks, func(r Remark) bool { return r.File == "/m/other/x.conf" && r.Line == 2 && r.Directive == "notice" }) {
		t.Errorf("remarks: %+v", im.Remarks)
	}
}

// TestImportRefuses: every problem with its line, as mosquitto refuses it.
func TestImportRefuses(t *testing.T) {
	_, err := imports(map[string]string{"conf.d/x.conf": "include_dir y\n", "mosquitto.conf": `allow_anonymous TRUE
 # an indented comment is a directive to mosquitto
listener 70000
listener	1883
port x
address 1.2.3.4
connection a
topic a sideways
topic a out 3
topic "" out 1 a ""
topic a out 1 b+/ c/
topic a out 1 b/ c/ # why
topic
address h:0
connection a
connection b c
address h
remote_password p
bridge_certfile /c
max_packet_size 3
include_dir conf.d
protocol carrier-pigeon
certfile
`})
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{
		":1: allow_anonymous must be true or false", ":3: listener must be a port", ":4: only text", ":5: port must be", ":6: address belongs to a bridge",
		`:8: the direction of a topic must be out, in or both, got "sideways"`, `:9: the QoS of a topic`, ":10: a topic without a pattern", ":11: a prefix holds no wildcard",
		`:12: topic: "#" is too much`, ":13: topic has no pattern", ":14: \"h:0\" has no port", ":15: connection a stands twice", ":16: connection needs one word",
		":18: remote_password needs remote_username", ":16: bridge_certfile and bridge_keyfile", ":20: max_packet_size must be", "x.conf:1: include_dir is read in the main file only", ":22: protocol must be", ":23: certfile has no value",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in\n%v", want, err)
		}
	}
	for name, tc := range map[string][2]string{
		"no bridge":        {"listener 1883\n", "has no bridge"},
		"only out of $":    {bridge + "topic $SYS/# out\n", "no bridge of"},
		"pre-shared key":   {bridge + "topic # out\nbridge_identity i\nbridge_psk 00\n", "pre-shared keys"},
		"no password file": {"password_file /m/none\n" + bridge + "topic #\n", ":1: read password_file"},
		"no file":          {"", "has no bridge"},
	} {
		if _, err := imports(map[string]string{"mosquitto.conf": tc[0]}); err == nil || !strings.Contains(err.Error(), tc[1]) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := imports(nil); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if _, err := ImportMosquitto(ImportOptions{Profile: "uk"}); err == nil {
		t.Error("an unknown profile was accepted")
	}
}

func TestOverlap(t *testing.T) {
	for _, x := range []struct {
		a, b string
		want bool
	}{
		{"a/b", "a/b", true}, {"a/b", "a/c", false}, {"a/+", "a/c", true}, {"a/#", "a", true}, {"a", "a/b", false}, {"+", "a/b", false}, {"#", "a/b", true},
		{"site-#", "site-a/b", true}, {"site-#", "site", false}, {"site-+", "site-a", true}, {"site-+", "site-a/b", false}, {"site-#", "si#", true}, {"x-#", "y-#", false},
		{"site-a/+", "site-+/b", true}, {"site-a/+/c", "site-#", true}, {"+/x", "site-#", true},
	} {
		if overlap(x.a, x.b) != x.want || overlap(x.b, x.a) != x.want {
			t.Errorf("%s and %s: %v", x.a, x.b, !x.want)
		}
	}
}

func TestNarrowFirst(t *testing.T) {
	got := narrowFirst([]string{"+/a", "x/#", "x/a", "x/y/z", "x/#", "x/+", "b"})
	for i, narrow := range got {
		for _, wide := range got[:i] {
			if covers(wide, narrow) {
				t.Errorf("%s can never match behind %s: %v", narrow, wide, got)
			}
		}
	}
	if len(got) != 6 {
		t.Errorf("got %v", got)
	}
}

// FuzzImport: whatever mosquitto.conf says, the result is an error or a
// configuration that is accepted.
func FuzzImport(f *testing.F) {
	plant, err := os.ReadFile("testdata/mosquitto/plant.conf")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(plant))
	f.Add(bridge + "topic \"\" out 1 a/b r/b\ntopic # both 2 l/ r\ntopic a/# out 0 \"\" x-\ntopic $SYS/# out\ntopic # out 1 l/ $aws/\n")
	f.Add("per_listener_settings true\nlistener 0 /s\nlistener 1 é\nprotocol websockets\nmount_point x\n" + bridge + "topic a/+ out\n")
	f.Add("include_dir .\ninclude_dir\n" + bridge + "remote_username \"\\\nremote_password \x00\nclientid \u2028\ntopic {site} out 1 a/ {gateway}/\n")
	f.Fuzz(func(t *testing.T, src string) {
		im, err := imports(map[string]string{"mosquitto.conf": src, "pw": "a:b\n"})
		if err != nil {
			if strings.Contains(err.Error(), "can't be said in agent.yaml") {
				t.Fatalf("an import that is not valid: %v", err)
			}
			return
		}
		for _, f := range im.Files {
			if strings.HasSuffix(f.Name, ".yaml") && strings.Contains(string(f.Data), "password: ") {
				t.Errorf("%s holds a password", f.Name)
			}
		}
	})
}

// TestEveryOption imports each line of the table in
// docs/replace-a-mosquitto-bridge.md, and finds what its mark says. The table has
// every directive that the importer knows, and every one of mosquitto.conf(5).
func TestEveryOption(t *testing.T) {
	page, err := os.ReadFile("../../docs/replace-a-mosquitto-bridge.md")
	if err != nil {
		t.Fatal(err)
	}
	manual, err := os.ReadFile("testdata/mosquitto/options")
	if err != nil {
		t.Fatal(err)
	}
	const (
		tlsBridge   = "bridge_cafile /ca\n"
		tlsListener = "cafile /ca\ncertfile /c\nkeyfile /k\n"
	)
	// What a line needs around it: before a listener's own, and before a bridge's.
	listener := map[string]string{"require_certificate": tlsListener, "crlfile": tlsListener, "use_identity_as_username": tlsListener + "require_certificate true\n",
		"certfile": "keyfile /k\n", "keyfile": "certfile /c\n", "cafile": "certfile /c\nkeyfile /k\nrequire_certificate true\n", "allow_anonymous": "password_file /m/pw\n", "per_listener_settings": ""}
	bridge := map[string]string{"bridge_alpn": tlsBridge, "bridge_insecure": tlsBridge, "bridge_certfile": tlsBridge + "bridge_keyfile /k\n", "bridge_keyfile": tlsBridge + "bridge_certfile /c\n",
		"remote_password": "remote_username gw\n", "password": "remote_username gw\n"}
	const open, cloud = "listener 1883 127.0.0.1\nallow_anonymous true\n", "connection c\naddress 127.0.0.1:1884\ntopic # out 1\n"
	rows := regexp.MustCompile("(?m)^\\| `([a-z0-9_.]+)( [^`]*)` \\| (taken|same|differs|decide) \\| .+ \\|$").FindAllStringSubmatch(string(page), -1)
	seen := map[string]bool{}
	for _, row := range rows {
		name, value, mark := row[1], row[2], row[3]
		seen[name] = true
		line := name + value + "\n"
		before, after := open+listener[name], cloud
		around, own := bridge[name]
		switch {
		case name == "connection":
			before, line = open+cloud, line+"address 127.0.0.1:1885\ntopic x out 1\n"
			after = ""
		case name == "address" || name == "addresses":
			before, after = open+cloud+"connection d\n", "topic x out 1\n"
		case name == "per_listener_settings":
			before, after = "", "listener 1883 127.0.0.1\nallow_anonymous true\nlistener 1884 127.0.0.1\npassword_file /m/pw\n"+cloud
		case name == "port" || name == "bind_address":
			before, after = "", cloud
		case own || slices.Contains(bridgeDirectives, name) || slices.Contains([]string{"bridge_bind_address", "cleansession", "local_username", "round_robin", "start_type"}, name):
			before, after = open+"connection c\naddress 127.0.0.1:1884\n"+around, "topic # out 1\n"
		case name == "max_qos" || name == "protocol" || name == "mount_point" || name == "psk_hint" || name == "crlfile":
			before = open + "listener 1886 127.0.0.1\n" + listener[name] // the first stays
		}
		files := map[string]string{"mosquitto.conf": before + after, "pw": "a:b\n", "acl": "topic #\n", "conf.d/x.conf": "max_connections 3\n"}
		without, _ := imports(files) // nil where the line is what makes it valid
		files["mosquitto.conf"] = before + line + after
		with, err := imports(files)
		if err != nil && (name == "bridge_psk" || name == "bridge_identity") {
			continue // the only connection is left out, and the error says why
		}
		if err != nil {
			t.Errorf("%s: %v", line, err)
			continue
		}
		at, got := strings.Count(before, "\n")+1, "same"
		switch {
		case slices.ContainsFunc(with.Remarks, func(r Remark) bool { return r.Line == at && r.Kind == Unmapped }):
			got = "decide"
		case slices.ContainsFunc(with.Remarks, func(r Remark) bool { return r.Line == at && r.Kind == Differs }):
			got = "differs"
		case without == nil || !reflect.DeepEqual(with.Files, without.Files):
			got = "taken"
		}
		if got != mark {
			t.Errorf("%s is %s, the table says %s", strings.TrimSpace(line), got, mark)
		}
	}
	for _, name := range append(knownDirectives(), strings.Fields(string(manual))...) {
		if !seen[name] {
			t.Errorf("the table lacks %s", name)
		}
	}
}
