package mqtt

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// tool finds a program of mosquitto, or skips.
func tool(t testing.TB, name string) string {
	t.Helper()
	if path, err := exec.LookPath(name); err == nil {
		return path
	}
	for _, dir := range []string{"/usr/sbin", "/usr/local/sbin"} {
		if path := filepath.Join(dir, name); exec.Command(path, "-h").Run() != nil {
			if _, err := os.Stat(path); err == nil {
				return path
			}
		}
	}
	if os.Getenv("SEALGATE_CI") == "1" {
		t.Fatalf("%s is not installed, and SEALGATE_CI=1 wants it", name)
	}
	t.Skipf("%s is not installed: apt-get install mosquitto mosquitto-clients", name)
	return ""
}

// A mosq is a mosquitto broker that can be stopped and started again.
type mosq struct {
	t    testing.TB
	addr string
	conf string
	cmd  *exec.Cmd
}

func startMosquitto(t testing.TB) *mosq {
	t.Helper()
	tool(t, "mosquitto")
	tool(t, "mosquitto_pub")
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	m := &mosq{t: t, addr: ln.Addr().String()}
	_ = ln.Close()
	dir := t.TempDir()
	m.conf = filepath.Join(dir, "mosquitto.conf")
	_, port, _ := net.SplitHostPort(m.addr)
	conf := fmt.Sprintf("listener %s 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\nuser root\n", port)
	if err := os.WriteFile(m.conf, []byte(conf), 0o600); err != nil {
		t.Fatal(err)
	}
	m.start()
	t.Cleanup(m.stop)
	return m
}

func (m *mosq) start() {
	m.t.Helper()
	m.cmd = exec.Command(tool(m.t, "mosquitto"), "-c", m.conf)
	if err := m.cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	for late := time.Now().Add(5 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		c, err := net.Dial("tcp", m.addr)
		if err == nil {
			_ = c.Close()
			return
		}
		if time.Now().After(late) {
			m.t.Fatalf("mosquitto does not listen: %v", err)
		}
	}
}

func (m *mosq) stop() {
	_ = m.cmd.Process.Kill()
	_ = m.cmd.Wait()
}

func (m *mosq) pub(args ...string) {
	m.t.Helper()
	host, port, _ := net.SplitHostPort(m.addr)
	out, err := exec.Command(tool(m.t, "mosquitto_pub"), append([]string{"-h", host, "-p", port}, args...)...).CombinedOutput()
	if err != nil {
		m.t.Fatalf("mosquitto_pub: %v\n%s", err, out)
	}
}

// A hopper is a sink whose verdicts the test gives.
type hopper struct {
	mu     sync.Mutex
	got    []Message
	dones  []func(error)
	refuse error
	auto   bool
}

func (h *hopper) Submit(_ context.Context, _ Source, m Message, done func(error)) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.refuse != nil {
		err := h.refuse
		h.refuse = nil
		return err
	}
	h.got = append(h.got, m)
	if h.auto {
		go done(nil)
	} else {
		h.dones = append(h.dones, done)
	}
	return nil
}

func (h *hopper) count() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.got)
}

func (h *hopper) settle(i int, err error) {
	h.mu.Lock()
	done := h.dones[i]
	h.mu.Unlock()
	done(err)
}

// subscribe runs Subscribe until the test ends, or stop is called.
func subscribe(t *testing.T, o SubscribeOptions, s Sink) (reads *SubscribeStats, stop func()) {
	t.Helper()
	reads = new(SubscribeStats)
	o.Reads = reads
	o.MinBackoff, o.MaxBackoff = time.Millisecond, 20*time.Millisecond
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- Subscribe(ctx, o, s) }()
	once := sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-ended:
			if !errors.Is(err, context.Canceled) {
				t.Errorf("Subscribe: %v", err)
			}
		case <-time.After(10 * time.Second):
			t.Error("Subscribe does not end")
		}
	})
	t.Cleanup(once)
	within(t, "subscribed", func() bool {
		return reads.Subscribed.Load() > 0
	})
	return reads, once
}

func TestSubscribe(t *testing.T) {
	for _, version := range []byte{5, 4} {
		t.Run(fmt.Sprintf("version %d", version), func(t *testing.T) {
			m := startMosquitto(t)
			o := SubscribeOptions{
				Options:        Options{URL: "mqtt://" + m.addr, ClientID: "gw"},
				Filters:        []Filter{{Topic: "d/#", QoS: 2}},
				ReceiveMaximum: 20,
			}
			if version == 4 {
				o.AcceptRetainLoss = true
				o.Dial = only311
			}

			t.Run("messages", func(t *testing.T) {
				h := &hopper{auto: true}
				reads, stop := subscribe(t, o, h)
				for qos := range 3 {
					m.pub("-t", "d/x", "-m", fmt.Sprint(qos), "-q", fmt.Sprint(qos), "-r", "-V", "mqttv5",
						"-D", "publish", "content-type", "text/plain", "-D", "publish", "user-property", "k", "v")
				}
				within(t, "all arrived", func() bool { return h.count() == 3 })
				for i, got := range h.got {
					if got.Topic != "d/x" || string(got.Payload) != fmt.Sprint(i) || int(got.QoS) != i {
						t.Errorf("message %d: %+v", i, got)
					}
					if version == 5 && (!got.Retain || got.ContentType != "text/plain" || len(got.Props) != 1 || got.Props[0] != Prop{"k", "v"}) {
						t.Errorf("message %d lost something: %+v", i, got)
					}
				}
				within(t, "acknowledged", func() bool { return reads.Acked.Load() == 2 })
				stop()
				m.pub("-t", "d/x", "-m", "while away", "-q", "1")
				m.pub("-t", "d/x", "-n", "-r")
				h2 := &hopper{auto: true}
				subscribe(t, o, h2)
				within(t, "what came while away", func() bool { return h2.count() >= 1 })
				if string(h2.got[0].Payload) != "while away" {
					t.Errorf("got %q", h2.got[0].Payload)
				}
			})

			t.Run("acknowledged late and in order, sent again after a loss", func(t *testing.T) {
				o.ClientID = "gw1"
				h := &hopper{}
				reads, stop := subscribe(t, o, h)
				for i := range 4 {
					m.pub("-t", "d/x", "-m", fmt.Sprint("late", i), "-q", "1")
				}
				within(t, "all arrived", func() bool { return h.count() == 4 })
				h.settle(1, nil)
				time.Sleep(20 * time.Millisecond)
				if n := reads.Acked.Load(); n != 0 {
					t.Errorf("%d acknowledgements before the first message is durable", n)
				}
				h.settle(0, nil)
				within(t, "two acknowledged", func() bool { return reads.Acked.Load() == 2 })
				h.settle(2, errors.New("no"))
				within(t, "third and fourth sent again", func() bool { return h.count() >= 6 })
				h.settle(3, nil) // void
				if got := string(h.got[4].Payload) + string(h.got[5].Payload); got != "late2late3" {
					t.Errorf("sent again: %q", got)
				}
				h.settle(4, nil)
				h.settle(5, nil)
				within(t, "acknowledged", func() bool { return reads.Acked.Load() == 4 })
				if reads.VoidAcks.Load() != 1 || reads.SinkErrors.Load() != 1 || reads.Connects.Load() < 2 {
					t.Errorf("void %d, sink errors %d, connects %d", reads.VoidAcks.Load(), reads.SinkErrors.Load(), reads.Connects.Load())
				}
				stop()
			})

			t.Run("refused by the sink", func(t *testing.T) {
				o.ClientID = "gw2"
				h := &hopper{auto: true, refuse: errors.New("closing")}
				_, stop := subscribe(t, o, h)
				m.pub("-t", "d/x", "-m", "again", "-q", "2")
				within(t, "sent again", func() bool { return h.count() == 1 })
				stop()
			})

			t.Run("back-pressure", func(t *testing.T) {
				o.ClientID = "gw3"
				h := &hopper{}
				_, stop := subscribe(t, o, h)
				for range 60 {
					m.pub("-t", "d/x", "-m", "x", "-q", "1")
				}
				time.Sleep(50 * time.Millisecond)
				if n := h.count(); n != 20 {
					t.Errorf("%d messages under way, want 20", n)
				}
				for i := range 60 {
					within(t, "next", func() bool { return h.count() > i })
					h.settle(i, nil)
				}
				stop()
			})

			t.Run("broker restarts", func(t *testing.T) {
				o.ClientID = "gw4"
				h := &hopper{auto: true}
				reads, stop := subscribe(t, o, h)
				m.stop()
				m.start()
				within(t, "subscribed again", func() bool { return reads.Subscribed.Load() > 1 })
				if reads.Lost.Load() != 1 {
					t.Errorf("lost sessions: %d, want 1", reads.Lost.Load())
				}
				m.pub("-t", "d/x", "-m", "x", "-q", "1")
				within(t, "arrived", func() bool {
					return h.count() == 1
				})
				stop()
			})
		})
	}
}

// only311 dials through a proxy that answers a CONNECT of MQTT 5 as a broker
// for 3.1.1 must: CONNACK with return code 1 [MQTT-3.1.2-2].
func only311(ctx context.Context, network, addr string) (net.Conn, error) {
	ours, theirs := net.Pipe()
	go func() {
		defer theirs.Close()
		r := bufio.NewReader(theirs)
		head, err := r.Peek(9) // type, length, length of "MQTT", "MQTT", version
		if err != nil {
			return
		}
		if head[8] == 5 {
			_, _ = theirs.Write([]byte{0x20, 2, 0, 1})
			return
		}
		c, err := net.Dial(network, addr)
		if err != nil {
			return
		}
		defer c.Close()
		go func() {
			defer theirs.Close()
			_, _ = io.Copy(theirs, c)
		}()
		_, _ = io.Copy(c, r)
	}()
	return ours, nil
}

func TestSubscribeNeedsMQTT5(t *testing.T) {
	err := Subscribe(t.Context(), SubscribeOptions{
		Options: Options{URL: "mqtt://x", ClientID: "gw", Dial: only311},
		Filters: []Filter{{Topic: "#"}},
	}, &hopper{})
	if !errors.Is(err, ErrNoMQTT5) {
		t.Errorf("got %v, want ErrNoMQTT5", err)
	}
}

func TestSubscribeOptions(t *testing.T) {
	for _, o := range []SubscribeOptions{
		{},
		{Options: Options{ClientID: "gw"}},
		{Options: Options{ClientID: "gw"}, Filters: []Filter{{}}},
		{Options: Options{ClientID: "gw"}, Filters: []Filter{{Topic: "a", QoS: 3}}},
		{Options: Options{ClientID: "gw", MaxQoS: 3}, Filters: []Filter{{Topic: "a"}}},
	} {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		if err := Subscribe(ctx, o, &hopper{}); err == nil || ctx.Err() != nil {
			t.Errorf("%+v: got %v", o, err)
		}
		cancel()
	}
}

func TestFrameGuard(t *testing.T) {
	for _, tt := range []struct {
		name string
		in   []byte
		ok   bool
	}{
		{"small packets", []byte{0xd0, 0, 0x40, 2, 0, 1, 0xd0, 0}, true},
		{"at the limit", append([]byte{0x30, 0x80, 1}, make([]byte, 128)...), true},
		{"over the limit", []byte{0x30, 0x81, 1}, false},
		{"200 MB", []byte{0x30, 0x80, 0x84, 0xaf, 0x5f}, false},
		{"five length bytes", []byte{0x30, 0x80, 0x80, 0x80, 0x80, 1}, false},
	} {
		for _, chunk := range []int{1, 3, 1000} {
			g := &frameGuard{limit: 128}
			var err error
			for p := tt.in; len(p) > 0 && err == nil; p = p[min(chunk, len(p)):] {
				err = g.scan(p[:min(chunk, len(p))])
			}
			if (err == nil) != tt.ok {
				t.Errorf("%s in chunks of %d: %v", tt.name, chunk, err)
			}
		}
	}
}

// TestHostilePeer shows that neither side buffers what a length header claims.
func TestHostilePeer(t *testing.T) {
	var ended atomic.Bool
	c, err := DialPaho311(t.Context(), Options{URL: "mqtt://x", Dial: func(context.Context, string, string) (net.Conn, error) {
		ours, theirs := net.Pipe()
		go func() {
			p := make([]byte, 1024)
			_, _ = theirs.Read(p)
			_, _ = theirs.Write([]byte{0x20, 2, 0, 0, 0x30, 0x80, 0x84, 0xaf, 0x5f, 0})
			_, _ = io.Copy(io.Discard, theirs)
			ended.Store(true)
		}()
		return ours, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-c.Done():
		if err == nil {
			t.Error("no cause")
		}
	case <-time.After(5 * time.Second):
		t.Error("connection goes on")
	}
	within(t, "closed", ended.Load)
}

// TestUplinkToMosquitto publishes to a real broker and reads it back.
func TestUplinkToMosquitto(t *testing.T) {
	m := startMosquitto(t)
	h := &hopper{auto: true}
	subscribe(t, SubscribeOptions{
		Options: Options{URL: "mqtt://" + m.addr, ClientID: "gw"},
		Filters: []Filter{{Topic: "up/#", QoS: 2}},
	}, h)
	c, err := DialPaho311(t.Context(), Options{URL: "mqtt://" + m.addr, ClientID: "up", MaxQoS: 2})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	const n = 300
	var acks atomic.Int64
	window := make(chan struct{}, 15) // beyond 20 of QoS 2, mosquitto ends the connection
	for i := range n {
		window <- struct{}{}
		p := &Message{Topic: "up/x", Payload: fmt.Append(nil, i), QoS: byte(i % 3)}
		if err := c.Publish(p, func(a Ack) {
			if a.Err == nil {
				acks.Add(1)
			}
			<-window
		}); err != nil {
			t.Fatal(err)
		}
	}
	within(t, "all acknowledged", func() bool { return acks.Load() == n })
	within(t, "all arrived", func() bool { return h.count() == n })
	got := make(map[string]byte)
	for _, m := range h.got {
		got[string(m.Payload)] = m.QoS
	}
	for i := range n {
		if qos, ok := got[fmt.Sprint(i)]; !ok || int(qos) != i%3 {
			t.Fatalf("message %d: arrived %t with QoS %d", i, ok, qos)
		}
	}
}

// TestSubscribeSilentBroker: a broker that hangs up on MQTT 5 is tried with
// 3.1.1, and with 5 again after that.
func TestSubscribeSilentBroker(t *testing.T) {
	versions := make(chan byte, 16)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- Subscribe(ctx, SubscribeOptions{
			Options: Options{URL: "mqtt://x", ClientID: "gw", Dial: func(context.Context, string, string) (net.Conn, error) {
				ours, theirs := net.Pipe()
				go func() {
					defer theirs.Close()
					p := make([]byte, 256)
					if n, _ := theirs.Read(p); n > 8 {
						versions <- p[8]
					}
				}()
				return ours, nil
			}},
			Filters: []Filter{{Topic: "#"}}, AcceptRetainLoss: true,
			MinBackoff: time.Millisecond, MaxBackoff: time.Millisecond,
		}, &hopper{})
	}()
	for i, want := range []byte{5, 4, 5, 4} {
		if got := <-versions; got != want {
			t.Errorf("attempt %d with version %d, want %d", i+1, got, want)
		}
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("Subscribe: %v", err)
	}
}
