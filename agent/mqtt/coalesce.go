package mqtt

import (
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// A coalescer is a net.Conn whose writes share system calls. Write appends to a
// buffer and returns; one goroutine writes what has gathered while its last
// write was under way, so a lone message goes out at once and a stream of them
// in large pieces. Write never blocks and never fails while the connection
// lives: who produces asks room first.
type coalescer struct {
	net.Conn
	limit   int
	timeout time.Duration
	stats   *ConnStats
	wake    chan struct{} // capacity 1
	roomy   chan struct{} // capacity 1: the buffer shrank
	over    chan struct{} // closed when the writer has ended
	eof     chan struct{} // closed when a read failed
	eofOnce sync.Once
	writes  atomic.Uint64 // system calls

	mu     sync.Mutex // guards below
	buf    []byte
	notes  []func() // to call when buf has been written
	err    error    // first error of a write, or net.ErrClosed
	closed bool
	bye    bool // DISCONNECT was written
}

func newCoalescer(c net.Conn, o *Options) *coalescer {
	w := &coalescer{
		Conn: c, limit: o.BufferBytes, timeout: o.WriteTimeout, stats: o.Stats,
		wake: make(chan struct{}, 1), roomy: make(chan struct{}, 1), over: make(chan struct{}), eof: make(chan struct{}),
	}
	go w.run()
	return w
}

// room waits until less than the limit is buffered. It returns false when quit
// is closed first.
func (w *coalescer) room(quit <-chan struct{}) bool {
	for {
		w.mu.Lock()
		ok := len(w.buf) < w.limit || w.err != nil
		w.mu.Unlock()
		if ok {
			return true
		}
		select {
		case <-w.roomy:
		case <-quit:
			return false
		}
	}
}

func (w *coalescer) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return 0, w.err
	}
	w.buf = append(w.buf, p...)
	w.bye = len(p) > 0 && p[0] == 0xe0
	w.signal()
	return len(p), nil
}

// failure is why no more is written, nil while it is.
func (w *coalescer) failure() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

func (w *coalescer) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// run writes until the connection is closed or fails, and closes the socket.
func (w *coalescer) run() {
	defer close(w.over)
	var spare []byte
	var spareNotes []func()
	for range w.wake {
		w.mu.Lock()
		p, notes, closed, bye := w.buf, w.notes, w.closed, w.bye
		w.buf, w.notes = spare[:0], spareNotes[:0]
		w.mu.Unlock()
		var err error
		if len(p) > 0 {
			patience := w.timeout
			if closed {
				patience = lastWords
			}
			_ = w.Conn.SetWriteDeadline(time.Now().Add(patience))
			var n int
			n, err = w.Conn.Write(p)
			w.stats.BytesOut.Add(uint64(n))
			w.stats.Writes.Add(1)
			w.writes.Add(1)
		}
		if err == nil {
			for _, note := range notes {
				note()
			}
		}
		if err != nil || closed {
			if err == nil {
				err = net.ErrClosed
			}
			w.mu.Lock()
			w.err, w.buf = err, nil
			w.mu.Unlock()
			if bye {
				w.linger()
			}
			_ = w.Conn.Close() // the reader notices
		}
		select {
		case w.roomy <- struct{}{}:
		default:
		}
		if err != nil {
			return
		}
		if spare = p; cap(spare) > 4*w.limit {
			spare = nil
		}
		clear(notes)
		spareNotes = notes
	}
}

// lastWords is how long a closing connection may take to write what is left.
const lastWords = time.Second

// linger lets the broker close first after DISCONNECT, as it must, so that our
// last acknowledgements are not thrown away by a reset or by the next
// connection with the same client id.
func (w *coalescer) linger() {
	t := time.NewTimer(lastWords / 2)
	defer t.Stop()
	select {
	case <-w.eof:
	case <-t.C:
	}
}

// Close writes what is buffered, for at most a second, and closes.
func (w *coalescer) Close() error {
	w.mu.Lock()
	w.closed = true
	_ = w.Conn.SetWriteDeadline(time.Now().Add(lastWords))
	w.mu.Unlock()
	w.signal()
	<-w.over
	return nil
}

func (w *coalescer) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	if err != nil {
		w.eofOnce.Do(func() { close(w.eof) })
	}
	w.stats.BytesIn.Add(uint64(n))
	return n, err
}

// SetDeadline sets the deadline of reads; writes have their own.
func (w *coalescer) SetDeadline(t time.Time) error { return w.Conn.SetReadDeadline(t) }

// SetWriteDeadline does nothing: writes have their own deadline.
func (w *coalescer) SetWriteDeadline(time.Time) error { return nil }
