package control

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/sealgate/sealgate/crypto/signed"
	"github.com/sealgate/sealgate/internal/durable"
)

// state is what a gate must not forget. It lies in one file, encrypted and
// authenticated under the gateway's keys; the documents that it names lie
// beside it, by their hash. A thief of the disk who can put back an older copy
// of both is outside what this protects against.
type state struct {
	Format    int                `json:"format"`
	Root      []byte             `json:"root,omitempty"` // body of the trust root in force; none: the installed one
	Targets   map[string]*target `json:"targets"`        // "g/…", "d/…", "recipients"
	Effective reference          `json:"effective"`      // the policy in force; no hash: the local one
	Pending   *pending           `json:"pending,omitempty"`
	Sealed    Code               `json:"sealed,omitempty"` // why everything is sealed
	Lockdown  bool               `json:"lockdown"`
	Challenge challenge          `json:"challenge"`
	Commands  uint64             `json:"commands"` // version of the last command to all
	Anchor    anchor             `json:"anchor"`
}

// target is the newest admitted document of a target: its floor.
type target struct {
	Version   uint64    `json:"version"`
	Hash      string    `json:"hash"`               // hex of the signed bytes' SHA-256
	Stands    uint64    `json:"stands"`             // the version in force: an older one where this one was taken back
	Document  string    `json:"document,omitempty"` // hash under which that is kept
	NotAfter  time.Time `json:"not_after"`
	Tombstone bool      `json:"tombstone,omitempty"`
	Failed    Code      `json:"failed,omitempty"` // why it was taken back
}

// reference names a policy that is kept; without a hash it is the gateway's
// own file.
type reference struct {
	Target  string `json:"target"`
	Version uint64 `json:"version"`
	Hash    string `json:"hash"`
}

// pending is a change on probation.
type pending struct {
	Target   string    `json:"target"` // whose document made the change
	Change   reference `json:"change"`
	Previous reference `json:"previous"`
	Restore  target    `json:"restore"`  // what stood for the target before
	Sealed   Code      `json:"sealed"`   // whether everything was sealed before
	Keep     bool      `json:"keep"`     // it tightens something: never taken back
	Attempts int       `json:"attempts"` // starts of the agent with it
}

const stateFormat = 1

func (s *state) target(name string) *target {
	t := s.Targets[name]
	if t == nil {
		t = &target{}
		s.Targets[name] = t
	}
	return t
}

func (g *Gate) statePath() string { return filepath.Join(g.opt.Dir, "state") }

func (g *Gate) readState() error {
	g.state = state{Format: stateFormat, Targets: map[string]*target{}}
	sealed, err := os.ReadFile(g.statePath())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read state of remote configuration: %w", err)
	}
	raw, err := g.opt.Key.Open(nil, sealed, []byte("control state"))
	if err != nil {
		return fmt.Errorf("%s is damaged or was changed: restore it from the backup, or enrol the gateway anew", g.statePath())
	}
	if err := json.Unmarshal(raw, &g.state); err != nil {
		return fmt.Errorf("decode state of remote configuration: %w", err)
	}
	if g.state.Format != stateFormat || g.state.Targets == nil {
		return fmt.Errorf("%s is of format %d, this program knows %d: run the version that wrote it", g.statePath(), g.state.Format, stateFormat)
	}
	return nil
}

// writeState makes the state durable. Nothing takes effect before.
func (g *Gate) writeState() error {
	g.state.Anchor = g.clock.anchor
	raw, err := json.Marshal(&g.state)
	if err != nil {
		return fmt.Errorf("encode state of remote configuration: %w", err)
	}
	sealed, err := g.opt.Key.Seal(nil, raw, []byte("control state"))
	if err != nil {
		return fmt.Errorf("seal state of remote configuration: %w", err)
	}
	if err := durable.WriteFile(g.statePath(), sealed, 0o600); err != nil {
		return fmt.Errorf("write state of remote configuration: %w", err)
	}
	return nil
}

func (g *Gate) documentPath(hash string) string {
	return filepath.Join(g.opt.Dir, hash+".json")
}

// keep writes a document under its hash, which is returned.
func (g *Gate) keep(doc []byte) (string, error) {
	hash := hexHash(sha256.Sum256(doc))
	if err := durable.WriteFile(g.documentPath(hash), doc, 0o600); err != nil {
		return "", fmt.Errorf("write document: %w", err)
	}
	return hash, nil
}

// readDocument reads a document by the hash that the authenticated state holds.
func (g *Gate) readDocument(hash string) ([]byte, error) {
	doc, err := os.ReadFile(g.documentPath(hash))
	if err != nil {
		return nil, fmt.Errorf("read document: %w", err)
	}
	if hexHash(sha256.Sum256(doc)) != hash {
		return nil, errors.New("read document: it was changed after it was written")
	}
	return doc, nil
}

// readPolicy reads a policy that was admitted before. Its signatures were
// verified then; the keys may have changed since.
func (g *Gate) readPolicy(hash string) (*signed.Policy, error) {
	body, err := g.readDocument(hash)
	if err != nil {
		return nil, err
	}
	return signed.ParsePolicy(body)
}

// sweep removes documents that the state does not name any more. What can't be
// removed now is removed the next time.
func (g *Gate) sweep() {
	used := map[string]bool{g.state.Effective.Hash: true}
	for _, t := range g.state.Targets {
		used[t.Document] = true
	}
	if p := g.state.Pending; p != nil {
		used[p.Change.Hash], used[p.Previous.Hash] = true, true
	}
	entries, err := os.ReadDir(g.opt.Dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		if hash, ok := strings.CutSuffix(e.Name(), ".json"); ok && !used[hash] {
			_ = os.Remove(filepath.Join(g.opt.Dir, e.Name()))
		}
	}
}

func hexHash(h [32]byte) string { return hex.EncodeToString(h[:]) }
