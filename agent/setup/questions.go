package setup

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/sealgate/sealgate/agent/config"
	"github.com/sealgate/sealgate/agent/spool"
	"github.com/sealgate/sealgate/configs"
)

// questions asks what is not known yet.
func (s *session) questions(ctx context.Context) error {
	s.unaskedDefaults()
	if s.opt.Person != nil {
		s.print("Five questions make a first configuration; an empty answer takes what is in",
			"brackets. Nothing is written before the last one.")
		if s.opt.Facts.Bridge != "" {
			s.print("", "This machine has a mosquitto bridge. To take that over instead, stop here and run",
				"  sealgate import "+s.opt.Facts.Bridge)
		}
	}
	for _, ask := range []func(context.Context) error{s.devices, s.cloud, s.data, s.keys, s.state} {
		if err := ask(ctx); err != nil {
			return err
		}
	}
	return nil
}

func (s *session) unaskedDefaults() {
	a := &s.a
	if a.Gateway == "" {
		a.Gateway = s.opt.Facts.Hostname
	}
	if a.Site == "" {
		a.Site = "site"
	}
	if a.State == "" && s.opt.Dir != SystemDir {
		a.State = filepath.Join(s.opt.Dir, "state")
	}
	bundle, root := filepath.Join(s.opt.Dir, "recipients.bundle"), filepath.Join(s.opt.Dir, "root.json")
	if a.Recipients == "" && a.TrustRoot == "" && isFile(bundle) && isFile(root) {
		a.Recipients, a.TrustRoot = bundle, root
	}
	for _, path := range []*string{&a.State, &a.Recipients, &a.TrustRoot, &a.PasswordFile, &a.DevicesPasswordFile} {
		if *path != "" {
			*path = absolute(*path)
		}
	}
}

// ownAddress says whether the gateway that is configured already, but for the
// packaged file, listens at an address: it may be what answers there.
func (s *session) ownAddress(addr string) bool {
	path := filepath.Join(s.opt.Dir, "agent.yaml")
	raw, err := os.ReadFile(path)
	if err != nil || bytes.Equal(raw, configs.Packaged) {
		return false
	}
	cfg, err := config.Parse(path, raw)
	return err == nil && cfg.Ingress.Broker != nil && slices.ContainsFunc(cfg.Ingress.Broker.Listeners, func(l config.Listener) bool { return l.Address == addr })
}

// free says whether this machine could listen at an address.
func (s *session) free(ctx context.Context, addr string) error {
	l, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	switch {
	case err == nil:
		return l.Close()
	case errors.Is(err, syscall.EADDRINUSE) && s.ownAddress(addr):
		return nil
	case errors.Is(err, syscall.EADDRINUSE):
		return errors.New("another program listens there: stop it, choose another port, or, if it is a broker, give its URL")
	case errors.Is(err, fs.ErrPermission):
		return nil // the service's user may have the right
	}
	return err
}

func isFile(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.Mode().IsRegular()
}

func (s *session) devices(ctx context.Context) error {
	def := "127.0.0.1:1883"
	if s.opt.Facts.BrokerRuns && !s.ownAddress(def) {
		def = "mqtt://127.0.0.1:1883"
	}
	for {
		if err := s.ask(ctx, question{
			head: "1 of 5  Where do devices publish?",
			text: []string{
				"Sealgate can be their broker: give the address to listen at. Or it reads from a",
				"broker that runs already: give its URL.",
				"  127.0.0.1:1883          for programs on this machine, without a password",
				"  :1883                   for devices on the network, each with a password",
				"  mqtt://127.0.0.1:1883   a broker that runs here already",
			},
			prompt: "devices", flag: "devices", value: &s.a.Devices, def: def,
			check: func(v string) (string, error) {
				v, err := devicesAddress(v)
				if err == nil && s.opt.Person != nil && !strings.Contains(v, "://") {
					err = s.free(ctx, v)
				}
				return v, err
			},
		}); err != nil {
			return err
		}
		if _, ok := s.a.existing(); !ok {
			return s.firstDevice(ctx)
		}
		again, err := s.tryExisting(ctx)
		if err != nil || !again {
			return err
		}
		s.a.Devices = ""
	}
}

// devicesAddress takes host:port, or the URL of a broker.
func devicesAddress(v string) (string, error) {
	if strings.Contains(v, "://") {
		u, err := brokerURL(v)
		if err == nil && u.Scheme != "mqtt" && u.Scheme != "mqtts" {
			err = errors.New("a local broker is read by mqtt:// or mqtts://")
		}
		if err != nil {
			return "", err
		}
		return u.String(), nil
	}
	host, port, err := net.SplitHostPort(v)
	if n, perr := strconv.Atoi(port); err != nil || perr != nil || n < 1 || n > 65535 {
		return "", errors.New("give host:port, such as 127.0.0.1:1883, or a URL, such as mqtt://127.0.0.1:1883")
	}
	if host != "" && host != "localhost" && net.ParseIP(host) == nil {
		return "", errors.New("listen at an address of this machine, in numbers; nothing before the colon means every one")
	}
	return v, nil
}

// existing is the URL of a broker that runs already.
func (a *Answers) existing() (*url.URL, bool) {
	if !strings.Contains(a.Devices, "://") {
		return nil, false
	}
	u, err := url.Parse(a.Devices)
	return u, err == nil
}

// firstDevice is needed where devices log in by name.
func (s *session) firstDevice(ctx context.Context) error {
	host, _, _ := net.SplitHostPort(s.a.Devices) // devicesAddress has checked it
	if loopback(host) {
		return nil
	}
	return s.ask(ctx, question{
		text:   []string{"Devices on the network log in by name. The first one gets a password, in a file."},
		prompt: "name of a first device", flag: "device", value: &s.a.Device, def: "device-1",
		check: func(v string) (string, error) {
			if strings.ContainsFunc(v, func(c rune) bool {
				return !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_')
			}) || v == "cloud" || v == "devices" {
				return "", errors.New("letters, digits, - and _; not cloud or devices")
			}
			return v, nil
		},
	})
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// cloud asks for the broker and the login until the person is content.
func (s *session) cloud(ctx context.Context) error {
	given := s.a
	for {
		if err := s.uplink(ctx); err != nil {
			return err
		}
		again, err := s.tryUplink(ctx, false)
		if err == nil && !again {
			if err = s.login(ctx); err == nil {
				again, err = s.tryUplink(ctx, true)
			}
		}
		if err != nil || !again {
			return err
		}
		a := &s.a // what was said beforehand did not do either
		a.Uplink, a.Broker, a.CA, a.Cleartext = "", given.Broker, given.CA, given.Cleartext
		a.Login, a.Cert, a.Key, a.Username, a.PasswordFile, a.password = "", "", "", "", "", ""
	}
}

func (s *session) uplink(ctx context.Context) error {
	if err := s.ask(ctx, question{
		head: "2 of 5  Where does the data go?",
		text: []string{
			"The URL of the cloud's broker: mqtts:// (TLS) or wss:// (WebSockets). A name alone",
			"means mqtts://NAME:8883.",
		},
		prompt: "uplink", flag: "uplink", value: &s.a.Uplink, check: s.uplinkURL,
	}); err != nil {
		return err
	}
	u, err := url.Parse(s.a.Uplink)
	if err != nil {
		return err
	}
	if (u.Scheme == "mqtt" || u.Scheme == "ws") && !loopback(u.Hostname()) && !s.a.Cleartext {
		if s.opt.Person == nil {
			return fmt.Errorf("--uplink: %s:// to another machine is readable on the way: use %ss://, or say --cleartext if that is meant", u.Scheme, u.Scheme)
		}
		if s.a.Cleartext, err = s.agrees(ctx, "Without TLS all that passes is readable on the way. Is that meant?", false); err != nil {
			return err
		}
		if !s.a.Cleartext {
			s.a.Uplink = ""
			return s.uplink(ctx)
		}
	}
	q := question{
		text:   []string{"Brokers differ in what they take. What is known of this kind is filled in."},
		prompt: "kind of broker", flag: "broker", value: &s.a.Broker, def: kindOf(u.Hostname()),
	}
	for _, k := range kinds {
		q.choice = append(q.choice, struct{ name, title string }{k.name, k.title})
	}
	return s.ask(ctx, q)
}

func (s *session) uplinkURL(v string) (string, error) {
	u, err := brokerURL(v)
	if err != nil {
		return "", err
	}
	if from, ok := s.a.existing(); ok && from.Host == u.Host {
		return "", errors.New("that is the broker that devices publish to: messages would go round in circles")
	}
	if from := s.a.Devices; from == u.Host || strings.HasPrefix(from, ":") && loopback(u.Hostname()) && from == ":"+u.Port() {
		return "", errors.New("that is where Sealgate itself listens: messages would go round in circles")
	}
	return u.String(), nil
}

// brokerURL completes what a person writes for a broker.
func brokerURL(v string) (*url.URL, error) {
	if !strings.Contains(v, "://") {
		v = "mqtts://" + v
	}
	u, err := url.Parse(v)
	if err != nil {
		return nil, errors.New("that is no URL: give one such as mqtts://broker.example.com:8883")
	}
	switch u.Scheme {
	case "ssl", "tls":
		u.Scheme = "mqtts"
	case "tcp":
		u.Scheme = "mqtt"
	}
	ports := map[string]string{"mqtt": "1883", "mqtts": "8883", "ws": "80", "wss": "443"}
	port, known := ports[u.Scheme]
	web := strings.HasPrefix(u.Scheme, "ws")
	if u.Path == "/" {
		u.Path = ""
	}
	switch {
	case !known:
		return nil, errors.New("a URL of a broker begins with mqtts://, wss://, mqtt:// or ws://")
	case u.User != nil:
		return nil, errors.New("no credentials in a URL: they are asked for")
	case u.Hostname() == "" || u.RawQuery != "" || u.Fragment != "" || u.Path != "" && !web:
		return nil, errors.New("give " + u.Scheme + "://host:port")
	}
	if u.Port() != "" {
		if n, err := strconv.Atoi(u.Port()); err != nil || n < 1 || n > 65535 {
			return nil, errors.New("a port is a number from 1 to 65535")
		}
		port = u.Port()
	}
	u.Host = net.JoinHostPort(u.Hostname(), port)
	if web && u.Path == "" {
		u.Path = "/mqtt"
	}
	return u, nil
}

// kindOf knows brokers of providers by their names.
func kindOf(host string) string {
	host = strings.ToLower(host)
	for _, k := range []struct{ suffix, kind string }{
		{".amazonaws.com", "aws-iot-core"}, {".amazonaws.com.cn", "aws-iot-core"},
		{".eventgrid.azure.net", "azure-event-grid"},
		{".emqxsl.com", "emqx"}, {".emqxsl.cn", "emqx"}, {".emqx.cloud", "emqx"}, {".emqx.io", "emqx"},
		{".hivemq.cloud", "hivemq"}, {".hivemq.com", "hivemq"},
	} {
		if strings.HasSuffix(host, k.suffix) {
			return k.kind
		}
	}
	return "mosquitto"
}

func (s *session) login(ctx context.Context) error {
	a := &s.a
	u, err := url.Parse(a.Uplink)
	if err != nil {
		return err
	}
	def := "password"
	switch {
	case a.Cert != "" || a.Username == "" && (a.Broker == "aws-iot-core" || a.Broker == "azure-event-grid"):
		def = "certificate"
	case a.Username == "" && loopback(u.Hostname()):
		def = "none"
	}
	if err := s.ask(ctx, question{
		head:   "3 of 5  How does this gateway log in there?",
		text:   []string{"A certificate is best: its key never travels. A password gets a file of its own."},
		prompt: "login", flag: "login", value: &a.Login, def: def,
		choice: []struct{ name, title string }{
			{"certificate", "a client certificate and its key, in PEM files"},
			{"password", "a user name and a password"},
			{"none", "the broker lets everybody in"},
		},
	}); err != nil {
		return err
	}
	tls := u.Scheme == "mqtts" || u.Scheme == "wss"
	switch {
	case a.Login == "certificate" && !tls:
		return errors.New("--login: a certificate needs TLS, mqtts:// or wss://")
	case a.Login != "certificate" && (a.Cert != "" || a.Key != ""):
		return errors.New("--login: with a certificate and a key it must be certificate")
	case a.Login == "none" && (a.Username != "" || a.PasswordFile != ""):
		return errors.New("--login: with a user name or a password it can't be none")
	case a.Login == "certificate":
		return s.certificate(ctx)
	case a.Login == "password":
		return s.password(ctx, "", &a.Username, &a.PasswordFile, &a.password)
	}
	return nil
}

func (s *session) certificate(ctx context.Context) error {
	a := &s.a
	for {
		if err := s.ask(ctx, question{prompt: "certificate", flag: "cert", value: &a.Cert, check: readable}); err != nil {
			return err
		}
		if err := s.ask(ctx, question{prompt: "its key", flag: "key", value: &a.Key, check: readable}); err != nil {
			return err
		}
		err := pair(a.Cert, a.Key, s.opt.Now)
		if err == nil {
			break
		}
		if s.opt.Person == nil {
			return fmt.Errorf("--cert: %w", err)
		}
		s.print("   " + err.Error())
		a.Cert, a.Key = "", ""
	}
	if a.Broker != "azure-event-grid" {
		return nil
	}
	return s.ask(ctx, question{
		text:   []string{"Azure Event Grid knows a client by its authentication name."},
		prompt: "authentication name", flag: "username", value: &a.Username, def: a.Gateway,
	})
}

func readable(path string) (string, error) {
	path = absolute(path)
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	return path, f.Close()
}

// pair demands a certificate that is valid and its own key.
func pair(cert, key string, now time.Time) error {
	p, err := tls.LoadX509KeyPair(cert, key)
	if err != nil {
		return err
	}
	c, err := x509.ParseCertificate(p.Certificate[0])
	if err != nil {
		return err
	}
	if now.After(c.NotAfter) {
		return errors.New("the certificate expired " + c.NotAfter.UTC().Format(time.DateOnly))
	}
	return nil
}

// password asks for a name and a password, which a file may hold already.
func (s *session) password(ctx context.Context, prefix string, user, file, typed *string) error {
	if err := s.ask(ctx, question{prompt: "user name", flag: prefix + "username", value: user}); err != nil {
		return err
	}
	if *file != "" || *typed != "" || s.opt.Person == nil {
		return s.ask(ctx, question{prompt: "password file", flag: prefix + "password-file", value: file, check: readable})
	}
	return s.ask(ctx, question{prompt: "password (not shown)", flag: prefix + "password-file", value: typed, secret: true})
}

func (s *session) data(ctx context.Context) error {
	if err := s.ask(ctx, question{
		head:   "4 of 5  What kind of data is it, and how to begin?",
		text:   []string{"The profile is the legal setting that grades what is found."},
		prompt: "profile", flag: "profile", value: &s.a.Profile, def: "generic",
		choice: []struct{ name, title string }{
			{"generic", "no law in particular"},
			{"eu", "personal data under the GDPR"},
			{"cn", "personal and important data under Chinese law"},
			{"automotive", "vehicles and those who sit in them, under Chinese law"},
		},
	}); err != nil {
		return err
	}
	return s.ask(ctx, question{
		text:   []string{"Observing shows what leaves before anything is touched."},
		prompt: "begin with", flag: "mode", value: &s.a.Mode, def: "observe",
		choice: []struct{ name, title string }{
			{"observe", fmt.Sprintf("not one byte changes; what would happen is counted, for %d days", observeDays)},
			{"enforce", "what is sensitive is protected from the first message on"},
		},
	})
}

func (s *session) keys(ctx context.Context) error {
	def := "file"
	switch {
	case s.opt.Facts.TPM:
		def = "tpm"
	case s.opt.Facts.Credentials && s.opt.Dir == SystemDir && s.opt.Person != nil:
		def = "credential" // which takes a command more: --yes is for one that starts
	}
	return s.ask(ctx, question{
		head: "5 of 5  Where does the key live that encrypts this gateway's own keys?",
		text: []string{"What protects it decides what a stolen disk is worth."},
		choice: []struct{ name, title string }{
			{"tpm", map[bool]string{true: "the TPM of this machine", false: "a TPM 2.0; none was found here"}[s.opt.Facts.TPM]},
			{"credential", "encrypted by systemd, for this machine"},
			{"file", "in clear: who has the disk has it, and each start says so"},
		},
		prompt: "keys", flag: "keys", value: &s.a.Keys, def: def,
	})
}

// state looks whether what waits would survive a power cut.
func (s *session) state(ctx context.Context) error {
	dir := s.a.State
	if dir == "" {
		dir = systemState
	}
	_, err := durableDir(dir)
	if err == nil || s.a.Volatile {
		return nil
	}
	if s.opt.Person == nil {
		return fmt.Errorf("%w: choose another --state, or say --volatile if what waits may be lost", err)
	}
	s.print("", "   What waits for the cloud would lie where a power cut loses it:", "   "+err.Error())
	if s.a.Volatile, err = s.agrees(ctx, "Is that meant?", false); err != nil || s.a.Volatile {
		return err
	}
	s.a.State = ""
	return s.ask(ctx, question{prompt: "state directory, on flash or a disk", flag: "state", value: &s.a.State, check: durableDir})
}

// durableDir looks at the file system that a directory is, or will be, on.
func durableDir(dir string) (string, error) {
	dir = absolute(dir)
	there := dir
	for there != "/" {
		if _, err := os.Stat(there); err == nil {
			break
		}
		there = filepath.Dir(there)
	}
	return dir, spool.CheckDir(there)
}
