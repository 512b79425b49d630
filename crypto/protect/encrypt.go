package protect

import (
	"slices"
	"strconv"

	"github.com/sealgate/sealgate/classify/payload"
	"github.com/sealgate/sealgate/crypto/envelope"
)

// maxShifts bounds the work of counting removed elements in front of encrypted
// fields, which a sender could make grow with the square of a message's size.
const maxShifts = 1 << 18

// encrypt seals the noted fields into the edited document, which has one lease
// for each set of recipients.
func (j *job) encrypt(edited []byte) {
	if j.dropped && len(j.edits)*len(j.ciphers) > maxShifts {
		j.seal(payload.ReasonTooMany)
		return
	}
	j.fields, j.used, j.leases = j.fields[:0], j.used[:0], j.leases[:0]
	j.paths, j.ends = j.paths[:0], j.ends[:0]
	for _, c := range j.ciphers {
		j.paths = j.appendPointer(j.paths, c.field)
		j.ends = append(j.ends, len(j.paths))
	}
	pointers, from := string(j.paths), 0
	for i, c := range j.ciphers {
		key := slices.Index(j.used, c.sealer)
		if key < 0 {
			key, j.used = len(j.used), append(j.used, c.sealer)
		}
		j.fields = append(j.fields, envelope.FieldCipher{
			Pointer: pointers[from:j.ends[i]], Plaintext: j.v.Document.Value(c.field), Key: key,
		})
		from = j.ends[i]
	}
	for key, s := range j.used {
		n, size := 1, 0 // the document tag
		for i := range j.fields {
			if j.fields[i].Key == key {
				n, size = n+1, size+len(j.fields[i].Plaintext)
			}
		}
		lease, err := s.Lease(n, size)
		if err != nil {
			j.p.meter.Lease.Add(1)
			j.held()
			return
		}
		j.leases = append(j.leases, lease)
	}
	out, err := j.leases[0].SealFields(nil, j.stamp(), edited, j.fields, j.leases[1:]...)
	if err != nil {
		j.seal(ReasonShape)
		return
	}
	if j.r.Limit > 0 && len(out) > j.r.Limit {
		// Each field is padded and written in base64; sealed whole it is smaller.
		j.o.KIDs, j.o.Grants = nil, nil
		j.seal(payload.ReasonTooLarge)
		return
	}
	j.o.Outcome, j.o.Payload = OutcomeEncrypted, out
	if j.tightened != "" {
		j.o.Reason = j.tightened
	}
	j.keys()
}

// appendPointer appends the JSON Pointer of a field in the output document:
// removed elements before it no longer count.
func (j *job) appendPointer(dst []byte, field int32) []byte {
	doc := j.v.Document
	f := &doc.Fields[field]
	if !j.dropped || f.Parent < 0 {
		return doc.AppendPath(dst, field)
	}
	dst = j.appendPointer(dst, f.Parent)
	if doc.Fields[f.Parent].Kind != payload.KindArray {
		return appendToken(append(dst, '/'), doc.Key(field))
	}
	index := uint64(f.Index)
	for i := range j.edits {
		e := &j.edits[i]
		if g := &doc.Fields[e.Field]; e.Kind == payload.EditRemove && g.Parent == f.Parent && g.Index < f.Index {
			index--
		}
	}
	return strconv.AppendUint(append(dst, '/'), index, 10)
}

// appendToken appends one token of a JSON Pointer (RFC 6901, section 4).
func appendToken(dst, key []byte) []byte {
	for _, c := range key {
		switch c {
		case '~':
			dst = append(dst, "~0"...)
		case '/':
			dst = append(dst, "~1"...)
		default:
			dst = append(dst, c)
		}
	}
	return dst
}
