// Package spool keeps protected messages until the cloud has acknowledged them.
//
// Mental model: for each uplink there is one log per lane, one for routes that
// want only the newest message of each topic ("latest"), a control log with
// the grants that the records in the lanes need, and a quarantine. A log is a
// directory of segment files of one size, reserved when the spool is opened,
// encrypted record by record under a key of their own for each use, and
// recycled. A record is committed once and durable when [Spool.Commit] returns;
// it is read in order by the log's one [Cursor], and kept until it is released.
// What is kept begins at the first record that is not released; the checkpoint
// that remembers it may lag, never lead. So after a kill or a power cut nothing
// acknowledged is missing, the order is the same, and some records are sent
// twice.
//
// Space is promised before it is used: [Spool.Reserve] takes it in every log a
// message may go to, or in none. Each uplink has its own quota, so that one
// that is down for long never holds the others' disk.
//
// It does not send or retry, does not know what a payload means, and drops no
// record on its own, except what a record itself (MaxAge), the log "latest" or
// Options.EvictLow ask for, and the oldest of a full quarantine where the caller
// says so; all of that is counted. It assumes that fdatasync reaches the medium,
// that writing a sector again does not harm what it held before, and that
// rename is atomic.
package spool

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sealgate/sealgate/crypto"
	"github.com/sealgate/sealgate/internal/durable"
)

var (
	// ErrFull says that there is no segment left for a record without a
	// reservation, or that the disk is full.
	ErrFull = errors.New("spool is full")
	// ErrTooLarge says that a record is larger than MaxRecord. Nothing of its
	// Commit was written.
	ErrTooLarge = errors.New("record is larger than a segment")
	// ErrClosed says that the spool was closed.
	ErrClosed = errors.New("spool is closed")
	// ErrVolatile says that a directory loses its content with the machine.
	ErrVolatile = errors.New("file system does not keep its content")
)

const (
	minSegment = 64 << 10
	maxSegment = 4 << 20
	autoSize   = 256 << 20
	minQuota   = 16 * minSegment
)

// Options says where the spool is and how much it may hold.
type Options struct {
	Dir     string              // created if missing, mode 0700
	Uplinks []string            // names, used as directories; the index is the bit in UplinkMask
	Key     *crypto.SecretKey   // new segments are encrypted under keys derived from it
	OldKeys []*crypto.SecretKey // still read

	Size      int64 // bytes for all uplinks together; 0: 256 MiB, but at most 20 % of what is free
	MaxRecord int   // bytes of the largest record (see Size) that must fit; default 2.25 MiB. A small quota lowers it
	TailCache int   // bytes per log kept in memory for a cursor that is close behind; default 256 KiB, negative: none
	EvictLow  bool  // drop the oldest of the low lane, counted, when others find no space
	Volatile  bool  // allow a directory on tmpfs or a container's overlay

	// Linger lets entries with Safe wait in memory, for this long at most, while
	// their log's reader is not behind: what is released meanwhile is never
	// written. 0: all is written at once.
	Linger time.Duration
	Memory int64 // bytes that may wait there in all logs together; default 4 MiB, at most an eighth of Size

	GrantHold  time.Duration       // a grant is kept this long after its last use; longer than a key is sealed with. Default 15 min
	Checkpoint time.Duration       // how far a checkpoint may lag while nothing is freed; default 5 s
	OnSync     func(time.Duration) // called after each fdatasync of a segment; may be nil
	Logger     *slog.Logger        // default: none

	wrap    func(path string, f file) file // faults, in tests
	wake    chan struct{}
	lingers chan struct{} // something waits in memory
	paused  chan struct{} // a cursor was paused
	flushes chan struct{} // a flush is owed
	start   time.Time     // what the wall clock said
	began   time.Time     // at this moment of the monotonic one
}

func (o *Options) setDefaults() error {
	switch {
	case o.Dir == "":
		return errors.New("directory is required")
	case len(o.Uplinks) == 0 || len(o.Uplinks) > 64:
		return fmt.Errorf("%d uplinks, want 1 to 64", len(o.Uplinks))
	case o.Size < 0:
		return errors.New("size is negative")
	}
	for i, u := range o.Uplinks {
		if !validName(u) {
			return fmt.Errorf("uplink %d: name must be 1 to %d of a-z A-Z 0-9 . _ - and not begin with a dot", i, maxName)
		}
		if slices.Contains(o.Uplinks[:i], u) {
			return fmt.Errorf("uplink %s is there twice", u)
		}
	}
	if o.MaxRecord <= 0 {
		o.MaxRecord = 2<<20 + 256<<10
	}
	if o.TailCache == 0 {
		o.TailCache = 256 << 10
	}
	if o.GrantHold <= 0 {
		o.GrantHold = 15 * time.Minute
	}
	if o.Checkpoint <= 0 {
		o.Checkpoint = 5 * time.Second
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Memory <= 0 {
		o.Memory = 4 << 20
	}
	o.wake, o.lingers, o.paused, o.flushes = make(chan struct{}, 1), make(chan struct{}, 1), make(chan struct{}, 1), make(chan struct{}, 1)
	if o.began = time.Now(); o.start.IsZero() {
		o.start = o.began
	}
	return nil
}

func validName(s string) bool {
	for i, c := range []byte(s) {
		switch {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', c == '_', c == '-':
		case c == '.' && i > 0:
		default:
			return false
		}
	}
	return s != "" && len(s) <= maxName
}

// kick makes the housekeeping look now.
func (o *Options) kick() { nudge(o.wake) }

func nudge(ch chan struct{}) {
	select {
	case ch <- struct{}{}:
	default:
	}
}

// A Spool is all logs of a gateway.
type Spool struct {
	opt      Options
	uplinks  []*uplink
	maxFrame int
	recovery Recovery
	meter    meter
	changed  notifier
	lock     *os.File

	accounts sync.Mutex // guards the books of all uplinks

	commit sync.Mutex // one Commit at a time; guards what follows
	parts  []part
	ending []Reservation // when the Commit under way ends

	stop    context.CancelFunc
	done    chan struct{} // closed when the housekeeping has ended
	watched chan struct{} // closed when nobody watches what waits in memory any more
	flushed chan struct{} // closed when nobody flushes what was written behind any more
	settled atomic.Bool   // nothing waits there any more
}

type uplink struct {
	name    string
	pool    pool
	books   books
	grants  grants
	arrived notifier
	pins    pins
	starved atomic.Bool // a lane above the low one found no space
	logs    [logsByUplink]*log
	cap     capacity
}

// capacity is how an uplink's segments are shared out.
type capacity struct{ total, control, quarantine int }

// layout computes the size of a segment and the shares of one uplink's quota.
// One segment in all is a spare for when one fails.
func layout(quota int64, maxRecord int) (segment int64, c capacity) {
	segment = min(max(quota/32, minSegment), maxSegment)
	if need := int64(maxRecord) + headerSize + slack; segment < need {
		segment = max(segment, min(need, quota/16))
	}
	segment = (segment + 4095) &^ 4095
	c.total = int(max(quota/segment, 12))
	c.control = c.total/32 + 3
	c.quarantine = max(c.total/16, 2)
	return segment, c
}

func (c capacity) lanes(total int) int { return max(0, total-c.control-c.quarantine-1) }

// Open opens the spool in a directory, or makes one, and recovers it. It
// succeeds whatever state a crash or a damaged disk left the segments in, and
// says in Recovery what it found; it fails if the key is wrong, the directory
// is in use, or the disk can't be read or written at all.
func Open(opt Options) (_ *Spool, err error) {
	start := time.Now()
	if err := opt.setDefaults(); err != nil {
		return nil, fmt.Errorf("open spool: %w", err)
	}
	keys, err := newKeySet(opt.Key, opt.OldKeys)
	if err != nil {
		return nil, fmt.Errorf("open spool: %w", err)
	}
	if err := durable.MkdirAll(opt.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("open spool: %w", err)
	}
	if err := CheckDir(opt.Dir); err != nil && !opt.Volatile {
		return nil, fmt.Errorf("open spool: %w", err)
	}
	s := &Spool{opt: opt, done: make(chan struct{}), watched: make(chan struct{}), flushed: make(chan struct{})}
	defer func() {
		if err != nil {
			s.closeFiles()
		}
	}()
	if s.lock, err = os.OpenFile(filepath.Join(opt.Dir, "lock"), os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return nil, fmt.Errorf("open spool: %w", err)
	}
	if err := lockDir(s.lock); err != nil {
		return nil, fmt.Errorf("open spool: %w", err)
	}
	segment, shares, err := opt.layout()
	if err != nil {
		return nil, fmt.Errorf("open spool: %w", err)
	}
	s.maxFrame = int(segment - headerSize)
	// What waits in memory has space on disk promised to it, and can't be evicted.
	s.opt.Memory = min(opt.Memory, segment*int64(shares.total)*int64(len(opt.Uplinks))/8)
	s.meter.onSync = opt.OnSync
	for _, name := range opt.Uplinks {
		u, err := s.openUplink(name, keys, segment, shares)
		if err != nil {
			return nil, fmt.Errorf("open spool: uplink %s: %w", name, err)
		}
		s.uplinks = append(s.uplinks, u)
	}
	if err := s.findOrphans(); err != nil {
		return nil, fmt.Errorf("open spool: %w", err)
	}
	s.recovery.Duration = time.Since(start)
	ctx, cancel := context.WithCancel(context.Background())
	s.stop = cancel
	go s.keepHouse(ctx)
	go s.watch(ctx)
	go s.flushBehind(ctx)
	return s, nil
}

// layout shares out the space that the options and the disk allow.
func (o *Options) layout() (segment int64, shares capacity, err error) {
	size := o.Size
	if size == 0 {
		if size, err = autoQuota(o.Dir); err != nil {
			return 0, shares, err
		}
	}
	segment, shares = layout(max(size/int64(len(o.Uplinks)), minQuota), o.MaxRecord)
	return segment, shares, nil
}

// Largest is what MaxRecord of a spool with these options would be. It opens
// and writes nothing; the directory need not exist.
func Largest(opt Options) (int, error) {
	if err := opt.setDefaults(); err != nil {
		return 0, fmt.Errorf("measure spool: %w", err)
	}
	segment, _, err := opt.layout()
	if err != nil {
		return 0, fmt.Errorf("measure spool: %w", err)
	}
	return int(segment - headerSize), nil
}

// autoQuota is what is used already plus what may be taken of what is free.
func autoQuota(dir string) (int64, error) {
	above := dir
	for _, err := os.Stat(above); errors.Is(err, fs.ErrNotExist) && above != filepath.Dir(above); _, err = os.Stat(above) {
		above = filepath.Dir(above)
	}
	free, err := freeBytes(above)
	if err != nil || above != dir {
		return min(autoSize, free/5), err
	}
	err = filepath.WalkDir(dir, func(_ string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		info, err := d.Info()
		if err == nil {
			free += info.Size()
		}
		return err
	})
	return min(autoSize, free/5), err
}

func (s *Spool) openUplink(name string, keys *keySet, segment int64, shares capacity) (*uplink, error) {
	dir := filepath.Join(s.opt.Dir, name)
	u := &uplink{
		name:   name,
		cap:    shares,
		pool:   pool{opt: &s.opt, dir: filepath.Join(dir, "free"), size: segment, want: shares.total},
		books:  books{mu: &s.accounts, segment: segment - headerSize},
		grants: grants{keys: map[crypto.KID]*grant{}},
	}
	if err := durable.MkdirAll(u.pool.dir, 0o700); err != nil {
		return nil, err
	}
	if err := u.pool.open(); err != nil {
		return nil, err
	}
	for id := range logsByUplink {
		l := &log{
			opt: &s.opt, keys: keys, id: logID(id), dir: filepath.Join(dir, logNames[id]), uplink: name,
			pool: &u.pool, books: &u.books, grants: &u.grants, wakes: &u.arrived, changed: &s.changed, meter: &s.meter, pins: &u.pins,
			newest: map[string]uint64{}, discarded: map[uint64]struct{}{},
		}
		l.pause()
		l.cur.l = l
		u.logs[id] = l
		if err := durable.MkdirAll(l.dir, 0o700); err != nil {
			return nil, errors.Join(err, u.close())
		}
		if err := l.recover(&s.recovery); err != nil {
			return nil, errors.Join(err, u.close())
		}
	}
	u.logs[logQuarant].max = shares.quarantine
	u.logs[logControl].max = math.MaxInt // what is there already may be gathered
	if err := u.retain(time.Now(), 0); err != nil {
		return nil, errors.Join(err, u.close())
	}
	if err := u.gather(time.Now()); err != nil {
		s.opt.Logger.Error("grants can't be brought together", "uplink", name, "error", err)
	}
	u.logs[logControl].max = shares.control - 1
	s.grow(u)
	s.recovery.Short += max(0, shares.total-u.pool.total())
	return u, nil
}

// grow reserves the segments that are missing, as far as the disk has room.
func (s *Spool) grow(u *uplink) {
	if err := u.pool.fill(); err != nil {
		s.opt.Logger.Error("segments can't be reserved: the spool is smaller than configured", "uplink", u.name, "error", err)
	}
	s.accounts.Lock()
	defer s.accounts.Unlock()
	u.books.limit = u.cap.lanes(u.pool.total())
}

// findOrphans lists what belongs to uplinks that are not configured.
func (s *Spool) findOrphans() error {
	entries, err := os.ReadDir(s.opt.Dir)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.IsDir() && !slices.Contains(s.opt.Uplinks, e.Name()) {
			s.recovery.Orphans = append(s.recovery.Orphans, e.Name())
		}
	}
	return nil
}

// Recovery says what Open found.
func (s *Spool) Recovery() Recovery { return s.recovery }

// MaxRecord is the largest Size of a record that Commit takes.
func (s *Spool) MaxRecord() int { return s.maxFrame }

// Size is the most that a record takes in a log.
func Size(r *Record) int { return frameSize(r) }

// Cursor returns the cursor of a lane's log. There is one: all callers get the
// same.
func (s *Spool) Cursor(uplink int, lane uint8) (*Cursor, error) {
	if uplink < 0 || uplink >= len(s.uplinks) || lane >= laneCount {
		return nil, fmt.Errorf("no log for uplink %d, lane %d", uplink, lane)
	}
	return &s.uplinks[uplink].logs[lane].cur, nil
}

// Arrived returns a channel that is closed when the uplink's logs get records.
// Ask for it before Cursor.Next, so that no arrival is missed.
func (s *Spool) Arrived(uplink int) <-chan struct{} { return s.uplinks[uplink].arrived.wait() }

// keepHouse frees segments, writes checkpoints, forgets grants and prepares
// files, until ctx ends.
func (s *Spool) keepHouse(ctx context.Context) {
	defer close(s.done)
	tick := time.NewTicker(s.opt.Checkpoint)
	defer tick.Stop()
	s.sweep(true)
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.opt.wake:
			s.sweep(false)
		case <-tick.C:
			s.sweep(true)
		}
	}
}

func (s *Spool) sweep(full bool) {
	s.meter.mark(s.opt.time())
	for _, u := range s.uplinks {
		if full {
			if err := u.retain(time.Now(), s.opt.GrantHold); err != nil {
				s.opt.Logger.Error("control log can't be kept", "uplink", u.name, "error", err)
			}
		}
		u.makeWay(&s.opt)
		freed := 0
		for _, l := range u.logs {
			if err := l.tidy(); err != nil {
				s.opt.Logger.Error("log can't be tidied", "uplink", u.name, "log", logNames[l.id], "error", err)
			}
			n, err := l.reclaim(full)
			if err != nil {
				s.opt.Logger.Error("segments can't be freed", "uplink", u.name, "log", logNames[l.id], "error", err)
			}
			freed += n + l.compact()
		}
		if full && u.pool.total() < u.cap.total {
			s.grow(u)
			freed++
		}
		if freed > 0 {
			s.changed.notify()
		}
		if err := u.pool.prewrite(); err != nil {
			s.opt.Logger.Error("free segment can't be written", "uplink", u.name, "error", err)
		}
	}
}

// Close makes everything written durable, notes how far it was released, and
// closes the files. Cursors return ErrClosed from then on.
func (s *Spool) Close() error {
	s.stop()
	<-s.done
	<-s.watched
	<-s.flushed
	s.Flush()
	s.commit.Lock()
	defer s.commit.Unlock()
	var err error
	for _, u := range s.uplinks {
		for _, l := range u.logs {
			werr := l.write(nil, false, time.Time{})
			if errors.Is(werr, ErrClosed) {
				werr = nil
			}
			_, rerr := l.reclaim(false)
			err = errors.Join(err, werr, rerr)
		}
		err = errors.Join(err, u.flush())
	}
	s.changed.notify()
	if err = errors.Join(err, s.closeFiles()); err != nil {
		return fmt.Errorf("close spool: %w", err)
	}
	return nil
}

// flush syncs all logs and their checkpoints.
func (u *uplink) flush() (err error) {
	for _, l := range u.logs {
		l.flushing.Lock()
		l.wmu.Lock()
		l.mu.Lock()
		closed := l.closed
		l.mu.Unlock()
		if !closed {
			serr := l.sync()
			if serr == nil {
				l.mu.Lock()
				l.durable = l.synced
				acked, durableTo := l.acked, l.durable
				l.mu.Unlock()
				serr = l.check.write(l, acked, durableTo, true)
			}
			err = errors.Join(err, serr)
		}
		l.wmu.Unlock()
		l.flushing.Unlock()
	}
	return err
}

func (s *Spool) closeFiles() (err error) {
	for _, u := range s.uplinks {
		err = errors.Join(err, u.close())
	}
	if s.lock != nil {
		err = errors.Join(err, s.lock.Close())
		s.lock = nil
	}
	return err
}

func (u *uplink) close() (err error) {
	for _, l := range u.logs {
		if l == nil {
			continue
		}
		l.wmu.Lock()
		l.cur.mu.Lock()
		l.mu.Lock()
		if !l.closed {
			l.closed = true
			for _, seg := range l.segs {
				err = errors.Join(err, seg.f.Close())
			}
			if l.check.f != nil {
				err = errors.Join(err, l.check.f.Close())
			}
		}
		l.mu.Unlock()
		l.cur.mu.Unlock()
		l.wmu.Unlock()
	}
	u.arrived.notify()
	return err
}
