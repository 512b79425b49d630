package main

import (
	"archive/tar"
	"archive/zip"
	"bufio"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

type archived struct{ name, text string }

var holder = archived{"door/1.json", `{"holder":{"email":"marta@nordhafen.example"}}`}
var day = archived{"day.jsonl", `{"topic":"fleet/7","payload":{"lat":48.137154,"lon":11.576124}}` + "\n" + `{"topic":"fleet/8","payload":"21.5"}` + "\n"}

func tarred(t *testing.T, members ...archived) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for _, m := range members {
		h := &tar.Header{Name: m.name, Mode: 0o600, Size: int64(len(m.text)), Typeflag: tar.TypeReg}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, m.text); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zipped(t *testing.T, members ...archived) []byte {
	t.Helper()
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, m := range members {
		f, err := w.Create(m.name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(f, m.text); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func gzipped(t *testing.T, raw []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write(raw); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// Whatever an archive is packed with, its messages are judged: files, and the
// lines of captures.
func TestClassifyArchives(t *testing.T) {
	hidden := archived{"__MACOSX/._1.json", "x"}
	for name, raw := range map[string][]byte{
		"a.tar":      tarred(t, holder, hidden, day),
		"a.tar.gz":   gzipped(t, tarred(t, holder, hidden, day)),
		"a.tgz":      gzipped(t, tarred(t, holder, hidden, day)),
		"a.zip":      zipped(t, holder, hidden, day),
		"..odd.TAR":  tarred(t, holder, hidden, day),
		"tricky.zip": zipped(t, archived{"../../etc/1.json", holder.text}, archived{`C:\day.jsonl`, day.text}),
	} {
		out := done(t, "classify", writeTemp(t, name, string(raw)))
		for _, want := range []string{"1.json", "/holder/email", "day.jsonl line 1", "location.precise", "day.jsonl line 2", "3 messages, 1 without a finding"} {
			if !strings.Contains(out, want) {
				t.Errorf("%s: the output lacks %q:\n%s", name, want, out)
			}
		}
		if strings.Contains(out, "../") {
			t.Errorf("%s: a path leads out of the archive:\n%s", name, out)
		}
	}
	if out := done(t, "classify", writeTemp(t, "day.jsonl.gz", string(gzipped(t, []byte(day.text))))); !strings.Contains(out, "2 messages") {
		t.Errorf("a packed capture:\n%s", out)
	}
	// An archive in an archive is a message that nobody can read.
	if out := done(t, "classify", writeTemp(t, "outer.tar", string(tarred(t, archived{"inner.tar", string(tarred(t, holder))})))); !strings.Contains(out, "inner.tar  unreadable") {
		t.Errorf("an archive in an archive:\n%s", out)
	}
}

// Archives that are broken or made to harm end with what is wrong, after what was
// seen before is shown.
func TestClassifyHostileArchives(t *testing.T) {
	cut := func(raw []byte) []byte { return raw[:len(raw)*2/3] }
	bomb := archived{"bomb", strings.Repeat("0", freeRatio+4<<20)}
	long := archived{"2.json", `{"x":"` + noise(40_000) + `"}`}
	for _, c := range []struct {
		name, want string
		raw        []byte
		shown      bool
	}{
		{"cut.tar", "2.json: it is cut short", cut(tarred(t, holder, long)), true},
		{"cut.tar.gz", "it is cut short", cut(gzipped(t, tarred(t, holder, long))), true},
		{"cut.zip", "unpack: it is no zip archive, or cut short", cut(zipped(t, holder, long)), false},
		{"bomb.tar.gz", "it looks like an archive bomb", gzipped(t, tarred(t, holder, bomb, long)), true},
		{"bomb.zip", "it looks like an archive bomb", zipped(t, holder, archived{"bomb.jsonl", `{"payload":1}` + "\n" + bomb.text}, long), true},
		{"bomb.jsonl.gz", "it looks like an archive bomb", gzipped(t, []byte(`{"payload":1}`+"\n"+bomb.text)), true},
		{"locked.zip", "door/1.json: it is encrypted; unpack it with its password first", locked(zipped(t, holder)), false},
		{"none.tar.gz", "unpack: ", []byte("x"), false},
		{"none.tar", "unpack: ", bytes.Repeat([]byte("x"), 1024), false},
		{"none.zip", "unpack: ", []byte("x"), false},
	} {
		stdout, stderr, code := sealctl(t, nil, "classify", writeTemp(t, c.name, string(c.raw)))
		if code != exitFailure || !strings.Contains(stderr, c.want) {
			t.Errorf("%s: exit %d, %s", c.name, code, stderr)
		}
		if c.shown != strings.Contains(stdout, "by the built-in policy") {
			t.Errorf("%s shows:\n%s", c.name, stdout)
		}
	}
}

// noise is text that does not pack.
func noise(n int) string {
	b := make([]byte, n)
	x := uint32(1)
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = 'a' + byte(x>>24)%26
	}
	return string(b)
}

// locked marks the members of an archive as encrypted.
func locked(raw []byte) []byte {
	for i := range len(raw) - 10 {
		switch string(raw[i : i+4]) {
		case "PK\x03\x04":
			raw[i+6] |= 1
		case "PK\x01\x02":
			raw[i+8] |= 1
		}
	}
	return raw
}

// A capture far larger than what may be held is judged in little memory: what is
// remembered of it is bounded.
func TestPlacesAreBounded(t *testing.T) {
	var p places
	for i := range 3 * maxPlaces {
		p.add(&verdict{Findings: []finding{{Path: fmt.Sprintf("/k%d/x", i), Class: "health"}}, Loose: []string{fmt.Sprintf("/l%d", i)}})
	}
	if len(p.rows) > maxPlaces+1 || len(p.loose) > maxPlaces+1 {
		t.Errorf("%d and %d places are remembered", len(p.rows), len(p.loose))
	}
	if x := p.rows[placeKey{path: elsewherePath}]; x == nil || x.times != 2*maxPlaces {
		t.Errorf("the others are %+v", x)
	}
}

func TestIsCapture(t *testing.T) {
	for _, c := range []struct {
		name, head string
		want       bool
	}{
		{"-", `{"topic":"a","payload":"b"}`, true},
		{"-", `{"tst":"x","topic":"a","qos":0,"payloadlen":1,"payload":"b"}` + "\n" + `{`, true},
		{"-", `{"payload":"b"}`, false},
		{"x.jsonl", `{"payload":"b"}`, true},
		{"x.jsonl", `{"a":1}` + "\n" + `{"a":2}`, false}, // a message of JSON lines
		{"-", "{\n\"topic\":\"a\",\n\"payload\":\"b\"}", false},
		{"-", `[1]`, false},
		{"-", ``, false},
		{"-", `{"topic":"a","payload":"b"`, false},
		{"-", `{"topic":"a","payload":"` + strings.Repeat("b", look), true},
	} {
		if got := isCapture(c.name, []byte(c.head[:min(len(c.head), look)])); got != c.want {
			t.Errorf("%s %.40s: %v", c.name, c.head, got)
		}
	}
}

// What comes slowly is shown as it comes.
func TestClassifyLive(t *testing.T) {
	in, feed := io.Pipe()
	shown := make(chan string)
	out, outW := io.Pipe()
	go func() {
		sc := bufio.NewScanner(out)
		for sc.Scan() {
			shown <- sc.Text()
		}
		close(shown)
	}()
	ended := make(chan int, 1)
	go func() {
		var errs bytes.Buffer
		code := run(t.Context(), []string{"classify", "--json", "-"}, in, outW, &errs)
		outW.Close()
		ended <- code
	}()
	for i := range 3 {
		fmt.Fprintf(feed, `{"topic":"fleet/%d","payload":"21.5"}`+"\n", i)
		if line := <-shown; !strings.Contains(line, fmt.Sprintf(`"topic":"fleet/%d"`, i)) {
			t.Errorf("message %d is shown as %s", i, line)
		}
	}
	feed.Close()
	if line := <-shown; !strings.Contains(line, `"messages":3`) {
		t.Errorf("the sum is %s", line)
	}
	for range shown {
	}
	if code := <-ended; code != exitFine {
		t.Errorf("exit %d", code)
	}
}

// FuzzArchive demands that whatever claims to be an archive ends, with messages
// or with an error.
func FuzzArchive(f *testing.F) {
	f.Add([]byte("PK\x03\x04"), true)
	f.Add([]byte("\x1f\x8b\x08"), false)
	f.Fuzz(func(t *testing.T, raw []byte, zip bool) {
		path := filepath.Join(t.TempDir(), "a")
		if err := os.WriteFile(path, raw, 0o600); err != nil {
			t.Fatal(err)
		}
		file, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		stop := errors.New("enough")
		n := 0
		in := &input{ctx: t.Context(), take: func(name, _ string, _ []byte) error {
			if strings.Contains(name, "/../") {
				t.Errorf("a path leads out: %s", name)
			}
			if n++; n > 100 {
				return stop
			}
			return nil
		}}
		c := &counter{r: file}
		if zip {
			in.zip(source{name: "a.zip", size: int64(len(raw))}, file)
		} else {
			in.tar("a.tar", &bounded{r: c, from: c})
		}
	})
}
