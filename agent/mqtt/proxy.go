package mqtt

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"
)

// A Proxy is an HTTP proxy that opens connections with CONNECT (RFC 9110,
// section 9.3.6). It sees the broker's name and port; with mqtts or wss,
// nothing else.
type Proxy struct {
	URL      string // http://host:port or https://host:port
	Username string // empty: none
	Password Password
	TLS      *tls.Config // for https; nil: system roots
}

// connect asks for a connection to addr, and closes its own on an error.
func (p *Proxy) connect(ctx context.Context, dial func(context.Context, string, string) (net.Conn, error), addr string) (_ net.Conn, err error) {
	u, err := url.Parse(p.URL)
	if err != nil || u.Hostname() == "" || u.User != nil || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("parse proxy URL: want http://host:port or https://host:port")
	}
	port := or(u.Port(), map[string]string{"http": "80", "https": "443"}[u.Scheme])
	c, err := dial(ctx, "tcp", net.JoinHostPort(u.Hostname(), port))
	if err != nil {
		return nil, fmt.Errorf("dial proxy: %w", err)
	}
	raw := c
	stop := context.AfterFunc(ctx, func() { _ = raw.SetDeadline(time.Unix(1, 0)) })
	defer func() {
		if !stop() && err == nil {
			err = context.Cause(ctx)
		}
		if err != nil {
			_ = raw.Close()
		}
	}()
	if u.Scheme == "https" {
		cfg := &tls.Config{MinVersion: tls.VersionTLS12}
		if p.TLS != nil {
			cfg = p.TLS.Clone()
		}
		cfg.ServerName = or(cfg.ServerName, u.Hostname())
		t := tls.Client(c, cfg)
		if err := t.HandshakeContext(ctx); err != nil {
			return nil, fmt.Errorf("TLS with proxy: %w", err)
		}
		c = t
	}
	req := &http.Request{Method: http.MethodConnect, URL: &url.URL{Host: addr}, Host: addr, Header: http.Header{}}
	if p.Username != "" {
		req.SetBasicAuth(p.Username, string(p.Password))
		req.Header["Proxy-Authorization"] = req.Header["Authorization"]
		delete(req.Header, "Authorization")
	}
	if err := req.Write(c); err != nil {
		return nil, fmt.Errorf("ask proxy: %w", err)
	}
	in := bufio.NewReaderSize(c, 4<<10)
	resp, err := http.ReadResponse(in, req)
	if err != nil {
		return nil, fmt.Errorf("read answer of proxy: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("proxy answered %d %s", resp.StatusCode, http.StatusText(resp.StatusCode))
	}
	if in.Buffered() > 0 {
		return nil, errors.New("proxy sent more than its answer") // TLS and MQTT begin with the client
	}
	return c, nil
}
