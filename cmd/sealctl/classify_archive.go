package main

import (
	"archive/tar"
	"archive/zip"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"strings"
)

// Bounds of an archive. What is in it is streamed, never written anywhere, and an
// archive in an archive is a message like any other, so these hold for all.
const (
	maxMembers  = 1_000_000
	maxUnpacked = 16 << 30
	maxRatio    = 200      // unpacked to packed
	freeRatio   = 64 << 20 // unpacked bytes from which on the ratio is looked at
)

var (
	errBomb    = fmt.Errorf("it unpacks to more than %d times its size: it looks like an archive bomb", maxRatio)
	errHuge    = fmt.Errorf("it unpacks to more than %s", byteSize(int64(maxUnpacked)))
	errMembers = fmt.Errorf("it has more than %s members", thousands(maxMembers))
	errLocked  = errors.New("it is encrypted; unpack it with its password first")
)

// bounded ends an archive that unpacks to too much.
type bounded struct {
	r    io.Reader
	from *counter // what it is unpacked from
	n    int64
}

func (b *bounded) Read(p []byte) (int, error) {
	n, err := b.r.Read(p)
	b.n += int64(n)
	switch {
	case b.n > maxUnpacked:
		return n, errHuge
	case b.n > freeRatio && b.n/maxRatio > b.from.n:
		return n, errBomb
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = errCutShort
	}
	return n, err
}

var errCutShort = errors.New("it is cut short")

// member names a member for people. Nothing is ever written by that name.
func member(archive, name string) string {
	return archive + ":" + strings.TrimPrefix(path.Clean("/"+strings.ReplaceAll(name, `\`, "/")), "/")
}

// hidden reports whether a member is none of the messages: a directory's own
// data, or what tools leave behind.
func hidden(name string) bool {
	for _, part := range strings.Split(name, "/") {
		if part == "__MACOSX" || strings.HasPrefix(part, ".") && part != "." && part != ".." {
			return true
		}
	}
	return false
}

func (in *input) tar(name string, r io.Reader) error {
	t := tar.NewReader(r)
	for n := 0; ; n++ {
		h, err := t.Next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, io.ErrUnexpectedEOF):
			return errCutShort
		case err != nil:
			return fmt.Errorf("unpack: %w", err)
		case n >= maxMembers:
			return errMembers
		case h.Typeflag != tar.TypeReg || hidden(h.Name):
			continue
		}
		at := member(name, h.Name)
		if err := in.file(at, t); err != nil {
			return memberError(h.Name, err)
		}
	}
}

func (in *input) zip(p source, f *os.File) error {
	z, err := zip.NewReader(f, p.size)
	if errors.Is(err, zip.ErrFormat) { // its directory is at its end
		return errors.New("unpack: it is no zip archive, or cut short")
	}
	if err != nil {
		return fmt.Errorf("unpack: %w", err)
	}
	if len(z.File) > maxMembers {
		return errMembers
	}
	packed := &counter{n: p.size} // of all members together
	var unpacked int64
	for _, m := range z.File {
		if !m.Mode().IsRegular() || hidden(m.Name) {
			continue
		}
		n, err := in.zipMember(p.name, m, packed, unpacked)
		if err != nil {
			return memberError(m.Name, err)
		}
		unpacked = n
		in.bar.bytes(int64(min(m.CompressedSize64, uint64(p.size))))
	}
	return nil
}

// zipMember takes a member and returns how much was unpacked with it.
func (in *input) zipMember(archive string, m *zip.File, packed *counter, before int64) (int64, error) {
	if m.Flags&1 != 0 {
		return before, errLocked
	}
	r, err := m.Open()
	if err != nil {
		return before, fmt.Errorf("unpack: %w", err)
	}
	defer r.Close()
	b := &bounded{r: r, from: packed, n: before}
	err = in.file(member(archive, m.Name), b)
	return b.n, err
}

// memberError says in which member something is wrong, unless it is about the
// whole archive or about all.
func memberError(name string, err error) error {
	if errors.Is(err, errBomb) || errors.Is(err, errHuge) || errors.Is(err, errInterrupted) || errors.Is(err, errWrite) {
		return err
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		err = errCutShort
	}
	return fmt.Errorf("%s: %w", visible(name), err)
}
