package main

import (
	"fmt"
	"html"
	"os"
	"strings"
	"time"
)

// plot draws two rows of bars for the largest number of devices: messages a
// second, and processor time a message.
func plot(t *stage, path string, results []result) {
	most := 0
	for _, r := range results {
		most = max(most, r.devices)
	}
	var rs []result
	var rate float64
	var cpu time.Duration
	for _, r := range results {
		if r.devices == most {
			rs = append(rs, r)
			rate, cpu = max(rate, r.rate), max(cpu, r.cpu)
		}
	}
	const left, wide, gap, row = 200, 260, 90, 26
	var b strings.Builder
	width, height := left+2*(wide+gap), 50+row*len(rs)
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" font-family="sans-serif" font-size="13">`+"\n", width, height, width, height)
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" fill="white"/>`+"\n")
	fmt.Fprintf(&b, `<text x="%d" y="24" font-weight="bold">messages/s, %d devices</text><text x="%d" y="24" font-weight="bold">CPU a message</text>`+"\n", left, most, left+wide+gap)
	for i, r := range rs {
		y := 40 + row*i
		colour := "#8a8f98"
		if strings.HasPrefix(r.name, "sealgate") {
			colour = "#0b7a75"
		}
		fmt.Fprintf(&b, `<text x="%d" y="%d" text-anchor="end">%s</text>`, left-8, y+13, html.EscapeString(r.name))
		bar := func(x int, share float64, label string) {
			n := int(share * wide)
			fmt.Fprintf(&b, `<rect x="%d" y="%d" width="%d" height="18" fill="%s"/><text x="%d" y="%d">%s</text>`, x, y, n, colour, x+n+6, y+13, label)
		}
		bar(left, r.rate/rate, fmt.Sprintf("%.0f", r.rate))
		bar(left+wide+gap, float64(r.cpu)/float64(cpu), fmt.Sprintf("%.1f µs", float64(r.cpu.Nanoseconds())/1000))
		b.WriteByte('\n')
	}
	b.WriteString("</svg>\n")
	if err := os.WriteFile(path, []byte(b.String()), 0o644); err != nil {
		t.Fatalf("write plot: %v", err)
	}
}
