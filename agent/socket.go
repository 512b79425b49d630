package agent

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"time"
)

// startSocket listens for what the administrator's commands ask. Only who owns
// the state directory can open it.
func (a *Agent) startSocket() error {
	path := a.cfg.Socket
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) { // of a run that was killed: the state is ours alone
		return fmt.Errorf("open control socket: %w", err)
	}
	ln, err := net.Listen("unix", path)
	if err == nil {
		if err = os.Chmod(path, 0o600); err != nil {
			_ = ln.Close()
		}
	}
	if err != nil {
		a.log.Warn("control socket can't be opened: `sealgate quarantine` works only while the gateway is stopped", "error", err)
		return nil
	}
	s := &http.Server{Handler: a.socketHandler(), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = s.Serve(ln) }() // ends with Shutdown
	a.lifecycle.add("control socket", s.Shutdown)
	return nil
}

func (a *Agent) socketHandler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /api/v1/status", a.metrics.StatusHandler(a.Stats))
	if a.sealed != nil {
		mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "the gateway's keys can't be opened: sealgate status says why", http.StatusServiceUnavailable)
		})
		return mux
	}
	opt, _ := spoolOptions(a.cfg)
	mux.Handle("/", localQuarantine{a.spool, opt.Uplinks}.handler())
	return mux
}

// AtSocket is a client of the running gateway whose control socket is at path,
// whatever host a request names.
func AtSocket(path string) *http.Client {
	return &http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", path)
		},
	}}
}
