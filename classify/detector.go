package classify

import "github.com/sealgate/sealgate/classify/payload"

// A detector finds one kind of sensitive data. To add one, write it in a file
// detector_x.go, add a line to Detectors, and give it a match and a non-match
// corpus in testdata/detectors/NAME.txt; a shared test demands both.
//
// The scanner starts it: it never searches a text itself, so its cost is that
// of the few places where it can apply.
type detector struct {
	name  string  // closed, lower case with dashes: shown to people, used as a label
	class ClassID // what it finds, unless a match says otherwise

	// on says at which kinds of place it starts. Each kind gives the candidate
	// a run, c.text[c.start:c.end].
	on start
	// min and max bound the run's length in bytes (onDigits: in digits; onWords:
	// in letters and digits). max 0 means no bound.
	min, max int
	// shapes are what the letters and digits of a run (onWord, onWords) can be,
	// from the first on: A for a letter, U for a capital one, 9 for a digit, * for
	// either; what they don't say is free. A run whose letters that stand together differ in case
	// has no shape; behind a letter of another script any run may match, as
	// without shapes.
	shapes []string
	// digits is how many digits a run (onDigits, onWord, onWords) holds at least,
	// and places how many letters and digits at most (0: no bound); anyCase says
	// that it has a shape however its letters are written.
	digits, places int
	anyCase        bool
	// heads are what the first two letters of its shape can be, all of them
	// capitals; none: any.
	heads []string
	// noUUID says that find accepts no groups of a UUID in small letters: see
	// Scratch.spare. Those with a gate need not say so.
	noUUID bool
	// literals start it (onLiteral) where one of them begins at the start of a
	// word; at least three bytes each. The run is the literal's word (see
	// onToken). Case matters.
	literals []string
	// senses start it (onKey) where the field's key means one of them. With
	// needs set, every other start also demands that the key, its path, the
	// topic, a sibling's key or one of the five words before says one of them.
	senses []sense
	needs  bool
	// strings says that onKey starts it at strings alone, which c.isString tells.
	strings bool
	// gate, where it is set, says without find where find can match (onDigits,
	// onWord, onWords, onToken); nil: anywhere.
	gate *gate

	// find looks at one candidate. It must not keep c or its slices, must not
	// allocate, and must run in time bounded by the run's length; what looks
	// farther charges for it.
	find func(c *candidate) (match, bool)
	// group looks at several fields together (onGroup) and reports by itself.
	group func(g *group)
}

// start is a set of kinds of place where a detector starts.
type start uint16

const (
	// onKey: the field's key means one of the detector's senses. The run is the
	// whole value, without surrounding space; it is never empty.
	onKey start = 1 << iota
	// onDigits: digits in groups ("4111 1111-1111.1111", "+49 (170) 123456"):
	// single separators out of space - . / ( ) + between groups, at least six
	// digits. c.digits holds the digits alone, at most maxDigits. Also started for every
	// leading part that ends with a group, longest first, until one matches. A
	// letter never touches the run.
	onDigits
	// onWord: a word of ASCII letters and digits with at least one digit
	// ("WDB9036621R859021", "12345678Z"). Runs of digits alone count.
	onWord
	// onWords: words of letters and digits joined by single spaces, dashes or
	// dots, the first of which holds at least one upper-case letter or digit,
	// up to 40 bytes, at least one digit and, unless onDigits is set, too, one
	// letter in it
	// ("DE89 3704 0044 0532 0130 00", "B-MA 1234"). Also started for every
	// leading part, longest first, until one matches.
	onWords
	// onDotted: at least three dots between digits ("192.168.1.10"); a port or
	// a prefix length is not in it.
	onDotted
	// onColons: hex digits and at least two colons, or five dashes, or two
	// dots between groups of four ("aa:bb:cc:dd:ee:ff", "fe80::1").
	onColons
	// onAt: a word around an '@' ("a.b@example.org").
	onAt
	// onURL: a word that holds "://".
	onURL
	// onToken: at least 16 bytes of letters, digits and + / = _ - . ~ : in one
	// word, with a digit or with both cases; 8 bytes with letters and digits.
	onToken
	// onArray: the key of an array means one of the detector's senses. There is
	// no run; c.array says what the array holds. What it finds covers the array.
	onArray
	// onBinary: the payload is a binary of a known format. There is no run.
	onBinary
	// onGroup: once for a document in whose keys or topic one of the senses
	// stands, after every value was looked at. It starts group, not find.
	onGroup
	// onLiteral: one of literals begins a word. The run goes on to the word's
	// end: the next space, quote, bracket, comma, semicolon or backslash.
	onLiteral
)

// maxDigits is how many digits a run started by onDigits can have.
const maxDigits = 34

// match is what a detector found.
type match struct {
	start, end int     // range in c.text
	class      ClassID // ClassNone: the detector's
	confidence uint8   // percent; below 50 is not reported
	why        Why
	special    bool // the class's raised grade applies (a public address, a personal device)
}

// candidate is a place that may hold sensitive data, and what is known about
// its surroundings.
type candidate struct {
	text       []byte // the whole value, decoded and folded; read only
	raw        []byte // the value before folding
	start, end int    // the run in text
	digits     []byte // onDigits: its digits
	rest       int    // onDigits: groups behind the run that belonged to it
	last       int    // the end of the last of these
	array      arrayShape
	flat       compacted // the run last asked for
	voice      voice     // the same
	hinted     hints     // of the places last asked for
	edges      edges
	kind       payload.Kind
	assigned   bool   // onKey: the run is a value in a text, behind "word =" or "word:"
	quoted     bool   // assigned: between quotes
	name       []byte // assigned: the word before the sign
	root       bool   // the value is the whole payload
	wrapped    bool   // the value was decoded from base64 or the like

	key    senses // what the field's key means: its head
	up     senses // what the nearest container with a meaning speaks of
	above  senses // what any container and the topic speak of
	beside senses // what the keys beside it, and labels like {"type": "face"}, speak of
	about  senses // all of these, and the rest of its own key

	near     senses // what the words before the run mean, once looked up
	nearFrom int    // start that near was computed for, -1: not yet
	cost     int    // what was charged and not yet counted
	turns    int    // of the scanner's loops in this document: what tests hold to linear growth
	dict     *dictionary
	names    *names // the same, remembered
	childAge int    // below it a person is a child

	plateTells bool // a picture of a plate is as one of a face
}

// charge notes that a detector looks at so many bytes beyond its run.
func (c *candidate) charge(n int) { c.cost += n / chargeBytes }

// chargeBytes is how many bytes cost as much as starting a detector.
const chargeBytes = 64

// run is the bytes of the run.
func (c *candidate) run() []byte { return c.text[c.start:c.end] }

// whole reports whether the run is all of the value but surrounding space and
// punctuation.
func (c *candidate) whole() bool {
	e := &c.edges
	if !e.known {
		t := c.text
		e.known, e.first, e.last = true, 0, len(t)
		for e.first < len(t) && !alnum(t[e.first]) {
			e.first++
		}
		for e.last > e.first && !alnum(t[e.last-1]) {
			e.last--
		}
	}
	return c.start <= e.first && c.end >= e.last
}

// edges are where a text's letters and digits begin and end.
type edges struct {
	known       bool
	first, last int
}

// keyIs reports whether the field's key means s: {"phone": …}.
func (c *candidate) keyIs(s sense) bool { return c.key.has(s) }

// context is the union of all that is near.
func (c *candidate) context() senses { return c.key.union(c.about).union(c.before()) }

func alnum(b byte) bool {
	return b-'0' < 10 || (b|0x20)-'a' < 26 || b >= 0x80
}

// found is a match of the whole run.
func (c *candidate) found(confidence uint8, why Why) (match, bool) {
	return match{start: c.start, end: c.end, confidence: confidence, why: why}, true
}

// before is what the five words before the run mean.
func (c *candidate) before() senses {
	if c.nearFrom != c.start {
		c.nearFrom, c.near = c.start, c.dict.before(c.text[:c.start])
	}
	return c.near
}
