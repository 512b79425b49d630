package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/sealgate/sealgate/classify"
	"github.com/sealgate/sealgate/classify/payload"
	"github.com/sealgate/sealgate/crypto"
	"github.com/sealgate/sealgate/crypto/envelope"
)

type openOptions struct {
	keys         string
	pass         passphraseFlags
	gatewayKeys  []string
	registry     string
	root         string
	topics       []string
	asJSON       bool
	jsonl        bool
	protected    bool
	reserialized bool
	sub          subscribeOptions
}

func newOpen(e *env) *cobra.Command {
	var o openOptions
	c := &cobra.Command{
		Use:   "open --keys DIR [FILE|-]...",
		Short: "Open what gateways sent: files, stdin, or a broker's messages",
		Long: `Open turns sealed messages, and documents with encrypted fields, back into what
the device said, and prints it. What is not protected passes through, marked as
in clear; --protected refuses it.

Who sealed a message is only known with --registry, the signed registry of
gateways (or --gateway-key, one gateway's public signing key); without either the
origin is unverified. A registry that changes is read again; one that is older,
expired or not signed as root.json demands is not taken. The topic belongs to what is
authenticated: where --topic says what a file was published on, one that was
moved there from another topic is refused.

With --republish or --webhook it is a service: what a broker sends is opened and
handed on, in order, so that nothing behind it has to know of encryption. A
message is acknowledged to the first broker when the receiver has acknowledged
it, so it is delivered at least once. What is refused goes to --dead-letter.

Where a gateway sends its wrapped keys by reference, subscribe to them as well:
--topic 'sg/v1/+/grants/#'. A message that comes before its key waits for it up to
ten seconds, and so does what is behind it. Several instances may share the work
with --topic '$share/GROUP/site/#' (the grants not shared: each needs all); then
replays are unchecked.

--json prints a line for each message:
  {"topic","protection","payload" or "payload_b64","gateway","seq","grade",
   "origin","replay","fields",…}, or with "reason" if it was refused.
It exits with 3 if a message did not open, and says why.`,
		Example: `  sealctl open --keys keys sealed.bin
  mosquitto_sub -h cloud -t 'site/#' -C 1 -N | sealctl open --keys keys -
  sealctl open --keys keys --subscribe mqtts://cloud:8883 --topic 'site/#' --json
  sealctl open --keys keys --registry gateways.registry --state opened.state --client-id opener \
    --subscribe mqtts://cloud:8883 --topic 'site/#' --republish mqtt://127.0.0.1:1883 --dead-letter refused`,
		RunE: func(c *cobra.Command, args []string) error {
			if o.keys == "" {
				return usageError("say where the keys are: --keys DIR; sealctl keys init makes some")
			}
			if o.sub.url == "" {
				args = e.inputs(args)
			}
			if o.sub.url == "" && len(args) == 0 {
				return usageError("say what to open: a file, - for stdin, or --subscribe URL; see sealctl open --help")
			}
			if o.sub.url != "" && len(args) > 0 {
				return usageError("open either files or what a broker sends, not both")
			}
			if o.sub.url == "" && len(o.topics) > 1 {
				return usageError("a file came on one topic; say --topic once")
			}
			if o.sub.url == "" && (o.sub.forward.is() || o.sub.forward.deadLetters != "") {
				return usageError("--republish, --webhook and --dead-letter go with --subscribe")
			}
			return e.openAll(c.Context(), &o, args)
		},
	}
	f := c.Flags()
	f.StringVar(&o.keys, "keys", "", "the `DIR` with the private keys of the recipient")
	f.StringVar(&o.registry, "registry", "", "verify the origin with the signed registry of gateways in `FILE`")
	f.StringVar(&o.root, "root", "", "the trust root `FILE` for --registry (default: root.json beside it)")
	f.StringArrayVar(&o.gatewayKeys, "gateway-key", nil, "verify the origin with [NAME=]`FILE`, a gateway's public signing key; may be repeated")
	f.StringArrayVar(&o.topics, "topic", nil, "the `TOPIC` that the message was published on; with --subscribe a filter, may be repeated")
	f.BoolVar(&o.asJSON, "json", false, "print a JSON line for each message")
	f.BoolVar(&o.jsonl, "jsonl", false, `read a message a line: {"topic","payload_b64"} or "payload"`)
	f.BoolVar(&o.protected, "protected", false, "refuse messages in clear")
	f.BoolVar(&o.reserialized, "allow-reserialized", false, "accept documents that were written anew on their way")
	o.pass.register(f, false)
	o.sub.register(f)
	return c
}

func (e *env) openAll(ctx context.Context, o *openOptions, args []string) error {
	s, err := e.newOpening(o)
	if err != nil {
		return err
	}
	switch {
	case o.sub.url != "":
		err = e.subscribe(ctx, o, s)
	case o.jsonl:
		for _, arg := range args {
			if err = s.lines(arg); err != nil {
				break
			}
		}
	default:
		for _, arg := range args {
			var raw []byte
			if raw, err = e.message(arg); err != nil {
				err = fmt.Errorf("read message: %w", err)
				break
			}
			topic := ""
			if len(o.topics) > 0 {
				topic = o.topics[0]
			}
			if err = s.one(nameOf(arg), topic, raw, len(args) == 1); err != nil {
				break
			}
		}
	}
	if ferr := s.out.Flush(); err == nil && ferr != nil {
		err = fmt.Errorf("write output: %w", ferr)
	}
	if err == nil && s.refused > 0 {
		return errBad
	}
	return err
}

// An opening opens messages one after the other and prints them.
type opening struct {
	e       *env
	o       *openOptions
	opener  *envelope.Opener
	out     *bufio.Writer
	opened  int // handed on to a consumer
	refused int
}

func (e *env) newOpening(o *openOptions) (*opening, error) {
	files, err := crypto.LoadRecipientKeys(o.keys, o.pass.forOld(e))
	if err != nil {
		return nil, fmt.Errorf("load keys: %w", err)
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("there is no private key of a recipient in %s", o.keys)
	}
	opts := envelope.OpenerOptions{
		Mode:              envelope.Archive,
		AllowReserialized: o.reserialized,
		MaxBytes:          maxMessage,
		Require:           func(string) envelope.Requirement { return envelope.Requirement{AllowClear: !o.protected} },
	}
	for _, f := range files {
		opts.Keys = append(opts.Keys, f.Key)
	}
	if opts.Verifiers, err = e.verifiers(o); err != nil {
		return nil, err
	}
	if opts.Verifiers != nil && o.sub.url != "" && !o.shares() {
		opts.Mode = envelope.Live
	}
	opener, err := envelope.NewOpener(opts)
	if err != nil {
		return nil, fmt.Errorf("make opener: %w", err)
	}
	s := &opening{e: e, o: o, opener: opener, out: bufio.NewWriter(e.stdout)}
	return s, nil
}

// verifiers is whom an opener believes; nil: nobody's origin is verified.
func (e *env) verifiers(o *openOptions) (func(string) []*crypto.Verifier, error) {
	switch {
	case o.registry != "" && len(o.gatewayKeys) > 0:
		return nil, usageError("say --registry or --gateway-key, not both")
	case o.registry != "":
		floor := ""
		if o.sub.state != "" {
			floor = o.sub.state + ".registry"
		}
		r, err := openTrustedRegistry(o.registry, o.root, floor, func(err error) { fmt.Fprintf(e.stderr, "sealctl: warning: %v\n", err) })
		if err != nil {
			return nil, err
		}
		return r.verifiers, nil
	case len(o.gatewayKeys) > 0:
		return gatewayKeys(o.gatewayKeys)
	}
	return nil, nil
}

// knowsGateways reports whether somebody's origin is verified.
func (o *openOptions) knowsGateways() bool { return o.registry != "" || len(o.gatewayKeys) > 0 }

// shares reports whether other members of a group see messages that we don't.
func (o *openOptions) shares() bool {
	return slices.ContainsFunc(o.topics, func(t string) bool { return strings.HasPrefix(t, "$share/") })
}

// gatewayKeys reads the public signing keys of gateways. One without a name is
// taken for every gateway.
func gatewayKeys(args []string) (func(string) []*crypto.Verifier, error) {
	byName := map[string][]*crypto.Verifier{}
	for _, arg := range args {
		name, path := splitName(arg)
		raw, err := readFile(path, 64<<10)
		if err != nil {
			return nil, fmt.Errorf("read gateway key: %w", err)
		}
		v, err := crypto.UnmarshalVerifier(raw)
		if err != nil {
			return nil, fmt.Errorf("read gateway key %s: %w", path, err)
		}
		byName[name] = append(byName[name], v)
	}
	return func(gateway string) []*crypto.Verifier {
		named, any := byName[gateway], byName[""]
		return append(named[:len(named):len(named)], any...)
	}, nil
}

// isGrant tells a grant that is delivered on its own: a COSE_Sign1 with its tag
// (RFC 9052, section 4.2).
func isGrant(raw []byte) bool { return bytes.HasPrefix(raw, []byte{0xD2, 0x84}) }

// one opens one message and prints it. The error is one of writing; a message
// that is refused is reported and counted.
func (s *opening) one(name, topic string, raw []byte, alone bool) error {
	if isGrant(raw) {
		if err := s.grant(name, raw); err != nil {
			return s.refuse(name, topic, err)
		}
		return nil
	}
	m, err := s.opener.Open(topic, raw)
	if line, ended := bytes.CutSuffix(raw, []byte("\n")); err != nil && ended {
		// A line's end that a tool like mosquitto_sub has put behind the message.
		if m2, err2 := s.opener.Open(topic, line); err2 == nil {
			m, err = m2, nil
		}
	}
	if err != nil {
		return s.refuse(name, topic, err)
	}
	return s.show(name, topic, &m, alone)
}

// grant takes the key of messages that follow.
func (s *opening) grant(name string, raw []byte) error {
	if _, err := s.opener.AddGrant(raw); err != nil {
		return err
	}
	fmt.Fprintf(s.e.stderr, "sealctl: %s: a grant: the key of messages that follow\n", name)
	return nil
}

// show prints a message that was opened.
func (s *opening) show(name, topic string, m *envelope.Opened, alone bool) error {
	if s.o.asJSON {
		return s.print(describeOpened(topic, m))
	}
	if s.e.paint && !printable(m.Payload) {
		return s.e.binary(name)
	}
	fmt.Fprintf(s.e.stderr, "sealctl: %s: %s\n", name, facts(m))
	s.out.Write(m.Payload)
	if !alone && !bytes.HasSuffix(m.Payload, []byte("\n")) {
		s.out.WriteByte('\n')
	}
	return s.flush()
}

func (s *opening) flush() error {
	if err := s.out.Flush(); err != nil {
		return fmt.Errorf("write output: %w", err)
	}
	return nil
}

func (e *env) binary(name string) error {
	return fmt.Errorf("%s opened, and is binary: redirect stdout to a file, or use --json", name)
}

func printable(b []byte) bool {
	if !utf8.Valid(b) {
		return false
	}
	for _, c := range b {
		if c < 0x20 && c != '\n' && c != '\r' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

// openReasons says for people why a message was refused.
var openReasons = map[payload.Reason]string{
	envelope.ReasonMalformed:    "it breaks the format: cut short or damaged on the way",
	envelope.ReasonAlgorithm:    "its algorithm or version is not one of ours; a newer sealctl may know it",
	envelope.ReasonUnknownKey:   "it travels without its grant; open the grant first, or subscribe to the grants' topic too",
	envelope.ReasonNoRecipient:  "it is not for any of these keys",
	envelope.ReasonGrant:        "its grant does not hold: it belongs to another key, gateway or start",
	envelope.ReasonExpired:      "it says it was sealed after its key had expired",
	envelope.ReasonOrigin:       "its key was made by none that the registry, or --gateway-key, believes for its gateway",
	envelope.ReasonBadTag:       "it was changed on the way, or parts of it come from another message",
	envelope.ReasonBadSignature: "the gateway's signature is missing or wrong",
	envelope.ReasonReserialized: "its fields are authentic, the document around them was written anew; of JSON objects --allow-reserialized accepts that",
	envelope.ReasonDowngrade:    "it is in clear",
	envelope.ReasonTopic:        "it was published on another topic",
	envelope.ReasonReplay:       "its place in the stream was taken before",
	envelope.ReasonStateFull:    "there are too many streams to tell replays",
}

func (s *opening) refuse(name, topic string, err error) error {
	s.refused++
	why := envelope.ReasonOf(err)
	fmt.Fprintf(s.e.stderr, "sealctl: %s: %s: %s\n", name, why, openReasons[why])
	if s.o.asJSON {
		return s.print(openedMessage{Topic: topic, Reason: string(why)})
	}
	return nil
}

// An openedMessage is a line of `open --json`.
type openedMessage struct {
	Topic         string        `json:"topic"` // the real one where it travelled inside
	Published     string        `json:"published_topic,omitempty"`
	Reason        string        `json:"reason,omitempty"` // why it was refused; nothing else is known then
	Protection    string        `json:"protection,omitempty"`
	Verified      bool          `json:"verified"`
	Payload       *string       `json:"payload,omitempty"`
	PayloadB64    []byte        `json:"payload_b64,omitempty"` // where it is not text
	Gateway       string        `json:"gateway,omitempty"`
	IssuedAt      *time.Time    `json:"issued_at,omitempty"`
	MessageID     string        `json:"message_id,omitempty"`
	Stream        *streamName   `json:"stream,omitempty"`
	Seq           uint64        `json:"seq,omitempty"`
	Grade         string        `json:"grade,omitempty"` // before transformation
	PolicyVersion uint64        `json:"policy_version,omitempty"`
	ContentType   string        `json:"content_type,omitempty"`
	Origin        string        `json:"origin,omitempty"`
	Replay        string        `json:"replay,omitempty"`
	Fields        []openedField `json:"fields,omitempty"`
}

type streamName struct {
	Boot   uint64 `json:"boot"`
	Uplink uint32 `json:"uplink"`
	Lane   uint32 `json:"lane"`
	Shard  uint32 `json:"shard"`
}

type openedField struct {
	Path   string `json:"path"`
	Opened bool   `json:"opened"` // false: another audience's
}

func describeOpened(published string, m *envelope.Opened) openedMessage {
	x := openedMessage{Topic: m.Topic, Protection: m.Protection.String(), Verified: m.Verified, Origin: m.Origin.String(), Replay: m.Freshness.String()}
	if published != m.Topic {
		x.Published = published
	}
	if text := string(m.Payload); utf8.ValidString(text) {
		x.Payload = &text
	} else {
		x.PayloadB64 = m.Payload
	}
	if m.Protection == envelope.ProtectionNone {
		return x
	}
	h := &m.Header
	x.Gateway, x.IssuedAt, x.MessageID = h.Gateway, &h.IssuedAt, fmt.Sprintf("%x", h.MessageID)
	x.Stream, x.Seq = &streamName{h.Boot, h.Stream.Uplink, h.Stream.Lane, h.Stream.Shard}, h.Seq
	x.Grade, x.PolicyVersion, x.ContentType = classify.Grade(h.Grade).String(), h.PolicyVersion, h.ContentType
	if h.Topic != m.Topic {
		x.Published = h.Topic
	}
	for _, f := range m.Fields {
		x.Fields = append(x.Fields, openedField{f.Pointer, f.Opened})
	}
	return x
}

// facts says in one line what is known about a message.
func facts(m *envelope.Opened) string {
	if m.Protection == envelope.ProtectionNone {
		return "in clear: nothing is known about who sent it, or whether it was changed"
	}
	h := &m.Header
	what := "sealed whole"
	if m.Protection == envelope.ProtectionFields {
		closed := 0
		for _, f := range m.Fields {
			if !f.Opened {
				closed++
			}
		}
		what = plural(len(m.Fields), "encrypted field", "encrypted fields")
		if closed > 0 {
			what += fmt.Sprintf(", %d for others", closed)
		}
		if !m.Verified {
			what += ", written anew on the way"
		}
	}
	return fmt.Sprintf("%s, %s from gateway %s at %s, seq %d, topic %s, origin %s, replay %s", what, classify.Grade(h.Grade), visible(h.Gateway),
		h.IssuedAt.UTC().Format(time.RFC3339), h.Seq, visible(m.Topic), m.Origin, m.Freshness)
}

func (s *opening) print(v openedMessage) error {
	enc := json.NewEncoder(s.out)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return fmt.Errorf("write output: %w", err)
	}
	return s.flush()
}

// lines opens the messages of a file of JSON lines.
func (s *opening) lines(path string) error {
	in, err := s.e.open(path)
	if err != nil {
		return fmt.Errorf("read messages: %w", err)
	}
	defer in.Close()
	lr := newLineReader(in)
	var buf []byte
	for number := 1; ; number++ {
		buf, err = lr.next(buf[:0])
		if errors.Is(err, io.EOF) {
			return nil
		}
		name := fmt.Sprintf("%s line %d", nameOf(path), number)
		var m message
		if err == nil && len(bytes.TrimSpace(buf)) > 0 {
			m, err = parseMessage(buf)
		} else if err == nil {
			continue
		} else if !errors.Is(err, errTooLong) {
			return fmt.Errorf("read messages: %w", err)
		}
		if err != nil {
			s.refused++
			fmt.Fprintf(s.e.stderr, "sealctl: %s: %v\n", name, err)
			if s.o.asJSON {
				if err := s.print(openedMessage{Reason: string(payload.ReasonMalformed)}); err != nil {
					return err
				}
			}
			continue
		}
		if err := s.one(name, m.topic, m.payload, false); err != nil {
			return err
		}
	}
}
