package main

import (
	"bytes"
	"crypto/ed25519"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"
)

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// finding is a message of govulncheck's; what it traces to says how far it reaches.
func finding(id, trace string) string {
	return fmt.Sprintf(`{"finding":{"osv":%q,"trace":[%s]}}`, id, trace)
}

func TestFindingsAgainstStatements(t *testing.T) {
	const module, pkg, function = `{"module":"m"}`, `{"module":"m","package":"m/p"}`, `{"module":"m","package":"m/p","function":"F"}`
	absent := `[{"id":"GO-1","module":"m","status":"not_affected","justification":"vulnerable_code_not_present","why":"not linked"}]`
	idle := strings.Replace(absent, "not_present", "not_in_execute_path", 1)
	for name, c := range map[string]struct{ statements, findings, want string }{
		"explained":                {absent, finding("GO-1", module), ""},
		"explained, linked":        {idle, finding("GO-1", module) + finding("GO-1", pkg), ""},
		"nothing":                  {`[]`, ``, ""},
		"no statement":             {`[]`, finding("GO-1", module), "say in vex.json"},
		"reaches further":          {absent, finding("GO-1", module) + finding("GO-1", pkg), "reaches further"},
		"called":                   {idle, finding("GO-1", function), "in code that is called"},
		"stale":                    {absent, ``, "not found any more"},
		"fixed":                    {`[{"id":"GO-1","module":"m","status":"fixed","why":"m 1.2.3"}]`, ``, ""},
		"not fixed":                {`[{"id":"GO-1","module":"m","status":"fixed","why":"m 1.2.3"}]`, finding("GO-1", module), "reaches further"},
		"affected":                 {`[{"id":"GO-1","module":"m","status":"affected","why":"?"}]`, ``, "is not made"},
		"no justification":         {`[{"id":"GO-1","module":"m","status":"not_affected","why":"?"}]`, ``, "does not go with"},
		"unknown justification":    {strings.Replace(absent, "not_present", "elsewhere", 1), ``, "does not go with"},
		"no reason":                {strings.Replace(absent, "not linked", "", 1), finding("GO-1", module), "a why"},
		"twice":                    {strings.Replace(absent, "]", ","+absent[1:], 1), finding("GO-1", module), "of its own"},
		"unknown key":              {strings.Replace(absent, "why", "because", 1), ``, "unknown field"},
		"findings of nothing":      {`[]`, `?`, "invalid character"},
		"findings cut off":         {`[]`, `{"finding":`, "unexpected EOF"},
		"trace that says nothing":  {`[]`, `{"finding":{"osv":"GO-1","trace":[]}}`, ""},
		"statements that are none": {`{}`, ``, "cannot unmarshal"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			var out bytes.Buffer
			err := run([]string{"vex", "-statements", write(t, dir, "s", c.statements), "-findings", write(t, dir, "f", `{"config":{}}`+c.findings)}, &out)
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
	dir := t.TempDir()
	if err := run([]string{"vex", "-statements", write(t, dir, "s", `[]`), "-findings", write(t, dir, "f", "")}, &bytes.Buffer{}); err == nil {
		t.Error("an empty file is taken for govulncheck's word")
	}
}

// TestVEX: the repository's statements, as a document, twice the same.
func TestVEX(t *testing.T) {
	args := []string{"vex", "-statements", "../tools/vex.json", "-version", "1.2.3", "-time", "2026-11-23T08:00:00Z"}
	var first, second bytes.Buffer
	for _, b := range []*bytes.Buffer{&first, &second} {
		if err := run(args, b); err != nil {
			t.Fatal(err)
		}
	}
	var d struct {
		Context    string `json:"@context"`
		Timestamp  string
		Statements []struct {
			Vulnerability struct{ Name string }
			Products      []struct {
				ID string `json:"@id"`
			}
			Status, Justification string
		}
	}
	if err := json.Unmarshal(first.Bytes(), &d); err != nil {
		t.Fatal(err)
	}
	if first.String() != second.String() || d.Context != "https://openvex.dev/ns/v0.2.0" || d.Timestamp != "2026-11-23T08:00:00Z" || len(d.Statements) == 0 {
		t.Errorf("%s", first.String())
	}
	for _, s := range d.Statements {
		if s.Vulnerability.Name == "" || s.Status == "" || len(s.Products) != 1 || s.Products[0].ID != "pkg:golang/github.com/sealgate/sealgate@1.2.3" {
			t.Errorf("%+v", s)
		}
	}
}

// TestSign: what is signed verifies, names every file, and is the same again.
func TestSign(t *testing.T) {
	key := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, ed25519.SeedSize))
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	args := []string{"sign", "-dir", dir, "-key", write(t, t.TempDir(), "key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))),
		"-version", "1.2.3", "-time", "2026-11-23T08:00:00Z", "-commit", "c0ffee", "-support-end", "2028-01-31", "-go", "go1.26", "-boards", "amd64", "-builder", "https://example.org/us"}
	write(t, dir, "sealgate.deb", "a package")
	write(t, dir, "a.cdx.json", "{}")
	made := func() (sums, signature, provenance []byte) {
		t.Helper()
		if err := run(args, &bytes.Buffer{}); err != nil {
			t.Fatal(err)
		}
		for name, to := range map[string]*[]byte{"SHA256SUMS": &sums, "SHA256SUMS.sig": &signature, "sealgate-1.2.3.provenance.json": &provenance} {
			if *to, err = os.ReadFile(filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
		return sums, signature, provenance
	}
	sums, signature, provenance := made()
	if s2, g2, p2 := made(); !bytes.Equal(sums, s2) || !bytes.Equal(signature, g2) || !bytes.Equal(provenance, p2) {
		t.Error("the second time gives other bytes")
	}
	if !ed25519.Verify(key.Public().(ed25519.PublicKey), sums, signature) {
		t.Error("the signature does not hold")
	}
	want := fmt.Sprintf("%x  a.cdx.json\n%x  sealgate-1.2.3.provenance.json\n%x  sealgate.deb\n", sha256.Sum256([]byte("{}")), sha256.Sum256(provenance), sha256.Sum256([]byte("a package")))
	if string(sums) != want {
		t.Errorf("got\n%s, want\n%s", sums, want)
	}
	var e dsse.Envelope
	if err := json.Unmarshal(provenance, &e); err != nil {
		t.Fatal(err)
	}
	body, err := e.DecodeB64Payload()
	if err != nil {
		t.Fatal(err)
	}
	sig, err := base64.StdEncoding.DecodeString(e.Signatures[0].Sig)
	if err != nil || !ed25519.Verify(key.Public().(ed25519.PublicKey), dsse.PAE(e.PayloadType, body), sig) {
		t.Errorf("the provenance's signature does not hold: %v", err)
	}
	var s struct {
		Type    string `json:"_type"`
		Subject []struct {
			Name   string
			Digest struct{ SHA256 string }
		}
		PredicateType string
		Predicate     struct {
			BuildDefinition struct {
				ExternalParameters   map[string]string
				ResolvedDependencies []struct{ Digest struct{ GitCommit string } }
			}
		}
	}
	if err := json.Unmarshal(body, &s); err != nil {
		t.Fatal(err)
	}
	if s.Type != "https://in-toto.io/Statement/v1" || s.PredicateType != "https://slsa.dev/provenance/v1" || len(s.Subject) != 2 ||
		s.Subject[1].Digest.SHA256 != fmt.Sprintf("%x", sha256.Sum256([]byte("a package"))) ||
		s.Predicate.BuildDefinition.ResolvedDependencies[0].Digest.GitCommit != "c0ffee" ||
		s.Predicate.BuildDefinition.ExternalParameters["SUPPORT_END"] != "2028-01-31" {
		t.Errorf("%s", body)
	}
}

// TestSignRefuses: without a key of the right kind, or without saying what it is.
func TestSignRefuses(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, "file", "x")
	complete := []string{"sign", "-dir", dir, "-version", "1", "-time", "2026-11-23T08:00:00Z", "-commit", "c", "-support-end", "2028-01-31", "-go", "g", "-boards", "b", "-builder", "u"}
	for name, args := range map[string][]string{
		"no key":         append(complete, "-key", filepath.Join(dir, "none")),
		"not a key":      append(complete, "-key", write(t, dir, "text", "hello")),
		"a broken key":   append(complete, "-key", write(t, dir, "pem", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")),
		"no version":     {"sign", "-dir", dir, "-time", "2026-11-23T08:00:00Z"},
		"no command":     {},
		"wrong command":  {"forge"},
		"no statements":  {"vex", "-version", "1", "-time", "2026-11-23T08:00:00Z"},
		"time of a kind": {"vex", "-statements", "../tools/vex.json", "-version", "1", "-time", "yesterday"},
	} {
		if err := run(args, &bytes.Buffer{}); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "SHA256SUMS")); err == nil {
		t.Error("something was signed")
	}
}
