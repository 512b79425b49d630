package spool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/sealgate/sealgate/crypto"
)

// codecVersion is the first byte of every encoded record. It is raised together with
// segmentVersion, which a start looks at before it reads records.
const codecVersion = 1

// Flag bits of an encoded record.
const (
	flagRetain = 1 << iota
	flagQoS1
	flagQoS2
	flagKIDs
	flagContentType
	flagProps
	flagReason
	flagMaxAge
)

const (
	maxKIDs   = 64
	maxProps  = 1024
	maxString = 1 << 16 // one more than MQTT's longest string
	maxReason = 255
)

// ErrRecord wraps every reason why bytes are not a record, or why a Record
// can't be stored as it is.
var ErrRecord = errors.New("malformed record")

func malformed(what string) error { return fmt.Errorf("%w: %s", ErrRecord, what) }

// check says whether the record can be encoded so that it decodes to itself.
func (r *Record) check() error {
	switch {
	case r.Kind != KindData && r.Kind != KindGrant && r.Kind != KindFence && r.Kind != kindDiscard:
		return malformed("kind")
	case r.QoS > 2:
		return malformed("qos")
	case len(r.KIDs) > maxKIDs:
		return malformed("more than 64 keys")
	case r.Kind == KindGrant && len(r.KIDs) != 1:
		return malformed("a grant has one key")
	case len(r.Topic) >= maxString || len(r.ContentType) >= maxString:
		return malformed("string length")
	case len(r.Props) > maxProps:
		return malformed("more than 1024 properties")
	case r.MaxAge < 0 || r.MaxAge%time.Millisecond != 0:
		return malformed("max age")
	case len(r.Reason) > maxReason:
		return malformed("reason length")
	}
	for _, p := range r.Props {
		if len(p[0]) >= maxString || len(p[1]) >= maxString {
			return malformed("string length")
		}
	}
	return nil
}

// encodedSize is the length of what appendRecord appends.
func (r *Record) encodedSize() int {
	n := 4 + 16 + stringSize(r.Topic) + len(r.Payload)
	if len(r.KIDs) > 0 {
		n += uvarintSize(uint64(len(r.KIDs))) + len(r.KIDs)*len(crypto.KID{})
	}
	if r.ContentType != "" {
		n += stringSize(r.ContentType)
	}
	if len(r.Props) > 0 {
		n += uvarintSize(uint64(len(r.Props)))
		for _, p := range r.Props {
			n += stringSize(p[0]) + stringSize(p[1])
		}
	}
	if r.Reason != "" {
		n += stringSize(r.Reason)
	}
	if r.MaxAge > 0 {
		n += uvarintSize(uint64(r.MaxAge.Milliseconds()))
	}
	return n
}

func stringSize(s string) int { return uvarintSize(uint64(len(s))) + len(s) }

func uvarintSize(v uint64) (n int) {
	for n = 1; v >= 0x80; n++ {
		v >>= 7
	}
	return n
}

// appendRecord appends the encoding of a checked record. Equal records have
// equal encodings, and there is one encoding of each.
//
//	version 1 | kind 1 | flags 1 | grade 1 | id 16
//	[n uvarint | n × kid 32]  [content type]  [n uvarint | n × (key, value)]  [reason]  [max age, ms uvarint]
//	topic | payload to the end                     (strings: length uvarint, bytes)
func appendRecord(dst []byte, r *Record) []byte {
	var flags byte
	if r.Retain {
		flags |= flagRetain
	}
	flags |= r.QoS << 1
	if len(r.KIDs) > 0 {
		flags |= flagKIDs
	}
	if r.ContentType != "" {
		flags |= flagContentType
	}
	if len(r.Props) > 0 {
		flags |= flagProps
	}
	if r.Reason != "" {
		flags |= flagReason
	}
	if r.MaxAge > 0 {
		flags |= flagMaxAge
	}
	dst = append(dst, codecVersion, byte(r.Kind), flags, r.Grade)
	dst = append(dst, r.ID[:]...)
	if len(r.KIDs) > 0 {
		dst = binary.AppendUvarint(dst, uint64(len(r.KIDs)))
		for i := range r.KIDs {
			dst = append(dst, r.KIDs[i][:]...)
		}
	}
	if r.ContentType != "" {
		dst = appendString(dst, r.ContentType)
	}
	if len(r.Props) > 0 {
		dst = binary.AppendUvarint(dst, uint64(len(r.Props)))
		for _, p := range r.Props {
			dst = appendString(appendString(dst, p[0]), p[1])
		}
	}
	if r.Reason != "" {
		dst = appendString(dst, r.Reason)
	}
	if r.MaxAge > 0 {
		dst = binary.AppendUvarint(dst, uint64(r.MaxAge.Milliseconds()))
	}
	dst = appendString(dst, r.Topic)
	return append(dst, r.Payload...)
}

func appendString(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// decoder takes values from the front of b; the first error stays.
type decoder struct {
	b   []byte
	err error
}

func (d *decoder) fail(what string) {
	if d.err == nil {
		d.err, d.b = malformed(what), nil
	}
}

func (d *decoder) bytes(n int) []byte {
	if n > len(d.b) {
		d.fail("truncated")
		return nil
	}
	v := d.b[:n]
	d.b = d.b[n:]
	return v
}

func (d *decoder) byte() byte {
	if v := d.bytes(1); v != nil {
		return v[0]
	}
	return 0
}

// uvarint refuses encodings that are longer than needed, so that each value has
// one form.
func (d *decoder) uvarint(limit uint64) uint64 {
	v, n := binary.Uvarint(d.b)
	if n <= 0 || n != uvarintSize(v) || v > limit {
		d.fail("number")
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) count(limit uint64) int {
	n := d.uvarint(limit)
	if n == 0 {
		d.fail("empty list")
	}
	return int(n)
}

func (d *decoder) string() []byte { return d.bytes(int(d.uvarint(maxString - 1))) }

// fixed is what every record begins with, and all that recovery needs.
type fixed struct {
	kind  Kind
	flags byte
	grade uint8
	id    [16]byte
	kids  []byte // n × 32 bytes in the input
}

func (d *decoder) fixed() (f fixed) {
	if d.byte() != codecVersion {
		d.fail("version")
	}
	f.kind, f.flags, f.grade = Kind(d.byte()), d.byte(), d.byte()
	copy(f.id[:], d.bytes(16))
	if f.flags&flagKIDs != 0 {
		f.kids = d.bytes(d.count(maxKIDs) * len(crypto.KID{}))
	}
	return f
}

// decodeRecord is the inverse of appendRecord. It copies what it keeps of b.
func decodeRecord(b []byte) (Record, error) {
	d := decoder{b: b}
	f := d.fixed()
	r := Record{
		ID: f.id, Kind: f.kind, Grade: f.grade,
		QoS: f.flags >> 1 & 3, Retain: f.flags&flagRetain != 0,
	}
	if n := len(f.kids) / len(crypto.KID{}); n > 0 {
		r.KIDs = make([]crypto.KID, n)
		for i := range r.KIDs {
			copy(r.KIDs[i][:], f.kids[i*len(crypto.KID{}):])
		}
	}
	if f.flags&flagContentType != 0 {
		if r.ContentType = string(d.string()); r.ContentType == "" {
			d.fail("empty string")
		}
	}
	if f.flags&flagProps != 0 {
		n := d.count(maxProps)
		r.Props = make([]Prop, 0, min(n, 16))
		for ; n > 0 && d.err == nil; n-- {
			r.Props = append(r.Props, Prop{string(d.string()), string(d.string())})
		}
	}
	if f.flags&flagReason != 0 {
		if r.Reason = string(d.string()); r.Reason == "" {
			d.fail("empty string")
		}
	}
	if f.flags&flagMaxAge != 0 {
		if r.MaxAge = time.Duration(d.uvarint(math.MaxInt64/uint64(time.Millisecond))) * time.Millisecond; r.MaxAge == 0 {
			d.fail("no max age")
		}
	}
	r.Topic = string(d.string())
	if d.err != nil {
		return Record{}, d.err
	}
	if len(d.b) > 0 {
		r.Payload = append([]byte(nil), d.b...)
	}
	if err := r.check(); err != nil {
		return Record{}, err
	}
	return r, nil
}
