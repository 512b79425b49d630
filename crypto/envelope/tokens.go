package envelope

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/sealgate/sealgate/classify/payload"
	"github.com/sealgate/sealgate/crypto"
)

// A document that is no JSON object has no place for a trailer. There a token
// stands for each encrypted value, in a form that its format allows, and the
// first token carries what the trailer would:
//
//	first   sealgate1h.<H>.<grants>.<c1>.<tags>.<sig>.
//	others  sealgate1c.<ci>.
//
// A token takes away the bytes of a value, and sometimes more: quotes, a length,
// a key. So its plaintext says how much around the token to replace by what. An
// opener needs no reader of the format for that.
const (
	tokenFirst = payload.TokenMark + "h."
	tokenOther = payload.TokenMark + "c."

	firstParts  = 5
	tokenPrefix = 8    // bytes of before and after in a plaintext
	tokenEnd    = 0x80 // behind the value in a plaintext, before zeros
)

// A TokenPlace is where a token stands in a document.
type TokenPlace struct {
	At            int // where it begins
	Before, After int // how many bytes around it came with it
}

// SealTokens appends a document with tokens in place of encrypted values. write
// is given the tokens, one for each field and in their order, of their final
// length but without ciphertext, and returns the document with them in it, which
// is then written to, and where each stands. The fields are in the order of the
// document.
//
// The lease is key 0 of the fields, further ones are keys 1, 2, …, each with at
// least one field. Each lease pays for its own fields and one tag.
func (l *Lease) SealTokens(dst []byte, st Stamp, fields []FieldCipher, write func(tokens [][]byte) ([]byte, []TokenPlace, error), further ...*Lease) ([]byte, error) {
	sc := l.sealer.scratch.Get().(*scratch)
	defer l.sealer.release(sc)
	sc.leases = append(append(sc.leases[:0], l), further...)
	err := st.check()
	if err == nil {
		err = checkTokenFields(fields)
	}
	if err == nil {
		err = takeAll(sc.leases, fields)
	}
	if err != nil {
		return nil, fmt.Errorf("encrypt fields: %w", err)
	}
	sc.header = appendHeader(sc.header[:0], &st, sc.leases, fields)
	if len(sc.header) > maxHeader {
		return nil, fmt.Errorf("encrypt fields: %w", ErrTooLarge)
	}
	tokens := l.blankTokens(sc, &st, fields)
	doc, places, err := write(tokens)
	if err != nil {
		return nil, fmt.Errorf("encrypt fields: %w", err)
	}
	found, ok := scanTokens(doc)
	if !ok || len(found) != len(fields) || len(places) != len(fields) {
		return nil, fmt.Errorf("encrypt fields: %w", ErrReserved)
	}
	for i := range found {
		if p := places[i]; p.At != found[i].start || found[i].end-p.At != len(tokens[i]) || p.Before < 0 || p.After < 0 {
			return nil, fmt.Errorf("encrypt fields: %w", ErrShape)
		}
	}
	for i := range fields {
		f := &fields[i]
		sc.plain = appendTokenPlaintext(sc.plain[:0], places[i], f.Plaintext)
		sc.aad = appendTokenAAD(sc.aad[:0], sc.header, i)
		sc.cipher, err = sc.leases[f.Key].key.dek.Seal(sc.cipher[:0], sc.plain, sc.aad)
		clear(sc.plain)
		if err != nil {
			return nil, fmt.Errorf("encrypt fields: %w", err)
		}
		b64.Encode(found[i].cipher(doc), sc.cipher)
	}
	head := &found[0]
	sc.aad = appendDocAAD(sc.aad[:0], contextTokens, sc.header, without(doc, head.parts[3].Start, head.parts[4].End))
	sc.cipher = sc.cipher[:0]
	for _, x := range sc.leases {
		if sc.cipher, err = x.key.dek.Seal(sc.cipher, nil, sc.aad); err != nil {
			return nil, fmt.Errorf("tag document: %w", err)
		}
	}
	b64.Encode(head.part(doc, 3), sc.cipher)
	if head.parts[4].Len() > 0 {
		sig, err := l.sealer.options.Signer.Sign(signInputOf(contextSignAll, without(doc, head.parts[4].Start, head.parts[4].End)))
		if err != nil {
			return nil, fmt.Errorf("sign document: %w", err)
		}
		b64.Encode(head.part(doc, 4), sig)
	}
	return append(dst, doc...), nil
}

func checkTokenFields(fields []FieldCipher) error {
	if len(fields) == 0 {
		return errors.New("no fields")
	}
	if len(fields) > maxFields {
		return ErrTooLarge
	}
	for i := range fields {
		if p := fields[i].Pointer; p != "" && !validPointer(p) {
			return ErrShape
		}
	}
	return nil
}

// blankTokens returns the tokens with "A" for all that is not known yet.
func (l *Lease) blankTokens(sc *scratch, st *Stamp, fields []FieldCipher) [][]byte {
	blank := func(dst []byte, n int) []byte {
		dst = slices.Grow(dst, b64.EncodedLen(n)+1)
		for range b64.EncodedLen(n) {
			dst = append(dst, 'A')
		}
		return append(dst, '.')
	}
	tokens := make([][]byte, len(fields))
	for i := range fields {
		size := padField(tokenPrefix+len(fields[i].Plaintext)+1) + crypto.Overhead
		if i > 0 {
			tokens[i] = blank([]byte(tokenOther), size)
			continue
		}
		b := append(b64.AppendEncode([]byte(tokenFirst), sc.header), '.')
		b = blank(append(l.appendGrants(b, sc), '.'), size)
		b = blank(b, len(sc.leases)*crypto.Overhead)
		signature := 0
		if signsAny(sc.leases, st) {
			signature = crypto.SignatureSize
		}
		tokens[i] = blank(b, signature)
	}
	return tokens
}

// appendTokenPlaintext appends how many bytes before and behind the token go, in
// four bytes each, the value that comes there, and padding (ISO/IEC 7816-4) to
// 32, 64, 128, … bytes.
func appendTokenPlaintext(dst []byte, p TokenPlace, value []byte) []byte {
	n := padField(tokenPrefix + len(value) + 1)
	dst = slices.Grow(dst, n)
	dst = binary.BigEndian.AppendUint32(dst, uint32(p.Before))
	dst = binary.BigEndian.AppendUint32(dst, uint32(p.After))
	dst = append(append(dst, value...), tokenEnd)
	return appendZeros(dst, n-len(dst))
}

// parseTokenPlaintext is the inverse of appendTokenPlaintext.
func parseTokenPlaintext(b []byte) (before, after uint32, value []byte, ok bool) {
	b = bytes.TrimRight(b, "\x00")
	if len(b) <= tokenPrefix || b[len(b)-1] != tokenEnd {
		return 0, 0, nil, false
	}
	return binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:]), b[tokenPrefix : len(b)-1], true
}

// appendTokenAAD appends CBOR ["sg1/token", H, index].
func appendTokenAAD(dst, header []byte, index int) []byte {
	dst = append(dst, majorArray<<5|3)
	dst = appendText(dst, contextToken)
	dst = appendBytes(dst, header)
	return appendUint(dst, uint64(index))
}

// without is the hash of a document without some bytes.
func without(doc []byte, start, end uint32) [32]byte {
	h := sha256.New()
	h.Write(doc[:start])
	h.Write(doc[end:])
	return [32]byte(h.Sum(nil))
}

// A foundToken is a token in a document.
type foundToken struct {
	start, end int
	parts      []payload.Span // between the dots behind the mark
}

func (t *foundToken) part(doc []byte, i int) []byte { return doc[t.parts[i].Start:t.parts[i].End] }

// cipher is the ciphertext, in base64url.
func (t *foundToken) cipher(doc []byte) []byte {
	if len(t.parts) == firstParts {
		return t.part(doc, 2)
	}
	return t.part(doc, 0)
}

// scanTokens finds all tokens: the first has the header, no other has.
func scanTokens(doc []byte) (found []foundToken, ok bool) {
	for at := 0; ; {
		n := bytes.Index(doc[at:], []byte(payload.TokenMark))
		if n < 0 {
			return found, len(found) > 0
		}
		t := foundToken{start: at + n}
		mark, parts := tokenOther, 1
		if len(found) == 0 {
			mark, parts = tokenFirst, firstParts
		}
		if len(found) == maxFields || !bytes.HasPrefix(doc[t.start:], []byte(mark)) {
			return nil, false
		}
		at = t.start + len(mark)
		for range parts {
			from := at
			for at < len(doc) && isBase64URL(doc[at]) {
				at++
			}
			if at == len(doc) || doc[at] != '.' {
				return nil, false
			}
			t.parts = append(t.parts, payload.Span{Start: uint32(from), End: uint32(at)})
			at++
		}
		t.end = at
		found = append(found, t)
	}
}

func isBase64URL(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '-' || c == '_'
}

// openTokens opens a document with tokens. d is what it was unpacked by.
func (o *Opener) openTokens(d *payload.Document, doc []byte, require Requirement) (Opened, error) {
	if require.Sealed {
		return Opened{}, refuse(ReasonDowngrade, "document")
	}
	found, ok := scanTokens(doc)
	if !ok {
		return Opened{}, refuse(ReasonMalformed, "token")
	}
	t, h, ok := parseFirstToken(doc, found)
	if !ok {
		return Opened{}, refuse(ReasonMalformed, "token")
	}
	grants, err := o.grantsFor(&h, t.grants)
	if err != nil {
		return Opened{}, err
	}
	head := &found[0]
	out := Opened{Protection: ProtectionFields, Freshness: Unchecked, Header: h}
	sum := without(doc, head.parts[3].Start, head.parts[4].End)
	if out.Verified = tagsHold(t.tags, appendDocAAD(nil, contextTokens, t.header, sum), grants); out.Verified {
		out.Origin, err = o.verifySignature(grants[0], require, t.signature, func() []byte {
			return signInputOf(contextSignAll, without(doc, head.parts[4].Start, head.parts[4].End))
		})
		if err != nil {
			return Opened{}, err
		}
	}
	var aad []byte
	at := 0
	fits := true
	for i, f := range h.Fields {
		blob, ok := decode(found[i].cipher(doc), len(doc))
		if n := len(blob) - crypto.Overhead; !ok || n < minPadded || padField(n) != n {
			return Opened{}, refuse(ReasonMalformed, "field")
		}
		g := grants[f.Key]
		out.Fields = append(out.Fields, OpenedField{Pointer: f.Pointer, KID: h.KIDs[f.Key], Opened: g.dek != nil})
		if g.dek == nil {
			continue
		}
		aad = appendTokenAAD(aad[:0], t.header, i)
		plain, err := g.dek.Open(nil, blob, aad)
		if err != nil {
			return Opened{}, refuse(ReasonBadTag, "field")
		}
		before, after, value, ok := parseTokenPlaintext(plain)
		if !ok || int64(before) > int64(found[i].start-at) || int64(after) > int64(len(doc)-found[i].end) {
			fits = false
			continue
		}
		out.Payload = append(append(out.Payload, doc[at:found[i].start-int(before)]...), value...)
		at = found[i].end + int(after)
	}
	switch {
	case !out.Verified: // nobody knows how much around a token is the token's
		return Opened{}, refuse(ReasonReserialized, "document")
	case !fits:
		return Opened{}, refuse(ReasonMalformed, "document")
	}
	out.Payload = append(out.Payload, doc[at:]...)
	return out, o.pack(d, &out)
}

// parseFirstToken reads what the first token has beside its ciphertext.
func parseFirstToken(doc []byte, found []foundToken) (t trailer, h Header, ok bool) {
	head := &found[0]
	if t.header, ok = decode(head.part(doc, 0), maxHeader); !ok {
		return t, h, false
	}
	if h, ok = parseHeader(t.header, true); !ok || len(h.Fields) != len(found) {
		return t, h, false
	}
	if t.grants, ok = decodeGrants(head.part(doc, 1)); !ok {
		return t, h, false
	}
	if t.tags, ok = decode(head.part(doc, 3), maxKeys*crypto.Overhead); !ok || len(t.tags) != len(h.KIDs)*crypto.Overhead {
		return t, h, false
	}
	t.signature, ok = decode(head.part(doc, 4), crypto.SignatureSize)
	return t, h, ok && (len(t.signature) == 0 || len(t.signature) == crypto.SignatureSize)
}
