package classify

// dictionary knows which words mean what. Words are normalized: lower case,
// letters and digits only, so that licensePlate, license_plate and
// "License Plate" are one word. Immutable.
type dictionary struct {
	words map[string]senses
}

func newDictionary() *dictionary {
	d := &dictionary{words: make(map[string]senses, 1024)}
	for _, e := range senseWords {
		for _, w := range e.words {
			d.words[w] = d.words[w].with(e.sense)
		}
	}
	return d
}

// senseWords is the dictionary as data. Write words normalized: lower case,
// without spaces or punctuation; the words of a phrase run together.
var senseWords = []struct {
	sense sense
	words []string
}{
	{sensePlate, []string{"licenseplate", "licenceplate", "numberplate", "plateno", "platenumber", "车牌"}},
}

// before is what the last five words of a text mean.
func (d *dictionary) before(text []byte) senses { return senses{} }
