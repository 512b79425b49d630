package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/sealgate/sealgate/agent/control/fleet"
	"github.com/sealgate/sealgate/crypto/signed"
)

func newPolicyRollout(e *env) *cobra.Command {
	var d desk
	var failures float64
	var timeout, settle time.Duration
	var patient bool
	c := &cobra.Command{
		Use:   "rollout FILE...",
		Short: "Push a policy stage by stage, and stop when too many gateways fail",
		Long: `Rollout pushes the first document, waits until every gateway that it selects has
it in force, and goes on to the next; sealctl policy compile --stages makes them.
It stops by itself when more gateways refuse it or take it back than --failures
allows: what was pushed stays where it is, and sealctl policy rollback makes the
way back. A gateway that says nothing is not waited for, but shown.`,
		Example: "  sealctl policy rollout policy-7.json policy-8.json policy-9.json --broker mqtts://broker.example.com:8883",
		Args:    want(1, -1, "the signed documents of the stages, in order"),
		RunE: func(c *cobra.Command, args []string) error {
			stages, err := e.stages(&d, args)
			if err != nil {
				return err
			}
			f, err := d.fleet(fleet.Options{})
			if err != nil {
				return err
			}
			ctx, stop := context.WithCancel(c.Context())
			defer stop()
			conn, err := d.connect(ctx)
			if err != nil {
				return err
			}
			defer conn.Close()
			listening := d.watch(ctx, e, f)
			for i, s := range stages {
				where := topic(s.policy.Site, "cfg/"+s.policy.Target)
				if err := publish(ctx, conn, where, true, s.raw); err != nil {
					return err
				}
				title := fmt.Sprintf("stage %d of %d, version %d, %g%%", i+1, len(stages), s.policy.Version, float64(s.policy.Rollout.Permille)/10)
				if err := e.stage(ctx, f, s.policy, title, stageOptions{int(failures*10 + 0.5), timeout, settle, !patient}, listening); err != nil {
					return err
				}
			}
			fmt.Fprintln(e.stdout, e.styled(green, "done"))
			return nil
		},
	}
	fl := c.Flags()
	d.registerKeys(fl)
	d.registerBroker(fl)
	fl.Float64Var(&failures, "failures", fleet.MaxFailures/10., "stop above this `PERCENT` of failures")
	fl.DurationVar(&timeout, "timeout", 30*time.Minute, "give up a stage that has not settled after `TIME`")
	fl.DurationVar(&settle, "settle", 5*time.Second, "collect statuses for `TIME` before the first look at a stage")
	fl.BoolVar(&patient, "after-probation", false, "go on only when the gateways' probation is over")
	return c
}

type stage struct {
	policy *signed.Policy
	raw    []byte
}

// stages reads and checks all documents before the first is pushed.
func (e *env) stages(d *desk, paths []string) ([]stage, error) {
	var out []stage
	for _, path := range paths {
		raw, err := readFile(path, signed.MaxEnvelope)
		if err != nil {
			return nil, err
		}
		x, err := e.verify(d, path, raw)
		if err != nil {
			return nil, err
		}
		if x.policy == nil {
			return nil, usageError("%s is no policy", path)
		}
		if n := len(out); n > 0 {
			last := out[n-1].policy
			if last.Target != x.Target || last.Version >= x.Version || last.Rollout.Salt != x.policy.Rollout.Salt || last.Rollout.Permille > x.Permille {
				return nil, usageError("%s does not follow the stage before: same target and salt, higher version, no smaller share", path)
			}
		}
		out = append(out, stage{x.policy, raw})
	}
	return out, nil
}

type stageOptions struct {
	failures        int // permille
	timeout, settle time.Duration
	probation       bool // is enough
}

// stage waits until a stage has settled. Its line is written anew on a terminal,
// and when something changed elsewhere.
func (e *env) stage(ctx context.Context, f *fleet.Fleet, p *signed.Policy, title string, o stageOptions, listening <-chan error) error {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	late, first := time.After(o.timeout), time.Now().Add(o.settle)
	var shown fleet.Progress
	for started := false; ; started = true {
		at := f.Progress(p)
		line := title + ": " + at.String()
		switch {
		case e.lively:
			fmt.Fprintf(e.stderr, "\r\x1b[K%s", line)
		case !started || at != shown:
			fmt.Fprintln(e.stderr, line)
		}
		shown = at
		if time.Now().After(first) {
			switch at.Judge(o.failures, o.probation) {
			case fleet.Stop:
				e.endLine()
				return bad(fmt.Errorf("stopped at %s: %d of %d gateways failed; see sealctl fleet status, and sealctl policy rollback for the way back", title, at.Failed, at.Selected))
			case fleet.Next:
				e.endLine()
				fmt.Fprintln(e.stdout, line)
				return nil
			}
		}
		select {
		case <-tick.C:
		case err := <-listening:
			e.endLine()
			return errors.Join(errors.New("the statuses of the gateways don't come any more"), err)
		case <-late:
			e.endLine()
			return bad(fmt.Errorf("%s has not settled after %s: %s", title, o.timeout, at))
		case <-ctx.Done():
			e.endLine()
			return errInterrupted
		}
	}
}

func (e *env) endLine() {
	if e.lively {
		fmt.Fprint(e.stderr, "\r\x1b[K")
	}
}
