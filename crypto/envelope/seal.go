package envelope

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/sealgate/sealgate/classify/payload"
	"github.com/sealgate/sealgate/crypto"
)

// trailerKey is the reserved member of a document.
const trailerKey = "_sg"

// Versions, at the start of the member's value.
const (
	versionFields = "1."
	versionSealed = "1s."
)

// gradeSigned is the grade from which on every message is signed.
const gradeSigned = 4

// b64 is base64url without padding (RFC 4648 §5, §3.2). Strict refuses stray
// bits in the last character, so that every value has one form.
var b64 = base64.RawURLEncoding.Strict()

// Encoding is the form of a sealed message.
type Encoding uint8

// The encodings.
const (
	EncodingCOSE Encoding = iota // COSE_Encrypt0, binary
	EncodingJSON                 // the same bytes as {"_sg":"1s.<base64url>"}, for pipelines that take only JSON
)

// A Stamp is what a message's header says about it.
type Stamp struct {
	Stream        Stream
	Seq           uint64
	MessageID     [16]byte
	Grade         uint8 // before transformation
	PolicyVersion uint64
	Topic         string // as published, never empty
	RealTopic     string // SealMessage only; travels inside the ciphertext if it is not empty
	ContentType   string // of the payload; may be empty
	Sign          bool   // sign this message; done in any case from grade 4 on, and for more than one audience
}

// A FieldCipher is a field to encrypt.
type FieldCipher struct {
	Pointer   string // JSON Pointer in the output document: of what was left in the field's place, or of the member that was removed. Of a token: in the document as the device sent it
	Plaintext []byte // the exact raw JSON value; of a token the bytes that it took away
	Key       int    // 0: the lease itself; n: the n-th of the further ones
}

// scratch holds the buffers of one message, kept between messages.
type scratch struct {
	header, plain, cipher, aad []byte
	leases                     []*Lease
}

// keepScratch is the largest buffer worth keeping for the next message.
const keepScratch = 64 << 10

func (s *Sealer) release(sc *scratch) {
	clear(sc.plain)
	clear(sc.leases)
	if cap(sc.header)+cap(sc.plain)+cap(sc.cipher)+cap(sc.aad) <= keepScratch {
		s.scratch.Put(sc)
	}
}

func (st *Stamp) check() error {
	if st.Topic == "" || len(st.Topic) > maxText || len(st.RealTopic) > maxText || len(st.ContentType) > maxText || st.Seq > maxCount {
		return ErrTooLarge
	}
	if !utf8.ValidString(st.Topic) || !utf8.ValidString(st.RealTopic) || !utf8.ValidString(st.ContentType) {
		return errors.New("topic or content type is not UTF-8")
	}
	return nil
}

func (l *Lease) signs(st *Stamp) bool {
	return st.Sign || st.Grade >= gradeSigned || l.sealer.audiences > 1
}

// SealMessage appends the message sealed whole: a COSE_Encrypt0 that holds the
// payload, the real topic and padding.
func (l *Lease) SealMessage(dst []byte, st Stamp, message []byte, enc Encoding) ([]byte, error) {
	if err := st.check(); err != nil {
		return nil, fmt.Errorf("seal message: %w", err)
	}
	if err := l.take(1, len(message)+len(st.RealTopic)); err != nil {
		return nil, fmt.Errorf("seal message: %w", err)
	}
	sc := l.sealer.scratch.Get().(*scratch)
	defer l.sealer.release(sc)
	sc.leases = append(sc.leases[:0], l)
	sc.header = appendHeader(sc.header[:0], &st, sc.leases, nil)
	sc.plain = appendPlaintext(sc.plain[:0], message, st.RealTopic)
	sc.aad = appendEncStructure(sc.aad[:0], sc.header)
	var err error
	if sc.cipher, err = l.key.dek.Seal(sc.cipher[:0], sc.plain, sc.aad); err != nil {
		return nil, fmt.Errorf("seal message: %w", err)
	}
	iv, ct := sc.cipher[:crypto.NonceSize], sc.cipher[crypto.NonceSize:]
	var sig []byte
	if l.signs(&st) {
		if sig, err = l.sealer.options.Signer.Sign(messageToBeSigned(sc.header, iv, ct)); err != nil {
			return nil, fmt.Errorf("sign message: %w", err)
		}
	}
	var inline []byte
	if !l.sealer.options.Reference {
		inline = l.key.grant
	}
	size := len(sc.header) + len(sc.cipher) + len(inline) + len(sig) + 64
	if enc != EncodingJSON {
		return appendEncrypt0(slices.Grow(dst, size), sc.header, iv, inline, sig, ct), nil
	}
	sc.aad = appendEncrypt0(sc.aad[:0], sc.header, iv, inline, sig, ct)
	dst = slices.Grow(dst, b64.EncodedLen(size))
	dst = append(dst, `{"`+trailerKey+`":"`+versionSealed...)
	dst = b64.AppendEncode(dst, sc.aad)
	return append(dst, `"}`...), nil
}

// appendPlaintext appends CBOR [payload, {1: real topic}?, padding].
func appendPlaintext(dst, message []byte, realTopic string) []byte {
	dst = slices.Grow(dst, len(message)+len(message)/8+len(realTopic)+minPadded+32)
	items := uint64(2)
	if realTopic != "" {
		items++
	}
	start := len(dst)
	dst = appendHead(dst, majorArray, items)
	dst = appendBytes(dst, message)
	if realTopic != "" {
		dst = append(dst, majorMap<<5|1, 1)
		dst = appendText(dst, realTopic)
	}
	zeros := padSealed(len(dst) - start)
	dst = appendHead(dst, majorBytes, uint64(zeros))
	return appendZeros(dst, zeros)
}

func appendZeros(dst []byte, n int) []byte {
	dst = slices.Grow(dst, n)
	clear(dst[len(dst) : len(dst)+n])
	return dst[:len(dst)+n]
}

// appendEncStructure appends the AAD of a sealed message, the Enc_structure of
// RFC 9052 §5.3.
func appendEncStructure(dst, header []byte) []byte {
	dst = append(dst, majorArray<<5|3)
	dst = appendText(dst, "Encrypt0")
	dst = appendBytes(dst, header)
	return append(append(dst, majorBytes<<5|byte(len(contextPayload))), contextPayload...)
}

func appendEncrypt0(dst, header, iv, inline, sig, ct []byte) []byte {
	pairs := uint64(1)
	if inline != nil {
		pairs++
	}
	if sig != nil {
		pairs++
	}
	dst = append(dst, tagEncrypt0, majorArray<<5|3)
	dst = appendBytes(dst, header)
	dst = appendHead(dst, majorMap, pairs)
	dst = append(dst, labelIV)
	dst = appendBytes(dst, iv)
	if inline != nil {
		dst = appendInt(dst, labelGrant)
		dst = appendBytes(dst, inline)
	}
	if sig != nil {
		dst = appendInt(dst, labelSignature)
		dst = appendBytes(dst, sig)
	}
	return appendBytes(dst, ct)
}

// messageToBeSigned is CBOR ["sg1/sign", SHA-256(CBOR [H, iv, ciphertext])].
func messageToBeSigned(header, iv, ct []byte) []byte {
	h := sha256.New()
	var head [9]byte
	h.Write([]byte{majorArray<<5 | 3})
	for _, part := range [...][]byte{header, iv, ct} {
		h.Write(appendHead(head[:0], majorBytes, uint64(len(part))))
		h.Write(part)
	}
	return signInput([32]byte(h.Sum(nil)))
}

func signInput(sum [32]byte) []byte { return signInputOf(contextSign, sum) }

func signInputOf(context string, sum [32]byte) []byte {
	b := make([]byte, 0, 56)
	b = appendHead(b, majorArray, 2)
	b = appendText(b, context)
	return appendBytes(b, sum[:])
}

// SealFields appends a document that keeps its shape, with fields encrypted: doc
// plus the trailer as its last member. doc is the output document, already
// edited: null or a coarser value stands in each field's place, or the member
// is gone. It must be one valid JSON object, which is only checked as far as
// the trailer needs it.
//
// The lease is key 0 of the fields, further ones are keys 1, 2, …, each with at
// least one field. Each lease pays for its own fields and one tag.
func (l *Lease) SealFields(dst []byte, st Stamp, doc []byte, fields []FieldCipher, further ...*Lease) ([]byte, error) {
	sc := l.sealer.scratch.Get().(*scratch)
	defer l.sealer.release(sc)
	sc.leases = append(append(sc.leases[:0], l), further...)
	brace, empty, err := checkDocument(&st, doc, fields)
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

	dst = slices.Grow(dst, trailerSize(sc, doc, fields))
	start := len(dst)
	dst = append(dst, doc[:brace]...)
	if !empty {
		dst = append(dst, ',')
	}
	dst = append(dst, `"`+trailerKey+`":"`+versionFields...)
	dst = append(b64.AppendEncode(dst, sc.header), '.')
	dst = append(l.appendGrants(dst, sc), '.')

	for i := range fields {
		f := &fields[i]
		n := padField(len(f.Plaintext))
		sc.plain = append(slices.Grow(sc.plain[:0], n), f.Plaintext...)
		for len(sc.plain) < n {
			sc.plain = append(sc.plain, ' ')
		}
		sc.aad = appendFieldAAD(sc.aad[:0], sc.header, f.Pointer)
		sc.cipher, err = sc.leases[f.Key].key.dek.Seal(sc.cipher[:0], sc.plain, sc.aad)
		clear(sc.plain)
		if err != nil {
			return nil, fmt.Errorf("encrypt fields: %w", err)
		}
		dst = append(b64.AppendEncode(dst, sc.cipher), '.')
	}

	sc.aad = appendDocAAD(sc.aad[:0], contextDoc, sc.header, sha256.Sum256(dst[start:]))
	sc.cipher = sc.cipher[:0]
	for _, x := range sc.leases {
		if sc.cipher, err = x.key.dek.Seal(sc.cipher, nil, sc.aad); err != nil {
			return nil, fmt.Errorf("tag document: %w", err)
		}
	}
	dst = append(b64.AppendEncode(dst, sc.cipher), '.')
	if signsAny(sc.leases, &st) {
		sig, err := l.sealer.options.Signer.Sign(signInput(sha256.Sum256(dst[start:])))
		if err != nil {
			return nil, fmt.Errorf("sign document: %w", err)
		}
		dst = b64.AppendEncode(dst, sig)
	}
	dst = append(dst, '"')
	return append(dst, doc[brace:]...), nil
}

// noGrants is CBOR [] in base64url.
const noGrants = "gA"

// appendGrants appends the grants part of the trailer.
func (l *Lease) appendGrants(dst []byte, sc *scratch) []byte {
	if l.sealer.options.Reference {
		return append(dst, noGrants...)
	}
	if len(sc.leases) == 1 {
		return append(dst, l.key.inline...)
	}
	sc.aad = appendHead(sc.aad[:0], majorArray, uint64(len(sc.leases)))
	for _, x := range sc.leases {
		sc.aad = appendBytes(sc.aad, x.key.grant)
	}
	return b64.AppendEncode(dst, sc.aad)
}

func signsAny(leases []*Lease, st *Stamp) bool {
	return slices.ContainsFunc(leases, func(l *Lease) bool { return l.signs(st) })
}

// trailerSize is an upper bound of the output's length.
func trailerSize(sc *scratch, doc []byte, fields []FieldCipher) int {
	grants := 8
	for _, l := range sc.leases {
		grants += len(l.key.grant) + 8
	}
	n := len(doc) + b64.EncodedLen(len(sc.header)) + b64.EncodedLen(grants) +
		b64.EncodedLen(len(sc.leases)*crypto.Overhead) + b64.EncodedLen(crypto.SignatureSize) + 32
	for i := range fields {
		n += b64.EncodedLen(padField(len(fields[i].Plaintext))+crypto.Overhead) + 1
	}
	return n
}

// takeAll takes from each lease what its fields and its tag need. The leases
// must be of one gateway, boot and algorithm: the header has one of each.
func takeAll(leases []*Lease, fields []FieldCipher) error {
	if len(leases) > maxKeys {
		return ErrTooLarge
	}
	var count, size [maxKeys]int
	for i := range fields {
		k := fields[i].Key
		if k < 0 || k >= len(leases) {
			return fmt.Errorf("field %d: key %d of %d", i, k, len(leases))
		}
		count[k]++
		size[k] += len(fields[i].Plaintext)
	}
	first := leases[0]
	for k, l := range leases {
		if count[k] == 0 {
			return fmt.Errorf("key %d has no field", k)
		}
		if l.sealer.gateway != first.sealer.gateway || l.sealer.boot != first.sealer.boot || l.key.alg != first.key.alg ||
			l.sealer.options.Signer.KeyID() != first.sealer.options.Signer.KeyID() {
			return errors.New("leases differ in gateway, boot, algorithm or signing key")
		}
		for _, m := range leases[:k] {
			if m.key == l.key {
				return errors.New("two leases of one key")
			}
		}
	}
	for k, l := range leases {
		if err := l.take(count[k]+1, size[k]); err != nil {
			return err
		}
	}
	return nil
}

// checkDocument refuses what can't be written, and finds the trailer's place.
func checkDocument(st *Stamp, doc []byte, fields []FieldCipher) (brace int, empty bool, err error) {
	if err := st.check(); err != nil {
		return 0, false, err
	}
	if err := checkFields(fields); err != nil {
		return 0, false, err
	}
	return placeForTrailer(doc)
}

// checkFields refuses what the opener would refuse, before it is too late.
func checkFields(fields []FieldCipher) error {
	if len(fields) == 0 {
		return errors.New("no fields")
	}
	if len(fields) > maxFields {
		return ErrTooLarge
	}
	for i := range fields {
		p := fields[i].Pointer
		if !validPointer(p) {
			return ErrShape
		}
		if len(fields[i].Plaintext) == 0 {
			return fmt.Errorf("field %d has no value", i)
		}
		for j := range i {
			if within(p, fields[j].Pointer) || within(fields[j].Pointer, p) {
				return ErrShape
			}
		}
	}
	return nil
}

// within reports whether pointer p names outer or something inside it.
func within(p, outer string) bool {
	return strings.HasPrefix(p, outer) && (len(p) == len(outer) || p[len(outer)] == '/')
}

// placeForTrailer returns where the closing brace of the top-level object is,
// and whether the object has no member.
func placeForTrailer(doc []byte) (brace int, empty bool, err error) {
	inner := bytes.TrimLeft(doc, jsonSpace)
	tail := bytes.TrimRight(doc, jsonSpace)
	if len(inner) < 2 || inner[0] != '{' || len(tail) == 0 || tail[len(tail)-1] != '}' {
		return 0, false, ErrShape
	}
	// A key "_sg" is written with these letters or with an escape. Both are
	// rare, so that only few documents are parsed.
	if bytes.Contains(doc, []byte(trailerKey)) || bytes.Contains(doc, []byte(`\u`)) {
		var d payload.Document
		if payload.Parse(&d, "", doc, payload.Limits{Bytes: len(doc)}) != payload.ReasonNone {
			return 0, false, ErrShape
		}
		if d.Reserved {
			return 0, false, ErrReserved
		}
	}
	brace = len(tail) - 1
	inner = bytes.TrimLeft(inner[1:], jsonSpace)
	return brace, inner[0] == '}', nil
}

// jsonSpace is the whitespace of RFC 8259 §2.
const jsonSpace = " \t\n\r"

// appendFieldAAD appends CBOR ["sg1/field", H, pointer].
func appendFieldAAD(dst, header []byte, pointer string) []byte {
	dst = append(dst, majorArray<<5|3)
	dst = appendText(dst, contextField)
	dst = appendBytes(dst, header)
	return appendText(dst, pointer)
}

// appendDocAAD appends CBOR [context, H, hash].
func appendDocAAD(dst []byte, context string, header []byte, hash [32]byte) []byte {
	dst = append(dst, majorArray<<5|3)
	dst = appendText(dst, context)
	dst = appendBytes(dst, header)
	return appendBytes(dst, hash[:])
}
