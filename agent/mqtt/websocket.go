package mqtt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/gorilla/websocket"
)

// openWebSocket turns a connection, TLS included, into one that carries MQTT in
// binary messages (MQTT 5.0 section 6, the same in 3.1.1). It closes it on an
// error.
func openWebSocket(ctx context.Context, c net.Conn, u *url.URL, header http.Header) (net.Conn, error) {
	at := *u
	at.Scheme = "ws" // TLS is done
	dialer := websocket.Dialer{
		NetDialContext: func(context.Context, string, string) (net.Conn, error) { return c, nil },
		Subprotocols:   []string{"mqtt"},
		ReadBufferSize: 4 << 10, WriteBufferSize: 16 << 10,
	}
	ws, resp, err := dialer.DialContext(ctx, at.String(), header)
	if err != nil {
		_ = c.Close()
		if errors.Is(err, websocket.ErrBadHandshake) {
			return nil, fmt.Errorf("open WebSocket: the server answered %d %s", resp.StatusCode, http.StatusText(resp.StatusCode))
		}
		return nil, fmt.Errorf("open WebSocket: %w", err)
	}
	if ws.Subprotocol() != "mqtt" {
		_ = ws.Close()
		return nil, errors.New("open WebSocket: the server does not speak MQTT there")
	}
	return &webConn{Conn: c, ws: ws}, nil
}

// A webConn is a WebSocket as a stream of bytes: messages have no meaning in
// MQTT over WebSockets. One goroutine reads and one writes; any sets deadlines.
type webConn struct {
	net.Conn // deadlines and addresses
	ws       *websocket.Conn
	in       io.Reader                 // of the message in hand
	until    atomic.Pointer[time.Time] // deadline of writes
}

func (w *webConn) Read(p []byte) (int, error) {
	for {
		if w.in == nil {
			kind, in, err := w.ws.NextReader()
			if err != nil {
				if websocket.IsCloseError(err, websocket.CloseNormalClosure, websocket.CloseGoingAway) {
					return 0, io.EOF
				}
				return 0, err
			}
			if kind != websocket.BinaryMessage {
				return 0, errors.New("broker sent text over the WebSocket") // [MQTT-6.0.0-1]
			}
			w.in = in
		}
		n, err := w.in.Read(p)
		if errors.Is(err, io.EOF) {
			w.in = nil
			if err = nil; n == 0 {
				continue
			}
		}
		return n, err
	}
}

func (w *webConn) Write(p []byte) (int, error) {
	// The library sets its own deadline before each write, and may be told only
	// by who writes.
	if t := w.until.Load(); t != nil {
		_ = w.ws.SetWriteDeadline(*t) // never fails
	}
	if err := w.ws.WriteMessage(websocket.BinaryMessage, p); err != nil {
		return 0, err
	}
	return len(p), nil
}

func (w *webConn) Close() error {
	_ = w.ws.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""), time.Now().Add(time.Second/10))
	return w.ws.Close()
}

// SetWriteDeadline holds for the write under way and for those that follow.
func (w *webConn) SetWriteDeadline(t time.Time) error {
	w.until.Store(&t)
	return w.Conn.SetWriteDeadline(t)
}
