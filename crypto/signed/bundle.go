package signed

import (
	"encoding/hex"
	"fmt"
	"slices"
	"time"

	"github.com/sealgate/sealgate/crypto"
)

// BundleType is the payload type of a recipients bundle.
const BundleType = "application/vnd.sealgate.recipients.v1+json"

// Audiences that are no policy's to name.
const (
	Recovery = "recovery" // its keys open everything that leaves, and are kept offline
	Blocked  = "blocked"  // opens what was blocked and kept on the gateway, and nothing else
)

const (
	bundleSchema = "sealgate-recipients/v1"
	maxEntries   = 128
	maxName      = 64
)

// Status says what a recipient's key is used for. It only ever moves on.
type Status string

// The statuses of a key.
const (
	Pending  Status = "pending"  // announced; nothing is sealed to it yet
	Active   Status = "active"   // sealed to
	Retiring Status = "retiring" // still sealed to, while its successor is rolled out
	Revoked  Status = "revoked"  // never sealed to again
)

// receives tells whether data keys are wrapped to a key of this status.
func (s Status) receives() bool { return s == Active || s == Retiring }

func (s Status) valid() bool {
	return s == Pending || s == Active || s == Retiring || s == Revoked
}

// Entry is one public key of an audience.
type Entry struct {
	Audience  string
	Status    Status
	Recipient *crypto.Recipient
}

// Bundle says to whom a site's gateways may seal.
type Bundle struct {
	Chain
	Entries []Entry
}

// OpenBundle verifies a signed bundle and accepts it only if it is for this
// site, not below the floor, chained to what was accepted before where the two
// are neighbours, and valid now.
func OpenBundle(raw []byte, role *Role, e Expect) (*Bundle, error) {
	body, err := role.Verify(raw, BundleType)
	if err != nil {
		return nil, err
	}
	b, err := ParseBundle(body)
	if err != nil {
		return nil, err
	}
	if err := e.accepts(&b.Chain); err != nil {
		return nil, err
	}
	return b, nil
}

// ParseBundle reads the verified bytes of a bundle.
func ParseBundle(verified []byte) (*Bundle, error) {
	if len(verified) > MaxSize {
		return nil, ErrSize
	}
	var w wireBundle
	if err := decode(verified, &w); err != nil {
		return nil, err
	}
	return w.bundle(verified)
}

// SignBundle checks a bundle and signs it. Its Hash is not looked at.
func SignBundle(b *Bundle, signers ...*crypto.Signer) ([]byte, error) {
	w := wireBundle{wireChain: b.wire(bundleSchema), Entries: make([]wireEntry, 0, len(b.Entries))}
	for _, e := range b.Entries {
		w.Entries = append(w.Entries, wireEntry{
			RID: e.Recipient.RID().String(), Audience: e.Audience, KEM: e.Recipient.KEM().String(),
			Public: e.Recipient.Public(), Status: e.Status,
		})
	}
	body, err := marshal(w, func(b []byte) error { _, err := ParseBundle(b); return err })
	if err != nil {
		return nil, err
	}
	return Sign(BundleType, body, signers...)
}

// Active returns the entries to which data for the given audiences is sealed:
// their active and retiring keys and those of the recovery audience, in the
// order of the bundle. An audience without such a key is an error, because data
// for it could not be opened.
func (b *Bundle) Active(audiences ...string) ([]Entry, error) {
	var out []Entry
	found := map[string]bool{}
	for _, e := range b.Entries {
		if e.Status.receives() && (e.Audience == Recovery || slices.Contains(audiences, e.Audience)) {
			out = append(out, e)
			found[e.Audience] = true
		}
	}
	for _, a := range audiences {
		if !found[a] {
			return nil, fmt.Errorf("%w: audience %q has no active key", ErrContent, a)
		}
	}
	return out, nil
}

// Audiences returns those that a policy may name, in the order of the bundle,
// whatever the status of their keys.
func (b *Bundle) Audiences() (names []string) {
	for _, e := range b.Entries {
		if e.Audience != Recovery && e.Audience != Blocked && !slices.Contains(names, e.Audience) {
			names = append(names, e.Audience)
		}
	}
	return names
}

// wireBundle is the JSON form; docs/formats.md describes it.
type wireBundle struct {
	wireChain
	Entries []wireEntry `json:"entries"`
}

type wireEntry struct {
	RID      string `json:"rid"` // hex of 16 bytes
	Audience string `json:"audience"`
	KEM      string `json:"kem"`
	Public   []byte `json:"public"` // base64
	Status   Status `json:"status"`
}

func content(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrContent, fmt.Sprintf(format, args...))
}

func (w *wireBundle) bundle(verified []byte) (*Bundle, error) {
	c, err := w.chain(bundleSchema, verified)
	if err != nil {
		return nil, err
	}
	if len(w.Entries) > maxEntries {
		return nil, content("more than %d entries", maxEntries)
	}
	b := &Bundle{Chain: c, Entries: make([]Entry, 0, len(w.Entries))}
	seen := make(map[crypto.RID]bool, len(w.Entries))
	recovery := false
	for i := range w.Entries {
		e, err := w.Entries[i].entry(i)
		if err != nil {
			return nil, err
		}
		// One key in two audiences would make both one.
		if seen[e.Recipient.RID()] {
			return nil, content("entry %d repeats a key", i)
		}
		seen[e.Recipient.RID()] = true
		recovery = recovery || e.Audience == Recovery && e.Status == Active
		b.Entries = append(b.Entries, e)
	}
	if !recovery {
		return nil, content("there is no active key for the audience %q", Recovery)
	}
	return b, nil
}

func (w *wireEntry) entry(i int) (Entry, error) {
	kem, err := crypto.KEMByName(w.KEM)
	if err != nil {
		return Entry{}, content("entry %d: %v", i, err)
	}
	r, err := crypto.ParseRecipient(kem, w.Public)
	if err != nil {
		return Entry{}, content("entry %d: %v", i, err)
	}
	switch {
	case w.RID != r.RID().String():
		return Entry{}, content("entry %d: rid is not that of its key", i)
	case !validName(w.Audience):
		return Entry{}, content("entry %d: audience is not a name", i)
	case !w.Status.valid():
		return Entry{}, content("entry %d: status is not known", i)
	}
	return Entry{Audience: w.Audience, Status: w.Status, Recipient: r}, nil
}

// instant reads RFC 3339 in UTC to the second, in its one spelling.
func instant(s string) (time.Time, error) {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil || t.UTC().Format(time.RFC3339) != s {
		return time.Time{}, content("a time is not RFC 3339 in UTC to the second")
	}
	return t, nil
}

// unhex fills dst from lower-case hex of exactly its length.
func unhex(dst []byte, s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == len(dst) && hex.EncodeToString(b) == s && copy(dst, b) == len(dst)
}

// validName allows what sites and audiences may be called: 1 to 64 of a-z, 0-9,
// '-', '_' and '.', the first a letter or digit.
func validName(s string) bool {
	if s == "" || len(s) > maxName {
		return false
	}
	for i := range len(s) {
		c := s[i]
		word := c >= 'a' && c <= 'z' || c >= '0' && c <= '9'
		if !word && (i == 0 || c != '-' && c != '_' && c != '.') {
			return false
		}
	}
	return true
}
