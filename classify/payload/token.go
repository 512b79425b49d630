package payload

import (
	"bytes"
	"errors"
	"fmt"
)

// TokenMark begins every token that stands in place of an encrypted value (see
// crypto/envelope). It holds nothing that any format escapes, so tokens are
// found in the bytes of a document without reading its format.
const TokenMark = "sealgate1"

// A Token tells where an [EditToken] put its value.
type Token struct {
	Field int32
	Gone  Span   // of Raw: what went
	Out   Span   // of the output: what came in its place
	At    uint32 // of the output: where the token itself begins
}

// Encryptable reports whether field i can be encrypted by itself, a part of its
// text or whole: in a JSON object any member, which has room for a trailer;
// elsewhere what accepts a token. What stands in a string is encrypted with it.
func (d *Document) Encryptable(i int32, part bool) bool {
	if h := d.Holder(i); h != i {
		i, part = h, false
	}
	f := &d.Fields[i]
	switch {
	case d.TopLevelObject():
		return !part && i != d.Root && f.Accepts.Has(EditRaw)
	case part:
		return d.Partial(i)
	}
	return i != d.Root && f.Accepts.Has(EditToken)
}

// Holder returns what goes if field i is encrypted: the field itself, or the
// string that it stands in.
func (d *Document) Holder(i int32) int32 {
	if d.Fields[i].Flags&Wrapped != 0 {
		return d.innerOf(i).field
	}
	return i
}

// Partial reports whether parts of field i can be encrypted by themselves: of a
// plain text, which is one field.
func (d *Document) Partial(i int32) bool {
	return d.format == Format(textFormat{}) && d.Fields[i].Kind == KindText && d.Fields[i].Flags&Wrapped == 0
}

// AppendTokens is [Document.Append] with edits of which some are [EditToken],
// and says where their values came to stand, in the order of the payload. What
// was packed is not packed again: see [Document.Pack].
func (d *Document) AppendTokens(dst []byte, edits []Edit) ([]byte, []Token, error) {
	from := len(dst)
	out, err := d.apply(dst, edits, inside)
	if err != nil {
		return dst, nil, err
	}
	if len(d.tokens) > 0 && bytes.Contains(d.Raw, []byte(TokenMark)) {
		return dst, nil, errors.New("edit payload: it holds a token already")
	}
	for i := range d.tokens {
		t := &d.tokens[i]
		t.Out.Start -= uint32(from)
		t.Out.End -= uint32(from)
		at := bytes.Index(out[from:][t.Out.Start:t.Out.End], []byte(TokenMark))
		if at < 0 || i > 0 && t.Out.Start < d.tokens[i-1].Out.End {
			return dst, nil, errors.New("edit payload: a token is out of place")
		}
		t.At = t.Out.Start + uint32(at)
	}
	return out, d.tokens, nil
}

// placed notes a token that stands in dst from out on.
func (d *Document) placed(field int32, gone Span, out int, dst []byte) {
	d.tokens = append(d.tokens, Token{Field: field, Gone: gone, Out: Span{uint32(out), uint32(len(dst))}})
}

// TokenSpan returns which bytes of Raw a token in place of field i, or of a part
// of its text, takes away; false where the format has no place for one.
func (d *Document) TokenSpan(i int32, start, end uint32) (Span, bool) {
	f := &d.Fields[i]
	switch {
	case !f.Accepts.Has(EditToken):
		return Span{}, false
	case end > 0:
		return Span{f.Text.Start + start, f.Text.Start + end}, d.Partial(i)
	}
	if t, ok := d.format.(tokenizer); ok {
		return t.tokenSpan(d, i)
	}
	return f.Raw, true
}

// A tokenizer is a format in which more goes than a field's value where a token
// comes in its place.
type tokenizer interface {
	tokenSpan(d *Document, i int32) (Span, bool)
}

// checkToken checks what may stand in any format as it is.
func checkToken(e *Edit) error {
	if !bytes.HasPrefix(e.Value, []byte(TokenMark)) {
		return fmt.Errorf("edit field %d: the value is no token", e.Field)
	}
	for _, c := range e.Value {
		if !isFormByte(c) || c == '*' {
			return fmt.Errorf("edit field %d: the value is no token", e.Field)
		}
	}
	return nil
}
