package agent

import (
	"errors"
	"testing"
	"time"

	"github.com/sealgate/sealgate/crypto"
)

func FuzzBackup(f *testing.F) {
	signer, err := crypto.GenerateSigner()
	if err != nil {
		f.Fatal(err)
	}
	key, err := crypto.GenerateRecipientKey(crypto.KEMX25519)
	if err != nil {
		f.Fatal(err)
	}
	body := &backupBody{Public: signer.Verifier().Public(), KEK: make([]byte, 32), Files: []backupEntry{{Name: "boot", Data: []byte("1")}}}
	good, err := sealBackup("gw", time.Unix(1_800_000_000, 0), []*crypto.Recipient{key.Recipient()}, body, signer)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte("SGBAK\x01\x00\x00\x00\x01\x80"))
	f.Add([]byte("SGBAK\x01\xff\xff\xff\xff"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		_, _, err := openBackup(raw, key)
		if err == nil && string(raw) != string(good) {
			t.Fatal("a backup that was never made opens")
		}
		if err != nil && !errors.Is(err, ErrBackup) {
			t.Fatalf("not a reason: %v", err)
		}
	})
}
