package config

import (
	"net/url"
	"path/filepath"
	"time"

	"github.com/sealgate/sealgate/internal/strictyaml"
)

// Custody says where the key lives that encrypts the gateway's own keys.
type Custody struct {
	// Kind is the custodian: file, credential, tpm or vault. Where it is set, the
	// gateway accepts no other one. Default: what the keys were put into
	// (sealgate keys init, move), and file where there are none yet. A file
	// protects against nothing that can read the whole disk; the agent says so
	// at each start.
	Kind       string            `yaml:"kind"`
	File       CustodyFile       `yaml:"file"`
	Credential CustodyCredential `yaml:"credential"`
	TPM        CustodyTPM        `yaml:"tpm"`
	Vault      CustodyVault      `yaml:"vault"`
	// Rescue lists files of public keys, made by `sealctl keys create --rescue`,
	// whose private halves stay offline. With one of them the gateway's keys
	// open although their custodian is lost. Default: none.
	Rescue []string `yaml:"rescue"`
	// Rollback says what notices that the state was replaced by an older copy:
	// tpm (a counter in the TPM) or none. Default: tpm where Kind is, else none.
	Rollback string `yaml:"rollback"`
}

// CustodyFile is a file with the key in clear.
type CustodyFile struct {
	// Path. Default: KEYS.DIRECTORY/kek. Made on first use.
	Path string `yaml:"path"`
}

// CustodyCredential is a credential that systemd hands to the service.
type CustodyCredential struct {
	// Name as in LoadCredentialEncrypted=NAME. Default: sealgate-kek.
	Name string `yaml:"name"`
}

// CustodyTPM is a TPM 2.0.
type CustodyTPM struct {
	// Device is its path, or that of a Unix socket. Default: /dev/tpmrm0.
	Device string `yaml:"device"`
	// PCRs are the registers of the SHA-256 bank that must be as they were when
	// the key was sealed. Default: none, because updates of firmware and secure
	// boot change them; [7] ties the key to the secure boot state.
	PCRs []int `yaml:"pcrs"`
	// AuthFile is a file with a secret of one line that the TPM demands, too.
	// Default: none.
	AuthFile string `yaml:"auth_file"`
}

// CustodyVault is the transit engine of a Vault or OpenBao server. It is asked
// at the start, and again until it answers.
type CustodyVault struct {
	Address string `yaml:"address"` // https://host:port
	Mount   string `yaml:"mount"`   // of the engine; default: transit
	Key     string `yaml:"key"`     // name of the transit key; default: sealgate
	// Namespace of Vault Enterprise or HCP. Default: none.
	Namespace string `yaml:"namespace"`
	CA        string `yaml:"ca"` // PEM file; default: the system's roots
	// TokenFile holds a token. Or an AppRole logs in.
	TokenFile string        `yaml:"token_file"`
	AppRole   *VaultAppRole `yaml:"approle"`
	// Timeout of one request. Default: 10s.
	Timeout time.Duration `yaml:"timeout"`
}

// VaultAppRole logs in to Vault.
type VaultAppRole struct {
	Mount        string `yaml:"mount"` // default: approle
	RoleIDFile   string `yaml:"role_id_file"`
	SecretIDFile string `yaml:"secret_id_file"`
}

func (c *Custody) defaults(keys string) {
	set(&c.File.Path, filepath.Join(keys, "kek"))
	set(&c.Credential.Name, "sealgate-kek")
	set(&c.TPM.Device, "/dev/tpmrm0")
	set(&c.Vault.Mount, "transit")
	set(&c.Vault.Key, "sealgate")
	set(&c.Vault.Timeout, 10*time.Second)
	if c.Vault.AppRole != nil {
		set(&c.Vault.AppRole.Mount, "approle")
	}
}

func (c *Custody) paths() []*string {
	ps := []*string{&c.File.Path, &c.TPM.Device, &c.TPM.AuthFile, &c.Vault.CA, &c.Vault.TokenFile}
	if a := c.Vault.AppRole; a != nil {
		ps = append(ps, &a.RoleIDFile, &a.SecretIDFile)
	}
	for i := range c.Rescue {
		ps = append(ps, &c.Rescue[i])
	}
	return ps
}

func (c *Custody) check(d *strictyaml.Document) {
	if c.Kind != "" {
		oneOf(d, "custody.kind", c.Kind, "file", "credential", "tpm", "vault")
	}
	if c.Rollback != "" {
		oneOf(d, "custody.rollback", c.Rollback, "tpm", "none")
	}
	if len(c.Rescue) > 8 {
		d.Errorf("custody.rescue", "at most 8 rescue keys")
	}
	seen := map[int]bool{}
	for _, p := range c.TPM.PCRs {
		if p < 0 || p > 23 || seen[p] {
			d.Errorf("custody.tpm.pcrs", "a TPM has PCRs 0 to 23, and each is named once: got %d", p)
		}
		seen[p] = true
	}
	v := &c.Vault
	if c.Kind == "vault" && v.Address == "" {
		d.Errorf("custody.vault", "custody.vault.address is needed, such as https://vault.example.com:8200")
	}
	if v.Address == "" {
		return
	}
	u, err := url.Parse(v.Address)
	switch {
	case err != nil || u.Hostname() == "" || u.Scheme != "https" && u.Scheme != "http" || u.RawQuery != "" || u.User != nil:
		d.Errorf("custody.vault.address", "address must be https://host:port")
	case u.Scheme == "http" && !loopback(u.Hostname()):
		d.Errorf("custody.vault.address", "http:// to another machine would show the key on the way: use https://")
	}
	switch {
	case (v.TokenFile == "") == (v.AppRole == nil):
		d.Errorf("custody.vault", "vault needs either token_file or approle")
	case v.AppRole != nil && (v.AppRole.RoleIDFile == "" || v.AppRole.SecretIDFile == ""):
		d.Errorf("custody.vault.approle", "approle needs role_id_file and secret_id_file")
	}
	if v.Timeout < 0 || v.Timeout > 5*time.Minute {
		d.Errorf("custody.vault.timeout", "timeout must be at most 5m")
	}
}
