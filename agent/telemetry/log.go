package telemetry

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"
)

// LogHandler gives each record its event's name, and keeps what repeats from
// flooding the journal: of one event about one uplink, log, alarm, reason or
// result, ten records a minute are passed on, and the next one says how many
// were not.
type LogHandler struct {
	next   slog.Handler
	events map[string]string // by message
	about  string            // of the attributes given with With
	limit  *logLimit
}

// NewLogHandler puts a LogHandler before another one.
func NewLogHandler(next slog.Handler) *LogHandler {
	h := &LogHandler{next: next, events: map[string]string{}, limit: &logLimit{seen: map[string]*logSpan{}, now: time.Now}}
	for _, e := range LogEvents() {
		h.events[e.Message] = e.Name
	}
	return h
}

// Enabled implements slog.Handler.
func (h *LogHandler) Enabled(ctx context.Context, l slog.Level) bool { return h.next.Enabled(ctx, l) }

// Handle implements slog.Handler.
func (h *LogHandler) Handle(ctx context.Context, r slog.Record) error {
	var about strings.Builder
	about.WriteString(r.Message + h.about)
	r.Attrs(func(a slog.Attr) bool {
		about.WriteString(aspect(a))
		return true
	})
	suppressed, pass := h.limit.pass(about.String())
	if !pass {
		return nil
	}
	out := slog.NewRecord(r.Time, r.Level, r.Message, r.PC)
	if name := h.events[r.Message]; name != "" {
		out.AddAttrs(slog.String("event", name))
	}
	r.Attrs(func(a slog.Attr) bool {
		out.AddAttrs(a)
		return true
	})
	if suppressed > 0 {
		out.AddAttrs(slog.Int("suppressed", suppressed))
	}
	return h.next.Handle(ctx, out)
}

// WithAttrs implements slog.Handler.
func (h *LogHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	with := *h
	with.next = h.next.WithAttrs(attrs)
	for _, a := range attrs {
		with.about += aspect(a)
	}
	return &with
}

// WithGroup implements slog.Handler.
func (h *LogHandler) WithGroup(name string) slog.Handler {
	with := *h
	with.next = h.next.WithGroup(name)
	return &with
}

// aspect is an attribute that tells one repetition from another: it has few
// values.
func aspect(a slog.Attr) string {
	if !slices.Contains([]string{"uplink", "log", "lane", "alarm", "reason", "result", "ingress"}, a.Key) {
		return ""
	}
	return "\x00" + a.Key + "=" + a.Value.String()
}

const (
	logBurst  = 10
	logPeriod = time.Minute
	maxSeen   = 1024
)

// logLimit counts what was said in the current minute.
type logLimit struct {
	now func() time.Time

	mu   sync.Mutex // guards seen
	seen map[string]*logSpan
}

type logSpan struct {
	begun      time.Time
	passed     int
	suppressed int
}

// pass reports whether a record may pass, and how many like it did not before.
func (l *logLimit) pass(about string) (suppressed int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	w := l.seen[about]
	if w == nil {
		if len(l.seen) >= maxSeen {
			clear(l.seen) // errors that are never the same: no memory for them
		}
		w = &logSpan{begun: now}
		l.seen[about] = w
	}
	if now.Sub(w.begun) >= logPeriod || now.Before(w.begun) {
		suppressed = w.suppressed
		*w = logSpan{begun: now}
	}
	if w.passed == logBurst {
		w.suppressed++
		return 0, false
	}
	w.passed++
	return suppressed, true
}
