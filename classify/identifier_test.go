package classify

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/sealgate/sealgate/classify/payload"
)

// TestNumbersOfMachines shows that numbers of telemetry are not taken for
// people's: one check digit holds for one number in ten, and a device sends
// thousands a day.
func TestNumbersOfMachines(t *testing.T) {
	c, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	var s Scratch
	st := NewState()
	r := rand.New(rand.NewPCG(1, 2))
	for _, shape := range []string{
		`{"energy":%d,"state":"on"}`,
		`{"a":[%d,%d,%d]}`,
		`{"counter":"%d","unit":"Wh"}`,
		`{"uptime":%d,"load":0.4}`,
		"%d,%d,%d",
		"temp=%d rssi=-70 seq=%d",
		"meter 3;%d;%d",
	} {
		false3 := 0
		const rounds = 3000
		for range rounds {
			args := make([]any, strings.Count(shape, "%d"))
			for i := range args {
				args[i] = 1e8 + r.Int64N([]int64{9e8, 9e9, 9e10, 9e11, 9e12}[r.IntN(5)])
			}
			var d payload.Document
			if why := payload.Parse(&d, "plant/4/line", fmt.Appendf(nil, shape, args...), payload.Limits{}); why != "" {
				t.Fatal(why)
			}
			if c.Find(&s, st, &d, Context{}).Grade >= L3 {
				false3++
			}
		}
		if false3*100 > rounds { // well below the 2 in 100 messages that are allowed
			t.Errorf("%s: %d of %d messages hold a false finding", shape, false3, rounds)
		}
	}
}

func TestSpanIsTheIdentifier(t *testing.T) {
	c, err := New(Options{})
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		text  string
		class ClassID
		want  string
	}{
		{"pay to GB73 LOYD 3096 3417 2845 06 today", ClassFinanceIBAN, "GB73 LOYD 3096 3417 2845 06"},
		{"My card 4539 3681 9303 6426, thanks.", ClassFinanceCard, "4539 3681 9303 6426"},
		{"Steuer-ID: 20876495719.", ClassIDNational, "20876495719"},
		{"write to <jane.doe@example.org>.", ClassContactEmail, "jane.doe@example.org"},
		{"ring (212) 555-0142 now", ClassContactPhone, "(212) 555-0142"},
		{"ring +49 151 12345678 now", ClassContactPhone, "+49 151 12345678"},
		{"peer 203.0.114.9:8883 left", ClassNetIP, "203.0.114.9"},
		{"at ２０８７６４９５７１９", ClassIDNational, "２０８７６４９５７１９"},
		{"Mr. Harlow's car", ClassPersonName, "Harlow"},
		{"lives at 7 Long Lane, Leeds", ClassContactAddress, "7 Long Lane"},
		{"seen 京A·D12345 at 9", ClassIDVehiclePlate, "京A·D12345"},
	} {
		var d payload.Document
		if why := payload.Parse(&d, "note/1", []byte(tt.text), payload.Limits{}); why != "" {
			t.Fatal(why)
		}
		var s Scratch
		got := ""
		for _, f := range c.Find(&s, nil, &d, Context{}).Findings {
			if f.Class == tt.class {
				got = string(d.Text(f.Field)[f.Start:f.End])
			}
		}
		if got != tt.want {
			t.Errorf("in %q: %q, want %q", tt.text, got, tt.want)
		}
	}
}

// BenchmarkFindNumbers is prose in which every third word is a number: the
// places where identifier detectors start.
func BenchmarkFindNumbers(b *testing.B) {
	c, err := New(Options{})
	if err != nil {
		b.Fatal(err)
	}
	r := rand.New(rand.NewPCG(3, 4))
	var text []byte
	for len(text) < 1<<20-64 {
		text = fmt.Appendf(text, "pump %d ran %d h at 4%d bar; ", r.IntN(90), r.IntN(1e6), r.IntN(1e4))
	}
	var d payload.Document
	if why := payload.Parse(&d, "notes/x", text, payload.Limits{}); why != "" {
		b.Fatal(why)
	}
	var s Scratch
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		c.Find(&s, nil, &d, Context{})
	}
}
