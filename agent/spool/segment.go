package spool

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"

	"github.com/sealgate/sealgate/crypto"
)

// A segment file is a header sector and then frames, back to back:
//
//	header  magic 8 | version 2 | alg 1 | log 1 | key id 16 | salt 32 | first sequence 8
//	        | count 8 | durable 8 | name length 1 | name | tag 16 | CRC-32C 4       (little-endian, 512 bytes, rest zero)
//	frame   length 4 | CRC-32C 4 | ciphertext
//
// The header fits one sector on purpose: it is there whole or not at all.
//
// A checkpoint slot has the form of a header with another magic, released + 1
// as first sequence, and the number of writes as count.
const (
	segmentMagic    = "sgspool\x00"
	checkpointMagic = "sgcheck\x00"
	segmentVersion  = 1
	headerSize      = 512
	frameHead       = 8
	maxName         = 64
	fixedHeader     = 8 + 2 + 1 + 1 + 16 + 32 + 8 + 8 + 8 + 1

	// headerIndex is the nonce of the header's own tag; records count from 0.
	headerIndex = math.MaxUint64
	// slack is what a frame adds to an encoded record, at most: frame head,
	// tag, number of records before it that are not durable, time.
	slack = frameHead + crypto.TagSize + 2*binary.MaxVarintLen64
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// logID numbers the logs of an uplink; lanes keep their number.
type logID uint8

const (
	laneCount          = 4
	logLow       logID = 2
	logLatest    logID = 3
	logControl   logID = 4
	logQuarant   logID = 5
	logsByUplink       = 6
)

var logNames = [logsByUplink]string{"normal", "high", "low", "latest", "control", "quarantine"}

// header is the plain part of a segment.
type header struct {
	magic   string
	alg     crypto.Alg
	log     logID
	keyID   [16]byte
	salt    [32]byte
	first   uint64 // sequence number of record 0
	count   uint64 // of records, if known when this was written, else 0; of a checkpoint: writes so far
	durable uint64 // records of the log up to this one were durable when this was written
	uplink  string
}

var (
	errNoHeader = errors.New("segment was never used")
	errHeader   = errors.New("damaged segment header")

	// ErrKey says that the spool was written under a key that was not given.
	// Nothing is deleted: give the old key, or move the directory away.
	ErrKey = errors.New("spool is encrypted under another key")

	// ErrVersion says that another version of the program wrote the spool, in a
	// format that this one does not know. Nothing was changed.
	ErrVersion = errors.New("the spool was written by another version of sealgate: install that one again, or let it send what waits and remove the directory")
)

// append appends the fields, without tag and checksum: what the key is derived
// from and what every record has as associated data.
func (h *header) append(dst []byte) []byte {
	dst = append(dst, h.magic...)
	dst = binary.LittleEndian.AppendUint16(dst, segmentVersion)
	dst = append(dst, byte(h.alg), byte(h.log))
	dst = append(dst, h.keyID[:]...)
	dst = append(dst, h.salt[:]...)
	dst = binary.LittleEndian.AppendUint64(dst, h.first)
	dst = binary.LittleEndian.AppendUint64(dst, h.count)
	dst = binary.LittleEndian.AppendUint64(dst, h.durable)
	dst = append(dst, byte(len(h.uplink)))
	return append(dst, h.uplink...)
}

// sealHeader returns the header sector and the cipher of a new use.
func sealHeader(h *header, keys *keySet) (sector []byte, c *sealer, err error) {
	rand.Read(h.salt[:]) // never fails
	h.alg, h.keyID = keys.alg, keys.current.id
	if c, err = newSealer(keys.current.key, h); err != nil {
		return nil, nil, err
	}
	sector = make([]byte, 0, headerSize)
	sector = append(sector, c.ad...)
	sector = c.Seal(sector, headerIndex, nil, c.ad)
	sector = binary.LittleEndian.AppendUint32(sector, crc32.Checksum(sector, castagnoli))
	return sector[:headerSize], c, nil
}

// parseHeader reads the fields without checking who wrote them.
func parseHeader(sector []byte, magic string) (h header, tag []byte, err error) {
	if len(sector) < headerSize {
		return h, nil, errHeader
	}
	sector = sector[:headerSize]
	if len(bytes.TrimLeft(sector, "\x00")) == 0 {
		return h, nil, errNoHeader
	}
	n := fixedHeader + int(sector[fixedHeader-1])
	if n > fixedHeader+maxName || string(sector[:8]) != magic {
		return h, nil, errHeader
	}
	sum := n + crypto.TagSize
	if crc32.Checksum(sector[:sum], castagnoli) != binary.LittleEndian.Uint32(sector[sum:]) {
		return h, nil, errHeader
	}
	if v := binary.LittleEndian.Uint16(sector[8:]); v != segmentVersion {
		return h, nil, fmt.Errorf("format %d is not %d: %w", v, segmentVersion, ErrVersion)
	}
	h.magic, h.alg, h.log = magic, crypto.Alg(sector[10]), logID(sector[11])
	copy(h.keyID[:], sector[12:])
	copy(h.salt[:], sector[28:])
	h.first = binary.LittleEndian.Uint64(sector[60:])
	h.count = binary.LittleEndian.Uint64(sector[68:])
	h.durable = binary.LittleEndian.Uint64(sector[76:])
	h.uplink = string(sector[fixedHeader:n])
	return h, sector[n:sum], nil
}

// openHeader parses and authenticates the header sector.
func openHeader(sector []byte, magic string, keys *keySet) (h header, c *sealer, err error) {
	h, tag, err := parseHeader(sector, magic)
	if err != nil {
		return h, nil, err
	}
	key := keys.find(h.keyID)
	if key == nil {
		return h, nil, ErrKey
	}
	if c, err = newSealer(key, &h); err != nil {
		return h, nil, errHeader
	}
	if _, err := c.Open(nil, headerIndex, tag, c.ad); err != nil || h.first == 0 {
		return h, nil, errHeader
	}
	return h, c, nil
}

// sealer encrypts the frames of one use of one segment.
type sealer struct {
	*crypto.SegmentCipher
	ad []byte
}

func newSealer(key *crypto.SecretKey, h *header) (*sealer, error) {
	ad := h.append(nil)
	c, err := crypto.NewSegmentCipher(key, h.alg, h.salt[:], ad)
	if err != nil {
		return nil, err
	}
	return &sealer{c, ad}, nil
}

// appendFrame appends the frame of one record.
func (c *sealer) appendFrame(dst []byte, index uint64, plain []byte) []byte {
	at := len(dst)
	dst = binary.LittleEndian.AppendUint32(dst, uint32(len(plain)+crypto.TagSize))
	dst = append(dst, 0, 0, 0, 0)
	dst = c.Seal(dst, index, plain, c.ad)
	binary.LittleEndian.PutUint32(dst[at+4:], frameSum(dst[at:]))
	return dst
}

// frameSum is the checksum of length and ciphertext.
func frameSum(frame []byte) uint32 {
	return crc32.Update(crc32.Checksum(frame[:4], castagnoli), castagnoli, frame[frameHead:])
}

// errFrame says that there is no such record at that place.
var errFrame = errors.New("no valid record")

// A frameReader reads the frames of one segment through a buffer.
type frameReader struct {
	f     io.ReaderAt
	c     *sealer
	buf   []byte // buf[:have] is what the file holds from base on
	base  int64
	have  int
	plain []byte
}

const readAhead = 64 << 10

// reset points the reader at another segment; it keeps its buffers.
func (r *frameReader) reset(f io.ReaderAt, c *sealer) { r.f, r.c, r.have = f, c, 0 }

// at returns n bytes of the file from off on; fewer mean errFrame.
func (r *frameReader) at(off int64, n int, limit int64) ([]byte, error) {
	if off+int64(n) > limit {
		return nil, errFrame
	}
	if i := off - r.base; i >= 0 && i+int64(n) <= int64(r.have) {
		return r.buf[i:][:n], nil
	}
	want := int(min(limit-off, max(readAhead, int64(n))))
	if cap(r.buf) < want || cap(r.buf) > 4*readAhead && want <= readAhead {
		r.buf = make([]byte, want)
	}
	r.base, r.have = off, 0
	got, err := r.f.ReadAt(r.buf[:want], off)
	r.have = got
	if got >= n {
		return r.buf[:n], nil
	}
	if err == nil || errors.Is(err, io.EOF) {
		err = errFrame
	}
	return nil, err
}

// length returns the whole length of the frame at off, as its head says.
func (r *frameReader) length(off, limit int64) (int, error) {
	head, err := r.at(off, frameHead, limit)
	if err != nil {
		return 0, err
	}
	n := binary.LittleEndian.Uint32(head)
	if n < crypto.TagSize || int64(n) > limit-off-frameHead {
		return 0, errFrame
	}
	return frameHead + int(n), nil
}

// next returns the plaintext of the frame at off, valid until the next call,
// and where the frame ends. The frame must be the record with that index.
func (r *frameReader) next(off int64, index uint64, limit int64) (plain []byte, end int64, err error) {
	n, err := r.length(off, limit)
	if err != nil {
		return nil, 0, err
	}
	frame, err := r.at(off, n, limit)
	if err != nil {
		return nil, 0, err
	}
	if frameSum(frame) != binary.LittleEndian.Uint32(frame[4:]) {
		return nil, 0, errFrame
	}
	if cap(r.plain) > 4*readAhead && n <= readAhead {
		r.plain = nil // a rare large record's buffer is not kept
	}
	if r.plain, err = r.c.Open(r.plain[:0], index, frame[frameHead:], r.c.ad); err != nil {
		return nil, 0, errFrame
	}
	return r.plain, off + int64(n), nil
}

// maxSkip bounds how many damaged frames resume steps over.
const maxSkip = 64

// resume looks for the next valid frame after the damaged one at off, trusting
// the damaged frames' lengths: a flipped bit then costs one record.
func (r *frameReader) resume(off int64, index uint64, limit int64) (int64, uint64, bool) {
	for range maxSkip {
		n, err := r.length(off, limit)
		if err != nil {
			return 0, 0, false
		}
		off, index = off+int64(n), index+1
		if _, _, err := r.next(off, index, limit); err == nil {
			return off, index, true
		}
	}
	return 0, 0, false
}

// appendPlain appends the plaintext of a frame: how many records before this
// one were not yet known to be durable, when it was stored, the record.
func appendPlain(dst []byte, undurable, stored uint64, r *Record) []byte {
	dst = binary.AppendUvarint(dst, undurable)
	dst = binary.AppendUvarint(dst, stored)
	return appendRecord(dst, r)
}

// splitPlain is the inverse, up to the encoded record.
func splitPlain(plain []byte) (undurable, stored uint64, record []byte, err error) {
	d := decoder{b: plain}
	undurable, stored = d.uvarint(math.MaxUint64), d.uvarint(math.MaxInt64)
	return undurable, stored, d.b, d.err
}

// frameSize is the most that a record takes in a segment.
func frameSize(r *Record) int { return r.encodedSize() + slack }
