package mqtt

import (
	"bufio"
	"context"
	"io"
	"net"
	"syscall"
	"testing"
	"time"
)

// BenchmarkUplink publishes QoS 1 messages of 256 bytes with a window of 64 and
// of 1,000 to a broker in this process that only acknowledges, over loopback.
// CPU is the whole process: both ends.
func BenchmarkUplink(b *testing.B) {
	for _, client := range []struct {
		name   string
		dial   func(context.Context, Options) (Conn, error)
		window int
	}{{"lean/window64", Dial, 64}, {"lean/window1000", Dial, 1000}, {"paho/window64", DialPaho311, 64}, {"paho/window1000", DialPaho311, 1000}} {
		window := client.window
		b.Run(client.name, func(b *testing.B) {
			ln, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				b.Fatal(err)
			}
			defer ln.Close()
			go acknowledge(ln)
			stats := new(ConnStats)
			c, err := client.dial(b.Context(), Options{URL: "mqtt://" + ln.Addr().String(), Stats: stats})
			if err != nil {
				b.Fatal(err)
			}
			defer c.Close()
			slots := make(chan struct{}, window)
			m := &Message{Topic: "site/line/4/temperature", Payload: make([]byte, 256), QoS: 1}
			b.ReportAllocs()
			b.ResetTimer()
			cpu := processTime(b)
			for range b.N {
				slots <- struct{}{}
				if err := c.Publish(m, func(Ack) { <-slots }); err != nil {
					b.Fatal(err)
				}
			}
			for range window {
				slots <- struct{}{}
			}
			b.StopTimer()
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
			b.ReportMetric(float64((processTime(b)-cpu).Nanoseconds())/float64(b.N)/1000, "cpu-µs/msg")
			b.ReportMetric(float64(b.N)/float64(stats.Writes.Load()), "msg/write")
		})
	}
}

func processTime(tb testing.TB) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// acknowledge is the cheapest broker: it answers CONNECT and every QoS 1
// PUBLISH, in as few writes as reads.
func acknowledge(ln net.Listener) {
	for {
		c, err := ln.Accept()
		if err != nil {
			return
		}
		go func() {
			defer c.Close()
			r := bufio.NewReaderSize(c, 64<<10)
			var out []byte
			for {
				first, err := r.ReadByte()
				if err != nil {
					return
				}
				n, shift := 0, 0
				for {
					b, err := r.ReadByte()
					if err != nil {
						return
					}
					n |= int(b&127) << shift
					if shift += 7; b < 128 {
						break
					}
				}
				p := make([]byte, n)
				if _, err := io.ReadFull(r, p); err != nil {
					return
				}
				switch first >> 4 {
				case 1:
					out = append(out, 0x20, 2, 0, 0)
				case 3:
					t := int(p[0])<<8 | int(p[1])
					out = append(out, 0x40, 2, p[2+t], p[3+t])
				case 14:
					return
				}
				if r.Buffered() == 0 {
					if _, err := c.Write(out); err != nil {
						return
					}
					out = out[:0]
				}
			}
		}()
	}
}
