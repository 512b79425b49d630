package mqtt

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"syscall"
	"time"
)

// Password is a credential that does not print.
type Password string

const redacted = "REDACTED"

func (Password) String() string               { return redacted }
func (Password) GoString() string             { return redacted }
func (Password) Format(f fmt.State, _ rune)   { _, _ = f.Write([]byte(redacted)) }
func (Password) LogValue() slog.Value         { return slog.StringValue(redacted) }
func (Password) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Options say how to connect to a broker. Only URL is required.
type Options struct {
	// URL is mqtt://host[:1883] or mqtts://host[:8883] (tcp, ssl and tls mean
	// the same), ws://host[:80]/path or wss://host[:443]/path.
	URL      string
	ClientID string // empty: the broker chooses
	Username string
	Password Password

	// TLS is used for mqtts and wss. nil: system roots, TLS 1.2 or later. ServerName is
	// taken from the URL if it is empty.
	TLS *tls.Config

	Header http.Header // of the request for a WebSocket, beside its own
	Proxy  *Proxy      // nil: none

	KeepAlive      time.Duration // rounded up to seconds; 0: 60 s
	ConnectTimeout time.Duration // for dial, TLS and CONNACK together; 0: 15 s
	WriteTimeout   time.Duration // for a peer that reads nothing; 0: 30 s
	BufferBytes    int           // bytes on their way to the socket before Publish waits; 0: 256 KiB
	PacketBytes    int           // longest packet to receive; 0: 1 MiB

	// MaxQoS caps the QoS of what is published; 0: 1. (Between a rewinding
	// sender and its broker, QoS 2 costs two round trips and protects nothing;
	// and mosquitto ends a connection with more than 20 of them under way.)
	MaxQoS byte

	// Version is the protocol of Dial: 4 is MQTT 3.1.1, 5 is MQTT 5; 0: 4.
	Version byte

	Will *Message // published by the broker when the connection is lost; nil: none

	// Dial opens the connection below TLS; nil: net.Dialer.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)

	// Stats, if not nil, counts. It may be shared by the connections that follow
	// each other.
	Stats *ConnStats
}

// ErrClosed is what Done reports after Close.
var ErrClosed = errors.New("connection closed by us")

// ErrNoAnswer says that the broker hung up before it answered CONNECT. Some do
// so with a client that asks for what it may not have.
var ErrNoAnswer = errors.New("broker closed the connection without an answer")

// unanswered names the end of a connection that waits for CONNACK.
func unanswered(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET) {
		return ErrNoAnswer
	}
	return err
}

// A ConnectError is the broker's refusal of a connection.
type ConnectError struct {
	Version byte // protocol version: 4 is MQTT 3.1.1, 5 is MQTT 5
	Code    byte // return code of 3.1.1 (3.2.2.3), reason code of MQTT 5 (3.2.2.2)
}

func (e *ConnectError) Error() string {
	return fmt.Sprintf("broker refused the connection: %s (0x%02x)", reason(e.Version, e.Code), e.Code)
}

// reason is the name of a code in the standard.
func reason(version, code byte) string {
	if name := codes[[2]byte{version, code}]; name != "" {
		return name
	}
	return "unknown reason"
}

// Final says that trying again with the same settings can't help: credentials,
// authorization, client id, protocol version.
func (e *ConnectError) Final() bool {
	if e.Version < 5 {
		return e.Code != 3
	}
	switch e.Code {
	case 0x81, 0x82, 0x84, 0x85, 0x86, 0x87, 0x8a, 0x8c:
		return true
	}
	return false
}

// Busy says that the broker takes nobody just now, whoever asks for what.
func (e *ConnectError) Busy() bool {
	if e.Version < 5 {
		return e.Code == 3
	}
	switch e.Code {
	case 0x88, 0x89, 0x8b, 0x97, 0x9c, 0x9d, 0x9f:
		return true
	}
	return false
}

var codes = map[[2]byte]string{
	{4, 1}: "protocol version not supported", {4, 2}: "client id rejected", {4, 3}: "server unavailable",
	{4, 4}: "bad user name or password", {4, 5}: "not authorized",
	{5, 0x80}: "unspecified error", {5, 0x81}: "malformed packet", {5, 0x82}: "protocol error",
	{5, 0x83}: "implementation specific error", {5, 0x84}: "protocol version not supported",
	{5, 0x85}: "client id not valid", {5, 0x86}: "bad user name or password", {5, 0x87}: "not authorized",
	{5, 0x88}: "server unavailable", {5, 0x89}: "server busy", {5, 0x8a}: "banned",
	{5, 0x8b}: "server shutting down", {5, 0x8c}: "bad authentication method", {5, 0x8d}: "keep alive timeout",
	{5, 0x8e}: "session taken over", {5, 0x93}: "receive maximum exceeded", {5, 0x96}: "message rate too high",
	{5, 0x98}: "administrative action", {5, 0x90}: "topic name invalid", {5, 0x95}: "packet too large",
	{5, 0x97}: "quota exceeded", {5, 0x99}: "payload format invalid", {5, 0x9a}: "retain not supported",
	{5, 0x9b}: "QoS not supported", {5, 0x9c}: "use another server", {5, 0x9d}: "server moved",
	{5, 0x9f}: "connection rate exceeded",
}

// defaults fills in what is not set, and says what can't be.
func (o *Options) defaults() error {
	if o.KeepAlive <= 0 {
		o.KeepAlive = time.Minute
	}
	o.KeepAlive = (o.KeepAlive + time.Second - 1).Truncate(time.Second)
	if o.KeepAlive > 65535*time.Second {
		return fmt.Errorf("keepalive is %s, want at most 65535 s", o.KeepAlive)
	}
	if o.ConnectTimeout <= 0 {
		o.ConnectTimeout = 15 * time.Second
	}
	if o.WriteTimeout <= 0 {
		o.WriteTimeout = 30 * time.Second
	}
	if o.BufferBytes <= 0 {
		o.BufferBytes = 256 << 10
	}
	if o.PacketBytes <= 0 {
		o.PacketBytes = 1 << 20
	}
	if o.MaxQoS == 0 {
		o.MaxQoS = 1
	}
	if o.MaxQoS > 2 {
		return fmt.Errorf("max QoS is %d, want at most 2", o.MaxQoS)
	}
	if o.Version == 0 {
		o.Version = 4
	}
	if o.Version != 4 && o.Version != 5 {
		return fmt.Errorf("protocol version is %d, want 4 (MQTT 3.1.1) or 5", o.Version)
	}
	if o.Dial == nil {
		o.Dial = new(net.Dialer).DialContext
	}
	if o.Stats == nil {
		o.Stats = new(ConnStats)
	}
	return nil
}

// dial opens the connection, TLS included.
func (o *Options) dial(ctx context.Context) (net.Conn, error) {
	u, err := url.Parse(o.URL)
	if err != nil {
		return nil, errors.New("parse broker URL: want mqtt://host:port or mqtts://host:port")
	}
	if u.User != nil {
		return nil, errors.New("broker URL holds credentials: set user name and password apart")
	}
	port, secure, web := u.Port(), false, false
	switch u.Scheme {
	case "mqtt", "tcp":
		port = or(port, "1883")
	case "mqtts", "ssl", "tls":
		port, secure = or(port, "8883"), true
	case "ws":
		port, web = or(port, "80"), true
	case "wss":
		port, secure, web = or(port, "443"), true, true
	default:
		return nil, fmt.Errorf("broker URL has scheme %q: want mqtt, mqtts, ws or wss", u.Scheme)
	}
	if u.Hostname() == "" {
		return nil, errors.New("broker URL has no host")
	}
	addr := net.JoinHostPort(u.Hostname(), port)
	var c net.Conn
	if o.Proxy != nil {
		c, err = o.Proxy.connect(ctx, o.Dial, addr)
	} else {
		c, err = o.Dial(ctx, "tcp", addr)
	}
	if err != nil {
		return nil, fmt.Errorf("dial broker: %w", err)
	}
	if secure {
		cfg := &tls.Config{MinVersion: tls.VersionTLS12}
		if o.TLS != nil {
			cfg = o.TLS.Clone()
		}
		cfg.ServerName = or(cfg.ServerName, u.Hostname())
		t := tls.Client(c, cfg)
		if err := t.HandshakeContext(ctx); err != nil {
			_ = c.Close()
			return nil, fmt.Errorf("TLS with broker: %w", err)
		}
		c = t
	}
	if web {
		return openWebSocket(ctx, c, u, o.Header)
	}
	return c, nil
}

func or(s, def string) string {
	if s == "" {
		return def
	}
	return s
}
