package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"syscall"
	"time"
	"unicode"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/sealgate/sealgate/agent/telemetry"
)

// statusBytes bounds what a gateway may answer.
const statusBytes = 1 << 20

func statusCommand() *cobra.Command {
	var from source
	var asJSON, watch bool
	c := &cobra.Command{
		Use:   "status",
		Short: "show how the running gateway is",
		Long: `Ask the running gateway how it is: alarms first, then policy, uplinks, what
waits, and what was counted since the start.

It is asked at its control socket, which the gateway's own user and root can
open; else at its metrics listener, where that answers without a password. With
--url another gateway's listener is asked.

With --watch it is asked every two seconds, until Ctrl-C: on a terminal the page is
drawn anew, elsewhere, and with --json, one follows the other.`,
		Example: `  sealgate status
  sealgate status --watch
  sealgate status --url https://gw-0042:9464 --ca ca.pem --user ops --password-file ops.secret --json`,
		Args: arguments(0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			from.given = cmd.Flags().Changed
			base, client, err := from.open()
			if err != nil {
				return err
			}
			v := &statusView{base: base, client: client, json: asJSON, again: watch, w: cmd.OutOrStdout()}
			if err := v.show(cmd.Context()); err != nil {
				return hinted{err, "is it running? its log is in: journalctl -u sealgate"}
			}
			if watch {
				return v.watch(cmd.Context())
			}
			return nil
		},
	}
	from.flags(c.Flags())
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	c.Flags().BoolVarP(&watch, "watch", "w", false, "ask again and again")
	return c
}

// A statusView asks a gateway how it is and shows it.
type statusView struct {
	base   string
	client *http.Client
	json   bool
	again  bool // it is asked again and again
	w      io.Writer
	shown  bool             // something
	last   *telemetry.Stats // what it answered last, for rates
	then   time.Time
}

func (v *statusView) show(ctx context.Context) error {
	raw, err := v.ask(ctx)
	if err != nil {
		return err
	}
	if v.json {
		_, err := v.w.Write(raw)
		return err
	}
	s := new(telemetry.Stats)
	if err := json.Unmarshal(raw, s); err != nil {
		return fmt.Errorf("read status: %w", err)
	}
	now := time.Now()
	var page bytes.Buffer
	printStatus(&page, s, now)
	if v.last != nil {
		printRates(&page, v.last, s, now.Sub(v.then))
	}
	v.last, v.then = s, now
	return v.frame(page.Bytes())
}

// frame writes a page: in a watch on a terminal in the place of the one before,
// as far as it fits.
func (v *statusView) frame(page []byte) error {
	f, ok := v.w.(*os.File)
	switch {
	case v.again && ok && term.IsTerminal(int(f.Fd())):
		if _, rows, err := term.GetSize(int(f.Fd())); err == nil && rows > 1 {
			lines := bytes.SplitAfter(page, []byte("\n"))
			page = bytes.Join(lines[:min(len(lines), rows-1)], nil)
		}
		// Each line is cleared to its end, then what is below: without a flicker.
		page = append([]byte("\x1b[H"), bytes.ReplaceAll(page, []byte("\n"), []byte("\x1b[K\n"))...)
		page = append(page, "\x1b[J"...)
		if !v.shown {
			page = append([]byte("\x1b[2J"), page...)
		}
	case v.shown:
		page = append([]byte("\n"), page...)
	}
	v.shown = true
	if _, err := v.w.Write(page); err != nil {
		return fmt.Errorf("write status: %w", err)
	}
	return nil
}

// watchEvery is how often a watch asks.
const watchEvery = 2 * time.Second

// watch shows a gateway until ctx ends. One that does not answer may be starting
// again, so it is asked again.
func (v *statusView) watch(ctx context.Context) error {
	t := time.NewTicker(watchEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
		err := v.show(ctx)
		if errors.Is(err, syscall.EPIPE) {
			return nil // whoever read is gone
		}
		if err != nil && ctx.Err() == nil && !v.json {
			if err := v.frame(fmt.Appendf(nil, "no answer since %s\n%v\n", v.then.Format(time.TimeOnly), err)); err != nil {
				return err
			}
		}
	}
}

// printRates says how much came and left between two answers.
func printRates(w io.Writer, a, b *telemetry.Stats, d time.Duration) {
	rate := func(a, b uint64) float64 {
		if b < a { // it was started again in between
			return 0
		}
		return float64(b-a) / d.Seconds()
	}
	fmt.Fprintf(w, "\nnow        %.1f messages/s in", rate(a.Ingress.Received, b.Ingress.Received))
	for i := range b.Uplinks {
		u := &b.Uplinks[i]
		if i < len(a.Uplinks) && a.Uplinks[i].Name == u.Name {
			fmt.Fprintf(w, ", %.1f/s acknowledged by %s", rate(a.Uplinks[i].Acknowledged, u.Acknowledged), printable(u.Name))
		}
	}
	fmt.Fprintln(w)
}

func (v *statusView) ask(ctx context.Context) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(v.base, "/")+"/api/v1/status", nil)
	if err != nil {
		return nil, fmt.Errorf("ask the gateway: %w", err)
	}
	resp, err := v.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask the gateway: %w", err)
	}
	defer resp.Body.Close()
	if resp.StatusCode == http.StatusUnauthorized {
		return nil, fmt.Errorf("ask the gateway: %s wants a name and a password: --user and --password-file", req.URL)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("ask the gateway: %s answered %s", req.URL, resp.Status)
	}
	raw, err := io.ReadAll(io.LimitReader(resp.Body, statusBytes))
	if err != nil {
		return nil, fmt.Errorf("read status: %w", err)
	}
	if !json.Valid(raw) {
		return nil, fmt.Errorf("read status: %s is not a gateway's", req.URL)
	}
	return raw, nil
}

const columns = 80

// printStatus fits into 80 columns.
func printStatus(w io.Writer, s *telemetry.Stats, now time.Time) {
	state := "ready"
	if !s.Ready {
		state = "not ready: " + printable(s.Why)
	}
	fmt.Fprintf(w, "%s  %s\n", printable(s.Gateway), state)
	for _, a := range s.Alarms {
		fmt.Fprintf(w, "ALARM      %s\n", printable(a.ID))
		wrap(w, "           ", printable(a.Text))
		wrap(w, "           ", "do: "+printable(a.Do))
	}
	fmt.Fprintf(w, "mode       %s\n", printable(cmp.Or(s.Mode, "-")))
	fmt.Fprintf(w, "policy     %d, %s, for %s\n", s.Policy.Version, printable(cmp.Or(s.Policy.Source, "-")), since(s.Policy.Applied, now))
	if s.Custody.Kind != "" {
		rollback := "unprotected"
		if s.Custody.Rollback == "tpm" {
			rollback = "noticed"
		}
		fmt.Fprintf(w, "keys       %s, since %s, %d rescue keys, rollback %s\n",
			printable(s.Custody.Kind), s.Custody.Created.Format(time.DateOnly), s.Custody.Rescue, rollback)
	}
	fmt.Fprintf(w, "devices    %d connected, %d received, %d acknowledged, %d refused\n",
		s.Ingress.Connected, s.Ingress.Received, s.Ingress.Acknowledged, s.Ingress.Refused)
	for _, b := range s.Ingress.Brokers {
		state := "read"
		if !b.Connected {
			state = "not read"
		}
		fmt.Fprintf(w, "broker     %s %s\n", printable(b.Broker), state)
	}
	fmt.Fprintf(w, "waiting    %d messages, %s of %s", s.Spool.Records, size(s.Spool.Bytes), size(s.Spool.Limit))
	if s.Spool.Records > 0 {
		fmt.Fprintf(w, ", oldest %s", since(s.Spool.Oldest, now))
	}
	fmt.Fprintf(w, "\nelse       %d held for a key, %d stay here, %d without a route, %d panics\n", s.Held, s.Unmapped, s.Unrouted, s.Panics)
	fmt.Fprintf(w, "\n%-22s %-12s %12s %7s %11s %10s\n", "uplink", "", "acknowledged", "resent", "quarantined", "in flight")
	for _, u := range s.Uplinks {
		link := "down"
		if u.Connected {
			link = "up"
			if u.RoundTrip > 0 {
				link += " " + u.RoundTrip.Round(10*time.Microsecond).String()
			}
		}
		fmt.Fprintf(w, "%-22.22s %-12.12s %12d %7d %11d %10d\n", printable(u.Name), link, u.Acknowledged, u.Resent, u.Quarantined, u.InFlight)
	}
	printFlows(w, s, now)
	if slices.ContainsFunc(s.Uplinks, func(u telemetry.Uplink) bool { return u.Subjects.All > 0 }) {
		fmt.Fprintln(w)
	}
	for _, u := range s.Uplinks {
		if u.Subjects.All > 0 {
			fmt.Fprintf(w, "people     about %d this year over %s", u.Subjects.All, printable(u.Name))
			if u.Subjects.Limit > 0 {
				fmt.Fprintf(w, ", %.0f %% of %d", u.Subjects.Percent(), u.Subjects.Limit)
			}
			fmt.Fprintln(w)
		}
	}
}

// mostFlows is how many rows of what leaves fit on a screen; the most harmful
// and least protected come first.
const mostFlows = 12

// printFlows says what leaves, by the policy's routes.
func printFlows(w io.Writer, s *telemetry.Stats, now time.Time) {
	if len(s.Flows) == 0 {
		return
	}
	fmt.Fprintf(w, "\n%-26s %-14s %-5s %-12s %12s %6s\n", "what leaves: route", "uplink", "grade", "", "messages", "last")
	for i, f := range s.Flows {
		if i == mostFlows {
			fmt.Fprintf(w, "and %d rows more; --json has all\n", len(s.Flows)-i)
			break
		}
		fmt.Fprintf(w, "%-26.26s %-14.14s %-5.5s %-12.12s %12d %6s\n", printable(f.Route), printable(f.Uplink), printable(f.Grade), printable(f.Outcome), f.Messages, since(f.Last, now))
	}
}

// printable keeps what could move the cursor off the terminal.
func printable(s string) string {
	return strings.Map(func(c rune) rune {
		if !unicode.IsPrint(c) {
			return ' '
		}
		return c
	}, s)
}

func wrap(w io.Writer, indent, text string) {
	line := indent
	for _, word := range strings.Fields(text) {
		if len(line)+1+len(word) > columns && line != indent {
			fmt.Fprintln(w, line)
			line = indent
		}
		if line != indent {
			line += " "
		}
		line += word
	}
	fmt.Fprintln(w, line)
}

func since(t, now time.Time) string {
	switch d := now.Sub(t); {
	case t.IsZero():
		return "-"
	case d < time.Minute:
		return d.Round(time.Second).String()
	case d < 48*time.Hour:
		return strings.TrimSuffix(d.Round(time.Minute).String(), "0s")
	default:
		return fmt.Sprintf("%dd", int(d.Hours()/24))
	}
}

func size(n int64) string {
	switch {
	case n < 1<<10:
		return fmt.Sprintf("%d B", n)
	case n < 1<<20:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	case n < 1<<30:
		return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
	}
	return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
}
