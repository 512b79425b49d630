package payload

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

// The contract of a format: whatever formats there are, this suite runs over
// their samples. A new format adds samples.

// A sample is a topic and a payload that the named format reads.
type sample struct{ format, topic, raw string }

func samples() []sample {
	s := []sample{{"empty", "a/b", ""}, {"json", "", cameraEvent}}
	for _, raw := range []string{
		`null`, ` -1.5e+7 `, `"a \"quoted\" \u00e9 \ud83d\ude00 word"`, `""`, `{}`, `[]`, "[\n]\n",
		`{"a":1}`, `{ "a" : 1 , "b" : "x" , "c" : [ ] }`, `{"a":{"b":{"c":"deep"}}}`,
		"{\n  \"first\": \"Grüße\",\n  \"second\": [1, 2, [3, {\"x\": null}], \"\\t\"],\n  \"third\": {\"4\": true, \"*\": false}\n}\n",
		`[[],[[]],{},[{}],"a",1,true,false,null]`,
		`{"\u006bey":"v","a/b~c":"\/","":"\\","\"":"\u0000\u001f"}`,
		`[1,2,3,4,5,6,7,8]`,
	} {
		s = append(s, sample{"json", "plant/line 3/ü", raw})
	}
	for _, raw := range []string{
		"{\"a\":1}\n{\"a\":\"x\"}", "[1,2]\r\n \r\n{\"b\":{\"c\":[]}} \n[3]\n\n", "{}\n[]\n{}\n",
	} {
		s = append(s, sample{"jsonl", "/", raw})
	}
	for _, raw := range []string{"ON", "hello a@b.org\r\n", "Grüße aus Köln 😀", "\uFEFFa\u200bb", "a\tb", " ", "'{}'"} {
		s = append(s, sample{"text", "$SYS/x", raw})
	}
	for _, raw := range cborSamples {
		s = append(s, sample{"cbor", "plant/1", raw})
	}
	for _, raw := range sparkplugSamples {
		s = append(s, sample{"sparkplug", sparkplugTopic, raw})
	}
	for _, raw := range msgpackSamples {
		s = append(s, sample{"msgpack", "plant/1", raw})
	}
	for format, raws := range cellSamples {
		for _, raw := range raws {
			s = append(s, sample{format, "plant/1", raw})
		}
	}
	for _, raw := range formSamples {
		s = append(s, sample{"form", "plant/1", raw})
	}
	for _, raw := range []string{cameraEvent, "ON", "{\"a\":1}\n{\"a\":\"x\"}", cborSamples[1], jpeg} {
		s = append(s, sample{"gzip", "plant/1", gzipped(raw)}, sample{"zlib", "plant/1", zlibbed(raw)}, sample{"zstd", "plant/1", zstdded(raw)})
	}
	for format, raw := range mediaSamples {
		s = append(s, sample{format, "cam", raw})
	}
	return append(s,
		sample{"jpeg", "cam", jpeg}, sample{"png", "cam", png}, sample{"gguf", "m", "GGUF\x03\x00\x00\x00"},
		sample{"tflite", "m", "\x1c\x00\x00\x00TFL3\x14\x00"}, sample{"safetensors", "m", "\x02\x00\x00\x00\x00\x00\x00\x00{}\x00"})
}

// mustParse parses what has to be readable.
func mustParse(t *testing.T, topic string, raw []byte) *Document {
	t.Helper()
	d := new(Document)
	if why := Parse(d, topic, raw, Limits{}); why != ReasonNone {
		t.Fatalf("parse %q: %s", raw, why)
	}
	return d
}

// payloadFields are the indices of the fields that are no topic levels.
func payloadFields(d *Document) (is []int32) {
	for i := range d.Fields {
		if d.Fields[i].Kind != KindTopic {
			is = append(is, int32(i))
		}
	}
	return is
}

// checkInvariants checks what every document promises.
func checkInvariants(t *testing.T, d *Document) {
	t.Helper()
	children := map[int32]uint32{}
	paths := map[string]bool{}
	levels := true
	for n := range d.Fields {
		i := int32(n)
		f := &d.Fields[i]
		path := string(d.AppendPath(nil, i))
		again := paths[path] && (repeats(d) || f.Flags&Wrapped != 0)
		if paths[path] && !again {
			t.Errorf("path %q stands twice in %q", path, d.Raw)
		}
		paths[path] = true
		if len(d.Fields) < 100 && !again && d.Find(path) != i {
			t.Errorf("path %q finds field %d, not %d, in %q", path, d.Find(path), i, d.Raw)
		}
		if f.Parent >= 0 && d.Fields[f.Parent].Kind == KindObject && len(d.Fields) < 100 && !again && d.Member(f.Parent, string(d.Key(i))) != i {
			t.Errorf("path %q is not found by its key in %q", path, d.Raw)
		}
		if HashPath(path) != f.PathHash {
			t.Errorf("path %q: HashPath and PathHash differ in %q", path, d.Raw)
		}
		if f.Kind == KindTopic {
			if !levels || f.Parent != -1 || int(f.Index) != n {
				t.Errorf("topic level %d is out of place", n)
			}
			continue
		}
		levels = false
		if f.Raw.Start > f.Raw.End || int(f.Raw.End) > len(d.Raw) {
			t.Fatalf("path %q: raw span outside %q", path, d.Raw)
		}
		if f.Parent < 0 {
			if i != d.Root {
				t.Errorf("path %q: a root that is not Root in %q", path, d.Raw)
			}
		} else {
			p := &d.Fields[f.Parent]
			if f.Parent >= i || p.Kind.Leaf() || f.Raw.Start < p.Raw.Start || f.Raw.End > p.Raw.End {
				t.Errorf("path %q: not inside its parent in %q", path, d.Raw)
			}
			if f.Index != children[f.Parent] {
				t.Errorf("path %q: index %d, want %d", path, f.Index, children[f.Parent])
			}
			children[f.Parent]++
		}
		escaped := !textual(d) || f.Flags&Wrapped != 0 // a text is not its bytes
		switch f.Kind {
		case KindObject, KindArray, KindLines, KindBinary:
			if len(d.Text(i)) != 0 || f.Accepts.Has(EditString) {
				t.Errorf("path %q: a text where there is none", path)
			}
		case KindString:
			var want string
			if escaped {
				if !utf8.Valid(d.Text(i)) {
					t.Errorf("path %q: text %q", path, d.Text(i))
				}
				break
			}
			if err := json.Unmarshal(d.Value(i), &want); err != nil || want != string(d.Text(i)) {
				t.Errorf("path %q: text %q, want %q (%v)", path, d.Text(i), want, err)
			}
		default:
			if !escaped && !bytes.Equal(d.Text(i), d.Value(i)) {
				t.Errorf("path %q: text %q, raw %q", path, d.Text(i), d.Value(i))
			}
		}
	}
	if d.Root >= 0 != (len(payloadFields(d)) > 0) {
		t.Errorf("root %d in %q", d.Root, d.Raw)
	}
}

// repeats reports whether paths of a format may: the names of its fields do.
func repeats(d *Document) bool { return cells(d) || d.format == Format(sparkplugFormat{}) }

// cells reports whether a format writes numbers and strings alike.
func cells(d *Document) bool {
	_, ok := d.format.(cellWriter)
	return ok
}

// loosen makes numbers strings.
func (n *node) loosen() *node {
	if n != nil {
		if n.kind == KindNumber || n.kind == KindBool {
			n.kind = KindString
		}
		for _, k := range n.kids {
			k.loosen()
		}
	}
	return n
}

// A node is a field as a tree: the model that edits are tried on.
type node struct {
	field     int32
	kind      Kind
	key, text string
	raw       string // of an untouched leaf; "" once it was edited
	kids      []*node
}

func tree(d *Document) *node {
	nodes := map[int32]*node{}
	var root *node
	for _, i := range payloadFields(d) {
		f := &d.Fields[i]
		n := &node{field: i, kind: f.Kind, key: string(d.Key(i)), text: string(d.Text(i))}
		if f.Kind.Leaf() {
			n.raw = string(d.Value(i))
		}
		nodes[i] = n
		if f.Parent < 0 {
			root = n
		} else {
			nodes[f.Parent].kids = append(nodes[f.Parent].kids, n)
		}
	}
	return root
}

// String leaves out what an edit does not promise.
func (n *node) String() string {
	if n == nil {
		return "nothing"
	}
	if n.kind == KindLines && len(n.kids) == 1 {
		return n.kids[0].String()
	}
	var b strings.Builder
	text := n.text
	if x, err := strconv.ParseFloat(text, 64); n.kind == KindNumber && err == nil { // a literal may be written in other ways
		text = strconv.FormatFloat(x, 'g', -1, 64)
	}
	fmt.Fprintf(&b, "%d %q %q", n.kind, n.key, text)
	if len(n.kids) > 0 {
		fmt.Fprintf(&b, " %v", n.kids)
	}
	return b.String()
}

// apply does to the model what Append is to do to the bytes.
func (n *node) apply(edits []Edit) *node {
	edits = slices.Clone(edits)
	slices.SortFunc(edits, func(a, b Edit) int { return int(b.Start) - int(a.Start) }) // from the end
	for _, e := range edits {
		if e.Field != n.field {
			continue
		}
		switch e.Kind {
		case EditRemove:
			return nil
		case EditString:
			if e.WholeText {
				e.Start, e.End = 0, uint32(len(n.text))
			}
			n.text = n.text[:e.Start] + string(e.Value) + n.text[e.End:]
			if n.kind != KindText {
				n.kind = KindString
			}
			n.raw = ""
		case EditStrip:
			n.raw = ""
		case EditNull:
			*n = node{field: n.field, kind: KindNull, key: n.key, text: "null"}
			return n
		default:
			var d Document
			Parse(&d, "", e.Value, Limits{})
			key := n.key
			*n = *tree(&d)
			n.key, n.raw = key, ""
			return n
		}
	}
	kids := n.kids[:0]
	for _, k := range n.kids {
		if k = k.apply(edits); k != nil {
			kids = append(kids, k)
		}
	}
	n.kids = kids
	return n
}

// checkEdits applies edits that have to work, or may fail, and compares the
// result with the model's.
func checkEdits(t *testing.T, d *Document, edits []Edit, mustWork bool) {
	t.Helper()
	const before = "before"
	given := slices.Clone(edits)
	out, err := d.Append([]byte(before), edits)
	if !slices.EqualFunc(edits, given, func(a, b Edit) bool { return a.Field == b.Field && a.Start == b.Start && a.Kind == b.Kind }) {
		t.Fatalf("Append changed the order of its edits")
	}
	if err != nil {
		if mustWork {
			t.Errorf("edit %q with %+v: %v", d.Raw, edits, err)
		}
		if string(out) != before {
			t.Errorf("edit %q with %+v: an error, and %q", d.Raw, edits, out)
		}
		return
	}
	if !bytes.HasPrefix(out, []byte(before)) {
		t.Fatalf("edit %q: dst is lost: %q", d.Raw, out)
	}
	out = out[len(before):]
	var got Document
	if why := Parse(&got, d.Topic, out, Limits{}); why != ReasonNone {
		t.Errorf("edit %q with %+v: %q can't be read: %s", d.Raw, edits, out, why)
		return
	}
	if slices.ContainsFunc(edits, func(e Edit) bool { return d.Fields[e.Field].Flags&Wrapped != 0 }) {
		return // what a string holds may be too short to be seen again
	}
	want := tree(d).apply(edits)
	if cells(d) {
		want.loosen()
	}
	if d.Fields[d.Root].Kind == KindText { // what is left may well be a scalar
		if want.text != string(got.Raw) {
			t.Errorf("edit %q with %+v: got %q, want %q", d.Raw, edits, out, want.text)
		}
		return
	}
	g := tree(&got)
	if cells(d) {
		g.loosen()
	}
	if g.String() != want.String() {
		t.Errorf("edit %q with %+v: got %q\n%s, want\n%s", d.Raw, edits, out, g, want)
		return
	}
	checkUntouched(t, d, &got, edits)
}

// checkUntouched expects all bytes outside the edited values to be as they were.
func checkUntouched(t *testing.T, d, got *Document, edits []Edit) {
	t.Helper()
	edits = slices.Clone(edits)
	slices.SortStableFunc(edits, func(a, b Edit) int { return int(a.Field) - int(b.Field) })
	if d.Fields[d.Root].Kind == KindBinary {
		return
	}
	if repeats(d) && !cells(d) || d.format == Format(nmeaFormat{}) || slices.ContainsFunc(edits, func(e Edit) bool { return e.Kind == EditRemove }) {
		checkLeaves(t, d, got, edits) // lengths, checksums and separators are written anew
		return
	}
	var want []byte
	done := uint32(0)
	for n, e := range edits {
		switch span := d.Fields[e.Field].Raw; {
		case n > 0 && e.Field == edits[n-1].Field: // another range of the same text
		default:
			value := e.Value
			if e.Kind == EditString || !textual(d) {
				at := e.Field // no edit of cells moves one
				if !cells(d) {
					at = got.Find(string(d.AppendPath(nil, e.Field)))
				}
				value = got.Value(at)
			}
			want = append(append(want, d.Raw[done:span.Start]...), value...)
			done = span.End
		}
	}
	want = append(want, d.Raw[done:]...)
	if !bytes.Equal(want, got.Raw) {
		t.Errorf("edit %q with %+v: other bytes changed: %q", d.Raw, edits, got.Raw)
	}
}

// textual reports whether an edit's value stands in the payload as it is.
func textual(d *Document) bool {
	return d.format == Format(jsonFormat{}) || d.format == Format(textFormat{})
}

// checkLeaves expects all leaves that no edit touched to be as they were.
func checkLeaves(t *testing.T, d, got *Document, edits []Edit) {
	t.Helper()
	var leaves func(n *node) []string
	leaves = func(n *node) (s []string) {
		if n == nil {
			return nil
		}
		if n.raw != "" {
			s = append(s, n.raw)
		}
		for _, k := range n.kids {
			s = append(s, leaves(k)...)
		}
		return s
	}
	kept, now := leaves(tree(d).apply(edits)), leaves(tree(got))
	for _, raw := range kept {
		at := slices.Index(now, raw)
		if at < 0 {
			t.Errorf("edit %q with %+v: %q changed in %q", d.Raw, edits, raw, got.Raw)
			return
		}
		now = now[at+1:]
	}
}

// editsFor are edits of one field that have to work if it accepts them.
func editsFor(d *Document, i int32) (es []Edit) {
	f := &d.Fields[i]
	text := d.Text(i)
	for _, v := range []string{"x", "Ünï 😀", "a\"b\\c/\n\t\r"} {
		es = append(es, Edit{Field: i, Kind: EditString, WholeText: true, Value: []byte(v)})
		for _, at := range []int{0, len(text) / 2, len(text)} {
			if !splitsRune(text, uint32(at)) {
				es = append(es,
					Edit{Field: i, Kind: EditString, Start: uint32(at), End: uint32(at), Value: []byte(v)},
					Edit{Field: i, Kind: EditString, Start: uint32(at), End: uint32(len(text)), Value: []byte(v)})
			}
		}
	}
	for _, v := range []string{"0", "-12.5e+3"} {
		es = append(es, Edit{Field: i, Kind: EditNumber, Value: []byte(v)})
	}
	for _, v := range []string{`{"new":[1]}`, `[]`} {
		es = append(es, Edit{Field: i, Kind: EditRaw, Value: []byte(v)})
	}
	if f.Parent < 0 || d.Fields[f.Parent].Kind != KindLines {
		es = append(es, Edit{Field: i, Kind: EditRaw, Value: []byte(`null`)}, Edit{Field: i, Kind: EditRaw, Value: []byte(`"\u0041"`)})
	}
	return append(es, Edit{Field: i, Kind: EditStrip}, Edit{Field: i, Kind: EditNull}, Edit{Field: i, Kind: EditRemove})
}

func TestContract(t *testing.T) {
	seen := map[string]bool{}
	for _, s := range samples() {
		seen[s.format] = true
		t.Run(s.format, func(t *testing.T) {
			d := mustParse(t, s.topic, []byte(s.raw))
			if d.FormatName() != s.format {
				t.Fatalf("read %q as %s", s.raw, d.FormatName())
			}
			checkInvariants(t, d)
			if out, err := d.Append(nil, nil); err != nil || string(out) != s.raw {
				t.Errorf("without edits %q becomes %q, %v", s.raw, out, err)
			}
			for _, i := range payloadFields(d) {
				for _, e := range editsFor(d, i) {
					if d.Fields[i].Accepts.Has(e.Kind) {
						checkEdits(t, d, []Edit{e}, !mayEmpty(d, e))
					} else if _, err := d.Append(nil, []Edit{e}); err == nil {
						t.Errorf("%q: edit %+v is not accepted and no error", s.raw, e)
					}
				}
			}
			checkPairs(t, d)
			checkRandom(t, d)
		})
	}
	for f := range mediaSamples {
		if !seen[f] {
			t.Errorf("no sample of %s", f)
		}
	}
	for _, f := range []string{"json", "jsonl", "cbor", "msgpack", "sparkplug", "xml", "nmea", "lineprotocol", "logfmt", "csv", "form", "gzip", "zlib", "zstd", "text", "jpeg", "png", "gguf", "safetensors", "tflite", "empty"} {
		if !seen[f] {
			t.Errorf("no sample of %s", f)
		}
	}
}

// checkPairs removes each pair of fields, and replaces one while the other is
// removed; pairs that lie inside one another have to be refused.
func checkPairs(t *testing.T, d *Document) {
	t.Helper()
	fields := payloadFields(d)
	for _, i := range fields {
		for _, j := range fields {
			if !d.Fields[i].Accepts.Has(EditRemove) || !d.Fields[j].Accepts.Has(EditRaw) {
				continue
			}
			inside := i == j || isInside(d, i, j) || isInside(d, j, i)
			for _, edits := range [][]Edit{
				{{Field: i, Kind: EditRemove}, {Field: j, Kind: EditRemove}},
				{{Field: i, Kind: EditRemove}, {Field: j, Kind: EditRaw, Value: []byte(`{"q":0}`)}},
			} {
				if !d.Fields[j].Accepts.Has(edits[1].Kind) {
					continue
				}
				if inside {
					if _, err := d.Append(nil, edits); err == nil {
						t.Errorf("%q: edits %+v conflict and no error", d.Raw, edits)
					}
					continue
				}
				checkEdits(t, d, edits, !emptiesLines(d, edits) && !slices.ContainsFunc(edits, func(e Edit) bool { return mayEmpty(d, e) }))
			}
		}
	}
}

func isInside(d *Document, inner, outer int32) bool {
	for p := d.Fields[inner].Parent; p >= 0; p = d.Fields[p].Parent {
		if p == outer {
			return true
		}
	}
	return false
}

// mayEmpty reports an edit that may leave too little to be recognized, or that
// does not fit a type.
func mayEmpty(d *Document, e Edit) bool {
	if cells(d) && e.Kind == EditRemove {
		return true
	}
	switch d.format {
	case Format(nmeaFormat{}): // ASCII, and degrees
		return true
	case Format(lineFormat{}): // a tag is on one line, an integer has no fraction
		return e.Kind == EditNumber || bytes.IndexByte(e.Value, '\n') >= 0
	case Format(csvFormat{}): // a table without a header is made of numbers
		shape, _ := sniffCSV(d.Raw)
		return !shape.header
	case Format(sparkplugFormat{}): // an integer has no fraction
		return e.Kind == EditRemove || e.Kind == EditNumber
	case Format(formFormat{}):
		return e.Kind == EditRemove || len(payloadFields(d)) == 2
	}
	return (d.format == Format(cborFormat{}) || d.format == Format(msgpackFormat{})) && (e.Kind == EditRemove || len(d.Raw) < 2*msgpackAmbiguousBelow)
}

func emptiesLines(d *Document, edits []Edit) bool {
	if d.Fields[d.Root].Kind != KindLines {
		return false
	}
	left := 0
	for _, i := range payloadFields(d) {
		if d.Fields[i].Parent == d.Root {
			left++
		}
	}
	for _, e := range edits {
		if e.Kind == EditRemove && d.Fields[e.Field].Parent == d.Root {
			left--
		}
	}
	return left == 0
}

// checkRandom applies many sets of edits that do not conflict, in any order.
func checkRandom(t *testing.T, d *Document) {
	t.Helper()
	fields := payloadFields(d)
	rng := rand.New(rand.NewPCG(1, uint64(len(d.Raw))))
	for range 200 {
		var edits []Edit
		for _, i := range fields {
			if rng.IntN(3) > 0 {
				continue
			}
			es := editsFor(d, i)
			e := es[rng.IntN(len(es))]
			if !d.Fields[i].Accepts.Has(e.Kind) ||
				slices.ContainsFunc(edits, func(o Edit) bool { return isInside(d, i, o.Field) }) {
				continue
			}
			edits = append(edits, e)
		}
		if len(edits) == 0 {
			continue
		}
		rng.Shuffle(len(edits), func(i, j int) { edits[i], edits[j] = edits[j], edits[i] })
		checkEdits(t, d, edits, !emptiesLines(d, edits) && !slices.ContainsFunc(edits, func(e Edit) bool { return mayEmpty(d, e) }))
	}
}
