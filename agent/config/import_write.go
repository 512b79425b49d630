package config

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// agentYAML writes the configuration as a person would.
func (im *importer) agentYAML() []byte {
	var b bytes.Buffer
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	q := strconv.Quote // of valid UTF-8 without control characters: also YAML
	gateway, _, _ := strings.Cut(im.opt.Hostname, ".")

	p("# Made by sealgate import from %s.", q(im.opt.Path))
	p("# Check it with: sealgate check --config agent.yaml")
	p("")
	p("gateway: %s   # part of every envelope; keys are bound to it", q(safeName(gateway)))
	p("")
	p("ingress:")
	p("  broker:")
	p("    listeners:")
	for _, l := range im.listeners {
		p("      - address: %s", q(l.Address))
		if t := l.TLS; t != nil {
			p("        tls:")
			p("          cert: %s", q(t.Cert))
			p("          key: %s", q(t.Key))
			if t.ClientCA != "" {
				p("          client_ca: %s   # devices show a certificate", q(t.ClientCA))
			}
		}
	}
	if im.anonymous {
		p("    anonymous: true   # on loopback only")
	}
	if im.users {
		p("    users: users")
	}
	if im.acl {
		p("    acl: acl")
	}
	p("    # local_only: [\"internal/#\"]   # topics that must never leave, whatever an uplink's topics say")
	if len(im.limits) > 0 {
		p("    limits: {%s}", strings.Join(im.limits, ", "))
	}
	p("")
	p("uplinks:")
	for _, u := range im.up {
		im.uplinkYAML(p, &u)
	}
	p("")
	p("policy: policy.yaml")
	p("")
	p("# Who can open what is encrypted. Nothing is while everything observes; before")
	p("# the first route is enforced, make keys (sealctl keys) and set both.")
	p("# keys:")
	p("#   recipients: recipients.bundle")
	p("#   trust_root: root.json")
	p("")
	p("guard:   # no policy can loosen this")
	p("  observe_until: %s   # until then the policy may observe; then it is enforced", im.opt.Now.UTC().AddDate(0, 0, importDays).Format(time.DateOnly))
	p("  observe_then: enforce")
	return b.Bytes()
}

func (im *importer) uplinkYAML(p func(string, ...any), u *importedUplink) {
	q := strconv.Quote
	p("  %s:   # connection %s", q(u.Name), q(u.bridge.name))
	p("    url: %s", q(u.URL))
	if u.Cleartext {
		p("    cleartext: true   # what passes is readable on the way")
	}
	p("    client_id: %s   # the bridge's own: stop mosquitto's bridge first, or they take turns", q(u.ClientID))
	if u.Username != "" {
		p("    username: %s", q(u.Username))
	}
	if u.PasswordFile != "" {
		p("    password_file: %s", q(u.PasswordFile))
	}
	if t := u.TLS; t != nil {
		p("    tls:")
		for _, f := range [][2]string{{"ca", t.CA}, {"cert", t.Cert}, {"key", t.Key}} {
			if f[1] != "" {
				p("      %s: %s", f[0], q(f[1]))
			}
		}
		for _, alpn := range t.ALPN {
			p("      alpn: [%s]", q(alpn))
		}
	}
	if u.Keepalive > 0 {
		p("    keepalive: %ds", int(u.Keepalive.Seconds()))
	}
	if u.Protocol != "" {
		p("    protocol: %s", q(u.Protocol))
	}
	p("    max_qos: %d", u.maxQoS)
	var takes []string
	if u.Takes.Payload > 0 {
		takes = append(takes, fmt.Sprintf("payload: %d", u.Takes.Payload))
	}
	if u.Takes.Retain != "" {
		takes = append(takes, "retain: "+u.Takes.Retain)
	}
	if len(takes) > 0 {
		p("    takes: {%s}   # bridge_max_packet_size, bridge_outgoing_retain; what is larger goes to quarantine", strings.Join(takes, ", "))
	}
	if u.Window.Messages > 0 {
		p("    window: {messages: %d}   # max_inflight_messages", u.Window.Messages)
	}
	p("    topics:   # first match wins; what none matches stays here")
	for _, t := range u.topics {
		line := "      - {pattern: " + q(t.Pattern) + ", direction: " + t.Direction
		if t.LocalPrefix != "" {
			line += ", local_prefix: " + q(t.LocalPrefix)
		}
		if t.RemotePrefix != "" {
			line += ", remote_prefix: " + q(t.RemotePrefix)
		}
		line += "}"
		if t.note != "" {
			line += "   # " + t.note
		}
		p("%s", line)
	}
}

// policyYAML has a route for each topic filter of the bridges, so that they can
// be turned to enforce one by one.
func (im *importer) policyYAML() []byte {
	var filters []string
	for _, u := range im.up {
		for _, t := range u.topics {
			if f := t.filter(); f != "#" && t.Direction == "out" {
				filters = append(filters, f)
			}
		}
	}
	var b bytes.Buffer
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	p("# Made by sealgate import. Nothing is changed yet: what would happen is")
	p("# recorded and counted. To protect a route, write `mode: enforce` into it; when")
	p("# every route is, into the line below, and remove guard.observe_until.")
	p("schema: sealgate/policy/v1")
	p("version: 1")
	p("profile: %s   # the legal setting that grades classes: generic | eu | cn | automotive", im.opt.Profile)
	p("mode: observe")
	p("routes:   # first match wins; a message goes to every uplink that has a topic for it")
	for _, f := range narrowFirst(filters) {
		p("  - name: %s", strconv.Quote(f))
		p("    topics: [%s]", strconv.Quote(f))
	}
	p("  - name: everything else")
	p("    topics: [\"#\"]")
	return b.Bytes()
}
