package custody

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/sealgate/sealgate/crypto"
	"github.com/sealgate/sealgate/internal/durable"
)

// What a change of custody leaves in the directory while it is under way. The
// rename from the first name to the second one is the moment of the change:
// before it the old KEK opens the ring, after it the new one.
const (
	stageDir = ".next"
	movedDir = ".moved"
)

// Ring is a directory of keys with the custody of their KEK.
type Ring struct {
	Dir     string
	Gateway string
	Machine []byte // id of the machine that the keys are bound to; may be empty
	// Kind, where set, is the only custodian that Open accepts, and the one that
	// it puts a new ring into. Empty: what the ring's record says, and "file"
	// for a new ring.
	Kind    string
	Options Options
	// Rescuers are offline keys that must be able to open the ring. Open adds
	// those that are not there yet.
	Rescuers []*crypto.Recipient
	// ReadOnly makes Open write nothing: for tools that look at a ring.
	ReadOnly bool
}

// Status is what a ring says about itself without its KEK; nothing of it is
// proved.
type Status struct {
	Kind    string    `json:"kind"`
	KEK     string    `json:"kek"`     // its id
	Created time.Time `json:"created"` // of the KEK
	Rescue  []string  `json:"rescue"`  // ids of the rescue keys
}

// Status reads the record. ErrMissing says that there is no ring.
func (r *Ring) Status() (Status, error) {
	rec, err := readRecord(r.Dir)
	if err != nil {
		return Status{}, err
	}
	if rec == nil {
		return Status{}, fmt.Errorf("%w: there are no keys in %s; make them: sealgate keys init", ErrMissing, r.Dir)
	}
	created, err := rec.created()
	if err != nil {
		return Status{}, err
	}
	s := Status{Kind: rec.Kind, KEK: rec.KEK, Created: created, Rescue: []string{}}
	for _, x := range rec.Rescue {
		s.Rescue = append(s.Rescue, x.RID)
	}
	return s, nil
}

// Exists reports whether there are keys, or a record of their custody.
func (r *Ring) Exists() (bool, error) {
	rec, err := readRecord(r.Dir)
	if rec != nil || err != nil {
		return true, err
	}
	purposes, err := crypto.KeyPurposes(r.Dir)
	return len(purposes) > 0, err
}

// Open fetches the KEK. It first finishes a change of custody that a crash cut
// short, and puts a new ring into custody where there are no keys yet.
func (r *Ring) Open(ctx context.Context) (*Key, error) {
	if err := r.recover(); err != nil {
		return nil, err
	}
	rec, err := readRecord(r.Dir)
	if err != nil {
		return nil, err
	}
	if rec == nil {
		purposes, err := crypto.KeyPurposes(r.Dir)
		if err != nil {
			return nil, err
		}
		if len(purposes) == 0 && !r.ReadOnly {
			return r.Init(ctx)
		}
		return r.adopt(ctx)
	}
	if r.Kind != "" && r.Kind != rec.Kind {
		return nil, fmt.Errorf("the keys are in custody %q and agent.yaml says %q: move them (sealgate keys move --to %s), or correct custody.kind", rec.Kind, r.Kind, r.Kind)
	}
	key, err := r.fetch(ctx, rec)
	if err != nil {
		return nil, err
	}
	if err := r.tidy(rec, key); err != nil {
		return nil, err
	}
	return r.opened(rec, key)
}

// Init puts a fresh KEK into custody for a ring that has no keys yet.
func (r *Ring) Init(ctx context.Context) (*Key, error) {
	if there, err := r.Exists(); err != nil || there {
		return nil, errors.Join(err, fmt.Errorf("there are keys in %s already: move them (sealgate keys move), or move the directory away to start as a new gateway", r.Dir))
	}
	if err := durable.MkdirAll(r.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make key directory: %w", err)
	}
	c, err := find(r.kind())
	if err != nil {
		return nil, err
	}
	key, blob, err := c.Make(ctx, &r.Options, r.Gateway)
	if err != nil {
		return nil, named(c, err)
	}
	rec, err := newRecord(key, r.Gateway, c.Kind, blob, r.Machine, r.Rescuers, time.Now())
	if err != nil {
		return nil, err
	}
	if err := r.writeRecord(r.Dir, rec, key); err != nil {
		return nil, err
	}
	return r.opened(rec, key)
}

func (r *Ring) kind() string {
	if r.Kind == "" {
		return "file"
	}
	return r.Kind
}

// adopt takes a ring of before there were records: its KEK is in a file.
func (r *Ring) adopt(ctx context.Context) (*Key, error) {
	c := file()
	if r.kind() != c.Kind {
		return nil, fmt.Errorf("the keys are in custody %q and agent.yaml says %q: move them: sealgate keys move --to %s", c.Kind, r.Kind, r.Kind)
	}
	key, err := c.Open(ctx, &r.Options, r.Gateway, [8]byte{}, nil)
	if err != nil {
		return nil, named(&c, err)
	}
	rec, err := newRecord(key, r.Gateway, c.Kind, nil, r.Machine, r.Rescuers, time.Now())
	if err != nil {
		return nil, err
	}
	if !r.ReadOnly {
		if err := r.writeRecord(r.Dir, rec, key); err != nil {
			return nil, err
		}
	}
	return r.opened(rec, key)
}

// fetch asks the custodian for the KEK of a record, and checks that it is.
func (r *Ring) fetch(ctx context.Context, rec *record) (*crypto.SecretKey, error) {
	c, err := find(rec.Kind)
	if err != nil {
		return nil, err
	}
	if rec.Gateway != r.Gateway {
		return nil, fmt.Errorf("custody record: %w", crypto.ErrKeyOtherGateway)
	}
	id, err := rec.id()
	if err != nil {
		return nil, err
	}
	key, err := c.Open(ctx, &r.Options, r.Gateway, id, rec.Blob)
	if err != nil {
		return nil, named(c, err)
	}
	if err := rec.verify(key); err != nil {
		return nil, named(c, err)
	}
	return key, nil
}

// tidy drops the KEK before this one, and adds rescue keys.
func (r *Ring) tidy(rec *record, key *crypto.SecretKey) error {
	if r.ReadOnly {
		return nil
	}
	before := len(rec.Rescue)
	if err := rec.wrap(key, r.Machine, r.Rescuers); err != nil {
		return err
	}
	if rec.Drop == nil && len(rec.Rescue) == before {
		return nil
	}
	if d := rec.Drop; d != nil {
		c, err := find(d.Kind)
		if err != nil {
			return err
		}
		id, err := keyID(d.KEK)
		if err != nil {
			return err
		}
		if c.Drop != nil {
			if err := c.Drop(&r.Options, id); err != nil {
				return fmt.Errorf("forget the former key-encryption key: %w", named(c, err))
			}
		}
		rec.Drop = nil
	}
	return r.writeRecord(r.Dir, rec, key)
}

// Move puts a fresh KEK into custody of that kind and seals every key under it.
// The kind may be the one that the ring has: then only the KEK is fresh. The
// ring's rescue keys open it afterwards, too.
func (r *Ring) Move(ctx context.Context, kind string) error {
	if r.Kind != "" && r.Kind != kind {
		return fmt.Errorf("agent.yaml says custody.kind: %s: set it to %s, or remove it, and move again", r.Kind, kind)
	}
	c, err := find(kind)
	if err != nil {
		return err
	}
	from := *r
	from.Kind = ""
	old, err := from.Open(ctx)
	if err != nil {
		return err
	}
	rec, err := readRecord(r.Dir)
	if err != nil {
		return err
	}
	return r.change(ctx, c, rec, crypto.Binding{KEK: old, Gateway: r.Gateway, Machine: r.Machine})
}

// Rescue opens a ring with an offline rescue key where its custodian or its
// machine is lost, and puts it into custody of that kind on this machine.
func (r *Ring) Rescue(ctx context.Context, key *crypto.RecipientKey, kind string) error {
	c, err := find(kind)
	if err != nil {
		return err
	}
	if err := r.recover(); err != nil {
		return err
	}
	rec, err := readRecord(r.Dir)
	if err != nil {
		return err
	}
	if rec == nil {
		return fmt.Errorf("%w: %s has no custody record, and so nothing for a rescue key", ErrMissing, r.Dir)
	}
	if rec.Gateway != r.Gateway {
		return fmt.Errorf("custody record: %w", crypto.ErrKeyOtherGateway)
	}
	kek, machine, err := rec.unwrap(key)
	if err != nil {
		return err
	}
	return r.change(ctx, c, rec, crypto.Binding{KEK: local{kek}, Gateway: r.Gateway, Machine: machine})
}

// Adopt puts a ring, whose KEK and machine are known from a backup, into custody
// of that kind on this machine.
func (r *Ring) Adopt(ctx context.Context, kek *crypto.SecretKey, machine []byte, kind string) error {
	c, err := find(kind)
	if err != nil {
		return err
	}
	rec, err := readRecord(r.Dir)
	if err != nil {
		return err
	}
	if rec == nil {
		return fmt.Errorf("%w: the backup holds no custody record", ErrMissing)
	}
	if err := rec.verify(kek); err != nil {
		return err
	}
	return r.change(ctx, c, rec, crypto.Binding{KEK: local{kek}, Gateway: r.Gateway, Machine: machine})
}

// RescueKeys returns the rescue keys of a ring that Open has opened.
func (r *Ring) RescueKeys() ([]*crypto.Recipient, error) {
	rec, err := readRecord(r.Dir)
	if err != nil || rec == nil {
		return nil, err
	}
	return rec.rescues()
}

// change builds the whole ring anew beside the old one, makes it the ring by
// one rename, and only then touches what the old one needs.
func (r *Ring) change(ctx context.Context, c *Custodian, old *record, from crypto.Binding) error {
	known, err := old.rescues()
	if err != nil {
		return err
	}
	key, blob, err := c.Make(ctx, &r.Options, r.Gateway)
	if err != nil {
		return named(c, err)
	}
	rec, err := newRecord(key, r.Gateway, c.Kind, blob, r.Machine, append(known, r.Rescuers...), time.Now())
	if err != nil {
		return err
	}
	if rec.KEK != old.KEK {
		rec.Drop = &dropped{Kind: old.Kind, KEK: old.KEK}
	}
	stage := filepath.Join(r.Dir, stageDir)
	if err := os.RemoveAll(stage); err != nil {
		return fmt.Errorf("remove what an earlier move left: %w", err)
	}
	if err := durable.MkdirAll(stage, 0o700); err != nil {
		return fmt.Errorf("make directory: %w", err)
	}
	if err := crypto.RewrapKeyring(r.Dir, stage, from, crypto.Binding{KEK: local{key}, Gateway: r.Gateway, Machine: r.Machine}); err != nil {
		return fmt.Errorf("seal keys anew: %w", err)
	}
	if err := r.writeRecord(stage, rec, key); err != nil {
		return err
	}
	// The custodian must hand the key out again before anything depends on it.
	if _, err := r.fetch(ctx, rec); err != nil {
		return fmt.Errorf("try the new custody: %w", err)
	}
	if err := os.Rename(stage, filepath.Join(r.Dir, movedDir)); err != nil {
		return fmt.Errorf("change custody: %w", err)
	}
	if err := durable.SyncDir(r.Dir); err != nil {
		return fmt.Errorf("change custody: %w", err)
	}
	if err := r.recover(); err != nil {
		return err
	}
	return r.tidy(rec, key)
}

// recover finishes a change that was decided, and removes one that was not.
func (r *Ring) recover() error {
	moved := filepath.Join(r.Dir, movedDir)
	decided, err := exists(moved)
	if err != nil {
		return fmt.Errorf("look for a change of custody: %w", err)
	}
	if decided && r.ReadOnly {
		return fmt.Errorf("a change of custody in %s was cut short: start the gateway, or run sealgate keys show, to finish it", r.Dir)
	}
	if decided {
		entries, err := os.ReadDir(moved)
		if err != nil {
			return fmt.Errorf("finish change of custody: %w", err)
		}
		for _, e := range entries {
			if err := os.Rename(filepath.Join(moved, e.Name()), filepath.Join(r.Dir, e.Name())); err != nil {
				return fmt.Errorf("finish change of custody: %w", err)
			}
		}
		if err := durable.SyncDir(r.Dir); err != nil {
			return fmt.Errorf("finish change of custody: %w", err)
		}
		if err := durable.Remove(moved); err != nil {
			return fmt.Errorf("finish change of custody: %w", err)
		}
	}
	if stage := filepath.Join(r.Dir, stageDir); !r.ReadOnly {
		if err := os.RemoveAll(stage); err != nil {
			return fmt.Errorf("remove what a move left: %w", err)
		}
	}
	return nil
}

func (r *Ring) writeRecord(dir string, rec *record, key *crypto.SecretKey) error {
	raw, err := rec.seal(key)
	if err != nil {
		return err
	}
	if err := durable.WriteFile(filepath.Join(dir, recordName), raw, 0o600); err != nil {
		return fmt.Errorf("write custody record: %w", err)
	}
	return nil
}

func (r *Ring) opened(rec *record, key *crypto.SecretKey) (*Key, error) {
	c, err := find(rec.Kind)
	if err != nil {
		return nil, err
	}
	created, err := rec.created()
	if err != nil {
		return nil, err
	}
	return &Key{KEK: local{key}, Kind: rec.Kind, Warning: c.Warning, Created: created, Rescue: len(rec.Rescue)}, nil
}

func named(c *Custodian, err error) error { return fmt.Errorf("custody %s: %w", c.Kind, err) }

// bound is what custodians other than "file" and "credential" keep: the key and
// what ties it to one gateway, so that a blob that was carried to another one is
// told from a wrong key.
func bound(key *crypto.SecretKey, gateway string) ([]byte, error) {
	tie, err := tieTo(key, gateway)
	return append(key.InsecureBytes(), tie[:]...), err
}

func tieTo(key *crypto.SecretKey, gateway string) (id [8]byte, err error) {
	k, err := key.Derive("sg1/gateway", nil, []byte(gateway))
	if err != nil {
		return id, err
	}
	return k.ID(), nil
}

// unbound opens what bound made.
func unbound(raw []byte, gateway string) (*crypto.SecretKey, error) {
	if len(raw) != crypto.KeySize+8 {
		return nil, ErrOther
	}
	key, err := crypto.InsecureSecretKey(raw[:crypto.KeySize])
	if err != nil {
		return nil, err
	}
	tie, err := tieTo(key, gateway)
	if err != nil {
		return nil, err
	}
	if hex.EncodeToString(tie[:]) != hex.EncodeToString(raw[crypto.KeySize:]) {
		return nil, fmt.Errorf("%w: it was made for another gateway; check the gateway's name, or restore the record of this one", ErrOther)
	}
	return key, nil
}
