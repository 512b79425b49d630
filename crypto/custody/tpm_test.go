package custody

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-tpm/tpm2"
	"github.com/google/go-tpm/tpm2/transport"

	"github.com/sealgate/sealgate/internal/e2e"
)

// testTPM is a software TPM that this package can talk to.
type testTPM struct{ *e2e.TPM }

func startTPM(t *testing.T) *testTPM { return &testTPM{e2e.StartTPM(t)} }

func (x *testTPM) do(t *testing.T, f func(transport.TPM) error) {
	t.Helper()
	tpm, err := openTPM(x.Socket)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(f(tpm), tpm.Close()); err != nil {
		t.Fatal(err)
	}
}

// extend changes a register, as firmware does when what it boots changed.
func (x *testTPM) extend(t *testing.T, pcr int) {
	t.Helper()
	x.do(t, func(tpm transport.TPM) error {
		_, err := tpm2.PCRExtend{
			PCRHandle: tpm2.AuthHandle{Handle: tpm2.TPMHandle(pcr), Auth: tpm2.PasswordAuth(nil)},
			Digests:   tpm2.TPMLDigestValues{Digests: []tpm2.TPMTHA{{HashAlg: tpm2.TPMAlgSHA256, Digest: make([]byte, 32)}}},
		}.Execute(tpm)
		return err
	})
}

func (x *testTPM) clear(t *testing.T) {
	t.Helper()
	x.do(t, func(tpm transport.TPM) error {
		_, err := tpm2.Clear{AuthHandle: tpm2.AuthHandle{Handle: tpm2.TPMRHLockout, Auth: tpm2.PasswordAuth(nil)}}.Execute(tpm)
		return err
	})
}

func tpmRing(t *testing.T, o TPMOptions) *Ring {
	return &Ring{Dir: filepath.Join(t.TempDir(), "keys"), Gateway: "gw", Kind: "tpm", Options: Options{TPM: o}}
}

func refused(t *testing.T, r *Ring, want error, text string) {
	t.Helper()
	if _, err := r.Open(t.Context()); !errors.Is(err, want) || !strings.Contains(err.Error(), text) {
		t.Errorf("got %v, want %v with %q", err, want, text)
	}
}

func TestTPMRegisters(t *testing.T) {
	x := startTPM(t)
	free, held := tpmRing(t, TPMOptions{Device: x.Socket}), tpmRing(t, TPMOptions{Device: x.Socket, PCRs: []int{7, 11}})
	open(t, free)
	open(t, held)
	x.extend(t, 8)
	open(t, held)
	x.extend(t, 7)
	refused(t, held, ErrRefused, "PCRs")
	open(t, free)
	x.Reboot()
	open(t, held)
	open(t, free)
	// Which registers count stands in the record, not in the configuration.
	held.Options.TPM.PCRs = nil
	x.extend(t, 11)
	refused(t, held, ErrRefused, "PCRs")
	for _, bad := range [][]int{{24}, {-1}, {7, 7}} {
		if checkPCRs(bad) == nil {
			t.Errorf("%v was accepted", bad)
		}
	}
}

func TestTPMCleared(t *testing.T) {
	x := startTPM(t)
	r := tpmRing(t, TPMOptions{Device: x.Socket})
	open(t, r)
	x.clear(t)
	refused(t, r, ErrOther, "cleared")
}

func TestTPMAuthorizationAndLockout(t *testing.T) {
	x := startTPM(t)
	auth := filepath.Join(t.TempDir(), "auth")
	write := func(s string) {
		if err := os.WriteFile(auth, []byte(s), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, pcrs := range [][]int{nil, {7}} {
		write("correct horse\n")
		r := tpmRing(t, TPMOptions{Device: x.Socket, AuthFile: auth, PCRs: pcrs})
		open(t, r)
		write("wrong horse")
		refused(t, r, ErrRefused, "authorization value is wrong")
		none := *r
		none.Options.TPM.AuthFile = ""
		refused(t, &none, ErrRefused, "auth_file")
		write("correct horse")
		open(t, r)
	}
	r := tpmRing(t, TPMOptions{Device: x.Socket, AuthFile: auth})
	open(t, r)
	write("wrong horse")
	for range 40 { // how many a TPM takes is its own affair
		if _, err := r.Open(t.Context()); errors.Is(err, ErrUnavailable) {
			break
		}
	}
	write("correct horse")
	refused(t, r, ErrUnavailable, "lockout")
	// What has no value to guess does not lock, and is not locked.
	open(t, tpmRing(t, TPMOptions{Device: x.Socket}))
	if err := os.Chmod(auth, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := r.Open(t.Context()); err == nil {
		t.Error("a value that everybody can read was taken")
	}
}

func TestTPMMissing(t *testing.T) {
	dir := t.TempDir()
	r := tpmRing(t, TPMOptions{Device: filepath.Join(dir, "tpmrm0")})
	refused(t, r, ErrUnavailable, "there is no TPM")
	if err := os.WriteFile(filepath.Join(dir, "tpmrm0"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	refused(t, r, ErrMissing, "neither a device nor a socket")
}

// TestTPMLeavesNothingLoaded: without a resource manager a TPM holds three
// objects, so a leak would show at once.
func TestTPMLeavesNothingLoaded(t *testing.T) {
	x := startTPM(t)
	r := tpmRing(t, TPMOptions{Device: x.Socket, PCRs: []int{7}})
	c := NewCounter(r.Options.TPM, DefaultCounter)
	open(t, r)
	if _, err := c.Make(); err != nil {
		t.Fatal(err)
	}
	x.extend(t, 7)
	for i := range 8 {
		refused(t, r, ErrRefused, "PCRs")
		if _, err := c.Raise(); err != nil {
			t.Fatalf("round %d: %v", i, err)
		}
	}
}

func TestCounter(t *testing.T) {
	x := startTPM(t)
	c := NewCounter(TPMOptions{Device: x.Socket}, DefaultCounter)
	if _, err := c.Read(); !errors.Is(err, ErrMissing) {
		t.Errorf("before it was made: %v", err)
	}
	first, err := c.Make()
	if err != nil {
		t.Fatal(err)
	}
	if again, err := c.Make(); err != nil || again != first {
		t.Errorf("made twice: %d, %v, was %d", again, err, first)
	}
	for want := first + 1; want < first+4; want++ {
		if n, err := c.Raise(); err != nil || n != want {
			t.Errorf("raised to %d, %v, want %d", n, err, want)
		}
		if n, err := c.Read(); err != nil || n != want {
			t.Errorf("reads %d, %v, want %d", n, err, want)
		}
	}
	x.Reboot()
	if n, err := c.Read(); err != nil || n != first+3 {
		t.Errorf("after a reboot: %d, %v, want %d", n, err, first+3)
	}
	// Removing it does not bring it back to an old number.
	x.do(t, func(tpm transport.TPM) error {
		public, err := tpm2.NVReadPublic{NVIndex: tpm2.TPMHandle(DefaultCounter)}.Execute(tpm)
		if err != nil {
			return err
		}
		_, err = tpm2.NVUndefineSpace{
			AuthHandle: tpm2.AuthHandle{Handle: tpm2.TPMRHOwner, Auth: tpm2.PasswordAuth(nil)},
			NVIndex:    tpm2.NamedHandle{Handle: tpm2.TPMHandle(DefaultCounter), Name: public.NVName},
		}.Execute(tpm)
		return err
	})
	if n, err := c.Make(); err != nil || n <= first+3 {
		t.Errorf("made again: %d, %v, want more than %d", n, err, first+3)
	}
	ordinary := NewCounter(TPMOptions{Device: x.Socket}, 0x01805348)
	x.do(t, func(tpm transport.TPM) error {
		_, err := tpm2.NVDefineSpace{
			AuthHandle: tpm2.AuthHandle{Handle: tpm2.TPMRHOwner, Auth: tpm2.PasswordAuth(nil)},
			PublicInfo: tpm2.New2B(tpm2.TPMSNVPublic{NVIndex: 0x01805348, NameAlg: tpm2.TPMAlgSHA256, Attributes: tpm2.TPMANV{OwnerWrite: true, OwnerRead: true, AuthRead: true}, DataSize: 8}),
		}.Execute(tpm)
		return err
	})
	if _, err := ordinary.Make(); !errors.Is(err, ErrRefused) {
		t.Errorf("an index of another kind: %v", err)
	}
}

// A TPM that answers nonsense is an error, and no panic.
func FuzzTPMBlob(f *testing.F) {
	b, err := deterministic(tpmBlob{Version: 1, SRK: []byte("name"), PCRs: []int{7}, Public: []byte{0, 0}, Private: []byte{0, 0}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte{0x86})
	f.Fuzz(func(t *testing.T, raw []byte) {
		if _, _, _, err := parseTPMBlob(raw); err != nil && !errors.Is(err, ErrOther) {
			t.Fatal(fmt.Errorf("not a reason: %w", err))
		}
	})
}
