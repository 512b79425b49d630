package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"
)

const (
	ourModule   = "github.com/sealgate/sealgate"
	payloadType = "application/vnd.in-toto+json"
	sumsName    = "SHA256SUMS"
)

// A release is a directory of files, and what they were built from.
type release struct {
	Dir, Key                                               string
	Version, Time, Commit, SupportEnd, Go, Boards, Builder string
}

type digest struct {
	SHA256 string `json:"sha256,omitempty"`
	Commit string `json:"gitCommit,omitempty"`
}

type resource struct {
	Name   string `json:"name,omitempty"`
	URI    string `json:"uri,omitempty"`
	Digest digest `json:"digest"`
}

// sign writes the provenance, then SHA256SUMS over all files, then its signature.
// What lay there of an earlier one is replaced.
func (r release) sign() error {
	for name, v := range map[string]string{"version": r.Version, "commit": r.Commit, "support-end": r.SupportEnd, "go": r.Go, "boards": r.Boards, "builder": r.Builder} {
		if v == "" {
			return fmt.Errorf("sign release: -%s is missing", name)
		}
	}
	if _, err := time.Parse(time.RFC3339, r.Time); err != nil {
		return fmt.Errorf("read -time: %w", err)
	}
	key, err := readKey(r.Key)
	if err != nil {
		return err
	}
	provenance := "sealgate-" + r.Version + ".provenance.json"
	subjects, err := r.files(provenance)
	if err != nil {
		return err
	}
	if len(subjects) == 0 {
		return fmt.Errorf("sign release: nothing is in %s", r.Dir)
	}
	envelope, err := seal(key, r.statement(subjects))
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(r.Dir, provenance), envelope, 0o644); err != nil {
		return fmt.Errorf("write provenance: %w", err)
	}
	all, err := r.files("")
	if err != nil {
		return err
	}
	var sums bytes.Buffer
	for _, f := range all {
		fmt.Fprintf(&sums, "%s  %s\n", f.Digest.SHA256, f.Name)
	}
	return errors.Join(
		os.WriteFile(filepath.Join(r.Dir, sumsName), sums.Bytes(), 0o644),
		os.WriteFile(filepath.Join(r.Dir, sumsName+".sig"), ed25519.Sign(key, sums.Bytes()), 0o644))
}

// files lists the release's files with their hashes, by name, without those that
// sign makes of SHA256SUMS and without one other.
func (r release) files(but string) ([]resource, error) {
	entries, err := os.ReadDir(r.Dir)
	if err != nil {
		return nil, fmt.Errorf("list release: %w", err)
	}
	var list []resource
	for _, e := range entries {
		if e.Name() == but || strings.HasPrefix(e.Name(), sumsName) {
			continue
		}
		raw, err := os.ReadFile(filepath.Join(r.Dir, e.Name()))
		if err != nil {
			return nil, fmt.Errorf("read release: %w", err)
		}
		sum := sha256.Sum256(raw)
		list = append(list, resource{Name: e.Name(), Digest: digest{SHA256: hex.EncodeToString(sum[:])}})
	}
	return list, nil
}

// statement is an in-toto statement with SLSA provenance (slsa.dev/provenance/v1):
// which command, with which variables, makes these files from which commit.
func (r release) statement(subjects []resource) any {
	type object = map[string]any
	return object{
		"_type":         "https://in-toto.io/Statement/v1",
		"subject":       subjects,
		"predicateType": "https://slsa.dev/provenance/v1",
		"predicate": object{
			"buildDefinition": object{
				"buildType":          "https://" + ourModule + "/blob/main/docs/release.md#build-type",
				"externalParameters": object{"VERSION": r.Version, "SUPPORT_END": r.SupportEnd, "BOARDS": r.Boards},
				"internalParameters": object{"go": r.Go},
				"resolvedDependencies": []resource{
					{URI: "git+https://" + ourModule, Digest: digest{Commit: r.Commit}},
				},
			},
			"runDetails": object{"builder": object{"id": r.Builder}},
		},
	}
}

// seal puts a statement into a DSSE envelope.
func seal(key ed25519.PrivateKey, statement any) ([]byte, error) {
	body, err := json.Marshal(statement)
	if err != nil {
		return nil, fmt.Errorf("write statement: %w", err)
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, fmt.Errorf("write public key: %w", err)
	}
	id := sha256.Sum256(public)
	out, err := json.MarshalIndent(dsse.Envelope{
		PayloadType: payloadType, Payload: base64.StdEncoding.EncodeToString(body),
		Signatures: []dsse.Signature{{KeyID: hex.EncodeToString(id[:]), Sig: base64.StdEncoding.EncodeToString(ed25519.Sign(key, dsse.PAE(payloadType, body)))}},
	}, "", "  ")
	return slices.Concat(out, []byte("\n")), err
}

func readKey(path string) (ed25519.PrivateKey, error) {
	raw, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read key: %w", err)
	}
	block, rest := pem.Decode(raw)
	if block == nil || block.Type != "PRIVATE KEY" || len(bytes.TrimSpace(rest)) > 0 {
		return nil, errors.New("read key: want one PKCS #8 key in PEM: openssl genpkey -algorithm ed25519")
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		return nil, errors.New("read key: it is not PKCS #8: openssl genpkey -algorithm ed25519") // no word of what it is
	}
	k, ok := key.(ed25519.PrivateKey)
	if !ok {
		return nil, errors.New("read key: it is not an Ed25519 key")
	}
	return k, nil
}
