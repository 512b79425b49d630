package agent

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"os"
	"syscall"
	"time"

	"github.com/sealgate/sealgate/agent/config"
	"github.com/sealgate/sealgate/agent/spool"
	"github.com/sealgate/sealgate/classify"
	"github.com/sealgate/sealgate/classify/policy"
)

// Quarantined is a message that an uplink would not take, without its content.
type Quarantined struct {
	ID      string    `json:"id"` // message id, in hex
	Uplink  string    `json:"uplink"`
	Reason  string    `json:"reason"`
	Since   time.Time `json:"since"`
	Topic   string    `json:"topic"` // as it would be published
	Bytes   int       `json:"bytes"`
	Grade   string    `json:"grade"` // at most this is left of it
	QoS     uint8     `json:"qos"`
	Retain  bool      `json:"retain"`
	KeyIDs  []string  `json:"key_ids,omitempty"`
	Payload []byte    `json:"payload,omitempty"` // as it would be published: protected; only where asked for
}

// ErrNotQuarantined says that no message in quarantine has the id.
var ErrNotQuarantined = errors.New("no message in quarantine has this id")

// OpenQuarantine asks the running gateway at its socket, and where none runs
// opens its spool.
func OpenQuarantine(ctx context.Context, cfg *config.Config, machine []byte) (*Quarantine, error) {
	c, err := net.Dial("unix", cfg.Socket)
	if err == nil {
		_ = c.Close()
		client := AtSocket(cfg.Socket)
		return &Quarantine{ctx, client, func() error { client.CloseIdleConnections(); return nil }}, nil
	}
	if !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ECONNREFUSED) {
		return nil, fmt.Errorf("ask the gateway at %s: %w", cfg.Socket, err)
	}
	if _, err := os.Stat(cfg.Spool.Directory); err != nil {
		return nil, fmt.Errorf("find the spool: %w", err)
	}
	k, err := openBeside(ctx, cfg, machine)
	if err != nil {
		return nil, err
	}
	opt, _ := spoolOptions(cfg)
	opt.Key, opt.OldKeys = k.Spool(), k.OldSpools()
	sp, err := spool.Open(opt)
	if err != nil {
		return nil, fmt.Errorf("open spool: %w", err)
	}
	return &Quarantine{ctx, &http.Client{Transport: direct{localQuarantine{sp, opt.Uplinks}.handler()}}, sp.Close}, nil
}

// localQuarantine reads the spool itself.
type localQuarantine struct {
	spool   *spool.Spool
	uplinks []string
}

func (l localQuarantine) list() ([]Quarantined, error) {
	all := []Quarantined{}
	err := l.each(func(i int, q spool.Quarantined) (bool, error) {
		all = append(all, l.describe(i, q))
		return true, nil
	})
	return all, err
}

func (l localQuarantine) describe(uplink int, q spool.Quarantined) Quarantined {
	d := Quarantined{
		ID: messageID(q), Uplink: l.uplinks[uplink], Reason: q.Reason, Since: q.Stored, Topic: q.Topic,
		Bytes: len(q.Record.Payload), Grade: classify.Grade(q.Grade).String(), QoS: q.QoS, Retain: q.Retain,
	}
	for _, k := range q.KIDs {
		d.KeyIDs = append(d.KeyIDs, k.String())
	}
	return d
}

func messageID(q spool.Quarantined) string { return fmt.Sprintf("%x", q.ID[:]) }

// each calls f for every message until it says no more.
func (l localQuarantine) each(f func(int, spool.Quarantined) (more bool, err error)) error {
	for i := range l.uplinks {
		for q, err := range l.spool.Quarantined(i) {
			if err != nil {
				return err
			}
			if more, err := f(i, q); err != nil || !more {
				return err
			}
		}
	}
	return nil
}

// find calls f for the message with an id.
func (l localQuarantine) find(id string, f func(int, spool.Quarantined) error) error {
	found := false
	err := l.each(func(i int, q spool.Quarantined) (bool, error) {
		if messageID(q) != id {
			return true, nil
		}
		found = true
		return false, f(i, q)
	})
	if err == nil && !found {
		return ErrNotQuarantined
	}
	return err
}

func (l localQuarantine) show(id string) (d Quarantined, err error) {
	err = l.find(id, func(i int, q spool.Quarantined) error {
		d = l.describe(i, q)
		d.Payload = q.Record.Payload
		return nil
	})
	return d, err
}

func (l localQuarantine) release(id string) error {
	return l.find(id, func(i int, q spool.Quarantined) error {
		rec := q.Record
		rec.Reason = ""
		if err := l.spool.Commit([]spool.Entry{{Uplink: i, Lane: uint8(policy.LaneNormal), Record: rec}}); err != nil {
			return fmt.Errorf("release message: %w", err)
		}
		return l.spool.Discard(i, q.Pos) // after the commit: between the two it may be sent twice, never lost
	})
}

func (l localQuarantine) drop(id string) error {
	return l.find(id, func(i int, q spool.Quarantined) error { return l.spool.Discard(i, q.Pos) })
}

// handler serves it over HTTP.
func (l localQuarantine) handler() http.Handler {
	answer := func(w http.ResponseWriter, v any, err error) {
		switch {
		case errors.Is(err, ErrNotQuarantined):
			http.Error(w, err.Error(), http.StatusNotFound)
		case err != nil:
			http.Error(w, err.Error(), http.StatusInternalServerError)
		default:
			w.Header().Set("Content-Type", "application/json")
			_ = json.NewEncoder(w).Encode(v) // else the client went away
		}
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /quarantine", func(w http.ResponseWriter, _ *http.Request) {
		all, err := l.list()
		answer(w, all, err)
	})
	mux.HandleFunc("GET /quarantine/{id}", func(w http.ResponseWriter, r *http.Request) {
		one, err := l.show(r.PathValue("id"))
		answer(w, one, err)
	})
	mux.HandleFunc("POST /quarantine/{id}/release", func(w http.ResponseWriter, r *http.Request) {
		answer(w, nil, l.release(r.PathValue("id")))
	})
	mux.HandleFunc("DELETE /quarantine/{id}", func(w http.ResponseWriter, r *http.Request) {
		answer(w, nil, l.drop(r.PathValue("id")))
	})
	return mux
}

// direct answers requests without a connection: for a gateway that is stopped.
type direct struct{ http.Handler }

func (d direct) RoundTrip(r *http.Request) (*http.Response, error) {
	w := &recorded{header: http.Header{}, code: http.StatusOK}
	d.ServeHTTP(w, r)
	return &http.Response{StatusCode: w.code, Header: w.header, Body: io.NopCloser(&w.Buffer), Request: r}, nil
}

type recorded struct {
	bytes.Buffer
	header http.Header
	code   int
}

func (w *recorded) Header() http.Header  { return w.header }
func (w *recorded) WriteHeader(code int) { w.code = code }

// A Quarantine is what the uplinks of a gateway would not take: of the running
// one, or of one that is stopped.
type Quarantine struct {
	ctx    context.Context // of the command that asks
	client *http.Client
	close  func() error
}

// Close ends it: what was released or dropped is durable before.
func (q *Quarantine) Close() error { return q.close() }

// List returns the messages, oldest first.
func (q *Quarantine) List() (all []Quarantined, err error) {
	err = q.ask(http.MethodGet, "", &all)
	return all, err
}

// Show returns one message, with its payload.
func (q *Quarantine) Show(id string) (m Quarantined, err error) {
	err = q.ask(http.MethodGet, "/"+url.PathEscape(id), &m)
	return m, err
}

// Release puts a message at the end of what its uplink is sent, in the normal
// lane. It comes back if it is refused again.
func (q *Quarantine) Release(id string) error {
	return q.ask(http.MethodPost, "/"+url.PathEscape(id)+"/release", nil)
}

// Drop deletes a message for good.
func (q *Quarantine) Drop(id string) error {
	return q.ask(http.MethodDelete, "/"+url.PathEscape(id), nil)
}

// ask sends one request and reads the answer into v.
func (q *Quarantine) ask(method, path string, v any) error {
	req, err := http.NewRequestWithContext(q.ctx, method, "http://gateway/quarantine"+path, nil)
	if err != nil {
		return fmt.Errorf("ask the gateway: %w", err)
	}
	resp, err := q.client.Do(req)
	if err != nil {
		return fmt.Errorf("ask the gateway: %w", err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	switch {
	case err != nil:
		return fmt.Errorf("read the gateway's answer: %w", err)
	case resp.StatusCode == http.StatusNotFound:
		return ErrNotQuarantined
	case resp.StatusCode != http.StatusOK:
		return fmt.Errorf("the gateway answered: %s", bytes.TrimSpace(body))
	case v == nil:
		return nil
	}
	if err := json.Unmarshal(body, v); err != nil {
		return fmt.Errorf("read the gateway's answer: %w", err)
	}
	return nil
}
