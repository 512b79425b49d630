package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/sealgate/sealgate/crypto/envelope"
)

// pub runs mosquitto_pub.
func pub(t *testing.T, addr string, args ...string) {
	t.Helper()
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("mosquitto_pub", append([]string{"-h", host, "-p", port}, args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("mosquitto_pub: %v: %s", err, out)
	}
}

// sub runs mosquitto_sub until it has n messages, and returns its lines.
func sub(t *testing.T, addr string, n int, args ...string) []string {
	t.Helper()
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	args = append([]string{"-h", host, "-p", port, "-C", fmt.Sprint(n), "-W", "10"}, args...)
	out, err := exec.Command("mosquitto_sub", args...).CombinedOutput()
	if err != nil {
		t.Fatalf("mosquitto_sub: %v: %s", err, out)
	}
	return strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
}

// arrived waits for the n-th message on a topic at the cloud.
func arrived(t *testing.T, r *Recorder, topic string, n int) Packet {
	t.Helper()
	Until(t, topic+" arrives", 15*time.Second, func() bool { return len(r.On(topic)) >= n })
	return r.On(topic)[n-1]
}

// TestMosquitto: Debian's clients publish into the embedded broker and into an
// existing one; Debian's broker is the cloud.
func TestMosquitto(t *testing.T) {
	t.Parallel()
	Need(t, "mosquitto", "mosquitto_pub", "mosquitto_sub")
	t.Run("embedded", func(t *testing.T) {
		t.Parallel()
		cloud := StartMosquitto(t)
		site := NewSite(t, cloud.Addr)
		site.Start(t)
		throughMosquitto(t, site, site.Addr, cloud.Addr)
	})
	t.Run("paho", func(t *testing.T) {
		t.Parallel()
		cloud := StartMosquitto(t)
		site := NewSite(t, cloud.Addr)
		site.Uplink = "client: paho"
		site.Start(t)
		throughMosquitto(t, site, site.Addr, cloud.Addr)
	})
	t.Run("websocket", func(t *testing.T) {
		t.Parallel()
		web := FreeAddr(t)
		host, port, _ := strings.Cut(web, ":")
		cloud := StartMosquitto(t, "listener "+port+" "+host, "protocol websockets")
		site := NewSite(t, web)
		site.Scheme = "ws"
		site.Start(t)
		throughMosquitto(t, site, site.Addr, cloud.Addr)
	})
	t.Run("existing", func(t *testing.T) {
		t.Parallel()
		cloud, local := StartMosquitto(t), StartMosquitto(t)
		site := NewSite(t, cloud.Addr)
		site.Uplink = `protocol: "5"`
		site.Ingress = fmt.Sprintf("subscribe: [{url: %q}]", "mqtt://"+local.Addr)
		site.Start(t)
		throughMosquitto(t, site, local.Addr, cloud.Addr)
	})
}

func throughMosquitto(t *testing.T, site *Site, local, cloud string) {
	recorder := Record(t, cloud, "#")
	opener := site.Opener(t)
	for end := time.Now().Add(15 * time.Second); len(recorder.On(Prefix+"probe")) == 0; time.Sleep(100 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("the gateway does not read")
		}
		pub(t, local, "-t", "probe", "-m", `{"n":1}`, "-q", "1")
	}

	plain := `{"temperature":21.5,"unit":"C"}`
	pub(t, local, "-t", "line/temp", "-m", plain, "-q", "1", "-r")
	if p := arrived(t, recorder, Prefix+"line/temp", 1); string(p.Payload) != plain || p.QoS != 1 {
		t.Errorf("a harmless message became %q at QoS %d", p.Payload, p.QoS)
	}
	pub(t, local, "-t", "line/zero", "-m", plain, "-q", "0")
	if p := arrived(t, recorder, Prefix+"line/zero", 1); p.QoS != 0 {
		t.Errorf("QoS 0 became %d", p.QoS)
	}
	pub(t, local, "-t", "line/two", "-m", plain, "-q", "2")
	arrived(t, recorder, Prefix+"line/two", 1)
	if got := sub(t, cloud, 1, "-t", Prefix+"line/#", "-F", "%r %t %p"); got[0] != "1 "+Prefix+"line/temp "+plain {
		t.Errorf("retained at the cloud: %q", got)
	}

	document := `{"device":"cam-3","wifi":{"ssid":"plant","password":"` + Secret + `"},"port":443,"on":true,"gain":-1.50,"tags":["a",7,null],"none":null}`
	pub(t, local, "-t", "line/config", "-m", document, "-q", "1")
	p := arrived(t, recorder, Prefix+"line/config", 1)
	sealedIs(t, opener, p, document, envelope.ProtectionFields)
	sameElsewhere(t, []byte(document), p.Payload, "/wifi/password", "/_sg")
	for _, kept := range []string{`"gain":-1.50`, `"tags":["a",7,null]`} {
		if !bytes.Contains(p.Payload, []byte(kept)) {
			t.Errorf("%s did not stay as it was: %s", kept, p.Payload)
		}
	}

	broken := `{"password":"` + Secret + `",}`
	pub(t, local, "-t", "line/broken", "-m", broken, "-q", "1")
	sealedIs(t, opener, arrived(t, recorder, Prefix+"line/broken", 1), broken, envelope.ProtectionSealed)

	pub(t, local, "-t", "line/temp", "-n", "-q", "1", "-r")
	if p := arrived(t, recorder, Prefix+"line/temp", 2); len(p.Payload) != 0 {
		t.Errorf("a deletion became %q", p.Payload)
	}
	pub(t, cloud, "-t", "end", "-m", "x", "-r", "-q", "1")
	if got := sub(t, cloud, 1, "-t", "#", "-F", "%t"); got[0] != "end" {
		t.Errorf("still retained after the deletion: %q", got)
	}
	for _, p := range recorder.All() {
		if bytes.Contains(p.Payload, []byte(Secret)) {
			t.Errorf("%s left in clear", p.Topic)
		}
	}
	clean(t, site)
}

// sealedIs opens a message.
func sealedIs(t *testing.T, o *envelope.Opener, p Packet, want string, how envelope.Protection) {
	t.Helper()
	got, err := o.Open(p.Topic, p.Payload)
	switch {
	case err != nil:
		t.Errorf("%s does not open: %v", p.Topic, err)
	case string(got.Payload) != want || got.Protection != how || !got.Verified:
		t.Errorf("%s opened to %q, protection %s, verified %t", p.Topic, got.Payload, got.Protection, got.Verified)
	}
}

// sameElsewhere compares two JSON documents, except at some places.
func sameElsewhere(t *testing.T, before, after []byte, except ...string) {
	t.Helper()
	leaves := func(raw []byte) map[string]any {
		dec := json.NewDecoder(bytes.NewReader(raw))
		dec.UseNumber() // 443 and 443.0 differ
		var v any
		if err := dec.Decode(&v); err != nil {
			t.Fatalf("not valid JSON: %v: %s", err, raw)
		}
		m := map[string]any{}
		flatten(m, "", v)
		for _, path := range except {
			if _, ok := m[path]; !ok && path != "/_sg" {
				t.Errorf("%s is not there", path)
			}
			delete(m, path)
		}
		return m
	}
	if b, a := leaves(before), leaves(after); !reflect.DeepEqual(b, a) {
		t.Errorf("before %v, after %v", b, a)
	}
}

func flatten(m map[string]any, path string, v any) {
	switch v := v.(type) {
	case map[string]any:
		for k, e := range v {
			flatten(m, path+"/"+k, e)
		}
	case []any:
		for i, e := range v {
			flatten(m, fmt.Sprintf("%s/%d", path, i), e)
		}
	default:
		m[path] = v
	}
}

// TestLocalSide: what is local works as with any broker, whatever leaves: clear
// text for local subscribers, retained state, sessions, wills.
func TestLocalSide(t *testing.T) {
	t.Parallel()
	Need(t, "mosquitto", "mosquitto_pub", "mosquitto_sub")
	cloud := StartMosquitto(t)
	recorder := Record(t, cloud.Addr, "#")
	site := NewSite(t, cloud.Addr)
	gateway := site.Start(t)
	document := `{"wifi":{"password":"` + Secret + `"},"n":1}`

	local := Record(t, site.Addr, "line/#")
	pub(t, site.Addr, "-t", "line/config", "-m", document, "-q", "1", "-r")
	arrived(t, local, "line/config", 1)
	if got := sub(t, site.Addr, 1, "-t", "line/#", "-F", "%r %t %p"); got[0] != "1 line/config "+document {
		t.Errorf("retained locally: %q", got)
	}

	// A session keeps messages while its client is away.
	away, err := Dial(site.Addr, ClientOptions{ID: "away", Session: true})
	check(t, err)
	check(t, away.Subscribe("queue/#"))
	check(t, away.Raw([]byte{tDISCONNECT << 4, 0}))
	_ = away.Close()
	pub(t, site.Addr, "-t", "queue/1", "-m", document, "-q", "1")
	arrived(t, recorder, Prefix+"queue/1", 1)
	back, err := Dial(site.Addr, ClientOptions{ID: "away", Session: true})
	check(t, err)
	defer back.Close()
	_ = back.SetReadDeadline(time.Now().Add(10 * time.Second))
	if p, err := back.Read(); err != nil || !back.Present || string(p.Payload) != document {
		t.Errorf("after coming back: session present %t, %q, %v", back.Present, p.Payload, err)
	}

	// The will of a killed device is graded like any message.
	device, err := Dial(site.Addr, ClientOptions{ID: "dying", Will: &Message{Topic: "line/will", Payload: []byte(document), QoS: 1, Retain: true}})
	check(t, err)
	_ = device.Close()
	sealedIs(t, site.Opener(t), arrived(t, recorder, Prefix+"line/will", 1), document, envelope.ProtectionFields)
	if p := arrived(t, local, "line/will", 1); string(p.Payload) != document {
		t.Errorf("the will for local subscribers: %q", p.Payload)
	}

	// Retained state survives a restart, unreadable on the disk.
	if err := gateway.Stop(20 * time.Second); err != nil {
		t.Fatal(err)
	}
	clean(t, site)
	site.Start(t)
	if got := sub(t, site.Addr, 2, "-t", "line/#", "-F", "%r %p"); got[0] != "1 "+document || got[1] != got[0] {
		t.Errorf("retained after a restart: %q", got)
	}
	for _, p := range recorder.All() {
		if bytes.Contains(p.Payload, []byte(Secret)) {
			t.Errorf("%s left in clear", p.Topic)
		}
	}
}

// TestSealctl makes a site's keys with the operator's tool, publishes with
// Debian's clients, and opens at the cloud with the consumer's tool: from a file
// and from the broker itself.
func TestSealctl(t *testing.T) {
	t.Parallel()
	Need(t, "mosquitto", "mosquitto_pub", "mosquitto_sub")
	sealctl := func(args ...string) string {
		t.Helper()
		var out, prose bytes.Buffer
		cmd := exec.Command(Program(t, "sealctl"), args...)
		cmd.Stdout, cmd.Stderr = &out, &prose
		if err := cmd.Run(); err != nil {
			t.Fatalf("sealctl %s: %v: %s", args[0], err, prose.String())
		}
		return out.String()
	}
	cloud := StartMosquitto(t)
	site := NewSite(t, cloud.Addr)
	keys := filepath.Join(t.TempDir(), "keys")
	sealctl("keys", "init", "--dir", keys, "--site", "plant", "--audience", "ops")
	for _, name := range []string{"recipients.bundle", "root.json"} {
		raw, err := os.ReadFile(filepath.Join(keys, name))
		check(t, err)
		check(t, os.WriteFile(filepath.Join(site.Dir, name), raw, 0o600))
	}
	gateway := site.Start(t)
	recorder := Record(t, cloud.Addr, "#")
	messages := map[string]string{
		"line/config": `{"wifi":{"ssid":"plant","password":"` + Secret + `"},"port":443}`,
		"line/broken": `{"password":"` + Secret + `",}`,
	}
	for topic, payload := range messages {
		pub(t, site.Addr, "-t", topic, "-m", payload, "-q", "1", "-r")
		p := arrived(t, recorder, Prefix+topic, 1)
		file := filepath.Join(t.TempDir(), "message")
		check(t, os.WriteFile(file, p.Payload, 0o600))
		if got := sealctl("open", "--keys", keys, "--topic", p.Topic, "--protected", file); strings.TrimSuffix(got, "\n") != payload {
			t.Errorf("%s: sealctl opened %q", topic, got)
		}
	}
	got := sealctl("open", "--keys", keys, "--subscribe", "mqtt://"+cloud.Addr, "--topic", Prefix+"line/#", "--count", "2", "--protected", "--json")
	for line := range strings.Lines(got) {
		var m struct{ Topic, Protection, Payload string }
		if err := json.Unmarshal([]byte(line), &m); err != nil {
			t.Fatal(err)
		}
		if want := messages[strings.TrimPrefix(m.Topic, Prefix)]; m.Payload != want || m.Protection == "none" {
			t.Errorf("opened from the broker: %+v", m)
		}
	}
	if n := strings.Count(got, "\n"); n != 2 {
		t.Errorf("%d messages opened from the broker: %s", n, got)
	}
	check(t, gateway.Stop(20*time.Second))
}
