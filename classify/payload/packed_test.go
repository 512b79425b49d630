package payload

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"io"
	"strings"
	"testing"

	"github.com/klauspost/compress/zstd"
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

// zstdded has the size of the inside in the header and a checksum at the end.
func zstdded(raw string) string {
	w, err := zstd.NewWriter(nil)
	if err != nil {
		panic(err)
	}
	return string(w.EncodeAll([]byte(raw), nil))
}

// unpacked reads with other readers than ours what Append packed.
func unpacked(t *testing.T, raw []byte) string {
	t.Helper()
	var r io.Reader
	var err error
	switch {
	case isGzip(raw):
		r, err = gzip.NewReader(bytes.NewReader(raw))
	case isZstd(raw):
		r, err = zstd.NewReader(bytes.NewReader(raw))
	default:
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
	for _, pack := range []func(string) string{gzipped, zlibbed, zstdded} {
		raw := []byte(pack(inner))
		d := mustParse(t, "a/b", raw)
		if got := render(d); got != `topic:0=a topic:1=b ={} /plate="B-12" /n=[] /n/0=1 /n/1=2` {
			t.Errorf("read as %s", got)
		}
		if string(d.Raw) != inner || !bytes.Equal(d.Received(), raw) || !d.TopLevelObject() {
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
		if !strings.Contains("gzip zlib zstd", d.FormatName()) {
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
	good, zgood := gzipped(`{"a":1}`), zstdded(`{"a":1}`)
	frame := func(header, blocks string) string { return zstdMagic + header + blocks }
	skipped := "\x50\x2A\x4D\x18\x01\x00\x00\x00x"
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
		{"zstd bomb", zstdded(strings.Repeat(" ", 1<<20)), ReasonTooLarge},
		{"zstd bomb without a size", frame("\x00\x58", strings.Repeat("\x02\x00\x10 ", 99)+"\x03\x00\x10 "), ReasonTooLarge},
		{"zstd large", zstdded("\"" + proseOf(1<<20) + "\""), ReasonTooLarge},
		{"zstd that says it is huge", frame("\xe0\xff\xff\xff\xff\xff\xff\xff\xff", "\x11\x00\x00{}"), ReasonMalformed},
		{"zstd that says too little", frame("\x20\x01", "\x11\x00\x00{}"), ReasonMalformed},
		{"zstd that says too much", frame("\x20\x03", "\x11\x00\x00{}"), ReasonMalformed},
		{"zstd window", frame("\x00\x69", "\x11\x00\x00{}"), ReasonTooLarge},
		{"zstd largest window", frame("\x00\x68", "\x11\x00\x00{}"), ReasonNone},
		{"zstd reserved bit", frame("\x28\x02", "\x11\x00\x00{}"), ReasonMalformed},
		{"zstd reserved block", frame("\x20\x02", "\x17\x00\x00{}"), ReasonMalformed},
		{"zstd block too large", frame("\x00\x58", "\x0b\x00\x10 "), ReasonMalformed},
		{"zstd block of nothing", frame("\x00\x58", "\x15\x00\x00\x00\x00"), ReasonUnknown},
		{"zstd dictionary", frame("\x21\x07\x02", "\x11\x00\x00{}"), ReasonUnknown},
		{"zstd no last block", frame("\x20\x02", "\x10\x00\x00{}"), ReasonMalformed},
		{"zstd magic only", zgood[:4], ReasonMalformed},
		{"zstd no header", zgood[:5], ReasonMalformed},
		{"zstd header only", zgood[:7], ReasonMalformed},
		{"zstd cut", zgood[:len(zgood)-1], ReasonMalformed},
		{"zstd without its checksum", zgood[:len(zgood)-4], ReasonMalformed},
		{"zstd checksum", zgood[:len(zgood)-4] + "\x00\x00\x00\x00", ReasonMalformed},
		{"zstd trailing", zgood + "x", ReasonTrailing},
		{"zstd two frames", zgood + zgood, ReasonTrailing},
		{"zstd a skippable frame behind", zgood + skipped, ReasonTrailing},
		{"zstd a skippable frame before", skipped + zgood, ReasonUnknown},
		{"zstd nothing inside", zstdded(""), ReasonUnknown},
		{"zstd twice", zstdded(zgood), ReasonTooDeep},
		{"gzip in zstd", zstdded(good), ReasonTooDeep},
		{"zstd inside", zstdded(`{"a":}`), ReasonMalformed},
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

// What the reference implementation writes: with a window and no size from a
// pipe, without a checksum, at the highest level.
func TestZstdReference(t *testing.T) {
	for _, raw := range []string{
		"(\xb5/\xfd\x04X\x9d\x01\x00D\x02[{\x22plate\x22:\x22B-AB 1234\x22,\x22n\x22:0},12345}]\x05\x00 \x14\x10\x1e\x08\x19\x08E\xbfL'\xd2]\x90\xeb",
		"(\xb5/\xfd\x00X\x9d\x01\x00D\x02[{\x22plate\x22:\x22B-AB 1234\x22,\x22n\x22:0},12345}]\x05\x00 \x14\x10\x1e\x08\x19\x08E\xbfL'",
		"(\xb5/\xfd\x00h\x9d\x01\x00D\x02[{\x22plate\x22:\x22B-AB 1234\x22,\x22n\x22:0},12345}]\x05\x00 \x14\x10\x1e\x08\x19\x08E\xbfL'",
		"(\xb5/\xfd$\xa9\x9d\x01\x00D\x02[{\x22plate\x22:\x22B-AB 1234\x22,\x22n\x22:0},12345}]\x05\x00 \x14\x10\x1e\x08\x19\x08E\xbfL'\xd2]\x90\xeb",
	} {
		d := mustParse(t, "", []byte(raw))
		if plate := d.Find("/0/plate"); d.FormatName() != "zstd" || plate < 0 || string(d.Text(plate)) != "B-AB 1234" {
			t.Errorf("%q: read as %s, %s", raw, d.FormatName(), d.Raw)
		}
	}
}

// The same edit of the same payload gives the same bytes, whatever a document
// packed before.
func TestZstdDeterministic(t *testing.T) {
	edit := func(d *Document, raw string) string {
		if why := Parse(d, "", []byte(raw), Limits{}); why != ReasonNone {
			t.Fatal(why)
		}
		out, err := d.Append(nil, []Edit{{Field: d.Find("/plate"), Kind: EditString, WholeText: true, Value: []byte("***")}})
		if err != nil {
			t.Fatal(err)
		}
		return string(out)
	}
	large := zstdded(`{"plate":"B-AB 1234","note":"` + proseOf(300_000) + `"}`)
	small := zstdded(`{"plate":"B-AB 1234","note":"` + proseOf(3000) + `"}`)
	var d Document
	want := [2]string{edit(new(Document), small), edit(new(Document), large)}
	for n := range 6 {
		if got := edit(&d, []string{small, large}[n%2]); got != want[n%2] {
			t.Errorf("message %d differs after others", n)
		}
	}
}

// A document that is read into again needs no new memory for what it unpacks.
func TestZstdMemory(t *testing.T) {
	raw := []byte(zstdded(strings.Repeat(cameraEvent+"\n", 3)))
	var d Document
	if n := testing.AllocsPerRun(100, func() { Parse(&d, "site/gate", raw, Limits{}) }); n > 0 && !raced {
		t.Errorf("%v allocations", n)
	}
}
