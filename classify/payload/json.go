package payload

import "bytes"

// jsonFormat is strict JSON (RFC 8259, UTF-8 without byte-order mark, no equal
// keys in one object, no lone surrogates), one value or JSON lines: two or more
// objects or arrays, each on a line of its own.
type jsonFormat struct{}

// What may be done to a JSON value. A root can't be removed, and a document of
// JSON lines stays an object or array.
const (
	jsonLine      EditMask = 1<<EditRaw | 1<<EditRemove
	jsonContainer EditMask = jsonLine | 1<<EditNumber | 1<<EditToken
	jsonLeaf      EditMask = jsonContainer | 1<<EditString
)

// Detect claims whatever begins like an object or array, even behind what JSON
// does not allow there, quoted text with escapes, and scalars that are strict
// JSON: all other bytes may be text.
func (jsonFormat) Detect(_ string, raw []byte) bool {
	return claimsJSON(raw) || isJSONScalar(raw)
}

// claimsJSON reports whether raw is JSON or nothing: as text, its escapes would
// stay undecoded, and a lenient parser might still decode them.
func claimsJSON(raw []byte) bool {
	switch firstCharacter(raw) {
	case '{':
		return true
	case '[':
		return !logTag(raw)
	case '"':
		return bytes.IndexByte(raw, '\\') >= 0
	}
	return false
}

// logTag reports whether raw begins with a tag in brackets and goes on behind
// it, like a line of a log: "[INFO] pump 4 started", "[12:31:07] …". In no
// dialect of JSON is that an array: not a bare word that stands for no value,
// and not digits with a colon between them.
func logTag(raw []byte) bool {
	i := skipSpace(raw, 0)
	if at(raw, i) != '[' {
		return false // behind what only some parsers skip
	}
	from, word := i+1, i+1
	clock := false
	for i = from; ; i++ {
		switch c := at(raw, i); {
		case c|0x20 >= 'a' && c|0x20 <= 'z':
			if word == i {
				word = i + 1
			}
		case c >= '0' && c <= '9', c == ' ', c == '-', c == '_', c == '.', c == '/', c == '#', c == '+':
		case c == ':':
			clock = clock || i > from && isDigit(at(raw, i-1)) && isDigit(at(raw, i+1))
		case c == ']' && i-from == 1 && word > from && at(raw, i+1) == '[': // "[I][wifi:573]: …"
			return skipSpace(raw, i+2) < len(raw)
		case c == ']' && i-from >= 2 && i-from <= 40:
			next := at(raw, i+1)
			return (clock || word > from && !jsonWord(raw[from:word])) && (next == ' ' || next == '\t' || next == '[' || next|0x20 >= 'a' && next|0x20 <= 'z') &&
				skipSpace(raw, i+1) < len(raw)
		default:
			return false
		}
	}
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// jsonWord reports whether a word stands for a value in JSON or in a dialect
// of it.
func jsonWord(w []byte) bool {
	switch string(w) {
	case "true", "false", "null", "undefined", "NaN", "nan", "Infinity", "inf", "True", "False", "None", "TRUE", "FALSE", "NULL":
		return true
	}
	return false
}

func isJSONScalar(raw []byte) bool {
	r := jsonReader{raw: raw}
	i := skipSpace(raw, 0)
	switch c := at(raw, i); {
	case c == '"':
		var arena []byte
		_, _, i = r.text(i+1, &arena)
	case c == '-' || c >= '0' && c <= '9':
		i = r.number(i)
	default:
		i = r.literal(i)
	}
	return i >= 0 && skipSpace(raw, i) == len(raw)
}

func (jsonFormat) Parse(d *Document, lim Limits) Reason {
	d.name, d.Root = "json", int32(len(d.Fields))
	levels, arena := len(d.Fields), len(d.arena)
	r := jsonReader{d: d, raw: d.Raw, lim: lim}

	i := skipSpace(d.Raw, 0)
	if d.level == 0 { // what stands in a string is another document each time
		d.keys.begin()
	}
	end := r.document(i, -1, 0, rootHash, d.keys.root())
	if end < 0 {
		if beginsUTF16(d.Raw) {
			return ReasonEncoding
		}
		return r.why
	}
	d.Fields[d.Root].Accepts &^= 1<<EditRemove | 1<<EditToken

	next := skipSpace(d.Raw, end)
	if next == len(d.Raw) {
		return ReasonNone
	}
	if !d.Fields[d.Root].Kind.Leaf() && onOneLine(d.Raw[i:end]) && !onOneLine(d.Raw[end:next]) {
		d.Fields, d.arena, d.suspects = d.Fields[:levels], d.arena[:arena], d.suspects[:0] // a root comes first, so read again
		return r.lines()
	}
	return ReasonTrailing
}

// lines reads JSON lines. White space and empty lines between them are fine.
func (r *jsonReader) lines() Reason {
	d := r.d
	d.name = "jsonl"
	d.Fields = append(d.Fields, Field{
		Parent: -1, Raw: Span{0, uint32(len(d.Raw))}, PathHash: rootHash, Kind: KindLines,
	})
	i, hash := skipSpace(d.Raw, 0), stepHash(rootHash, indexHash)
	place := d.keys.elements(d.keys.root(), hash)
	for line := uint32(0); i < len(d.Raw); line++ {
		if c := d.Raw[i]; c != '{' && c != '[' {
			return ReasonTrailing
		}
		f := len(d.Fields)
		end := r.document(i, d.Root, line, hash, place)
		if end < 0 {
			return r.why
		}
		d.Fields[f].Accepts = jsonLine
		i = skipSpace(d.Raw, end)
		if !onOneLine(d.Raw[d.Fields[f].Raw.Start:end]) || i < len(d.Raw) && onOneLine(d.Raw[end:i]) {
			return ReasonTrailing
		}
	}
	return ReasonNone
}

func onOneLine(b []byte) bool { return bytes.IndexByte(b, '\n') < 0 }

// CheckStrictJSON returns ReasonNone if raw is one strict JSON object and
// nothing else but white space, or why it is not. Documents that are signed or
// hashed are checked with it before they are decoded, because encoding/json
// accepts equal keys, invalid UTF-8 and lone surrogates.
func CheckStrictJSON(raw []byte) Reason {
	if at(raw, skipSpace(raw, 0)) != '{' {
		return ReasonMalformed
	}
	return checkJSON(raw, maxDepth)
}

// checkJSON returns ReasonNone if raw is one strict JSON value of any kind that
// is nested no deeper than depth.
func checkJSON(raw []byte, depth int) Reason {
	if isJSONScalar(raw) {
		return ReasonNone // needs no memory
	}
	d := Document{Raw: raw}
	r := jsonReader{d: &d, raw: raw, lim: Limits{}.withDefaults()}
	r.lim.Depth = depth
	end := r.document(skipSpace(raw, 0), -1, 0, rootHash, noPlace)
	switch {
	case end < 0:
		return r.why
	case skipSpace(raw, end) != len(raw):
		return ReasonTrailing
	}
	return ReasonNone
}

// A jsonReader reads one payload in one pass. Its methods take the place where
// something begins and return the place behind it, or a negative number after
// they have noted in why what is wrong.
type jsonReader struct {
	d     *Document
	raw   []byte
	lim   Limits
	depth int
	why   Reason
}

func (r *jsonReader) fail(why Reason) int {
	r.why = why
	return -1
}

// at returns b[i], and behind the end 0, which stands nowhere in valid JSON.
func at(b []byte, i int) byte {
	if uint(i) < uint(len(b)) {
		return b[i]
	}
	return 0
}

func skipSpace(b []byte, i int) int {
	for uint(i) < uint(len(b)) {
		if c := b[i]; c > ' ' || c != ' ' && c != '\n' && c != '\r' && c != '\t' {
			break
		}
		i++
	}
	return i
}

// document reads a value that is not a member of an object. Its members' keys
// are remembered in place.
func (r *jsonReader) document(i int, parent int32, index uint32, hash uint64, place int32) int {
	self := int32(len(r.d.Fields))
	if int(self) >= r.lim.Fields {
		return r.fail(ReasonTooMany)
	}
	f := r.d.add()
	f.Parent, f.Index, f.PathHash = parent, index, hash
	return r.value(i, f, self, place)
}

// value reads the value of the field self, f, whose place in the document is
// known.
func (r *jsonReader) value(i int, f *Field, self, place int32) int {
	start := i
	switch c := at(r.raw, i); c {
	case '"':
		var flag FieldFlags
		f.Text, flag, i = r.text(i+1, &r.d.arena)
		if flag != 0 {
			f.Flags |= TextArena
		}
		if i < 0 {
			return i
		}
		f.Raw = Span{uint32(start), uint32(i)}
		f.Kind, f.Accepts = KindString, jsonLeaf
		if i-start >= minEncoded+2 {
			r.d.suspects = append(r.d.suspects, self)
		}
		return i
	case '{', '[':
		if r.depth == r.lim.Depth {
			return r.fail(ReasonTooDeep)
		}
		f.Accepts = jsonContainer
		hash := f.PathHash
		r.depth++
		if c == '{' {
			f.Kind = KindObject
			i = r.object(i+1, self, hash, place)
		} else {
			f.Kind = KindArray
			i = r.array(i+1, self, hash, place)
		}
		r.depth--
		if i >= 0 {
			r.d.Fields[self].Raw = Span{uint32(start), uint32(i)}
		}
		return i
	case 't', 'f':
		f.Kind, i = KindBool, r.literal(i)
	case 'n':
		f.Kind, i = KindNull, r.literal(i)
	default:
		f.Kind, i = KindNumber, r.number(i)
	}
	f.Accepts = jsonLeaf
	f.Raw = Span{uint32(start), uint32(i)}
	f.Text = f.Raw
	return i
}

// object reads members from behind the opening brace.
func (r *jsonReader) object(i int, self int32, hash uint64, container int32) int {
	d, raw := r.d, r.raw
	i = skipSpace(raw, i)
	if at(raw, i) == '}' {
		return i + 1
	}
	keys := keySet{base: len(d.members), sorted: container != noPlace}
	before, next := int32(noPlace), int32(noPlace) // the places of the member before, and of the expected one
	if container != noPlace {
		next = d.keys.places[container].first
	}
	for index := uint32(0); ; index++ {
		if at(raw, i) != '"' {
			return r.fail(ReasonMalformed)
		}
		field := len(d.Fields)
		if field >= r.lim.Fields {
			return r.fail(ReasonTooMany)
		}
		f := d.add()
		f.Parent, f.Index = self, index
		var place int32 // where its members are remembered
		end, p := -1, (*keyPlace)(nil)
		if keys.sorted && next > keys.last {
			p = &d.keys.places[next]
			end = p.expect(&d.keys, raw, i+1)
		}
		if end > 0 {
			f.Key = Span{uint32(i + 1), uint32(end)}
			f.PathHash, f.Place = p.path, next
			d.members = append(d.members, member{p.hash, int32(field)})
			keys.last, place, before, next, i = next, next, next, p.next, end+1
		} else {
			key, flags, behind := r.text(i+1, &d.arena)
			if behind < 0 {
				return behind
			}
			i = behind
			name := raw
			if flags != 0 {
				name = d.arena
			}
			name = name[key.Start:key.End]
			h := hashKey(name)
			step := keyStep(name, h)
			f.Key, f.Flags, f.PathHash = key, flags, stepHash(hash, step)
			switch {
			case string(name) == reservedKey:
				d.Reserved = true
			case step != h: // numbers as keys are too many to remember
				place = d.keys.elements(container, f.PathHash)
			case flags == 0:
				place = d.keys.member(container, before, h, f.PathHash, name)
				if f.Place, before, next = place, place, noPlace; place != noPlace {
					next = d.keys.places[place].next
				}
			}
			if !d.addKey(&keys, h, int32(field), f.Place) {
				return r.fail(ReasonDuplicate)
			}
		}
		if at(raw, i) <= ' ' {
			i = skipSpace(raw, i)
		}
		if at(raw, i) != ':' {
			return r.fail(ReasonMalformed)
		}
		if i++; at(raw, i) <= ' ' {
			i = skipSpace(raw, i)
		}
		if i = r.value(i, f, int32(field), place); i < 0 {
			return i
		}
		if at(raw, i) <= ' ' {
			i = skipSpace(raw, i)
		}
		switch at(raw, i) {
		case ',':
			if i++; at(raw, i) <= ' ' {
				i = skipSpace(raw, i)
			}
		case '}':
			if !d.closeKeys(&keys) {
				return r.fail(ReasonDuplicate)
			}
			return i + 1
		default:
			return r.fail(ReasonMalformed)
		}
	}
}

// reservedKey is the member that protected documents carry.
const reservedKey = "_sg"

// array reads elements from behind the opening bracket.
func (r *jsonReader) array(i int, self int32, hash uint64, container int32) int {
	hash = stepHash(hash, indexHash)
	element := int32(noPlace)
	i = skipSpace(r.raw, i)
	if at(r.raw, i) == ']' {
		return i + 1
	}
	for index := uint32(0); ; index++ {
		if c := at(r.raw, i); element == noPlace && (c == '{' || c == '[') {
			element = r.d.keys.elements(container, hash)
		}
		if i = r.document(i, self, index, hash, element); i < 0 {
			return i
		}
		i = skipSpace(r.raw, i)
		switch at(r.raw, i) {
		case ',':
			i = skipSpace(r.raw, i+1)
		case ']':
			return i + 1
		default:
			return r.fail(ReasonMalformed)
		}
	}
}

func (r *jsonReader) literal(i int) int {
	rest := r.raw[min(i, len(r.raw)):]
	switch {
	case len(rest) >= 4 && (string(rest[:4]) == "true" || string(rest[:4]) == "null"):
		return i + 4
	case len(rest) >= 5 && string(rest[:5]) == "false":
		return i + 5
	}
	return r.fail(ReasonMalformed)
}

// number reads -?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)? (RFC 8259, 6).
func (r *jsonReader) number(i int) int {
	b := r.raw
	if at(b, i) == '-' {
		i++
	}
	from := i
	if i = digitsEnd(b, i); i == from || i > from+1 && b[from] == '0' {
		return r.fail(ReasonMalformed)
	}
	if at(b, i) == '.' {
		from = i + 1
		if i = digitsEnd(b, from); i == from {
			return r.fail(ReasonMalformed)
		}
	}
	if at(b, i)|0x20 == 'e' {
		i++
		if c := at(b, i); c == '+' || c == '-' {
			i++
		}
		from = i
		if i = digitsEnd(b, from); i == from {
			return r.fail(ReasonMalformed)
		}
	}
	return i
}

// digitsEnd returns where the digits that begin at b[i] end.
func digitsEnd(b []byte, i int) int {
	for uint(i) < uint(len(b)) && b[i]-'0' <= 9 {
		i++
	}
	return i
}
