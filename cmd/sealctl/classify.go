package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
)

// maxMessage is how much of a file is read: more than any gateway accepts in
// one message, so that a larger file is graded like the whole of it.
const maxMessage = 16 << 20

type classifyOptions struct {
	policyFlags
	topic   string
	jsonl   bool
	asJSON  bool
	explain bool
}

func newClassify(e *env) *cobra.Command {
	var o classifyOptions
	c := &cobra.Command{
		Use:   "classify [FILE|DIR|-]...",
		Short: "Show what is in messages and what a gateway would do to them",
		Long: `Classify reads each FILE, each file below DIR, or stdin as one message and shows
what is sensitive in it: where, which class, how much harm its disclosure does
(L1 public to L5 important), how sure the classifier is and why, and what the
policy does about it. Nothing is sent and nothing is stored.

With --jsonl each line of the input is a message,
  {"id": "1", "topic": "site/cam", "payload": "{\"plate\": …}"}
or with "payload_b64" for binary payloads, and each line of the output is
  {"id","format","grade","residual_grade","action","reason","findings":
   [{"path","class","grade","confidence","detector","start","end","action"}]}
in the same order. path is a JSON Pointer, topic:N for a level of the topic, or
empty for the whole payload; start and end are byte offsets of the value in the
payload (in the topic for topic:N). A line that holds no message gives a line
graded "ungraded" with the reason malformed or too_large, and with the id "" if
none could be read. A payload that is not a string is taken as the JSON it is.

A message's action is seal or block where that happens to the whole of it, else
the strongest action on a field, else pass.`,
		Example: `  sealctl classify reading.json
  sealctl classify --topic site/door/3/access --explain event.json
  sealctl classify --policy policy.yaml --uplink city captures/
  mosquitto_sub -t '#' -F %j | sealctl classify --jsonl > verdicts.jsonl`,
		RunE: func(c *cobra.Command, args []string) error {
			if o.jsonl && (o.explain || o.topic != "") {
				return usageError("--jsonl goes with neither --explain nor --topic: each line says its own topic")
			}
			if args = e.inputs(args); len(args) == 0 {
				return usageError("say what to classify: a file, a directory, or - for stdin; see sealctl classify --help")
			}
			j, err := o.judge()
			if err != nil {
				return err
			}
			if o.jsonl {
				return e.classifyLines(c.Context(), j, args)
			}
			return e.classifyFiles(c.Context(), j, &o, args)
		},
	}
	f := c.Flags()
	o.register(f)
	f.StringVar(&o.topic, "topic", "", "the `TOPIC` that the message came on")
	f.BoolVar(&o.explain, "explain", false, "show the evidence, the law and the action of each finding")
	f.BoolVar(&o.asJSON, "json", false, "print JSON")
	f.BoolVar(&o.jsonl, "jsonl", false, "read one message a line and print one verdict a line")
	return c
}

// classifyLines classifies files of JSON lines one after the other.
func (e *env) classifyLines(ctx context.Context, j *judge, args []string) error {
	for _, arg := range args {
		in, err := e.open(arg)
		if err != nil {
			return fmt.Errorf("read messages: %w", err)
		}
		err = e.jsonLines(ctx, j, in)
		in.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// classifyFiles classifies files, each one message.
func (e *env) classifyFiles(ctx context.Context, j *judge, o *classifyOptions, args []string) error {
	paths, err := list(args)
	if err != nil {
		return err
	}
	r := newReport(e, j, o, len(paths))
	w := j.worker()
	for i, path := range paths {
		if ctx.Err() != nil {
			return errInterrupted
		}
		e.progress("classify", i, len(paths))
		raw, err := e.message(path)
		if err != nil {
			e.progress("", 0, 0)
			return fmt.Errorf("read message: %w", err)
		}
		v := w.look(o.topic, raw)
		e.progress("", 0, 0)
		if err := r.add(path, &v); err != nil {
			return err
		}
	}
	return r.close()
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

// list replaces directories by the files below them, in order, without hidden
// ones.
func list(args []string) ([]string, error) {
	var out []string
	for _, arg := range args {
		if arg == "-" {
			out = append(out, arg)
			continue
		}
		before := len(out)
		err := filepath.WalkDir(arg, func(path string, d fs.DirEntry, err error) error {
			hidden := path != arg && strings.HasPrefix(d.Name(), ".")
			switch {
			case err != nil:
				return err
			case d.IsDir() && hidden:
				return fs.SkipDir
			case path == arg && !d.IsDir(): // whatever it is, it was named
				out = append(out, path)
			case d.Type().IsRegular() && !hidden:
				out = append(out, path)
			}
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("read messages: %w", err)
		}
		if len(out) == before {
			return nil, fmt.Errorf("read messages: there are no files in %s", arg)
		}
	}
	return out, nil
}

// progress shows how far a long work is, on a terminal only; total 0 removes
// it again.
func (e *env) progress(what string, done, total int) {
	if !e.lively || total == 1 {
		return
	}
	if total == 0 {
		io.WriteString(e.stderr, "\r\x1b[K")
		return
	}
	const bar = 24
	full := done * bar / total
	fmt.Fprintf(e.stderr, "\r%s [%s%s] %s of %s", what, strings.Repeat("=", full), strings.Repeat(" ", bar-full), thousands(done), thousands(total))
}

// nameOf is a file's name for people.
func nameOf(path string) string {
	if path == "-" {
		return "stdin"
	}
	return visible(cmp.Or(path, "."))
}
