package payload

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"io"
	"strings"
	"testing"
)

func gzipped(raw string) string {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	io.WriteString(w, raw)
	w.Close()
	return b.String()
}

func zlibbed(raw string) string {
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	io.WriteString(w, raw)
	w.Close()
	return b.String()
}

// unpacked reads with the standard library what Append packed.
func unpacked(t *testing.T, raw []byte) string {
	t.Helper()
	var r io.Reader
	var err error
	if isGzip(raw) {
		r, err = gzip.NewReader(bytes.NewReader(raw))
	} else {
		r, err = zlib.NewReader(bytes.NewReader(raw))
	}
	if err != nil {
		t.Fatal(err)
	}
	out, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(out)
}

func TestPacked(t *testing.T) {
	const inner = `{"plate":"B\u002d12","n":[1,2]}`
	for _, pack := range []func(string) string{gzipped, zlibbed} {
		raw := []byte(pack(inner))
		d := mustParse(t, "a/b", raw)
		if got := render(d); got != `topic:0=a topic:1=b ={} /plate="B-12" /n=[] /n/0=1 /n/1=2` {
			t.Errorf("read as %s", got)
		}
		if string(d.Raw) != inner || !bytes.Equal(d.Received(), raw) || d.TopLevelObject() {
			t.Errorf("raw %q, received %q", d.Raw, d.Received())
		}
		plate := field(t, d, "/plate")
		if at := d.Locate(plate, 1, 2); string(d.Raw[at.Start:at.End]) != `\u002d` {
			t.Errorf("located at %v", at)
		}
		out, err := d.Append([]byte("x"), []Edit{{Field: plate, Kind: EditString, Start: 2, End: 4, Value: []byte("**")}, {Field: field(t, d, "/n/0"), Kind: EditRemove}})
		if err != nil {
			t.Fatal(err)
		}
		if got := unpacked(t, out[1:]); got != `{"plate":"B-**","n":[2]}` {
			t.Errorf("edited to %s", got)
		}
		if d.FormatName() != "gzip" && d.FormatName() != "zlib" {
			t.Errorf("called %s", d.FormatName())
		}
	}
	d := mustParse(t, "", []byte(gzipped("[]")))
	if why := Parse(d, "", []byte("{}"), Limits{}); why != ReasonNone || string(d.Received()) != "{}" {
		t.Errorf("after a packed one: %q, %s", d.Received(), why)
	}
}

func TestPackedUnreadable(t *testing.T) {
	named := func(change func(*gzip.Header)) string {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		change(&w.Header)
		io.WriteString(w, "{}")
		w.Close()
		return b.String()
	}
	good := gzipped(`{"a":1}`)
	tests := []struct {
		name, raw string
		why       Reason
	}{
		{"bomb", gzipped(strings.Repeat(" ", 1<<20)), ReasonTooLarge},
		{"large", gzipped("\"" + proseOf(1<<20) + "\""), ReasonTooLarge},
		{"cut", good[:len(good)-1], ReasonMalformed},
		{"cut early", good[:12], ReasonMalformed},
		{"magic only", good[:3], ReasonMalformed},
		{"checksum", good[:len(good)-8] + "\x00" + good[len(good)-7:], ReasonMalformed},
		{"trailing", good + "x", ReasonTrailing},
		{"two members", good + good, ReasonTrailing},
		{"nothing inside", gzipped(""), ReasonUnknown},
		{"twice", gzipped(good), ReasonTooDeep},
		{"inside", gzipped(`{"a":}`), ReasonMalformed},
		{"inside binary", gzipped("\x00\x01\x02"), ReasonUnknown},
		{"name", named(func(h *gzip.Header) { h.Name = "x" }), ReasonUnknown},
		{"comment", named(func(h *gzip.Header) { h.Comment = "x" }), ReasonUnknown},
		{"extra", named(func(h *gzip.Header) { h.Extra = []byte("x") }), ReasonUnknown},
		{"zlib trailing", zlibbed("{}") + "x", ReasonTrailing},
		{"zlib checksum", zlibbed("{}")[:9] + "\x00", ReasonMalformed},
		{"text like zlib", "x^ and so on", ReasonNone},
	}
	for _, tt := range tests {
		var d Document
		why := Parse(&d, "", []byte(tt.raw), Limits{})
		if why != tt.why {
			t.Errorf("%s: %q, want %q", tt.name, why, tt.why)
		}
		if why != ReasonNone && (d.FormatName() != "unreadable" || string(d.Raw) != tt.raw || d.Root != -1) {
			t.Errorf("%s: left %s, %d bytes", tt.name, d.FormatName(), len(d.Raw))
		}
	}
}

// proseOf is text that packs, and not too well.
func proseOf(n int) string {
	var b strings.Builder
	for i := uint64(1); b.Len() < n; i++ {
		b.WriteString("item ")
		for x := i * 0x9E3779B97F4A7C15; x > 1<<40; x >>= 4 {
			b.WriteByte('a' + byte(x&15))
		}
	}
	return b.String()
}

// What would grow out of proportion is refused, and can be sealed instead.
func TestPackedGrowth(t *testing.T) {
	d := mustParse(t, "", []byte(gzipped(`["`+strings.Repeat("a", 2000)+`"]`)))
	if _, err := d.Append(nil, []Edit{{Field: field(t, d, "/0"), Kind: EditString, WholeText: true, Value: []byte(proseOf(20000))}}); err == nil {
		t.Error("a result of many times the size, and no error")
	}
}
