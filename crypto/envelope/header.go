package envelope

import (
	"time"
	"unicode/utf8"

	"github.com/sealgate/sealgate/crypto"
)

// Labels of the COSE header H (RFC 9052 §3.1, RFC 9597 for 15). Our own are in
// the range for private use.
const (
	labelAlg         = 1
	labelCrit        = 2
	labelContentType = 3
	labelKID         = 4
	labelIV          = 5
	labelClaims      = 15
	labelGrade       = -70001
	labelPolicy      = -70002
	labelPlace       = -70003
	labelTopic       = -70004
	labelFields      = -70005
	labelFurther     = -70006
	labelGrant       = -70007 // unprotected
	labelSignature   = -70008 // unprotected
)

// Claims of a CWT (RFC 8392 §3.1).
const (
	claimIssuer   = 1
	claimExpires  = 4
	claimIssuedAt = 6
	claimID       = 7
)

// Bounds of the format, in bytes or items.
const (
	maxName    = 128     // gateway
	maxText    = 1 << 16 // topic, content type, one pointer
	maxHeader  = 1 << 18 // H
	maxFields  = 1024    // encrypted fields of one document
	maxKeys    = 16      // keys of one document
	maxSeconds = 1 << 53 // any time
	maxCount   = 1 << 62 // boot, seq
)

// A Stream is one ordered sequence of messages of a gateway.
type Stream struct {
	Uplink, Lane, Shard uint32
}

// A FieldEntry is one line of a document's field list: where an encrypted field
// belongs, and which of the message's keys it is under.
type FieldEntry struct {
	Pointer string // JSON Pointer (RFC 6901) in the output document; of a document with tokens in the one of the device, empty for a plain text
	Key     int    // index into Header.KIDs
}

// A Header is what a protected message says about itself in clear. It is
// authenticated with the message.
type Header struct {
	Alg           crypto.Alg
	ContentType   string       // of the payload inside; empty: not said
	KIDs          []crypto.KID // the message's keys; one, or several in a document
	Gateway       string
	IssuedAt      time.Time // gateway's wall clock, whole seconds
	MessageID     [16]byte  // stays the same when an uplink sends again
	Grade         uint8     // before transformation
	PolicyVersion uint64
	Boot          uint64
	Stream        Stream
	Seq           uint64
	Topic         string       // as published
	Fields        []FieldEntry // documents only
}

// appendHeader appends H. The keys of a document are in leases, in order;
// fields is empty for a sealed message.
func appendHeader(dst []byte, st *Stamp, leases []*Lease, fields []FieldCipher) []byte {
	l := leases[0]
	pairs := uint64(7)
	if st.ContentType != "" {
		pairs++
	}
	if len(fields) > 0 {
		pairs++
	}
	if len(leases) > 1 {
		pairs++
	}
	dst = appendHead(dst, majorMap, pairs)
	dst = append(dst, labelAlg)
	dst = appendInt(dst, int64(l.key.alg))
	if st.ContentType != "" {
		dst = append(dst, labelContentType)
		dst = appendText(dst, st.ContentType)
	}
	dst = append(dst, labelKID)
	dst = appendBytes(dst, l.key.kid[:])
	dst = append(dst, labelClaims, majorMap<<5|3, claimIssuer)
	dst = appendText(dst, l.sealer.gateway)
	dst = append(dst, claimIssuedAt)
	dst = appendInt(dst, issuedAt(leases))
	dst = append(dst, claimID)
	dst = appendBytes(dst, st.MessageID[:])
	dst = appendInt(dst, labelGrade)
	dst = appendUint(dst, uint64(st.Grade))
	dst = appendInt(dst, labelPolicy)
	dst = appendUint(dst, st.PolicyVersion)
	dst = appendInt(dst, labelPlace)
	dst = append(dst, majorArray<<5|3)
	dst = appendUint(dst, l.sealer.boot)
	dst = append(dst, majorArray<<5|3)
	dst = appendUint(dst, uint64(st.Stream.Uplink))
	dst = appendUint(dst, uint64(st.Stream.Lane))
	dst = appendUint(dst, uint64(st.Stream.Shard))
	dst = appendUint(dst, st.Seq)
	dst = appendInt(dst, labelTopic)
	dst = appendText(dst, st.Topic)
	if len(fields) > 0 {
		dst = appendInt(dst, labelFields)
		dst = appendHead(dst, majorArray, uint64(len(fields)))
		for i := range fields {
			dst = append(dst, majorArray<<5|2)
			dst = appendText(dst, fields[i].Pointer)
			dst = appendUint(dst, uint64(fields[i].Key))
		}
	}
	if len(leases) > 1 {
		dst = appendInt(dst, labelFurther)
		dst = appendHead(dst, majorArray, uint64(len(leases)-1))
		for _, f := range leases[1:] {
			dst = appendBytes(dst, f.key.kid[:])
		}
	}
	return dst
}

// issuedAt is the earliest time under any of the leases, so that it is not
// later than the exp of any of their grants.
func issuedAt(leases []*Lease) int64 {
	at := leases[0].issuedAt
	for _, l := range leases[1:] {
		at = min(at, l.issuedAt)
	}
	return at
}

// parseHeader reads H. Labels it does not know are skipped, as RFC 9052 §3.1
// says, unless `crit` is there: no critical extension is known.
func parseHeader(b []byte, document bool) (h Header, ok bool) {
	if len(b) > maxHeader {
		return h, false
	}
	c := &cursor{b: b}
	var last labels
	var seen uint
	mark := func(bit uint) { seen |= 1 << bit }
	for range c.pairs(7, 64) {
		switch c.label(&last) {
		case labelAlg:
			h.Alg = crypto.Alg(c.uintMax(127))
			mark(0)
		case labelCrit:
			c.fail()
		case labelContentType:
			h.ContentType = c.text(1, maxText)
		case labelKID:
			h.KIDs = append(h.KIDs, crypto.KID(c.fixed32()))
			mark(1)
		case labelClaims:
			c.messageClaims(&h)
			mark(2)
		case labelGrade:
			h.Grade = uint8(c.uintMax(255))
			mark(3)
		case labelPolicy:
			h.PolicyVersion = c.uint()
			mark(4)
		case labelPlace:
			c.array(3, 3)
			h.Boot = c.uintMax(maxCount)
			c.array(3, 3)
			h.Stream.Uplink = uint32(c.uintMax(1<<32 - 1))
			h.Stream.Lane = uint32(c.uintMax(1<<32 - 1))
			h.Stream.Shard = uint32(c.uintMax(1<<32 - 1))
			h.Seq = c.uintMax(maxCount)
			mark(5)
		case labelTopic:
			h.Topic = c.text(1, maxText)
			mark(6)
		case labelFields:
			h.Fields = c.fieldList()
		case labelFurther:
			for range c.array(1, maxKeys-1) {
				h.KIDs = append(h.KIDs, crypto.KID(c.fixed32()))
			}
		default:
			c.skip(4)
		}
		if c.bad {
			return h, false
		}
	}
	if !c.done() || seen != 1<<7-1 || document != (len(h.Fields) > 0) || !document && len(h.KIDs) != 1 {
		return h, false
	}
	return h, keysFit(&h)
}

// keysFit reports whether the keys differ from each other and every field has
// one of them, and every key a field.
func keysFit(h *Header) bool {
	used := 0
	for i := range h.KIDs {
		for j := range i {
			if h.KIDs[i] == h.KIDs[j] {
				return false
			}
		}
	}
	var seen [maxKeys]bool
	for i := range h.Fields {
		k := h.Fields[i].Key
		if k >= len(h.KIDs) {
			return false
		}
		if !seen[k] {
			seen[k] = true
			used++
		}
	}
	return len(h.Fields) == 0 || used == len(h.KIDs)
}

func (c *cursor) fixed32() (out [32]byte) {
	copy(out[:], c.bytes(32, 32))
	return out
}

func (c *cursor) messageClaims(h *Header) {
	c.pairs(3, 3)
	var last labels
	c.is(c.label(&last) == claimIssuer)
	h.Gateway = c.text(1, maxName)
	c.is(c.label(&last) == claimIssuedAt)
	h.IssuedAt = time.Unix(int64(c.uintMax(maxSeconds)), 0).UTC()
	c.is(c.label(&last) == claimID)
	copy(h.MessageID[:], c.bytes(16, 16))
}

func (c *cursor) is(ok bool) {
	if !ok {
		c.fail()
	}
}

func (c *cursor) fieldList() []FieldEntry {
	n := c.array(1, maxFields)
	list := make([]FieldEntry, 0, n)
	for range n {
		c.array(2, 2)
		e := FieldEntry{Pointer: c.text(0, maxText)}
		e.Key = int(c.uintMax(maxKeys - 1))
		if c.bad || e.Pointer != "" && !validPointer(e.Pointer) {
			c.fail()
			return nil
		}
		list = append(list, e)
	}
	return list
}

// validPointer reports whether p is a JSON Pointer (RFC 6901 §3) to something
// inside a document other than the trailer.
func validPointer(p string) bool {
	if len(p) < 1 || len(p) > maxText || p[0] != '/' || within(p, "/"+trailerKey) || !utf8.ValidString(p) {
		return false
	}
	for i := 0; i < len(p); i++ {
		if p[i] == '~' && (i+1 == len(p) || p[i+1] != '0' && p[i+1] != '1') {
			return false
		}
	}
	return true
}
