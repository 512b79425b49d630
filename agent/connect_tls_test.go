package agent

import (
	"crypto/tls"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sealgate/sealgate/agent/config"
	"github.com/sealgate/sealgate/internal/testcert"
)

// selfSigned writes a certificate and its key as PEM files.
func selfSigned(t *testing.T, path, name string) (cert, key string) {
	t.Helper()
	cert, key, err := testcert.Write(path, name, time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

// TestCertificatesAreReadAgain: a renewed certificate is shown, and devices of a
// new authority come in while those of the old one no longer do, without a
// restart.
func TestCertificatesAreReadAgain(t *testing.T) {
	dir := t.TempDir()
	serverCert, serverKey := selfSigned(t, filepath.Join(dir, "server"), "first")
	oldCert, oldKey := selfSigned(t, filepath.Join(dir, "old"), "device")
	newCert, newKey := selfSigned(t, filepath.Join(dir, "new"), "device")
	ca := filepath.Join(dir, "ca.pem")
	replace := func(to, from string) {
		t.Helper()
		raw, err := os.ReadFile(from)
		if err == nil {
			err = os.WriteFile(to, raw, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	replace(ca, oldCert)
	server, err := serverTLS(&config.TLS{Cert: serverCert, Key: serverKey, ClientCA: ca})
	if err != nil {
		t.Fatal(err)
	}
	cache := tls.NewLRUClientSessionCache(4)
	shown := func(cert, key string) (name string, err error) {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			t.Fatal(err)
		}
		a, b := net.Pipe()
		defer a.Close()
		defer b.Close()
		_ = a.SetDeadline(time.Now().Add(5 * time.Second))
		_ = b.SetDeadline(time.Now().Add(5 * time.Second))
		client := tls.Client(a, &tls.Config{
			Certificates: []tls.Certificate{pair}, ServerName: "127.0.0.1", ClientSessionCache: cache,
			InsecureSkipVerify: true, // #nosec: which certificate is shown is looked at below
		})
		seen := make(chan string, 1)
		go func() {
			defer close(seen)
			if client.Handshake() == nil {
				seen <- client.ConnectionState().PeerCertificates[0].Subject.CommonName
			}
			_, _ = client.Read(make([]byte, 1)) // an alert, or tickets
		}()
		s := tls.Server(b, server)
		if err := s.Handshake(); err != nil {
			return "", err
		}
		return <-seen, nil
	}
	if name, err := shown(oldCert, oldKey); err != nil || name != "first" {
		t.Fatalf("%q, %v", name, err)
	}
	if _, err := shown(newCert, newKey); err == nil {
		t.Fatal("a device of an unknown authority came in")
	}
	selfSigned(t, filepath.Join(dir, "server"), "second")
	replace(ca, newCert)
	if name, err := shown(newCert, newKey); err != nil || name != "second" {
		t.Errorf("after the change: %q, %v", name, err)
	}
	if _, err := shown(oldCert, oldKey); err == nil {
		t.Error("a device of the old authority came in")
	}
	if err := os.WriteFile(ca, []byte("nothing"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := shown(newCert, newKey); err == nil {
		t.Error("a device came in under a file without authorities")
	}
}

// TestUplinkCertificateIsReadAgain: each connection of an uplink shows the
// certificate that lies there now, and is made to the pinned authority only.
func TestUplinkCertificateIsReadAgain(t *testing.T) {
	dir := t.TempDir()
	client := filepath.Join(dir, "client")
	cert, key := selfSigned(t, client, "first")
	ca, caKey := selfSigned(t, filepath.Join(dir, "broker"), "broker")
	pair, err := tls.LoadX509KeyPair(ca, caKey)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{pair}, ClientAuth: tls.RequireAnyClientCert})
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	shown := make(chan string, 4)
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				if _, err := c.Read(make([]byte, 1024)); err != nil { // CONNECT
					return
				}
				shown <- c.(*tls.Conn).ConnectionState().PeerCertificates[0].Subject.CommonName
				_, _ = c.Write([]byte{0x20, 2, 0, 0})
				_, _ = c.Read(make([]byte, 16)) // DISCONNECT
			}()
		}
	}()
	cfg := &config.Uplink{
		URL: "mqtts://" + ln.Addr().String(), Protocol: "3.1.1", MaxQoS: 1, Will: "off",
		TLS: &config.ClientTLS{CA: ca, Cert: cert, Key: key},
	}
	l := &link{Agent: new(Agent), cfg: cfg}
	for _, name := range []string{"first", "second"} {
		selfSigned(t, client, name)
		conn, err := l.dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if got := <-shown; got != name {
			t.Errorf("the broker saw %q, want %q", got, name)
		}
		_ = conn.Close()
	}
	cfg.TLS.CA = cert
	if _, err := l.dial(t.Context()); err == nil {
		t.Error("connected to a broker of another authority than the pinned one")
	}
}
