package payload

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/klauspost/compress/zstd"
)

// Of zstd (RFC 8878) one frame is read, with nothing before or behind it, and
// without a dictionary: what stands in other frames, or in a dictionary that we
// don't have, nobody would look at.

const (
	zstdMagic = "\x28\xB5\x2F\xFD"

	maxZstdWindow = 8 << 20   // what every reader should support (section 3.1.1.1.2)
	maxZstdBlock  = 128 << 10 // section 3.1.1.2.4
	zstdChecksum  = 4

	// writeWindow keeps the writer's memory small; what is written into a
	// smaller window every reader can read.
	writeWindow = 1 << 20
)

func isZstd(b []byte) bool {
	return len(b) >= len(zstdMagic) && string(b[:len(zstdMagic)]) == zstdMagic
}

// zstdSize walks over the frame that b has to be and returns how many bytes come
// out of it: as many as it says, or no more than its blocks can hold.
func zstdSize(b []byte) (uint64, Reason) {
	at := len(zstdMagic)
	if at == len(b) {
		return 0, ReasonMalformed
	}
	descriptor := b[at]
	at++
	switch {
	case descriptor&0x08 != 0: // reserved
		return 0, ReasonMalformed
	case descriptor&0x03 != 0: // a dictionary
		return 0, ReasonUnknown
	}
	single, sized := descriptor&0x20 != 0, 0
	if !single {
		if at == len(b) {
			return 0, ReasonMalformed
		}
		window := uint64(1) << (10 + b[at]>>3)
		if window += window / 8 * uint64(b[at]&7); window > maxZstdWindow {
			return 0, ReasonTooLarge
		}
		at++
	}
	if v := descriptor >> 6; v > 0 || single {
		sized = 1 << v
	}
	if len(b)-at < sized {
		return 0, ReasonMalformed
	}
	says, holds := uint64(0), uint64(0)
	switch sized {
	case 1:
		says = uint64(b[at])
	case 2:
		says = uint64(binary.LittleEndian.Uint16(b[at:])) + 256
	case 4:
		says = uint64(binary.LittleEndian.Uint32(b[at:]))
	case 8:
		says = binary.LittleEndian.Uint64(b[at:])
	}
	at += sized
	for last := false; !last; {
		if len(b)-at < 3 {
			return 0, ReasonMalformed
		}
		header := uint32(b[at]) | uint32(b[at+1])<<8 | uint32(b[at+2])<<16
		size, in, out := int(header>>3), 0, 0
		switch header >> 1 & 3 {
		case 0: // as they are
			in, out = size, size
		case 1: // one byte, repeated
			in, out = 1, size
		case 2: // compressed
			in, out = size, maxZstdBlock
		default:
			return 0, ReasonMalformed
		}
		at += 3
		if size > maxZstdBlock || len(b)-at < in {
			return 0, ReasonMalformed
		}
		at, holds, last = at+in, holds+uint64(out), header&1 != 0
	}
	if descriptor&0x04 != 0 {
		at += zstdChecksum
	}
	switch {
	case at > len(b), sized > 0 && says > holds:
		return 0, ReasonMalformed
	case at < len(b):
		return 0, ReasonTrailing
	case sized > 0:
		return says, ReasonNone
	}
	return holds, ReasonNone
}

// unpackZstd decompresses Raw to pack.inside.
func (d *Document) unpackZstd(lim Limits) Reason {
	p := &d.pack
	size, why := zstdSize(d.Raw)
	if why != ReasonNone {
		return why
	}
	if p.unzstd == nil {
		var err error
		p.unzstd, err = zstd.NewReader(nil, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecodeAllCapLimit(true),
			zstd.WithDecoderMaxMemory(math.MaxInt32), zstd.WithDecoderMaxWindow(math.MaxInt32)) // zstdSize and the capacity bound both
		if err != nil {
			return ReasonUnknown
		}
	}
	most := uint64(mostOf(len(d.Raw), lim))
	room := min(size, most)
	if p.inside == nil || uint64(cap(p.inside)) < room {
		p.inside = make([]byte, 0, room)
	}
	out, err := p.unzstd.DecodeAll(d.Raw, p.inside[:0:room])
	switch {
	case size > most && errors.Is(err, zstd.ErrDecoderSizeExceeded):
		return ReasonTooLarge
	case err != nil:
		return ReasonMalformed
	}
	p.inside = append(p.inside[:0], out...) // where it is already
	return ReasonNone
}

// packZstd writes edited to out as one frame with its size and a checksum.
func (p *packing) packZstd() error {
	if p.zstd == nil {
		var err error
		p.zstd, err = zstd.NewWriter(nil, zstd.WithEncoderConcurrency(1), zstd.WithLowerEncoderMem(true), zstd.WithWindowSize(writeWindow))
		if err != nil {
			return fmt.Errorf("edit packed: %w", err)
		}
	}
	p.out.Write(p.zstd.EncodeAll(p.edited, p.out.AvailableBuffer()))
	return nil
}
