package eval

import (
	"bufio"
	"bytes"
	"cmp"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/sealgate/sealgate/classify"
)

// maxLine bounds one line of a labelled file.
const maxLine = 16 << 20

// Read calls f for each row of a labelled file. A line that can't be read is
// an error that names it.
func Read(r io.Reader, f func(Case) error) error {
	sc := bufio.NewScanner(r)
	sc.Buffer(nil, maxLine)
	for line := 1; sc.Scan(); line++ {
		if len(bytes.TrimSpace(sc.Bytes())) == 0 {
			continue
		}
		c, err := parseCase(sc.Bytes())
		if err != nil {
			return fmt.Errorf("read line %d: %w", line, err)
		}
		c.Line = line
		if err := f(c); err != nil {
			return err
		}
	}
	if err := sc.Err(); err != nil {
		return fmt.Errorf("read labelled data: %w", err)
	}
	return nil
}

type row struct {
	ID      json.RawMessage `json:"id"`
	Source  string          `json:"source"`
	Project string          `json:"project"`

	Topic      string  `json:"topic"`
	Payload    *string `json:"payload"`
	PayloadB64 *string `json:"payload_b64"`
	Labels     []struct {
		Path  string `json:"path"`
		Class string `json:"class"`
		Weak  bool   `json:"weak"`
	} `json:"labels"`

	Text     *string `json:"text"`
	Entities *[]struct {
		Type  string `json:"type"`
		Start int    `json:"start"`
		End   int    `json:"end"`
	} `json:"entities"`
	Target string `json:"target"`
	Weak   bool   `json:"weak"`

	Secret   *bool  `json:"secret"`
	Kind     string `json:"kind"`
	Suite    string `json:"suite"`
	Conflict bool   `json:"conflict"`
}

var errNoRow = errors.New("it is none of: a message (payload or payload_b64), a text (text and entities), a secret (text and secret)")

func parseCase(line []byte) (Case, error) {
	var x row
	if err := json.Unmarshal(line, &x); err != nil {
		return Case{}, fmt.Errorf("each line must be an object of JSON: %w", err)
	}
	c := Case{Source: x.Source, ID: strings.Trim(string(x.ID), `"`)}
	var err error
	switch {
	case x.Payload != nil || x.PayloadB64 != nil:
		err = x.message(&c)
	case x.Text == nil:
		err = errNoRow
	case x.Secret != nil:
		x.secret(&c)
	case x.Entities != nil:
		err = x.entities(&c)
	default:
		err = errNoRow
	}
	return c, err
}

// project is what a source belongs to: without the version and the place in it.
func project(source string) string {
	if i := strings.IndexAny(source, "@#"); i > 0 {
		return source[:i]
	}
	return source
}

func (x *row) message(c *Case) error {
	c.Kind, c.Topic, c.Group = Messages, x.Topic, cmp.Or(x.Project, project(x.Source))
	if x.Payload != nil {
		c.Payload = []byte(*x.Payload)
	} else {
		b, err := base64.StdEncoding.DecodeString(*x.PayloadB64)
		if err != nil {
			return fmt.Errorf("decode payload_b64: %w", err)
		}
		c.Payload = b
	}
	for _, l := range x.Labels {
		id, ok := classify.ClassByName(l.Class)
		if !ok {
			return fmt.Errorf("unknown class %q", l.Class)
		}
		label := Label{Path: l.Path, Class: id, Weak: l.Weak}
		if span, ok := strings.CutPrefix(l.Path, "span:"); ok {
			a, b, _ := strings.Cut(span, "-")
			var err1, err2 error
			label.Start, err1 = strconv.Atoi(a)
			label.End, err2 = strconv.Atoi(b)
			if err := errors.Join(err1, err2); err != nil || label.End <= label.Start {
				return fmt.Errorf("label has span %q; write span:FROM-TO in bytes", span)
			}
		}
		c.Labels = append(c.Labels, label)
	}
	return nil
}

// entities reads a text with the entities in it. Types that none of our classes
// answers to are weak labels.
func (x *row) entities(c *Case) error {
	c.Kind, c.Payload = Prose, []byte(*x.Text)
	c.Group = cmp.Or(x.Project, project(x.Source))
	if x.Target != "" {
		c.Kind, c.Group = Text, x.Target
		t, ok := entityTypes[x.Target]
		c.Skip = !ok
		c.Scope = t.or.With(t.class)
	}
	at := newOffsets(*x.Text)
	for _, e := range *x.Entities {
		start, ok1 := at.byteOf(e.Start)
		end, ok2 := at.byteOf(e.End)
		if !ok1 || !ok2 || end <= start {
			return fmt.Errorf("entity %s stands at %d to %d; write characters of the text, from 0", e.Type, e.Start, e.End)
		}
		t, ok := entityTypes[e.Type]
		label := Label{Class: t.class, Or: t.or, Weak: !ok || x.Weak, Start: start, End: end, Type: e.Type}
		if c.Kind == Text && ok {
			c.Scope |= t.or.With(t.class)
		}
		c.Labels = append(c.Labels, label)
	}
	return nil
}

// credentials are the classes that a row of secrets speaks for.
const credentials = classify.ClassSet(1<<classify.ClassCredentialSecret | 1<<classify.ClassCredentialToken | 1<<classify.ClassCredentialPrivateKey)

func (x *row) secret(c *Case) {
	c.Kind, c.Payload = Secrets, []byte(*x.Text)
	c.Suite, c.Group = x.Suite, strings.Trim(x.Suite+"/"+x.Kind, "/")
	c.Scope, c.Skip = credentials, x.Conflict
	if *x.Secret {
		c.Labels = []Label{{Class: classify.ClassCredentialSecret, Or: credentials, Type: x.Kind, anywhere: true}}
	}
}

// offsets turns offsets in characters into offsets in bytes.
type offsets []int // by character, and of the end

func newOffsets(s string) offsets {
	var at offsets
	for i := range s {
		at = append(at, i)
	}
	return append(at, len(s))
}

func (o offsets) byteOf(character int) (int, bool) {
	if character < 0 || character >= len(o) {
		return 0, false
	}
	return o[character], true
}
