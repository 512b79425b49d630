package broker

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"sync"
	"syscall"
	"testing"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/listeners"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/sealgate/sealgate/agent/mqtt"
)

// instant is a sink that makes everything durable at once.
type instant struct{}

func (instant) Submit(_ context.Context, _ mqtt.Source, _ mqtt.Message, done func(error)) error {
	done(nil)
	return nil
}

// admitAll is a hook of plain mochi.
type admitAll struct{ mochi.HookBase }

func (*admitAll) ID() string { return "admit" }
func (*admitAll) Provides(m byte) bool {
	return m == mochi.OnConnectAuthenticate || m == mochi.OnACLCheck
}
func (*admitAll) OnConnectAuthenticate(*mochi.Client, packets.Packet) bool { return true }
func (*admitAll) OnACLCheck(*mochi.Client, string, bool) bool              { return true }

// BenchmarkIngress publishes QoS 1 messages of 256 bytes with a window of 64
// per client, over loopback, to the broker and to mochi acknowledging by
// itself. CPU is the whole process, the clients included.
func BenchmarkIngress(b *testing.B) {
	for _, clients := range []int{1, 50} {
		b.Run(fmt.Sprintf("clients%d/sealgate", clients), func(b *testing.B) {
			_, addr := start(b, instant{}, nil)
			flood(b, addr, clients)
		})
		b.Run(fmt.Sprintf("clients%d/mochi", clients), func(b *testing.B) {
			srv := mochi.New(&mochi.Options{Logger: slog.New(slog.DiscardHandler)})
			if err := srv.AddHook(new(admitAll), nil); err != nil {
				b.Fatal(err)
			}
			l := listeners.NewTCP(listeners.Config{ID: "t", Address: "127.0.0.1:0"})
			if err := srv.AddListener(l); err != nil {
				b.Fatal(err)
			}
			if err := srv.Serve(); err != nil {
				b.Fatal(err)
			}
			defer srv.Close()
			flood(b, l.Address(), clients)
		})
	}
}

func flood(b *testing.B, addr string, clients int) {
	const window = 64
	var cs []*raw
	for i := range clients {
		c, _ := connect(b, addr, 4, hello{id: fmt.Sprint("c", i)})
		cs = append(cs, c)
	}
	b.ReportAllocs()
	b.ResetTimer()
	cpu := processTime(b)
	var all sync.WaitGroup
	for i, c := range cs {
		n := b.N / clients
		if i < b.N%clients {
			n++
		}
		all.Go(func() { stream(b, c, n, window) })
	}
	all.Wait()
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
	b.ReportMetric(float64((processTime(b)-cpu).Nanoseconds())/float64(b.N)/1000, "cpu-µs/msg")
}

// stream publishes n messages, at most window of them not acknowledged.
func stream(b *testing.B, c *raw, n, window int) {
	_ = c.SetReadDeadline(time.Time{})
	r := bufio.NewReaderSize(c.Conn, 4096)
	p := publishPacket(4, "site/line/4/temperature", string(make([]byte, 256)), 1, 1, 0)
	at := len(p) - 256 - 2
	var out []byte
	sent, acked := 0, 0
	for acked < n {
		out = out[:0]
		for ; sent < n && sent-acked < window; sent++ {
			p[at], p[at+1] = byte((sent+1)>>8), byte(sent+1)
			if p[at]|p[at+1] == 0 {
				p[at] = 0xff
			}
			out = append(out, p...)
		}
		if len(out) > 0 {
			if _, err := c.Conn.Write(out); err != nil {
				b.Error(err)
				return
			}
		}
		for first := true; first || r.Buffered() >= 4; first = false {
			var ack [4]byte
			for i := range ack {
				var err error
				if ack[i], err = r.ReadByte(); err != nil {
					b.Error(err)
					return
				}
			}
			acked++
		}
	}
}

func processTime(tb testing.TB) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
