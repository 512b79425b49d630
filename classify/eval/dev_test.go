package eval

import (
	"fmt"
	"os"
	"testing"

	"github.com/sealgate/sealgate/classify"
)

func TestDev(t *testing.T) {
	name := os.Getenv("EVAL")
	if name == "" {
		t.Skip()
	}
	c, err := classify.New(classify.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s := NewScorer(c)
	f, _ := os.Open(name)
	if err := Read(f, func(k Case) error { s.Add(k); return nil }); err != nil {
		t.Fatal(err)
	}
	r := s.Report()
	for _, k := range classify.Classes() {
		if n, ok := r.Classes[k.ID]; ok {
			fmt.Printf("%-24s found %3d missed %3d false %3d  P %.3f R %.3f F2 %.3f\n", k.Name, n.Found, n.Missed, n.False, n.Precision(), n.Recall(), n.F2())
		}
	}
	fmt.Printf("total P %.3f R %.3f macroP %.3f macroR %.3f unlabelled %d false %d unreadable %d\n", r.Total.Precision(), r.Total.Recall(), r.MacroPrecision, r.MacroRecall, r.Unlabelled, r.UnlabelledFalse, r.Unreadable)
	for _, m := range r.Misses {
		fmt.Println(m.Line, m.Path, m.Class, m.Grade, m.By)
	}
}
