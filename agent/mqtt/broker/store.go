package broker

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/sealgate/sealgate/crypto"
	"github.com/sealgate/sealgate/internal/durable"
)

// The state is one file, StateDir/broker.state: a header, then records that are
// only appended. At each start, and when the file has outgrown what is alive in
// it, a new file with a fresh salt replaces it whole.
//
//	header  "SGBS" | version 1 | algorithm | salt (32 bytes)
//	record  length of the ciphertext (uint32, big-endian) | ciphertext
//
// The ciphertext is a CBOR sequence of changes, sealed with the key that
// [crypto.NewSegmentCipher] derives from Options.Key, the salt and the header;
// nonce = index of the record in the file.
//
// Durability: a change reaches the disk (fdatasync) within Options.WriteBehind,
// and all do when the broker is closed. A crash or a power cut loses the
// changes of that time: a retained message may be the one before, a message
// queued for a session that was away may be missing or be delivered once more,
// and a QoS 2 message of a device that also lost its connection may be
// submitted twice. None of this touches what the sink made durable. (As with
// mosquitto, whose autosave is 30 minutes unless set otherwise.)
//
// Recovery: records are read up to the first that is short or does not open. A
// file of which nothing can be read is kept aside as broker.state.unreadable
// and the broker starts empty, loudly; one of another format, which a newer
// version wrote, stops the start and stays as it is.
const (
	stateFile    = "broker.state"
	stateMagic   = "SGBS"
	stateVersion = 1
	stateHeader  = 4 + 2 + 32
	recordBytes  = 256 << 10 // of plaintext, beyond which a new record begins
	recordLimit  = 512 << 20
	compactFloor = 1 << 20
)

// The kinds of a change.
const (
	setRetained = iota + 1
	dropRetained
	setSession
	dropSession
	setQueued
	dropQueued
	setWill
	dropWill
)

// A change is one entry of a record.
type change struct {
	Kind    int            `cbor:"0,keyasint"`
	Key     string         `cbor:"1,keyasint,omitempty"` // topic, or client id
	Epoch   uint64         `cbor:"2,keyasint,omitempty"` // of the session; id of the will
	ID      uint16         `cbor:"3,keyasint,omitempty"` // packet id
	Message *storedMessage `cbor:"4,keyasint,omitempty"`
	Session *storedSession `cbor:"5,keyasint,omitempty"`
	Delay   time.Duration  `cbor:"6,keyasint,omitempty"`
}

type queuedKey struct {
	client string
	epoch  uint64
	id     uint16
}

// store writes changes behind the broker's back. The broker only marks what
// changed; what to write is read from its state when it is written.
type store struct {
	b    *Broker
	path string
	key  *crypto.SecretKey
	kick chan struct{}
	done chan struct{}
	quit chan struct{}

	mu       sync.Mutex // guards the marks
	topics   map[string]struct{}
	sessions map[string]struct{}
	ended    map[string]struct{}
	queue    map[queuedKey]struct{}
	wills    map[uint64]*will // pending: the truth
	willMark map[uint64]struct{}

	// Used by run, and by open and close when run does not run.
	file   *os.File
	cipher *crypto.SegmentCipher
	index  uint64
	size   int64
	base   int64 // size after the last compaction
	failed bool  // the file's state is unknown: compact into a new one
}

func newStore(b *Broker, dir string, key *crypto.SecretKey) *store {
	return &store{
		b: b, path: filepath.Join(dir, stateFile), key: key,
		kick: make(chan struct{}, 1), done: make(chan struct{}), quit: make(chan struct{}),
		topics: make(map[string]struct{}), sessions: make(map[string]struct{}), ended: make(map[string]struct{}),
		queue: make(map[queuedKey]struct{}), wills: make(map[uint64]*will), willMark: make(map[uint64]struct{}),
	}
}

// mark runs f under the lock and wakes the writer.
func (s *store) mark(f func()) {
	s.mu.Lock()
	f()
	s.mu.Unlock()
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

func (s *store) retained(topic string) { s.mark(func() { s.topics[topic] = struct{}{} }) }
func (s *store) session(id string)     { s.mark(func() { s.sessions[id] = struct{}{} }) }
func (s *store) queued(k queuedKey)    { s.mark(func() { s.queue[k] = struct{}{} }) }
func (s *store) sessionEnded(id string) {
	s.mark(func() { s.sessions[id], s.ended[id] = struct{}{}, struct{}{} })
}

func (s *store) willPending(w *will) {
	s.mark(func() { s.wills[w.id], s.willMark[w.id] = w, struct{}{} })
}

func (s *store) willDone(w *will) {
	s.mark(func() {
		delete(s.wills, w.id)
		s.willMark[w.id] = struct{}{}
	})
}

// run writes marked changes, at most every WriteBehind.
func (s *store) run(every time.Duration) {
	defer close(s.done)
	for {
		select {
		case <-s.quit:
			return
		case <-s.kick:
		}
		select {
		case <-s.quit:
			return
		case <-time.After(every):
		}
		s.try()
	}
}

// try flushes; what failed is written whole the next time.
func (s *store) try() {
	err := s.flush()
	if err == nil {
		return
	}
	if !s.failed { // once, not every second of a full disk
		s.b.log.Error("write broker state", "error", err)
	}
	s.failed = true
	s.b.stats.storeErrors.Add(1)
	select {
	case s.kick <- struct{}{}:
	default:
	}
}

// close writes what is left.
func (s *store) close() error {
	close(s.quit)
	<-s.done
	err := s.flush()
	if s.file != nil {
		err = errors.Join(err, s.file.Close())
	}
	if err != nil {
		return fmt.Errorf("write broker state: %w", err)
	}
	return nil
}

// flush writes and syncs all marked changes.
func (s *store) flush() error {
	s.mu.Lock()
	topics, sessions, ended, queue, wills := s.topics, s.sessions, s.ended, s.queue, s.willMark
	s.topics, s.sessions, s.ended = make(map[string]struct{}), make(map[string]struct{}), make(map[string]struct{})
	s.queue, s.willMark = make(map[queuedKey]struct{}), make(map[uint64]struct{})
	s.mu.Unlock()
	if s.failed || s.size > max(compactFloor, 2*s.base) {
		return s.compact()
	}
	w := &recordWriter{s: s}
	for id := range ended {
		w.add(change{Kind: dropSession, Key: id})
	}
	for t := range topics {
		w.add(s.retainedChange(t))
	}
	for id := range sessions {
		w.add(s.sessionChange(id))
	}
	for k := range queue {
		w.add(s.queuedChange(k))
	}
	for id := range wills {
		w.add(s.willChange(id))
	}
	w.flush()
	if w.err != nil {
		return w.err
	}
	if w.out.Len() == 0 {
		return nil
	}
	n, err := s.file.Write(w.out.Bytes())
	s.size += int64(n)
	if err != nil {
		return err
	}
	return s.file.Sync()
}

// compact replaces the file by one that holds what is alive now.
func (s *store) compact() error {
	head := make([]byte, stateHeader)
	copy(head, stateMagic)
	head[4], head[5] = stateVersion, byte(crypto.PreferredAlg())
	if _, err := rand.Read(head[6:]); err != nil {
		return fmt.Errorf("read random bytes: %w", err)
	}
	var err error
	if s.cipher, err = openCipher(s.key, head); err != nil {
		return err
	}
	s.index = 0
	w := &recordWriter{s: s}
	w.out.Write(head)
	for t := range s.b.srv.Topics.Retained.GetAll() {
		w.add(s.retainedChange(t))
	}
	for _, id := range s.b.sessionIDs() {
		w.add(s.sessionChange(id))
		cl, ok := s.b.srv.Clients.Get(id)
		if !ok {
			continue
		}
		epoch, ok := s.b.epochOf(id)
		if !ok {
			continue
		}
		for _, pk := range cl.State.Inflight.GetAll(false) {
			w.add(s.queuedChange(queuedKey{id, epoch, pk.PacketID}))
		}
	}
	s.mu.Lock()
	ids := make([]uint64, 0, len(s.wills))
	for id := range s.wills {
		ids = append(ids, id)
	}
	s.mu.Unlock()
	for _, id := range ids {
		w.add(s.willChange(id))
	}
	w.add(change{Kind: dropRetained}) // so that there is a record to tell a wrong key by
	w.flush()
	if w.err != nil {
		return w.err
	}
	if err := durable.WriteFile(s.path, w.out.Bytes(), 0o600); err != nil {
		return err
	}
	if s.file != nil {
		_ = s.file.Close() // replaced: nothing in it counts any more
	}
	if s.file, err = os.OpenFile(s.path, os.O_WRONLY|os.O_APPEND, 0); err != nil {
		s.file = nil
		s.failed = true
		return fmt.Errorf("open %s: %w", s.path, err)
	}
	s.size, s.base, s.failed = int64(w.out.Len()), int64(w.out.Len()), false
	return nil
}

func openCipher(key *crypto.SecretKey, head []byte) (*crypto.SegmentCipher, error) {
	return crypto.NewSegmentCipher(key, crypto.Alg(int8(head[5])), head[6:], head[:6])
}

// A recordWriter collects changes into sealed records.
type recordWriter struct {
	s     *store
	plain []byte
	out   bytes.Buffer
	err   error
}

func (w *recordWriter) add(c change) {
	if w.err != nil || c.Kind == 0 {
		return
	}
	p, err := cbor.Marshal(c)
	if err != nil {
		w.err = fmt.Errorf("encode state: %w", err)
		return
	}
	w.plain = append(w.plain, p...)
	if len(w.plain) >= recordBytes {
		w.flush()
	}
}

func (w *recordWriter) flush() {
	if len(w.plain) == 0 || w.err != nil {
		return
	}
	sealed := w.s.cipher.Seal(nil, w.s.index, w.plain, nil)
	w.s.index++
	var n [4]byte
	binary.BigEndian.PutUint32(n[:], uint32(len(sealed)))
	w.out.Write(n[:])
	w.out.Write(sealed)
	clear(w.plain)
	w.plain = w.plain[:0]
}

var errStateVersion = errors.New("the broker's state was written by another version of sealgate: install that one again, or move the file away to start without retained messages and sessions")

// readState reads the changes of a state file, as far as they can be read.
func readState(key *crypto.SecretKey, raw []byte) (cs []change, whole bool, err error) {
	if len(raw) < stateHeader || string(raw[:4]) != stateMagic {
		return nil, false, errors.New("not a broker state file")
	}
	if raw[4] != stateVersion {
		return nil, false, fmt.Errorf("format %d is not %d: %w", raw[4], stateVersion, errStateVersion)
	}
	c, err := openCipher(key, raw[:stateHeader])
	if err != nil {
		return nil, false, err
	}
	rest := raw[stateHeader:]
	for index := uint64(0); len(rest) > 0; index++ {
		if len(rest) < 4 {
			return cs, false, nil
		}
		n := binary.BigEndian.Uint32(rest)
		if n > recordLimit || int(n) > len(rest)-4 {
			return cs, false, nil
		}
		plain, err := c.Open(nil, index, rest[4:4+n], nil)
		if err != nil {
			if index == 0 {
				return nil, false, errors.New("broker state does not open: wrong key, or damaged")
			}
			return cs, false, nil
		}
		rest = rest[4+n:]
		if cs, err = decodeChanges(cs, plain); err != nil {
			return nil, false, err
		}
	}
	return cs, true, nil
}

// decodeChanges appends the changes of one record.
func decodeChanges(cs []change, plain []byte) ([]change, error) {
	for len(plain) > 0 {
		var c change
		rest, err := stateDecoder.UnmarshalFirst(plain, &c)
		if err != nil {
			return nil, fmt.Errorf("decode broker state: %w", err)
		}
		cs, plain = append(cs, c), rest
	}
	return cs, nil
}

var stateDecoder = func() cbor.DecMode {
	m, err := cbor.DecOptions{
		DupMapKey:         cbor.DupMapKeyEnforcedAPF,
		MaxNestedLevels:   8,
		MaxArrayElements:  1 << 20,
		ExtraReturnErrors: cbor.ExtraDecErrorUnknownField,
	}.DecMode()
	if err != nil {
		panic(err) // the options above are constant
	}
	return m
}()

// open reads the state into the broker and begins a new file.
func (s *store) open() error {
	if err := durable.MkdirAll(filepath.Dir(s.path), 0o700); err != nil {
		return fmt.Errorf("make state directory: %w", err)
	}
	raw, err := os.ReadFile(s.path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return fmt.Errorf("read broker state: %w", err)
	default:
		cs, whole, err := readState(s.key, raw)
		if errors.Is(err, errStateVersion) {
			return fmt.Errorf("read %s: %w", s.path, err)
		}
		if err != nil {
			aside := s.path + ".unreadable"
			s.b.log.Error("broker state is unreadable, starting without it", "error", err, "kept", aside)
			s.b.stats.storeErrors.Add(1)
			if err := os.Rename(s.path, aside); err != nil {
				return fmt.Errorf("set broker state aside: %w", err)
			}
		} else if !whole {
			s.b.log.Warn("broker state ends in a torn record, as after a power cut")
		}
		s.b.restore(cs)
	}
	switch err := s.compact(); {
	case errors.Is(err, syscall.ENOSPC):
		// Devices are served on a full disk, too; what changes is written when
		// there is room.
		s.b.log.Error("write broker state", "error", err)
		s.b.stats.storeErrors.Add(1)
		s.failed = true
	case err != nil:
		return fmt.Errorf("write broker state: %w", err)
	}
	return nil
}
