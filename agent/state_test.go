package agent

import (
	"bytes"
	"encoding/binary"
	"errors"
	"path/filepath"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"github.com/sealgate/sealgate/crypto"
	"github.com/sealgate/sealgate/crypto/custody"
	"github.com/sealgate/sealgate/internal/durable"
	"github.com/sealgate/sealgate/internal/e2e"
)

func newStateFile(t *testing.T, counter *custody.Counter) *stateFile {
	t.Helper()
	key, err := crypto.NewSecretKey()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	return &stateFile{filepath.Join(dir, "state"), filepath.Join(dir, "floor"), key, counter}
}

// put writes what another version, or a crash, would have left.
func (f *stateFile) put(t *testing.T, path, ad string, plain []byte) {
	t.Helper()
	sealed, err := f.key.Seal(nil, plain, []byte(ad))
	if err == nil {
		err = durable.WriteFile(path, sealed, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// TestStateOfOtherVersions: what the version before wrote is read, and what the
// next one adds is no obstacle.
func TestStateOfOtherVersions(t *testing.T) {
	hash := bytes.Repeat([]byte{7}, 32)
	f := newStateFile(t, nil)
	if s, err := f.read(); err != nil || s.Floor != 0 || len(s.FloorHash) != 32 {
		t.Errorf("nothing: %+v, %v", s, err)
	}
	f.put(t, f.former, "floor", append(binary.BigEndian.AppendUint64(nil, 9), hash...))
	if s, err := f.read(); err != nil || s.Floor != 9 || !bytes.Equal(s.FloorHash, hash) {
		t.Errorf("the version before: %+v, %v", s, err)
	}
	next, err := cbor.Marshal(map[int]any{1: 5, 2: 10, 3: hash, 99: "new"})
	if err != nil {
		t.Fatal(err)
	}
	f.put(t, f.path, "state", next)
	if s, err := f.read(); err != nil || s.Boot != 5 || s.Floor != 10 {
		t.Errorf("the next version: %+v, %v", s, err)
	}
	for name, bad := range map[string][]byte{"not CBOR": {0xff}, "a short hash": {0xa1, 0x03, 0x41, 0x00}, "empty": nil} {
		f.put(t, f.path, "state", bad)
		if s, err := f.read(); err == nil {
			t.Errorf("%s: %+v", name, s)
		}
	}
	f.put(t, f.path, "floor", next)
	if _, err := f.read(); err == nil {
		t.Error("sealed for another purpose, and accepted")
	}
}

// TestStateCounter: which numbers of a state go with which of the counter.
func TestStateCounter(t *testing.T) {
	tpm := e2e.StartTPM(t)
	counter := custody.NewCounter(custody.TPMOptions{Device: tpm.Socket}, custody.DefaultCounter)
	f := newStateFile(t, counter)
	s := state{Boot: 1, FloorHash: make([]byte, 32)}
	if err := f.check(s, false); err != nil {
		t.Errorf("the first start with a counter: %v", err)
	}
	if err := f.check(state{Counter: 3}, false); !errors.Is(err, ErrRollback) {
		t.Errorf("the counter was removed: %v", err)
	}
	if err := f.write(&s); err != nil {
		t.Fatal(err)
	}
	before := s
	if err := f.write(&s); err != nil {
		t.Fatal(err)
	}
	if err := f.check(s, false); err != nil {
		t.Errorf("the newest: %v", err)
	}
	for name, c := range map[string]struct {
		s     state
		fresh bool
		want  error
	}{
		"one before":                          {before, false, ErrRollback},
		"of before there was a counter":       {state{}, false, ErrRollback},
		"written, and not raised: a crash":    {state{Counter: s.Counter + 1}, false, nil},
		"of another counter":                  {state{Counter: s.Counter + 2}, false, ErrRollback},
		"a new gateway with a counter of old": {state{}, true, nil},
	} {
		if err := f.check(c.s, c.fresh); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	tpm.Stop()
	if err := f.check(s, false); !errors.Is(err, custody.ErrUnavailable) {
		t.Errorf("without the TPM: %v", err)
	}
}
