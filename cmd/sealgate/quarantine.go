package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/sealgate/sealgate/agent"
	"github.com/sealgate/sealgate/agent/config"
)

func quarantineCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "quarantine",
		Short: "messages that an uplink would not take",
		Long: `Messages that an uplink refuses, or that are beyond what its broker takes, don't
hold up the others: they are set aside, protected as they would have left, with
the reason. These commands ask the running gateway at its control socket; where
none runs they open its spool.

A released message goes to the end of what its uplink is sent. If the reason
still holds, it comes back.`,
		Example: `  sealgate quarantine list
  sealgate quarantine show 5f2c... > payload.bin
  sealgate quarantine release --all
  sealgate quarantine drop 5f2c...`,
		Args: arguments(0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	var path string
	c.PersistentFlags().StringVarP(&path, "config", "c", defaultConfig, "configuration `file`")
	open := func(cmd *cobra.Command) (*agent.Quarantine, error) {
		cfg, err := config.Load(path)
		if err != nil {
			return nil, err
		}
		machine, _ := machineID() // where there is none, keys are not bound to it
		q, err := agent.OpenQuarantine(cmd.Context(), cfg, machine)
		if err != nil {
			return nil, hinted{err, "run it as the user of the gateway, on the gateway"}
		}
		return q, nil
	}
	c.AddCommand(quarantineList(open), quarantineShow(open),
		quarantineEach(open, "release", "send messages after all", "released", (*agent.Quarantine).Release),
		quarantineEach(open, "drop", "delete messages for good", "dropped", (*agent.Quarantine).Drop))
	return c
}

type openQuarantine func(*cobra.Command) (*agent.Quarantine, error)

func quarantineList(open openQuarantine) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "list", Short: "list them, without their content", Args: arguments(0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			q, err := open(cmd)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, q.Close()) }()
			all, err := q.List()
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(all)
			}
			if len(all) == 0 {
				fmt.Fprintln(cmd.ErrOrStderr(), "the quarantine is empty")
				return nil
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "ID\tUPLINK\tREASON\tSINCE\tBYTES\tGRADE\tTOPIC")
			for _, m := range all {
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%s\t%s\n", m.ID, m.Uplink, m.Reason, m.Since.UTC().Format(time.RFC3339), m.Bytes, m.Grade, printable(m.Topic))
			}
			return w.Flush()
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func quarantineShow(open openQuarantine) *cobra.Command {
	var asJSON bool
	c := &cobra.Command{
		Use: "show ID", Short: "write one as it would have left, protected", Args: arguments(1, "the id of a message: see sealgate quarantine list"),
		RunE: func(cmd *cobra.Command, args []string) (err error) {
			q, err := open(cmd)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, q.Close()) }()
			m, err := q.Show(args[0])
			if err != nil {
				return err
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(m)
			}
			_, err = cmd.OutOrStdout().Write(m.Payload)
			return err
		},
	}
	c.Flags().BoolVar(&asJSON, "json", false, "print JSON, with the payload in base64")
	return c
}

func quarantineEach(open openQuarantine, name, short, done string, do func(*agent.Quarantine, string) error) *cobra.Command {
	var all bool
	c := &cobra.Command{
		Use: name + " [ID...]", Short: short,
		RunE: func(cmd *cobra.Command, ids []string) (err error) {
			if all == (len(ids) > 0) {
				return usageError{errors.New("say the ids of messages, or --all")}
			}
			q, err := open(cmd)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, q.Close()) }()
			if all {
				list, err := q.List()
				if err != nil {
					return err
				}
				for _, m := range list {
					ids = append(ids, m.ID)
				}
			}
			for i, id := range ids {
				if err := do(q, id); err != nil {
					return fmt.Errorf("%s (%d %s before it): %w", id, i, done, err)
				}
			}
			fmt.Fprintf(cmd.ErrOrStderr(), "%d messages %s\n", len(ids), done)
			return nil
		},
	}
	c.Flags().BoolVar(&all, "all", false, "all of them")
	return c
}
