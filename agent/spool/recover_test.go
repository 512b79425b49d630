package spool

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/sealgate/sealgate/crypto"
)

// laneFiles lists the files with that suffix of the first lane, oldest first.
func laneFiles(t testing.TB, dir, suffix string) (paths []string) {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "cloud", "normal", "*"+suffix))
	if err != nil {
		t.Fatal(err)
	}
	return paths
}

// flip changes one byte of a file.
func flip(t testing.TB, path string, off int64) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b[off] ^= 0x40
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
}

// filled makes a closed spool with 300 records in three segments, 117 in each
// of the first two, and returns the offset of each record in its file.
func filled(t testing.TB, clean bool) (Options, []int64) {
	t.Helper()
	o := small(t, t.TempDir())
	s := mustOpen(t, o)
	var offs []int64
	for n := uint64(0); n < 300; n += 10 {
		commit(t, s, 0, n, n+10, 500)
		for _, at := range s.uplinks[0].logs[0].locs {
			offs = append(offs, at.off)
		}
	}
	if clean {
		mustClose(t, s)
	} else {
		s.stop()
		<-s.done
		if err := s.closeFiles(); err != nil {
			t.Fatal(err)
		}
	}
	return o, offs
}

func TestDamage(t *testing.T) {
	const inFirst = 117 // records in a full segment of these
	for _, tc := range []struct {
		name    string
		clean   bool // closed, not killed
		damage  func(t *testing.T, files []string, offs []int64)
		missing []uint64
		aside   int
		silent  bool // the end of what nobody can know to have been durable
	}{
		{"none", true, func(*testing.T, []string, []int64) {}, nil, 0, false},
		{"none, killed", false, func(*testing.T, []string, []int64) {}, nil, 0, false},
		{"a bit in a sealed segment", false, func(t *testing.T, f []string, o []int64) { flip(t, f[0], o[50]+100) }, []uint64{50}, 1, false},
		{"a bit in its first record", false, func(t *testing.T, f []string, o []int64) { flip(t, f[0], o[0]+100) }, []uint64{0}, 1, false},
		{"a bit in its last record", false, func(t *testing.T, f []string, o []int64) { flip(t, f[0], o[inFirst-1]+100) }, []uint64{inFirst - 1}, 1, false},
		{"two records", false, func(t *testing.T, f []string, o []int64) {
			flip(t, f[0], o[50]+100)
			flip(t, f[0], o[51]+9)
			flip(t, f[0], o[80]+9)
		}, []uint64{50, 51, 80}, 1, false},
		{"a length in a sealed segment", false, func(t *testing.T, f []string, o []int64) { flip(t, f[0], o[50]+2) }, seq(50, inFirst), 1, false},
		{"a header", false, func(t *testing.T, f []string, o []int64) { flip(t, f[1], 70) }, seq(inFirst, 2*inFirst), 2, false},
		{"a header that is not covered by the checksum", false, func(t *testing.T, f []string, o []int64) { flip(t, f[1], 500) }, nil, 0, false},
		{"a missing segment", false, func(t *testing.T, f []string, o []int64) { _ = os.Remove(f[1]) }, seq(inFirst, 2*inFirst), 1, false},
		{"a truncated segment", false, func(t *testing.T, f []string, o []int64) { _ = os.Truncate(f[1], o[inFirst+7]+3) }, seq(inFirst+7, 2*inFirst), 1, false},
		{"an empty segment file", false, func(t *testing.T, f []string, o []int64) { _ = os.Truncate(f[1], 0) }, seq(inFirst, 2*inFirst), 2, false},
		{"a bit in the last segment", false, func(t *testing.T, f []string, o []int64) { flip(t, f[2], o[250]+100) }, []uint64{250}, 1, false},
		{"a length in the last segment, closed", true, func(t *testing.T, f []string, o []int64) { flip(t, f[2], o[250]+2) }, seq(250, 300), 1, false},
		{"the first length of the last segment, closed", true, func(t *testing.T, f []string, o []int64) { flip(t, f[2], headerSize) }, seq(2*inFirst, 300), 2, false},
		{"a length in the last batch, killed", false, func(t *testing.T, f []string, o []int64) { flip(t, f[2], o[295]+2) }, seq(295, 300), 0, true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o, offs := filled(t, tc.clean)
			files := laneFiles(t, o.Dir, segmentSuffix)
			if len(files) != 3 || offs[inFirst] != headerSize || offs[2*inFirst] != headerSize {
				t.Fatalf("layout changed: %d files, %d", len(files), slices.IndexFunc(offs[1:], func(o int64) bool { return o == headerSize })+1)
			}
			tc.damage(t, files, offs)
			want := slices.DeleteFunc(seq(0, 300), func(n uint64) bool { return slices.Contains(tc.missing, n) })
			for round := range 2 { // and what recovery leaves is sound
				s := mustOpen(t, o)
				rep := s.Recovery()
				lost := uint64(len(tc.missing))
				if tc.silent || round > 0 {
					lost = 0
				}
				aside := tc.aside
				if round > 0 {
					aside = 0
				}
				if rep.Lost != lost || len(rep.SetAside) != aside || rep.Records != int64(len(want)) {
					t.Fatalf("round %d: %+v, want %d lost, %d set aside", round, rep, lost, aside)
				}
				if got := len(laneFiles(t, o.Dir, corruptSuffix)); got != tc.aside {
					t.Errorf("%d files kept as evidence, want %d", got, tc.aside)
				}
				ns, _ := drain(t, cursor(t, s, 0, 0))
				if !slices.Equal(ns, want) {
					t.Fatalf("round %d: got %v", round, ns)
				}
				if total := s.uplinks[0].pool.total(); total != s.uplinks[0].cap.total {
					t.Errorf("%d segments, want %d", total, s.uplinks[0].cap.total)
				}
				mustClose(t, s)
			}
			s := mustOpen(t, o)
			defer mustClose(t, s)
			commit(t, s, 0, 300, 310, 500)
			c := cursor(t, s, 0, 0)
			ns, ps := drain(t, c)
			if !slices.Equal(ns, append(want, seq(300, 310)...)) {
				t.Fatalf("appended: got %v", ns)
			}
			for _, p := range ps {
				c.Release(p)
			}
			if st := s.Stats(); st.Records != 0 {
				t.Errorf("%d records left", st.Records)
			}
		})
	}
}

func TestDamageWhileOpen(t *testing.T) {
	o := small(t, t.TempDir())
	o.TailCache = -1
	s := mustOpen(t, o)
	defer mustClose(t, s)
	commit(t, s, 0, 0, 300, 500)
	l := s.uplinks[0].logs[0]
	for _, n := range []int{7, 8, 200} {
		at := l.locs[n]
		if _, err := at.seg.f.WriteAt([]byte{1, 2, 3}, at.off+50); err != nil {
			t.Fatal(err)
		}
	}
	c := cursor(t, s, 0, 0)
	ns, _ := drain(t, c)
	want := slices.Concat(seq(0, 7), seq(9, 200), seq(201, 300))
	if !slices.Equal(ns, want) {
		t.Fatalf("got %v", ns)
	}
	// One that was delivered already: nobody will release it after a rewind.
	if _, err := l.locs[100].seg.f.WriteAt([]byte{1, 2, 3}, l.locs[100].off+50); err != nil {
		t.Fatal(err)
	}
	c.Rewind()
	ns, again := drain(t, c)
	if len(ns) != len(want)-1 || slices.Contains(ns, 100) {
		t.Fatalf("after rewind: got %v", ns)
	}
	for _, p := range again {
		c.Release(p)
	}
	if st := s.Stats(); st.Lost != 4 || st.Records != 0 || l.acked != 300 {
		t.Fatalf("%d lost, %d left", st.Lost, st.Records)
	}
}

func TestKeys(t *testing.T) {
	o, _ := filled(t, false)
	o.Key = testKey(t, 2)
	if _, err := Open(o); !errors.Is(err, ErrKey) {
		t.Fatalf("open with another key: %v", err)
	}
	if n := len(laneFiles(t, o.Dir, segmentSuffix)); n != 3 {
		t.Fatalf("%d segments left after the wrong key", n)
	}
	o.OldKeys = []*crypto.SecretKey{testKey(t, 1)}
	s := mustOpen(t, o)
	commit(t, s, 0, 300, 301, 500)
	c := cursor(t, s, 0, 0)
	ns, ps := drain(t, c)
	wantSeq(t, ns, 0, 301)
	for _, p := range ps[:300] {
		c.Release(p)
	}
	mustClose(t, s)
	o.OldKeys = nil
	s = mustOpen(t, o) // nothing is left under the old key
	defer mustClose(t, s)
	ns, _ = drain(t, cursor(t, s, 0, 0))
	wantSeq(t, ns, 300, 301)
}

// TestAnotherVersion: what a newer program wrote is refused, and stays as it is.
func TestAnotherVersion(t *testing.T) {
	for _, suffix := range []string{segmentSuffix, checkpointName} {
		o, _ := filled(t, true)
		s := mustOpen(t, o)
		c := cursor(t, s, 0, 0)
		_, ps := drain(t, c)
		c.Release(ps[0])
		mustClose(t, s)
		files := laneFiles(t, o.Dir, suffix)
		for _, name := range files {
			raw, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			for at := 0; at+headerSize <= len(raw) && at <= slotDistance; at += slotDistance {
				sector := raw[at : at+headerSize]
				sum := fixedHeader + int(sector[fixedHeader-1]) + crypto.TagSize
				binary.LittleEndian.PutUint16(sector[8:], segmentVersion+1)
				binary.LittleEndian.PutUint32(sector[sum:], crc32.Checksum(sector[:sum], castagnoli))
				if suffix == segmentSuffix {
					break
				}
			}
			if err := os.WriteFile(name, raw, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		before := laneBytes(t, o.Dir)
		if _, err := Open(o); !errors.Is(err, ErrVersion) {
			t.Errorf("%s of another version: %v", suffix, err)
		}
		if !maps.Equal(before, laneBytes(t, o.Dir)) {
			t.Errorf("%s of another version: the lane was touched", suffix)
		}
	}
}

// laneBytes returns the content of every file of a lane.
func laneBytes(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := make(map[string]string)
	for _, name := range laneFiles(t, dir, "") {
		raw, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all[name] = string(raw)
	}
	return all
}

// TestOldRecordsAreNeverRead puts the frames of a former use behind the header
// of a new one, at the very places where the reader looks.
func TestOldRecordsAreNeverRead(t *testing.T) {
	o := small(t, t.TempDir())
	s := mustOpen(t, o)
	commit(t, s, 0, 0, 100, 500)
	mustClose(t, s)
	path := laneFiles(t, o.Dir, segmentSuffix)[0]
	old, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := newKeySet(o.Key, nil)
	if err != nil {
		t.Fatal(err)
	}
	was, c, err := openHeader(old[:headerSize], segmentMagic, keys)
	if err != nil {
		t.Fatal(err)
	}
	r := frameReader{f: strings.NewReader(string(old)), c: c}
	if _, _, err := r.next(headerSize, 0, int64(len(old))); err != nil {
		t.Fatalf("the old use itself: %v", err)
	}
	again := was // the same fields, even the same sequence numbers
	_, c, err = sealHeader(&again, keys)
	if err != nil {
		t.Fatal(err)
	}
	r = frameReader{f: strings.NewReader(string(old)), c: c}
	for off := int64(headerSize); off < int64(len(old)); {
		n, err := r.length(off, int64(len(old)))
		if err != nil {
			break
		}
		for index := range uint64(100) {
			if _, _, err := r.next(off, index, int64(len(old))); err == nil {
				t.Fatalf("a record of the old use was read at %d as number %d", off, index)
			}
		}
		off += int64(n)
	}
	// A record moved to another place of its own segment is not one either.
	r = frameReader{f: strings.NewReader(string(old)), c: r.c}
	if _, _, ok := r.resume(headerSize, 0, int64(len(old))); ok {
		t.Fatal("resume found a record of the old use")
	}
}

func TestCheckpointSlots(t *testing.T) {
	o := small(t, t.TempDir())
	s := mustOpen(t, o)
	commit(t, s, 0, 0, 50, 500)
	c := cursor(t, s, 0, 0)
	_, ps := drain(t, c)
	l := s.uplinks[0].logs[0]
	for _, n := range []int{10, 20} {
		for _, p := range ps[:n] {
			c.Release(p)
		}
		if err := l.check.write(l, l.acked, l.durable, true); err != nil {
			t.Fatal(err)
		}
	}
	s.stop()
	<-s.done
	if err := s.closeFiles(); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(o.Dir, "cloud", "normal", checkpointName)
	both, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	newest := int64(0)
	if binary.LittleEndian.Uint64(both[slotDistance+60:]) > binary.LittleEndian.Uint64(both[60:]) {
		newest = slotDistance
	}
	for _, tc := range []struct {
		name  string
		flip  []int64
		first uint64
	}{
		{"both", nil, 20},
		{"newest torn", []int64{newest + 60}, 10},
		{"newest forged", []int64{newest + 100}, 10},
		{"older torn", []int64{slotDistance - newest + 60}, 20},
		{"none", []int64{60, slotDistance + 60}, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if err := os.WriteFile(path, both, 0o600); err != nil {
				t.Fatal(err)
			}
			for _, off := range tc.flip {
				flip(t, path, off)
			}
			s := mustOpen(t, o)
			s.stop()
			<-s.done
			ns, _ := drain(t, cursor(t, s, 0, 0))
			wantSeq(t, ns, tc.first, 50)
			if err := s.closeFiles(); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// FuzzSegment mutates the files of a lane. Open and the cursor must not panic,
// and what they return must be what was written, in order.
func FuzzSegment(f *testing.F) {
	o, offs := filled(f, true)
	var images [][]byte
	for _, p := range laneFiles(f, o.Dir, segmentSuffix) {
		b, err := os.ReadFile(p)
		if err != nil {
			f.Fatal(err)
		}
		images = append(images, b)
	}
	le := func(file byte, off uint32, b ...byte) []byte {
		return append(binary.LittleEndian.AppendUint32([]byte{file}, off), b...)
	}
	f.Add(le(0, uint32(offs[3]), 0xff, 0xff, 0xff, 0xff))
	f.Add(le(1, 60, 1, 0, 0, 0))
	f.Add(le(2, 0, make([]byte, headerSize)...))
	f.Add(le(2, uint32(offs[299]), images[2][offs[298]:offs[298]+600]...))
	f.Add(le(0, headerSize, images[1][headerSize:headerSize+2000]...))
	keys, err := newKeySet(o.Key, nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < 5 {
			return
		}
		l := &log{opt: &o, keys: keys, uplink: "cloud", grants: &grants{keys: map[crypto.KID]*grant{}}}
		image := slices.Clone(images[int(b[0])%len(images)])
		off := int(binary.LittleEndian.Uint32(b[1:])) % len(image)
		copy(image[off:], b[5:])
		h, c, err := openHeader(image[:headerSize], segmentMagic, keys)
		if err != nil {
			return
		}
		seg := &segment{f: &memory{image}, c: c, size: int64(len(image)), first: h.first}
		s := l.scanSegment(seg, 0, 1<<60)
		last := uint64(0)
		for _, run := range s.runs {
			var r frameReader
			for at := (loc{seg, run.off, run.from}); at.index < run.to; {
				rec, _, end, err := l.read(&r, at, run.end)
				if err != nil {
					t.Fatalf("record %d was scanned and not read: %v", at.seq(), err)
				}
				if number(rec)+1 != at.seq() || at.seq() <= last {
					t.Fatalf("record %d came as %d after %d", number(rec), at.seq(), last)
				}
				last, at = at.seq(), at.after(end)
			}
		}
	})
}

// memory is a file that is only read.
type memory struct{ b []byte }

func (m memory) ReadAt(b []byte, off int64) (int, error) {
	return strings.NewReader(string(m.b)).ReadAt(b, off)
}
func (memory) WriteAt([]byte, int64) (int, error) { return 0, errors.ErrUnsupported }
func (memory) Datasync() error                    { return errors.ErrUnsupported }
func (memory) Close() error                       { return nil }

// TestRandomDamage is the fuzz test on whole spools: any bytes of any file may
// change, and Open must still start.
func TestRandomDamage(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 15 {
		o, _ := filled(t, rng.IntN(2) == 0)
		var files []string
		if err := filepath.WalkDir(o.Dir, func(p string, d os.DirEntry, err error) error {
			if err == nil && !d.IsDir() && !strings.Contains(p, "/free/") {
				files = append(files, p)
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
		for range 1 + rng.IntN(4) {
			p := files[rng.IntN(len(files))]
			b, err := os.ReadFile(p)
			if err != nil || len(b) == 0 {
				continue
			}
			off := rng.IntN(len(b))
			for i := range b[off:min(len(b), off+1+rng.IntN(3000))] {
				b[off+i] = byte(rng.Uint32())
			}
			if err := os.WriteFile(p, b[:len(b)-rng.IntN(2)*rng.IntN(len(b))], 0o600); err != nil {
				t.Fatal(err)
			}
		}
		s, err := Open(o)
		if err != nil {
			t.Fatalf("open: %v", err)
		}
		ns, _ := drain(t, cursor(t, s, 0, 0))
		if !slices.IsSorted(ns) || len(slices.Compact(slices.Clone(ns))) != len(ns) {
			t.Fatalf("out of order: %v", ns)
		}
		mustClose(t, s)
	}
}

// TestManyStarts opens and commits a little, again and again, while nothing is
// sent: what a crash loop does to a gateway that is offline.
func TestManyStarts(t *testing.T) {
	o := small(t, t.TempDir())
	const starts, each = 120, 7
	for n := uint64(0); n < starts; n++ {
		s := mustOpen(t, o)
		if rep := s.Recovery(); rep.Lost != 0 || len(rep.SetAside) != 0 || rep.Records != int64(n*each) {
			t.Fatalf("start %d: %+v", n, rep)
		}
		if got := s.Stats().Uplinks[0].Lanes[0].Segments; got > 14 {
			t.Fatalf("start %d: %d segments", n, got)
		}
		commit(t, s, 0, n*each, (n+1)*each, 300)
		if n%2 == 0 {
			mustClose(t, s)
			continue
		}
		s.stop()
		<-s.done
		if err := s.closeFiles(); err != nil {
			t.Fatal(err)
		}
	}
	s := mustOpen(t, o)
	defer mustClose(t, s)
	ns, _ := drain(t, cursor(t, s, 0, 0))
	wantSeq(t, ns, 0, starts*each)
	if u := s.uplinks[0]; u.pool.total() != u.cap.total || u.books.used != len(u.logs[0].segs) {
		t.Errorf("%d segments of %d, %d used of %d", u.pool.total(), u.cap.total, u.books.used, len(u.logs[0].segs))
	}
}

// TestKilledWhileMerging leaves some of the segments that a merge replaced where
// they were: what a kill leaves, whenever it comes.
func TestKilledWhileMerging(t *testing.T) {
	for left := range compactFrom {
		o := small(t, t.TempDir())
		o.Linger = 0
		s := quiet(t, o)
		l := s.uplinks[0].logs[0]
		for n := range uint64(compactFrom) {
			commit(t, s, 0, 3*n, 3*n+3, 300)
			l.act = nil // a small segment
		}
		twins := map[string][]byte{}
		for _, seg := range l.segs[compactFrom-left:] {
			raw, err := os.ReadFile(seg.path)
			if err != nil {
				t.Fatal(err)
			}
			twins[seg.path] = raw
		}
		commit(t, s, 0, 3*compactFrom, 3*compactFrom+3, 300)
		if n := l.compact(); n != compactFrom-1 {
			t.Fatalf("%d segments fewer", n)
		}
		if err := s.closeFiles(); err != nil {
			t.Fatal(err)
		}
		for path, raw := range twins {
			if err := os.WriteFile(path, raw, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		s = mustOpen(t, o)
		if rep := s.Recovery(); rep.Lost != 0 || len(rep.SetAside) != 0 || rep.Torn != 0 {
			t.Errorf("%d left: %+v", left, rep)
		}
		ns, _ := drain(t, cursor(t, s, 0, 0))
		wantSeq(t, ns, 0, 3*compactFrom+3)
		mustClose(t, s)
	}
}
