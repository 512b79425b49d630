package spool

import (
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the vectors anew")

// TestVector reads a segment that an earlier build wrote: version 1 of the
// format stays readable.
func TestVector(t *testing.T) {
	path := filepath.Join("testdata", "vectors", "segment-v1.seg")
	keys, err := newKeySet(testKey(t, 1), nil)
	if err != nil {
		t.Fatal(err)
	}
	want := records()
	for i := range want {
		want[i].Payload = want[i].Payload[:min(len(want[i].Payload), 100)]
		want[i].Topic = want[i].Topic[:min(len(want[i].Topic), 100)]
		if len(want[i].Payload) == 0 {
			want[i].Payload = nil
		}
		want[i].Stored = time.UnixMilli(1_767_225_600_000 + int64(i))
	}
	if *update {
		h := header{magic: segmentMagic, log: 1, first: 1000, durable: 998, uplink: "cloud"}
		b, c, err := sealHeader(&h, keys)
		if err != nil {
			t.Fatal(err)
		}
		for i := range want {
			b = c.appendFrame(b, uint64(i), appendPlain(nil, uint64(i+1), uint64(want[i].Stored.UnixMilli()), &want[i]))
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, b, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	h, c, err := openHeader(b[:headerSize], segmentMagic, keys)
	if err != nil || h.log != 1 || h.first != 1000 || h.durable != 998 || h.count != 0 || h.uplink != "cloud" {
		t.Fatalf("header %+v, %v", h, err)
	}
	l := &log{id: 1, keys: keys, uplink: "cloud"}
	at := loc{&segment{f: &memory{b}, c: c, size: int64(len(b)), first: h.first}, headerSize, 0}
	var r frameReader
	for i := range want {
		rec, _, end, err := l.read(&r, at, int64(len(b)))
		if err != nil || !reflect.DeepEqual(*rec, want[i]) {
			t.Fatalf("record %d: %+v, %v", i, rec, err)
		}
		at = at.after(end)
	}
	if at.off != int64(len(b)) {
		t.Errorf("%d bytes left", int64(len(b))-at.off)
	}
	s := l.scanSegment(at.seg, 0, 2000)
	if s.durable != 998 {
		t.Errorf("records say that %d were durable", s.durable)
	}
}
