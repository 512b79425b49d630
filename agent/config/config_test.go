package config

import (
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sealgate/sealgate/classify"
)

const sample = "../../configs/agent.yaml"

func TestSampleIsValid(t *testing.T) {
	c, err := Load(sample)
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Uplinks[0].Topics[0].RemotePrefix; got != "plant-7/gw-0042/" {
		t.Errorf("remote prefix is %q", got)
	}
	if c.Ingress.Broker.Limits.Packet != 1<<20 || c.Uplinks[0].Window.Bytes != 4<<20 {
		t.Errorf("sizes: %+v %+v", c.Ingress.Broker.Limits, c.Uplinks[0].Window)
	}
}

// TestSampleShowsEverySetting uncomments the sample and demands each key of
// each struct in it.
func TestSampleShowsEverySetting(t *testing.T) {
	src, err := os.ReadFile(sample)
	if err != nil {
		t.Fatal(err)
	}
	shown := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?m)(?:^|[{,\s#-])([a-z_]+): `).FindAllStringSubmatch(strings.ReplaceAll(string(src), ":\n", ": \n"), -1) {
		shown[m[1]] = true
	}
	var walk func(reflect.Type)
	walk = func(ty reflect.Type) {
		for ty.Kind() == reflect.Pointer || ty.Kind() == reflect.Slice {
			ty = ty.Elem()
		}
		if ty.Kind() != reflect.Struct {
			return
		}
		for i := range ty.NumField() {
			if key, _, _ := strings.Cut(ty.Field(i).Tag.Get("yaml"), ","); key != "" {
				if !shown[key] {
					t.Errorf("configs/agent.yaml does not show %q of %s", key, ty.Name())
				}
				walk(ty.Field(i).Type)
			}
		}
	}
	walk(reflect.TypeFor[Config]())
}

func TestDefaultsProtect(t *testing.T) {
	t.Setenv("STATE_DIRECTORY", "")
	c, err := Parse("/etc/sealgate/agent.yaml", []byte("gateway: g\ningress: {broker: {users: users}}\nuplinks: {a: {url: \"mqtts://h:8883\"}}\n"))
	if err != nil {
		t.Fatal(err)
	}
	g := c.PolicyGuard(time.Now())
	if g.Observe || g.AllowUnreadable || g.AllowUnclass || g.Minimum != nil {
		t.Errorf("a missing guard loosens: %+v", g)
	}
	if c.Ingress.Broker.Anonymous || c.Ingress.Broker.Listeners[0].Address != "127.0.0.1:1883" {
		t.Errorf("broker: %+v", c.Ingress.Broker)
	}
	if c.Ingress.Broker.Users != "/etc/sealgate/users" {
		t.Errorf("a relative path is not taken from the file's directory: %s", c.Ingress.Broker.Users)
	}
	if c.Spool.Directory != "/var/lib/sealgate/spool" || c.Custody.File.Path != "/var/lib/sealgate/keys/kek" {
		t.Errorf("paths: %s %s", c.Spool.Directory, c.Custody.File.Path)
	}
	if c.Uplinks[0].ClientID != "g" || c.Uplinks[0].MaxQoS != 1 || c.Metrics.Listen != "127.0.0.1:9464" {
		t.Errorf("uplink: %+v", c.Uplinks[0])
	}
}

// TestPresets: a preset fills in what its kind of broker takes, and gives way to
// what the configuration says.
func TestPresets(t *testing.T) {
	for _, x := range []struct {
		uplink string
		want   func(Uplink) bool
	}{
		{"preset: aws-iot-core", func(u Uplink) bool {
			return u.MaxQoS == 1 && u.Protocol == "3.1.1" && u.Takes == Takes{256, 8, 128 << 10, "keep"} && u.Rate == Rate{100, 512 << 10} && u.TLS == nil
		}},
		{"preset: aws-iot-core, url: 'mqtts://h:443'", func(u Uplink) bool { return slices.Equal(u.TLS.ALPN, []string{"x-amzn-mqtt-ca"}) }},
		{"preset: aws-iot-core, url: 'mqtts://h:443', tls: {alpn: [mqtt]}", func(u Uplink) bool { return slices.Equal(u.TLS.ALPN, []string{"mqtt"}) }},
		{"preset: azure-event-grid", func(u Uplink) bool {
			return u.MaxQoS == 1 && u.Protocol == "5" && u.Takes == Takes{256, 8, 512 << 10, "strip"} && u.Rate == Rate{100, 1 << 20}
		}},
		{"preset: emqx", func(u Uplink) bool { return u.Takes.TopicLevels == 128 && u.Takes.Payload < 1<<20 && u.Rate == Rate{} }},
		{"preset: hivemq", func(u Uplink) bool { return u.Protocol == "5" && u.Window.Messages == 10 }},
		{"preset: hivemq, protocol: '3.1.1', window: {messages: 20}", func(u Uplink) bool { return u.Protocol == "3.1.1" && u.Window.Messages == 20 }},
		{"preset: azure-event-grid, takes: {payload: 1MiB, retain: keep}", func(u Uplink) bool { return u.Takes == Takes{256, 8, 1 << 20, "keep"} }},
	} {
		uplink := x.uplink
		if !strings.Contains(uplink, "url:") {
			uplink += ", url: 'mqtts://h:8883'"
		}
		c, err := Parse("agent.yaml", []byte("gateway: g\ningress: {broker: {users: users}}\nuplinks: {a: {"+uplink+"}}\n"))
		if err != nil {
			t.Fatal(err)
		}
		if !x.want(c.Uplinks[0]) {
			t.Errorf("%s: %+v", x.uplink, c.Uplinks[0])
		}
	}
}

// TestWillByDefault: the uplink of control has a will, where its kind of broker
// takes one without more ado.
func TestWillByDefault(t *testing.T) {
	for _, x := range []struct{ uplink, more, want string }{
		{"", "", "off"},
		{"", "control: {uplink: a}", "on"},
		{"", "control: {uplink: b}", "off"},
		{", preset: aws-iot-core", "control: {uplink: a}", "off"},
		{", preset: azure-event-grid", "control: {uplink: a}", "on"},
		{", preset: aws-iot-core, will: on", "", "on"},
		{", will: off", "control: {uplink: a}", "off"},
	} {
		src := "gateway: g\nuplinks: {a: {url: \"mqtts://h:8883\"" + x.uplink + "}, b: {url: \"mqtts://i:8883\"}}\n" +
			"ingress: {broker: {users: users}}\nkeys: {trust_root: r}\n" + x.more + "\n"
		c, err := Parse("agent.yaml", []byte(src))
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Uplinks[0].Will; got != x.want {
			t.Errorf("%q %q: will %s, want %s", x.uplink, x.more, got, x.want)
		}
	}
}

func TestEveryProblemWithItsPlace(t *testing.T) {
	_, err := Parse("agent.yaml", []byte(`gateway: "a b"
ingress:
  broker:
    listeners: [{address: ":1883"}, {address: nope}, {address: "127.0.0.1:8883", tls: {cert: x}}]
    anonymous: true
    local_only: ["a/#/b"]
    limits: {packet: 1GiB, clients: 0, inflight: 70000, sessions: -1, session_bytes: 1KiB, retained_bytes: 2GiB, filter_bytes: 1KiB}
uplinks:
  one: {url: "mqtt://broker.example.com:1883", max_qos: 3, will: maybe, tls: {cert: a}}
  two: {url: "http://x", client: paho, protocol: "5", topics: [{pattern: "a/b#", local_prefix: x, direction: sideways}, {pattern: "#", direction: in, remote_prefix: "a/"}, {pattern: "+/b", remote_prefix: "a/"}]}
  "bad name": {url: "mqtts://u:p@h:1"}
keys: {recipients: r}
custody: {kind: floppy, rollback: maybe, tpm: {pcrs: [7, 24]}, vault: {address: "http://vault.example.com"}}
guard: {profile: uk, minimum: {L9: encrypt, L3: nothing}, observe_until: soon, observe_then: maybe}
metrics: {listen: "0.0.0.0:9464"}
log: {level: loud}
typo: 1
`))
	if err == nil {
		t.Fatal("accepted")
	}
	for _, want := range []string{
		"1:1: gateway must be",
		"address must be host:port",
		"tls needs cert and key",
		"5:5: anonymous is permitted on loopback",
		`6:5: "a/#/b" is not a valid topic filter`,
		"packet must be between", "inflight must be between",
		"sessions must be between", "session_bytes must be between", "retained_bytes must be between", "filter_bytes must be between",
		"use mqtts://", "max_qos must be", "the url is not mqtts://", "cert and key belong together",
		"url must be mqtt://host:port", `"a/b#" is not a valid topic filter`, "local_prefix must end in '/'", "direction must be one of", "would come back by a/#",
		"client paho speaks 3.1.1", "no credentials in a url", "the name of an uplink",
		"kind must be one of file, credential, tpm, vault", "rollback must be one of", "PCRs 0 to 23", "use https://", "either token_file or approle", "keys.trust_root is needed",
		"profile must be one of", `unknown grade "L9"`, "L3 must be one of", "observe_until must be a date", "observe_then must be one of",
		"metrics.listen must be", "level must be one of", `17:1: unknown key "typo"`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in\n%s", want, err)
		}
	}
	for line := range strings.Lines(err.Error()) {
		if !regexp.MustCompile(`^agent\.yaml:\d+:\d+: ([^A-Z]|L3)`).MatchString(line) {
			t.Errorf("no place, or a capital at the start: %s", line)
		}
	}
}

func TestWhenFull(t *testing.T) {
	const head = "gateway: gw\ningress: {broker: {anonymous: true}}\nuplinks: {city: {url: 'mqtt://127.0.0.1:1'}}\n"
	for value, want := range map[string]string{"": "hold", "spool: {when_full: evict-low}": "evict-low"} {
		c, err := Parse("agent.yaml", []byte(head+value))
		if err != nil || c.Spool.WhenFull != want {
			t.Errorf("%q: %v", value, err)
		}
	}
	if _, err := Parse("agent.yaml", []byte(head+"spool: {when_full: drop}")); err == nil {
		t.Error("when_full: drop was taken")
	}
}

func TestSubscribeTwice(t *testing.T) {
	const head = "gateway: gw\nuplinks: {city: {url: 'mqtt://127.0.0.1:1'}}\ningress:\n  subscribe:\n"
	for entries, want := range map[string]string{
		"{url: 'mqtt://a'}, {url: 'mqtt://b'}":                                                                  "",
		"{url: 'mqtt://a'}, {url: 'mqtt://a:1884'}":                                                             "",
		"{url: 'mqtt://a', topics: [x/#]}, {url: 'mqtt://a', topics: [y/#], client_id: two}":                    "",
		"{url: 'mqtt://a', topics: [x/+/b]}, {url: 'mqtt://a', topics: [x/a/c, x/b], client_id: two}":           "",
		"{url: 'mqtt://a'}, {url: 'mqtt://A:1883'}":                                                             "each would end the other's session",
		"{url: 'mqtt://a', topics: [x/#]}, {url: 'mqtt://a', topics: [y/#]}":                                    "each would end the other's session",
		"{url: 'mqtt://a', topics: [x/#]}, {url: 'mqtt://a', topics: [x], client_id: two}":                      "would leave twice",
		"{url: 'mqtt://a', topics: [+/b]}, {url: 'mqtt://b'}, {url: 'mqtt://a', topics: [a/+], client_id: two}": "overlaps \"+/b\" of entry 1",
		"{url: 'mqtt://a', topics: [x/#, y, x/#]}":                                                              `topics has "x/#" twice`,
	} {
		_, err := Parse("agent.yaml", []byte(head+"    ["+entries+"]\n"))
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v", entries, err)
		}
	}
}

func TestSpoolMode(t *testing.T) {
	const head = "gateway: gw\ningress: {broker: {anonymous: true}}\nuplinks: {city: {url: 'mqtt://127.0.0.1:1'}}\n"
	for value, want := range map[string]Spool{
		"":                     {Mode: "sync"},
		"spool: {mode: sync}":  {Mode: "sync"},
		"spool: {mode: spill}": {Mode: "spill", Linger: 2 * time.Second, Memory: 4 << 20},
		"spool: {mode: spill, linger: 500ms, memory: 1MiB, sync: ['alarm/#']}": {Mode: "spill", Linger: 500 * time.Millisecond, Memory: 1 << 20, Sync: []string{"alarm/#"}},
	} {
		c, err := Parse("agent.yaml", []byte(head+value))
		if err != nil {
			t.Errorf("%q: %v", value, err)
			continue
		}
		s := c.Spool
		if got := (Spool{Mode: s.Mode, Linger: s.Linger, Memory: s.Memory, Sync: s.Sync}); !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %+v", value, got)
		}
	}
	for value, want := range map[string]string{
		"{mode: flood}":                      "mode must be one of",
		"{linger: 1s}":                       "linger needs mode: spill",
		"{mode: sync, memory: 1MiB}":         "memory needs mode: spill",
		"{sync: ['#']}":                      "sync needs mode: spill",
		"{mode: spill, linger: 1ms}":         "linger must be between",
		"{mode: spill, linger: 1m}":          "linger must be between",
		"{mode: spill, memory: 1KiB}":        "memory must be between",
		"{mode: spill, sync: ['a/#/b']}":     "not a valid topic filter",
		"{mode: spill, sync: [a], lingr: 1}": "unknown key",
	} {
		if _, err := Parse("agent.yaml", []byte(head+"spool: "+value)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", value, err)
		}
	}
}

func TestObserveEnds(t *testing.T) {
	c := &Config{Guard: Guard{ObserveUntil: "2026-12-31", ObserveThen: "enforce"}}
	last := time.Date(2026, 12, 31, 23, 59, 59, 0, time.UTC)
	for _, tc := range []struct {
		at    time.Time
		then  string
		until string
		want  bool
	}{
		{last, "enforce", "2026-12-31", true},
		{last.Add(time.Second), "enforce", "2026-12-31", false},
		{last.Add(time.Second), "keep", "2026-12-31", true},
		{last, "keep", "", false},
	} {
		c.Guard.ObserveThen, c.Guard.ObserveUntil = tc.then, tc.until
		if got := c.PolicyGuard(tc.at).Observe; got != tc.want {
			t.Errorf("%v then %s until %q: observe permitted = %v", tc.at, tc.then, tc.until, got)
		}
	}
}

func TestGuardMinimum(t *testing.T) {
	c, err := Parse("a", []byte("gateway: g\ningress: {broker: {anonymous: true}}\nuplinks: {a: {url: \"mqtt://127.0.0.1\"}}\nguard: {minimum: {L2: transform}, unreadable: allow, unclassified: pass}\n"))
	if err != nil {
		t.Fatal(err)
	}
	g := c.PolicyGuard(time.Now())
	if g.Minimum[classify.L2] != "transform" || len(g.Minimum) != 1 || !g.AllowUnreadable || !g.AllowUnclass {
		t.Errorf("guard: %+v", g)
	}
}

func FuzzParse(f *testing.F) {
	src, err := os.ReadFile(sample)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(src)
	f.Fuzz(func(_ *testing.T, b []byte) { _, _ = Parse("f", b) })
}
