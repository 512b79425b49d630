package spool

import (
	"sync"
	"sync/atomic"
	"time"
)

// meter counts what the medium has to bear.
type meter struct {
	written  atomic.Uint64
	syncs    atomic.Uint64
	syncTime atomic.Int64
	syncMax  atomic.Int64
	memory   atomic.Int64  // bytes that only memory holds
	spared   atomic.Uint64 // bytes that were released before they were written
	onSync   func(time.Duration)

	mu     sync.Mutex // guards what follows
	hours  []uint64   // written when each of the last 24 hours began, the oldest first
	marked time.Time  // when the last one did
}

// mark notes how much was written, once an hour.
func (m *meter) mark(now time.Time) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if now.Sub(m.marked) < time.Hour {
		return
	}
	if len(m.hours) == 24 {
		m.hours = m.hours[1:]
	}
	m.hours, m.marked = append(m.hours, m.written.Load()), now
}

// day is what was written in the last 24 hours, to the hour.
func (m *meter) day() uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.hours) < 24 {
		return m.written.Load()
	}
	return m.written.Load() - m.hours[0]
}

func (m *meter) synced(d time.Duration) {
	m.syncs.Add(1)
	m.syncTime.Add(int64(d))
	for old := m.syncMax.Load(); int64(d) > old && !m.syncMax.CompareAndSwap(old, int64(d)); old = m.syncMax.Load() {
	}
	if m.onSync != nil {
		m.onSync(d)
	}
}

// Stats is a snapshot of the spool.
type Stats struct {
	Bytes     int64     // of records in segments that are not yet free
	Limit     int64     // that the lanes may hold
	Records   int64     // in the lanes, not released
	Oldest    time.Time // of those; zero: none
	Written   uint64    // bytes since Open: wear
	Day       uint64    // of those, in the last 24 hours
	Memory    int64     // bytes that wait in memory, not yet on disk
	Spared    uint64    // bytes since Open that were released before they were written
	Fsyncs    uint64    // fdatasyncs of segments since Open
	FsyncTime time.Duration
	FsyncMax  time.Duration
	Lost      uint64 // records found missing or damaged, at Open or since
	Dropped   uint64 // records that a full quarantine lost
	Expired   uint64 // records that were older than their max age before they could be sent
	Replaced  uint64 // records of the log "latest" that a later one of their topic took the place of
	Evicted   uint64 // records of the low lane that made way for others
	Uplinks   []UplinkStats
}

// UplinkStats is one uplink's share.
type UplinkStats struct {
	Name       string
	Bytes      int64
	Limit      int64
	Level      float64 // share of the lanes' segments that are in use, 0 to 1
	Oldest     time.Time
	Lanes      [laneCount]LogStats
	Control    LogStats
	Quarantine LogStats
}

// LogStats is one log.
type LogStats struct {
	Records  int64
	Bytes    int64
	Segments int
	Oldest   time.Time
	Lost     uint64
	Dropped  uint64

	Expired, Replaced, Evicted uint64
}

// Stats returns a snapshot. It reads at most one record of each log.
func (s *Spool) Stats() Stats {
	st := Stats{
		Written:   s.meter.written.Load(),
		Day:       s.meter.day(),
		Memory:    s.meter.memory.Load(),
		Spared:    s.meter.spared.Load(),
		Fsyncs:    s.meter.syncs.Load(),
		FsyncTime: time.Duration(s.meter.syncTime.Load()),
		FsyncMax:  time.Duration(s.meter.syncMax.Load()),
	}
	for i, u := range s.uplinks {
		us := UplinkStats{Name: u.name, Level: s.Level(i)}
		s.accounts.Lock()
		us.Limit = int64(u.books.limit) * u.books.segment
		s.accounts.Unlock()
		for id, l := range u.logs {
			ls := l.stats()
			st.Lost += ls.Lost
			st.Dropped += ls.Dropped
			st.Expired += ls.Expired
			st.Replaced += ls.Replaced
			st.Evicted += ls.Evicted
			switch logID(id) {
			case logControl:
				us.Control = ls
			case logQuarant:
				us.Quarantine = ls
			default:
				us.Lanes[id] = ls
				us.Bytes += ls.Bytes
				st.Records += ls.Records
				us.Oldest = earlier(us.Oldest, ls.Oldest)
			}
		}
		st.Bytes += us.Bytes
		st.Limit += us.Limit
		st.Oldest = earlier(st.Oldest, us.Oldest)
		st.Uplinks = append(st.Uplinks, us)
	}
	return st
}

func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// Level is the share of an uplink's segments for the lanes that are in use, 0
// to 1. Reserve keeps the low lane below 0.85 and the normal one below 0.95.
func (s *Spool) Level(uplink int) float64 {
	s.accounts.Lock()
	defer s.accounts.Unlock()
	b := &s.uplinks[uplink].books
	if b.limit == 0 {
		return 1
	}
	return float64(b.used) / float64(b.limit)
}

func (l *log) stats() LogStats {
	l.mu.Lock()
	ls := LogStats{Records: l.live, Segments: len(l.segs), Lost: l.lost, Dropped: l.dropped,
		Expired: l.expired, Replaced: l.superseded, Evicted: l.evicted}
	for _, seg := range l.segs {
		ls.Bytes += seg.end - headerSize
	}
	seq := l.acked + 1
	if len(l.flights) > 0 {
		seq = l.flights[0].seq
	}
	if ls.Records > 0 && l.oldest.seq == seq {
		ls.Oldest = l.oldest.at
	}
	l.mu.Unlock()
	if ls.Records == 0 || !ls.Oldest.IsZero() {
		return ls
	}
	if rec, err := l.fetch(seq, loc{}); err == nil {
		ls.Oldest = rec.Stored
		l.mu.Lock()
		l.oldest.seq, l.oldest.at = seq, rec.Stored
		l.mu.Unlock()
	}
	return ls
}
