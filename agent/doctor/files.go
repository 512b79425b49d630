package doctor

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/sealgate/sealgate/agent"
	"github.com/sealgate/sealgate/agent/config"
	"github.com/sealgate/sealgate/crypto/custody"
	"github.com/sealgate/sealgate/crypto/signed"
)

// soon is how long before its end a document is worth a warning.
const soon = 30 * 24 * time.Hour

// secrets looks at who may read the files that hold one. The packages give them
// to root and the group of the service, 0640: others must not read them.
func (v *visit) secrets(context.Context) {
	const name = "secret files"
	files := v.secretFiles()
	good, seen := 0, map[string]bool{"": true}
	for _, path := range files {
		if seen[path] {
			continue
		}
		seen[path] = true
		st, err := os.Stat(path)
		switch {
		case err != nil:
			v.say(name, Fail, "make it, or correct its path in agent.yaml", "%v", err)
		case st.Mode().Perm()&0o027 != 0:
			v.say(name, Fail, "chmod o=,g-wx "+path, "%s has mode %04o: more than its owner may change it, or others read it", path, st.Mode().Perm())
		default:
			good++
		}
	}
	if good > 0 {
		v.fine(name, "%d closed to others", good)
	}
}

// secretFiles are those with a password or a key; some of them empty.
func (v *visit) secretFiles() []string {
	var files []string
	c := v.cfg
	for i := range c.Uplinks {
		u := &c.Uplinks[i]
		files = append(files, u.PasswordFile)
		if u.TLS != nil {
			files = append(files, u.TLS.Key)
		}
		if u.Proxy != nil {
			files = append(files, u.Proxy.PasswordFile)
		}
	}
	for i := range c.Ingress.Subscribe {
		s := &c.Ingress.Subscribe[i]
		files = append(files, s.PasswordFile)
		if s.TLS != nil {
			files = append(files, s.TLS.Key)
		}
	}
	if b := c.Ingress.Broker; b != nil {
		files = append(files, b.Users)
		for _, l := range b.Listeners {
			if l.TLS != nil {
				files = append(files, l.TLS.Key)
			}
		}
	}
	files = append(files, c.Metrics.WebConfig)
	if w := v.web(); w != nil {
		files = append(files, w.KeyFile)
	}
	files = append(files, c.Custody.TPM.AuthFile, c.Custody.Vault.TokenFile)
	if a := c.Custody.Vault.AppRole; a != nil {
		files = append(files, a.RoleIDFile, a.SecretIDFile)
	}
	for _, path := range c.Keys.SharedDomains {
		files = append(files, path)
	}
	if _, err := os.Stat(c.Custody.File.Path); err == nil {
		files = append(files, c.Custody.File.Path)
	}
	return files
}

// access looks whether the service's user may read what agent.yaml names: root,
// who edits it, always may.
func (v *visit) access(context.Context) {
	const name = "service access"
	if v.service == nil {
		return
	}
	who := v.service["User"]
	if who == "" {
		who = "root"
	}
	a, err := accessOf(who)
	if err != nil {
		v.say(name, Fail, "make the user that the unit names, or install the package again", "the service's user: %v", err)
		return
	}
	c := v.cfg
	files := append(v.secretFiles(), v.opt.Path, c.Policy, c.Keys.Recipients, c.Keys.TrustRoot, c.Metrics.WebConfig)
	for i := range c.Uplinks {
		if t := c.Uplinks[i].TLS; t != nil {
			files = append(files, t.CA, t.Cert)
		}
	}
	if b := c.Ingress.Broker; b != nil {
		files = append(files, b.ACL)
		for _, l := range b.Listeners {
			if l.TLS != nil {
				files = append(files, l.TLS.Cert, l.TLS.ClientCA)
			}
		}
	}
	slices.Sort(files)
	good := 0
	for _, path := range slices.Compact(files) {
		if path == "" || path == c.Custody.File.Path {
			continue
		}
		ok, err := a.reads(path)
		switch {
		case errors.Is(err, fs.ErrPermission):
			v.skip(name, "%s is closed to this user: run it as root", path)
		case err != nil: // a missing file is told above
		case !ok:
			v.say(name, Fail, "chgrp "+who+" "+path+" && chmod g+r "+path+", and x for its directories", "the service's user %s can't read %s", who, path)
		default:
			good++
		}
	}
	if good > 0 {
		v.fine(name, "%s can read %d files", who, good)
	}
}

// granted looks whether the unit lets the service at its custodian.
func (v *visit) granted(context.Context) {
	const name, where = "custody of the service", " (docs/install.md), then systemctl daemon-reload and restart"
	switch {
	case v.service == nil:
	case v.cfg.Custody.Kind == "tpm" && !strings.Contains(v.service["DeviceAllow"], filepath.Base(v.cfg.Custody.TPM.Device)):
		v.say(name, Fail, "install the drop-in tpm.conf"+where, "the unit does not let the service at %s", v.cfg.Custody.TPM.Device)
	case v.cfg.Custody.Kind == "credential" && !strings.Contains(v.service["LoadCredentialEncrypted"]+" "+v.service["LoadCredential"], v.cfg.Custody.Credential.Name):
		v.say(name, Fail, "make the credential (sealgate keys credential --help), and install the drop-in credential.conf"+where, "the unit hands the service no credential %s", v.cfg.Custody.Credential.Name)
	case v.cfg.Custody.Kind == "tpm" || v.cfg.Custody.Kind == "credential":
		v.fine(name, "the unit grants it")
	}
}

// certificates looks at the dates of every certificate that agent.yaml names.
func (v *visit) certificates(context.Context) {
	for i := range v.cfg.Uplinks {
		if u := &v.cfg.Uplinks[i]; u.TLS != nil {
			v.dates("certificate "+u.Name, u.TLS.Cert, false)
			v.dates("CA "+u.Name, u.TLS.CA, true)
		}
	}
	for i := range v.cfg.Ingress.Subscribe {
		if s := &v.cfg.Ingress.Subscribe[i]; s.TLS != nil {
			v.dates("certificate ingress", s.TLS.Cert, false)
			v.dates("CA ingress", s.TLS.CA, true)
		}
	}
	if b := v.cfg.Ingress.Broker; b != nil {
		for _, l := range b.Listeners {
			if l.TLS != nil {
				v.dates("certificate "+l.Address, l.TLS.Cert, false)
				v.dates("CA "+l.Address, l.TLS.ClientCA, true)
			}
		}
	}
	if w := v.web(); w != nil {
		v.dates("certificate metrics", w.CertFile, false)
		v.dates("CA metrics", w.ClientCAFile, true)
	}
	v.dates("CA vault", v.cfg.Custody.Vault.CA, true)
}

// web is the TLS of the metrics listener, nil for none; what is wrong with its
// file the check of the configuration says.
func (v *visit) web() *config.WebTLS {
	if v.cfg.Metrics.WebConfig == "" {
		return nil
	}
	w, err := config.LoadWeb(v.cfg.Metrics.WebConfig)
	if err != nil {
		return nil
	}
	return w.TLS
}

// dates looks at the first certificate of a chain, or, of authorities, at each:
// one that is still good is enough.
func (v *visit) dates(name, path string, authorities bool) {
	if path == "" {
		return
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		v.say(name, Fail, "put the file there, readable for the service", "%v", err)
		return
	}
	var best *x509.Certificate
	for block, rest := pem.Decode(raw); block != nil; block, rest = pem.Decode(rest) {
		if block.Type != "CERTIFICATE" {
			continue
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			continue
		}
		if best == nil || authorities && c.NotAfter.After(best.NotAfter) {
			best = c
		}
	}
	if best == nil {
		v.say(name, Fail, "it must be PEM, of a certificate", "%s holds no certificate that can be read", path)
		return
	}
	v.span(name, "renew "+path, best.NotBefore, best.NotAfter)
}

// span judges a validity: short ones may run down to a third.
func (v *visit) span(name, do string, from, to time.Time) {
	day := to.UTC().Format(time.DateOnly)
	switch {
	case v.now.Before(from):
		v.say(name, Fail, "look at the clock; else "+do, "not valid before %s", from.UTC().Format(time.RFC3339))
	case !v.now.Before(to):
		v.say(name, Fail, do, "expired %s", day)
	case to.Sub(v.now) < min(soon, to.Sub(from)/3):
		v.say(name, Warn, do, "expires soon, %s", day)
	default:
		v.fine(name, "valid until %s", day)
	}
}

// trust looks at the trust root and the recipients.
func (v *visit) trust(context.Context) {
	k := &v.cfg.Keys
	if k.TrustRoot != "" {
		raw, err := os.ReadFile(k.TrustRoot)
		if err == nil {
			_, err = signed.ParseRoot(raw)
		}
		if err != nil {
			v.say("trust root", Fail, "copy the root that sealctl keys init made to "+k.TrustRoot, "%v", err)
		} else {
			v.fine("trust root", "can be read")
		}
	}
	if k.Recipients == "" {
		v.say("recipients", Warn, "make them (sealctl keys init, at a desk), and set keys.recipients", "not set: what needs a key waits")
		return
	}
	b, err := agent.OpenRecipients(v.cfg, v.now, agent.Floor{})
	switch {
	case errors.Is(err, signed.ErrExpired):
		v.say("recipients", Fail, "sign a newer bundle (sealctl keys bundle), and put it to "+k.Recipients, "%v", err)
	case err != nil:
		v.say("recipients", Fail, "look at the bundle with sealctl keys verify", "%v", err)
	default:
		v.span("recipients", "sign a newer bundle: sealctl keys bundle", b.NotBefore, b.NotAfter)
	}
}

// custody asks the custodian for the key that encrypts the gateway's own.
func (v *visit) custody(ctx context.Context) {
	const name = "custody"
	ring, err := agent.Ring(v.cfg, v.opt.Machine)
	if err != nil {
		v.say(name, Fail, "look at custody in agent.yaml", "%v", err)
		return
	}
	ring.ReadOnly = true
	there, err := ring.Exists()
	if errors.Is(err, fs.ErrPermission) {
		v.skip(name, "the keys are closed to this user: run it as root")
		return
	}
	if err != nil {
		v.say(name, Fail, "sealgate keys show says more", "%v", err)
		return
	}
	if !there {
		v.say(name, Warn, "sealgate keys init, or the first start makes them", "there are no keys yet")
		return
	}
	kind := ring.Kind
	s, err := ring.Status()
	if err == nil {
		kind = s.Kind
	} else if !errors.Is(err, custody.ErrMissing) {
		v.say(name, Fail, "sealgate keys show says more", "%v", err)
		return
	}
	switch {
	case kind == "credential" && os.Getenv("CREDENTIALS_DIRECTORY") == "":
		v.skip(name, "only the service is handed the credential: sealgate status tells")
		return
	case kind == "vault" && v.opt.Offline:
		v.skip(name, "vault is not asked offline")
		return
	}
	ctx, cancel := v.until(ctx)
	defer cancel()
	key, err := ring.Open(ctx)
	switch {
	case errors.Is(err, fs.ErrPermission):
		v.skip(name, "closed to this user: run it as root")
	case err != nil:
		v.say(name, Fail, "see docs/runbooks/keys-sealed.md", "%v", err)
	case key.Warning != "":
		v.say(name, Warn, "use a custody that a copy of the disk does not reveal", "%s: %s", key.Kind, key.Warning)
	default:
		v.fine(name, "%s handed the key out", key.Kind)
	}
}
