package classify

import (
	"fmt"
	"slices"
	"testing"
)

// What a worker remembers of the values of a path changes no finding, however
// often they change, stay or come back.
func TestNews(t *testing.T) {
	f := newFinder(t, Options{})
	for i := range 700 {
		note := fmt.Sprintf("door %d opened", i)
		switch {
		case i%50 > 40:
			note = "call ida.falk@example.org"
		case i%7 == 0:
			note = fmt.Sprintf("call ida.falk%d@example.org", i)
		}
		raw := fmt.Sprintf(`{"note":%q,"owner":{"name":"Ida Falk"},"state":"on"}`, note)
		got := f.describe(f.find("hub/4", raw, Context{}))
		fresh := &finder{t: t, c: f.c, st: NewState()}
		if want := fresh.describe(fresh.find("hub/4", raw, Context{})); !slices.Equal(got, want) {
			t.Fatalf("message %d, %s: found %q, afresh %q", i, raw, got, want)
		}
	}
}
