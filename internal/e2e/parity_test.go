package e2e

import (
	"bytes"
	"encoding/hex"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write docs/bridge-parity.md anew")

// A side is a local broker with a bridge to a cloud of its own: mosquitto's, or
// the gateway while it observes.
type side struct {
	t     *testing.T
	local string
	cloud string
	net   *Proxy
	watch *Process
	kill  func() // and start again
	end   func() // the same, after an orderly stop
}

const parityFormat = "%t|%q|%r|%R|%D|%C|%P|%x"

// mosquittoSide is a mosquitto with a bridge and persistence.
func mosquittoSide(t *testing.T) *side {
	cloud := StartMosquitto(t)
	s := &side{t: t, local: FreeAddr(t), cloud: cloud.Addr, net: StartProxy(t, cloud.Addr)}
	host, port, _ := strings.Cut(s.local, ":")
	dir := t.TempDir()
	conf := filepath.Join(dir, "mosquitto.conf")
	check(t, os.WriteFile(conf, fmt.Appendf(nil, `user root
listener %s %s
allow_anonymous true
persistence true
persistence_location %s/
log_type error
connection cloud
address %s
bridge_protocol_version mqttv50
cleansession false
notifications false
restart_timeout 1
topic site/# out 2 "" %[5]s
topic spBv1.0/# out 2
topic homeassistant/# out 2
topic cmd/# in 2 "" %[5]s
`, port, host, dir, s.net.Addr, Prefix), 0o600))
	path, err := find("mosquitto")
	check(t, err)
	start := func() *Process {
		p := Start(t, path, "-c", conf)
		Until(t, "mosquitto listens", 10*time.Second, func() bool { return listens(s.local) })
		return p
	}
	p := start()
	s.kill = func() { p.Kill(); p = start() }
	s.end = func() { check(t, p.Stop(10*time.Second)); p = start() }
	return s.ready()
}

// gatewaySide is a gateway that observes.
func gatewaySide(t *testing.T) *side {
	cloud := StartMosquitto(t)
	s := &side{t: t, cloud: cloud.Addr, net: StartProxy(t, cloud.Addr)}
	site := NewSite(t, s.net.Addr)
	s.local = site.Addr
	site.Topics = `[{pattern: "site/#", remote_prefix: "{site}/{gateway}/"}, {pattern: "spBv1.0/#"}, {pattern: "homeassistant/#"}, {pattern: "cmd/#", direction: in, remote_prefix: "{site}/{gateway}/"}]`
	site.Uplink = "protocol: \"5\"\nmax_qos: 2"
	site.More = "guard: {observe_until: 2099-12-31}"
	site.Policy = `schema: sealgate/policy/v1
version: 1
profile: generic
mode: observe
routes:
  - {name: sparkplug, topics: ["spBv1.0/#"], order_by: sparkplug-node}
  - {name: rest, topics: ["#"]}
`
	p := site.Start(t)
	s.kill = func() { p.Kill(); p = site.Start(t) }
	s.end = func() { check(t, p.Stop(20*time.Second)); p = site.Start(t) }
	return s.ready()
}

func listens(addr string) bool {
	c, err := net.Dial("tcp", addr)
	if err == nil {
		_ = c.Close()
	}
	return err == nil
}

// ready waits until the bridge is connected.
func (s *side) ready() *side {
	path, err := find("mosquitto_sub")
	check(s.t, err)
	host, port, _ := strings.Cut(s.cloud, ":")
	s.watch = Start(s.t, path, "-V", "5", "-h", host, "-p", port, "-q", "2", "--retain-as-published", "-t", "#", "-F", parityFormat)
	Until(s.t, "the bridge is connected", 20*time.Second, func() bool {
		_ = publishTo(s.local, "site/probe", "p", 1, false)
		time.Sleep(50 * time.Millisecond)
		return len(s.seen("plant/gw-1/site/probe")) > 0
	})
	return s
}

func (s *side) pub(topic, payload string, qos int, retain bool) {
	s.t.Helper()
	check(s.t, publishTo(s.local, topic, payload, qos, retain))
}

// seen is what has come to the cloud below a topic, in order.
func (s *side) seen(topic string) (all [][]string) {
	for line := range strings.Lines(s.watch.Log()) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "|")
		if len(f) == 8 && (f[0] == topic || strings.HasPrefix(f[0], topic+"/")) {
			raw, err := hex.DecodeString(f[7])
			check(s.t, err)
			f[7] = string(raw)
			all = append(all, f)
		}
	}
	return all
}

// arrive waits for n messages below a topic.
func (s *side) arrive(topic string, n int) [][]string {
	for end := time.Now().Add(15 * time.Second); len(s.seen(topic)) < n && time.Now().Before(end); {
		time.Sleep(20 * time.Millisecond)
	}
	return s.seen(topic)
}

// marked waits until what was published before must have come.
func (s *side) marked(mark string) {
	s.pub("site/mark/"+mark, "m", 1, false)
	s.arrive(Prefix+"site/mark/"+mark, 1)
	time.Sleep(200 * time.Millisecond)
}

// late is what a broker keeps for who subscribes now.
func (s *side) late(addr, filter string) string {
	host, port, _ := strings.Cut(addr, ":")
	out, _ := exec.Command("mosquitto_sub", "-h", host, "-p", port, "-q", "1", "-t", filter, "--retained-only", "-W", "1", "-F", "%t %p").Output()
	if len(out) == 0 {
		return "nothing"
	}
	return strings.Join(strings.Split(strings.TrimSpace(string(out)), "\n"), ", ")
}

// numbered publishes 0 to n-1 on a topic, as one device.
func (s *side) numbered(topic string, n int, qos byte) {
	path, err := find("mosquitto_pub")
	check(s.t, err)
	host, port, _ := strings.Cut(s.local, ":")
	cmd := exec.Command(path, "-h", host, "-p", port, "-t", topic, "-q", fmt.Sprint(qos), "-l") // a message for each line
	var lines bytes.Buffer
	for i := range n {
		fmt.Fprintln(&lines, i)
	}
	cmd.Stdin = &lines
	if out, err := cmd.CombinedOutput(); err != nil {
		s.t.Fatalf("mosquitto_pub: %v: %s", err, out)
	}
}

// through publishes n numbered messages while the network to the cloud is away,
// does something, and says what became of them once it is back.
func (s *side) through(topic string, n int, qos byte, meanwhile func()) string {
	r := Record(s.t, s.cloud, Prefix+topic)
	s.net.Cut(time.Hour)
	s.numbered(topic, n, qos)
	meanwhile()
	s.net.Cut(0)
	mark := "site/mark/" + topic
	Until(s.t, "the bridge is connected again", time.Minute, func() bool {
		s.pub(mark, "m", 1, false) // one may have no room in a queue
		time.Sleep(200 * time.Millisecond)
		return len(s.seen(Prefix+mark)) > 0
	})
	seen, since := 0, time.Now()
	Until(s.t, "nothing more comes", time.Minute, func() bool {
		if got := r.Len(); got != seen {
			seen, since = got, time.Now()
		}
		return time.Since(since) > 2*time.Second || seen == n
	})
	next, repeats := 0, ""
	if r.Len() > n {
		repeats = ", some twice"
	}
	first := map[string]bool{}
	for _, p := range r.All() {
		if string(p.Payload) == fmt.Sprint(next) {
			next++
		}
		first[string(p.Payload)] = true
	}
	switch {
	case next == n:
		return fmt.Sprintf("all %d, in order%s", n, repeats)
	case len(first) == n:
		return fmt.Sprintf("all %d, not in order", n)
	case len(first) == 0:
		return "none"
	}
	return "some are lost"
}

type parityRow struct {
	name, what string
	run        func(s *side) string
	note       string // why the two differ
}

func qosRow(qos int) parityRow {
	return parityRow{
		name: fmt.Sprintf("QoS %d", qos), what: fmt.Sprintf("a device publishes at QoS %d", qos),
		run: func(s *side) string {
			topic := fmt.Sprintf("site/qos/%d", qos)
			s.pub(topic, "x", qos, false)
			got := s.arrive(Prefix+topic, 1)
			if len(got) == 0 {
				return "does not arrive"
			}
			return fmt.Sprintf("arrives %d time at QoS %s", len(got), got[0][1])
		},
	}
}

var parityRows = []parityRow{
	qosRow(0), qosRow(1), qosRow(2),
	{
		name: "topic mapping", what: "on `site/a`, whose mapping adds a prefix, and on `other/a`, which none takes",
		run: func(s *side) string {
			s.pub("other/a", "x", 1, false)
			s.pub("site/a", "x", 1, false)
			s.marked("mapping")
			var topics []string
			for _, f := range append(s.seen(Prefix+"site/a"), s.seen("other")...) {
				topics = append(topics, f[0])
			}
			return strings.Join(topics, ", ")
		},
	},
	{
		name: "local delivery", what: "another local client has subscribed",
		run: func(s *side) string {
			c, err := Dial(s.local, ClientOptions{ID: "listener"})
			check(s.t, err)
			defer c.Close()
			check(s.t, c.Subscribe("site/local"))
			s.pub("site/local", "x", 1, false)
			_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
			p, err := c.Read()
			if err != nil {
				return "does not get it"
			}
			return "gets " + string(p.Payload)
		},
	},
	{
		name: "retained", what: "a retained message; who subscribes to the cloud later",
		run: func(s *side) string {
			s.pub("site/kept", "on", 1, true)
			got := s.arrive(Prefix+"site/kept", 1)
			if len(got) == 0 {
				return "does not arrive"
			}
			return "retain flag " + got[0][2] + "; later: " + s.late(s.cloud, Prefix+"site/kept")
		},
	},
	{
		name: "retained, deleted", what: "then an empty one",
		run: func(s *side) string {
			s.pub("site/kept", "", 1, true)
			s.arrive(Prefix+"site/kept", 2)
			return "later: " + s.late(s.cloud, Prefix+"site/kept")
		},
	},
	{
		name: "retained, locally", what: "the local broker is stopped and started; who subscribes to it later",
		run: func(s *side) string {
			s.pub("site/memory", "on", 1, true)
			s.end()
			return "later: " + s.late(s.local, "site/memory")
		},
	},
	{
		name: "will", what: "a device with a retained will goes without a word",
		run: func(s *side) string {
			c, err := Dial(s.local, ClientOptions{ID: "mortal", Will: &Message{Topic: "site/will", Payload: []byte("gone"), QoS: 1, Retain: true}})
			check(s.t, err)
			_ = c.Close() // without DISCONNECT
			got := s.arrive(Prefix+"site/will", 1)
			if len(got) == 0 {
				return "no will arrives"
			}
			return "arrives: " + got[0][7] + "; later: " + s.late(s.cloud, Prefix+"site/will")
		},
	},
	{
		name: "session", what: "a local client with a session is away while something is published, and the broker is stopped and started",
		run: func(s *side) string {
			c, err := Dial(s.local, ClientOptions{ID: "away", Session: true})
			check(s.t, err)
			check(s.t, c.Subscribe("site/session"))
			_ = c.Close()
			s.pub("site/session", "meanwhile", 1, false)
			s.end()
			if c, err = Dial(s.local, ClientOptions{ID: "away", Session: true}); err != nil {
				return err.Error()
			}
			defer c.Close()
			_ = c.SetReadDeadline(time.Now().Add(5 * time.Second))
			p, err := c.Read()
			return fmt.Sprintf("session present: %t, gets %q", c.Present && err == nil, p.Payload)
		},
	},
	{
		name: "Sparkplug B", what: "an edge node's birth, data and, as its will, death",
		run: func(s *side) string {
			node := "spBv1.0/plant/%s/edge"
			c, err := Dial(s.local, ClientOptions{ID: "edge", Will: &Message{Topic: fmt.Sprintf(node, "NDEATH"), Payload: []byte{0x08, 1}, QoS: 1}})
			check(s.t, err)
			for seq, kind := range []string{"NBIRTH", "NDATA", "NDATA"} {
				check(s.t, c.Publish(Message{Topic: fmt.Sprintf(node, kind), Payload: []byte{0x08, 1, 0x18, byte(seq)}, QoS: 1}, uint16(seq+1)))
			}
			_ = c.Close()
			var all []string
			for _, f := range s.arrive("spBv1.0/plant", 4) {
				all = append(all, strings.TrimPrefix(f[0], "spBv1.0/plant/")+" "+hex.EncodeToString([]byte(f[7])))
			}
			return strings.Join(all, ", ")
		},
	},
	{
		name: "Home Assistant", what: "a retained discovery document and a state; who subscribes to the cloud later",
		run: func(s *side) string {
			s.pub("homeassistant/sensor/t/config", `{"stat_t":"homeassistant/sensor/t/state"}`, 1, true)
			s.pub("homeassistant/sensor/t/state", "21.5", 0, false)
			got := s.arrive("homeassistant", 2)
			return fmt.Sprintf("%d arrive; later: %s", len(got), s.late(s.cloud, "homeassistant/#"))
		},
	},
	{
		name: "a large message", what: "200 KiB",
		run: func(s *side) string {
			payload := strings.Repeat("0123456789", 20<<10)
			c, err := Dial(s.local, ClientOptions{ID: "large"})
			check(s.t, err)
			defer c.Close()
			r := Record(s.t, s.cloud, Prefix+"site/large")
			check(s.t, c.Publish(Message{Topic: "site/large", Payload: []byte(payload), QoS: 1}, 1))
			Until(s.t, "the large message arrives", 10*time.Second, func() bool { return r.Len() > 0 })
			return fmt.Sprintf("the same bytes: %t", bytes.Equal(r.All()[0].Payload, []byte(payload)))
		},
	},
	{
		name: "request and response", what: "an MQTT 5 request with response topic and correlation data",
		run: func(s *side) string {
			host, port, _ := strings.Cut(s.local, ":")
			out, err := exec.Command("mosquitto_pub", "-V", "5", "-h", host, "-p", port, "-q", "1", "-t", "site/request", "-m", "?",
				"-D", "publish", "response-topic", "site/answers", "-D", "publish", "correlation-data", "c7").CombinedOutput()
			if err != nil {
				return string(out)
			}
			got := s.arrive(Prefix+"site/request", 1)
			if len(got) == 0 {
				return "does not arrive"
			}
			return fmt.Sprintf("response topic %q, correlation data %q", got[0][3], got[0][4])
		},
		note: "What names a person can stand in these too. They are graded or they stay; a response topic would also need the mapping's way back.",
	},
	{
		name: "downlink", what: "the cloud publishes on `plant/gw-1/cmd/led`; a local client has subscribed to `cmd/led`",
		run: func(s *side) string {
			c, err := Dial(s.local, ClientOptions{ID: "lamp"})
			check(s.t, err)
			defer c.Close()
			check(s.t, c.Subscribe("cmd/led"))
			check(s.t, publishTo(s.cloud, Prefix+"cmd/led", "on", 1, false))
			_ = c.SetReadDeadline(time.Now().Add(2 * time.Second))
			p, err := c.Read()
			if err != nil {
				return "does not arrive"
			}
			return "arrives: " + string(p.Payload)
		},
	},
	{
		name: "user properties", what: "an MQTT 5 message with a user property",
		run: func(s *side) string {
			host, port, _ := strings.Cut(s.local, ":")
			out, err := exec.Command("mosquitto_pub", "-V", "5", "-h", host, "-p", port, "-q", "1", "-t", "site/props", "-m", "x",
				"-D", "publish", "user-property", "owner", "jo").CombinedOutput()
			if err != nil {
				return string(out)
			}
			got := s.arrive(Prefix+"site/props", 1)
			if len(got) == 0 {
				return "does not arrive"
			}
			return fmt.Sprintf("the device's leaves: %t", strings.Contains(got[0][6], "owner"))
		},
		note: "A property that no setting names does not leave.",
	},
	{
		name: "an outage", what: "300 messages while the network is away, then it comes back",
		run: func(s *side) string { return s.through("site/outage", 300, 1, func() {}) },
	},
	{
		// No more than that: mosquitto 2.0 ends a connection that has more than 20
		// messages of QoS 2 under way, that of its own bridge too.
		name: "an outage, QoS 2", what: "15 messages at QoS 2 while the network is away, then it comes back",
		run: func(s *side) string { return s.through("site/exact", 15, 2, func() {}) },
	},
	{
		name: "a long outage", what: "1,500 messages, with mosquitto's default of 1,000 queued messages",
		run:  func(s *side) string { return s.through("site/long", 1500, 1, func() {}) },
		note: "mosquitto drops what exceeds `max_queued_messages`, without an error for the device that it has acknowledged.",
	},
	{
		name: "a kill during an outage", what: "200 messages are acknowledged, then kill -9, start, and the network comes back",
		run:  func(s *side) string { return s.through("site/kill", 200, 1, s.kill) },
		note: "mosquitto writes its persistence file every 30 minutes and at its end.",
	},
}

// TestBridgeParity runs the same scenarios through a mosquitto bridge and
// through a gateway that observes, and holds docs/bridge-parity.md to what was
// seen.
func TestBridgeParity(t *testing.T) {
	t.Parallel()
	Need(t, "mosquitto", "mosquitto_pub", "mosquitto_sub")
	var seen [2][]string
	var both sync.WaitGroup
	for i, start := range []func(*testing.T) *side{mosquittoSide, gatewaySide} {
		s := start(t)
		both.Go(func() {
			for _, row := range parityRows {
				seen[i] = append(seen[i], row.run(s))
			}
		})
	}
	both.Wait()
	var b strings.Builder
	b.WriteString(`# Parity with a mosquitto bridge

The same is done to a mosquitto with a bridge and to a gateway that observes, and this is what each of them shows. ` + "`internal/e2e.TestBridgeParity`" + ` writes this page and fails where it is not true any more; how to change over is in [replace-a-mosquitto-bridge.md](replace-a-mosquitto-bridge.md).

| | what happens | mosquitto's bridge | Sealgate | |
|---|---|---|---|---|
`)
	var notes []string
	for i, row := range parityRows {
		mark := "same"
		if seen[0][i] != seen[1][i] {
			notes = append(notes, fmt.Sprintf("%d. **%s**: %s\n", len(notes)+1, row.name, row.note))
			if mark = fmt.Sprintf("differs (%d)", len(notes)); row.note == "" {
				t.Errorf("%s: mosquitto's bridge: %s; the gateway: %s", row.name, seen[0][i], seen[1][i])
			}
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", row.name, row.what, seen[0][i], seen[1][i], mark)
	}
	b.WriteString("\nWhere they differ:\n\n" + strings.Join(notes, ""))
	b.WriteString("\nWhat arrives twice: each connection of an uplink is a new session and begins with the first message that was not acknowledged. So at every QoS, 2 included, a lost connection repeats at most what was under way, `window.messages` (100) of them, in order and with the same message id (`internal/e2e.TestQoS2AcrossCuts`); a kill repeats also what was acknowledged since the last checkpoint, half a second before. What a device sends again after a lost acknowledgement is a new message.\n")
	b.WriteString("\nWhile a policy observes, payloads and topics leave byte for byte. What enforcing changes is the policy's affair.\n")
	path := filepath.Join("..", "..", "docs", "bridge-parity.md")
	if *update {
		check(t, os.WriteFile(path, []byte(b.String()), 0o644))
	}
	want, err := os.ReadFile(path)
	check(t, err)
	if string(want) != b.String() {
		t.Errorf("docs/bridge-parity.md is not what was seen (go test ./internal/e2e -run TestBridgeParity -update writes it):\n%s", b.String())
	}
}
