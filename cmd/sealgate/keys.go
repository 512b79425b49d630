package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/sealgate/sealgate/agent"
	"github.com/sealgate/sealgate/agent/config"
)

// keysFlags are what the commands about keys have in common.
type keysFlags struct {
	config string
	json   bool
}

func keysCommand() *cobra.Command {
	c := &cobra.Command{
		Use:   "keys",
		Short: "the gateway's own keys, and who keeps the key that encrypts them",
		Long: `The gateway's own keys (signing, spool, pseudonyms, and one to receive with) lie
encrypted on its disk. The key that encrypts them, the KEK, is in custody: of a
TPM, a systemd credential, Vault, or, in clear, a file. None of these keys opens
what the gateway has sent.

  sealgate keys init --custody tpm --rescue rescue.pub.json
  sealgate keys show
  sealgate keys move --to tpm
  sealgate keys rotate signing

Changes need the gateway to be stopped. docs/keys.md walks through all of it.`,
		Args: arguments(0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	c.AddCommand(keysInit(), keysShow(), keysMove(), keysRotate(), keysRescue(), keysAccept(), keysCredential(), keysExport())
	return c
}

// keysDo is a command about the keys of the configuration's gateway.
func keysDo(c *cobra.Command, do func(*cobra.Command, *agent.Keeper, []string) (*agent.KeysInfo, error)) *cobra.Command {
	var f keysFlags
	c.RunE = func(cmd *cobra.Command, args []string) error {
		k, err := keeper(cmd, f.config)
		if err != nil {
			return err
		}
		info, err := do(cmd, k, args)
		if info != nil {
			if e := printKeys(cmd.OutOrStdout(), info, f.json, time.Now()); e != nil {
				return errors.Join(err, e)
			}
		}
		return err
	}
	c.Flags().StringVarP(&f.config, "config", "c", defaultConfig, "configuration `file`")
	c.Flags().BoolVar(&f.json, "json", false, "print JSON")
	return c
}

func keeper(cmd *cobra.Command, path string) (*agent.Keeper, error) {
	cfg, err := config.Load(path)
	if err != nil {
		return nil, err
	}
	machine, err := machineID()
	if err != nil {
		fmt.Fprintln(cmd.ErrOrStderr(), "note: this machine has no id: keys are not bound to it")
	}
	return &agent.Keeper{Config: cfg, Machine: machine, Now: time.Now}, nil
}

func printKeys(w io.Writer, x *agent.KeysInfo, asJSON bool, now time.Time) error {
	if asJSON {
		enc := json.NewEncoder(w)
		enc.SetIndent("", "  ")
		return enc.Encode(x)
	}
	fmt.Fprintf(w, "gateway    %s\n", printable(x.Gateway))
	fmt.Fprintf(w, "keys in    %s\n", printable(x.Directory))
	fmt.Fprintf(w, "custody    %s, %s old\n", printable(x.Custody), since(x.KEKCreated, now))
	wrap(w, "           ", printable(x.Protects))
	fmt.Fprintf(w, "rescue     %d offline keys\n", len(x.Rescue))
	for _, id := range x.Rescue {
		fmt.Fprintf(w, "           %s\n", printable(id))
	}
	if x.Rollback == "tpm" {
		fmt.Fprintf(w, "rollback   an older copy of the state is noticed by a counter in the TPM\n")
	} else {
		fmt.Fprintf(w, "rollback   unprotected: an older copy of the state is not noticed\n")
	}
	if !x.Open {
		fmt.Fprintf(w, "opens      no\n")
		return nil
	}
	fmt.Fprintf(w, "signs as   %s\n", printable(x.Signing))
	fmt.Fprintf(w, "\n%-24s %10s %10s %6s\n", "key", "generation", "age", "kept")
	for _, k := range x.Keys {
		fmt.Fprintf(w, "%-24s %10d %10s %6d\n", printable(k.Purpose), k.Generation, since(k.Created, now), k.Kept)
	}
	return nil
}

const custodyKinds = "tpm, credential, vault or file"

func keysInit() *cobra.Command {
	var kind string
	var rescue []string
	c := keysDo(&cobra.Command{
		Use:   "init",
		Short: "make the gateway's keys and put their KEK into custody",
		Long: `Make the keys of a new gateway and put the key that encrypts them, the KEK, into
custody. How to reach the custodian stands in agent.yaml, under custody.

With --rescue the KEK is also wrapped to an offline key, made elsewhere by
  sealctl keys create custody-rescue --dir safe
With its private half the keys open although the TPM, the server or the machine
is lost: sealgate keys rescue. Without one, a lost custodian means a new gateway
and a lost backlog.

A start without this makes the keys itself, as agent.yaml says.`,
		Example: "  sealgate keys init --custody tpm --rescue rescue.pub.json",
		Args:    arguments(0, "no argument"),
	}, func(cmd *cobra.Command, k *agent.Keeper, _ []string) (*agent.KeysInfo, error) {
		return k.Init(cmd.Context(), kind, rescue)
	})
	c.Flags().StringVar(&kind, "custody", "", "`KIND` of custodian: "+custodyKinds+" (default: custody.kind, else file)")
	c.Flags().StringArrayVar(&rescue, "rescue", nil, "public rescue key `FILE`; may be repeated")
	return c
}

func keysShow() *cobra.Command {
	c := keysDo(&cobra.Command{
		Use:     "show",
		Aliases: []string{"list"},
		Short:   "show the keys, their age, and who keeps the KEK",
		Long: `Show the gateway's own keys with their generations and ages, the custody of their
KEK, its rescue keys, and whether an older copy of the state would be noticed.
Nothing secret is shown. Exit code 1 where the keys don't open: then what can be
said without the KEK is printed, and why.`,
		Example: "  sealgate keys show --json",
		Args:    arguments(0, "no argument"),
	}, func(cmd *cobra.Command, k *agent.Keeper, _ []string) (*agent.KeysInfo, error) {
		return k.Show(cmd.Context())
	})
	return c
}

func keysMove() *cobra.Command {
	var to string
	var rescue []string
	c := keysDo(&cobra.Command{
		Use:   "move --to KIND",
		Short: "put a fresh KEK into another custody",
		Long: `Make a fresh KEK, put it into custody of another kind, and encrypt every key
under it. Cut short at any moment, the keys open by the old custodian or by the
new one. The old KEK is forgotten, and the rescue keys stay.

Where agent.yaml says custody.kind, change it there first.`,
		Example: "  sealgate keys move --to tpm",
		Args:    arguments(0, "no argument; --to says where"),
	}, func(cmd *cobra.Command, k *agent.Keeper, _ []string) (*agent.KeysInfo, error) {
		if to == "" {
			return nil, usageError{errors.New("say where to: --to " + custodyKinds)}
		}
		return k.Move(cmd.Context(), to, rescue)
	})
	c.Flags().StringVar(&to, "to", "", "`KIND` of custodian: "+custodyKinds)
	c.Flags().StringArrayVar(&rescue, "rescue", nil, "add a public rescue key `FILE`; may be repeated")
	return c
}

func keysRotate() *cobra.Command {
	return keysDo(&cobra.Command{
		Use:   "rotate PURPOSE",
		Short: "make a new generation of a key",
		Long: `Make a new generation of one of the gateway's own keys:

  signing            register it afterwards: sealgate enroll, and
                     sealctl registry add --successor; what the former one signed
                     stays authentic
  spool              new segments are under it; what waits is still read
  kem                what is delivered to the gateway
  pseudonym-DOMAIN   the same value gets another token from now on; the version
                     stands in the token
  kek                what encrypts all of them: a fresh one in the same custody

It takes effect at the next start.`,
		Example: "  systemctl stop sealgate; sealgate keys rotate signing; systemctl start sealgate",
		Args:    arguments(1, "the purpose of a key"),
	}, func(cmd *cobra.Command, k *agent.Keeper, args []string) (*agent.KeysInfo, error) {
		return k.Rotate(cmd.Context(), args[0])
	})
}

func keysRescue() *cobra.Command {
	var file, pass, to string
	c := keysDo(&cobra.Command{
		Use:   "rescue --key FILE",
		Short: "open the keys with an offline rescue key, and put them into custody here",
		Long: `Open the gateway's keys with the private half of a rescue key, where their
custodian or their machine is lost, and put a fresh KEK into custody on this
machine. The key directory is needed, and the gateway's name in agent.yaml.

A rescue key opens these keys and nothing that the gateway has sent: that is what
the recipients' recovery key is for.`,
		Example: "  sealgate keys rescue --key /media/usb/6b1e….key.json --to tpm",
		Args:    arguments(0, "no argument; --key says which key"),
	}, func(cmd *cobra.Command, k *agent.Keeper, _ []string) (*agent.KeysInfo, error) {
		if file == "" {
			return nil, usageError{errors.New("say which rescue key: --key FILE")}
		}
		return k.Rescue(cmd.Context(), agent.KeyFile{Path: file, Passphrase: passphrase(pass)}, to)
	})
	c.Flags().StringVar(&file, "key", "", "private rescue key `FILE`")
	c.Flags().StringVar(&pass, "passphrase-file", "", "the key's passphrase is the first line of `FILE`")
	c.Flags().StringVar(&to, "to", "", "`KIND` of custodian (default: the one that the keys had)")
	return c
}

// passphrase reads the first line of a file, when it is asked for.
func passphrase(file string) func(string) ([]byte, error) {
	if file == "" {
		return nil
	}
	return func(string) ([]byte, error) {
		raw, err := os.ReadFile(file)
		line, _, _ := bytes.Cut(raw, []byte("\n"))
		return bytes.TrimSuffix(line, []byte("\r")), err
	}
}

func keysAccept() *cobra.Command {
	return keysDo(&cobra.Command{
		Use:   "accept-state",
		Short: "accept an older copy of the state directory",
		Long: `After an older copy of the state directory was put back on purpose, make it the
newest one that the TPM's counter knows. Without this the gateway stays sealed.

An older copy sends again what it holds, and may know an older recipients bundle:
install the newest one. If it was not you who put it there, find out who it was.`,
		Args: arguments(0, "no argument"),
	}, func(cmd *cobra.Command, k *agent.Keeper, _ []string) (*agent.KeysInfo, error) {
		return k.AcceptState(cmd.Context())
	})
}

func keysCredential() *cobra.Command {
	var force bool
	c := &cobra.Command{
		Use:   "credential",
		Short: "print a fresh KEK, to be encrypted as a systemd credential",
		Long: `Print a fresh KEK in clear, for systemd-creds to encrypt. Then install the unit's
drop-in credential.conf, and make or move the keys with the credential at hand:

  sealgate keys credential |
    systemd-creds encrypt --name=sealgate-kek - /etc/credstore.encrypted/sealgate-kek
  systemd-run --pipe --wait -p User=sealgate -p StateDirectory=sealgate \
    -p LoadCredentialEncrypted=sealgate-kek \
    sealgate keys move --to credential

To change the KEK later, encrypt the old line and a new one together, in this
order, and move again. It is not printed to a terminal.`,
		Args: arguments(0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			if f, ok := cmd.OutOrStdout().(*os.File); ok && !force {
				if st, err := f.Stat(); err == nil && st.Mode()&os.ModeCharDevice != 0 {
					return hinted{errors.New("this would show a key on the screen"), "pipe it to systemd-creds encrypt, see sealgate keys credential --help"}
				}
			}
			line, err := agent.NewCredential()
			if err != nil {
				return err
			}
			_, err = io.WriteString(cmd.OutOrStdout(), line)
			return err
		},
	}
	c.Flags().BoolVar(&force, "force", false, "print to a terminal, too")
	return c
}

func keysExport() *cobra.Command {
	var path string
	c := &cobra.Command{
		Use:   "export",
		Short: "print the public key that this gateway signs with",
		Long: `Print the public key that this gateway signs with, as JSON. Whoever opens what
the gateway sends needs it to verify the origin:

  sealctl open --gateway-key NAME=FILE

The gateway's keys are made if there are none yet.`,
		Args: arguments(0, "no argument"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			k, err := keeper(cmd, cmp.Or(path, defaultConfig))
			if err != nil {
				return err
			}
			public, err := agent.PublicKey(cmd.Context(), k.Config, k.Machine, time.Now())
			if err != nil {
				return err
			}
			_, err = cmd.OutOrStdout().Write(public)
			return err
		},
	}
	c.Flags().StringVarP(&path, "config", "c", defaultConfig, "configuration `file`")
	return c
}
