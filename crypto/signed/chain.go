package signed

import (
	"crypto/sha256"
	"encoding/hex"
	"time"
)

// Chain is what the bundle of recipients and the registry of gateways begin
// with: each version of a site's document names the one before it, so that a
// neighbour can't be swapped for another of its number.
type Chain struct {
	Site      string
	Version   uint64   // from 1, rising by 1
	Previous  [32]byte // Hash of the version before; zero in version 1
	NotBefore time.Time
	NotAfter  time.Time
	Hash      [32]byte // SHA-256 of the signed bytes; set when a document is read
}

// Expect is what a gateway knows before it looks at a bundle.
type Expect struct {
	Site  string
	Floor uint64   // the version accepted before; 0: none
	Hash  [32]byte // the Hash accepted at Floor; not looked at if Floor is 0
	Now   time.Time
	Bound bool // Now is no later than the time, and may be long before it: not_before is not looked at
}

// accepts takes a document only if it is for this site, not below the floor,
// chained to what was accepted before where the two are neighbours, and valid
// now.
func (e *Expect) accepts(c *Chain) error {
	switch {
	case c.Site != e.Site:
		return ErrTarget
	case c.Version < e.Floor,
		e.Floor != 0 && c.Version == e.Floor && c.Hash != e.Hash,
		e.Floor != 0 && c.Version == e.Floor+1 && c.Previous != e.Hash:
		return ErrRollback
	case !e.Bound && e.Now.Before(c.NotBefore):
		return ErrNotYet
	case !e.Now.Before(c.NotAfter):
		return ErrExpired
	}
	return nil
}

// wireChain is the JSON form.
type wireChain struct {
	Schema    string `json:"schema"`
	Site      string `json:"site"`
	Version   uint64 `json:"version"`
	Previous  string `json:"previous"` // hex of 32 bytes; empty in version 1
	NotBefore string `json:"not_before"`
	NotAfter  string `json:"not_after"`
}

func (c *Chain) wire(schema string) wireChain {
	w := wireChain{
		Schema: schema, Site: c.Site, Version: c.Version,
		NotBefore: stamp(c.NotBefore), NotAfter: stamp(c.NotAfter),
	}
	if c.Previous != [32]byte{} {
		w.Previous = hex.EncodeToString(c.Previous[:])
	}
	return w
}

// chain reads the beginning of the document whose signed bytes are given.
func (w *wireChain) chain(schema string, verified []byte) (c Chain, err error) {
	switch {
	case w.Schema != schema:
		return c, content("schema is not %s", schema)
	case !validName(w.Site):
		return c, content("site is not a name")
	case w.Version == 0:
		return c, content("version is 0")
	case (w.Version == 1) != (w.Previous == ""):
		return c, content("every version but the first names the hash of the previous one")
	}
	c = Chain{Site: w.Site, Version: w.Version, Hash: sha256.Sum256(verified)}
	if w.Previous != "" && !unhex(c.Previous[:], w.Previous) {
		return c, content("previous is not a hash")
	}
	c.NotBefore, c.NotAfter, err = validity(w.NotBefore, w.NotAfter)
	return c, err
}
