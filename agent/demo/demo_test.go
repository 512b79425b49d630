package demo

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"unicode/utf8"
)

// TestRun runs the whole demo; each of its checks is a test of its own.
func TestRun(t *testing.T) {
	var out bytes.Buffer
	if err := Run(t.Context(), Options{Out: &out, Logger: slog.New(slog.DiscardHandler)}); err != nil {
		t.Fatalf("%v\n%s", err, out.String())
	}
	if n := strings.Count(out.String(), "✓"); n < 6 {
		t.Errorf("%d checks were shown", n)
	}
	for line := range strings.Lines(out.String()) {
		if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > width {
			t.Errorf("a line has %d characters: %s", n, line)
		}
	}
	if strings.Contains(out.String(), "\x1b") {
		t.Error("colour codes without a terminal")
	}
}

func TestTwelveKinds(t *testing.T) {
	all := samples()
	if len(all) < 12 {
		t.Errorf("%d kinds of messages", len(all))
	}
	for _, s := range all {
		for _, secret := range s.secrets {
			if !bytes.Contains(s.payload, []byte(secret)) {
				t.Errorf("%s: %q is not in the message, so its absence would prove nothing", s.title, secret)
			}
			if len(secret) < 6 {
				t.Errorf("%s: %q is so short that ciphertext may spell it by chance", s.title, secret)
			}
		}
	}
}
