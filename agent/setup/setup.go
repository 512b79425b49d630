// Package setup makes the first configuration of a gateway: five questions,
// each with a default, answered by a person or beforehand, become agent.yaml, a
// policy, and the files that both name.
//
// What is answered is checked at once: a URL is one, a certificate belongs to
// its key, and, where the person agrees, a broker answers. Nothing is written
// before the whole is known to be valid ([Plan.Check]); [Write] then keeps what
// it replaces. The package starts no service and changes none.
package setup

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/sealgate/sealgate/agent"
	"github.com/sealgate/sealgate/agent/config"
	"github.com/sealgate/sealgate/agent/doctor"
)

// SystemDir is where the service reads its configuration.
const SystemDir = "/etc/sealgate"

// systemState is where it writes.
const systemState = "/var/lib/sealgate"

// observeDays is how long a configuration made here may observe.
const observeDays = 30

// Answers are what a gateway has to be told. An empty one is asked for.
type Answers struct {
	// Devices is host:port for the embedded broker to listen at, or the URL of a
	// broker that runs already.
	Devices             string
	DevicesUsername     string // of that broker
	DevicesPasswordFile string
	Device              string // name of a first device, where names are needed

	Uplink    string // URL of the cloud's broker
	Broker    string // its kind: a preset of agent.yaml, or mosquitto for any other
	CA        string // PEM file of who signed its certificate; empty: the system's roots
	Cleartext bool   // no TLS to another machine is meant

	Login        string // certificate, password or none
	Cert, Key    string // PEM files
	Username     string
	PasswordFile string

	Profile string // generic, eu, cn or automotive
	Mode    string // observe or enforce

	Keys string // tpm, credential or file

	// Not asked for.
	Gateway    string // default: the host name
	Site       string // default: site
	State      string // default: the service's own, or state beside agent.yaml
	Volatile   bool   // a state directory that a power cut empties is meant
	Recipients string // signed bundle; default: recipients.bundle and root.json
	TrustRoot  string // beside agent.yaml, where both are there

	// What a person typed, for files of their own.
	password, devicesPassword string
}

// Facts are what a machine shows of itself.
type Facts struct {
	Hostname    string
	BrokerRuns  bool   // something listens at 127.0.0.1:1883
	TPM         bool   // there is one, and it may be used
	Credentials bool   // systemd can encrypt credentials, and may be asked to
	Bridge      string // a mosquitto.conf with a bridge that could be imported
}

// Look finds out about this machine. It connects to nobody but itself.
func Look(ctx context.Context, now time.Time) (f Facts) {
	if h, err := os.Hostname(); err == nil {
		f.Hostname, _, _ = strings.Cut(h, ".")
	}
	d := net.Dialer{Timeout: time.Second}
	if c, err := d.DialContext(ctx, "tcp", "127.0.0.1:1883"); err == nil {
		f.BrokerRuns = true
		_ = c.Close()
	}
	if t, err := os.OpenFile("/dev/tpmrm0", os.O_RDWR, 0); err == nil {
		f.TPM = true
		_ = t.Close()
	}
	if _, err := os.Stat("/run/systemd/system"); err == nil && os.Geteuid() == 0 {
		_, err := exec.LookPath("systemd-creds")
		f.Credentials = err == nil
	}
	const conf = "/etc/mosquitto/mosquitto.conf"
	if _, err := config.ImportMosquitto(config.ImportOptions{Path: conf, Hostname: f.Hostname, Now: now}); err == nil {
		f.Bridge = conf
	}
	return f
}

// Options say how to fill in what Answers leave open.
type Options struct {
	Dir      string // where agent.yaml will be
	Facts    Facts
	Now      time.Time
	Person   *Person // who is asked; nil: nobody
	Defaults bool    // without a person, take defaults
	Try      bool    // without a person, connect to the brokers, and fail where one does not answer
}

// Person is somebody at a terminal.
type Person struct {
	Out    io.Writer
	Line   func(ctx context.Context) (string, error) // one line, without its end; io.EOF ends it all
	Secret func(ctx context.Context) (string, error) // the same, not shown
}

// Plan is a configuration to be written.
type Plan struct {
	Answers Answers
	Dir     string
	Files   []config.ImportedFile
	Tried   []doctor.Result // what brokers answered
	Notes   []string        // what a person should know
}

// New completes the answers, makes the files, and checks them as `sealgate
// check` does.
func New(ctx context.Context, given Answers, opt Options) (*Plan, error) {
	s := &session{a: given, opt: opt}
	if err := s.questions(ctx); err != nil {
		return nil, err
	}
	p := &Plan{Answers: s.a, Dir: opt.Dir, Tried: s.tried}
	files, err := s.a.files(opt.Now)
	if err != nil {
		return nil, err
	}
	p.Files = files
	return p, p.check(opt.Now)
}

// check writes the files where nobody sees them, with other secrets, and lets
// the agent judge them.
func (p *Plan) check(now time.Time) error {
	dir, err := os.MkdirTemp("", "sealgate-setup-") // 0700
	if err != nil {
		return fmt.Errorf("make temporary directory: %w", err)
	}
	defer os.RemoveAll(dir)
	for _, f := range p.Files {
		data := f.Data
		if strings.HasSuffix(f.Name, ".password") {
			data = []byte("x\n")
		}
		if err := os.WriteFile(filepath.Join(dir, f.Name), data, 0o600); err != nil {
			return err
		}
	}
	cfg, err := config.Load(filepath.Join(dir, "agent.yaml"))
	if err == nil {
		p.Notes, err = agent.Check(cfg, now)
	}
	if err != nil {
		return fmt.Errorf("these answers make no valid configuration: %w", err)
	}
	return nil
}

// System says whether the plan is that of the service.
func (p *Plan) System() bool { return p.Dir == SystemDir }

// Path is that of agent.yaml.
func (p *Plan) Path() string { return filepath.Join(p.Dir, "agent.yaml") }

// Next are the commands that come after, in order.
func (p *Plan) Next() (next []string) {
	a, with := &p.Answers, ""
	if !p.System() {
		with = " --config " + shellWord(p.Path())
	}
	const dropIns, examples = "/etc/systemd/system/sealgate.service.d/", "/usr/share/doc/sealgate/examples/systemd/"
	switch {
	case a.Keys == "tpm" && p.System():
		next = append(next, "install -D -m 0644 -t "+dropIns+" "+examples+"tpm.conf", "systemctl daemon-reload")
	case a.Keys == "credential":
		next = append(next,
			"mkdir -p -m 0700 /etc/credstore.encrypted",
			"sealgate keys credential | systemd-creds encrypt --name=sealgate-kek - /etc/credstore.encrypted/sealgate-kek",
			"install -D -m 0644 -t "+dropIns+" "+examples+"credential.conf", "systemctl daemon-reload")
	}
	if p.System() {
		next = append(next, "systemctl enable --now sealgate")
	} else {
		next = append(next, "sealgate run"+with+" &")
	}
	return append(next, "sealgate doctor"+with, p.hello(), "sealgate status"+with)
}

// hello publishes a first message as a device would.
func (p *Plan) hello() string {
	a := &p.Answers
	host, port, login, topic := "127.0.0.1", "1883", "", "test/hello"
	if b, ok := a.existing(); ok {
		host, port = b.Hostname(), b.Port()
		if a.DevicesUsername != "" {
			login = " -u " + shellWord(a.DevicesUsername) + " -P PASSWORD"
		}
	} else if h, pt, err := net.SplitHostPort(a.Devices); err == nil {
		port = pt
		if ip := net.ParseIP(h); h != "" && (ip == nil || !ip.IsUnspecified()) {
			host = h
		}
	}
	if a.Device != "" {
		login = " -u " + a.Device + ` -P "$(cat ` + shellWord(filepath.Join(p.Dir, a.Device+".password")) + `)"`
		topic = a.Device + "/hello"
	}
	return "mosquitto_pub -h " + host + " -p " + port + login + " -q 1 -t " + topic + ` -m '{"n":1}'`
}

// shellWord quotes what a shell would take apart.
func shellWord(s string) string {
	if s != "" && !strings.ContainsFunc(s, func(c rune) bool {
		return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.ContainsRune("/._-:@%+=,", c))
	}) {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}
