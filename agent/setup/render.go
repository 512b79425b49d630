package setup

import (
	"bytes"
	"fmt"
	"io/fs"
	"path/filepath"
	"strconv"
	"time"

	"github.com/sealgate/sealgate/agent/config"
	"github.com/sealgate/sealgate/agent/mqtt/broker"
)

// kinds of brokers, and what agent.yaml says of them.
var kinds = []struct{ name, title, note string }{
	{"aws-iot-core", "AWS IoT Core", "the certificate's policy must allow this client id, and these topics"},
	{"azure-event-grid", "Azure Event Grid", "the user name is the client's authentication name; a topic space must allow these topics"},
	{"emqx", "EMQX", "its access rules must let this user publish these topics"},
	{"hivemq", "HiveMQ", "its permissions must let this user publish these topics"},
	{"mosquitto", "mosquitto, or any other", ""},
}

// files are agent.yaml, the policy, and what both name.
func (a *Answers) files(now time.Time) ([]config.ImportedFile, error) {
	var files []config.ImportedFile
	add := func(name string, mode fs.FileMode, data string) {
		files = append(files, config.ImportedFile{Name: name, Mode: mode, Data: []byte(data)})
	}
	add("agent.yaml", 0o644, a.agentYAML(now))
	add("policy.yaml", 0o644, a.policyYAML())
	if a.password != "" {
		add("cloud.password", 0o600, a.password+"\n")
	}
	if a.devicesPassword != "" {
		add("devices.password", 0o600, a.devicesPassword+"\n")
	}
	if a.Device != "" {
		line, password, err := broker.NewUser(a.Device)
		if err != nil {
			return nil, err
		}
		add("users", 0o600, "# name:hash, a line for each device: mosquitto_passwd FILE NAME\n"+line+"\n")
		add(a.Device+".password", 0o600, password+"\n")
	}
	return files, nil
}

// agentYAML writes the configuration as a person would.
func (a *Answers) agentYAML(now time.Time) string {
	var b bytes.Buffer
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	q := strconv.Quote // of printable text: also YAML
	p("# Made by sealgate setup. Every setting, with its default: configs/agent.yaml, in")
	p("# packages /usr/share/doc/sealgate/examples/agent.yaml. After a change:")
	p("#   sealgate check, then systemctl restart sealgate")
	p("")
	p("gateway: %s   # part of every envelope; keys are bound to it", q(a.Gateway))
	p("site: %s   # for topics", q(a.Site))
	if a.State != "" {
		p("state: %s   # the gateway's own keys, spool, sessions", q(a.State))
	}
	p("")
	p("ingress:   # where messages come from")
	a.ingressYAML(p)
	p("")
	p("uplinks:   # where they go, once they are graded")
	p("  cloud:")
	a.uplinkYAML(p)
	p("    topics:   # first match wins; what none matches stays here")
	p("      - {pattern: \"spBv1.0/#\", direction: out}   # Sparkplug B hosts look for these as they are")
	p("      - {pattern: \"#\", direction: out, remote_prefix: \"{site}/{gateway}/\"}")
	p("")
	p("policy: policy.yaml   # what is sensitive, and what happens to it")
	p("")
	if a.Recipients != "" {
		p("keys:   # who can open what is encrypted, and whose signature on that list counts")
		p("  recipients: %s", q(a.Recipients))
		p("  trust_root: %s", q(a.TrustRoot))
	} else {
		p("# Who can open what is encrypted. Without them what needs a key waits. Make them at")
		p("# a desk: sealctl keys init --site %s --audience analytics", a.Site)
		p("# keys:")
		p("#   recipients: recipients.bundle")
		p("#   trust_root: root.json")
	}
	p("")
	p("custody: {kind: %s}   # where the key lives that encrypts the gateway's own keys", a.Keys)
	if a.Volatile {
		p("")
		p("spool: {volatile: true}   # a power cut may empty the state directory")
	}
	if a.Mode == "observe" {
		p("")
		p("guard:   # no policy can loosen this")
		p("  observe_until: %s   # until then the policy may observe; then it is enforced", now.UTC().AddDate(0, 0, observeDays).Format(time.DateOnly))
		p("  observe_then: enforce")
	}
	return b.String()
}

func (a *Answers) ingressYAML(p func(string, ...any)) {
	q := strconv.Quote
	if _, ok := a.existing(); ok {
		p("  subscribe:   # a broker that runs already; what it keeps on disk is not protected")
		p("    - url: %s", q(a.Devices))
		p("      topics: [\"#\"]")
		a.loginYAML(p, "      ", a.DevicesUsername, a.DevicesPasswordFile, a.devicesPassword, "devices.password")
		return
	}
	p("  broker:   # our own")
	p("    listeners: [{address: %s}]", q(a.Devices))
	if a.Device == "" {
		p("    anonymous: true   # on loopback only")
		return
	}
	p("    # Without tls (cert, key) names, passwords and messages are readable on the way")
	p("    # from the devices: configs/agent.yaml shows how to set it.")
	p("    users: users   # a client may publish below its own name, unless an acl says more")
}

func (a *Answers) uplinkYAML(p func(string, ...any)) {
	q := strconv.Quote
	p("    url: %s", q(a.Uplink))
	if a.Cleartext {
		p("    cleartext: true   # what passes is readable on the way")
	}
	for _, k := range kinds {
		if k.name == a.Broker && k.note != "" {
			p("    preset: %s   # rates and sizes that %s takes", k.name, k.title)
			p("    client_id: %s   # %s", q(a.Gateway), k.note)
		}
	}
	a.loginYAML(p, "    ", a.Username, a.PasswordFile, a.password, "cloud.password")
	if a.CA == "" && a.Cert == "" {
		return
	}
	p("    tls:")
	if a.CA != "" {
		p("      ca: %s", q(a.CA))
	}
	if a.Cert != "" {
		p("      cert: %s", q(a.Cert))
		p("      key: %s", q(a.Key))
	}
}

func (a *Answers) loginYAML(p func(string, ...any), indent, user, file, typed, name string) {
	if user != "" {
		p("%susername: %s", indent, strconv.Quote(user))
	}
	if typed != "" {
		file = name
	}
	if file != "" {
		p("%spassword_file: %s", indent, strconv.Quote(file))
	}
}

func (a *Answers) policyYAML() string {
	var b bytes.Buffer
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	p("# Made by sealgate setup. After a change raise version, and say")
	p("#   sealctl policy check FILE, then systemctl reload sealgate")
	p("schema: sealgate/policy/v1")
	p("version: 1")
	p("profile: %s   # the legal setting that grades classes: generic | eu | cn | automotive", a.Profile)
	if a.Mode == "observe" {
		p("mode: observe   # nothing is changed yet; what would happen is counted. To protect a route")
		p("                # write mode: enforce into it; when every route is, here")
	} else {
		p("mode: enforce")
	}
	p("routes:   # first match wins")
	p("  - name: everything")
	p("    topics: [\"#\"]")
	return b.String()
}

// absolute makes a path that a person typed one that holds from anywhere.
func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}
