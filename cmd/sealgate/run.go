package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/sealgate/sealgate/agent"
	"github.com/sealgate/sealgate/agent/config"
	"github.com/sealgate/sealgate/agent/telemetry"
)

// drainTime bounds how long a stop may take: shorter than what systemd gives.
const drainTime = 20 * time.Second

const defaultConfig = "/etc/sealgate/agent.yaml"

func runCommand(env environment) *cobra.Command {
	var path string
	c := &cobra.Command{
		Use:   "run",
		Short: "run the gateway until it is stopped",
		Long: `Run the gateway in the foreground until SIGINT or SIGTERM.

SIGHUP reads the policy and the recipients again and swaps them in without
losing a message; where they are refused, those in force stay. So it does with
the users and the ACL of the embedded broker: clients of users who are gone, or
have another password, are disconnected.`,
		Example: "  sealgate run --config /etc/sealgate/agent.yaml",
		Args:    arguments(0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := config.Load(path)
			if errors.Is(err, fs.ErrNotExist) {
				return hinted{err, "sealgate setup makes one, and sealgate import makes one of mosquitto's; or say --config FILE"}
			}
			if err != nil {
				return hinted{err, "sealgate check --config " + path + " shows every problem at once"}
			}
			return runAgent(cmd.Context(), cfg, env)
		},
	}
	c.Flags().StringVarP(&path, "config", "c", defaultConfig, "configuration `file`")
	return c
}

func runAgent(ctx context.Context, cfg *config.Config, env environment) error {
	log := logger(cfg.Log, env.stderr)
	if err := keepMemory(); err != nil {
		log.Warn("keys in memory could be dumped", "error", err)
	}
	machine, err := machineID()
	if err != nil {
		log.Warn("this machine has no id: keys are not bound to it", "error", err)
	}
	opt := agent.Options{Config: cfg, Logger: log, Build: build(), Machine: machine}
	for {
		a, err := agent.Start(ctx, opt)
		if errors.Is(err, syscall.EADDRINUSE) {
			return hinted{err, "another program listens there, such as a mosquitto that its package has started (systemctl stop mosquitto): stop it, or choose another port; sealgate doctor looks at each"}
		}
		if err != nil {
			return err
		}
		again, err := runUntilStopped(ctx, a, log, env.reload)
		if err := stop(a, err); err != nil || !again {
			return err
		}
	}
}

// runUntilStopped tells the service manager how the gateway is until it is to
// stop, or, because its keys can be opened now, to start again.
func runUntilStopped(ctx context.Context, a *agent.Agent, log *slog.Logger, reload <-chan os.Signal) (again bool, err error) {
	tell := notifier{log: log, status: func() string { return statusLine(a) }}
	tell.ready()
	watch, stopWatch := context.WithCancel(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		tell.run(watch, a.Moving())
	}()
	again, err = serve(ctx, a, tell, reload)
	stopWatch()
	<-watched
	if !again {
		tell.stopping()
	}
	return again, err
}

// serve runs until the gateway is to stop or to start again, or can't go on.
func serve(ctx context.Context, a *agent.Agent, tell notifier, reload <-chan os.Signal) (again bool, err error) {
	for {
		select {
		case <-ctx.Done():
			return false, nil
		case <-a.Unsealed():
			return true, nil
		case err := <-a.Failed():
			return false, err
		case <-reload:
			tell.reloading()
			if err := a.Reload(); err != nil {
				tell.log.Error("reload refused; the rules in force stay", "error", err)
			}
			tell.ready()
		}
	}
}

// machineID is what the gateway's keys are bound to (machine-id(5)).
func machineID() ([]byte, error) {
	id, err := os.ReadFile("/etc/machine-id")
	return bytes.TrimSpace(id), err
}

func stop(a *agent.Agent, why error) error {
	ctx, cancel := context.WithTimeout(context.Background(), drainTime)
	defer cancel()
	return errors.Join(why, a.Stop(ctx))
}

func logger(cfg config.Log, w io.Writer) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(cfg.Level)); err != nil {
		level = slog.LevelInfo // config has checked it
	}
	opt := &slog.HandlerOptions{Level: level}
	if cfg.Format == "json" {
		return slog.New(telemetry.NewLogHandler(slog.NewJSONHandler(w, opt)))
	}
	return slog.New(telemetry.NewLogHandler(slog.NewTextHandler(w, opt)))
}

func checkCommand() *cobra.Command {
	var path string
	c := &cobra.Command{
		Use:   "check",
		Short: "check the configuration and all that it names",
		Long: `Check the configuration, the policy, the recipients, users, access rules and
certificates. Every problem is printed with its place. Nothing is opened,
dialled or written.`,
		Example: "  sealgate check --config /etc/sealgate/agent.yaml",
		Args:    arguments(0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := config.Load(path)
			if err != nil {
				return err
			}
			notes, err := agent.Check(cfg, time.Now())
			for _, n := range notes {
				fmt.Fprintln(cmd.ErrOrStderr(), "note:", n)
			}
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s is valid\n", path)
			return nil
		},
	}
	c.Flags().StringVarP(&path, "config", "c", defaultConfig, "configuration `file`")
	return c
}
