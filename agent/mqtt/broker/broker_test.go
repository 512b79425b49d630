package broker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sealgate/sealgate/agent/mqtt"
)

// A sink is a corridor for tests: it keeps what it gets, and done is called at
// once unless it is told to wait or to fail.
type sink struct {
	mu     sync.Mutex
	got    []mqtt.Message
	dones  []func(error)
	manual bool  // keep done for settle
	refuse error // from Submit
	fail   error // to done
	gate   chan struct{}
	more   chan struct{}
}

func newSink() *sink { return &sink{more: make(chan struct{}, 1)} }

func (s *sink) Submit(ctx context.Context, _ mqtt.Source, m mqtt.Message, done func(error)) error {
	s.mu.Lock()
	gate, refuse := s.gate, s.refuse
	s.mu.Unlock()
	if refuse != nil {
		return refuse
	}
	if gate != nil {
		select {
		case <-gate:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	s.mu.Lock()
	s.got = append(s.got, m)
	manual, fail := s.manual, s.fail
	if manual {
		s.dones = append(s.dones, done)
	}
	s.mu.Unlock()
	select {
	case s.more <- struct{}{}:
	default:
	}
	if !manual {
		done(fail)
	}
	return nil
}

func (s *sink) messages() []mqtt.Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]mqtt.Message(nil), s.got...)
}

// wait waits for n messages in all.
func (s *sink) wait(t testing.TB, n int) []mqtt.Message {
	t.Helper()
	late := time.After(5 * time.Second)
	for {
		if got := s.messages(); len(got) >= n {
			return got
		}
		select {
		case <-s.more:
		case <-late:
			t.Fatalf("sink got %d messages, want %d", len(s.messages()), n)
		}
	}
}

// settle calls the i-th done.
func (s *sink) settle(i int, err error) {
	s.mu.Lock()
	done := s.dones[i]
	s.mu.Unlock()
	done(err)
}

// start runs a broker with one anonymous loopback listener.
func start(t testing.TB, s mqtt.Sink, change func(*Options)) (*Broker, string) {
	t.Helper()
	o := Options{Sink: s, Listeners: []Listener{{Address: "127.0.0.1:0", Anonymous: true}}}
	if change != nil {
		change(&o)
	}
	b, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		if err := b.Close(ctx); err != nil {
			t.Errorf("close broker: %v", err)
		}
	})
	if len(b.doors) == 0 {
		return b, ""
	}
	return b, b.Addrs()[0].String()
}

// mosquitto finds a client program of mosquitto, or skips.
func mosquitto(t testing.TB, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err == nil {
		return path
	}
	if os.Getenv("SEALGATE_CI") == "1" {
		t.Fatalf("%s is not installed, and SEALGATE_CI=1 wants it", name)
	}
	t.Skipf("%s is not installed: apt-get install mosquitto-clients", name)
	return ""
}

func hostPort(t testing.TB, addr string) []string {
	t.Helper()
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		t.Fatal(err)
	}
	return []string{"-h", host, "-p", port}
}

func pub(t testing.TB, addr string, args ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, mosquitto(t, "mosquitto_pub"), append(hostPort(t, addr), args...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("mosquitto_pub %v: %v\n%s", args, err, out)
	}
}

// sub runs mosquitto_sub until it has n messages; the result waits for its
// output.
func sub(t testing.TB, b *Broker, n int, args ...string) func() string {
	t.Helper()
	var out bytes.Buffer
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	cmd := exec.CommandContext(ctx, mosquitto(t, "mosquitto_sub"),
		append(append(hostPort(t, b.Addrs()[0].String()), "-C", fmt.Sprint(n)), args...)...)
	cmd.Stdout, cmd.Stderr = &out, &out
	before := atomic.LoadInt64(&b.srv.Info.Subscriptions)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	eventually(t, "mosquitto_sub subscribed", func() bool {
		return atomic.LoadInt64(&b.srv.Info.Subscriptions) > before || len(ended) > 0
	})
	return func() string {
		t.Helper()
		defer cancel()
		if err := <-ended; err != nil {
			t.Errorf("mosquitto_sub: %v\n%s", err, out.String())
		}
		return out.String()
	}
}

func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for late := time.Now().Add(5 * time.Second); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(late) {
			t.Fatalf("not within 5 s: %s", what)
		}
	}
}

func TestMosquittoClients(t *testing.T) {
	for _, version := range []string{"mqttv311", "mqttv5"} {
		for qos := range 3 {
			t.Run(fmt.Sprintf("%s/qos%d", version, qos), func(t *testing.T) {
				s := newSink()
				b, addr := start(t, s, nil)
				q := fmt.Sprint(qos)
				wait := sub(t, b, 2, "-V", version, "-q", q, "-t", "a/#", "-v")
				pub(t, addr, "-V", version, "-q", q, "-t", "a/b", "-m", "one")
				pub(t, addr, "-V", version, "-q", q, "-t", "a/c", "-m", "two", "-r")
				if got, want := wait(), "a/b one\na/c two\n"; got != want {
					t.Errorf("subscriber got %q, want %q", got, want)
				}
				got := s.wait(t, 2)
				if got[0].Topic != "a/b" || string(got[0].Payload) != "one" || int(got[0].QoS) != qos || got[0].Retain {
					t.Errorf("sink got %+v", got[0])
				}
				if got[1].Topic != "a/c" || !got[1].Retain {
					t.Errorf("sink got %+v", got[1])
				}
				if got := sub(t, b, 1, "-V", version, "-t", "a/#", "-v")(); got != "a/c two\n" {
					t.Errorf("retained message: got %q", got)
				}
				if st := b.Stats(); st.Durable != 2 || st.Faults != 0 || st.Panics != 0 {
					t.Errorf("stats %+v", st)
				}
			})
		}
	}
}

var errDisk = errors.New("disk is gone")
