package envelope

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"

	"github.com/sealgate/sealgate/classify/payload"
	"github.com/sealgate/sealgate/crypto"
)

// A trailer is the value of "_sg", taken apart.
type trailer struct {
	header    []byte
	grants    [][]byte
	ciphers   [][]byte // one for each field, still base64url
	tags      []byte
	signature []byte
	tagsAt    int // in the text: behind the '.' before the tags
	sigAt     int // in the text: behind the '.' before the signature
}

// parseTrailer reads the value of "_sg" and the header inside.
func parseTrailer(text []byte) (t trailer, h Header, ok bool) {
	rest := text
	next := func() (part []byte, found bool) {
		part, rest, found = bytes.Cut(rest, []byte{'.'})
		return part, found
	}
	if v, found := next(); !found || string(v)+"." != versionFields {
		return t, h, false
	}
	part, found := next()
	if t.header, ok = decode(part, maxHeader); !ok || !found {
		return t, h, false
	}
	if h, ok = parseHeader(t.header, true); !ok {
		return t, h, false
	}
	part, found = next()
	if t.grants, ok = decodeGrants(part); !ok || !found {
		return t, h, false
	}
	t.ciphers = make([][]byte, len(h.Fields))
	for i := range t.ciphers {
		if t.ciphers[i], found = next(); !found {
			return t, h, false
		}
	}
	t.tagsAt = len(text) - len(rest)
	part, found = next()
	if t.tags, ok = decode(part, maxKeys*crypto.Overhead); !ok || !found || len(t.tags) != len(h.KIDs)*crypto.Overhead {
		return t, h, false
	}
	t.sigAt = len(text) - len(rest)
	t.signature, ok = decode(rest, crypto.SignatureSize)
	return t, h, ok && (len(t.signature) == 0 || len(t.signature) == crypto.SignatureSize)
}

// decode reads canonical, unpadded base64url of at most limit bytes. What
// encoding/base64 would ignore, line breaks, is refused.
func decode(text []byte, limit int) ([]byte, bool) {
	if len(text) > base64.RawURLEncoding.EncodedLen(limit) || bytes.ContainsAny(text, "\r\n") {
		return nil, false
	}
	b, err := b64.AppendDecode(nil, text)
	return b, err == nil
}

func decodeGrants(text []byte) (grants [][]byte, ok bool) {
	b, ok := decode(text, maxKeys*maxGrant)
	if !ok {
		return nil, false
	}
	c := &cursor{b: b}
	for range c.array(0, maxKeys) {
		grants = append(grants, c.bytes(1, maxGrant))
	}
	return grants, c.done()
}

// openDocument opens a document whose trailer is field at of d.
func (o *Opener) openDocument(d *payload.Document, at int32, require Requirement) (Opened, error) {
	text := d.Text(at)
	t, h, ok := parseTrailer(text)
	if !ok {
		return Opened{}, refuse(ReasonMalformed, "trailer")
	}
	grants, err := o.grantsFor(&h, t.grants)
	if err != nil {
		return Opened{}, err
	}
	out := Opened{Protection: ProtectionFields, Freshness: Unchecked, Header: h}
	if trailerInPlace(d, at) {
		start := int(d.Fields[at].Text.Start)
		hash := sha256.New()
		hash.Write(d.Raw[:start+t.tagsAt])
		out.Verified = tagsHold(t.tags, appendDocAAD(nil, contextDoc, t.header, [32]byte(hash.Sum(nil))), grants)
		hash.Write(d.Raw[start+t.tagsAt : start+t.sigAt])
		if out.Verified {
			out.Origin, err = o.verifySignature(grants[0], require, t.signature, func() []byte {
				return signInput([32]byte(hash.Sum(nil)))
			})
			if err != nil {
				return Opened{}, err
			}
		}
	}
	values, err := openFields(&t, &h, grants)
	if err != nil {
		return Opened{}, err
	}
	if !out.Verified && (!o.options.AllowReserialized || require.Signed) {
		return Opened{}, refuse(ReasonReserialized, "document")
	}
	for i, f := range h.Fields {
		out.Fields = append(out.Fields, OpenedField{Pointer: f.Pointer, KID: h.KIDs[f.Key], Opened: values[i] != nil})
	}
	if out.Payload, ok = restore(d, at, h.Fields, values); !ok || !o.readable(out.Payload) {
		return Opened{}, refuse(ReasonMalformed, "document")
	}
	return out, o.pack(d, &out)
}

// readable reports whether a restored document is one strict JSON object.
func (o *Opener) readable(doc []byte) bool {
	d := o.docs.Get().(*payload.Document)
	defer o.releaseDoc(d)
	return payload.Parse(d, "", doc, payload.Limits{Bytes: len(doc), Fields: o.limits().Fields}) == payload.ReasonNone && d.TopLevelObject()
}

// trailerInPlace reports whether "_sg" stands where the Sealer put it: the last
// member, without escapes.
func trailerInPlace(d *payload.Document, at int32) bool {
	f := &d.Fields[at]
	if f.Flags&(payload.TextArena|payload.KeyArena) != 0 {
		return false
	}
	tail := bytes.TrimLeft(d.Raw[f.Raw.End:], jsonSpace)
	return len(tail) > 0 && tail[0] == '}'
}

// tagsHold checks the document tag of each key that is ours.
func tagsHold(tags, aad []byte, grants []*cachedGrant) bool {
	for i, g := range grants {
		if g.dek == nil {
			continue
		}
		if _, err := g.dek.Open(nil, tags[i*crypto.Overhead:(i+1)*crypto.Overhead], aad); err != nil {
			return false
		}
	}
	return true
}

// openFields decrypts every field of our keys, or returns an error. The value
// of a field of another audience is nil; its ciphertext is still checked to be
// one.
func openFields(t *trailer, h *Header, grants []*cachedGrant) ([][]byte, error) {
	values := make([][]byte, len(h.Fields))
	var aad []byte
	for i, f := range h.Fields {
		blob, ok := decode(t.ciphers[i], len(t.ciphers[i]))
		if n := len(blob) - crypto.Overhead; !ok || n < minPadded || padField(n) != n {
			return nil, refuse(ReasonMalformed, "field")
		}
		g := grants[f.Key]
		if g.dek == nil {
			continue
		}
		aad = appendFieldAAD(aad[:0], t.header, f.Pointer)
		value, err := g.dek.Open(nil, blob, aad)
		if err != nil {
			return nil, refuse(ReasonBadTag, "field")
		}
		value = bytes.TrimRight(value, " ")
		if !json.Valid(value) {
			return nil, refuse(ReasonMalformed, "field")
		}
		values[i] = value
	}
	return values, nil
}
