package agent

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sealgate/sealgate/agent/telemetry"
	"github.com/sealgate/sealgate/classify"
	"github.com/sealgate/sealgate/crypto"
	"github.com/sealgate/sealgate/internal/durable"
)

// volumes count of how many people data leaves over each uplink in a calendar
// year (UTC), so that somebody is told before a number is reached from which a
// law takes it for important data. They change nothing that is decided.
type volumes struct {
	dir     string
	keys    []*crypto.SecretKey // seals the files; older generations behind it
	limits  func() []classify.VolumeLimit
	raise   func(id, text, do string)
	clear   func(id string)
	log     *slog.Logger
	uplinks []volume
	stop    chan struct{}
	done    sync.WaitGroup
}

type volume struct {
	uplink string
	v      atomic.Pointer[classify.Volume]

	year  int      // of v; only the clock's goroutine changes it
	key   [16]byte // of its hashes
	saved uint64   // revision
	told  string   // the alarm that stands
}

const (
	volumeCheck = time.Minute
	volumeSave  = 10 // checks; so that a flash is written 32 KiB six times an hour at most
)

// warnShare is the share of a limit from which somebody is told.
const warnShare = 0.8

// openVolumes reads what was counted this year.
func (a *Agent) openVolumes() error {
	keys := append([]*crypto.SecretKey{a.keyring.Spool()}, a.keyring.OldSpools()...)
	for i, k := range keys {
		var err error
		if keys[i], err = k.Derive("volume", nil, []byte(a.cfg.Gateway)); err != nil {
			return fmt.Errorf("derive key of the volumes: %w", err)
		}
	}
	vs := &volumes{
		dir: filepath.Join(a.cfg.State, "volume"), keys: keys, raise: a.raise, clear: a.clear, log: a.log, stop: make(chan struct{}),
		limits: func() []classify.VolumeLimit {
			profile := a.corridor.Generation().Policy.Profile()
			l, _ := classify.ProfileLimits(cmp.Or(a.cfg.Guard.Profile, profile))
			return l.SubjectsAYear
		},
	}
	if err := durable.MkdirAll(vs.dir, 0o700); err != nil {
		return fmt.Errorf("create directory of volumes: %w", err)
	}
	vs.uplinks = make([]volume, len(a.cfg.Uplinks))
	for i := range vs.uplinks {
		vs.uplinks[i].uplink = a.cfg.Uplinks[i].Name
		if err := vs.open(&vs.uplinks[i], time.Now().UTC().Year()); err != nil {
			return err
		}
	}
	a.volumes = vs
	return nil
}

// watch looks at the volumes while the gateway runs.
func (vs *volumes) watch() {
	vs.done.Go(func() {
		tick := time.NewTicker(volumeCheck)
		defer tick.Stop()
		for n := 1; ; n++ {
			select {
			case now := <-tick.C:
				vs.check(now, n%volumeSave == 0)
			case <-vs.stop:
				return
			}
		}
	})
}

// close saves what was counted.
func (vs *volumes) close(context.Context) error {
	close(vs.stop)
	vs.done.Wait()
	var errs []error
	for i := range vs.uplinks {
		errs = append(errs, vs.save(&vs.uplinks[i]))
	}
	return errors.Join(errs...)
}

// check tells who should know, and begins a new year.
func (vs *volumes) check(now time.Time, save bool) {
	limits := vs.limits()
	for i := range vs.uplinks {
		u := &vs.uplinks[i]
		if year := now.UTC().Year(); year != u.year {
			err := vs.save(u)
			if err == nil {
				err = vs.open(u, year)
			}
			if err != nil {
				vs.log.Error("the count of subjects can't begin a new year", "uplink", u.uplink, "error", err)
			}
		} else if save {
			if err := vs.save(u); err != nil {
				vs.log.Error("the count of subjects can't be saved", "uplink", u.uplink, "error", err)
			}
		}
		vs.tell(u, limits)
	}
}

func (vs *volumes) tell(u *volume, limits []classify.VolumeLimit) {
	l, share := classify.Nearest(u.v.Load().Estimate(), limits)
	id, text := "volume-"+u.uplink, ""
	of := "people"
	if l.Sensitive {
		of = "people, with something sensitive,"
	}
	switch {
	case share >= 1:
		text = fmt.Sprintf("over uplink %s data left of more than %d %s in %d: it may be important data (L5; %s)", u.uplink, l.Subjects, of, u.year, l.Clause)
	case share >= warnShare:
		text = fmt.Sprintf("over uplink %s data left of 80 %% of %d %s in %d (%s)", u.uplink, l.Subjects, of, u.year, l.Clause)
	}
	switch {
	case text == u.told:
		return
	case text == "":
		vs.clear(id)
	default:
		vs.raise(id, text, "let the data-protection officer decide; a policy declares what is important, with grade L5")
	}
	u.told = text
}

func (vs *volumes) path(u *volume, year int) string {
	return filepath.Join(vs.dir, u.uplink+"-"+strconv.Itoa(year))
}

// associated binds a file to its uplink and year.
func (u *volume) associated(year int) []byte {
	return []byte("volume\x00" + u.uplink + "\x00" + strconv.Itoa(year))
}

// open takes up the count of a year, or begins it. What can't be read is set
// aside: the count begins anew, and somebody is told.
func (vs *volumes) open(u *volume, year int) error {
	path := vs.path(u, year)
	raw, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("read volume: %w", err)
	}
	var v *classify.Volume
	newest := true
	if err == nil {
		if v, newest = vs.read(u, raw, year); v == nil {
			if err := os.Rename(path, path+".corrupt"); err != nil {
				return fmt.Errorf("set volume aside: %w", err)
			}
			vs.raise("volume-damaged", "the count of people whose data left this year can't be read and begins anew", "keep the file *.corrupt in the directory volume of the state; add what is known of the year by hand")
		}
	}
	if v == nil {
		rand.Read(u.key[:]) // never fails since Go 1.24
		v = classify.NewVolume(u.key)
	}
	u.year, u.saved = year, v.Revision()
	if !newest {
		u.saved-- // to be saved under the newest key, whether or not it changes
	}
	u.v.Store(v)
	return nil
}

// read opens a count; newest says that it lies under the newest key.
func (vs *volumes) read(u *volume, raw []byte, year int) (v *classify.Volume, newest bool) {
	for i, k := range vs.keys {
		plain, err := k.Open(nil, raw, u.associated(year))
		if err != nil || len(plain) < len(u.key) {
			continue
		}
		copy(u.key[:], plain)
		v := classify.NewVolume(u.key)
		if v.UnmarshalBinary(plain[len(u.key):]) != nil {
			return nil, true
		}
		return v, i == 0
	}
	return nil, true
}

// save writes a volume that changed.
func (vs *volumes) save(u *volume) error {
	v := u.v.Load()
	revision := v.Revision()
	if revision == u.saved {
		return nil
	}
	sketches, err := v.MarshalBinary()
	if err != nil {
		return err
	}
	sealed, err := vs.keys[0].Seal(nil, append(u.key[:], sketches...), u.associated(u.year))
	if err != nil {
		return fmt.Errorf("seal volume: %w", err)
	}
	if err := durable.WriteFile(vs.path(u, u.year), sealed, 0o600); err != nil {
		return fmt.Errorf("write volume: %w", err)
	}
	u.saved = revision
	return nil
}

// of returns the volume of an uplink, for the corridor.
func (vs *volumes) of(uplink int) *classify.Volume { return vs.uplinks[uplink].v.Load() }

// stats is what is known of one uplink.
func (vs *volumes) stats(uplink int) telemetry.Subjects {
	t := vs.of(uplink).Estimate()
	l, share := classify.Nearest(t, vs.limits())
	return telemetry.Subjects{All: t.Subjects, Sensitive: t.Sensitive, Limit: l.Subjects, Share: share}
}
