package classify

import (
	"fmt"
	"math/rand"
	"slices"
	"strings"
	"testing"
)

// machineText makes texts as machines write them: lines with dates, UUIDs, dumps
// and readings, between words of the dictionary and pieces of such words.
type machineText struct {
	r     *rand.Rand
	words []string
}

func newMachineText(seed int64) *machineText {
	m := &machineText{r: rand.New(rand.NewSource(seed))}
	m.words = slices.Concat(newDictionary().words.words, hintWords.words, streetWords.words, strings.Fields("connection gateway after pump reads at in by INFO Main B aa"))
	slices.Sort(m.words)
	return m
}

func (m *machineText) one(of ...string) string { return of[m.r.Intn(len(of))] }

// word is a word, or a phrase: split, in any case, with digits behind it.
func (m *machineText) word() string {
	w := m.words[m.r.Intn(len(m.words))]
	for range m.r.Intn(3) {
		if k := m.r.Intn(len(w)); k > 0 && w[k] < 0x80 && w[k-1] < 0x80 {
			rest := w[k:]
			switch m.r.Intn(4) {
			case 0:
				rest = strings.ToUpper(rest[:1]) + rest[1:]
			case 1:
				rest = m.one("_", ".", "-", ", ", "\n") + rest
			default:
				rest = " " + rest
			}
			w = w[:k] + rest
		}
	}
	switch m.r.Intn(6) {
	case 0:
		w = strings.ToUpper(w[:1]) + w[1:]
	case 1:
		w += m.one("s", "es", "7", "12")
	case 2:
		w = strings.ToUpper(w)
	}
	return w
}

func (m *machineText) hex(n int) string { return fmt.Sprintf("%016x", m.r.Uint64())[:n] }

// piece is what stands between the words.
func (m *machineText) piece() string {
	r := m.r
	switch r.Intn(9) {
	case 0, 1:
		return fmt.Sprintf("%d-%02d-%02d%s%02d:%02d:%02d%s", 1900+r.Intn(200), r.Intn(13), r.Intn(32), m.one("T", " ", " ", "t"),
			r.Intn(24), r.Intn(60), r.Intn(60), m.one("", ".123", ",04", "Z", ".5+01:00"))
	case 2:
		return fmt.Sprintf("%s %2d %02d:%02d:%02d", m.one("Jan", "Nov", "Dec"), 1+r.Intn(31), r.Intn(24), r.Intn(60), r.Intn(60))
	case 3:
		u := m.hex(8) + "-" + m.hex(4) + "-" + m.hex(4) + "-" + m.hex(4) + "-" + m.hex(12)
		return m.one(u, u, strings.ToUpper(u), u[:len(u)-r.Intn(9)])
	case 4:
		var b strings.Builder
		for range 1 + r.Intn(16) {
			b.WriteString(m.hex(2) + m.one(" ", " ", " ", "  ", "-"))
		}
		return b.String()
	case 5:
		const digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
		b := make([]byte, 1+r.Intn(24))
		if r.Intn(3) == 0 {
			b = append(make([]byte, 64), '\n')
		}
		for i := range b {
			if b[i] == 0 {
				b[i] = digits[r.Intn(len(digits))]
			}
		}
		return string(b)
	case 6:
		return fmt.Sprintf("%d %.1f %d %d", r.Intn(100), r.Float64()*100, r.Intn(10000), r.Intn(10))
	case 7:
		return fmt.Sprint(r.Intn(m.r.Intn(1e9) + 1))
	}
	return m.hex(1 + r.Intn(12))
}

func (m *machineText) String() string {
	var b strings.Builder
	b.WriteString("x ")
	few := 1 + m.r.Intn(12) // pieces for a word
	for range 60 {
		if m.r.Intn(few) == 0 {
			b.WriteString(m.word() + m.one(" ", " ", " ", ": ", "=", ", ", "", "\n", ". "))
		}
		b.WriteString(m.piece() + m.one(" ", " ", " ", " ", "\n", ", ", "; ", "]", "-", "."))
	}
	return b.String()
}

// Texts as machines write them hold the same findings whatever spares a look at
// them, with words of the dictionary near and without.
func TestMachineText(t *testing.T) {
	a, m := newAgree(t), newMachineText(4)
	for range 1000 {
		if a.on("t", []byte(m.String())); t.Failed() {
			return
		}
	}
}

// What a word may open by its first letters, it opens when it is read whole or
// not at all.

// What a word may open by its first letters, it opens when it is read whole or
// not at all.
func TestSure(t *testing.T) {
	p := newFinder(t, Options{}).c.plan
	card := p.note(&detector{gate: &gate{words: hintCard, senses: sensesOf([]sense{senseCard})}}, p.dict)
	for text, want := range map[string]bool{
		"card": true, "Cards ": true, "card 1": true, "cardigan": false, "carding ": false, "credit card": true, "credit note": false,
		"credit\ncard": false, "credit, card": true, "creditCard": true, "cre dit ca rd": true, "myCard ": true, "mycard ": false, "card2 ": true, "CARD": true,
	} {
		word := splitWords(strings.NewReplacer("\n", " ", ",", " ").Replace(text))[0]
		if got := p.sure([]byte(text), 0, len(word), opensAll); got&card != 0 != want {
			t.Errorf("%q: %b, of which %b is the card's", text, got, card)
		}
	}
}

// UUIDs hold what they hold, though their groups are not looked at: with digits
// in groups, the beginnings of account numbers and plates in them, and words
// and numbers beside them.
func TestUUIDs(t *testing.T) {
	a, m := newAgree(t), newMachineText(5)
	if !a.fast.plan.uuids || a.slow.plan.uuids {
		t.Errorf("UUIDs are spared: %v, without gates %v", a.fast.plan.uuids, a.slow.plan.uuids)
	}
	for range 4000 {
		const hex = "0123456789abcdef"
		letters := m.one(hex, hex, hex[8:], "01234567890123456789a", "be0123456789", "ad0123456789")
		var b strings.Builder
		for range 12 {
			for i := range uuidBytes {
				switch {
				case uuidDashes>>i&1 != 0:
					b.WriteByte('-')
				case uuidStarts>>i&1 != 0 && m.r.Intn(4) == 0:
					b.WriteByte("abcdef"[m.r.Intn(6)])
				default:
					b.WriteByte(letters[m.r.Intn(len(letters))])
				}
			}
			b.WriteString(m.one(" ", " ", " ", "\n", ", ", "-", ". ", " is ", " 12 ", " A", " KI ", " 7034 ", "é "))
			if m.r.Intn(12) == 0 {
				b.WriteString(m.word() + " ")
			}
		}
		if a.on("t", []byte(b.String())); t.Failed() {
			return
		}
	}
}
