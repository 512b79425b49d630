package classify

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestProfiles(t *testing.T) {
	for _, x := range []struct {
		profile string
		o       Options
		payload string
		want    Grade
	}{
		{"generic", Options{}, `{"pesel":"44051401359"}`, L4},
		{"eu", Options{Profile: "eu"}, `{"pesel":"44051401359"}`, L3},
		{"cn", Options{Profile: "cn"}, `{"pesel":"44051401359"}`, L3},
		{"cn with GB/T 35273", Options{Profile: "cn", GBT35273: true}, `{"pesel":"44051401359"}`, L4},
		{"cn plate", Options{Profile: "cn"}, `{"plate":"KI AB 1234"}`, L2},
		{"cn plate at a time and place", Options{Profile: "cn"}, `{"plate":"KI AB 1234","camera":"n","time":"10:22"}`, L3},
		{"picture beside a plate", Options{}, picture(`"plate":"KI AB 1234"`), L4},
		{"eu picture beside a plate", Options{Profile: "eu"}, picture(`"plate":"KI AB 1234"`), L4},
		{"automotive picture beside a plate", Options{Profile: "automotive"}, picture(`"plate":"KI AB 1234"`), L4},
		{"cn picture beside a plate", Options{Profile: "cn"}, picture(`"plate":"KI AB 1234"`), L3},
		{"cn picture called after a plate", Options{Profile: "cn"}, picture(`"plateColor":"blue"`), L3},
		{"picture called after a plate", Options{}, picture(`"plateColor":"blue","plateNo":""`), L4},
		{"cn picture of a face", Options{Profile: "cn"}, picture(`"faceId":7`), L4},
		{"cn picture of a face beside a plate", Options{Profile: "cn"}, picture(`"plate":"KI AB 1234","faceId":7`), L4},
		{"cn picture beside a face's features", Options{Profile: "cn"}, picture(`"plate":"KI AB 1234","landmarks":[0.1,0.2,0.3,0.4],"gender":"f"`), L4},
		{"override", Options{Grades: map[ClassID]Grade{ClassCredentialSecret: L5}}, `{"password":"hunter-22"}`, L5},
		{"override both kinds of address", Options{Grades: map[ClassID]Grade{ClassNetIP: L3}}, `{"ip":"192.168.1.10"}`, L3},
	} {
		f := newFinder(t, x.o)
		if r := f.find("x", x.payload, Context{}); r.Grade != x.want {
			t.Errorf("%s: grade %s, want %s: %v", x.profile, r.Grade, x.want, f.describe(r))
		}
	}
}

// picture is a message with the beginning of a JPEG file and members beside it.
func picture(beside string) string {
	return `{"image":"/9j/4AAQSkZJRgABAQAAAQABAAD` + strings.Repeat("a7Qx", 40) + `",` + beside + `}`
}

func TestNewRefuses(t *testing.T) {
	for _, o := range []Options{
		{Profile: "mars"},
		{Grades: map[ClassID]Grade{ClassNone: L1}},
		{Grades: map[ClassID]Grade{classCount: L1}},
		{Grades: map[ClassID]Grade{ClassHealth: 6}},
		{Grades: map[ClassID]Grade{ClassHealth: Ungraded}},
	} {
		if _, err := New(o); err == nil {
			t.Errorf("%+v is accepted", o)
		}
	}
}

// What combination raised falls again with its reason.
func TestCombine(t *testing.T) {
	f := newFinder(t, Options{})
	raw := `{"patientName":"Ida Falk","heartRate":71,"lat":54.32134,"lon":10.13492,"devEui":"70b3d57ed0041a2b"}`
	r := f.find("x", raw, Context{})
	if r.Grade != L4 {
		t.Fatalf("grade %s: %v", r.Grade, f.describe(r))
	}
	var left []Finding
	for _, g := range r.Findings {
		switch g.Class {
		case ClassHealth: // encrypted: nothing is left
		case ClassPersonName: // pseudonymized
			g.Grade = min(g.Grade, L2)
			left = append(left, g)
		case ClassLocationPrecise: // generalized
			g.Class, g.Grade = ClassLocationCoarse, L2
			left = append(left, g)
		default:
			left = append(left, g)
		}
	}
	if g := f.c.Combine(&f.s, &f.d, left); g != L2 {
		t.Errorf("residual grade %s, want L2: %+v", g, left)
	}
	for _, g := range left {
		if g.Raised&RaiseCombination != 0 {
			t.Errorf("still raised: %+v", g)
		}
	}
	// Passed on unchanged, it stays as it was.
	same := append([]Finding(nil), r.Findings...)
	if g := f.c.Combine(&f.s, &f.d, same); g != L4 {
		t.Errorf("unchanged findings combine to %s", g)
	}
	if g := f.c.Combine(&f.s, &f.d, nil); g != L1 {
		t.Errorf("nothing combines to %s", g)
	}
	// Two that are harmless after the transformation of a third.
	if g := f.c.Combine(&f.s, &f.d, []Finding{{Class: ClassNone, Grade: L3}}); g != L3 {
		t.Errorf("what has only a grade combines to %s", g)
	}
}

// TestCombinations: what each rule raises, and what is one thing short of it.
func TestCombinations(t *testing.T) {
	picture := `"image":"/9j/4AAQSkZJRgABAQAAAQABAAD` + strings.Repeat("a7Qx", 40) + `"`
	for rule, x := range map[string]struct {
		raw   string
		grade Grade
		short string // the same without one side
		less  Grade
	}{
		"identity beside what is sensitive":         {`{"email":"ida@example.org","iban":"DE12500105170648489890"}`, L4, `{"iban":"DE12500105170648489890"}`, L3},
		"plate at a time and place":                 {`{"plate":"KI AB 1234","camera":"n","time":"10:22"}`, L4, `{"plate":"KI AB 1234","camera":"n"}`, L3},
		"thing at a precise position":               {`{"devEui":"70b3d57ed0041a2b","lat":54.32134,"lon":10.13492}`, L4, `{"devEui":"70b3d57ed0041a2b","lat":54.32,"lon":10.13}`, L2},
		"person's device in a room":                 {`{"phone":{"mac":"a4:cf:12:f0:3d:9e"},"room":"kitchen"}`, L3, `{"sensor":{"mac":"a4:cf:12:f0:3d:9e"},"room":"kitchen"}`, L1},
		"presence of somebody known":                {`{"firstName":"Ida","occupancy":true}`, L3, `{"occupancy":true}`, L2},
		"child that is known":                       {`{"child":{"age":7},"email":"ida@example.org"}`, L4, `{"person":{"age":47},"email":"ida@example.org"}`, L2},
		"picture or sound beside a face or a voice": {`{"fingerprint":"` + strings.Repeat("Rk1Sa7Qx", 20) + `",` + picture + `}`, L4, `{"lens":41,` + picture + `}`, L3},
		"picture or sound beside a plate":           {`{"plate":"KI AB 1234",` + picture + `}`, L4, `{"lane":4,` + picture + `}`, L3},
	} {
		if !slices.ContainsFunc(combinations, func(c combination) bool { return c.name == rule }) {
			t.Errorf("there is no rule %q", rule)
		}
		f := newFinder(t, Options{})
		raised := func(g Finding) bool { return g.Raised&RaiseCombination != 0 }
		if r := f.find("x", x.raw, Context{}); r.Grade != x.grade || !slices.ContainsFunc(r.Findings, raised) {
			t.Errorf("%s: %s, want %s: %v", rule, r.Grade, x.grade, f.describe(r))
		}
		if r := f.find("x", x.short, Context{}); r.Grade != x.less || slices.ContainsFunc(r.Findings, raised) {
			t.Errorf("short of %s: %s, want %s: %v", rule, r.Grade, x.less, f.describe(r))
		}
	}
}

func TestTrack(t *testing.T) {
	minute := int64(time.Minute)
	at := func(i int) string { return fmt.Sprintf(`{"lat":54.3213%d,"lon":10.1349%d}`, i, i) }
	t.Run("five positions in ten minutes", func(t *testing.T) {
		f := newFinder(t, Options{})
		for i := range 6 {
			r := f.find("x", at(i), Context{Now: int64(i+1) * minute, Subject: 7})
			want := L3
			if i >= trackLength-1 {
				want = L4
			}
			if r.Grade != want {
				t.Errorf("position %d: grade %s, want %s", i, r.Grade, want)
			}
			if raised := r.Findings[0].Raised&RaiseTrack != 0; raised != (want == L4) {
				t.Errorf("position %d: raised %b", i, r.Findings[0].Raised)
			}
		}
	})
	t.Run("slower", func(t *testing.T) {
		f := newFinder(t, Options{})
		for i := range 9 {
			if r := f.find("x", at(i), Context{Now: int64(i+1) * 4 * minute, Subject: 7}); r.Grade != L3 {
				t.Errorf("position %d: grade %s", i, r.Grade)
			}
		}
	})
	t.Run("standing still", func(t *testing.T) {
		f := newFinder(t, Options{})
		for i := range 9 {
			if r := f.find("x", at(1), Context{Now: int64(i+1) * minute, Subject: 7}); r.Grade != L3 {
				t.Errorf("message %d: grade %s", i, r.Grade)
			}
		}
	})
	t.Run("several subjects", func(t *testing.T) {
		f := newFinder(t, Options{})
		for i := range 9 {
			if r := f.find("x", at(i), Context{Now: int64(i+1) * minute, Subject: uint64(i + 1)}); r.Grade != L3 {
				t.Errorf("message %d: grade %s", i, r.Grade)
			}
		}
	})
	t.Run("in one message", func(t *testing.T) {
		f := newFinder(t, Options{})
		raw := "[" + at(1) + "," + at(2) + "," + at(3) + "," + at(4) + "," + at(5) + "]"
		if r := f.find("x", raw, Context{Now: minute}); r.Grade != L4 {
			t.Errorf("grade %s", r.Grade)
		}
	})
	t.Run("across a swap of the classifier", func(t *testing.T) {
		f := newFinder(t, Options{})
		for i := range 5 {
			g := newFinder(t, Options{})
			g.st = f.st
			r := g.find("x", at(i), Context{Now: int64(i+1) * minute, Subject: 7})
			if (r.Grade == L4) != (i == 4) {
				t.Errorf("position %d: grade %s", i, r.Grade)
			}
		}
	})
	t.Run("coarse positions make no track", func(t *testing.T) {
		f := newFinder(t, Options{})
		for i := range 9 {
			raw := fmt.Sprintf(`{"lat":54.3%d,"lon":10.1}`, i)
			if r := f.find("x", raw, Context{Now: int64(i+1) * minute, Subject: 7}); r.Grade != L2 {
				t.Errorf("message %d: grade %s", i, r.Grade)
			}
		}
	})
}

// Many subjects fill the state, and those who move on keep their tracks.
func TestStateIsBounded(t *testing.T) {
	st := NewState()
	place := []uint64{0}
	for i := uint64(1); i < 200_000; i++ {
		place[0] = i
		st.move(i*0x9E3779B97F4A7C15|1, int64(i), place)
	}
	kept := 0
	for i := range st.shards {
		if st.shards[i].sets == nil {
			continue
		}
		for _, set := range st.shards[i].sets {
			for _, slot := range set {
				if slot.seen != 0 {
					kept++
				}
			}
		}
	}
	if limit := trackShards * trackSets * trackWays; kept == 0 || kept > limit {
		t.Errorf("%d subjects are kept, at most %d are allowed", kept, limit)
	}
}
