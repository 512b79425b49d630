package classify

import "strings"

var whyWords = [...]string{"key", "shape", "checksum", "context", "prefix", "magic", "entropy", "pair", "declared", "custom", "in key"}

// String returns the kinds of evidence in words: "key, checksum".
func (w Why) String() string {
	var words []string
	for i, word := range whyWords {
		if w&(1<<i) != 0 {
			words = append(words, word)
		}
	}
	return strings.Join(words, ", ")
}

var raiseWords = [...]string{"combination", "track", "many subjects", "declared"}

// String returns the rules that raised a grade: "combination, track".
func (r Raise) String() string {
	var words []string
	for i, word := range raiseWords {
		if r&(1<<i) != 0 {
			words = append(words, word)
		}
	}
	return strings.Join(words, ", ")
}
