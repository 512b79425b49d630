package classify

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"

	"github.com/sealgate/sealgate/classify/payload"
)

// A Volume estimates of how many distinct subjects data left over one uplink in
// one year. It holds sketches of keyed hashes, 4 KiB for each class that was
// met, and no text: of each class that stands for subjects one of all, and one
// of those of whom something sensitive left. Safe for concurrent use.
//
// Volumes under one key can be merged: those of the gateways of a fleet, if
// they share it.
type Volume struct {
	k0, k1 uint64

	mu       sync.Mutex // guards all below
	all      [classCount]*sketch
	some     [classCount]*sketch // sensitive
	revision uint64              // counts changes
}

// NewVolume returns an empty volume. The key is secret, and another one for
// each uplink and year, so that nobody can link two of them.
func NewVolume(key [16]byte) *Volume {
	return &Volume{k0: binary.LittleEndian.Uint64(key[:8]), k1: binary.LittleEndian.Uint64(key[8:])}
}

// maxSubjectText is how much of a value stands for a subject.
const maxSubjectText = 256

// Count notes the subjects of a message that leaves: those of its findings.
// sensitive says that something of them is graded L4 or higher.
func (c *Classifier) Count(v *Volume, d *payload.Document, fs []Finding, sensitive bool) {
	for i := range fs {
		f := &fs[i]
		if !c.tells(f) {
			continue
		}
		v.add(f.Class, subjectOf(d, f), sensitive)
	}
}

// add notes one subject. Case and separators do not tell subjects apart.
func (v *Volume) add(class ClassID, text []byte, sensitive bool) {
	var buf [maxSubjectText]byte
	n := 0
	for _, b := range text {
		if k := byteClass[b]; k&isUpper != 0 {
			b |= 0x20
		} else if k&isAlnum == 0 && b < 0x80 {
			continue
		}
		if n == len(buf) {
			break
		}
		buf[n] = b
		n++
	}
	if n == 0 {
		return
	}
	hash := siphash(v.k0, v.k1, buf[:n])
	v.mu.Lock()
	defer v.mu.Unlock()
	changed := of(&v.all, class).add(hash)
	if sensitive {
		changed = of(&v.some, class).add(hash) || changed
	}
	if changed {
		v.revision++
	}
}

func of(list *[classCount]*sketch, class ClassID) *sketch {
	if list[class] == nil {
		list[class] = new(sketch)
	}
	return list[class]
}

// A Tally is what a volume estimates.
type Tally struct {
	Subjects  uint64 // distinct values of the class that has most: a person with a name and a phone number is one
	Sensitive uint64 // the same, of those of whom something graded L4 left
}

// Estimate returns how many subjects there were, with a standard error of 1.6 %.
func (v *Volume) Estimate() (t Tally) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for id := range v.all {
		if s := v.all[id]; s != nil {
			t.Subjects = max(t.Subjects, s.estimate())
		}
		if s := v.some[id]; s != nil {
			t.Sensitive = max(t.Sensitive, s.estimate())
		}
	}
	return t
}

// Revision is another number after every change: what is saved need not be
// saved again.
func (v *Volume) Revision() uint64 {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.revision
}

// Merge takes in what another volume was given. Both must have one key.
func (v *Volume) Merge(o *Volume) error {
	if v.k0 != o.k0 || v.k1 != o.k1 {
		return errors.New("merge volumes: their keys differ")
	}
	raw, err := o.MarshalBinary()
	if err != nil {
		return err
	}
	return v.UnmarshalBinary(raw)
}

const (
	volumeMagic     = "SGV\x01"
	volumeSensitive = 1
)

// MarshalBinary returns the sketches: see "volume" in docs/formats-state.md.
func (v *Volume) MarshalBinary() ([]byte, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	out := []byte(volumeMagic)
	for id := range v.all {
		for flags, s := range []*sketch{v.all[id], v.some[id]} {
			if s == nil {
				continue
			}
			name := ClassID(id).String()
			out = append(out, byte(flags), byte(len(name)))
			out = append(out, name...)
			out = append(out, s[:]...)
		}
	}
	return out, nil
}

var errVolume = errors.New("read volume: not what MarshalBinary wrote")

// UnmarshalBinary merges what MarshalBinary wrote into the volume. On an error
// the volume is as it was. Classes that the taxonomy no longer has are left out.
func (v *Volume) UnmarshalBinary(raw []byte) error {
	if len(raw) < len(volumeMagic) || string(raw[:len(volumeMagic)]) != volumeMagic {
		return errVolume
	}
	read := Volume{}
	for rest := raw[len(volumeMagic):]; len(rest) > 0; {
		if len(rest) < 2 || rest[0]&^volumeSensitive != 0 {
			return errVolume
		}
		flags, size := rest[0], int(rest[1])
		if rest = rest[2:]; len(rest) < size+1<<sketchBits {
			return errVolume
		}
		name, body := string(rest[:size]), rest[size:]
		rest = body[1<<sketchBits:]
		for _, n := range body[:1<<sketchBits] {
			if n >= sketchRanks {
				return fmt.Errorf("%w: a register of %d", errVolume, n)
			}
		}
		list := &read.all
		if flags&volumeSensitive != 0 {
			list = &read.some
		}
		if id, ok := ClassByName(name); ok {
			of(list, id).merge((*sketch)(body))
		}
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	for id := range read.all {
		if s := read.all[id]; s != nil {
			of(&v.all, ClassID(id)).merge(s)
		}
		if s := read.some[id]; s != nil {
			of(&v.some, ClassID(id)).merge(s)
		}
	}
	v.revision++
	return nil
}

// Nearest is the limit that a tally comes nearest to, and the share of it that
// is reached; from 1 on, what leaves is a candidate for L5. Without limits the
// share is 0. Of limits that are passed it is the highest.
func Nearest(t Tally, limits []VolumeLimit) (l VolumeLimit, share float64) {
	for _, x := range limits {
		n := t.Subjects
		if x.Sensitive {
			n = t.Sensitive
		}
		if s := float64(n) / float64(x.Subjects); s > share && share < 1 || s >= 1 && x.Subjects >= l.Subjects {
			l, share = x, s
		}
	}
	return l, share
}
