package classify

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/sealgate/sealgate/classify/payload"
)

// proseDetectors find names and postal addresses in running text, by its
// structure alone: a form of address or an introduction before capitalized
// words; a house number beside a word for a street. What has neither stays
// unseen: there is no list of names and no language model.
func proseDetectors() []detector {
	return []detector{nameDetector(), addressDetector()}
}

// introductions stand before a name. The second half are sentences, after
// which a single capitalized word is a name, too.
var introductions = []string{
	"Mr. ", "Mr ", "Mrs. ", "Mrs ", "Ms. ", "Ms ", "Dr. ", "Dr ", "Prof. ", "Herr ", "Frau ", "Señor ", "Señora ", "Monsieur ", "Madame ",
	"my name is ", "My name is ", "your name? ", "I'm ", "name: ", "Name: ", "maiden name is ",
}

func nameDetector() detector {
	return detector{
		name: "name-introduced", class: ClassPersonName, on: onLiteral, literals: introductions,
		find: func(c *candidate) (match, bool) {
			if c.kind != payload.KindText && c.kind != payload.KindString {
				return match{}, false
			}
			rest, intro := c.text[c.start:], 0
			for _, l := range introductions {
				if len(l) > intro && len(rest) >= len(l) && string(rest[:len(l)]) == l {
					intro = len(l)
				}
			}
			from := c.start + intro
			for from < len(c.text) && c.text[from] == ' ' {
				from++
			}
			// "I'm" and the like stand before much else: two words at least.
			least := 1
			if rest[0] == 'I' || rest[0]|0x20 == 'n' {
				least = 2
			}
			end, words := capitalized(c.text, from, 4)
			if words < least || intro == 0 {
				return match{}, false
			}
			return match{start: from, end: end, confidence: 65, why: WhyContext}, true
		},
	}
}

// capitalized reads up to limit capitalized words from text[from:], particles
// and initials between them included, and returns their end and number.
func capitalized(text []byte, from, limit int) (end, words int) {
	end = from
	i := from
	for words < limit {
		j := i
		for j < len(text) && (alnum(text[j]) && text[j]-'0' > 9 || text[j] == '\'' || text[j] == '-') {
			j++
		}
		w := text[i:j]
		if len(w) == 0 {
			break
		}
		if isCapital(w) {
			end = j
			words++
			if len(w) == 1 && j < len(text) && text[j] == '.' { // an initial
				j++
			}
		} else if words == 0 || lookStreet(w)&nameParticle == 0 {
			break
		}
		k := j
		for k < len(text) && text[k] == ' ' {
			k++
		}
		if k == j {
			break
		}
		i = k
	}
	// A possessive s is not the name's.
	if n := end - from; n > 2 && text[end-1] == 's' && text[end-2] == '\'' {
		end -= 2
	}
	return end, words
}

func isCapital(w []byte) bool {
	if w[0] < 0x80 {
		return w[0]-'A' <= 25
	}
	r, _ := utf8.DecodeRune(w)
	return unicode.IsUpper(r)
}

func addressDetector() detector {
	return detector{
		name: "street-address", class: ClassContactAddress, on: onWord, min: 1, max: 6, gate: &gate{amid: true},
		find: func(c *candidate) (match, bool) {
			if c.kind != payload.KindText && c.kind != payload.KindString || c.text[c.start]-'0' > 9 || c.joinedTightly() {
				return match{}, false
			}
			// A word must stand beside it.
			after := c.end+1 < len(c.text) && (c.text[c.end] == ' ' || c.text[c.end] == ',')
			if before := c.start > 1 && (c.text[c.start-1] == ' ' || c.text[c.start-1] == '.'); !before && !after {
				return match{}, false
			}
			s, e, conf := c.start, c.end, uint8(0)
			switch {
			case c.numberThenStreet(&e):
				conf = 70
			case c.streetThenNumber(&s):
				conf = 65
			case c.unitNumber(&s):
				conf = 60
			case c.addressedNumber():
				conf = 60
			default:
				return match{}, false
			}
			return match{start: s, end: c.addressEnd(e), confidence: conf, why: WhyShape | WhyContext}, true
		},
	}
}

// amidStreet reports whether what stands beside a number can be part of an
// address: one of the two words behind it, or what stands before it.
func (c *candidate) amidStreet() bool {
	t := c.text
	if i := skipGap(t, c.end, true); i > c.end && i < len(t) {
		switch k := streetInitials[t[i]]; {
		case k&(initialCapital|initialPrefix|initialParticle) != 0:
			if inStreet(t[i:wordEnd(t, i)], streetPrefix|streetParticle) {
				return true
			}
		case k&initialDigit != 0:
			k := wordEnd(t, i)
			if j := skipGap(t, k, false); j > k && j < len(t) && streetInitials[t[j]]&(initialCapital|initialParticle) != 0 && inStreet(t[j:wordEnd(t, j)], streetParticle) {
				return true
			}
		}
	}
	i := c.start
	for i > 0 && (t[i-1] == ' ' || t[i-1] == ',' || t[i-1] == '.') {
		i--
	}
	if i == c.start || i == 0 {
		return false
	}
	if streetInitials[t[i-1]]&lastOfUnit != 0 {
		k := i - 1
		for k > 0 && alnum(t[k-1]) {
			k--
		}
		if lookStreet(t[k:i])&streetUnit != 0 {
			return true
		}
	}
	i = c.start
	for i > 0 && (t[i-1] == ' ' || t[i-1] == ',') {
		i--
	}
	if i == c.start {
		return false
	}
	k := i
	for k > 0 && i-k <= longestStreet && t[k-1] != ' ' && t[k-1] != '\n' && t[k-1] != ',' && t[k-1] != ':' {
		k--
	}
	return k < i && i-k <= longestStreet && streetInitials[t[k]]&(initialCapital|initialParticle) != 0 && inStreet(t[k:i], streetParticle)
}

// longestStreet is the longest word of a street's name, in bytes.
const longestStreet = 64

// initial is what words may be by a byte of them: a set of bits.
type initial uint8

const (
	initialDigit    initial = 1 << iota // begins a number
	initialCapital                      // begins a name
	initialPrefix                       // begins a streetPrefix
	initialParticle                     // begins a streetParticle
	lastOfUnit                          // ends a streetUnit
)

// streetInitials spares most words beside numbers a look in streetWords.
var streetInitials = func() (t [256]initial) {
	for b := range t {
		switch {
		case byteClass[b]&isDigit != 0:
			t[b] = initialDigit
		case byteClass[b]&isUpper != 0, b >= 0x80:
			t[b] = initialCapital
		}
	}
	for i, w := range streetWords.words {
		said := streetWords.values[i]
		if said&streetPrefix != 0 {
			t[w[0]] |= initialPrefix
		}
		if said&streetParticle != 0 {
			t[w[0]] |= initialParticle
		}
		if last := w[len(w)-1]; said&streetUnit != 0 {
			t[last] |= lastOfUnit
			t[last&^0x20] |= lastOfUnit
		}
	}
	return t
}()

// inStreet reports whether a word is written as a name, or is one of these.
func inStreet(w []byte, words streetWord) bool {
	return len(w) > 0 && (isCapital(w) || lookStreet(w)&words != 0)
}

// joinedTightly reports whether the number is part of a larger word: a decimal,
// a time, a version.
func (c *candidate) joinedTightly() bool {
	at := func(i int) bool {
		if i < 0 || i >= len(c.text) {
			return false
		}
		switch c.text[i] {
		case ':', '=', '_', '%', '+', '*', '$':
			return true
		}
		return false
	}
	e := c.end
	return at(c.start-1) || at(e) || c.start > 0 && c.text[c.start-1] == '.' || e+1 < len(c.text) && c.text[e] == '.' && c.text[e+1]-'0' <= 9
}

// streetWord says what a word is in an address: a set of bits.
type streetWord uint8

const (
	streetType     streetWord = 1 << iota // stands behind a street's name
	streetTypeWeak                        // the same, with other meanings, too: a drive may be a motor's
	streetPrefix                          // stands before a street's name
	streetParticle                        // stands inside names
	streetUnit                            // stands before the number of a flat or box
	nameParticle                          // stands inside names of people
)

var streetWords = func() *lexicon[streetWord] {
	m := map[string]streetWord{}
	for bit, words := range map[streetWord]string{
		streetType:     "street str st avenue ave road rd lane boulevard blvd turnpike highway hwy terrace crescent strasse straße",
		streetTypeWeak: "drive dr court ct place pl square sq way close parkway pkwy hill row gardens grove mews trail",
		streetPrefix:   "rue rua via calle avenue avenida avda viale piazza plaza carrer chemin allée allee ul ulica corso largo travessa praça impasse quai jalan улица ул",
		streetParticle: "de la le les du des da do dos del della delle di of the van den der",
		streetUnit:     "apt apartment suite ste unit box floor flat psc door",
		nameParticle:   "de da do dos del della di la le van von der den ten bin ibn al el af zu y e",
	} {
		for _, w := range strings.Fields(words) {
			m[w] |= bit
		}
	}
	return newLexicon(m)
}()

// streetShapes are the lengths of the words that begin and end alike.
var streetShapes = func() (shapes [32 * 32]uint32) {
	for _, w := range streetWords.words {
		shapes[streetShape([]byte(w))] |= 1 << len(w)
	}
	return shapes
}()

// streetShape is made of the first and the last letter of a word, in any case.
func streetShape(w []byte) int { return int(w[0]&31)<<5 | int(w[len(w)-1]&31) }

var streetEndings = [...]string{"straße", "strasse", "gasse", "vegen", "veien", "vägen", "gatan", "gata", "gade", "vej", "straat", "laan", "katu", "tie", "utca", "str."}

// numberThenStreet accepts "221 Baker Street" and "12 rue de la Paix".
func (c *candidate) numberThenStreet(end *int) bool {
	i, capitals := c.end, 0
	for n := 0; n < 5; n++ {
		j := skipGap(c.text, i, n == 0)
		if j == i {
			return false
		}
		k := wordEnd(c.text, j)
		w := c.text[j:k]
		if len(w) == 0 {
			return false
		}
		capital := isCapital(w)
		if !capital && n == 0 && w[0]-'0' > 9 && w[0] < 0x80 && !prefixInitial(w[0]) {
			return false
		}
		switch {
		case n == 0 && lookStreet(w)&streetPrefix != 0:
			e, words := capitalized(c.text, skipParticles(c.text, k), 3)
			*end = e
			return words > 0
		case capitals > 0 && capital && lookStreet(w)&streetType != 0:
			*end = k
			return true
		case capitals > 0 && capital && lookStreet(w)&streetTypeWeak != 0:
			*end = k
			return c.end-c.start >= 2 && (k >= len(c.text) || c.text[k] == ',' || c.text[k] == '\n' || c.text[k] == '.')
		case capital:
			capitals++
		case !(w[0]-'0' <= 9 && n == 0) && lookStreet(w)&streetParticle == 0:
			return false
		}
		i = k
	}
	return false
}

// prefixInitial reports whether a streetPrefix in lower case begins with b: most
// words behind a number don't, and are passed over without a look.
func prefixInitial(b byte) bool {
	switch b {
	case 'a', 'c', 'i', 'j', 'l', 'p', 'q', 'r', 't', 'u', 'v':
		return true
	}
	return false
}

// streetThenNumber accepts "Hauptstraße 5", "Rua Augusta 1500", "ul. Długa 3".
func (c *candidate) streetThenNumber(start *int) bool {
	i := c.start
	for n := 0; n < 5; n++ {
		j := i
		for j > 0 && (c.text[j-1] == ' ' || c.text[j-1] == ',' && n == 0) {
			j--
		}
		if j == i || j == 0 {
			return false
		}
		k := j
		for k > 0 && c.text[k-1] != ' ' && c.text[k-1] != '\n' && c.text[k-1] != ',' && c.text[k-1] != ':' {
			k--
		}
		w := c.text[k:j]
		if len(w) == 0 || w[0]-'0' <= 9 {
			return false
		}
		if n == 0 && len(w) > 6 && isCapital(w) {
			for _, s := range streetEndings {
				if len(w) > len(s)+2 && string(w[len(w)-len(s):]) == s {
					*start = k
					return true
				}
			}
		}
		if n > 0 && lookStreet(w)&streetPrefix != 0 {
			*start = k
			return true
		}
		if !isCapital(w) && lookStreet(w)&streetParticle == 0 {
			return false
		}
		i = k
	}
	return false
}

// addressedNumber accepts a house number before a capitalized word where the
// words before it say that an address follows.
func (c *candidate) addressedNumber() bool {
	j := skipGap(c.text, c.end, false)
	return j > c.end && j < len(c.text) && isCapital(c.text[j:]) && c.hintsBefore()&hintAddress != 0 &&
		c.addressEnd(c.end) > wordEnd(c.text, j)
}

// unitNumber accepts the "Apt. 12" or "Box 7" of an address that shows another
// number and a capitalized word shortly before.
func (c *candidate) unitNumber(start *int) bool {
	j := c.start
	for j > 0 && (c.text[j-1] == ' ' || c.text[j-1] == '.') {
		j--
	}
	k := j
	for k > 0 && alnum(c.text[k-1]) {
		k--
	}
	if k == j || j == c.start || lookStreet(c.text[k:j])&streetUnit == 0 {
		return false
	}
	const reach = 48
	first, word := -1, false
	if equalFold(c.text[k:j], "box") { // "Unit 5022 Box 1225", "PSC 4574, Box 8393"
		n := k
		for n > 0 && (c.text[n-1] == ' ' || c.text[n-1] == ',') {
			n--
		}
		d := n
		for d > 0 && c.text[d-1]-'0' <= 9 {
			d--
		}
		if d < n && (d >= 5 && equalFold(c.text[d-5:d-1], "unit") || d >= 4 && equalFold(c.text[d-4:d-1], "psc")) {
			for *start = d - 1; *start > 0 && alnum(c.text[*start-1]); *start-- {
			}
			return true
		}
	}
	for i := k - 1; i >= 0 && k-i < reach; i-- {
		b := c.text[i]
		switch {
		case b-'0' <= 9:
			if word && (i == 0 || !alnum(c.text[i-1])) {
				first = i
			}
		case alnum(b):
			if i == 0 || !alnum(c.text[i-1]) {
				if !isCapital(c.text[i:]) && lookStreet(c.text[i:wordEnd(c.text, i)])&streetUnit == 0 {
					i = -1 // a sentence begins to be one
					break
				}
				word = true
			}
		case b != ' ' && b != '\n' && b != '\r' && b != ',' && b != '.' && b != '>' && b != '?':
			i = -1
		}
	}
	if first < 0 {
		return false
	}
	*start = first
	return true
}

// addressEnd extends an address over what follows it: units, places, a
// country, a postal code. It goes as far as the last number within reach.
func (c *candidate) addressEnd(end int) int {
	i := end
	for range 12 {
		j := i
		for j < len(c.text) && (c.text[j] == ' ' || c.text[j] == ',' || c.text[j] == '\n' || c.text[j] == '\r' || c.text[j] == '>' || c.text[j] == '.' && j == i) {
			j++
		}
		k := wordEnd(c.text, j)
		if k == j || j == i || j-i > 6 {
			break
		}
		w := c.text[j:k]
		if w[0]-'0' <= 9 {
			end = k
		} else if !isCapital(w) && lookStreet(w)&streetParticle == 0 {
			break
		}
		i = k
	}
	return end
}

// skipGap skips one or two spaces, or a comma and a space where comma is set.
func skipGap(text []byte, i int, comma bool) int {
	if comma && i < len(text) && text[i] == ',' {
		i++
	}
	for n := 0; n < 2 && i < len(text) && text[i] == ' '; n++ {
		i++
	}
	return i
}

func skipParticles(text []byte, i int) int {
	for range 3 {
		j := skipGap(text, i, false)
		k := wordEnd(text, j)
		if k == j || lookStreet(text[j:k])&streetParticle == 0 {
			return j
		}
		i = k
	}
	return i
}

func wordEnd(text []byte, i int) int {
	for i < len(text) && (alnum(text[i]) || text[i] == '\'' || text[i] == '-') {
		i++
	}
	return i
}

// lookStreet looks w up in streetWords, in lower case and without a dot at its
// end.
func lookStreet(w []byte) streetWord {
	if len(w) == 0 || w[0]-'0' <= 9 {
		return 0
	}
	var b [16]byte
	for len(w) > 0 && w[len(w)-1] == '.' {
		w = w[:len(w)-1]
	}
	if len(w) == 0 || len(w) > len(b) {
		return 0
	}
	if streetShapes[streetShape(w)]>>len(w)&1 == 0 {
		return 0
	}
	for i, x := range w {
		if x-'A' <= 25 {
			x |= 0x20
		}
		b[i] = x
	}
	said, _ := streetWords.look(b[:len(w)])
	return said
}
