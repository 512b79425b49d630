package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/sealgate/sealgate/agent/config"
	"github.com/sealgate/sealgate/agent/telemetry"
)

// undoImport gives a gateway back to mosquitto: when nothing waits for the
// cloud, the service ends for good, and mosquitto's begins. Configuration and
// state stay, for another try. force does it although something waits.
func undoImport(ctx context.Context, w io.Writer, dir string, force bool) error {
	path := filepath.Join(dir, "agent.yaml")
	cfg, err := config.Load(path)
	if err != nil {
		return hinted{err, "say --out DIR, where the configuration is that was imported"}
	}
	if err := nothingWaits(ctx, path); err != nil && !force {
		return hinted{err, "let it empty itself (sealgate status shows it), or say --force: what waits stays in " + cfg.State + ", and a later start sends it"}
	}
	if err := systemctl(ctx, "disable", "--now", "sealgate.service"); err != nil {
		return err
	}
	if err := systemctl(ctx, "enable", "--now", "mosquitto.service"); err != nil {
		again := systemctl(ctx, "enable", "--now", "sealgate.service")
		return hinted{errors.Join(fmt.Errorf("mosquitto does not start, so Sealgate was started again: %w", err), again), "journalctl -u mosquitto says why"}
	}
	fmt.Fprintf(w, "mosquitto is back. Configuration and keys stay in %s and %s;\nsystemctl disable --now mosquitto && systemctl enable --now sealgate\nchanges over once more.\n", dir, cfg.State)
	return nil
}

// nothingWaits asks the running gateway.
func nothingWaits(ctx context.Context, path string) error {
	from := source{path: path, given: func(string) bool { return false }}
	base, client, err := from.open()
	if err != nil {
		return fmt.Errorf("nobody knows what waits for the cloud: %w", err)
	}
	raw, err := (&statusView{base: base, client: client}).ask(ctx)
	if err != nil {
		return fmt.Errorf("nobody knows what waits for the cloud: %w", err)
	}
	s := new(telemetry.Stats)
	if err := json.Unmarshal(raw, s); err != nil {
		return fmt.Errorf("read status: %w", err)
	}
	if s.Spool.Records > 0 {
		return fmt.Errorf("%d messages wait for the cloud, and mosquitto can't read them", s.Spool.Records)
	}
	return nil
}

func systemctl(ctx context.Context, args ...string) error {
	out, err := exec.CommandContext(ctx, "systemctl", args...).CombinedOutput()
	if errors.Is(err, exec.ErrNotFound) {
		return hinted{errors.New("there is no systemctl here"), "stop Sealgate and start mosquitto as this system does"}
	}
	if err != nil {
		return fmt.Errorf("systemctl %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(printable(string(out))))
	}
	return nil
}
