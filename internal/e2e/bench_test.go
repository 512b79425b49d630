package e2e

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/sealgate/sealgate/agent"
	"github.com/sealgate/sealgate/agent/config"
)

// BenchmarkAgent runs the whole gateway in this process, between real devices
// and a real mosquitto. It is here to be profiled:
//
//	go test ./internal/e2e -run '^$' -bench Agent -benchtime 50000x -cpuprofile cpu.out
func BenchmarkAgent(b *testing.B) {
	for _, devices := range []int{1, 50} {
		b.Run(fmt.Sprintf("devices=%d", devices), func(b *testing.B) { benchmarkAgent(b, devices) })
	}
}

func benchmarkAgent(b *testing.B, devices int) {
	Need(b, "mosquitto")
	cloud := StartMosquitto(b, "max_inflight_messages 100")
	site := NewSite(b, cloud.Addr)
	src, err := os.ReadFile(site.Config(b))
	check(b, err)
	cfg, err := config.Parse(site.Dir+"/agent.yaml", src)
	check(b, err)
	a, err := agent.Start(b.Context(), agent.Options{Config: cfg, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	check(b, err)
	defer func() {
		ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
		defer cancel()
		check(b, a.Stop(ctx))
	}()
	payload := []byte(`{"device":"tracker-17","driver":{"email":"anna.schmidt@example.org"},` +
		`"position":{"latitude":48.137154,"longitude":11.576124},"modem":{"apn":"iot.example"},` +
		`"engine":{"rpm":1840,"temperature":88.5,"load":0.42,"oil_pressure":3.1},"fuel":61.5,"battery":12.6,"doors":[0,0,0,1]}`)
	b.SetBytes(int64(len(payload)))
	b.ReportAllocs()
	var all sync.WaitGroup
	b.ResetTimer()
	for d := range devices {
		n := b.N / devices
		if d < b.N%devices {
			n++
		}
		all.Go(func() {
			name := fmt.Sprintf("d%d", d)
			if err := Blast(site.Addr, name, name+"/state", n, max(1, 100/devices), func(int) []byte { return payload }); err != nil {
				b.Error(err)
			}
		})
	}
	all.Wait()
	Until(b, "delivery", time.Minute, func() bool { return a.Stats().Spool.Records == 0 })
}
