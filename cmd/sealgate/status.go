package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/sealgate/sealgate/agent/config"
	"github.com/sealgate/sealgate/agent/telemetry"
)

// statusBytes bounds what a gateway may answer.
const statusBytes = 1 << 20

func statusCommand() *cobra.Command {
	var base, path string
	var asJSON bool
	c := &cobra.Command{
		Use:   "status",
		Short: "show how the running gateway is",
		Long: `Ask the running gateway how it is, at its metrics listener: alarms first, then
policy, uplinks, what waits, and what was counted since the start.

The address is taken from the configuration, or given with --url.`,
		Example: "  sealgate status\n  sealgate status --url http://127.0.0.1:9464 --json",
		Args:    arguments(0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if base != "" && cmd.Flags().Changed("config") {
				return usageError{errors.New("say --config or --url, not both")}
			}
			if base == "" {
				cfg, err := config.Load(path)
				if err != nil {
					return hinted{err, "say --config FILE, or --url http://HOST:PORT of the gateway's metrics listener"}
				}
				if cfg.Metrics.Listen == "off" {
					return hinted{errors.New("metrics.listen is off: the gateway can't be asked"), "set metrics.listen to a loopback address, and restart"}
				}
				base = "http://" + cfg.Metrics.Listen
			}
			raw, err := askStatus(cmd.Context(), base)
			if err != nil {
				return hinted{err, "is it running? its log is in: journalctl -u sealgate"}
			}
			if asJSON {
				_, err := cmd.OutOrStdout().Write(raw)
				return err
			}
			var s telemetry.Stats
			if err := json.Unmarshal(raw, &s); err != nil {
				return fmt.Errorf("read status: %w", err)
			}
			printStatus(cmd.OutOrStdout(), &s, time.Now())
			return nil
		},
	}
	c.Flags().StringVarP(&path, "config", "c", defaultConfig, "configuration `file`")
	c.Flags().StringVar(&base, "url", "", "`URL` of the gateway's metrics listener")
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func askStatus(ctx context.Context, base string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimSuffix(base, "/")+"/api/v1/status", nil)
	if err != nil {
		return nil, fmt.Errorf("ask the gateway: %w", err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, fmt.Errorf("ask the gateway: %w", err)
	}
	defer resp.Body.Close()
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
