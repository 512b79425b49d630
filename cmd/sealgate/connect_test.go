package main

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sealgate/sealgate/internal/testcert"
)

// TestConnect: each uplink of docs/connect.md is one that `sealgate check`
// accepts, where its files are there.
func TestConnect(t *testing.T) {
	page, err := os.ReadFile("../../docs/connect.md")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certFile, keyFile, err := testcert.Write(filepath.Join(dir, "own"), "gw", time.Now(), time.Now().Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	cert, err := os.ReadFile(certFile)
	if err != nil {
		t.Fatal(err)
	}
	key, err := os.ReadFile(keyFile)
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile(`/etc/sealgate/[a-z0-9/.-]+`)
	if err := os.Mkdir(filepath.Join(dir, "tls"), 0o700); err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?ms)^```yaml\n(uplinks:\n.*?)^```$").FindAllStringSubmatch(string(page), -1)
	for _, b := range blocks {
		text := named.ReplaceAllStringFunc(b[1], func(path string) string {
			at := filepath.Join(dir, strings.TrimPrefix(path, "/etc/sealgate/"))
			text := map[string]string{".pem": string(cert), ".key": string(key), ".password": "x\n"}[filepath.Ext(at)]
			writeFile(t, at, text, os.O_TRUNC)
			return at
		})
		path := filepath.Join(dir, "agent.yaml")
		writeFile(t, path, "ingress: {broker: {anonymous: true}}\nspool: {volatile: true}\n"+text, os.O_TRUNC)
		var out, log bytes.Buffer
		if code := run(t.Context(), environment{args: []string{"check", "--config", path}, stdout: &out, stderr: &log}); code != exitFine {
			t.Errorf("%s\n%s", b[1], log.String())
		}
	}
	if len(blocks) != 5 {
		t.Errorf("%d blocks", len(blocks))
	}
}

// TestYocto: the recipe installs what there is, under the licence that there is.
func TestYocto(t *testing.T) {
	recipe, err := os.ReadFile("../../configs/packaging/yocto/sealgate_git.bb")
	if err != nil {
		t.Fatal(err)
	}
	licence, err := os.ReadFile("../../LICENSE")
	if err != nil {
		t.Fatal(err)
	}
	if sum := md5.Sum(licence); !strings.Contains(string(recipe), "md5="+hex.EncodeToString(sum[:])) {
		t.Errorf("LIC_FILES_CHKSUM is not that of LICENSE: %x", sum)
	}
	page, err := os.ReadFile("../../docs/install.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`file://([a-zA-Z.]+)[ "]`).FindAllStringSubmatch(string(recipe), -1) {
		if !regexp.MustCompile(`(?m)^(go build|cp) .*\b` + regexp.QuoteMeta(m[1]) + `\b`).Match(page) {
			t.Errorf("docs/install.md does not say where %s comes from", m[1])
		}
	}
}
