package classify

// maxGroups is how many groups of digits a run can have: a phone number written
// in pairs behind its country code, a card, an IBAN in fours.
const maxGroups = 10

// maxPrefixes is how many leading parts of a run are tried.
const maxPrefixes = 6

// digitGroups starts detectors at digits in groups, and returns before where no
// other run needs to start: the end of what was found. In a long row of short
// groups, a table of numbers, it is the end of the row.
func (s *Scratch) digitGroups(c *candidate, i int) int {
	t, p := c.text, s.plan
	var ends [maxGroups]int       // of each group in t
	var sizes [maxGroups]int      // digits up to there
	var written [maxGroups]uint64 // the lengths of the groups up to there
	n, groups, short := 0, 0, 0
	way := uint64(0)
	var sep byte
	j := i
	start := i
	for back := 1; back <= 2 && i-back >= 0; back++ { // "+49", "(030)", "+(49)"
		if b := t[i-back]; b == '+' || b == '(' {
			start = i - back
		} else {
			break
		}
	}
	phone := start < i
	for groups < maxGroups {
		for j < len(t) && byteClass[t[j]]&isDigit != 0 && n < maxDigits {
			s.digits[n] = t[j]
			n++
			j++
		}
		if j < len(t) && byteClass[t[j]]&isAlnum != 0 {
			break // a letter touches it, or it is too long
		}
		size := n
		if groups > 0 {
			size -= sizes[groups-1]
		}
		if size < 3 {
			short++
		}
		way = way<<4 | min(uint64(size), 15)
		ends[groups], sizes[groups], written[groups] = j, n, way
		groups++
		k := j
		for k < len(t) && k-j < 3 && isSeparator(t[k], &sep, phone || n <= 5) {
			k++
		}
		if k == j || k >= len(t) || byteClass[t[k]]&isDigit == 0 {
			break
		}
		j = k
	}
	done := 0
	if groups == maxGroups && short == maxGroups {
		done = ends[groups-1]
	}
	for g, tried := groups-1, 0; g >= 0 && tried < maxPrefixes; g-- {
		list := &p.digits[sizes[g]]
		if sizes[g] < minDigits || len(list.all) == 0 {
			continue
		}
		tried++
		c.digits, c.rest, c.last = s.digits[:sizes[g]], groups-1-g, ends[groups-1]
		if s.tryGated(c, list, written[g], g == 0 && start == i, start, ends[g]) {
			done = ends[g]
			break
		}
	}
	c.digits, c.rest = nil, 0
	return done
}

// minDigits is the fewest digits that onDigits starts at.
const minDigits = 6

// isSeparator reports whether b can stand between groups of digits. All
// separators of a number are the same, but for phone numbers, where brackets,
// spaces, slashes and dashes mix.
func isSeparator(b byte, sep *byte, mixed bool) bool {
	switch b {
	case ' ', '-', '.', '/':
		if *sep == 0 || *sep == b {
			*sep = b
			return true
		}
		return mixed && b != '.' && *sep != '.'
	case '(', ')':
		return mixed
	}
	return false
}

// maxWords is the longest run of onWords, in bytes.
const maxWords = 40

// wordGroups starts detectors at words in a row, the one at text[i:j] among
// the first three.
func (s *Scratch) wordGroups(c *candidate, i, j int) {
	t := c.text
	from, joints := i, 0 // joints: separators between from and i
	for ; joints < 2; joints++ {
		k := from
		if k < 2 || !joins(t[k-1]) || byteClass[t[k-2]]&isAlnum == 0 {
			break
		}
		k--
		for k > 0 && byteClass[t[k-1]]&isAlnum != 0 {
			k--
		}
		w := t[k : from-1]
		if len(w) > 4 || byteClass[w[0]]&(isUpper|isDigit) == 0 {
			break
		}
		if digitIn(w) {
			return // that word started it
		}
		from = k
	}
	letter := -1 // where the first letter stands
	for k := from; k < j; k++ {
		if byteClass[t[k]]&isLetter != 0 {
			letter = k
			break
		}
	}
	var ends, sizes [12]int // of the words from text[i] on, and how long each is
	n := 0
	for k, w := j, i; n < len(ends) && k-from <= maxWords; {
		ends[n], sizes[n] = k, k-w
		n++
		if k+1 >= len(t) || !joins(t[k]) || byteClass[t[k+1]]&isAlnum == 0 {
			break
		}
		w = k + 1
		for k = w; k < len(t) && byteClass[t[k]]&isAlnum != 0; k++ {
			if letter < 0 && byteClass[t[k]]&isLetter != 0 {
				letter = k
			}
		}
		if plainWord(t[w:k]) {
			break
		}
	}
	if n == 0 || ends[n-1]-from-joints-n+1 < s.plan.minWords {
		return
	}
	for start := from; ; joints-- {
		// The lengths of the words from start on.
		var written [12]uint64
		way := uint64(0)
		for k := start; k < i; {
			w := k
			for k < i && byteClass[t[k]]&isAlnum != 0 {
				k++
			}
			way = way<<4 | min(uint64(k-w), 15)
			k++
		}
		for g := range n {
			way = way<<4 | min(uint64(sizes[g]), 15)
			written[g] = way
		}
		for g := n - 1; g >= 0; g-- {
			size := ends[g] - start - joints - g
			if size > maxWords {
				continue
			}
			list := &s.plan.words[size]
			if letter < 0 || ends[g] <= letter {
				list = &s.plan.numbers[size]
			}
			if len(list.all) == 0 {
				continue
			}
			if s.tryGated(c, list, written[g], g == 0 && start == i, start, ends[g]) {
				return
			}
		}
		if start == i {
			return
		}
		for start < i && byteClass[t[start]]&isAlnum != 0 {
			start++
		}
		start++
	}
}

// plainWord reports whether w is a word of a sentence: lower-case letters, more
// than two.
func plainWord(w []byte) bool {
	for _, b := range w {
		if byteClass[b]&isLower == 0 {
			return false
		}
	}
	return len(w) > 2
}

func joins(b byte) bool { return b == ' ' || b == '-' || b == '.' }

func digitIn(b []byte) bool {
	for _, x := range b {
		if x-'0' < 10 {
			return true
		}
	}
	return false
}
