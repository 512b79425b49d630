package main

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"

	"github.com/sealgate/sealgate/agent"
)

// notifier tells the service manager how the gateway is, where there is one
// (NOTIFY_SOCKET; sd_notify(3)). Without one it does nothing.
type notifier struct {
	log    *slog.Logger
	status func() string
}

func (n notifier) send(lines ...string) {
	if _, err := daemon.SdNotify(false, strings.Join(lines, "\n")); err != nil {
		n.log.Warn("the service manager can't be told", "error", err)
	}
}

func (n notifier) ready() { n.send(daemon.SdNotifyReady, "STATUS="+n.status()) }

func (n notifier) stopping() {
	n.send(daemon.SdNotifyStopping, "STATUS=draining: what is not acknowledged by an uplink stays in the spool")
}

// reloading begins a reload; ready ends it.
func (n notifier) reloading() {
	n.send(daemon.SdNotifyReloading, strings.TrimSpace(daemon.SdNotifyMonotonicUsec()))
}

const statusEvery = 10 * time.Second

// run keeps the status line fresh and, where the service manager watches, feeds
// its watchdog for as long as moving says so. It returns when ctx ends.
func (n notifier) run(ctx context.Context, moving func() bool) {
	watch, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		n.log.Warn("the watchdog is not fed", "error", err)
	}
	status := time.NewTicker(statusEvery)
	defer status.Stop()
	feed := make(<-chan time.Time)
	if watch > 0 {
		t := time.NewTicker(max(watch/4, time.Millisecond))
		defer t.Stop()
		feed = t.C
	}
	for stuck := false; ; {
		select {
		case <-ctx.Done():
			return
		case <-status.C:
			n.send("STATUS=" + n.status())
		case <-feed:
			switch {
			case moving():
				stuck = false
				n.send(daemon.SdNotifyWatchdog)
			case !stuck:
				stuck = true
				n.log.Error("no message moves through the corridor; the watchdog is not fed", "restart_in", watch)
			}
		}
	}
}

// statusLine is the gateway in one line.
func statusLine(a *agent.Agent) string {
	s := a.Stats()
	if s.Custody.Sealed {
		return "nothing leaves: " + s.Why
	}
	connected := 0
	for _, u := range s.Uplinks {
		if u.Connected {
			connected++
		}
	}
	line := fmt.Sprintf("%s, policy %d (%s), %d of %d uplinks connected, %d messages wait", cmp.Or(s.Mode, "starting"),
		s.Policy.Version, s.Policy.Source, connected, len(s.Uplinks), s.Spool.Records)
	if n := len(s.Alarms); n > 0 {
		line += fmt.Sprintf(", %d alarms: sealgate status", n)
	}
	return line
}
