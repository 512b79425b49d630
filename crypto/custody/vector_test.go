package custody

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/sealgate/sealgate/crypto"
)

var update = flag.Bool("update", false, "write the vector anew")

// TestRecordVector holds the format of docs/formats-keys.md: a record, a key file
// and a rescue key of an earlier day still go together. The keys are the bytes
// 00 01 … 1f and 20 21 … 3f.
func TestRecordVector(t *testing.T) {
	const dir = "testdata/vectors"
	raw := func(from byte) []byte {
		b := make([]byte, crypto.KeySize)
		for i := range b {
			b[i] = from + byte(i)
		}
		return b
	}
	kek, err := crypto.InsecureSecretKey(raw(0))
	if err != nil {
		t.Fatal(err)
	}
	rescue, err := crypto.InsecureRecipientKey(crypto.KEMX25519, raw(0x20))
	if err != nil {
		t.Fatal(err)
	}
	machine := []byte("machine-vector")
	if *update {
		rec, err := newRecord(kek, "gw-vector", "file", nil, machine, []*crypto.Recipient{rescue.Recipient()}, time.Unix(1_790_000_000, 0))
		if err != nil {
			t.Fatal(err)
		}
		sealed, err := rec.seal(kek)
		if err != nil {
			t.Fatal(err)
		}
		for name, content := range map[string][]byte{recordName: sealed, "kek": []byte(InsecureLine(kek))} {
			if err := os.WriteFile(filepath.Join(dir, name), content, 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	lines, err := os.ReadFile(filepath.Join(dir, "kek"))
	if err != nil {
		t.Fatal(err)
	}
	keys, err := parseLines(lines)
	if err != nil || len(keys) != 1 || !bytes.Equal(keys[0].InsecureBytes(), raw(0)) {
		t.Fatalf("key file: %v", err)
	}
	src, err := os.ReadFile(filepath.Join(dir, recordName))
	if err != nil {
		t.Fatal(err)
	}
	rec, err := parseRecord(src)
	if err != nil {
		t.Fatal(err)
	}
	if err := rec.verify(keys[0]); err != nil {
		t.Errorf("proof: %v", err)
	}
	got, where, err := rec.unwrap(rescue)
	if err != nil || !bytes.Equal(got.InsecureBytes(), raw(0)) || !bytes.Equal(where, machine) {
		t.Errorf("rescue: machine %q, %v", where, err)
	}
}
