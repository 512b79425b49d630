package custody

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/sealgate/sealgate/crypto"
)

// TestMain is also the process that TestMoveSurvivesKill kills.
func TestMain(m *testing.M) {
	if kind := os.Getenv("SEALGATE_TEST_MOVE"); kind != "" {
		// One thread, because strace counts calls per thread.
		runtime.LockOSThread()
		if err := killedRing().Move(context.Background(), kind); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// killedRing is the ring of the process that is killed and of its parent.
func killedRing() *Ring {
	base := os.Getenv("SEALGATE_TEST_DIR")
	return &Ring{Dir: filepath.Join(base, "keys"), Gateway: "gw", Machine: []byte("m1"), Options: Options{
		File: FileOptions{Path: filepath.Join(base, "medium", "kek")},
		TPM:  TPMOptions{Device: os.Getenv("SEALGATE_TEST_TPM")},
	}}
}

// identity opens a ring and all its keys, and returns what must never change.
func identity(t *testing.T, r *Ring) string {
	t.Helper()
	k, err := crypto.OpenKeyring(r.Dir, open(t, r), r.Gateway, r.Machine)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := k.PseudonymKeys([]string{"fleet"}, 0)
	if err != nil {
		t.Fatal(err)
	}
	p, err := crypto.NewPseudonymizer(keys)
	if err != nil {
		t.Fatal(err)
	}
	token, err := p.Token(nil, crypto.Pseudonym{Domain: "fleet", Class: "plate", Normalization: 1, Value: []byte("XX123")})
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(k.Signer().KeyID(), k.RecipientKey().Recipient().RID(), k.Spool().ID(), string(token))
}

func hasStrace(t *testing.T) {
	t.Helper()
	if exec.Command("strace", "-qq", "-o", os.DevNull, "true").Run() == nil {
		return
	}
	if os.Getenv("SEALGATE_CI") != "" {
		t.Fatal("strace is missing or may not trace: apt-get install strace")
	}
	t.Skip("needs strace: apt-get install strace")
}

// changes are the calls that a move changes the disk by.
const changes = "fsync,renameat,unlinkat,mkdirat"

// TestMoveSurvivesKill kills a move before its first, second, third … call that
// changes the disk, until one gets through. After each the ring opens with all
// its keys, by the old custodian or by the new one, and moves again.
func TestMoveSurvivesKill(t *testing.T) {
	hasStrace(t)
	tpm := startTPM(t)
	t.Setenv("SEALGATE_TEST_TPM", tpm.Socket)
	for _, c := range []struct{ from, to string }{{"file", "file"}, {"file", "tpm"}, {"tpm", "file"}} {
		t.Run(c.from+" to "+c.to, func(t *testing.T) {
			base := t.TempDir()
			t.Setenv("SEALGATE_TEST_DIR", filepath.Join(base, "origin"))
			r := killedRing()
			r.Kind = c.from
			want := identity(t, r)
			moved, stayed := 0, 0
			for n := 1; ; n++ {
				dir := filepath.Join(base, fmt.Sprint(n))
				if err := os.CopyFS(dir, os.DirFS(filepath.Join(base, "origin"))); err != nil {
					t.Fatal(err)
				}
				restoreModes(t, dir)
				t.Setenv("SEALGATE_TEST_DIR", dir)
				cmd := exec.Command("strace", "-f", "-qq", "-o", os.DevNull, "-e", "trace="+changes,
					"-e", fmt.Sprintf("inject=%s:signal=KILL:when=%d", changes, n), os.Args[0])
				cmd.Env = append(os.Environ(), "SEALGATE_TEST_MOVE="+c.to)
				out, err := cmd.CombinedOutput()
				finished := err == nil
				if !finished && len(out) > 0 {
					t.Fatalf("kill %d: %v\n%s", n, err, out)
				}
				killed := killedRing()
				if got := identity(t, killed); got != want {
					t.Fatalf("kill %d: the keys changed", n)
				}
				rec := load(t, killed)
				if rec.Kind == c.to && rec.KEK != load(t, r).KEK {
					moved++
					if _, err := os.Stat(killed.Options.File.Path); c.to == "tpm" && err == nil {
						t.Fatalf("kill %d: the old key file is still there", n)
					}
				} else {
					stayed++
				}
				for _, left := range []string{stageDir, movedDir} {
					if there, _ := exists(filepath.Join(killed.Dir, left)); there {
						t.Fatalf("kill %d: %s is left", n, left)
					}
				}
				if finished {
					break
				}
				if n%4 == 0 {
					if err := killed.Move(t.Context(), c.to); err != nil {
						t.Fatalf("kill %d: move again: %v", n, err)
					}
					if got := identity(t, killed); got != want {
						t.Fatalf("kill %d: the keys changed when they were moved again", n)
					}
				}
			}
			if stayed < 10 || moved < 5 {
				t.Errorf("killed %d times before the change and %d times after: too few to show anything", stayed, moved)
			}
		})
	}
}

func restoreModes(t *testing.T, dir string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		mode := os.FileMode(0o600)
		if d.IsDir() {
			mode = 0o700
		}
		return os.Chmod(path, mode)
	})
	if err != nil {
		t.Fatal(err)
	}
}

// TestMove goes through every pair of custodians.
func TestMove(t *testing.T) {
	opts := Options{}
	for kind, home := range homes {
		o := home(t)
		switch kind {
		case "file":
			opts.File = o.File
		case "credential":
			opts.Credential = o.Credential
		case "tpm":
			opts.TPM = o.TPM
		case "vault":
			opts.Vault = o.Vault
		}
	}
	for _, from := range Kinds() {
		for _, to := range Kinds() {
			r := &Ring{Dir: filepath.Join(t.TempDir(), "keys"), Gateway: "gw", Machine: []byte("m1"), Kind: from, Options: opts}
			want := identity(t, r)
			before := open(t, r).ID()
			if from != to {
				if err := r.Move(t.Context(), to); err == nil || !strings.Contains(err.Error(), "custody.kind") {
					t.Errorf("%s to %s against agent.yaml: %v", from, to, err)
				}
			}
			r.Kind = to
			if err := r.Move(t.Context(), to); err != nil {
				t.Errorf("%s to %s: %v", from, to, err)
				continue
			}
			if got := identity(t, r); got != want {
				t.Errorf("%s to %s: the keys changed", from, to)
			}
			if from+to != "credentialcredential" && open(t, r).ID() == before {
				t.Errorf("%s to %s: the KEK is the same", from, to)
			}
			r.Kind = from
			if _, err := r.Open(t.Context()); from != to && (err == nil || !strings.Contains(err.Error(), "keys move --to "+from)) {
				t.Errorf("%s to %s: opened by the former custodian: %v", from, to, err)
			}
		}
	}
}

// TestMoveFailsWhole: a custodian that can't take the key leaves the ring as it
// was.
func TestMoveFailsWhole(t *testing.T) {
	r := &Ring{Dir: filepath.Join(t.TempDir(), "keys"), Gateway: "gw", Options: Options{
		File: FileOptions{Path: filepath.Join(t.TempDir(), "kek")},
		TPM:  TPMOptions{Device: filepath.Join(t.TempDir(), "none")},
	}}
	want := identity(t, r)
	if err := r.Move(t.Context(), "tpm"); !errors.Is(err, ErrUnavailable) {
		t.Errorf("to a TPM that is not there: %v", err)
	}
	if got := identity(t, r); got != want {
		t.Error("the keys changed")
	}
}

func rescueKey(t *testing.T, kem crypto.KEM) *crypto.RecipientKey {
	t.Helper()
	k, err := crypto.GenerateRecipientKey(kem)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// TestRescue: a machine and its TPM are lost; the directory and a rescue key are
// there.
func TestRescue(t *testing.T) {
	lost, next := startTPM(t), startTPM(t)
	for _, kem := range crypto.KEMs() {
		key, second, stranger := rescueKey(t, kem), rescueKey(t, crypto.KEMX25519), rescueKey(t, kem)
		r := &Ring{Dir: filepath.Join(t.TempDir(), "keys"), Gateway: "gw", Machine: []byte("m1"), Kind: "tpm",
			Options: Options{TPM: TPMOptions{Device: lost.Socket}}, Rescuers: []*crypto.Recipient{key.Recipient()}}
		want := identity(t, r)

		// A rescue key that agent.yaml names later is added, and stays through a move.
		r.Rescuers = []*crypto.Recipient{second.Recipient()}
		if k := open(t, r); k.Rescue != 2 {
			t.Errorf("%s: %d rescue keys", kem, k.Rescue)
		}
		r.Rescuers = nil
		if err := r.Move(t.Context(), "tpm"); err != nil {
			t.Fatal(err)
		}

		r.Options.TPM.Device, r.Machine = next.Socket, []byte("m2")
		if _, err := r.Open(t.Context()); !errors.Is(err, ErrOther) {
			t.Errorf("%s: on another TPM: %v", kem, err)
		}
		if err := r.Rescue(t.Context(), stranger, "tpm"); !errors.Is(err, ErrMissing) {
			t.Errorf("%s: a key that was not named: %v", kem, err)
		}
		for _, k := range []*crypto.RecipientKey{key, second} {
			if err := r.Rescue(t.Context(), k, "tpm"); err != nil {
				t.Fatalf("%s: %v", kem, err)
			}
			if got := identity(t, r); got != want {
				t.Errorf("%s: the keys changed", kem)
			}
		}
	}
}

// TestRescueKeysAreProved: who can write to the directory can't make the KEK be
// wrapped to a key of their own at the next move.
func TestRescueKeysAreProved(t *testing.T) {
	good, evil := rescueKey(t, crypto.KEMX25519), rescueKey(t, crypto.KEMX25519)
	r := &Ring{Dir: filepath.Join(t.TempDir(), "keys"), Gateway: "gw",
		Options: Options{File: FileOptions{Path: filepath.Join(t.TempDir(), "kek")}}, Rescuers: []*crypto.Recipient{good.Recipient()}}
	open(t, r)
	rec := load(t, r)
	rec.Rescue[0].RID, rec.Rescue[0].Public = evil.Recipient().RID().String(), evil.Recipient().Public()
	refuse(t, r, "a rescue key was exchanged", rec, crypto.ErrKeyTampered)
	if err := r.Move(t.Context(), "file"); !errors.Is(err, crypto.ErrKeyTampered) {
		t.Errorf("moved with an exchanged rescue key: %v", err)
	}
	rec.Created = "2020-01-01T00:00:00Z"
	refuse(t, r, "another date", rec, crypto.ErrKeyTampered)
}

func FuzzRecord(f *testing.F) {
	dir := f.TempDir()
	r := &Ring{Dir: filepath.Join(dir, "keys"), Gateway: "gw", Options: Options{File: FileOptions{Path: filepath.Join(dir, "kek")}}}
	if _, err := r.Open(context.Background()); err != nil {
		f.Fatal(err)
	}
	good, err := os.ReadFile(filepath.Join(r.Dir, recordName))
	if err != nil {
		f.Fatal(err)
	}
	key, err := openFile(context.Background(), &r.Options, "gw", [8]byte{}, nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"format":"sealgate-custody/v1"}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		rec, err := parseRecord(raw)
		if err != nil {
			return
		}
		if rec.verify(key) == nil && rec.KEK != "" && string(rec.Proof) != string(mustParse(t, good).Proof) {
			t.Fatal("a record is proved that was never written")
		}
	})
}

func mustParse(t *testing.T, raw []byte) *record {
	t.Helper()
	rec, err := parseRecord(raw)
	if err != nil {
		t.Fatal(err)
	}
	return rec
}
