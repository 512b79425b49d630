// Package strictyaml decodes configuration files strictly: an unknown key, a
// duplicate key, a second document, an anchor or a value of the wrong type is
// an error with its line and column, and all errors are reported at once.
//
// A struct field is read from the key in its `yaml` tag; a field without a tag
// is not read. Supported are structs, pointers to them, slices, maps with
// string keys, strings, booleans, integers, [time.Duration] ("30s"), and types
// with UnmarshalText. The option `,named` reads a mapping into a slice of
// structs in the order of the file, with each key in the element's Name field.
//
// It does not fill in defaults, expand variables or include files.
package strictyaml

import (
	"encoding"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
)

// MaxBytes bounds a file.
const MaxBytes = 1 << 20

// An Error is one problem and its place. Lines and columns count from 1; 0
// means the file as a whole.
type Error struct {
	Line, Column int
	Msg          string
}

// Errors is every problem of one file, in the order of the file.
type Errors struct {
	Name string
	List []Error
}

// Error prints one line for each problem, as compilers do.
func (e *Errors) Error() string {
	var b strings.Builder
	for i, x := range e.List {
		if i > 0 {
			b.WriteByte('\n')
		}
		if x.Line == 0 {
			fmt.Fprintf(&b, "%s: %s", e.Name, x.Msg)
		} else {
			fmt.Fprintf(&b, "%s:%d:%d: %s", e.Name, x.Line, x.Column, x.Msg)
		}
	}
	return b.String()
}

// A Document is a decoded file: it knows the place of each key, for the checks
// that come after decoding.
type Document struct {
	name  string
	errs  []Error
	place map[string][2]int // path of keys, joined by '.', to line and column
}

// Decode reads src into v, a pointer to a struct. name is used in errors. It
// always returns a Document: the caller goes on checking, adds what it finds
// with Errorf, and asks Err at the end.
func Decode(name string, src []byte, v any) *Document {
	d := &Document{name: name, place: map[string][2]int{}}
	if len(src) > MaxBytes {
		d.errs = append(d.errs, Error{0, 0, fmt.Sprintf("larger than %d bytes", MaxBytes)})
		return d
	}
	file, err := parser.ParseBytes(src, 0, parser.AllowDuplicateMapKey()) // duplicates are found below, all of them
	if err != nil {
		d.syntax(err)
		return d
	}
	docs := slices.DeleteFunc(file.Docs, func(x *ast.DocumentNode) bool { return x.Body == nil })
	if len(docs) == 0 {
		return d
	}
	for _, extra := range docs[1:] {
		d.at(extra.Body, "a second document: one file holds one document")
	}
	d.decode(docs[0].Body, "", reflect.ValueOf(v).Elem())
	return d
}

func (d *Document) syntax(err error) {
	var se *yaml.SyntaxError
	if errors.As(err, &se) && se.Token != nil {
		d.errs = append(d.errs, Error{se.Token.Position.Line, se.Token.Position.Column, se.Message})
		return
	}
	d.errs = append(d.errs, Error{0, 0, err.Error()})
}

// Errorf adds a problem at the key with that path ("uplinks.city.url", or of
// the nearest parent that the file has).
func (d *Document) Errorf(path, format string, args ...any) {
	e := Error{Msg: fmt.Sprintf(format, args...)}
	for p := path; ; {
		if place, ok := d.place[p]; ok {
			e.Line, e.Column = place[0], place[1]
			break
		}
		i := strings.LastIndexByte(p, '.')
		if i < 0 {
			break
		}
		p = p[:i]
	}
	d.errs = append(d.errs, e)
}

// Has reports whether the file has a key at that path.
func (d *Document) Has(path string) bool { _, ok := d.place[path]; return ok }

// Err returns nil or all problems, as *Errors.
func (d *Document) Err() error {
	if len(d.errs) == 0 {
		return nil
	}
	slices.SortStableFunc(d.errs, func(a, b Error) int {
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Column - b.Column
	})
	return &Errors{Name: d.name, List: d.errs}
}

func (d *Document) at(n ast.Node, format string, args ...any) {
	e := Error{Msg: fmt.Sprintf(format, args...)}
	if t := n.GetToken(); t != nil && t.Position != nil {
		e.Line, e.Column = t.Position.Line, t.Position.Column
	}
	d.errs = append(d.errs, e)
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

var textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()

func (d *Document) decode(n ast.Node, path string, v reflect.Value) {
	switch n.(type) {
	case *ast.AnchorNode, *ast.AliasNode, *ast.MergeKeyNode, *ast.TagNode:
		d.at(n, "anchors, aliases and tags are not allowed")
		return
	case *ast.NullNode:
		return // as if the key were missing
	}
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		d.decode(n, path, v.Elem())
		return
	}
	if v.CanAddr() && v.Addr().Type().Implements(textUnmarshaler) {
		if s, ok := d.scalar(n); ok {
			if err := v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(s)); err != nil {
				d.at(n, "%v", err)
			}
		}
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		d.decodeStruct(n, path, v)
	case reflect.Map:
		d.decodeMap(n, path, v)
	case reflect.Slice:
		seq, ok := n.(*ast.SequenceNode)
		if !ok {
			d.at(n, "expected a list")
			return
		}
		v.Set(reflect.MakeSlice(v.Type(), len(seq.Values), len(seq.Values)))
		for i, item := range seq.Values {
			p := join(path, strconv.Itoa(i))
			d.mark(item, p)
			d.decode(item, p, v.Index(i))
		}
	default:
		d.decodeScalar(n, v)
	}
}

func (d *Document) mark(n ast.Node, path string) {
	if t := n.GetToken(); t != nil && t.Position != nil {
		d.place[path] = [2]int{t.Position.Line, t.Position.Column}
	}
}

// pairs returns the members of a mapping, each key once.
func (d *Document) pairs(n ast.Node, path string) []*ast.MappingValueNode {
	var values []*ast.MappingValueNode
	switch m := n.(type) {
	case *ast.MappingNode:
		values = m.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{m}
	default:
		d.at(n, "expected a mapping of keys to values")
		return nil
	}
	seen := map[string]bool{}
	return slices.DeleteFunc(slices.Clone(values), func(mv *ast.MappingValueNode) bool {
		k := keyOf(mv)
		if seen[k] {
			d.at(mv.Key, "key %q appears twice", k)
			return true
		}
		seen[k] = true
		d.mark(mv.Key, join(path, k))
		return false
	})
}

func keyOf(mv *ast.MappingValueNode) string {
	if s, ok := mv.Key.(*ast.StringNode); ok {
		return s.Value
	}
	return mv.Key.String()
}

func (d *Document) decodeStruct(n ast.Node, path string, v reflect.Value) {
	fields := map[string]int{}
	var names []string
	for i := range v.NumField() {
		if tag, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("yaml"), ","); tag != "" {
			fields[tag] = i
			names = append(names, tag)
		}
	}
	for _, mv := range d.pairs(n, path) {
		k := keyOf(mv)
		i, known := fields[k]
		if !known {
			d.at(mv.Key, "unknown key %q%s", k, Suggest(k, names))
			continue
		}
		if strings.HasSuffix(v.Type().Field(i).Tag.Get("yaml"), ",named") {
			d.decodeNamed(mv.Value, join(path, k), v.Field(i))
			continue
		}
		d.decode(mv.Value, join(path, k), v.Field(i))
	}
}

func (d *Document) decodeNamed(n ast.Node, path string, v reflect.Value) {
	if _, null := n.(*ast.NullNode); null {
		return
	}
	for _, mv := range d.pairs(n, path) {
		item := reflect.New(v.Type().Elem()).Elem()
		item.FieldByName("Name").SetString(keyOf(mv))
		d.decode(mv.Value, join(path, keyOf(mv)), item)
		v.Set(reflect.Append(v, item))
	}
}

func (d *Document) decodeMap(n ast.Node, path string, v reflect.Value) {
	v.Set(reflect.MakeMap(v.Type()))
	for _, mv := range d.pairs(n, path) {
		key := reflect.New(v.Type().Key()).Elem()
		if u, ok := key.Addr().Interface().(encoding.TextUnmarshaler); ok {
			if err := u.UnmarshalText([]byte(keyOf(mv))); err != nil {
				d.at(mv.Key, "%v", err)
				continue
			}
		} else {
			key.SetString(keyOf(mv))
		}
		item := reflect.New(v.Type().Elem()).Elem()
		d.decode(mv.Value, join(path, keyOf(mv)), item)
		v.SetMapIndex(key, item)
	}
}

// scalar is the text of a scalar as it stands in the file.
func (d *Document) scalar(n ast.Node) (string, bool) {
	switch s := n.(type) {
	case *ast.StringNode:
		return s.Value, true
	case *ast.LiteralNode:
		return s.Value.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode:
		return n.GetToken().Value, true
	}
	d.at(n, "expected a single value")
	return "", false
}

func (d *Document) decodeScalar(n ast.Node, v reflect.Value) {
	s, ok := d.scalar(n)
	if !ok {
		return
	}
	if v.Type() == reflect.TypeFor[time.Duration]() {
		dur, err := time.ParseDuration(s)
		if err != nil || dur < 0 {
			d.at(n, "expected a duration such as 30s, 10m or 24h")
			return
		}
		v.SetInt(int64(dur))
		return
	}
	switch v.Kind() {
	case reflect.String:
		if _, ok := n.(*ast.BoolNode); ok {
			d.at(n, "expected text, got %s: put it in quotes if it is meant", s)
			return
		}
		v.SetString(s)
	case reflect.Bool:
		b, ok := n.(*ast.BoolNode)
		if !ok {
			d.at(n, "expected true or false")
			return
		}
		v.SetBool(b.Value)
	case reflect.Int, reflect.Int64, reflect.Uint8, reflect.Uint64:
		i, err := strconv.ParseInt(s, 10, 64)
		if _, isInt := n.(*ast.IntegerNode); !isInt || err != nil {
			d.at(n, "expected a whole number")
			return
		}
		if v.CanInt() && !v.OverflowInt(i) {
			v.SetInt(i)
		} else if v.CanUint() && i >= 0 && !v.OverflowUint(uint64(i)) {
			v.SetUint(uint64(i))
		} else {
			d.at(n, "number out of range")
		}
	default:
		panic("strictyaml: a configuration struct has a field of kind " + v.Kind().String())
	}
}

// Suggest returns `, did you mean "x"?` where a known word is near, else "".
func Suggest(word string, known []string) string {
	best, dist := "", 3
	for _, k := range known {
		if n := distance(word, k); n < dist && n < len(k) {
			best, dist = k, n
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(", did you mean %q?", best)
}

// distance is the Levenshtein distance, in bytes.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diag := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diag
			if a[i] != b[j] {
				cost++
			}
			diag, row[j+1] = row[j+1], min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
