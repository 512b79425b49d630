package classify

import (
	"bytes"
	"slices"

	"github.com/sealgate/sealgate/classify/payload"
)

// ReasonUnresolved says that a key tells what a value is, and the value is
// encoded or encrypted in a way that nobody here can read. The findings and the
// grade are those of everything else in the message.
const ReasonUnresolved payload.Reason = "unresolved"

// writtenSenses are the meanings of keys whose values are words and numbers that
// somebody can read.
var writtenSenses = []sense{
	sensePersonName, senseEmail, sensePhone, senseAddress, senseBirth, senseSpecial, senseNationalID, senseTaxID, senseSSN,
	sensePassport, senseDriver, senseNHS, senseInsurance, sensePlate, senseVIN, senseCard, senseIBAN, senseLat, senseLon,
}

// randomSenses are the meanings of keys whose values are as random as what hides
// them: detectors know most of them by their form.
var randomSenses = []sense{
	senseFaceData, senseEmbedding, senseIris, senseVoice, sensePassword, senseSecret, senseToken, senseAPIKey, sensePrivateKey,
}

// kindSenses are both: keys that tell what their values are.
var kindSenses = sensesOf(slices.Concat(writtenSenses, randomSenses))

// anyUnresolved reports whether nothing is known about one of the values that
// are encoded: no detector of the policy found it, and no declaration says what
// it is.
func (s *Scratch) anyUnresolved(harmless []int32) bool {
	return slices.ContainsFunc(s.unresolved, func(i int32) bool {
		return !slices.Contains(harmless, i) && !slices.ContainsFunc(s.findings, func(f Finding) bool { return f.Field == i })
	})
}

// undecoded reports whether a value in which nothing was found is bytes in
// base64, hexadecimal or percent escapes. What unwrapping resolves is not. A
// digest in hexadecimal is not either, where somebody could read the value: it
// stands there to tell nothing.
func (p *path) undecoded(t []byte) bool {
	from, to := trim(t)
	if t = t[from:to]; len(t) < minEncoded {
		return false
	}
	n := count(t[:min(len(t), 256)])
	switch {
	case isHex(t):
		return len(t)%2 == 0 && n.digits > 0 && n.letters > 0 && (p.head.meets(sensesOf(randomSenses)) || !digestSize(len(t)/2))
	case bytes.Count(t, []byte("%")) >= minEncoded/4:
		return n.spaces == 0
	case !isBase64(t) || 2*wordy(t[:min(len(t), 256)]) >= len(t):
		return false
	}
	bare := bytes.TrimRight(t, "=")
	return len(bare)%4 != 1 && (len(bare) < len(t) || len(t) >= 2*minEncoded || n.digits > 0)
}

// minEncoded is the shortest text that counts as encoded: a block of a cipher in
// base64 is longer.
const minEncoded = 16

// digestSize reports whether a digest in use has so many bytes.
func digestSize(n int) bool {
	switch n {
	case 16, 20, 28, 32, 48, 64:
		return true
	}
	return false
}
