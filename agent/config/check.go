package config

import (
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sealgate/sealgate/classify"
	"github.com/sealgate/sealgate/internal/strictyaml"
)

var nameRule = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// siteRule is what trust roots and bundles accept as a site.
var siteRule = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)

func (c *Config) check(d *strictyaml.Document) {
	if !nameRule.MatchString(c.Gateway) {
		d.Errorf("gateway", "gateway must be 1 to 64 letters, digits, '.', '_' or '-', got %q", c.Gateway)
	}
	if !siteRule.MatchString(c.Site) {
		d.Errorf("site", "site must be 1 to 64 lower-case letters, digits, '.', '_' or '-', got %q", c.Site)
	}
	if b := c.Ingress.Broker; b != nil {
		c.checkBroker(d, b)
	}
	for i := range c.Ingress.Subscribe {
		c.checkSubscribe(d, i)
	}
	if len(c.Uplinks) == 0 {
		d.Errorf("uplinks", "uplinks: name at least one cloud broker, such as `city: {url: \"mqtts://broker.example.com:8883\"}`")
	}
	if len(c.Uplinks) > 16 {
		d.Errorf("uplinks", "at most 16 uplinks")
	}
	for _, u := range c.Uplinks {
		c.checkUplink(d, u)
	}
	c.Custody.check(d)
	if c.Keys.Recipients != "" && c.Keys.TrustRoot == "" {
		d.Errorf("keys.recipients", "keys.trust_root is needed: it says whose signature on the recipients is valid")
	}
	oneOf(d, "keys.grants", c.Keys.Grants, "inline", "reference")
	if c.Keys.GrantsKeep < time.Hour || c.Keys.GrantsKeep > 10*365*24*time.Hour {
		d.Errorf("keys.grants_keep", "keys.grants_keep must be between 1h and 87600h")
	}
	if c.Control.Uplink != "" {
		if !slices.ContainsFunc(c.Uplinks, func(u Uplink) bool { return u.Name == c.Control.Uplink }) {
			d.Errorf("control.uplink", "control.uplink: there is no uplink %q", c.Control.Uplink)
		}
		if c.Keys.TrustRoot == "" {
			d.Errorf("control.uplink", "keys.trust_root is needed: it says whose signatures the gateway obeys")
		}
	}
	if !nameRule.MatchString(c.Control.Group) {
		d.Errorf("control.group", "group must be 1 to 64 letters, digits, '.', '_' or '-', got %q", c.Control.Group)
	}
	oneOf(d, "spool.when_full", c.Spool.WhenFull, "hold", "evict-low")
	c.Spool.checkMode(d)
	if c.Keys.PseudonymWindow < time.Minute || c.Keys.PseudonymWindow > 366*24*time.Hour {
		d.Errorf("keys.pseudonym_window", "keys.pseudonym_window must be between 1m and 8784h")
	}
	if len(c.Keys.SharedDomains) > 0 && c.Keys.TrustRoot == "" {
		d.Errorf("keys.shared_domains", "keys.trust_root is needed: it says whose signature on a shared domain is valid")
	}
	c.checkGuard(d)
	if m := c.Metrics; m.Listen != "off" {
		if _, _, err := net.SplitHostPort(m.Listen); err != nil {
			d.Errorf("metrics.listen", "metrics.listen must be host:port, or \"off\"")
		} else if !m.OnLoopback() && m.WebConfig == "" {
			d.Errorf("metrics.listen", "metrics.listen must be on loopback, or web_config must name a file with TLS and users")
		}
	}
	oneOf(d, "log.level", c.Log.Level, "debug", "info", "warn", "error")
	oneOf(d, "log.format", c.Log.Format, "text", "json")
}

func (c *Config) checkBroker(d *strictyaml.Document, b *Broker) {
	for i, l := range b.Listeners {
		path := fmt.Sprintf("ingress.broker.listeners.%d", i)
		host, port, err := net.SplitHostPort(l.Address)
		if n, perr := strconv.Atoi(port); err != nil || perr != nil || n < 0 || n > 65535 {
			d.Errorf(path+".address", "address must be host:port, got %q", l.Address)
			continue
		}
		if l.TLS != nil && (l.TLS.Cert == "" || l.TLS.Key == "") {
			d.Errorf(path+".tls", "tls needs cert and key")
		}
		if b.Anonymous && !loopback(host) && (l.TLS == nil || l.TLS.ClientCA == "") {
			d.Errorf("ingress.broker.anonymous", "anonymous is permitted on loopback or with tls.client_ca only; %s is neither: set users", l.Address)
		}
	}
	if !b.Anonymous && b.Users == "" {
		certs := !slices.ContainsFunc(b.Listeners, func(l Listener) bool { return l.TLS == nil || l.TLS.ClientCA == "" })
		if !certs {
			d.Errorf("ingress.broker", "nobody could connect: set users to a password file, or anonymous: true on a loopback listener")
		}
	}
	if b.Limits.Packet < 1<<10 || b.Limits.Packet > 16<<20 {
		d.Errorf("ingress.broker.limits.packet", "packet must be between 1KiB and 16MiB")
	}
	if b.Limits.Clients < 1 || b.Limits.Clients > 100_000 {
		d.Errorf("ingress.broker.limits.clients", "clients must be between 1 and 100000")
	}
	if b.Limits.Inflight < 1 || b.Limits.Inflight > 65535 {
		d.Errorf("ingress.broker.limits.inflight", "inflight must be between 1 and 65535")
	}
	if b.Limits.Sessions < 0 || b.Limits.Sessions > 1_000_000 {
		d.Errorf("ingress.broker.limits.sessions", "sessions must be between 1 and 1000000")
	}
	for _, l := range []struct {
		name string
		n    Bytes
	}{{"session_bytes", b.Limits.SessionBytes}, {"retained_bytes", b.Limits.RetainedBytes}, {"filter_bytes", b.Limits.FilterBytes}} {
		if l.n != 0 && (l.n < 64<<10 || l.n > 1<<30) {
			d.Errorf("ingress.broker.limits."+l.name, "%s must be between 64KiB and 1GiB", l.name)
		}
	}
	if b.Limits.Rate < 0 || b.Limits.Rate > 1_000_000 {
		d.Errorf("ingress.broker.limits.rate", "rate must be between 1 and 1000000 messages a second")
	}
	for _, f := range b.LocalOnly {
		checkFilter(d, "ingress.broker.local_only", f)
	}
}

// validPrefix: whole levels, so that each of them can be graded by itself.
func validPrefix(p string) bool {
	return p == "" || strings.HasSuffix(p, "/") && !strings.ContainsAny(p, "+#\x00") && !strings.HasPrefix(p, "$")
}

func (c *Config) checkGuard(d *strictyaml.Document) {
	g := c.Guard
	if g.Profile != "" {
		oneOf(d, "guard.profile", g.Profile, classify.Profiles()...)
	}
	for grade, action := range g.Minimum {
		if _, ok := parseGrade(grade); !ok {
			d.Errorf("guard.minimum."+grade, "unknown grade %q: L1 to L5", grade)
		}
		oneOf(d, "guard.minimum."+grade, action, "pass", "transform", "encrypt", "block")
	}
	if g.ObserveUntil != "" {
		if _, err := time.Parse(time.DateOnly, g.ObserveUntil); err != nil {
			d.Errorf("guard.observe_until", "observe_until must be a date such as 2026-12-31")
		}
	}
	oneOf(d, "guard.observe_then", g.ObserveThen, "enforce", "keep")
	oneOf(d, "guard.unreadable", g.Unreadable, "seal", "allow")
	oneOf(d, "guard.unclassified", g.Unclassified, "balanced", "strict", "pass")
	if len(g.Detectors) > maxGuardDetectors {
		d.Errorf("guard.detectors", "at most %d detectors: a policy has its own, too", maxGuardDetectors)
	}
	for i := range g.Detectors {
		x := &g.Detectors[i]
		path := fmt.Sprintf("guard.detectors.%d", i)
		if slices.ContainsFunc(g.Detectors[:i], func(o Detector) bool { return o.Name == x.Name }) {
			d.Errorf(path+".name", "detector %q stands twice", x.Name)
		}
		if _, ok := classify.ClassByName(x.Class); !ok {
			d.Errorf(path+".class", "unknown class %q: docs/taxonomy.md lists them", x.Class)
			continue
		}
		custom := x.custom()
		for _, p := range custom.Check() {
			at := path
			if p.Part != "" {
				at += "." + p.Part
			}
			d.Errorf(at, "%s", p.Message)
		}
	}
}

// maxGuardDetectors leaves a policy room for as many.
const maxGuardDetectors = classify.MaxCustom / 2

func parseGrade(s string) (classify.Grade, bool) {
	for g := classify.L1; g <= classify.L5; g++ {
		if s == g.String() {
			return g, true
		}
	}
	return 0, false
}

func oneOf(d *strictyaml.Document, path, got string, want ...string) {
	if !slices.Contains(want, got) {
		key := path[strings.LastIndexByte(path, '.')+1:]
		d.Errorf(path, "%s must be one of %s, got %q%s", key, strings.Join(want, ", "), got, strictyaml.Suggest(got, want))
	}
}

func checkURL(d *strictyaml.Document, path, raw string, schemes ...string) *url.URL {
	u, err := url.Parse(raw)
	if err != nil || u.Hostname() == "" || !slices.Contains(schemes, u.Scheme) || u.Path != "" && u.Scheme != "ws" && u.Scheme != "wss" || u.RawQuery != "" {
		d.Errorf(path, "url must be %s://host:port", strings.Join(schemes, "://host:port or "))
		return nil
	}
	if u.User != nil {
		d.Errorf(path, "no credentials in a url: use username and password_file")
	}
	return u
}

func checkClientTLS(d *strictyaml.Document, path, raw string, t *ClientTLS) {
	if t == nil {
		return
	}
	if !strings.HasPrefix(raw, "mqtts://") && !strings.HasPrefix(raw, "wss://") {
		d.Errorf(path+".tls", "tls is set but the url is not mqtts:// or wss://")
	}
	if (t.Cert == "") != (t.Key == "") {
		d.Errorf(path+".tls", "cert and key belong together")
	}
}

func checkFilter(d *strictyaml.Document, path, f string) {
	if !validFilter(f) {
		d.Errorf(path, "%q is not a valid topic filter", f)
	}
}

// validFilter holds topic filters to MQTT 5.0 section 4.7.
func validFilter(f string) bool {
	if f == "" || len(f) > 65535 || strings.ContainsRune(f, 0) {
		return false
	}
	levels := strings.Split(f, "/")
	for i, l := range levels {
		if strings.Contains(l, "#") && (l != "#" || i != len(levels)-1) || strings.Contains(l, "+") && l != "+" {
			return false
		}
	}
	return true
}

func loopback(host string) bool {
	if host == "localhost" {
		return true
	}
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback()
}
