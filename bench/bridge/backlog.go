package main

import (
	"fmt"
	"sync"
	"time"

	"github.com/sealgate/sealgate/internal/e2e"
)

// backlog floods a gateway whose cloud is away, and lets it deliver when the
// cloud comes back: the memory it takes must not grow with what waits.
func backlog(t *stage, o options) {
	defer t.clean()
	const devices = 10
	addr := e2e.FreeAddr(t)
	site := e2e.NewSite(t, addr)
	site.Spool = "{size: 3GiB, volatile: true}"
	gateway := site.Start(t)
	idle := usage(t, gateway)
	begun := time.Now()
	var all sync.WaitGroup
	for d := range devices {
		all.Go(func() {
			name := fmt.Sprintf("fleet/%d/state", d)
			if err := e2e.Blast(site.Addr, name, name, o.backlog/devices, 10, messages[0].payload); err != nil {
				t.fail(err)
			}
		})
	}
	all.Wait()
	filled, full := time.Since(begun), usage(t, gateway)

	cloud := e2e.StartMosquittoAt(t, addr, fmt.Sprintf("max_inflight_messages %d", o.window))
	arrived, warm := make(chan time.Time, 1), make(chan struct{})
	begun = time.Now()
	go count(t, cloud.Addr, o.backlog/devices*devices, warm, func(int) {}, arrived)
	select {
	case <-arrived:
	case <-time.After(10 * time.Minute):
		t.Fatalf("the backlog was not delivered: %s", gateway.Log())
	}
	drained, after := time.Since(begun), usage(t, gateway)
	fmt.Printf("\n## a backlog of %d messages\n\n", o.backlog)
	fmt.Printf("taken at %.0f messages/s, delivered at %.0f messages/s (the wait for the next connection included)\n", float64(o.backlog)/filled.Seconds(), float64(o.backlog)/drained.Seconds())
	fmt.Printf("RSS idle %.1f MB, peak while it filled %.1f MB, peak in all %.1f MB\n", float64(idle.RSS)/1e6, float64(full.Peak)/1e6, float64(after.Peak)/1e6)
}
