package setup

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/sealgate/sealgate/agent/config"
	"github.com/sealgate/sealgate/agent/doctor"
	"github.com/sealgate/sealgate/agent/mqtt"
)

// lookTimeout is for a person who waits.
const lookTimeout = 10 * time.Second

// tryUplink looks, where that is wanted, whether the cloud's broker answers:
// without login as far as the TLS handshake. again says that the person wants to
// answer anew.
func (s *session) tryUplink(ctx context.Context, login bool) (again bool, err error) {
	if s.opt.Person == nil {
		if !s.opt.Try || !login {
			return false, nil
		}
		if err := s.look(ctx, &s.a, true); err != nil {
			return false, fmt.Errorf("--try: the cloud's broker: %w", err)
		}
		return false, nil
	}
	if !login {
		if s.trying, err = s.agrees(ctx, "Look now whether it answers?", true); err != nil {
			return false, err
		}
	}
	for s.trying {
		err := s.look(ctx, &s.a, login)
		if err == nil {
			break
		}
		var unknown x509.UnknownAuthorityError
		if errors.As(err, &unknown) && s.a.CA == "" {
			if err := s.ask(ctx, question{
				text:   []string{"This machine does not know who signed its certificate. If that is your own", "authority, name its certificate; leave it empty to choose otherwise."},
				prompt: "authority (PEM file)", flag: "ca", value: &s.a.CA, empty: true, check: readable,
			}); err != nil {
				return false, err
			}
			if s.a.CA != "" {
				continue
			}
		}
		if again, err = s.another(ctx); again || err != nil {
			return again, err
		}
	}
	return false, nil
}

// tryExisting is the same for a local broker, which may want a login.
func (s *session) tryExisting(ctx context.Context) (again bool, err error) {
	if s.opt.Person == nil {
		if s.a.DevicesUsername != "" {
			return false, s.password(ctx, "devices-", &s.a.DevicesUsername, &s.a.DevicesPasswordFile, &s.a.devicesPassword)
		}
		return false, nil
	}
	if s.trying, err = s.agrees(ctx, "Look now whether it answers?", true); err != nil {
		return false, err
	}
	for s.trying {
		a := Answers{
			Gateway: s.a.Gateway, Uplink: s.a.Devices, Cleartext: true,
			Username: s.a.DevicesUsername, PasswordFile: s.a.DevicesPasswordFile, password: s.a.devicesPassword,
		}
		err := s.look(ctx, &a, true)
		if err == nil {
			break
		}
		var refused *mqtt.ConnectError
		if errors.As(err, &refused) && s.a.DevicesUsername == "" {
			s.print("   It wants a login.")
			if err := s.password(ctx, "devices-", &s.a.DevicesUsername, &s.a.DevicesPasswordFile, &s.a.devicesPassword); err != nil {
				return false, err
			}
			continue
		}
		if again, err = s.another(ctx); again || err != nil {
			s.a.DevicesUsername, s.a.DevicesPasswordFile, s.a.devicesPassword = "", "", ""
			return again, err
		}
	}
	return false, nil
}

// another asks what to do where a broker did not answer. s.trying goes off where
// it is left so.
func (s *session) another(ctx context.Context) (again bool, err error) {
	next := ""
	err = s.ask(ctx, question{
		prompt: "what now", value: &next, def: "change",
		choice: []struct{ name, title string }{
			{"change", "answer again"}, {"retry", "look once more"}, {"leave", "go on: it will answer later"},
		},
	})
	if next == "leave" {
		s.trying = false
	}
	return next == "change", err
}

// look connects, and shows what came of it.
func (s *session) look(ctx context.Context, a *Answers, login bool) error {
	dir, err := os.MkdirTemp("", "sealgate-setup-") // 0700
	if err != nil {
		return fmt.Errorf("make temporary directory: %w", err)
	}
	defer os.RemoveAll(dir)
	var b bytes.Buffer
	p := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	p("gateway: %s", strconv.Quote(a.Gateway))
	p("ingress: {broker: {anonymous: true}}") // is not looked at
	p("uplinks:")
	p("  cloud:")
	a.uplinkYAML(p)
	if a.password != "" {
		if err := os.WriteFile(filepath.Join(dir, "cloud.password"), []byte(a.password+"\n"), 0o600); err != nil {
			return err
		}
	}
	var results []doctor.Result
	cfg, err := config.Parse(filepath.Join(dir, "agent.yaml"), b.Bytes())
	if err == nil {
		results, err = doctor.Look(ctx, &cfg.Uplinks[0], login, lookTimeout)
	} else {
		results = []doctor.Result{{Check: "configuration", Level: doctor.Fail, Detail: err.Error()}}
	}
	s.tried = append(s.tried, results...)
	if s.opt.Person != nil {
		for _, r := range results {
			if r.Level == doctor.Skip {
				continue
			}
			s.print(fmt.Sprintf("     %-4s  %s", r.Level, r.Detail))
			if r.Do != "" {
				s.print("           do: " + r.Do)
			}
		}
	}
	return err
}
