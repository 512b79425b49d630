package classify

import (
	"bytes"
	"fmt"
	"math"
	"math/rand"
	"strings"
	"testing"

	"github.com/sealgate/sealgate/classify/payload"
)

// The reference vectors of SipHash-2-4: key 00…0f, text 00, 00 01, ….
func TestSipHash(t *testing.T) {
	text := make([]byte, 16)
	for i := range text {
		text[i] = byte(i)
	}
	for n, want := range map[int]uint64{0: 0x726fdb47dd0e0e31, 1: 0x74f839c593dc67fd, 8: 0x93f5f5799a932462, 15: 0xa129ca6149be45e5} {
		if got := siphash(0x0706050403020100, 0x0f0e0d0c0b0a0908, text[:n]); got != want {
			t.Errorf("%d bytes: %016x, want %016x", n, got, want)
		}
	}
}

// The estimate stays within four standard errors, from one hash to a million.
func TestSketchEstimates(t *testing.T) {
	rnd := rand.New(rand.NewSource(11))
	var s sketch
	next := 1
	for n := 1; n <= 1_000_000; n++ {
		s.add(rnd.Uint64())
		if n != next {
			continue
		}
		if next = n * 3; next < 100 {
			next = n + 7
		}
		if got := float64(s.estimate()); math.Abs(got-float64(n)) > 0.065*float64(n)+1 {
			t.Errorf("%d hashes: estimated %.0f", n, got)
		}
	}
}

// A volume counts each subject once, in every writing, and classes apart; what
// is merged or read again counts the same.
func TestVolume(t *testing.T) {
	c, err := New(Options{Profile: "cn"})
	if err != nil {
		t.Fatal(err)
	}
	key := [16]byte{7}
	a, b := NewVolume(key), NewVolume(key)
	var s Scratch
	var d payload.Document
	note := func(v *Volume, raw string) {
		if why := payload.Parse(&d, "x", []byte(raw), payload.Limits{}); why != "" {
			t.Fatal(why)
		}
		r := c.Find(&s, nil, &d, Context{})
		c.Count(v, &d, r.Findings, r.Grade >= L4)
	}
	for i := range 400 {
		plate := fmt.Sprintf("KI AB %d", 1000+i)
		note(a, fmt.Sprintf(`{"plate":%q,"email":"only@example.org","speed":31}`, plate))
		note(a, fmt.Sprintf(`{"plate":%q}`, strings.ReplaceAll(plate, " ", "-")))
		if i >= 200 {
			note(b, fmt.Sprintf(`{"plate":"KI AB %d"}`, 1200+i))
		}
		if i%4 == 0 {
			note(a, fmt.Sprintf(`{"firstName":"Ida","email":"ida%d@example.org","heartRate":71}`, i))
		}
	}
	near := func(what string, got, want uint64) {
		if math.Abs(float64(got)-float64(want)) > 0.065*float64(want) {
			t.Errorf("%s: %d, want about %d", what, got, want)
		}
	}
	ta := a.Estimate()
	near("subjects", ta.Subjects, 400)
	near("of whom something sensitive left", ta.Sensitive, 100)
	if err := a.Merge(b); err != nil {
		t.Fatal(err)
	}
	near("merged", a.Estimate().Subjects, 600)
	raw, err := a.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	again := NewVolume(key)
	if err := again.UnmarshalBinary(raw); err != nil {
		t.Fatal(err)
	}
	if again.Estimate() != a.Estimate() {
		t.Errorf("read again: %+v, want %+v", again.Estimate(), a.Estimate())
	}
	if bytes.Contains(raw, []byte("ida")) || bytes.Contains(raw, []byte("KI")) {
		t.Error("a value stands in what is written")
	}
	if err := NewVolume([16]byte{8}).Merge(a); err == nil {
		t.Error("volumes under two keys merge")
	}
	before := again.Revision()
	note(again, `{"plate":"KI AB 1001"}`)
	if again.Revision() != before {
		t.Error("a subject that is known changes the volume")
	}
	if note(again, `{"speed":31,"devEui":"70b3d57ed0041a2b"}`); again.Revision() != before {
		t.Error("a machine is counted")
	}
}

func TestVolumeRefuses(t *testing.T) {
	v := NewVolume([16]byte{})
	v.add(ClassPersonName, []byte("Ida Falk"), true)
	good, _ := v.MarshalBinary()
	for _, raw := range [][]byte{nil, []byte("SGV"), good[:len(good)-1], append([]byte("SGV\x02"), good[4:]...), append(bytes.Clone(good), 2, 0), append(bytes.Clone(good[:len(good)-1]), 200)} {
		before := v.Revision()
		if err := v.UnmarshalBinary(raw); err == nil || v.Revision() != before {
			t.Errorf("%d bytes are read: %v", len(raw), err)
		}
	}
}

func FuzzVolume(f *testing.F) {
	v := NewVolume([16]byte{})
	v.add(ClassPersonName, []byte("Ida Falk"), true)
	good, err := v.MarshalBinary()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(volumeMagic))
	f.Add(append([]byte(volumeMagic+"\x00\xff"), make([]byte, 255+1<<sketchBits)...)) // a long name, of a class that is not known
	f.Fuzz(func(t *testing.T, raw []byte) {
		v := NewVolume([16]byte{})
		if v.UnmarshalBinary(raw) == nil {
			v.Estimate()
		}
	})
}

func TestNearest(t *testing.T) {
	cn, _ := ProfileLimits("cn")
	for _, x := range []struct {
		t     Tally
		limit uint64
		share float64
	}{
		{Tally{}, 0, 0},
		{Tally{Subjects: 50_000}, 100_000, 0.5},
		{Tally{Subjects: 50_000, Sensitive: 9_000}, 10_000, 0.9},
		{Tally{Subjects: 150_000, Sensitive: 9_000}, 100_000, 1.5},
		{Tally{Subjects: 150_000, Sensitive: 12_000}, 100_000, 1.5},
		{Tally{Subjects: 1_500_000, Sensitive: 12_000}, 1_000_000, 1.5},
	} {
		if l, share := Nearest(x.t, cn.SubjectsAYear); l.Subjects != x.limit || share != x.share {
			t.Errorf("%+v: %d, %.2f; want %d, %.2f", x.t, l.Subjects, share, x.limit, x.share)
		}
	}
	if _, share := Nearest(Tally{Subjects: 1e9}, nil); share != 0 {
		t.Error("without limits there is a share")
	}
}
