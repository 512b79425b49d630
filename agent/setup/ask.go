package setup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"

	"github.com/sealgate/sealgate/agent/doctor"
)

// session is one run of the questions.
type session struct {
	a     Answers
	opt   Options
	tried []doctor.Result

	trying bool // the person wants brokers to be looked at
}

// A question becomes one answer.
type question struct {
	head   string   // of a main question, such as "1 of 5  Where …?"
	text   []string // what it is about, line by line
	prompt string
	flag   string
	value  *string
	def    string                         // taken for an empty answer; empty: one is needed
	empty  bool                           // an empty answer is one
	secret bool                           // typed unseen
	check  func(string) (string, error)   // returns what is kept; nil: as it is
	choice []struct{ name, title string } // one of these
}

// ErrNobody is where something had to be asked, and nobody was there.
var ErrNobody = errors.New("standard input is no terminal, so nothing can be asked")

// ask takes what was said beforehand, or a person's answer, or the default.
func (s *session) ask(ctx context.Context, q question) error {
	if *q.value != "" {
		v, err := q.accept(*q.value)
		if err != nil {
			return fmt.Errorf("--%s: %w", q.flag, err)
		}
		*q.value = v
		return nil
	}
	if s.opt.Person == nil {
		return s.unasked(q)
	}
	s.explain(q)
	for {
		v, err := s.read(ctx, q.prompt, q.def, q.secret)
		if err != nil {
			return err
		}
		if v == "" && q.empty {
			return nil
		}
		v, err = q.accept(v)
		if err == nil {
			*q.value = v
			return nil
		}
		s.print("   " + err.Error())
	}
}

func (s *session) unasked(q question) error {
	switch {
	case q.empty:
		return nil
	case !s.opt.Defaults:
		return fmt.Errorf("%w: say --%s, or --yes for the default of everything that is not said", ErrNobody, q.flag)
	case q.def == "":
		return fmt.Errorf("say --%s: it has no default", q.flag)
	}
	v, err := q.accept(q.def)
	if err != nil {
		return fmt.Errorf("the default of --%s: %w", q.flag, err)
	}
	*q.value = v
	return nil
}

func (q *question) accept(v string) (string, error) {
	if v == "" {
		return "", errors.New("an answer is needed")
	}
	if strings.ContainsFunc(v, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return "", errors.New("only printable characters are allowed")
	}
	if len(q.choice) > 0 {
		return q.chosen(v)
	}
	if q.check == nil {
		return v, nil
	}
	return q.check(v)
}

// chosen takes a name, or what begins only one.
func (q *question) chosen(v string) (string, error) {
	var names, fit []string
	for _, c := range q.choice {
		names = append(names, c.name)
		if strings.HasPrefix(c.name, strings.ToLower(v)) {
			fit = append(fit, c.name)
		}
	}
	if slices.Contains(names, v) {
		return v, nil
	}
	if len(fit) != 1 {
		return "", fmt.Errorf("one of %s", strings.Join(names, ", "))
	}
	return fit[0], nil
}

func (s *session) print(lines ...string) {
	for _, l := range lines {
		fmt.Fprintln(s.opt.Person.Out, strings.TrimRight(l, " "))
	}
}

func (s *session) explain(q question) {
	if q.head != "" {
		s.print("", q.head)
	}
	for _, l := range q.text {
		s.print("   " + l)
	}
	wide := 0
	for _, c := range q.choice {
		wide = max(wide, len(c.name))
	}
	for _, c := range q.choice {
		s.print(fmt.Sprintf("     %-*s  %s", wide, c.name, c.title))
	}
}

// read prompts and reads one line.
func (s *session) read(ctx context.Context, prompt, def string, secret bool) (string, error) {
	p := s.opt.Person
	if def != "" {
		prompt += " [" + def + "]"
	}
	fmt.Fprintf(p.Out, "   %s: ", prompt)
	line := p.Line
	if secret {
		line = p.Secret
	}
	v, err := line(ctx)
	if errors.Is(err, io.EOF) || errors.Is(err, context.Canceled) {
		fmt.Fprintln(p.Out)
		return "", errors.New("stopped; nothing was written")
	}
	if err != nil {
		return "", fmt.Errorf("read answer: %w", err)
	}
	if !secret {
		v = strings.TrimSpace(v)
	}
	if v == "" {
		v = def
	}
	return v, nil
}

// agrees asks a person for yes or no.
func (s *session) agrees(ctx context.Context, prompt string, yes bool) (bool, error) {
	def := map[bool]string{true: "y", false: "n"}[yes]
	for {
		v, err := s.read(ctx, prompt+" (y/n)", def, false)
		if err != nil {
			return false, err
		}
		switch strings.ToLower(v) {
		case "y", "yes":
			return true, nil
		case "n", "no":
			return false, nil
		}
	}
}
