package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

// Exit codes.
const (
	exitFine    = 0
	exitFailure = 1
	exitUsage   = 2
	exitBad     = 3 // verified and found bad
)

// env is what a command may use of the world.
type env struct {
	stdin  io.Reader
	stdout io.Writer // data
	stderr io.Writer // prose
	typed  bool      // stdin is a terminal
	paint  bool      // stdout is a terminal that wants colour
	lively bool      // stderr is a terminal: progress may be shown
	width  int       // columns of stdout
}

// exitError ends the program with a code. An empty message prints nothing: what
// there was to say has been said.
type exitError struct {
	code int
	err  error
}

func (e *exitError) Error() string {
	if e.err == nil {
		return ""
	}
	return e.err.Error()
}

func (e *exitError) Unwrap() error { return e.err }

func usageError(format string, args ...any) error {
	return &exitError{exitUsage, fmt.Errorf(format, args...)}
}

// errBad says that something was looked at and found bad, and was reported.
var errBad = &exitError{code: exitBad}

// bad marks an error as "verified and found bad".
func bad(err error) error { return &exitError{exitBad, err} }

// run is the program without its process: it parses args, runs the command and
// returns the exit code.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	e := &env{stdin: stdin, stdout: stdout, stderr: stderr}
	e.lookAround(os.Getenv)
	e.stdin = interruptible(ctx.Done(), stdin)
	root := newRoot(e)
	root.SetArgs(args)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return exitFine
	}
	if errors.Is(err, syscall.EPIPE) {
		return exitFailure // whoever read stdout is gone
	}
	if ctx.Err() != nil && errors.Is(err, errInterrupted) {
		err = errInterrupted
	}
	code := exitFailure
	var x *exitError
	if errors.As(err, &x) {
		code = x.code
	}
	if msg := err.Error(); msg != "" {
		fmt.Fprintf(stderr, "sealctl: %s\n", msg)
	}
	return code
}

func newRoot(e *env) *cobra.Command {
	root := &cobra.Command{
		Use:   "sealctl",
		Short: "Look into data as a gateway does, make keys, open what was sealed",
		Long: `sealctl is the operator's and consumer's tool of Sealgate.

See what is in your data        sealctl classify message.json
Draft a policy from traffic     sealctl policy learn --broker mqtt://127.0.0.1:1883
Check and understand a policy   sealctl policy explain policy.yaml
Make the keys of a site         sealctl keys init --site plant-7 --audience analytics
Open what a gateway sent        sealctl open --keys keys sealed.bin

Exit codes: 0 fine, 1 failure, 2 wrong usage, 3 verified and found bad.`,
		Args:          cobra.ArbitraryArgs,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE:          group,
	}
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return usageError("%s: %w; see %s --help", c.CommandPath(), err, c.CommandPath())
	})
	root.SetUsageTemplate(strings.ReplaceAll(root.UsageTemplate(), "Flags.FlagUsages |", "Flags.FlagUsagesWrapped 80 |"))
	root.AddCommand(
		newClassify(e),
		newKeys(e),
		newRegistry(e),
		newEval(e),
		newPolicy(e),
		newTrustRoot(e),
		newFleet(e),
		newOpen(e),
		newSpool(e),
		newVersion(e),
		newMan(root),
	)
	complete(root)
	return root
}

// group is what a command that only has subcommands does by itself.
func group(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return c.Help()
	}
	c.SuggestionsMinimumDistance = 2
	hint := "see " + c.CommandPath() + " --help"
	if near := c.SuggestionsFor(args[0]); len(near) > 0 {
		hint = "did you mean " + strings.Join(near, " or ")
	}
	return usageError("%s has no command %q; %s", c.CommandPath(), args[0], hint)
}

// inputs is what to read: the arguments, or without any stdin, unless a person
// would have to type it.
func (e *env) inputs(args []string) []string {
	if len(args) == 0 && !e.typed {
		return []string{"-"}
	}
	return args
}

// want checks the number of arguments. A negative most is no bound.
func want(least, most int, what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) < least || most >= 0 && len(args) > most {
			return usageError("%s wants %s; see %s --help", c.CommandPath(), what, c.CommandPath())
		}
		return nil
	}
}

// printJSON writes one indented JSON document.
func (e *env) printJSON(v any) error {
	w := bufio.NewWriter(e.stdout)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("write output: %w", err)
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("write output: %w", err)
	}
	return nil
}

var errInterrupted = errors.New("interrupted")

// An interruptibleReader ends its reads when done is closed, although the read
// below it can't be ended: one goroutine stays behind in it.
type interruptibleReader struct {
	r     io.Reader
	done  <-chan struct{}
	buf   []byte
	rest  []byte // of buf, read and not yet handed out
	reads chan readResult
	busy  bool // a read is under way
}

type readResult struct {
	n   int
	err error
}

func interruptible(done <-chan struct{}, r io.Reader) io.Reader {
	return &interruptibleReader{r: r, done: done, reads: make(chan readResult, 1)}
}

func (i *interruptibleReader) Read(p []byte) (int, error) {
	if len(i.rest) == 0 {
		if !i.busy {
			if i.buf == nil {
				i.buf = make([]byte, 256<<10)
			}
			i.busy = true
			go func() {
				n, err := i.r.Read(i.buf)
				i.reads <- readResult{n, err}
			}()
		}
		select {
		case x := <-i.reads:
			i.busy = false
			i.rest = i.buf[:x.n]
			if x.n == 0 {
				return 0, x.err
			}
			// An error that came with bytes comes again with the next read.
		case <-i.done:
			return 0, errInterrupted
		}
	}
	n := copy(p, i.rest)
	i.rest = i.rest[n:]
	return n, nil
}

// open opens a file, or stdin for "-".
func (e *env) open(path string) (io.ReadCloser, error) {
	if path == "-" {
		return io.NopCloser(e.stdin), nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	if st, err := f.Stat(); err == nil && st.IsDir() {
		f.Close()
		return nil, fmt.Errorf("%s is a directory", path)
	}
	return f, nil
}
