package crypto

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"strings"
	"unicode/utf8"
)

// UnmarshalStrict decodes the JSON of key files and signed documents into v, a
// pointer to a struct. Beyond encoding/json, which matches names whatever their
// case, takes the last of two, and lets null pass, it refuses: a name that is
// not exactly a field's, the same name twice after unescaping, null, what is
// not Unicode (invalid UTF-8, lone surrogates), and anything after the value.
// The caller bounds the size. Errors name a place in bytes, never a value.
func UnmarshalStrict(raw []byte, v any) error {
	dec := json.NewDecoder(bytes.NewReader(raw))
	w := strictWalk{dec: dec}
	if err := w.value(reflect.TypeOf(v).Elem(), 0); err != nil {
		return fmt.Errorf("decode JSON near byte %d: %w", dec.InputOffset(), err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return fmt.Errorf("decode JSON: more after the document, at byte %d", dec.InputOffset())
	}
	if err := json.Unmarshal(raw, v); err != nil {
		// encoding/json quotes the input in its errors.
		return errors.New("decode JSON: a value is of the wrong type or out of range")
	}
	return nil
}

const strictDepth = 8

type strictWalk struct{ dec *json.Decoder }

func (w strictWalk) value(t reflect.Type, depth int) error {
	if depth > strictDepth {
		return errors.New("nested too deeply")
	}
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	tok, err := w.dec.Token()
	if err != nil {
		return errors.New("not valid JSON")
	}
	switch tok := tok.(type) {
	case nil:
		return errors.New("null is not allowed")
	case string:
		return checkText(tok)
	case json.Delim:
		if tok == '[' && t.Kind() == reflect.Slice && t.Elem().Kind() != reflect.Uint8 {
			return w.array(t.Elem(), depth)
		}
		if tok == '{' && t.Kind() == reflect.Struct && !decodesItself(t) {
			return w.object(t, depth)
		}
		return errors.New("an array or object where none belongs")
	}
	return nil
}

func (w strictWalk) array(elem reflect.Type, depth int) error {
	for w.dec.More() {
		if err := w.value(elem, depth+1); err != nil {
			return err
		}
	}
	return w.end()
}

func (w strictWalk) object(t reflect.Type, depth int) error {
	fields := make(map[string]reflect.Type, t.NumField())
	for _, f := range reflect.VisibleFields(t) { // those of embedded structs too
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name != "" {
			fields[name] = f.Type
		}
	}
	for w.dec.More() {
		tok, err := w.dec.Token()
		if err != nil {
			return errors.New("not valid JSON")
		}
		name, ok := tok.(string)
		if !ok {
			return errors.New("not valid JSON")
		}
		ft, ok := fields[name]
		if !ok {
			return errors.New("an unknown name, or one given twice")
		}
		delete(fields, name)
		if err := w.value(ft, depth+1); err != nil {
			return err
		}
	}
	return w.end()
}

func (w strictWalk) end() error {
	if _, err := w.dec.Token(); err != nil {
		return errors.New("not valid JSON")
	}
	return nil
}

func checkText(s string) error {
	// encoding/json puts U+FFFD where the input is not Unicode.
	if strings.ContainsRune(s, utf8.RuneError) {
		return errors.New("text is not valid Unicode")
	}
	return nil
}

var (
	jsonUnmarshaler = reflect.TypeFor[json.Unmarshaler]()
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
)

func decodesItself(t reflect.Type) bool {
	p := reflect.PointerTo(t)
	return p.Implements(jsonUnmarshaler) || p.Implements(textUnmarshaler)
}
