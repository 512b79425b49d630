package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"net"
	"net/url"
	"syscall"
	"time"

	"github.com/sealgate/sealgate/agent"
	"github.com/sealgate/sealgate/agent/config"
	"github.com/sealgate/sealgate/agent/mqtt"
)

// listeners tries the ports that the gateway listens on.
func (v *visit) listeners(ctx context.Context) {
	if b := v.cfg.Ingress.Broker; b != nil {
		for _, l := range b.Listeners {
			v.port(ctx, l.Address)
		}
	}
	if v.cfg.Metrics.Listen != "off" {
		v.port(ctx, v.cfg.Metrics.Listen)
	}
}

func (v *visit) port(ctx context.Context, addr string) {
	name := "port " + addr
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if err == nil {
		_ = l.Close()
	}
	switch {
	case err == nil && v.running:
		v.say(name, Warn, "restart the gateway: systemctl restart sealgate", "free, although the gateway runs: it listens elsewhere")
	case err == nil:
		v.fine(name, "free")
	case errors.Is(err, syscall.EADDRINUSE) && v.running:
		v.fine(name, "in use while the gateway runs")
	case errors.Is(err, syscall.EADDRINUSE):
		v.say(name, Fail, "find who listens (ss -ltnp) and stop it, or choose another port", "in use by another program")
	case errors.Is(err, fs.ErrPermission):
		v.say(name, Warn, "choose a port of 1024 or above", "this user may not listen there; the service may not either")
	default:
		v.say(name, Fail, "the address must be one of this machine", "%v", err)
	}
}

// uplinks resolves and reaches every uplink's broker.
func (v *visit) uplinks(ctx context.Context) {
	for i := range v.cfg.Uplinks {
		u := &v.cfg.Uplinks[i]
		if v.opt.Offline {
			v.skip("uplink "+u.Name, "not dialled offline")
			continue
		}
		if v.resolves(ctx, u) == nil {
			_ = v.reaches(ctx, u) // told
		}
	}
}

// Look resolves an uplink's name and connects to its broker: with login as the
// gateway does, without it as far as the TLS handshake. The error is what stood
// in the way. timeout is that of each step; 0: 10 s.
func Look(ctx context.Context, u *config.Uplink, login bool, timeout time.Duration) ([]Result, error) {
	v := &visit{opt: Options{Timeout: timeout}}
	v.opt.defaults()
	err := v.resolves(ctx, u)
	switch {
	case err != nil:
	case login:
		err = v.reaches(ctx, u)
	default:
		err = v.connects(ctx, u)
	}
	return v.results, err
}

// resolves looks up whom the gateway dials: the proxy, where there is one.
func (v *visit) resolves(ctx context.Context, u *config.Uplink) error {
	name, at := "DNS "+u.Name, u.URL
	if u.Proxy != nil {
		at = u.Proxy.URL
	}
	parsed, err := url.Parse(at)
	if err != nil {
		v.say(name, Fail, "correct its url in agent.yaml", "the url can't be parsed")
		return err
	}
	host := parsed.Hostname()
	if net.ParseIP(host) != nil {
		v.skip(name, "the address is a number")
		return nil
	}
	ctx, cancel := v.until(ctx)
	defer cancel()
	found, err := net.DefaultResolver.LookupHost(ctx, host)
	if err != nil {
		v.say(name, Fail, "look at the name, and at the name server (/etc/resolv.conf)", "%v", err)
		return err
	}
	v.fine(name, "%s: %d addresses", host, len(found))
	return nil
}

func (v *visit) reaches(ctx context.Context, u *config.Uplink) error {
	ctx, cancel := v.until(ctx)
	defer cancel()
	err := agent.Reach(ctx, u)
	if err == nil {
		v.fine("uplink "+u.Name, "the broker accepts this gateway")
		return nil
	}
	v.blame(ctx, u, err)
	return err
}

// connects stops before anybody logs in.
func (v *visit) connects(ctx context.Context, u *config.Uplink) error {
	ctx, cancel := v.until(ctx)
	defer cancel()
	err := agent.Knock(ctx, u)
	if err == nil {
		v.fine("uplink "+u.Name, "it can be reached")
		return nil
	}
	v.blame(ctx, u, err)
	return err
}

// blame says what to do about an error of a connection.
func (v *visit) blame(ctx context.Context, u *config.Uplink, err error) {
	name := "uplink " + u.Name
	level, do := Fail, "look at the network, the firewall and the broker"
	var refused *mqtt.ConnectError
	var verify *tls.CertificateVerificationError
	var invalid x509.CertificateInvalidError
	switch {
	case errors.As(err, &refused):
		switch refused.Code {
		case 0x02, 0x05, 0x85, 0x87: // it may be the id alone that is refused
			level, do = Warn, "it was asked as CLIENT_ID-doctor: a broker that binds ids to credentials refuses that; sealgate status tells whether the gateway itself comes in"
		default:
			do = "look at user name and password_file, and at the broker's log"
		}
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		do = "look at this machine's clock; else the broker's certificate must be renewed"
	case errors.As(err, &verify):
		do = "look at tls.ca and tls.server_name of the uplink"
	case errors.Is(err, fs.ErrPermission):
		level, do = Skip, "run it as root: this user can't read the credentials"
	case errors.Is(err, syscall.ECONNREFUSED):
		do = "nothing listens there: look at the port in its url, and at the broker"
	case errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil:
		do = "a firewall may drop it: look at port and route"
	}
	v.say(name, level, do, "%v", err)
}
