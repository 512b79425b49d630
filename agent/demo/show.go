package demo

import (
	"encoding/json"
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/sealgate/sealgate/agent/mqtt"
	"github.com/sealgate/sealgate/classify"
	"github.com/sealgate/sealgate/classify/payload"
	"github.com/sealgate/sealgate/classify/policy"
	"github.com/sealgate/sealgate/crypto/envelope"
)

// width is what the output is made for.
const width = 80

// show writes to a person's terminal.
type show struct {
	w     io.Writer
	color bool
}

const (
	bold   = "1"
	dim    = "2"
	red    = "31"
	green  = "32"
	yellow = "33"
	cyan   = "36"
)

func (s *show) paint(code, text string) string {
	if !s.color {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}

func (s *show) raw(format string, args ...any) { fmt.Fprintf(s.w, format, args...) }

func (s *show) title(text string) {
	s.raw("\n%s\n%s\n\n", s.paint(bold, text), strings.Repeat("=", utf8.RuneCountInString(text)))
}

func (s *show) section(name, text string) {
	s.raw("\n%s\n%s\n%s\n\n", s.paint(bold, name), strings.Repeat("-", width), text)
}

// say wraps a sentence at the width.
func (s *show) say(format string, args ...any) {
	line := ""
	for word := range strings.SplitSeq(fmt.Sprintf(format, args...), " ") {
		if line != "" && visible(line)+1+visible(word) > width {
			s.raw("%s\n", line)
			line = "    " + word
			continue
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	s.raw("%s\n", line)
}

// visible counts the characters of text without colour codes.
func visible(text string) (n int) {
	escape := false
	for _, r := range text {
		switch {
		case r == '\x1b':
			escape = true
		case escape:
			escape = r != 'm'
		default:
			n++
		}
	}
	return n
}

func pad(text string, n int) string {
	return text + strings.Repeat(" ", max(0, n-visible(text)))
}

// row is a line of the table of observe mode.
func (s *show) row(title, grade, found, would string) {
	s.raw("%s %s %s %s\n", pad(clip(title, 23), 23), pad(grade, 5), pad(clip(found, 36), 36), clip(would, 13))
}

func (s *show) verdict(ok bool) string {
	if ok {
		return s.paint(green, "✓")
	}
	return s.paint(red, "✗")
}

func (s *show) grade(g classify.Grade) string {
	switch {
	case g >= classify.L4:
		return s.paint(red, g.String())
	case g == classify.L3:
		return s.paint(yellow, g.String())
	case g == classify.Ungraded:
		return s.paint(red, "–")
	}
	return s.paint(green, g.String())
}

// message shows one message on its way: in, why, out, opened.
func (s *show) message(n int, m *sample, v *policy.Verdict, out *mqtt.Message, o *envelope.Opened) {
	d := &v.Decisions[0]
	head := fmt.Sprintf("%2d  %s  ", n, s.paint(bold, m.title))
	s.raw("%s%s %s → %s\n", head, s.paint(dim, clip(m.topic, 40)), s.grade(v.Grade), s.outcome(d, o))
	s.line("in", readable(m.payload))
	if v.Reason != payload.ReasonNone {
		s.line("why", "not readable: "+string(v.Reason))
	}
	for i := range v.Findings {
		f := &v.Findings[i]
		path := string(v.Document.AppendPath(nil, f.Field))
		if path == "" {
			path = "whole"
		}
		why := fmt.Sprintf("%s %s %s %d %% (%s)", path, f.Class, f.Grade, f.Confidence, f.Why)
		if f.Raised != 0 {
			why += ", raised: " + f.Raised.String()
		}
		s.line(map[bool]string{true: "why", false: ""}[i == 0 && v.Reason == payload.ReasonNone], why)
	}
	if out.Topic != prefix+m.topic {
		s.line("topic", out.Topic)
	}
	s.line("out", readable(out.Payload))
	if o.Protection != envelope.ProtectionNone {
		s.line("open", readable(o.Payload))
	}
	s.raw("\n")
}

// arrived shows a message of the reader's own clients.
func (s *show) arrived(m *mqtt.Message, o *envelope.Opened) {
	s.raw("%s\n", s.paint(bold, clip(m.Topic, width)))
	s.line("out", readable(m.Payload))
	if o.Protection != envelope.ProtectionNone {
		s.line("open", readable(o.Payload))
	}
}

func (s *show) outcome(d *policy.Decision, o *envelope.Opened) string {
	switch o.Protection {
	case envelope.ProtectionSealed:
		return s.paint(cyan, "sealed")
	case envelope.ProtectionFields:
		return s.paint(cyan, "encrypted")
	}
	if would(d) == "passes" {
		return s.paint(green, "passed")
	}
	return s.paint(cyan, "transformed")
}

// line shows a labelled text on at most two lines.
func (s *show) line(label, text string) {
	const room = width - 10
	runes := []rune(text)
	if len(runes) <= room {
		s.raw("    %s %s\n", s.paint(dim, pad(label, 5)), text)
		return
	}
	cut := room
	if i := strings.LastIndexByte(string(runes[:room]), ' '); i > room*2/3 {
		cut = utf8.RuneCountInString(string(runes[:room])[:i+1])
	}
	s.raw("    %s %s\n", s.paint(dim, pad(label, 5)), string(runes[:cut]))
	s.raw("    %s %s\n", pad("", 5), clip(string(runes[cut:]), room))
}

// would is what the plan does, in a word.
func would(d *policy.Decision) string {
	switch d.Message {
	case policy.MessageSeal:
		return "is sealed"
	case policy.MessageBlock:
		return "is blocked"
	}
	word := "passes"
	for i := range d.Fields {
		switch strength := d.Fields[i].Action.Spec.Strength; {
		case strength >= policy.StrengthEncrypt:
			return "is encrypted"
		case strength == policy.StrengthTransform:
			word = "is changed"
		}
	}
	return word
}

// classes lists what was found, each class once.
func classes(v *policy.Verdict) string {
	var names []string
	for set := v.Classes; set != 0; set &= set - 1 {
		names = append(names, set.First().String())
	}
	switch {
	case v.Reason != payload.ReasonNone:
		return "not readable"
	case len(names) == 0:
		return "nothing"
	}
	return strings.Join(names, ", ")
}

// trailer is the member that carries a document's encrypted fields.
var trailer = regexp.MustCompile(`"_sg":"1\.[^"]*"}$`)

// readable is a payload on one line; binary is described.
func readable(b []byte) string {
	if json.Valid(b) {
		return trailer.ReplaceAllString(string(b), `"_sg":"1.…"}`)
	}
	for _, r := range string(b) {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return fmt.Sprintf("%d bytes: % x", len(b), b[:min(len(b), 16)])
		}
	}
	return string(b)
}

// clip cuts text to n characters.
func clip(text string, n int) string {
	if utf8.RuneCountInString(text) <= n {
		return text
	}
	runes := []rune(text)
	return string(runes[:n-1]) + "…"
}
