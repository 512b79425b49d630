package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sealgate/sealgate/agent/spool"
	"github.com/sealgate/sealgate/crypto"
	"github.com/sealgate/sealgate/crypto/custody"
	"github.com/sealgate/sealgate/crypto/envelope"
	"github.com/sealgate/sealgate/crypto/signed"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){
		"sealctl": func() {
			os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
		},
		"seal":      func() { helper(sealCommand) },
		"enroll":    func() { helper(enrollCommand) },
		"fillspool": func() { helper(fillSpool) },
	})
}

func helper(f func([]string) error) {
	if err := f(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, os.Args[0]+":", err)
		os.Exit(1)
	}
}

// TestScripts runs testdata/*.txtar: the program as a user meets it.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		UpdateScripts:       os.Getenv("UPDATE_SCRIPTS") != "",
	})
}

// sealCommand is a gateway in one line: seal DIR
// whole|json|fields|tokens|reference TOPIC FILE OUT. It seals FILE to the first
// audience of DIR/recipients.bundle, or its member, or cell, "plate"; its signing key appears as DIR/gateway/*.pub.json, a grant
// that travels alone as OUT.grant.
func sealCommand(args []string) error {
	if len(args) != 5 {
		return fmt.Errorf("got %d arguments", len(args))
	}
	dir, how, topic, file, out := args[0], args[1], args[2], args[3], args[4]
	plain, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	signer, err := gatewaySigner(filepath.Join(dir, "gateway"))
	if err != nil {
		return err
	}
	lease, err := newLease(dir, signer, how == "reference")
	if err != nil {
		return err
	}
	st := envelope.Stamp{Seq: 7, MessageID: [16]byte{1}, Grade: 3, PolicyVersion: 12, Topic: topic, ContentType: "application/json"}
	var sealed []byte
	switch how {
	case "whole", "reference":
		sealed, err = lease.SealMessage(nil, st, plain, envelope.EncodingCOSE)
	case "json":
		sealed, err = lease.SealMessage(nil, st, plain, envelope.EncodingJSON)
	case "fields":
		sealed, err = lease.SealFields(nil, st, plain, []envelope.FieldCipher{{Pointer: "/plate", Plaintext: []byte(`"NH-417"`)}})
	case "tokens":
		st.ContentType = "text/csv"
		at := bytes.Index(plain, []byte("NH-417"))
		sealed, err = lease.SealTokens(nil, st, []envelope.FieldCipher{{Pointer: "/0/plate", Plaintext: []byte("NH-417")}}, func(tokens [][]byte) ([]byte, []envelope.TokenPlace, error) {
			return bytes.Replace(plain, []byte("NH-417"), tokens[0], 1), []envelope.TokenPlace{{At: at}}, nil
		})
	default:
		err = fmt.Errorf("no way %q", how)
	}
	if err != nil {
		return err
	}
	if err := os.WriteFile(out+".grant", lease.Grant(), 0o600); err != nil {
		return err
	}
	return os.WriteFile(out, sealed, 0o600)
}

// gatewaySigner returns the signing key in dir, or makes it.
func gatewaySigner(dir string) (*crypto.Signer, error) {
	if old, err := filepath.Glob(filepath.Join(dir, "*.key.json")); err != nil || len(old) > 0 {
		return crypto.LoadSigner(old[0], nil)
	}
	path, err := createKey(dir, "", crypto.KEMX25519, nil)
	if err != nil {
		return nil, err
	}
	return crypto.LoadSigner(path, nil)
}

// enrollCommand is a gateway that asks to be registered: enroll DIR OUT. It
// signs with the key that seal uses, makes the request, and prints its
// fingerprint.
func enrollCommand(args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("got %d arguments", len(args))
	}
	signer, err := gatewaySigner(filepath.Join(args[0], "gateway"))
	if err != nil {
		return err
	}
	kem, err := crypto.GenerateRecipientKey(crypto.KEMX25519)
	if err != nil {
		return err
	}
	e := &signed.Enrolment{Site: "plant-7", Gateway: "gw-west", KEM: kem.Recipient(), IssuedAt: time.Now()}
	raw, err := signed.SignEnrolment(e, signer)
	if err != nil {
		return err
	}
	fmt.Println(e.Fingerprint())
	return os.WriteFile(args[1], raw, 0o600)
}

// fillSpool leaves what a gateway would: fillspool DIR, with three records that
// wait, one of them in quarantine.
func fillSpool(args []string) error {
	if len(args) != 1 {
		return fmt.Errorf("got %d arguments", len(args))
	}
	keys := filepath.Join(args[0], "keys")
	kek, err := (&custody.Ring{Dir: keys, Gateway: "gw-west", Options: custody.Options{File: custody.FileOptions{Path: filepath.Join(keys, "kek")}}}).Open(context.Background())
	if err != nil {
		return err
	}
	ring, err := crypto.OpenKeyring(keys, kek, "gw-west", nil)
	if err != nil {
		return err
	}
	s, err := spool.Open(spool.Options{Dir: filepath.Join(args[0], "spool"), Uplinks: []string{"city"}, Key: ring.Spool(), Size: 32 << 20, Volatile: true})
	if err != nil {
		return err
	}
	var entries []spool.Entry
	for i := range byte(3) {
		entries = append(entries, spool.Entry{Record: spool.Record{ID: [16]byte{i + 1}, Kind: spool.KindData, Grade: i, QoS: 1, Topic: fmt.Sprintf("plant-7/door/%d", i), Payload: []byte("sealed bytes")}})
	}
	if err := s.Commit(entries); err != nil {
		return err
	}
	cur, err := s.Cursor(0, 0)
	if err != nil {
		return err
	}
	_, pos, _, err := cur.Next()
	if err != nil {
		return err
	}
	if err := s.Quarantine(0, cur, pos, "refused by the broker: 0x97", true); err != nil {
		return err
	}
	return s.Close()
}

func newLease(dir string, signer *crypto.Signer, reference bool) (*envelope.Lease, error) {
	b, _, err := readBundle(filepath.Join(dir, bundleFile), filepath.Join(dir, rootFile))
	if err != nil {
		return nil, err
	}
	o := envelope.SealerOptions{Gateway: "gw-west", Signer: signer, Boot: 1, BundleVersion: b.Version, Reference: reference}
	active, err := b.Active(b.Entries[0].Audience)
	if err != nil {
		return nil, err
	}
	for _, e := range active {
		o.Recipients = append(o.Recipients, envelope.Recipient{Recipient: e.Recipient, Audience: e.Audience, Recovery: e.Audience == "recovery"})
	}
	s, err := envelope.NewSealer(o)
	if err != nil {
		return nil, err
	}
	return s.Lease(4, 4<<10)
}
