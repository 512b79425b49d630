package classify

import "testing"

func TestWords(t *testing.T) {
	if got := (WhyKey | WhyChecksum | WhyInKey).String(); got != "key, checksum, in key" {
		t.Errorf("got %q", got)
	}
	if got := (RaiseTrack | RaiseDeclared).String(); got != "track, declared" {
		t.Errorf("got %q", got)
	}
	if Why(0).String() != "" || Raise(0).String() != "" {
		t.Error("no evidence has words")
	}
}
