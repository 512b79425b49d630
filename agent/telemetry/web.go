package telemetry

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"time"

	"golang.org/x/crypto/bcrypt"

	"github.com/sealgate/sealgate/agent/config"
)

// Web guards the listener as a web configuration file says. The file, and the
// certificates that it names, are read again when they change; what can't be
// used is reported, and what was in force before stays.
type Web struct {
	path    string
	log     *slog.Logger
	private bool // nothing but TLS with credentials is good enough
	report  func(error)

	mu     sync.Mutex // guards what follows
	looked time.Time
	files  []byte // what the files held when they were last read
	rules  *webRules
}

// lookEvery is how often the files are read again, at most.
const lookEvery = time.Second

// OpenWeb reads a web configuration file and what it names. private demands
// TLS, and credentials of clients: for a listener that others can reach. report
// is told of each change that can't be used, and, with nil, of each that can.
func OpenWeb(path string, private bool, log *slog.Logger, report func(error)) (*Web, error) {
	w := &Web{path: path, private: private, log: log, report: report}
	rules, files, err := w.read()
	if err != nil {
		return nil, err
	}
	w.rules, w.files, w.looked = rules, files, time.Now()
	return w, nil
}

// current returns what is in force, after a look at the files.
func (w *Web) current() *webRules {
	w.mu.Lock()
	defer w.mu.Unlock()
	if time.Since(w.looked) < lookEvery {
		return w.rules
	}
	w.looked = time.Now()
	rules, files, err := w.read()
	if bytes.Equal(files, w.files) {
		return w.rules
	}
	w.files = files
	if err == nil && (rules.tls == nil) != (w.rules.tls == nil) {
		err = fmt.Errorf("%s: TLS is switched on or off by a restart only", w.path)
	}
	if err == nil {
		w.rules = rules
	}
	w.report(err)
	return w.rules
}

// read builds the rules anew. files tells one state of the files from another,
// and is meaningful with an error, too.
func (w *Web) read() (_ *webRules, files []byte, err error) {
	sum := sha256.New()
	file := func(path string) []byte {
		raw, e := os.ReadFile(path)
		if e != nil {
			err = errors.Join(err, fmt.Errorf("read web configuration: %w", e))
		}
		fmt.Fprintf(sum, "%t %d:", e == nil, len(raw))
		sum.Write(raw)
		return raw
	}
	src := file(w.path)
	if err != nil {
		return nil, sum.Sum(nil), err
	}
	cfg, err := config.ParseWeb(w.path, src)
	if err != nil {
		return nil, sum.Sum(nil), err
	}
	if w.private && !cfg.Private() {
		return nil, sum.Sum(nil), fmt.Errorf("%s: a listener that is not on loopback needs tls_server_config, and basic_auth_users or client_auth_type: RequireAndVerifyClientCert", w.path)
	}
	r := &webRules{headers: cfg.HTTP.Headers, http2: cfg.HTTP.HTTP2 == nil || *cfg.HTTP.HTTP2, logins: newLogins(cfg.Users), bucket: bucket{interval: cfg.Rate.Interval, burst: cfg.Rate.Burst}}
	if t := cfg.TLS; t != nil {
		pem := func(inline, path string) []byte {
			if path == "" {
				return []byte(inline)
			}
			return file(path)
		}
		cert, key, authorities := pem(t.Cert, t.CertFile), pem(t.Key, t.KeyFile), pem(t.ClientCA, t.ClientCAFile)
		if err == nil {
			err = r.secure(t, cert, key, authorities)
		}
		if err != nil {
			return nil, sum.Sum(nil), fmt.Errorf("%s: %w", w.path, err)
		}
	}
	return r, sum.Sum(nil), nil
}

// webRules are what one state of the files says. They don't change.
type webRules struct {
	tls     *tls.Config // nil: in clear
	sans    []string    // of which a client's certificate needs one; empty: any
	headers map[string]string
	http2   bool
	logins  *logins // nil: nobody is asked for a password
	bucket  bucket
}

func (r *webRules) secure(t *config.WebTLS, cert, key, authorities []byte) error {
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return fmt.Errorf("load server certificate: %w", err)
	}
	r.sans = t.ClientSANs
	r.tls = &tls.Config{
		Certificates: []tls.Certificate{pair},
		MinVersion:   cmp.Or(uint16(t.MinVersion), tls.VersionTLS12),
		MaxVersion:   uint16(t.MaxVersion),
		ClientAuth:   tls.ClientAuthType(t.ClientAuth),
		NextProtos:   []string{"h2", "http/1.1"},
		// A resumed session would outlive an authority that is taken out.
		SessionTicketsDisabled: true,
	}
	if !r.http2 {
		r.tls.NextProtos = []string{"http/1.1"}
	}
	for _, c := range t.Ciphers {
		r.tls.CipherSuites = append(r.tls.CipherSuites, uint16(c))
	}
	for _, c := range t.Curves {
		r.tls.CurvePreferences = append(r.tls.CurvePreferences, tls.CurveID(c))
	}
	if len(authorities) > 0 {
		r.tls.ClientCAs = x509.NewCertPool()
		if !r.tls.ClientCAs.AppendCertsFromPEM(authorities) {
			return errors.New("client_ca_file holds no certificate in PEM")
		}
	}
	return nil
}

// admits reports whether a connection may ask. The handshake has verified the
// client's certificate, but connections last: the authorities, the names and the
// certificate's end are looked at for each request.
func (r *webRules) admits(s *tls.ConnectionState) bool {
	if r.tls == nil || r.tls.ClientAuth != tls.RequireAndVerifyClientCert {
		return true
	}
	if s == nil || len(s.PeerCertificates) == 0 {
		return false
	}
	cert, between := s.PeerCertificates[0], x509.NewCertPool()
	for _, c := range s.PeerCertificates[1:] {
		between.AddCert(c)
	}
	if _, err := cert.Verify(x509.VerifyOptions{Roots: r.tls.ClientCAs, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
		return false
	}
	names := slices.Concat(cert.DNSNames, cert.EmailAddresses)
	for _, ip := range cert.IPAddresses {
		names = append(names, ip.String())
	}
	for _, uri := range cert.URIs {
		names = append(names, uri.String())
	}
	return len(r.sans) == 0 || slices.ContainsFunc(names, func(n string) bool { return slices.Contains(r.sans, n) })
}

// serverTLS is the listener's TLS: that of the rules in force at each handshake,
// nil where there is none.
func (w *Web) serverTLS() *tls.Config {
	if w.rules.tls == nil {
		return nil
	}
	c := w.rules.tls.Clone()
	c.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return w.current().tls, nil }
	return c
}

// guard answers only those whom the file lets in; without a file, those who ask
// by address.
func (w *Web) guard(h http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
		r := &webRules{}
		if w != nil {
			r = w.current()
		}
		for name, value := range r.headers {
			rw.Header().Add(name, value) // two security policies both hold
		}
		switch {
		case r.tls == nil && r.logins == nil && !local(req.Host):
			http.Error(rw, "ask by address or as localhost", http.StatusMisdirectedRequest)
			return
		case !r.bucket.take(time.Now()):
			http.Error(rw, "too many requests: see rate_limit", http.StatusTooManyRequests)
			return
		case !r.admits(req.TLS):
			rw.Header().Set("Connection", "close")
			http.Error(rw, "this certificate is not admitted", http.StatusForbidden)
			return
		}
		if r.logins != nil {
			user, password, _ := req.BasicAuth()
			good, err := r.logins.verify(req.Context(), user, password)
			if err != nil {
				http.Error(rw, "too many logins at once", http.StatusServiceUnavailable)
				return
			}
			if !good {
				if user != "" || password != "" {
					w.log.Warn("the metrics listener refused a login")
				}
				rw.Header().Set("WWW-Authenticate", `Basic realm="sealgate", charset="UTF-8"`)
				http.Error(rw, "user name and password, please", http.StatusUnauthorized)
				return
			}
		}
		h.ServeHTTP(rw, req)
	})
}

// logins are users and the bcrypt hashes of their passwords. A hash costs, so a
// password that was right is known by a fast keyed hash from then on.
type logins struct {
	hashes map[string][]byte
	dummy  []byte        // compared for unknown names, so that they take as long
	slot   chan struct{} // one comparison at a time

	mu   sync.Mutex // guards seen
	salt [32]byte
	seen map[string][sha256.Size]byte // by user, of a right password
}

func newLogins(users map[string]string) *logins {
	if len(users) == 0 {
		return nil
	}
	l := &logins{hashes: map[string][]byte{}, slot: make(chan struct{}, 1), seen: map[string][sha256.Size]byte{}}
	_, _ = rand.Read(l.salt[:]) // never fails (crypto/rand)
	for user, hash := range users {
		l.hashes[user] = []byte(hash)
		if l.dummy == nil || hash[4:6] > string(l.dummy[4:6]) {
			l.dummy = l.hashes[user]
		}
	}
	return l
}

// loginWait is how long a login waits for those before it.
const loginWait = 5 * time.Second

// restFactor is how many times as long as it took no other password is compared
// after a wrong one: whoever tries passwords has a fifth of one processor.
const restFactor = 4

// verify reports whether a password is the user's. The error says that it could
// not be found out in time.
func (l *logins) verify(ctx context.Context, user, password string) (bool, error) {
	hash, known := l.hashes[user]
	if !known {
		hash = l.dummy
	}
	sum := sha256.Sum256(slices.Concat(l.salt[:], hash, []byte(password)))
	l.mu.Lock()
	seen := l.seen[user]
	l.mu.Unlock()
	if subtle.ConstantTimeCompare(seen[:], sum[:]) == 1 {
		return true, nil
	}
	ctx, cancel := context.WithTimeout(ctx, loginWait)
	defer cancel()
	select {
	case l.slot <- struct{}{}:
	case <-ctx.Done():
		return false, ctx.Err()
	}
	start := time.Now()
	good := bcrypt.CompareHashAndPassword(hash, []byte(password)) == nil && known
	if !good {
		time.AfterFunc(restFactor*time.Since(start), func() { <-l.slot })
		return false, nil
	}
	<-l.slot
	l.mu.Lock()
	l.seen[user] = sum
	l.mu.Unlock()
	return true, nil
}

// A bucket lets burst requests through at once, and one more each interval. The
// zero bucket lets all through.
type bucket struct {
	interval time.Duration
	burst    int

	mu   sync.Mutex // guards full
	full time.Time  // when the bucket is full again
}

func (b *bucket) take(now time.Time) bool {
	if b.interval == 0 {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	next := b.full
	if next.Before(now) {
		next = now
	}
	next = next.Add(b.interval)
	if next.Sub(now) > time.Duration(b.burst)*b.interval {
		return false
	}
	b.full = next
	return true
}

// maxConnections bounds the connections to the listener: each costs memory, and
// none of its users needs many.
const maxConnections = 64

// bounded accepts at most so many connections at a time.
type bounded struct {
	net.Listener
	slots chan struct{}
	done  chan struct{}
	once  sync.Once
}

func bound(ln net.Listener, n int) *bounded {
	return &bounded{Listener: ln, slots: make(chan struct{}, n), done: make(chan struct{})}
}

func (b *bounded) Accept() (net.Conn, error) {
	select {
	case b.slots <- struct{}{}:
	case <-b.done:
		return nil, net.ErrClosed
	}
	c, err := b.Listener.Accept()
	if err != nil {
		<-b.slots
		return nil, err
	}
	return &boundedConn{Conn: c, release: sync.OnceFunc(func() { <-b.slots })}, nil
}

func (b *bounded) Close() error {
	b.once.Do(func() { close(b.done) })
	return b.Listener.Close()
}

type boundedConn struct {
	net.Conn
	release func()
}

func (c *boundedConn) Close() error {
	defer c.release()
	return c.Conn.Close()
}
