package custody

import (
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/sealgate/sealgate/crypto"
)

// fakeVault answers as the API of Vault's transit engine and AppRole is
// documented: https://developer.hashicorp.com/vault/api-docs.
type fakeVault struct {
	*httptest.Server
	mu     sync.Mutex
	key    *crypto.SecretKey
	token  string
	status int // answered to everything, if not 0
	delay  chan struct{}
	asked  []string
}

const (
	fakeRole   = "5f1b0d3c-role"
	fakeSecret = "8a6e-secret"
)

func startVault(t *testing.T) *fakeVault {
	t.Helper()
	key, err := crypto.NewSecretKey()
	if err != nil {
		t.Fatal(err)
	}
	v := &fakeVault{key: key, token: "hvs." + "abc123"}
	v.Server = httptest.NewUnstartedServer(http.HandlerFunc(v.serve))
	v.Config.ErrorLog = log.New(io.Discard, "", 0) // a client refuses its certificate, on purpose
	v.StartTLS()
	t.Cleanup(v.Close)
	return v
}

func (v *fakeVault) options(t *testing.T) VaultOptions {
	t.Helper()
	dir := t.TempDir()
	write := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	ca := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: v.Certificate().Raw}))
	return VaultOptions{Address: v.URL, Key: "sealgate", CA: write("ca.pem", ca), TokenFile: write("token", v.token+"\n")}
}

func (v *fakeVault) set(f func()) {
	v.mu.Lock()
	defer v.mu.Unlock()
	f()
}

func (v *fakeVault) serve(w http.ResponseWriter, r *http.Request) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.asked = append(v.asked, r.URL.Path)
	fail := func(code int, text string) {
		w.WriteHeader(code)
		_ = json.NewEncoder(w).Encode(map[string][]string{"errors": {text}})
	}
	if v.delay != nil {
		<-v.delay
	}
	if v.status != 0 {
		fail(v.status, "Vault is sealed")
		return
	}
	var in map[string]string
	if r.Method != http.MethodPost || json.NewDecoder(r.Body).Decode(&in) != nil {
		fail(http.StatusMethodNotAllowed, "unsupported operation")
		return
	}
	answer := func(v any) { _ = json.NewEncoder(w).Encode(v) }
	if r.URL.Path == "/v1/auth/approle/login" {
		if in["role_id"] != fakeRole || in["secret_id"] != fakeSecret {
			fail(http.StatusBadRequest, "invalid role or secret ID")
			return
		}
		answer(map[string]any{"auth": map[string]any{"client_token": v.token, "lease_duration": 3600, "renewable": true}})
		return
	}
	if r.Header.Get("X-Vault-Token") != v.token {
		fail(http.StatusForbidden, "permission denied")
		return
	}
	switch r.URL.Path {
	case "/v1/transit/encrypt/sealgate":
		plain, err := base64.StdEncoding.DecodeString(in["plaintext"])
		if err != nil {
			fail(http.StatusBadRequest, "failed to base64-decode plaintext")
			return
		}
		sealed, err := v.key.Seal(nil, plain, nil)
		if err != nil {
			fail(http.StatusInternalServerError, "internal error")
			return
		}
		answer(map[string]any{"data": map[string]any{"ciphertext": "vault:v1:" + base64.StdEncoding.EncodeToString(sealed), "key_version": 1}})
	case "/v1/transit/decrypt/sealgate":
		text, ok := strings.CutPrefix(in["ciphertext"], "vault:v1:")
		sealed, err := base64.StdEncoding.Strict().DecodeString(text)
		if !ok || err != nil {
			fail(http.StatusBadRequest, "invalid ciphertext: no prefix")
			return
		}
		plain, err := v.key.Open(nil, sealed, nil)
		if err != nil {
			fail(http.StatusBadRequest, "cipher: message authentication failed")
			return
		}
		answer(map[string]any{"data": map[string]any{"plaintext": base64.StdEncoding.EncodeToString(plain)}})
	default:
		fail(http.StatusNotFound, "no handler for route")
	}
}

func vaultRing(t *testing.T, o VaultOptions) *Ring {
	return &Ring{Dir: filepath.Join(t.TempDir(), "keys"), Gateway: "gw", Kind: "vault", Options: Options{Vault: o}}
}

func TestVaultFailures(t *testing.T) {
	v := startVault(t)
	r := vaultRing(t, v.options(t))
	open(t, r)
	good := r.Options.Vault
	for status, want := range map[int]error{
		400: ErrRefused, 403: ErrRefused, 404: ErrRefused, 405: ErrRefused,
		429: ErrUnavailable, 472: ErrUnavailable, 473: ErrUnavailable, 500: ErrUnavailable, 502: ErrUnavailable, 503: ErrUnavailable,
	} {
		v.set(func() { v.status = status })
		if _, err := r.Open(t.Context()); !errors.Is(err, want) {
			t.Errorf("status %d: %v, want %v", status, err, want)
		}
	}
	v.set(func() { v.status = 0 })

	for name, c := range map[string]struct {
		change func(*VaultOptions)
		want   error
		text   string
	}{
		"other token":  {func(o *VaultOptions) { o.TokenFile = tempFile(t, "hvs.other") }, ErrRefused, "403"},
		"no token":     {func(o *VaultOptions) { o.TokenFile = filepath.Join(t.TempDir(), "none") }, ErrMissing, ""},
		"two lines":    {func(o *VaultOptions) { o.TokenFile = tempFile(t, "a\nb") }, nil, "no token"},
		"other mount":  {func(o *VaultOptions) { o.Mount = "elsewhere" }, ErrRefused, "404"},
		"other key":    {func(o *VaultOptions) { o.Key = "elsewhere" }, ErrRefused, "404"},
		"unknown CA":   {func(o *VaultOptions) { o.CA = "" }, ErrUnavailable, "certificate"},
		"CA is no PEM": {func(o *VaultOptions) { o.CA = o.TokenFile }, nil, "no certificate"},
		"nobody there": {func(o *VaultOptions) { o.Address = "https://127.0.0.1:1" }, ErrUnavailable, ""},
		"no address":   {func(o *VaultOptions) { o.Address = "" }, nil, "custody.vault.address"},
		"approle wrong": {func(o *VaultOptions) {
			o.TokenFile, o.RoleIDFile, o.SecretIDFile = "", tempFile(t, fakeRole), tempFile(t, "no")
		}, ErrRefused, "AppRole"},
	} {
		r.Options.Vault = good
		c.change(&r.Options.Vault)
		_, err := r.Open(t.Context())
		if err == nil || c.want != nil && !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.text) {
			t.Errorf("%s: got %v, want %v with %q", name, err, c.want, c.text)
		}
		for _, secret := range []string{v.token, fakeSecret, "vault:v1:"} {
			if err != nil && strings.Contains(err.Error(), secret) {
				t.Errorf("%s: the error shows a secret", name)
			}
		}
	}
	r.Options.Vault = good
	if err := os.Chmod(good.TokenFile, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Open(t.Context()); !errors.Is(err, crypto.ErrKeyReadable) {
		t.Errorf("a token that everybody can read: %v", err)
	}
}

func tempFile(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestVaultAppRole(t *testing.T) {
	v := startVault(t)
	o := v.options(t)
	o.TokenFile, o.RoleIDFile, o.SecretIDFile = "", tempFile(t, fakeRole), tempFile(t, fakeSecret)
	open(t, vaultRing(t, o))
	if v.asked[0] != "/v1/auth/approle/login" || len(v.asked) != 2 {
		t.Errorf("asked %v", v.asked)
	}
}

func TestVaultTimesOut(t *testing.T) {
	v := startVault(t)
	r := vaultRing(t, v.options(t))
	open(t, r)
	release := make(chan struct{})
	v.set(func() { v.delay = release })
	defer close(release)
	r.Options.Vault.Timeout = 50 * time.Millisecond
	if _, err := r.Open(t.Context()); !errors.Is(err, ErrUnavailable) {
		t.Errorf("got %v", err)
	}
}

// TestVaultRedirects: a standby node sends to the active one; nobody sends the
// token into the clear or in a circle.
func TestVaultRedirects(t *testing.T) {
	v := startVault(t)
	o := v.options(t)
	var to string
	standby := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, to+r.URL.Path, http.StatusTemporaryRedirect)
	}))
	standby.TLS = v.TLS
	standby.StartTLS()
	defer standby.Close()
	o.Address, to = standby.URL, v.URL
	open(t, vaultRing(t, o))
	to = standby.URL
	if _, err := vaultRing(t, o).Open(t.Context()); !errors.Is(err, ErrUnavailable) {
		t.Errorf("in a circle: %v", err)
	}
	seen := false
	clear := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { seen = true }))
	defer clear.Close()
	to = clear.URL
	if _, err := vaultRing(t, o).Open(t.Context()); !errors.Is(err, ErrUnavailable) || seen {
		t.Errorf("into the clear: %v, seen %v", err, seen)
	}
}
