package telemetry

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A logCall is one call of a logger in the agent's sources.
type logCall struct {
	place, message, fields string
	level                  slog.Level
}

// logCalls finds every call of a logger: a method named by a level of something
// whose last name is log or Logger.
func logCalls(t *testing.T) (calls []logCall) {
	t.Helper()
	levels := map[string]slog.Level{"Debug": slog.LevelDebug, "Info": slog.LevelInfo, "Warn": slog.LevelWarn, "Error": slog.LevelError}
	logger := regexp.MustCompile(`(?i)^log(ger)?$`)
	files := token.NewFileSet()
	text := func(e ast.Expr) string { // of a constant string
		b, ok := e.(*ast.BasicLit)
		if !ok || b.Kind != token.STRING {
			t.Errorf("%s: messages and keys of a log are constants", files.Position(e.Pos()))
			return ""
		}
		s, err := strconv.Unquote(b.Value)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	for _, root := range []string{"../../agent", "../../cmd/sealgate", "../../classify", "../../crypto", "../../internal/durable"} {
		err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
				return err
			}
			file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
			if err != nil {
				return err
			}
			ast.Inspect(file, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok {
					return true
				}
				method, ok := call.Fun.(*ast.SelectorExpr)
				if !ok {
					return true
				}
				name := ""
				switch x := method.X.(type) {
				case *ast.Ident:
					name = x.Name
				case *ast.SelectorExpr:
					name = x.Sel.Name
				}
				level, ok := levels[method.Sel.Name]
				if name == "slog" && ok || name == "slog" && strings.HasSuffix(method.Sel.Name, "Context") {
					t.Errorf("%s: there is no global logger", files.Position(call.Pos()))
				}
				if !logger.MatchString(name) || !ok || len(call.Args) == 0 {
					return true
				}
				c := logCall{place: files.Position(call.Pos()).String(), level: level, message: text(call.Args[0])}
				var keys []string
				for i := 1; i < len(call.Args); i += 2 {
					keys = append(keys, text(call.Args[i]))
				}
				c.fields = strings.Join(keys, " ")
				calls = append(calls, c)
				return true
			})
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if len(calls) < 60 {
		t.Fatalf("only %d calls found", len(calls))
	}
	return calls
}

// TestLogEvents holds the catalogue to the program, both ways.
func TestLogEvents(t *testing.T) {
	byMessage, names, used := map[string]LogEvent{}, map[string]bool{}, map[string]bool{}
	for _, e := range LogEvents() {
		if !regexp.MustCompile(`^[a-z0-9-]+$`).MatchString(e.Name) || names[e.Name] {
			t.Errorf("name %q: taken, or of other characters", e.Name)
		}
		if _, twice := byMessage[e.Message]; twice {
			t.Errorf("two events say %q", e.Message)
		}
		names[e.Name], byMessage[e.Message] = true, e
	}
	for _, c := range logCalls(t) {
		e, ok := byMessage[c.message]
		if !ok {
			t.Errorf("%s: %q (%v, %s) is not in LogEvents: give it a name that stays", c.place, c.message, c.level, c.fields)
			continue
		}
		used[c.message] = true
		if e.Level != c.level || e.Fields != c.fields {
			t.Errorf("%s: %s has level %v and fields %q, in LogEvents %v and %q", c.place, e.Name, c.level, c.fields, e.Level, e.Fields)
		}
	}
	for _, e := range LogEvents() {
		if !used[e.Message] {
			t.Errorf("nobody logs %s: %q", e.Name, e.Message)
		}
	}
}

// TestLogFields: what a field holds is known, and no field is one that a device
// could fill.
func TestLogFields(t *testing.T) {
	allowed := strings.Fields("error uplink log lane reason result alarm text do why gateway boot mode policy_version policy_source recipients_version on ingress client clients filters message_id messages records seconds retry_in restart_in kept")
	for _, e := range LogEvents() {
		for _, f := range strings.Fields(e.Fields) {
			if !slices.Contains(allowed, f) {
				t.Errorf("%s has a field %s: is it sure to hold no topic, client id or payload?", e.Name, f)
			}
		}
	}
}

const eventsPath = "../../docs/events.md"

// TestEventsDoc holds docs/events.md to the catalogue.
func TestEventsDoc(t *testing.T) {
	var b strings.Builder
	b.WriteString(eventsHead)
	for _, e := range LogEvents() {
		fields := ""
		if e.Fields != "" {
			fields = "`" + strings.ReplaceAll(e.Fields, " ", "` `") + "`"
		}
		text := e.Message
		if e.Meaning != "" {
			text += ". " + e.Meaning
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", e.Name, strings.ToLower(e.Level.String()), strings.ReplaceAll(text, "|", `\|`), fields)
	}
	if *update {
		if err := os.WriteFile(eventsPath, []byte(b.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(eventsPath)
	if err != nil {
		t.Fatal(err)
	}
	if b.String() != string(want) {
		t.Errorf("%s is not what LogEvents says: run the test with -update", eventsPath)
	}
}

const eventsHead = `# Log events

Generated from the program's catalogue by ` + "`go test ./agent/telemetry -run TestEventsDoc -update`" + `;
tests hold it to the program's calls. The gateway logs to standard error, as text or JSON
(` + "`log.format`" + `), from ` + "`log.level`" + ` on; under systemd that is the journal:
` + "`journalctl -u sealgate`" + `. Each record has ` + "`time`, `level`, `msg`" + ` and ` + "`event`" + `, whose names below stay
the same when a message is worded anew. No record holds a topic, a client id, a payload,
a matched text or a key.

Of one event about one ` + "`uplink`, `log`, `lane`, `alarm`, `reason`, `result` or `ingress`" + `, ten
records a minute are written; the first one after that minute says in ` + "`suppressed`" + ` how many were
not. Metrics count all of them.

| Event | Level | What it says | Fields |
| --- | --- | --- | --- |
`

// TestLogHandler: names, and what repeats.
func TestLogHandler(t *testing.T) {
	var out bytes.Buffer
	h := NewLogHandler(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelInfo}))
	now := time.Unix(1_800_000_000, 0)
	h.limit.now = func() time.Time { return now }
	log := slog.New(h)
	for i := range 25 {
		log.Warn("uplink connection ended", "uplink", "a", "error", i)
	}
	log.Warn("uplink connection ended", "uplink", "b", "error", "x")
	log.With("uplink", "c").Warn("uplink connection ended", "error", "x")
	log.Debug("status connection ended", "error", "x")
	log.Info("something else")
	now = now.Add(time.Minute)
	log.Warn("uplink connection ended", "uplink", "a", "error", "again")
	now = now.Add(-time.Hour) // the clock was set
	log.Warn("uplink connection ended", "uplink", "a", "error", "earlier")

	lines := strings.Split(strings.TrimSpace(out.String()), "\n")
	if len(lines) != 15 {
		t.Fatalf("%d lines:\n%s", len(lines), out.String())
	}
	for i, want := range map[int]string{
		0:  `msg="uplink connection ended" event=uplink-ended uplink=a error=0`,
		9:  `uplink=a error=9`,
		10: `uplink=b`,
		11: `uplink=c event=uplink-ended error=x`,
		12: `msg="something else"`,
		13: `uplink=a error=again suppressed=15`,
		14: `uplink=a error=earlier`,
	} {
		if !strings.Contains(lines[i], want) {
			t.Errorf("line %d is %s, want %s", i, lines[i], want)
		}
	}
	for i := range 3 * maxSeen {
		log.Error("downlink ended", "uplink", i)
	}
	if n := len(h.limit.seen); n > maxSeen {
		t.Errorf("%d kinds are remembered", n)
	}
}
