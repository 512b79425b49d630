package classify

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// dictionary knows which words mean what. Words are normalized: folded, lower
// case, without anything between, so that licensePlate, license_plate and
// "License Plate" are one word. Immutable.
type dictionary struct {
	words   *lexicon[senses]
	longest int                // bytes of the longest word
	lengths [beginnings]uint32 // by a word's first three bytes: how long such words are, one bit each
	first   [256]bool          // bytes that words begin with; those beyond ASCII all
	endings nameEndings        // of names of secrets
}

// beginnings is how many groups words are put in by their first three bytes.
const beginnings = 1 << 12

func beginning(w []byte) uint32 {
	return (uint32(w[0]) | uint32(w[1])<<8 | uint32(w[2])<<16) * 0x9E3779B1 >> 20
}

// note puts a word's length in the tables.
func (d *dictionary) note(w []byte) {
	d.first[w[0]] = true
	if len(w) >= 3 {
		d.lengths[beginning(w)] |= 1 << min(len(w), 31)
	}
}

// known reports whether p, its singular or p without digits at its end may be
// in the dictionary: one look for most phrases.
func (d *dictionary) known(p []byte) bool {
	n := len(p)
	if p[0] >= 0x80 {
		return true // words are sought inside, too
	}
	if n < 3 || n > 31 || p[n-1]-'0' <= 9 {
		return d.first[p[0]]
	}
	return d.lengths[beginning(p)]>>(n-2)&7 != 0
}

func newDictionary() *dictionary {
	d := &dictionary{}
	words := make(map[string]senses, 4096)
	for b := 0x80; b < len(d.first); b++ {
		d.first[b] = true
	}
	var f folder
	for _, e := range slices.Concat(senseWords, foreignWords) {
		for _, w := range splitWords(e.words) {
			folded, _ := f.fold([]byte(w))
			words[string(folded)] = words[string(folded)].with(e.sense)
			d.note(folded)
			d.longest = max(d.longest, len(folded))
		}
	}
	d.words = newLexicon(words)
	for w, means := range words {
		if means.meets(secretSenses) {
			d.endings.add(w)
			if len(w) > 2 {
				d.endings.add(w + "s")
				d.endings.add(w + "es")
			}
		}
	}
	for _, w := range slices.Concat(tailWords.words, credentialWords) {
		d.endings.add(w)
	}
	return d
}

// splitWords splits at spaces.
func splitWords(s string) []string {
	var out []string
	for i := 0; i < len(s); {
		for i < len(s) && (s[i] == ' ' || s[i] == '\n' || s[i] == '\t') {
			i++
		}
		j := i
		for j < len(s) && s[j] != ' ' && s[j] != '\n' && s[j] != '\t' {
			j++
		}
		if j > i {
			out = append(out, s[i:j])
		}
		i = j
	}
	return out
}

// Bounds on a key: what is beyond them does not take part.
const (
	maxKeyBytes = 128 // of its normalized form, counted from the end
	maxKeyWords = 16
	maxPhrase   = 5 // words of one phrase
)

// keyWords is a key split into normalized words.
type keyWords struct {
	buf   [maxKeyBytes]byte
	start [maxKeyWords + 1]uint8 // words are buf[start[i]:start[i+1]]
	n     int
}

// split normalizes a folded key. It keeps the first words where there are too
// many, and cuts a word that is too long.
func (k *keyWords) split(key []byte) {
	k.n = 0
	at, open := 0, false
	begin := func() {
		if k.n < maxKeyWords {
			k.start[k.n] = uint8(at)
			k.n++
			open = true
		}
	}
	var prev byte
	wide := false // prev belongs to a character of a script that is written without spaces
	for i := 0; i < len(key) && at < maxKeyBytes-utf8.UTFMax; i++ {
		b := key[i]
		if !alnum(b) {
			open, prev = false, 0
			continue
		}
		upper := b-'A' < 26
		switch {
		case !open:
			begin()
		case upper && (prev-'a' < 26 || prev-'0' < 10):
			open = false
			begin()
		case upper && prev-'A' < 26 && i+1 < len(key) && key[i+1]-'a' < 26 && !plural(key[i+1:]):
			open = false
			begin() // the last capital of "IPAddress" begins a word
		case b >= wideLead && prev < 0x80 || b < 0x80 && wide:
			open = false
			begin() // "GPS纬度"; letters of other scripts go on the word
		}
		if b >= 0xC0 {
			wide = b >= wideLead
		} else if b < 0x80 {
			wide = false
		}
		if !open {
			break
		}
		if upper {
			b |= 0x20
		}
		k.buf[at] = b
		at++
		prev = key[i]
	}
	if k.n < len(k.start) {
		k.start[k.n] = uint8(at)
	}
}

// plural reports whether rest is the s of "IDs" and nothing else of the word.
func plural(rest []byte) bool {
	return rest[0] == 's' && (len(rest) == 1 || !alnum(rest[1]) || rest[1]-'A' < 26)
}

// wideLead is the first byte, in UTF-8, of the characters from U+3000 on:
// ideographs, kana, hangul.
const wideLead = 0xE3

// phrase is words i to j, run together.
func (k *keyWords) phrase(i, j int) []byte { return k.buf[k.start[i]:k.start[j]] }

func digitsOnly(b []byte) bool {
	for _, x := range b {
		if x-'0' >= 10 {
			return false
		}
	}
	return true
}

// look is the meaning of one normalized phrase: as it stands, without digits at
// its end, or in the singular.
func (d *dictionary) look(p []byte) senses {
	if len(p) == 0 || len(p) > d.longest+8 || !d.known(p) {
		return senses{}
	}
	if s, ok := d.words.look(p); ok {
		return s
	}
	if p[0] >= 0x80 {
		return d.lookWide(p)
	}
	n := len(p)
	for n > 0 && p[n-1]-'0' < 10 {
		n--
	}
	if n < len(p) && n > 1 {
		if s, ok := d.words.look(p[:n]); ok {
			return s
		}
	}
	if n > 3 && p[n-1] == 's' {
		if s, ok := d.words.look(p[:n-1]); ok || p[n-2] != 'e' {
			return s
		}
		s, _ := d.words.look(p[:n-2])
		return s
	}
	return senses{}
}

// lookWide finds dictionary words inside a run of letters of a script that is
// written without spaces.
func (d *dictionary) lookWide(p []byte) senses {
	var s senses
	for i := 0; i < len(p); {
		_, n := utf8.DecodeRune(p[i:])
		for j, k := i+n, 1; k < 8; k++ {
			if w, ok := d.words.look(p[i:j]); ok {
				s = s.union(w)
			}
			if j >= len(p) {
				break
			}
			_, m := utf8.DecodeRune(p[j:])
			j += m
		}
		i += n
	}
	return s
}

// meaning is what a key means.
type meaning struct {
	head        senses // what its value is
	about       senses // everything that it speaks of
	transparent bool   // it says nothing of its own (value, data, 0): the value is what its container is
}

// about is what the words of a key or a text speak of.
func (d *dictionary) about(k *keyWords) (all senses) {
	for i := 0; i < k.n; {
		if at := k.start[i]; at < k.start[k.n] && !d.first[k.buf[at]] {
			i++ // a number, as a rule
			continue
		}
		step := 1
		for j := min(k.n, i+maxPhrase); j > i; j-- {
			if s := d.look(k.phrase(i, j)); !s.empty() {
				all = all.union(s)
				step = j - i
				break
			}
		}
		i += step
	}
	return all
}

// covers reports whether each word of a text is in the dictionary, by itself or
// in a phrase: a person's names are not.
func (d *dictionary) covers(text []byte) bool {
	var k keyWords
	k.split(text)
	for i := 0; i < k.n; {
		j := min(k.n, i+maxPhrase)
		for j > i && d.look(k.phrase(i, j)).empty() {
			j--
		}
		if j == i {
			if !tailWords.has(k.phrase(i, i+1)) {
				return false
			}
			j++
		}
		i = j
	}
	return k.n > 0
}

// meaning reads a folded key. English, like most languages that keys are
// written in, puts the head last: a passwordLength is a length.
func (d *dictionary) meaning(key []byte) meaning {
	var k keyWords
	k.split(key)
	m := meaning{about: d.about(&k)}
	end := k.n
	for end > 0 && digitsOnly(k.phrase(end-1, end)) {
		end--
	}
	if end == 0 {
		m.transparent = true
		return m
	}
	for {
		for i := max(0, end-maxPhrase); i < end; i++ {
			if s := d.look(k.phrase(i, end)); !s.empty() {
				m.head = s
				return m
			}
		}
		if !tailWords.has(k.phrase(end-1, end)) {
			return m
		}
		if end--; end == 0 {
			m.transparent = true
			return m
		}
	}
}

// tailWords say nothing of their own at the end of a key: a plateNumber is a
// plate. Alone they make a key transparent.
var tailWords = newLexicon(wordSet("value values val v vs sv number no nr num nbr string str text txt raw data current latest last new old reading " +
	"measurement result results item items list array primary secondary avg average mean min max b64 base64 hex " +
	"encoded decoded plain plaintext state attribute attributes property properties deg degrees dd e7 bpm mmhg kg cm " +
	"percent pct mgdl mmol mg dl kpa lbs today day ms sec seconds minutes hours secure high low upper lower celsius " +
	"fahrenheit c f"))

func wordSet(words string) map[string]struct{} {
	m := map[string]struct{}{}
	for _, w := range strings.Fields(words) {
		m[w] = struct{}{}
	}
	return m
}

// beforeBytes is how far back words are looked at.
const beforeBytes = 96

// before is what the last five words of a text mean, phrases included.
func (d *dictionary) before(text []byte) senses {
	const words = hintReach
	if len(text) > beforeBytes {
		text = text[len(text)-beforeBytes:]
	}
	i, n := len(text), 0
	letters := false
	for i > 0 && n < words {
		for i > 0 && !alnum(text[i-1]) {
			if text[i-1] == '\n' {
				n = words // what stands on another line is not about this
			}
			i--
		}
		if n >= words {
			break
		}
		for i > 0 && alnum(text[i-1]) {
			i--
			letters = letters || text[i]-'0' > 9
		}
		n++
	}
	if !letters {
		return senses{}
	}
	var k keyWords
	k.split(text[i:])
	return d.about(&k)
}

// names remembers what names of values in texts mean: devices repeat them. It is
// bounded; a name takes the place of another one.
type names struct {
	dict  *dictionary
	slots [256]nameSlot
}

type nameSlot struct {
	size uint8 // 0: free
	text [maxName]byte
	meaning
}

// maxName is the longest name that is remembered.
const maxName = 32

// meaning is what a name means: dictionary.meaning.
func (n *names) meaning(name []byte) meaning {
	if len(name) > maxName || len(name) == 0 {
		return n.dict.meaning(name)
	}
	s := &n.slots[wordHash(name)%uint64(len(n.slots))]
	if int(s.size) != len(name) || string(s.text[:s.size]) != string(name) {
		s.size, s.meaning = uint8(len(name)), n.dict.meaning(name)
		copy(s.text[:], name)
	}
	return s.meaning
}
