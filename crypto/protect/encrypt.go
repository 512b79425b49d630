package protect

import (
	"errors"
	"slices"
	"strconv"

	"github.com/sealgate/sealgate/classify/payload"
	"github.com/sealgate/sealgate/classify/policy"
	"github.com/sealgate/sealgate/crypto/envelope"
)

// maxShifts bounds the work of counting removed elements in front of encrypted
// fields, which a sender could make grow with the square of a message's size.
const maxShifts = 1 << 18

// encrypt seals the noted fields into the edited document: into a trailer where
// it is a JSON object, else into tokens in their places. There is one lease for
// each set of recipients.
func (j *job) encrypt() {
	doc := j.v.Document
	if j.dropped && len(j.edits)*len(j.ciphers) > maxShifts {
		j.seal(payload.ReasonTooMany)
		return
	}
	tokens := !doc.TopLevelObject()
	if reason := j.list(tokens); reason != "" {
		j.seal(reason)
		return
	}
	if !j.lease() {
		j.p.meter.Lease.Add(1)
		j.held()
		return
	}
	var out []byte
	var err error
	if tokens {
		out, err = j.leases[0].SealTokens(nil, j.stamp(), j.fields, j.write, j.leases[1:]...)
	} else {
		var edited []byte
		if edited, _, err = doc.AppendTokens(j.doc[:0], j.edits); err != nil {
			j.seal(policy.ReasonUnfit)
			return
		}
		j.doc = edited
		out, err = j.leases[0].SealFields(nil, j.stamp(), edited, j.fields, j.leases[1:]...)
	}
	if err == nil && doc.Packed() {
		out, err = doc.Pack(nil, out)
	}
	switch {
	case errors.Is(err, errPlace):
		j.seal(policy.ReasonUnfit)
		return
	case err != nil:
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

// list makes the list of fields to encrypt, and of the sealers they use. It
// returns why it can't.
func (j *job) list(tokens bool) policy.Reason {
	doc := j.v.Document
	j.fields, j.used = j.fields[:0], j.used[:0]
	j.paths, j.ends = j.paths[:0], j.ends[:0]
	for _, c := range j.ciphers {
		if tokens {
			j.paths = doc.AppendPath(j.paths, c.field)
		} else {
			j.paths = j.appendPointer(j.paths, c.field)
		}
		j.ends = append(j.ends, len(j.paths))
	}
	pointers, from := string(j.paths), 0
	for i, c := range j.ciphers {
		key := slices.Index(j.used, c.sealer)
		if key < 0 {
			key, j.used = len(j.used), append(j.used, c.sealer)
		}
		value := doc.Value(c.field)
		if tokens {
			gone, ok := doc.TokenSpan(c.field, c.start, c.end)
			if !ok {
				return policy.ReasonUnfit
			}
			value = doc.Raw[gone.Start:gone.End]
		}
		j.fields = append(j.fields, envelope.FieldCipher{Pointer: pointers[from:j.ends[i]], Plaintext: value, Key: key})
		from = j.ends[i]
	}
	return ""
}

// lease takes a lease of each sealer that the fields use.
func (j *job) lease() bool {
	j.leases = j.leases[:0]
	for key, s := range j.used {
		n, size := 1, 0 // the document tag
		for i := range j.fields {
			if j.fields[i].Key == key {
				n, size = n+1, size+len(j.fields[i].Plaintext)
			}
		}
		lease, err := s.Lease(n, size)
		if err != nil {
			return false
		}
		j.leases = append(j.leases, lease)
	}
	return true
}

// errPlace says that the format has no place for the tokens.
var errPlace = errors.New("no place for a token")

// write puts tokens into the document, with all other edits.
func (j *job) write(tokens [][]byte) ([]byte, []envelope.TokenPlace, error) {
	n := 0
	for i := range j.edits {
		if j.edits[i].Kind == payload.EditToken && n < len(tokens) {
			j.edits[i].Value = tokens[n]
			n++
		}
	}
	edited, at, err := j.v.Document.AppendTokens(j.doc[:0], j.edits)
	if err != nil || len(at) != len(tokens) {
		return nil, nil, errPlace
	}
	j.doc = edited
	places := make([]envelope.TokenPlace, len(at))
	for i, t := range at {
		places[i] = envelope.TokenPlace{
			At: int(t.At), Before: int(t.At - t.Out.Start), After: int(t.Out.End) - int(t.At) - len(tokens[i]),
		}
	}
	return edited, places, nil
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
