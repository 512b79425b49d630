package main

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/sealgate/sealgate/agent/config"
	"github.com/sealgate/sealgate/agent/spool"
	"github.com/sealgate/sealgate/classify"
	"github.com/sealgate/sealgate/crypto"
	"github.com/sealgate/sealgate/crypto/custody"
)

// spoolFlags say where a spool is and whence its key comes.
type spoolFlags struct {
	config  string
	dir     string
	keys    string
	kek     string
	gateway string
	machine string
	asJSON  bool
}

func (f *spoolFlags) register(fs *pflag.FlagSet) {
	fs.StringVar(&f.config, "config", "", "take everything from this agent.yaml `FILE`")
	fs.StringVar(&f.dir, "dir", "", "the spool's `DIR`")
	fs.StringVar(&f.keys, "keys", "", "the `DIR` of the gateway's own keys")
	fs.StringVar(&f.kek, "kek-file", "", "`FILE` with the key-encryption key (default: kek in the directory of keys)")
	fs.StringVar(&f.gateway, "gateway", "", "`NAME` of the gateway")
	fs.StringVar(&f.machine, "machine-id", "/etc/machine-id", "`FILE` with the id of the machine that the keys are bound to")
	fs.BoolVar(&f.asJSON, "json", false, "print JSON")
}

func newSpool(e *env) *cobra.Command {
	c := &cobra.Command{
		Use:   "spool",
		Short: "Look at what a gateway keeps for its uplinks",
		Long: `The spool keeps protected messages until the cloud has acknowledged them. These
commands read it on the gateway, also while that runs, and change nothing. They
show envelopes: topics, sizes, grades, keys; never what is in a message. What a
gateway with spool.mode spill still holds in memory is not on the disk, and not
here: its status says how much that is.

  sealctl spool list --config /etc/sealgate/agent.yaml`,
		Args: cobra.ArbitraryArgs,
		RunE: group,
	}
	c.AddCommand(
		spoolCommand(e, "list", "Show how much waits, by uplink and log", (*env).spoolList),
		spoolCommand(e, "verify", "Read every segment and report damage", (*env).spoolVerify),
		spoolCommand(e, "dump", "List the records that wait, without their content", (*env).spoolDump),
	)
	return c
}

func spoolCommand(e *env, name, short string, do func(*env, *spoolFlags, string, []*crypto.SecretKey) error) *cobra.Command {
	var f spoolFlags
	c := &cobra.Command{
		Use: name, Short: short, Args: want(0, 0, "no arguments; --config or --dir says where"),
		RunE: func(*cobra.Command, []string) error {
			dir, key, err := f.open()
			if err != nil {
				return err
			}
			return do(e, &f, dir, key)
		},
	}
	f.register(c.Flags())
	return c
}

// open finds the spool and its key. It never makes keys: a directory without
// them is an error.
func (f *spoolFlags) open() (string, []*crypto.SecretKey, error) {
	ring := &custody.Ring{ReadOnly: true}
	if f.config != "" {
		c, err := config.Load(f.config)
		if err != nil {
			return "", nil, fmt.Errorf("read configuration: %w", err)
		}
		ring.Options = custodyOptions(&c.Custody)
		f.dir = cmp.Or(f.dir, c.Spool.Directory)
		f.keys = cmp.Or(f.keys, c.Keys.Directory)
		f.kek = cmp.Or(f.kek, c.Custody.File.Path)
		f.gateway = cmp.Or(f.gateway, c.Gateway)
	}
	if f.dir == "" || f.keys == "" || f.gateway == "" {
		return "", nil, usageError("say --config, or --dir, --keys and --gateway")
	}
	if _, err := os.Stat(filepath.Join(f.keys, crypto.PurposeSpool+".key")); err != nil {
		return "", nil, fmt.Errorf("find the spool's key: %w", err)
	}
	ring.Dir, ring.Gateway = f.keys, f.gateway
	ring.Options.File.Path = cmp.Or(f.kek, filepath.Join(f.keys, "kek"))
	kek, err := ring.Open(context.Background())
	if err != nil {
		return "", nil, fmt.Errorf("open key-encryption key: %w", err)
	}
	machine, err := os.ReadFile(f.machine)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", nil, fmt.Errorf("read machine id: %w", err)
	}
	keys, err := crypto.OpenKeyring(f.keys, kek, f.gateway, bytes.TrimSpace(machine))
	if errors.Is(err, crypto.ErrKeyOtherMachine) {
		keys, err = crypto.OpenKeyring(f.keys, kek, f.gateway, nil) // bound to no machine
	}
	if err != nil {
		return "", nil, fmt.Errorf("open the gateway's keys: %w", err)
	}
	return f.dir, append([]*crypto.SecretKey{keys.Spool()}, keys.OldSpools()...), nil
}

// custodyOptions are agent.yaml's settings in the terms of package custody.
func custodyOptions(c *config.Custody) custody.Options {
	o := custody.Options{
		File: custody.FileOptions(c.File), TPM: custody.TPMOptions(c.TPM),
		Credential: custody.CredentialOptions{Name: c.Credential.Name, Directory: os.Getenv("CREDENTIALS_DIRECTORY")},
		Vault: custody.VaultOptions{
			Address: c.Vault.Address, Mount: c.Vault.Mount, Key: c.Vault.Key, Namespace: c.Vault.Namespace,
			CA: c.Vault.CA, TokenFile: c.Vault.TokenFile, Timeout: c.Vault.Timeout,
		},
	}
	if a := c.Vault.AppRole; a != nil {
		o.Vault.AppRoleMount, o.Vault.RoleIDFile, o.Vault.SecretIDFile = a.Mount, a.RoleIDFile, a.SecretIDFile
	}
	return o
}

// A spoolLog sums up one log.
type spoolLog struct {
	Uplink   string `json:"uplink"`
	Log      string `json:"log"`
	Segments int    `json:"segments"`
	Records  uint64 `json:"records"`
	Waiting  uint64 `json:"waiting"`
	Bytes    int64  `json:"bytes"`
	Damaged  int    `json:"damaged"` // segments
}

func (e *env) spoolList(f *spoolFlags, dir string, keys []*crypto.SecretKey) error {
	infos, err := spool.Verify(dir, keys...)
	if err != nil {
		return err
	}
	logs := []spoolLog{}
	for _, i := range infos {
		k := slices.IndexFunc(logs, func(l spoolLog) bool { return l.Uplink == i.Uplink && l.Log == i.Log })
		if k < 0 {
			k = len(logs)
			logs = append(logs, spoolLog{Uplink: i.Uplink, Log: i.Log})
		}
		l := &logs[k]
		l.Segments++
		l.Records += i.Records
		l.Waiting += i.Waiting
		l.Bytes += i.Bytes
		if i.Damage != nil {
			l.Damaged++
		}
	}
	if f.asJSON {
		return e.printJSON(logs)
	}
	if len(logs) == 0 {
		fmt.Fprintf(e.stderr, "sealctl: nothing is kept in %s\n", dir)
		return nil
	}
	t := table{head: []string{"UPLINK", "LOG", "WAITING", "RECORDS", "SIZE", "SEGMENTS", "DAMAGED"}, flex: 0, right: []bool{false, false, true, true, true, true, true}}
	for _, l := range logs {
		damaged := cell{fmt.Sprint(l.Damaged), plain}
		if l.Damaged > 0 {
			damaged.style = loud
		}
		t.add(cell{l.Uplink, bold}, cell{l.Log, plain}, cell{thousands(int(l.Waiting)), plain}, cell{thousands(int(l.Records)), plain},
			cell{byteSize(l.Bytes), plain}, cell{thousands(l.Segments), plain}, damaged)
	}
	t.write(e.stdout, e, 0)
	return nil
}

type spoolSegment struct {
	Uplink  string `json:"uplink"`
	Log     string `json:"log"`
	Path    string `json:"path"`
	First   uint64 `json:"first"`
	Records uint64 `json:"records"`
	Waiting uint64 `json:"waiting"`
	Bytes   int64  `json:"bytes"`
	Damage  string `json:"damage,omitempty"`
}

func (e *env) spoolVerify(f *spoolFlags, dir string, keys []*crypto.SecretKey) error {
	infos, err := spool.Verify(dir, keys...)
	if err != nil {
		return err
	}
	segs, damaged := []spoolSegment{}, 0
	for _, i := range infos {
		s := spoolSegment{Uplink: i.Uplink, Log: i.Log, Path: i.Path, First: i.First, Records: i.Records, Waiting: i.Waiting, Bytes: i.Bytes}
		if i.Damage != nil {
			damaged++
			s.Damage = i.Damage.Error()
			if !f.asJSON {
				fmt.Fprintf(e.stdout, "%s  %s\n", e.styled(loud, "damaged"), visible(i.Path))
				for _, line := range wrap(s.Damage, e.width-9) {
					fmt.Fprintf(e.stdout, "         %s\n", line)
				}
			}
		}
		segs = append(segs, s)
	}
	switch {
	case f.asJSON:
		if err := e.printJSON(segs); err != nil {
			return err
		}
	case damaged == 0:
		fmt.Fprintf(e.stdout, "%s  %s sound\n", e.styled(green, "ok"), plural(len(segs), "segment is", "segments are"))
	default:
		fmt.Fprintf(e.stdout, "%s of %s damaged\n", thousands(damaged), plural(len(segs), "segment is", "segments are"))
	}
	if damaged > 0 {
		return errBad
	}
	return nil
}

type spoolRecord struct {
	Uplink  string    `json:"uplink"`
	Log     string    `json:"log"`
	Seq     uint64    `json:"seq"`
	Kind    string    `json:"kind"`
	ID      string    `json:"message_id"`
	Topic   string    `json:"topic"` // as it is published
	Grade   string    `json:"residual_grade"`
	QoS     uint8     `json:"qos"`
	Retain  bool      `json:"retain"`
	Bytes   int       `json:"bytes"`
	KIDs    []string  `json:"kids"`
	Stored  time.Time `json:"stored"`
	Waiting bool      `json:"waiting"`
	Reason  string    `json:"reason,omitempty"` // of quarantine
}

func (e *env) spoolDump(f *spoolFlags, dir string, keys []*crypto.SecretKey) error {
	records := []spoolRecord{}
	for m, err := range spool.Dump(dir, keys...) {
		if err != nil {
			return err
		}
		r := spoolRecord{
			Uplink: m.Uplink, Log: m.Log, Seq: m.Seq, Kind: kindName(m.Kind), ID: fmt.Sprintf("%x", m.ID), Topic: m.Topic,
			Grade: classify.Grade(m.Grade).String(), QoS: m.QoS, Retain: m.Retain, Bytes: m.Bytes, KIDs: []string{}, Stored: m.Stored, Waiting: m.Waiting, Reason: m.Reason,
		}
		for _, k := range m.KIDs {
			r.KIDs = append(r.KIDs, k.String())
		}
		if m.Waiting {
			records = append(records, r)
		}
	}
	if f.asJSON {
		return e.printJSON(records)
	}
	if len(records) == 0 {
		fmt.Fprintf(e.stderr, "sealctl: nothing waits in %s\n", dir)
		return nil
	}
	t := table{head: []string{"UPLINK", "LOG", "SEQ", "KIND", "STORED", "GRADE", "BYTES", "TOPIC"}, flex: 7, right: []bool{false, false, true, false, false, false, true, false}}
	for _, r := range records {
		t.add(cell{r.Uplink, bold}, cell{r.Log, plain}, cell{fmt.Sprint(r.Seq), faint}, cell{r.Kind, plain}, cell{r.Stored.UTC().Format("01-02 15:04:05"), faint},
			cell{r.Grade, plain}, cell{thousands(r.Bytes), plain}, cell{visible(r.Topic), plain})
		if r.Reason != "" {
			t.note("in quarantine: " + visible(r.Reason))
		}
	}
	t.write(e.stdout, e, 0)
	return nil
}

func kindName(k spool.Kind) string {
	switch k {
	case spool.KindData:
		return "data"
	case spool.KindGrant:
		return "grant"
	case spool.KindFence:
		return "fence"
	}
	return "unknown"
}
