package main

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// An input is the messages of files, directories, archives and captures, one
// after the other. It never holds more than one of them.
type input struct {
	e     *env
	ctx   context.Context
	whole bool   // take each file as one message, whatever it looks like
	topic string // of messages that say none
	take  func(name, topic string, raw []byte) error

	bar *progress
	bad int   // lines that hold no message
	why error // of the first of them

	skipped    int // files and directories that can't be read
	whySkipped error

	taken int // messages
}

// A source is a file to read and its size.
type source struct {
	name  string
	size  int64
	found bool // below a directory: nobody named it
}

// list replaces directories by the files below them, in order, without hidden
// ones, and says how many bytes they have. A directory below another one that
// can't be listed is skipped.
func (in *input) list(args []string) (out []source, size int64, err error) {
	for _, arg := range args {
		if arg == "-" {
			out = append(out, source{name: arg})
			continue
		}
		before := len(out)
		err := filepath.WalkDir(arg, func(name string, d fs.DirEntry, err error) error {
			hidden := name != arg && strings.HasPrefix(d.Name(), ".")
			switch {
			case err != nil && (name == arg || d == nil):
				return err
			case err != nil:
				in.passOver(err)
				return fs.SkipDir
			case d.IsDir() && hidden:
				return fs.SkipDir
			case name == arg && !d.IsDir() || d.Type().IsRegular() && !hidden: // what was named, whatever it is
				p := source{name: name, found: name != arg}
				if st, err := os.Stat(name); err == nil {
					p.size = st.Size()
					size += p.size
				}
				out = append(out, p)
			}
			return nil
		})
		if err != nil {
			return nil, 0, fmt.Errorf("read messages: %w", err)
		}
		if len(out) == before {
			return nil, 0, cmp.Or(in.complaints(), fmt.Errorf("read messages: there are no files in %s", arg))
		}
	}
	return out, size, nil
}

// read hands on every message of every path. A file below a directory that can't
// be opened is skipped; one that was named, or breaks off, is an error.
func (in *input) read(paths []source) error {
	defer in.bar.clear()
	for _, p := range paths {
		f, err := in.e.open(p.name)
		if err != nil && p.found {
			in.passOver(err)
			continue
		}
		if err == nil {
			err = in.open(p, f)
			f.Close()
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", nameOf(p.name), err)
		}
	}
	return nil
}

// passOver notes a file or directory that can't be read.
func (in *input) passOver(err error) {
	if in.skipped++; in.skipped == 1 {
		in.whySkipped = err
	}
}

// complaints says what was not read. It is an error that files were skipped.
func (in *input) complaints() error {
	if in.bad > 0 {
		fmt.Fprintf(in.e.stderr, "sealctl: %s no message; %v\n", plural(in.bad, "line holds", "lines hold"), in.why)
	}
	if in.skipped == 0 {
		return nil
	}
	return fmt.Errorf("%s can't be read; the first: %w", plural(in.skipped, "file or directory", "files or directories"), in.whySkipped)
}

func (in *input) open(p source, f io.Reader) error {
	r := &counter{r: f, bar: in.bar, done: in.ctx.Done()}
	if in.whole {
		return in.message(p.name, r)
	}
	switch ext := strings.ToLower(p.name); {
	case strings.HasSuffix(ext, ".zip"):
		file, ok := f.(*os.File)
		if !ok {
			return errors.New("is not a file")
		}
		return in.zip(p, file)
	case strings.HasSuffix(ext, ".tar"):
		return in.tar(p.name, &bounded{r: r, from: r})
	case strings.HasSuffix(ext, ".tar.gz"), strings.HasSuffix(ext, ".tgz"):
		return in.unzipped(r, func(u io.Reader) error { return in.tar(p.name, u) })
	case strings.HasSuffix(ext, ".jsonl.gz"), strings.HasSuffix(ext, ".ndjson.gz"):
		return in.unzipped(r, func(u io.Reader) error { return in.file(strings.TrimSuffix(p.name, p.name[len(p.name)-3:]), u) })
	}
	return in.file(p.name, r)
}

func (in *input) unzipped(r *counter, f func(io.Reader) error) error {
	z, err := gzip.NewReader(r)
	if err != nil {
		return fmt.Errorf("unpack: %w", err)
	}
	return f(&bounded{r: z, from: r})
}

// look is how much of a file is looked at to tell a capture from a message.
const look = 64 << 10

// file takes a file as one message, or as a capture of many.
func (in *input) file(name string, r io.Reader) error {
	b := bufio.NewReaderSize(r, look)
	// No more than the first line is waited for: what a person looks at as it
	// comes should show at once.
	head, err := b.Peek(1)
	for err == nil && len(head) < look && bytes.IndexByte(bytes.TrimLeft(head, " \t\r\n"), '\n') < 0 {
		if head, err = b.Peek(len(head) + 1); err == nil {
			head, err = b.Peek(b.Buffered())
		}
	}
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, bufio.ErrBufferFull) {
		return err
	}
	if isCapture(name, head) {
		return in.capture(name, b)
	}
	return in.message(name, b)
}

// message reads a file, or stdin, as one message.
func (e *env) message(path string) ([]byte, error) {
	in, err := e.open(path)
	if err != nil {
		return nil, err
	}
	defer in.Close()
	return io.ReadAll(io.LimitReader(in, maxMessage))
}

// message takes all of r as one message.
func (in *input) message(name string, r io.Reader) error {
	raw, err := io.ReadAll(io.LimitReader(r, maxMessage))
	if err != nil {
		return err
	}
	return in.give(name, in.topic, raw)
}

func (in *input) give(name, topic string, raw []byte) error {
	if in.ctx.Err() != nil {
		return errInterrupted
	}
	in.taken++
	in.bar.message()
	return in.take(name, topic, raw)
}

// isCapture reports whether a file is messages, one JSON object a line with
// their topics and payloads, and not a message itself. A name that says JSON
// lines needs no topics.
func isCapture(name string, head []byte) bool {
	line, _, all := bytes.Cut(bytes.TrimLeft(head, " \t\r\n"), []byte("\n"))
	if len(line) == 0 || line[0] != '{' {
		return false
	}
	lines := strings.HasSuffix(strings.ToLower(name), ".jsonl") || strings.HasSuffix(strings.ToLower(name), ".ndjson")
	if (all || len(head) < look) && !json.Valid(line) {
		return false
	}
	dec := json.NewDecoder(bytes.NewReader(line))
	dec.Token() // the brace that was looked at
	topic, payload := lines, false
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return topic && payload
		}
		switch key {
		case "topic":
			topic = true
		case "payload", "payload_b64":
			payload = true
		}
		var skip json.RawMessage
		if dec.Decode(&skip) != nil {
			return topic && payload // cut where the look ended
		}
	}
	return topic && payload
}

// capture takes each line as a message. A line that holds none is counted.
func (in *input) capture(name string, r io.Reader) error {
	lr := newLineReader(r)
	var line []byte
	for number := 1; ; number++ {
		var err error
		line, err = lr.next(line[:0])
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, errTooLong):
			in.skip(name, number, err)
			continue
		case err != nil:
			return err
		}
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		m, err := parseMessage(line)
		if err != nil {
			in.skip(name, number, err)
			continue
		}
		if err := in.give(fmt.Sprintf("%s line %d", name, number), cmp.Or(m.topic, in.topic), m.payload); err != nil {
			return err
		}
	}
}

func (in *input) skip(name string, line int, err error) {
	if in.bad++; in.bad == 1 {
		in.why = fmt.Errorf("the first is %s line %d: %w", nameOf(name), line, err)
	}
}

// A counter counts what is read and ends when it is told to.
type counter struct {
	r    io.Reader
	bar  *progress
	done <-chan struct{}
	n    int64
}

func (c *counter) Read(p []byte) (int, error) {
	select {
	case <-c.done:
		return 0, errInterrupted
	default:
	}
	n, err := c.r.Read(p)
	c.n += int64(n)
	c.bar.bytes(int64(n))
	return n, err
}
