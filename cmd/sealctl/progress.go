package main

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// progress shows on a terminal how far a long work is. A nil one shows nothing.
type progress struct {
	w        io.Writer
	what     string
	total    int64 // bytes; 0: unknown
	read     int64
	messages int
	shown    time.Time
	dirty    bool // the line holds something
}

// newProgress returns a progress bar, or nil where nobody would see it.
func (e *env) newProgress(what string, total int64) *progress {
	if !e.lively {
		return nil
	}
	return &progress{w: e.stderr, what: what, total: total, shown: time.Now()}
}

func (p *progress) bytes(n int64) {
	if p != nil {
		p.read += n
		p.show()
	}
}

func (p *progress) message() {
	if p != nil {
		p.messages++
		p.show()
	}
}

// show draws the line, a few times a second.
func (p *progress) show() {
	const often, bar = 200 * time.Millisecond, 24
	if time.Since(p.shown) < often {
		return
	}
	p.shown, p.dirty = time.Now(), true
	line := p.what
	if p.total > 0 {
		share := min(float64(p.read)/float64(p.total), 1)
		full := int(share * bar)
		line += fmt.Sprintf("  %s%s %3.0f %%", strings.Repeat("━", full), strings.Repeat("─", bar-full), 100*share)
	}
	fmt.Fprintf(p.w, "\r\x1b[K%s  %s", line, plural(p.messages, "message", "messages"))
}

// clear removes the line.
func (p *progress) clear() {
	if p != nil && p.dirty {
		io.WriteString(p.w, "\r\x1b[K")
		p.dirty = false
	}
}
