package telemetry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Server answers on the metrics listener.
type Server struct {
	http *http.Server
	ln   net.Listener
	done chan error
}

// Serve starts to answer on ln: the status page, /metrics, /-/healthy, /-/ready
// and /api/v1/status. web says to whom and how; nil is to everybody who asks by
// address, in clear. Close ends it.
func (m *Metrics) Serve(ln net.Listener, stats func() Stats, web *Web, logger *slog.Logger) *Server {
	s := &Server{
		ln:   bound(ln, maxConnections),
		done: make(chan error, 1),
		http: &http.Server{
			Handler:           m.handler(stats, web),
			ReadHeaderTimeout: 5 * time.Second,
			ReadTimeout:       10 * time.Second,
			WriteTimeout:      15 * time.Second,
			IdleTimeout:       time.Minute,
			MaxHeaderBytes:    16 << 10,
			ErrorLog:          httpErrors(logger),
		},
	}
	serve := s.http.Serve
	if web != nil {
		if s.http.TLSConfig = web.serverTLS(); s.http.TLSConfig != nil {
			s.http.Protocols = new(http.Protocols)
			s.http.Protocols.SetHTTP1(true)
			s.http.Protocols.SetHTTP2(web.current().http2)
			serve = func(ln net.Listener) error { return s.http.ServeTLS(ln, "", "") }
		}
	}
	go func() { s.done <- serve(s.ln) }()
	return s
}

// handler answers GET and HEAD on the paths that there are, and nothing else.
func (m *Metrics) handler(stats func() Stats, web *Web) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.reg, promhttp.HandlerOpts{
		EnableOpenMetrics:   true,
		MaxRequestsInFlight: 4,
		Timeout:             10 * time.Second,
	}))
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		now := time.Now()
		seen := m.leaving(stats(), now)
		servePage(w, &seen, now)
	})
	mux.HandleFunc("GET /-/healthy", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "healthy")
	})
	mux.HandleFunc("GET /-/ready", func(w http.ResponseWriter, _ *http.Request) {
		if s := stats(); !s.Ready {
			http.Error(w, "not ready: "+s.Why, http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ready")
	})
	mux.Handle("GET /api/v1/status", m.StatusHandler(stats))
	return headers(web.guard(mux))
}

// StatusHandler answers with Stats and what leaves, as JSON.
func (m *Metrics) StatusHandler(stats func() Stats) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		_ = enc.Encode(m.leaving(stats(), time.Now())) // the peer is gone: nobody to tell
	})
}

// headers sets what every answer carries: nothing here is ever cached, framed
// or executed.
func headers(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("Content-Security-Policy", "default-src 'none'")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		w.Header().Set("Referrer-Policy", "no-referrer")
		w.Header().Set("X-Frame-Options", "DENY")
		h.ServeHTTP(w, r)
	})
}

// local reports whether a Host header names an address or this machine. A
// foreign name that was made to resolve to loopback is how a web page would
// read this one through the browser of someone on the gateway. Where TLS or
// passwords guard the listener, it has neither the name nor the password.
func local(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.Trim(host, "[]")
	return host == "localhost" || net.ParseIP(host) != nil
}

// httpErrors is where net/http says what went wrong with a connection.
func httpErrors(l *slog.Logger) *log.Logger { return log.New(debugWriter{l}, "", 0) }

type debugWriter struct{ log *slog.Logger }

func (w debugWriter) Write(line []byte) (int, error) {
	w.log.Debug("the metrics listener could not answer", "error", strings.TrimSpace(string(line)))
	return len(line), nil
}

// Addr is where the server listens.
func (s *Server) Addr() net.Addr { return s.ln.Addr() }

// Close lets running answers end until ctx does.
func (s *Server) Close(ctx context.Context) error {
	err := s.http.Shutdown(ctx)
	if err != nil {
		err = errors.Join(err, s.http.Close())
	}
	if end := <-s.done; !errors.Is(end, http.ErrServerClosed) {
		err = errors.Join(err, end)
	}
	return err
}
