package mqtt

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"errors"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// authority is a certificate authority of a test.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pool *x509.CertPool
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{pool: x509.NewCertPool()}
	a.cert, a.key = issue(t, nil, &x509.Certificate{SerialNumber: big.NewInt(1), IsCA: true, BasicConstraintsValid: true, Subject: pkix.Name{CommonName: "ca"}, KeyUsage: x509.KeyUsageCertSign})
	a.pool.AddCert(a.cert)
	return a
}

func issue(t *testing.T, by *authority, template *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := template, key
	if by != nil {
		parent, signer = by.cert, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

func (a *authority) pair(t *testing.T, name string) tls.Certificate {
	t.Helper()
	cert, key := issue(t, a, &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	})
	return tls.Certificate{Certificate: [][]byte{cert.Raw}, PrivateKey: key}
}

// serveWeb answers WebSockets on /mqtt with a peer, and everything else with
// an error.
func serveWeb(t *testing.T, ln net.Listener, p *peer, headers chan<- http.Header) {
	up := websocket.Upgrader{Subprotocols: []string{"mqtt"}}
	s := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/mqtt" {
			http.NotFound(w, r)
			return
		}
		headers <- r.Header
		ws, err := up.Upgrade(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		p.take(&webConn{Conn: ws.NetConn(), ws: ws})
	})}
	go func() { _ = s.Serve(ln) }()
	t.Cleanup(func() { _ = s.Close() })
}

// take serves a connection that arrived.
func (p *peer) take(c net.Conn) {
	p.mu.Lock()
	p.conn = c
	p.mu.Unlock()
	p.serve(c, p.version)
}

// startProxy is an HTTP proxy that wants a password, and counts connections.
func startProxy(t *testing.T, counted chan<- string) *url.URL {
	t.Helper()
	want := "Basic " + base64.StdEncoding.EncodeToString([]byte("gw:word"))
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodConnect || r.Header.Get("Proxy-Authorization") != want {
			w.WriteHeader(http.StatusProxyAuthRequired)
			return
		}
		counted <- r.Host
		far, err := net.Dial("tcp", r.Host)
		if err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		near, _, err := http.NewResponseController(w).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_, _ = io.WriteString(near, "HTTP/1.1 200 Connection established\r\n\r\n")
		go func() { _, _ = io.Copy(far, near); _ = far.Close() }()
		_, _ = io.Copy(near, far)
		_ = near.Close()
	}))
	t.Cleanup(s.Close)
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// TestTransports publishes over every way to a broker: TCP and TLS, plain and
// as WebSocket, straight and through a proxy, with both clients.
func TestTransports(t *testing.T) {
	ca := newAuthority(t)
	for _, scheme := range []string{"mqtt", "mqtts", "ws", "wss"} {
		for _, through := range []string{"straight", "proxy"} {
			for name, dial := range map[string]func(context.Context, Options) (Conn, error){"lean": Dial, "paho": DialPaho311} {
				t.Run(scheme+"/"+through+"/"+name, func(t *testing.T) {
					p := newPeer()
					ln, err := net.Listen("tcp", "127.0.0.1:0")
					if err != nil {
						t.Fatal(err)
					}
					t.Cleanup(func() { _ = ln.Close() })
					o := Options{URL: scheme + "://" + ln.Addr().String()}
					if strings.HasSuffix(scheme, "s") && scheme != "ws" {
						client, alpn := ca.pair(t, "gw"), "x-amzn-mqtt-ca"
						if scheme == "wss" {
							alpn = "http/1.1"
						}
						o.TLS = &tls.Config{RootCAs: ca.pool, Certificates: []tls.Certificate{client}, NextProtos: []string{alpn}}
						ln = tls.NewListener(ln, &tls.Config{
							Certificates: []tls.Certificate{ca.pair(t, "broker")}, ClientCAs: ca.pool, ClientAuth: tls.RequireAndVerifyClientCert,
							NextProtos: []string{alpn}, // a client that offers another gets no connection
						})
					}
					headers := make(chan http.Header, 1)
					if strings.HasPrefix(scheme, "ws") {
						o.URL += "/mqtt"
						o.Header = http.Header{"X-Site": {"plant"}}
						serveWeb(t, ln, p, headers)
					} else {
						go func() {
							if c, err := ln.Accept(); err == nil {
								p.take(c)
							}
						}()
					}
					hosts := make(chan string, 1)
					if through == "proxy" {
						o.Proxy = &Proxy{URL: startProxy(t, hosts).String(), Username: "gw", Password: "word"}
					}
					c, err := dial(t.Context(), o)
					if err != nil {
						t.Fatal(err)
					}
					defer c.Close()
					answered := make(chan Ack, 1)
					if err := c.Publish(&Message{Topic: "t", QoS: 1, Payload: make([]byte, 100_000)}, func(a Ack) { answered <- a }); err != nil {
						t.Fatal(err)
					}
					select {
					case a := <-answered:
						if a.Err != nil {
							t.Error(a.Err)
						}
					case err := <-c.Done():
						t.Fatal(err)
					case <-time.After(10 * time.Second):
						t.Fatal("not acknowledged")
					}
					if through == "proxy" {
						if h := <-hosts; h != ln.Addr().String() {
							t.Errorf("the proxy was asked for %s", h)
						}
					}
					if strings.HasPrefix(scheme, "ws") {
						if h := <-headers; h.Get("X-Site") != "plant" || h.Get("Sec-Websocket-Protocol") != "mqtt" {
							t.Errorf("request headers: %v", h)
						}
					}
				})
			}
		}
	}
}

// What is not as it should be ends with an error that says what, and never
// with a connection.
func TestTransportRefusals(t *testing.T) {
	ca, other := newAuthority(t), newAuthority(t)
	listen := func(t *testing.T, cfg *tls.Config) string {
		t.Helper()
		ln, err := tls.Listen("tcp", "127.0.0.1:0", cfg)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = ln.Close() })
		go func() {
			for {
				c, err := ln.Accept()
				if err != nil {
					return
				}
				_ = c.(*tls.Conn).Handshake()
				_ = c.Close()
			}
		}()
		return ln.Addr().String()
	}
	server := &tls.Config{Certificates: []tls.Certificate{ca.pair(t, "broker")}}
	web := httptest.NewServer(http.NotFoundHandler())
	defer web.Close()
	hosts := make(chan string, 8)
	proxy := startProxy(t, hosts)
	for _, tt := range []struct {
		name string
		o    Options
		want string
	}{
		{"another authority", Options{URL: "mqtts://" + listen(t, server), TLS: &tls.Config{RootCAs: other.pool}}, "unknown authority"},
		{"another name", Options{URL: "mqtts://" + listen(t, server), TLS: &tls.Config{RootCAs: ca.pool, ServerName: "else.example.com"}}, "else.example.com"},
		{"another ALPN", Options{URL: "mqtts://" + listen(t, &tls.Config{Certificates: server.Certificates, NextProtos: []string{"h2"}}), TLS: &tls.Config{RootCAs: ca.pool, NextProtos: []string{"mqtt"}}}, "no application protocol"},
		{"no WebSocket there", Options{URL: strings.Replace(web.URL, "http", "ws", 1) + "/mqtt"}, "answered 404"},
		{"proxy without password", Options{URL: "mqtt://127.0.0.1:1", Proxy: &Proxy{URL: proxy.String()}}, "proxy answered 407"},
		{"proxy that finds nobody", Options{URL: "mqtt://127.0.0.1:1", Proxy: &Proxy{URL: proxy.String(), Username: "gw", Password: "word"}}, "proxy answered 502"},
		{"credentials in the proxy's URL", Options{URL: "mqtt://127.0.0.1:1", Proxy: &Proxy{URL: "http://u:p@" + proxy.Host}}, "parse proxy URL"},
		{"another scheme", Options{URL: "http://127.0.0.1:1"}, "want mqtt, mqtts, ws or wss"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c, err := Dial(t.Context(), tt.o)
			if err == nil {
				_ = c.Close()
				t.Fatal("connected")
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %q, want something with %q", err, tt.want)
			}
			if strings.Contains(err.Error(), "word") {
				t.Errorf("the password is in the error: %s", err)
			}
		})
	}
}

// A proxy that never answers is given up in time.
func TestSilentProxy(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	_, err = Dial(t.Context(), Options{URL: "mqtt://127.0.0.1:1", Proxy: &Proxy{URL: "http://" + ln.Addr().String()}, ConnectTimeout: 50 * time.Millisecond})
	if err == nil || !errors.Is(err, context.DeadlineExceeded) && !strings.Contains(err.Error(), "timeout") {
		t.Errorf("got %v", err)
	}
}
