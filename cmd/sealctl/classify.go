package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"

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
	each    bool
	whole   bool
}

func newClassify(e *env) *cobra.Command {
	var o classifyOptions
	c := &cobra.Command{
		Use:   "classify [FILE|DIR|ARCHIVE|-]...",
		Short: "Show what is in messages and what a gateway would do to them",
		Long: `Classify shows what is sensitive in messages: where, which class, how much harm
its disclosure does (L1 public to L5 important), how sure the classifier is and
why, and what the policy does about it. Nothing is sent and nothing is stored.

A FILE is one message, unless its lines are messages with topics, as
"mosquitto_sub -F %j" writes them. Of a DIR and of an ARCHIVE (.tar, .tar.gz,
.tgz, .zip, .jsonl.gz) each file is taken. Up to 12 messages are shown each; of
more, what was found is put together by its path (--each shows each).

With --json each message gives a line of JSON, and the last line sums up.

With --jsonl each line of the input is a message,
  {"id": "1", "topic": "site/cam", "payload": "{\"plate\": …}"}
or with "payload_b64" for binary payloads, and each line of the output is
  {"id","format","grade","residual_grade","action","reason","findings":
   [{"path","class","grade","confidence","detector","start","end","action"}]}
in the same order, for programs. path is a JSON Pointer, topic:N for a level of
the topic, or empty for the whole payload; start and end are byte offsets of the
value in the payload (in the topic for topic:N). A line that holds no message
gives a line graded "ungraded" with the reason malformed or too_large, and with
the id "" if none could be read. A payload that is not a string is taken as the
JSON it is.

A message's action is seal or block where that happens to the whole of it, else
the strongest action on a field, else pass.`,
		Example: `  sealctl classify reading.json
  sealctl classify --topic site/door/3/access --explain event.json
  sealctl classify --policy policy.yaml --uplink city captures.tar.gz
  mosquitto_sub -t '#' -F %j -W 60 | sealctl classify
  mosquitto_sub -t '#' -F %j | sealctl classify --jsonl > verdicts.jsonl`,
		RunE: func(c *cobra.Command, args []string) error {
			if o.jsonl && (o.explain || o.topic != "" || o.each || o.whole) {
				return usageError("--jsonl goes with none of --explain, --topic, --each, --whole: each line is a message and says its own topic")
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
			j.evidence = o.explain
			return e.classifyFiles(c.Context(), j, &o, args)
		},
	}
	f := c.Flags()
	o.register(f)
	f.StringVar(&o.topic, "topic", "", "the `TOPIC` of messages that say none")
	f.BoolVar(&o.explain, "explain", false, "show the evidence, the law and the action of each finding")
	f.BoolVar(&o.each, "each", false, "show each message, however many there are")
	f.BoolVar(&o.whole, "whole", false, "take each file as one message, whatever it looks like")
	f.BoolVar(&o.asJSON, "json", false, "print a line of JSON for each message, and one that sums up")
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

// classifyFiles classifies files for people. What was seen before an error is
// shown all the same.
func (e *env) classifyFiles(ctx context.Context, j *judge, o *classifyOptions, args []string) error {
	in := &input{e: e, ctx: ctx, whole: o.whole, topic: o.topic}
	sources, size, err := in.list(args)
	if err != nil {
		return err
	}
	in.bar = e.newProgress("classify", size)
	r := newReport(e, j, o, in.bar)
	w := j.worker()
	in.take = func(name, topic string, raw []byte) error {
		v := w.look(topic, raw)
		return r.add(name, topic, &v)
	}
	err = in.read(sources)
	if errors.Is(err, errWrite) {
		return err
	}
	if in.taken > 0 || err == nil {
		if err := r.close(); err != nil {
			return err
		}
	}
	return cmp.Or(err, in.complaints())
}

// nameOf is a file's name for people.
func nameOf(path string) string {
	if path == "-" {
		return "stdin"
	}
	return visible(cmp.Or(path, "."))
}
