package classify

import (
	"slices"

	"github.com/sealgate/sealgate/classify/payload"
)

// identifierDetectors find what names a person, an account, a device or a
// vehicle by its own form, wherever it stands.
func identifierDetectors() []detector {
	return slices.Concat(financeDetectors(), nationalDetectors(), documentDetectors(), deviceDetectors(), contactDetectors(), proseDetectors())
}

// A form describes an identifier that has a verifier: how it is written, and
// how much its digits, its grouping and the words near it prove. Most checks
// let one number in ten through, so digits alone are believed only where a
// person may be speaking: never in a field of telemetry that nothing names.
type form struct {
	name     string
	class    ClassID
	on       start
	min, max int      // characters without separators
	shapes   []string // of words: see detector.shapes
	verify   func([]byte) bool
	weak     func([]byte) bool // the form alone; believed with a word near, or as weakAlone says
	groups   []uint64          // how it is printed: the lengths of its groups, one hex digit each
	seps     string            // what may stand between groups; one kind throughout unless mixed
	mixed    bool
	senses   []sense // which meaning of a key or a word near confirms it
	hint     hint    // further words that do in running text

	// Confidence in percent without a word near; 0: not believed.
	alone     uint8 // verified, in one piece, where somebody speaks
	weakAlone uint8 // the same, not verified
	grouped   uint8 // verified and printed as groups say
	// strong: alone holds in any string of a document, too; telling: even for
	// a number, because dates, places and check digits leave no room for chance.
	strong, telling bool
}

// detector builds the detector of a form.
func (f form) detector() detector {
	if f.seps == "" {
		f.seps = " -"
	}
	said := sensesOf(f.senses)
	return detector{
		name: f.name, class: f.class, on: f.on, min: f.min, max: f.max, shapes: f.shapes,
		gate: &gate{senses: said, words: f.hint, groups: f.groups, plain: f.alone != 0 && (f.strong || f.telling), spoken: f.alone|f.weakAlone != 0, lonely: true},
		find: func(c *candidate) (match, bool) { return f.find(c, said) },
	}
}

func (f *form) find(c *candidate, said senses) (match, bool) {
	b := c.compact()
	if len(b) < f.min || len(b) > f.max {
		return match{}, false
	}
	groups, sep := c.grouping()
	plain := sep == 0
	if plain && c.digits != nil && !f.strong && !f.telling && c.confirms(said, f.hint) == unconfirmed && !c.spoken() {
		return match{}, false // cheaper to know than the verifier
	}
	why, verified := WhyShape|WhyChecksum, f.verify(b)
	if !verified {
		if f.weak == nil || !f.weak(b) {
			return match{}, false
		}
		why = WhyShape
	}
	printed := !plain && (f.mixed || sep != sepMixed) && within(c.run(), f.seps) && f.prints(groups)
	conf := uint8(0)
	switch confirmed := c.confirms(said, f.hint); {
	case confirmed == confirmedHere && (plain || printed):
		conf, why = 95, why|WhyContext
		if !verified {
			conf = 75
		}
	case confirmed == confirmedHere && verified && within(c.run(), f.seps):
		conf, why = 75, why|WhyContext
	case c.kind == payload.KindNumber && !c.root && !(f.telling && verified):
	case confirmed == confirmedNear && verified && (plain || printed):
		conf, why = 75, why|WhyContext
	case c.joined(), c.key.meets(machineSenses) || c.kind == payload.KindTopic && !f.telling:
	case verified && printed && (sep != ' ' || !c.inNumbers()):
		conf = f.grouped
	case verified && plain && (f.telling || f.strong && !c.before().meets(machineSenses) || c.spoken()):
		conf = f.alone
	case !verified && (plain || printed) && c.spoken():
		conf = f.weakAlone
	}
	if conf == 0 {
		return match{}, false
	}
	return c.found(conf, why)
}

func (f *form) prints(groups uint64) bool {
	for _, g := range f.groups {
		if g == groups {
			return true
		}
	}
	return false
}

// machineSenses are the meanings of keys and words whose values are machines'
// own numbers: no one speaks of people there.
var machineSenses = sensesOf([]sense{
	senseTime, senseHash, senseVersion, senseSerial, senseDeviceID, senseMAC, senseIMEI, senseICCID, senseEUI, senseCount,
})

// How near a word stands that confirms a form.
const (
	unconfirmed   = iota
	confirmedNear // in the path, the topic or among the siblings
	confirmedHere // the key itself, or one of the words before the value
)

func (c *candidate) confirms(said senses, words hint) int {
	switch {
	case c.key.meets(said), c.hintsBefore()&words != 0, c.before().meets(said):
		return confirmedHere
	case c.about.meets(said):
		return confirmedNear
	}
	return unconfirmed
}

// spoken reports whether the run may be something that a person wrote: it is
// all there is of a whole payload, or stands in running text, with a space or
// punctuation on either side and words around it. A bare value of a document,
// a column or an assignment is not.
func (c *candidate) spoken() bool {
	f := &c.voice
	if f.start != c.start || f.end != c.end {
		*f = voice{start: c.start, end: c.end, spoken: c.isSpoken()}
	}
	return f.spoken
}

// voice is whether a run is spoken, kept until another is asked for.
type voice struct {
	start, end int // of the run; 0, 0: none
	spoken     bool
}

func (c *candidate) isSpoken() bool {
	switch {
	case c.kind == payload.KindTopic, c.key.meets(machineSenses):
		return false
	case c.whole():
		if !c.root {
			return false
		}
	case !c.wordBeside(-1), !c.wordBeside(+1):
		return false
	}
	return !c.timestamp() && !c.before().meets(machineSenses)
}

// wordBeside reports whether what stands before (-1) or after (+1) the run is
// the end of the text, or a word or another identifier, with at most a space
// and sentence punctuation between.
func (c *candidate) wordBeside(dir int) bool {
	at := func(i int) byte {
		if i < 0 || i >= len(c.text) {
			return 0
		}
		return c.text[i]
	}
	i := c.start - 1
	if dir > 0 {
		i = c.end
	}
	comma, space := false, false // a comma without a space separates columns
	for n := 0; ; i, n = i+dir, n+1 {
		switch b := at(i); b {
		case 0:
			return true
		case ' ', '\n', '\r', '.', ',', ':', '?', '!', '#', '\'', '"', '(', ')':
			comma, space = comma || b == ',', space || b == ' '
			if n > 3 {
				return false
			}
		default:
			if n == 0 {
				return b >= 0x80 // scripts without spaces
			}
			if (b|0x20)-'a' <= 25 || b >= 0x80 {
				return !comma || space
			}
			// Another identifier, but no plain number: columns of readings are
			// not sentences.
			run, letters := 0, false
			for alnum(at(i)) {
				letters = letters || at(i)-'0' > 9
				i, run = i+dir, run+1
			}
			return run >= 7 && letters
		}
	}
}

// trimmed is a match of the run without punctuation around it.
func (c *candidate) trimmed(confidence uint8, why Why) (match, bool) {
	s, e := c.start, c.end
	for s < e && !alnum(c.text[s]) && c.text[s] != '+' && c.text[s] != '(' {
		s++
	}
	for e > s && !alnum(c.text[e-1]) {
		e--
	}
	return match{start: s, end: e, confidence: confidence, why: why}, e > s
}

// joined reports whether a sign joins the run to letters or digits before or
// after it: the run is then a part of something else.
func (c *candidate) joined() bool {
	join := func(b byte) bool { return b == '-' || b == '.' || b == '/' || b == ':' || b == '_' || b == '+' }
	s, e := c.start, c.end
	return s >= 2 && join(c.text[s-1]) && (c.text[s-1] != ':' || c.text[s-2]-'0' <= 9) && alnum(c.text[s-2]) ||
		e+1 < len(c.text) && join(c.text[e]) && alnum(c.text[e+1])
}

// separate reports whether spaces or the punctuation of sentences stand on both
// sides of the run: it is a word of its own in a text.
func (c *candidate) separate() bool {
	if c.start > 0 {
		switch c.text[c.start-1] {
		case ' ', '\n', ':', '#', '(', '"', '\'':
		default:
			if c.text[c.start-1] < 0x80 {
				return false
			}
		}
	}
	if c.end < len(c.text) {
		switch c.text[c.end] {
		case ' ', '\n', '\r', '.', ',', ';', '!', '?', ')', '"', '\'':
		default:
			return c.text[c.end] >= 0x80
		}
	}
	return true
}

// inNumbers reports whether another group of digits stands beside the run, one
// space away: the run is then part of something longer.
func (c *candidate) inNumbers() bool {
	s, e := c.start, c.end
	return s >= 2 && c.text[s-1] == ' ' && c.text[s-2]-'0' <= 9 ||
		e+1 < len(c.text) && c.text[e] == ' ' && c.text[e+1]-'0' <= 9
}

// timestamp reports whether the run reads as a present time in seconds or
// milliseconds since 1970: 2017 to 2033.
func (c *candidate) timestamp() bool {
	r := c.run()
	return (len(r) == 10 || len(r) == 13) && allDigits(r) && r[0] == '1' && r[1] >= '5'
}

// maxCompact bounds the compact form of an identifier.
const maxCompact = 48

// compacted is a run without its separators, kept until another is asked for:
// many detectors look at one run.
type compacted struct {
	buf        [maxCompact]byte
	n          int
	mixed      bool // letters that stand together differ in case
	start, end int  // of the run; 0, 0: none

	groups  uint64 // grouping of the run
	sep     byte
	grouped bool // these are known
}

// compact returns the run without its separators and with letters in upper
// case, or nothing for what is too long, is not ASCII, or mixes the case of
// letters that stand together, as no identifier does.
func (c *candidate) compact() []byte {
	b := c.compactAnyCase()
	if c.flat.mixed {
		return nil
	}
	return b
}

// compactAnyCase is compact for what people write without care.
func (c *candidate) compactAnyCase() []byte {
	f := c.flatten()
	return f.buf[:f.n]
}

// flatten returns what is known of the run.
func (c *candidate) flatten() *compacted {
	f := &c.flat
	if f.start != c.start || f.end != c.end || c.end == 0 {
		f.start, f.end, f.grouped = c.start, c.end, false
		f.set(c.run())
	}
	return f
}

// grouping is how the run is written: see the function of the name.
func (c *candidate) grouping() (groups uint64, sep byte) {
	f := c.flatten()
	if !f.grouped {
		f.groups, f.sep = grouping(c.run())
		f.grouped = true
	}
	return f.groups, f.sep
}

func (f *compacted) set(run []byte) {
	f.n, f.mixed = 0, false
	n := 0
	var last byte // letter before, as it was written
	for _, b := range run {
		switch {
		case b-'0' <= 9:
			last = 0
		case (b|0x20)-'a' <= 25:
			f.mixed = f.mixed || last != 0 && (last^b)&0x20 != 0
			last = b
			b &^= 0x20
		case b >= 0x80:
			return
		default:
			continue
		}
		if n == len(f.buf) {
			return
		}
		f.buf[n] = b
		n++
	}
	f.n = n
}

// sepMixed is grouping's separator where there are several kinds.
const sepMixed = 1

// grouping says how run is written: the length of each group of letters and
// digits, one hex digit each (15 for longer), and what stands between them: 0
// for nothing, the one separator, or sepMixed.
func grouping(run []byte) (groups uint64, sep byte) {
	n := uint64(0)
	gap := false
	for _, b := range run {
		if alnum(b) {
			n = min(n+1, 15)
			gap = false
			continue
		}
		if gap || n == 0 {
			sep = sepMixed
		} else {
			groups, n, gap = groups<<4|n, 0, true
		}
		if sep == 0 {
			sep = b
		} else if sep != b {
			sep = sepMixed
		}
	}
	if n > 0 {
		groups = groups<<4 | n
	}
	return groups, sep
}

// within reports whether run holds no separator but those in seps.
func within(run []byte, seps string) bool {
	for _, b := range run {
		if alnum(b) {
			continue
		}
		ok := false
		for i := range len(seps) {
			ok = ok || seps[i] == b
		}
		if !ok {
			return false
		}
	}
	return true
}
