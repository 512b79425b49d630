package custody

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/sealgate/sealgate/crypto"
)

// VaultOptions configures the custodian "vault".
type VaultOptions struct {
	Address   string // https://host:port
	Mount     string // of the transit engine; default transit
	Key       string // name of the transit key
	Namespace string // of Vault Enterprise and HCP; may be empty
	CA        string // PEM file; default: the system's roots
	// TokenFile holds a token. With RoleIDFile and SecretIDFile the token is
	// fetched by AppRole instead, at AppRoleMount (default approle).
	TokenFile                              string
	AppRoleMount, RoleIDFile, SecretIDFile string
	Timeout                                time.Duration // of one request; default 10 s
}

const (
	vaultTimeout = 10 * time.Second
	maxAnswer    = 1 << 20
	maxToken     = 8 << 10
)

// vault has the key encrypted by the transit engine of a Vault or OpenBao
// server, which is asked at the start and never after
// (https://developer.hashicorp.com/vault/api-docs/secret/transit).
func vault() Custodian {
	return Custodian{
		Kind: "vault",
		Doc:  "a Vault transit key: a copy or theft of the gateway opens nothing once its access is revoked there; a start needs the server",
		Make: func(ctx context.Context, opts *Options, gateway string) (*crypto.SecretKey, []byte, error) {
			key, err := crypto.NewSecretKey()
			if err != nil {
				return nil, nil, err
			}
			plain, err := bound(key, gateway)
			if err != nil {
				return nil, nil, err
			}
			v, err := dialVault(ctx, &opts.Vault)
			if err != nil {
				return nil, nil, err
			}
			var out struct{ Ciphertext string }
			err = v.transit(ctx, "encrypt", map[string]string{"plaintext": base64.StdEncoding.EncodeToString(plain)}, &out)
			if err == nil && !strings.HasPrefix(out.Ciphertext, "vault:v") {
				err = errVaultAnswer
			}
			return key, []byte(out.Ciphertext), err
		},
		Open: func(ctx context.Context, opts *Options, gateway string, _ [8]byte, blob []byte) (*crypto.SecretKey, error) {
			v, err := dialVault(ctx, &opts.Vault)
			if err != nil {
				return nil, err
			}
			var out struct{ Plaintext string }
			if err := v.transit(ctx, "decrypt", map[string]string{"ciphertext": string(blob)}, &out); err != nil {
				return nil, err
			}
			raw, err := base64.StdEncoding.DecodeString(out.Plaintext)
			if err != nil {
				return nil, errVaultAnswer // the reason would quote the plaintext
			}
			return unbound(raw, gateway)
		},
	}
}

var errVaultAnswer = fmt.Errorf("%w: its answer is not one of a transit engine; check custody.vault.address", ErrUnavailable)

// vaultClient is one connection with a token.
type vaultClient struct {
	opts  *VaultOptions
	http  *http.Client
	token string
}

func dialVault(ctx context.Context, o *VaultOptions) (*vaultClient, error) {
	u, err := url.Parse(o.Address)
	if err != nil || u.Host == "" || o.Key == "" {
		return nil, errors.New("set custody.vault.address and custody.vault.key")
	}
	tr := &http.Transport{
		TLSClientConfig:       &tls.Config{MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout:   vaultTimeout,
		ResponseHeaderTimeout: vaultTimeout,
		DisableKeepAlives:     true, // the next request is weeks away
	}
	if o.CA != "" {
		pem, err := os.ReadFile(o.CA)
		if err != nil {
			return nil, fmt.Errorf("read custody.vault.ca: %w", err)
		}
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("read custody.vault.ca: %s holds no certificate", o.CA)
		}
		tr.TLSClientConfig.RootCAs = pool
	}
	timeout := o.Timeout
	if timeout <= 0 {
		timeout = vaultTimeout
	}
	v := &vaultClient{opts: o, http: &http.Client{Transport: tr, Timeout: timeout, CheckRedirect: sameScheme}}
	if o.TokenFile != "" {
		v.token, err = readToken(o.TokenFile)
		return v, err
	}
	role, err := readToken(o.RoleIDFile)
	if err != nil {
		return nil, err
	}
	secret, err := readToken(o.SecretIDFile)
	if err != nil {
		return nil, err
	}
	var out struct {
		Auth struct {
			ClientToken string `json:"client_token"`
		}
	}
	mount := o.AppRoleMount
	if mount == "" {
		mount = "approle"
	}
	if err := v.post(ctx, "auth/"+mount+"/login", map[string]string{"role_id": role, "secret_id": secret}, &out); err != nil {
		return nil, fmt.Errorf("log in by AppRole: %w", err)
	}
	if v.token = out.Auth.ClientToken; v.token == "" {
		return nil, errVaultAnswer
	}
	return v, nil
}

// sameScheme follows one redirect, which a standby node answers with, and never
// from https to http: the token goes along.
func sameScheme(req *http.Request, via []*http.Request) error {
	if len(via) > 1 || req.URL.Scheme != via[0].URL.Scheme {
		return errors.New("redirected too far, or out of TLS")
	}
	return nil
}

// readToken reads a secret of one line from a file that others can't read.
func readToken(path string) (string, error) {
	if path == "" {
		return "", errors.New("set custody.vault.token_file, or role_id_file and secret_id_file")
	}
	st, err := os.Stat(path)
	if err != nil {
		return "", fmt.Errorf("%w: %w", ErrMissing, err)
	}
	if st.Mode().Perm()&0o027 != 0 {
		return "", fmt.Errorf("read %s: %w", path, crypto.ErrKeyReadable)
	}
	if !st.Mode().IsRegular() || st.Size() > maxToken {
		return "", fmt.Errorf("read %s: it is no token", path)
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("read token: %w", err)
	}
	token := strings.TrimSpace(string(raw))
	if token == "" || strings.ContainsAny(token, "\r\n\x00") {
		return "", fmt.Errorf("read %s: it is no token", path)
	}
	return token, nil
}

func (v *vaultClient) transit(ctx context.Context, verb string, in map[string]string, out any) error {
	mount := v.opts.Mount
	if mount == "" {
		mount = "transit"
	}
	var answer struct{ Data json.RawMessage }
	if err := v.post(ctx, mount+"/"+verb+"/"+url.PathEscape(v.opts.Key), in, &answer); err != nil {
		return fmt.Errorf("%s by transit: %w", verb, err)
	}
	if json.Unmarshal(answer.Data, out) != nil {
		return errVaultAnswer
	}
	return nil
}

// post sends one request. Errors carry the status and never the body: what a
// server says there may hold what it was sent.
func (v *vaultClient) post(ctx context.Context, path string, in map[string]string, out any) error {
	body, err := json.Marshal(in)
	if err != nil {
		return errors.New("encode request")
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, strings.TrimSuffix(v.opts.Address, "/")+"/v1/"+path, bytes.NewReader(body))
	if err != nil {
		return errors.New("custody.vault.address is no address")
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Vault-Request", "true")
	if v.token != "" {
		req.Header.Set("X-Vault-Token", v.token)
	}
	if v.opts.Namespace != "" {
		req.Header.Set("X-Vault-Namespace", v.opts.Namespace)
	}
	resp, err := v.http.Do(req)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return vaultStatus(resp.StatusCode)
	}
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	if json.Unmarshal(raw, out) != nil {
		return errVaultAnswer
	}
	return nil
}

// vaultStatus says what a status means for this use of the API
// (https://developer.hashicorp.com/vault/api-docs#http-status-codes).
func vaultStatus(code int) error {
	switch code {
	case http.StatusBadRequest:
		return fmt.Errorf("%w: it can't decrypt this (400); the transit key is another one, its old version was trimmed, or the AppRole is unknown", ErrRefused)
	case http.StatusForbidden:
		return fmt.Errorf("%w: permission denied (403); the token has expired, or its policy lacks update on encrypt/ and decrypt/ of this key", ErrRefused)
	case http.StatusNotFound:
		return fmt.Errorf("%w: nothing is there (404); check custody.vault.mount, key and namespace", ErrRefused)
	case http.StatusServiceUnavailable:
		return fmt.Errorf("%w: it is sealed or in maintenance (503)", ErrUnavailable)
	case http.StatusTooManyRequests, 472, 473:
		return fmt.Errorf("%w: it is busy, or a standby node (%d)", ErrUnavailable, code)
	}
	if code >= 500 {
		return fmt.Errorf("%w: it has a failure of its own (%d)", ErrUnavailable, code)
	}
	return fmt.Errorf("%w: it answered with status %d", ErrRefused, code)
}
