package classify

import (
	"fmt"
	"strings"
	"testing"
)

// people is a message about n distinct people, each named times over.
func people(n, times int) string {
	var b strings.Builder
	b.WriteString(`{"visitors":[`)
	for i := range n * times {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, `{"email":"guest%d@example.org","firstName":"Ann%c"}`, i%n, 'a'+rune(i%n))
	}
	b.WriteString(`]}`)
	return b.String()
}

// What identifies more people than the profile's limit is graded one up, and
// falls again when it is gone.
func TestManySubjects(t *testing.T) {
	f := newFinder(t, Options{})
	limit := f.c.limits.SubjectsInMessage
	for _, x := range []struct {
		name, raw string
		raised    bool
	}{
		{"as many as the limit", people(limit, 1), false},
		{"one more", people(limit+1, 1), true},
		{"few, often", people(3, 20), false},
		{"machines", `{"a":[` + strings.TrimSuffix(strings.Repeat(`{"devEui":"70b3d57ed0041a2b"},`, 40), ",") + `]}`, false},
	} {
		r := f.find("x", x.raw, Context{})
		want := L2
		if x.raised {
			want = L3
		}
		for i := range r.Findings {
			k := &r.Findings[i]
			if raised := k.Raised&RaiseSubjects != 0; raised != x.raised || k.Class == ClassContactEmail && k.Grade != want {
				t.Fatalf("%s: %+v", x.name, k)
			}
		}
		if x.raised && r.Grade != want {
			t.Errorf("%s: message graded %s, want %s", x.name, r.Grade, want)
		}
	}
	r := f.find("x", people(limit+1, 1), Context{})
	var left []Finding // the names are gone, all addresses but some are tokens
	for i, k := range r.Findings {
		if k.Class == ClassContactEmail {
			if i > 4 {
				k.Class, k.Grade, k.Raised = ClassNone, L2, 0
			}
			left = append(left, k)
		}
	}
	if g := f.c.Combine(&f.s, &f.d, left); g != L2 || left[0].Raised&RaiseSubjects != 0 {
		t.Errorf("residual grade %s: %+v", g, left[0])
	}
}

// A message about many is combined without allocating.
func TestManySubjectsDoNotAllocate(t *testing.T) {
	f := newFinder(t, Options{})
	f.find("x", people(40, 2), Context{})
	if n := testing.AllocsPerRun(20, func() { f.c.Find(&f.s, f.st, &f.d, Context{}) }); n > 0 {
		t.Errorf("%.0f allocations", n)
	}
}

// A child is one below the profile's age.
func TestChildByAge(t *testing.T) {
	for _, x := range []struct {
		profile string
		age     int
		want    bool
	}{{"eu", 15, true}, {"eu", 16, false}, {"cn", 13, true}, {"cn", 14, false}, {"generic", 15, true}, {"automotive", 14, false}} {
		f := newFinder(t, Options{Profile: x.profile})
		r := f.find("x", fmt.Sprintf(`{"passenger":{"fullName":"Ida Falk","age":%d}}`, x.age), Context{})
		if r.Classes.Has(ClassChild) != x.want {
			t.Errorf("%s, %d years: %v", x.profile, x.age, f.describe(r))
		}
		if x.want && r.Findings[0].Grade != L4 {
			t.Errorf("%s: the child's name is graded %s", x.profile, r.Findings[0].Grade)
		}
	}
}
