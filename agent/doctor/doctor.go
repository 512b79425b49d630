// Package doctor looks at everything that can be wrong on a gateway: the
// configuration and what it names, the machine, and the way to the uplinks. It
// changes nothing, and may run beside the gateway. What it says holds no secret,
// no payload and no topic.
package doctor

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/sealgate/sealgate/agent"
	"github.com/sealgate/sealgate/agent/config"
)

// Level is how a check ended.
type Level string

// Levels. Skip is what could not be looked at here.
const (
	OK   Level = "ok"
	Warn Level = "warn"
	Fail Level = "fail"
	Skip Level = "skip"
)

// Result is what one check found.
type Result struct {
	Check  string `json:"check"`
	Level  Level  `json:"level"`
	Detail string `json:"detail"`
	Do     string `json:"do,omitempty"` // what to do next
}

// Options say what to look at.
type Options struct {
	Path    string        // of agent.yaml
	Machine []byte        // as in agent.Options
	Offline bool          // open no connection and ask no name server
	Timeout time.Duration // of each look-up and connection; 0: 10 s
	Now     func() time.Time
	Built   time.Time // when this program was; zero: not known
}

func (o *Options) defaults() {
	if o.Timeout <= 0 {
		o.Timeout = 10 * time.Second
	}
	if o.Now == nil {
		o.Now = time.Now
	}
}

// visit is one run of the checks.
type visit struct {
	opt     Options
	cfg     *config.Config
	now     time.Time
	running bool              // a gateway holds the state directory
	service map[string]string // properties of the unit; nil: there is none
	results []Result
}

func (v *visit) say(check string, level Level, do, format string, args ...any) {
	v.results = append(v.results, Result{check, level, fmt.Sprintf(format, args...), do})
}

// fine and skip are results that ask for nothing.
func (v *visit) fine(check, format string, args ...any) { v.say(check, OK, "", format, args...) }
func (v *visit) skip(check, format string, args ...any) { v.say(check, Skip, "", format, args...) }

// Run does every check in order. Without a valid configuration, those of the
// machine alone.
func Run(ctx context.Context, opt Options) []Result {
	opt.defaults()
	v := &visit{opt: opt, now: opt.Now()}
	machine := []func(*visit, context.Context){(*visit).clock, (*visit).random, (*visit).kernel, (*visit).memory, (*visit).unit}
	site := []func(*visit, context.Context){
		(*visit).directories, (*visit).secrets, (*visit).access, (*visit).listeners, (*visit).certificates,
		(*visit).trust, (*visit).custody, (*visit).granted, (*visit).uplinks,
	}
	v.configuration()
	for _, check := range machine {
		check(v, ctx)
	}
	if v.cfg == nil {
		v.skip("everything else", "needs a configuration that can be read")
		return v.results
	}
	v.running = locked(v.cfg.State)
	for _, check := range site {
		check(v, ctx)
	}
	return v.results
}

// Failed says whether a check failed.
func Failed(results []Result) bool {
	for _, r := range results {
		if r.Level == Fail {
			return true
		}
	}
	return false
}

func (v *visit) configuration() {
	const name = "configuration"
	again := "correct it; sealgate check --config " + v.opt.Path + " shows every problem"
	cfg, err := config.Load(v.opt.Path)
	if errors.Is(err, fs.ErrNotExist) {
		again = "sealgate setup makes one, and sealgate import makes one of mosquitto's; or say --config FILE"
	}
	if err != nil {
		v.say(name, Fail, again, "%v", err)
		return
	}
	v.cfg = cfg
	notes, err := agent.Check(cfg, v.now)
	if err != nil {
		v.say(name, Fail, again, "%v", err)
		return
	}
	v.fine(name, "valid, %d notes (sealgate check)", len(notes))
}

// Table widths, in columns.
const (
	nameColumn   = 6
	detailColumn = 28
	lineWidth    = 80
)

// Print writes a table of at most 80 columns, and a last line with the sums.
func Print(w io.Writer, results []Result) error {
	var b strings.Builder
	count := map[Level]int{}
	for _, r := range results {
		count[r.Level]++
		head := fmt.Sprintf("%-*s%s", nameColumn, r.Level, r.Check)
		text := wrap(r.Detail, lineWidth-detailColumn)
		if r.Do != "" {
			text = append(text, wrap("do: "+r.Do, lineWidth-detailColumn)...)
		}
		if utf8.RuneCountInString(head) >= detailColumn {
			heads := wrap(r.Check, lineWidth-nameColumn)
			head = fmt.Sprintf("%-*s%s", nameColumn, r.Level, strings.Join(heads, "\n      "))
			text = append([]string{""}, text...)
		}
		for i, line := range text {
			if i > 0 {
				head = ""
			}
			b.WriteString(strings.TrimRight(fmt.Sprintf("%-*s%s", detailColumn, head, line), " ") + "\n")
		}
	}
	fmt.Fprintf(&b, "\n%d ok, %d warnings, %d failures, %d skipped\n", count[OK], count[Warn], count[Fail], count[Skip])
	if _, err := io.WriteString(w, b.String()); err != nil {
		return fmt.Errorf("write output: %w", err)
	}
	return nil
}

// wrap breaks s into lines of at most width columns, and words that are longer.
// What a terminal would act on is left out.
func wrap(s string, width int) []string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, s)
	var lines []string
	line := []rune(nil)
	for _, word := range strings.Fields(s) {
		w := []rune(word)
		if len(line) > 0 && len(line)+1+len(w) > width {
			lines, line = append(lines, string(line)), nil
		}
		if len(line) > 0 {
			line = append(line, ' ')
		}
		line = append(line, w...)
		for len(line) > width {
			lines, line = append(lines, string(line[:width])), line[width:]
		}
	}
	return append(lines, string(line))
}

// until is a context for one look-up or connection.
func (v *visit) until(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, v.opt.Timeout, errors.New("no answer in "+v.opt.Timeout.String()))
}
