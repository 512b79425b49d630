package agent

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/sealgate/sealgate/agent/corridor"
	"github.com/sealgate/sealgate/crypto"
	"github.com/sealgate/sealgate/internal/durable"
)

// maxRetained bounds the grants of one gateway that are retained at a broker:
// ten weeks of one set of recipients.
const maxRetained = 10_000

// A grantBook is the file of the grants that are retained at one uplink's
// broker: a line "<Unix seconds> <kid in hex>" for each, oldest first. A line is
// on disk before its grant is published, so that none is ever forgotten there.
// It belongs to the uplink's sender.
type grantBook struct {
	path    string
	keep    time.Duration
	entries []retainedGrant
	known   map[crypto.KID]bool
}

type retainedGrant struct {
	kid crypto.KID
	at  time.Time
}

func openGrantBook(path string, keep time.Duration) (*grantBook, error) {
	b := &grantBook{path: path, keep: keep, known: map[crypto.KID]bool{}}
	raw, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read book of grants: %w", err)
	}
	for line := range strings.Lines(string(raw)) {
		at, name, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		seconds, terr := strconv.ParseInt(at, 10, 64)
		kid, kerr := hex.DecodeString(name)
		if terr != nil || kerr != nil || len(kid) != len(crypto.KID{}) {
			continue // torn by a crash: its grant was not published
		}
		b.add(crypto.KID(kid), time.Unix(seconds, 0))
	}
	return b, nil
}

func (b *grantBook) add(kid crypto.KID, at time.Time) {
	if !b.known[kid] {
		b.known[kid] = true
		b.entries = append(b.entries, retainedGrant{kid, at})
	}
}

// note writes down a grant that is about to be published.
func (b *grantBook) note(kid crypto.KID) (err error) {
	if b.known[kid] {
		return nil
	}
	now := time.Now()
	if len(b.entries) == 0 { // there may be no file yet: make it so that a crash leaves it there
		b.add(kid, now)
		return b.write()
	}
	f, err := os.OpenFile(b.path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("note grant: %w", err)
	}
	// A line's end first: the last line may be torn.
	_, err = fmt.Fprintf(f, "\n%d %s\n", now.Unix(), kid)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("note grant: %w", err)
	}
	b.add(kid, now)
	return nil
}

// expired returns the grants that are to be deleted at the broker.
func (b *grantBook) expired() (old []crypto.KID) {
	now := time.Now()
	for i, e := range b.entries {
		if now.Sub(e.at) < b.keep && len(b.entries)-i <= maxRetained {
			break
		}
		old = append(old, e.kid)
	}
	return old
}

// forget writes the book anew without grants that are deleted.
func (b *grantBook) forget(kids ...crypto.KID) error {
	if len(kids) == 0 {
		return nil
	}
	for _, kid := range kids {
		delete(b.known, kid)
	}
	b.entries = slices.DeleteFunc(b.entries, func(e retainedGrant) bool { return !b.known[e.kid] })
	return b.write()
}

func (b *grantBook) write() error {
	var text []byte
	for _, e := range b.entries {
		text = fmt.Appendf(text, "%d %s\n", e.at.Unix(), e.kid)
	}
	if err := durable.WriteFile(b.path, text, 0o600); err != nil {
		return fmt.Errorf("write book of grants: %w", err)
	}
	return nil
}

// GrantTopic is where the grant of a key is retained.
func GrantTopic(site, gateway string, kid crypto.KID) string {
	return "sg/v1/" + site + "/grants/" + gateway + "/" + kid.String()
}

// grants says how the grants of one uplink are published on their own: those
// that messages refer to, also where that was the setting of an earlier start.
func (a *Agent) grants(uplink string) (*corridor.Grants, error) {
	book, err := openGrantBook(filepath.Join(a.cfg.State, "grants-"+uplink), a.cfg.Keys.GrantsKeep)
	if err != nil {
		return nil, err
	}
	id, standing := "grants-unretained-"+uplink, false
	return &corridor.Grants{
		Topic:  func(kid crypto.KID) string { return GrantTopic(a.cfg.Site, a.cfg.Gateway, kid) },
		Expiry: a.cfg.Keys.GrantsKeep,
		Note:   book.note, Expired: book.expired, Forget: book.forget,
		Alarm: func(unretained bool) {
			switch {
			case unretained && !standing:
				a.raise(id, "the broker of "+uplink+" takes no retained messages: who connects after a key was sent can't open what is under it",
					"permit retained messages below sg/v1/ at the broker, or set keys.grants to inline")
			case !unretained && standing:
				a.clear(id)
			}
			standing = unretained
		},
	}, nil
}
