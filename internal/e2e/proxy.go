package e2e

import (
	"net"
	"sync"
	"time"
)

// A Proxy is the network between the gateway and its cloud: one that can be
// cut.
type Proxy struct {
	Addr string

	mu     sync.Mutex // guards below
	target string
	conns  map[net.Conn]struct{}
	count  int
	down   bool
	slow   bool
}

// StartProxy forwards connections to the target.
func StartProxy(t T, target string) *Proxy {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("start proxy: %v", err)
	}
	p := &Proxy{Addr: ln.Addr().String(), target: target, conns: map[net.Conn]struct{}{}}
	t.Cleanup(func() { _ = ln.Close(); p.Cut(0) })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go p.forward(c)
		}
	}()
	return p
}

// Cut resets every connection, in the middle of what is on its way, and refuses
// new ones for a while.
func (p *Proxy) Cut(down time.Duration) {
	p.mu.Lock()
	p.down = down > 0
	for c := range p.conns {
		if tcp, ok := c.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0)
		}
		_ = c.Close()
	}
	clear(p.conns)
	p.mu.Unlock()
	if down > 0 {
		time.AfterFunc(down, func() {
			p.mu.Lock()
			p.down = false
			p.mu.Unlock()
		})
	}
}

// Slow lets a little pass every few milliseconds, for a while.
func (p *Proxy) Slow(d time.Duration) {
	set := func(slow bool) {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.slow = slow
	}
	set(true)
	time.AfterFunc(d, func() { set(false) })
}

// wait holds up a copy while the network is slow.
func (p *Proxy) wait() {
	p.mu.Lock()
	slow := p.slow
	p.mu.Unlock()
	if slow {
		time.Sleep(5 * time.Millisecond)
	}
}

// Connections is how many were forwarded.
func (p *Proxy) Connections() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.count
}

func (p *Proxy) forward(near net.Conn) {
	p.mu.Lock()
	target, down := p.target, p.down
	p.mu.Unlock()
	if down {
		_ = near.Close()
		return
	}
	far, err := net.Dial("tcp", target)
	if err != nil {
		_ = near.Close()
		return
	}
	p.mu.Lock()
	p.conns[near], p.conns[far] = struct{}{}, struct{}{}
	p.count++
	p.mu.Unlock()
	var both sync.WaitGroup
	pipe := func(dst, src net.Conn) {
		buf := make([]byte, 2<<10)
		for err := error(nil); err == nil; p.wait() { // until either end ends
			var n int
			if n, err = src.Read(buf); n > 0 {
				if _, werr := dst.Write(buf[:n]); werr != nil {
					err = werr
				}
			}
		}
		_ = dst.Close()
	}
	both.Go(func() { pipe(far, near) })
	both.Go(func() { pipe(near, far) })
	both.Wait()
	p.mu.Lock()
	delete(p.conns, near)
	delete(p.conns, far)
	p.mu.Unlock()
}
