package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/sealgate/sealgate/agent"
)

func backupCommand() *cobra.Command {
	var path string
	var to []string
	c := &cobra.Command{
		Use:   "backup FILE",
		Short: "write what makes this gateway into an encrypted file",
		Long: `Write the gateway's keys, its counters, and what it has accepted from its
operators into a file (- is standard output), encrypted to its rescue keys and to
those named by --to, and signed by it. Nothing in it opens what was sent, and what
waits in the spool is not in it. The gateway may run.

Whoever has the file and one of those keys can be this gateway: sealgate restore.`,
		Example: "  sealgate backup /media/usb/gw-0042.backup",
		Args:    arguments(1, "the file to write"),
		RunE: func(cmd *cobra.Command, args []string) error {
			k, err := keeper(cmd, path)
			if err != nil {
				return err
			}
			raw, err := k.Backup(cmd.Context(), to)
			if err != nil {
				return err
			}
			if args[0] == "-" {
				_, err := cmd.OutOrStdout().Write(raw)
				return err
			}
			return writeNew(args[0], raw)
		},
	}
	c.Flags().StringVarP(&path, "config", "c", defaultConfig, "configuration `file`")
	c.Flags().StringArrayVar(&to, "to", nil, "encrypt to the public key in `FILE`, too; may be repeated")
	return c
}

// writeNew writes a file that was not there. What could not be written whole is
// removed.
func writeNew(path string, raw []byte) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already: choose another name", path)
	}
	if err != nil {
		return fmt.Errorf("write backup: %w", err)
	}
	_, err = f.Write(raw)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return fmt.Errorf("write backup: %w", errors.Join(err, os.Remove(path)))
	}
	return nil
}

func restoreCommand() *cobra.Command {
	var path, file, pass, to, signer string
	var asJSON bool
	c := &cobra.Command{
		Use:   "restore FILE --key FILE",
		Short: "make this machine the gateway of a backup",
		Long: `Make this machine the gateway of a backup: its keys, in custody here, and a boot
counter that none of its starts had, so that nothing is numbered twice. The key is
the private half of the rescue key, or of another that the backup is encrypted to.
Install agent.yaml first. A gateway that is there is never overwritten.

The one that is replaced must not run again. What waited in its spool is lost to
this one; put its disk into another machine to send it.

With --gateway-key only a backup that this key signed is taken. Without, compare
the signing key that is printed with the registry.`,
		Example: "  sealgate restore gw-0042.backup --key rescue.key.json --to tpm",
		Args:    arguments(1, "the backup"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if file == "" {
				return usageError{errors.New("say with which key it opens: --key FILE")}
			}
			k, err := keeper(cmd, path)
			if err != nil {
				return err
			}
			known, err := agent.ReadVerifier(signer)
			if err != nil {
				return err
			}
			raw, err := readBackup(args[0])
			if err != nil {
				return err
			}
			info, err := k.Restore(cmd.Context(), raw, agent.KeyFile{Path: file, Passphrase: passphrase(pass)}, to, known)
			if err != nil {
				return err
			}
			return printKeys(cmd.OutOrStdout(), info, asJSON, time.Now())
		},
	}
	f := c.Flags()
	f.StringVarP(&path, "config", "c", defaultConfig, "configuration `file`")
	f.StringVar(&file, "key", "", "private key `FILE`")
	f.StringVar(&pass, "passphrase-file", "", "the key's passphrase is the first line of `FILE`")
	f.StringVar(&to, "to", "", "`KIND` of custodian: "+custodyKinds+" (default: custody.kind, else file)")
	f.StringVar(&signer, "gateway-key", "", "public key `FILE` that the gateway is known to sign with")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	return c
}

func readBackup(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read backup: %w", err)
	}
	defer f.Close()
	raw, err := io.ReadAll(io.LimitReader(f, agent.MaxBackup+1))
	if err != nil {
		return nil, fmt.Errorf("read backup: %w", err)
	}
	return raw, nil
}
