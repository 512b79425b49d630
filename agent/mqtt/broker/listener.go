package broker

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"
)

// A Listener is one address that clients connect to.
type Listener struct {
	Address string       // host:port, or an absolute path for a Unix socket; unless Net is given
	Net     net.Listener // already bound; the broker closes it

	// TLS is used if it is not nil. With ClientCAs and ClientAuth it asks for
	// certificates.
	TLS *tls.Config
	// CertificateUser takes the subject's common name of a verified client
	// certificate as the user name, instead of a password.
	CertificateUser bool
	// Anonymous admits clients without a user name. It is refused unless the
	// address is loopback or a Unix socket.
	Anonymous bool
}

// A door is a bound listener.
type door struct {
	b    *Broker
	spec Listener
	ln   net.Listener
}

func bind(b *Broker, spec Listener) (*door, error) {
	if spec.CertificateUser && (spec.TLS == nil || spec.TLS.ClientAuth != tls.RequireAndVerifyClientCert) {
		return nil, errors.New("user names from certificates need TLS that requires and verifies them")
	}
	ln := spec.Net
	if ln == nil {
		network := "tcp"
		if len(spec.Address) > 0 && spec.Address[0] == '/' {
			network = "unix"
		}
		var err error
		if ln, err = net.Listen(network, spec.Address); err != nil {
			return nil, fmt.Errorf("listen: %w", err)
		}
	}
	if spec.Anonymous && !isLocal(ln.Addr()) {
		return nil, errors.Join(fmt.Errorf("listen on %s: anonymous clients are admitted on loopback only", ln.Addr()), ln.Close())
	}
	return &door{b: b, spec: spec, ln: ln}, nil
}

func isLocal(a net.Addr) bool {
	switch a := a.(type) {
	case *net.TCPAddr:
		return a.IP.IsLoopback()
	case *net.UnixAddr:
		return true
	}
	return false
}

// serve accepts until the listener is closed.
func (d *door) serve() {
	defer d.b.doorsWG.Done()
	pause := 5 * time.Millisecond
	for {
		c, err := d.ln.Accept()
		if errors.Is(err, net.ErrClosed) || d.b.draining.Load() {
			if err == nil {
				_ = c.Close()
			}
			return
		}
		if err != nil { // out of descriptors, say: it passes, or Close comes
			d.b.log.Warn("accept client", "error", err)
			select {
			case <-d.b.ctx.Done():
				return
			case <-time.After(pause):
			}
			pause = min(2*pause, time.Second)
			continue
		}
		pause = 5 * time.Millisecond
		go d.open(c)
	}
}

// open finishes the TLS handshake, within ConnectTimeout, and serves.
func (d *door) open(c net.Conn) {
	if d.spec.TLS != nil {
		defer d.b.handshakes.Add(-1)
		if d.b.handshakes.Add(1) > int64(d.b.limits.Clients) {
			d.b.stats.refusedFull.Add(1)
			_ = c.Close()
			return
		}
		t := tls.Server(c, d.spec.TLS)
		_ = c.SetDeadline(time.Now().Add(d.b.limits.ConnectTimeout))
		if err := t.Handshake(); err != nil {
			d.b.stats.refusedTLS.Add(1)
			_ = c.Close()
			return
		}
		_ = c.SetDeadline(time.Time{})
		c = t
	}
	d.b.serve(d, c)
}
