// Command sealgate is the gateway's agent. It is a doorway: flags, logger,
// signals and exit codes; everything else is package agent.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// Exit codes.
const (
	exitFine    = 0
	exitFailure = 1
	exitUsage   = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	code := run(ctx, environment{args: os.Args[1:], stdin: os.Stdin, stdout: os.Stdout, stderr: os.Stderr, reload: hup})
	stop()
	os.Exit(code)
}

// environment is what a command sees of the process.
type environment struct {
	args           []string
	stdin          io.Reader
	stdout, stderr io.Writer
	reload         <-chan os.Signal
}

// run executes one command line and returns the exit code.
func run(ctx context.Context, env environment) int {
	root := &cobra.Command{
		Use:   "sealgate",
		Short: "nothing leaves the gateway ungraded",
		Long: `Sealgate classifies and grades every field of every MQTT message that is about
to leave a gateway, does what the policy says for that grade, keeps the
protected result until the cloud has acknowledged it, and shows what left.`,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetArgs(env.args)
	root.SetIn(env.stdin)
	root.SetOut(env.stdout)
	root.SetErr(env.stderr)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	root.AddCommand(runCommand(env), checkCommand(), doctorCommand(), setupCommand(env), importCommand(), demoCommand(env), statusCommand(), quarantineCommand(), keysCommand(), backupCommand(), restoreCommand(), enrollCommand(), revealCommand(), versionCommand(), manCommand(root))
	for _, c := range root.Commands() {
		c.Args = usageArgs(c.Args)
	}
	cmd, err := root.ExecuteContextC(ctx)
	if err == nil {
		return exitFine
	}
	fmt.Fprintf(env.stderr, "sealgate: %v\n", err)
	var hint hinted
	if errors.As(err, &hint) {
		fmt.Fprintf(env.stderr, "sealgate: hint: %s\n", hint.hint)
	}
	var usage usageError
	if errors.As(err, &usage) || cmd == root {
		fmt.Fprintf(env.stderr, "sealgate: hint: see %s --help\n", cmd.CommandPath())
		return exitUsage
	}
	return exitFailure
}

// usageError is a command line that can't be understood.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

func usageArgs(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if check == nil {
			return nil
		}
		if err := check(cmd, args); err != nil {
			return usageError{err}
		}
		return nil
	}
}

// arguments demands a number of arguments.
func arguments(n int, what string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == n {
			return nil
		}
		return fmt.Errorf("%s wants %s, got %d arguments", cmd.CommandPath(), what, len(args))
	}
}

// hinted is an error that knows what to do next.
type hinted struct {
	error
	hint string
}

func (h hinted) Unwrap() error { return h.error }
