package payload

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"errors"
	"hash/adler32"
	"hash/crc32"
	"io"

	"github.com/klauspost/compress/zstd"
)

// packedFormat is gzip (RFC 1952), zlib (RFC 1950) or zstd (RFC 8878) around one
// document of any other format, whose fields become the document's. One member
// or frame and nothing behind it; a gzip header with a name, a comment or extra
// data is refused, because nobody looks at those. A bomb is refused at maxRatio,
// or where the inside grows larger than a payload may be.
type packedFormat struct{}

const (
	// maxRatio bounds what decompression may cost. Deflate reaches 1,032; logs
	// and telemetry stay below 50.
	maxRatio    = 128
	ratioFreeOf = 4096 // bytes that may come out whatever went in

	gzipHeader  = 10
	gzipTrailer = 8
	zlibHeader  = 2
	zlibTrailer = 4
)

// A packing is the memory of a packed document. Raw is the inside then.
type packing struct {
	received []byte // the payload as received; nil if it is not packed
	inside   []byte
	edited   []byte
	source   bytes.Reader
	inflate  io.ReadCloser
	out      bytes.Buffer
	deflate  *flate.Writer
	unzstd   *zstd.Decoder
	zstd     *zstd.Encoder
}

// forget gives large memory back.
func (p *packing) forget() {
	p.received = nil
	if cap(p.inside) > keepBytes && len(p.inside) < cap(p.inside)/4 {
		p.inside, p.edited, p.out = nil, nil, bytes.Buffer{}
	}
}

// Detect claims gzip and zstd by their magic numbers. A zlib header is two bytes
// with a weak check that some texts pass, so what may be text is left alone.
func (packedFormat) Detect(_ string, raw []byte) bool {
	return isGzip(raw) || isZstd(raw) || isZlib(raw) && !isText(raw)
}

func isGzip(b []byte) bool { return len(b) >= 3 && b[0] == 0x1F && b[1] == 0x8B && b[2] == 8 }

// isZlib expects a window of 32 KiB, as all common writers say, and no preset
// dictionary.
func isZlib(b []byte) bool {
	return len(b) >= zlibHeader && b[0] == 0x78 && b[1]&0x20 == 0 && binary.BigEndian.Uint16(b)%31 == 0
}

func (packedFormat) Parse(d *Document, lim Limits) Reason {
	if d.pack.received != nil {
		return ReasonTooDeep // packed twice
	}
	raw := d.Raw
	why, name := d.unpackRaw(lim)
	if why != ReasonNone {
		return why
	}
	if len(d.pack.inside) == 0 {
		return ReasonUnknown // an empty payload means deletion to a broker; this is none
	}
	d.pack.received, d.Raw = raw, d.pack.inside
	why = d.parsePayload(lim)
	d.name = name
	return why
}

// unpackRaw decompresses Raw to pack.inside and returns the name of the format.
func (d *Document) unpackRaw(lim Limits) (Reason, string) {
	raw := d.Raw
	switch {
	case isZstd(raw):
		return d.unpackZstd(lim), "zstd"
	case !isGzip(raw):
		return d.unpack(false, lim), "zlib"
	case len(raw) < gzipHeader || raw[3]&0xE0 != 0:
		return ReasonMalformed, "gzip"
	case raw[3] != 0:
		return ReasonUnknown, "gzip"
	}
	return d.unpack(true, lim), "gzip"
}

// Unpack returns what is inside a packed payload, and any other payload as it
// is. d is the memory, and what [Document.Pack] then packs like.
func (d *Document) Unpack(raw []byte, lim Limits) ([]byte, Reason) {
	lim = lim.withDefaults()
	d.reset()
	d.Raw, d.pack.received = raw, nil
	why := ReasonNone
	switch {
	case len(raw) > lim.Bytes:
		return nil, ReasonTooLarge
	case packedFormat{}.Detect("", raw):
		why, _ = d.unpackRaw(lim)
	default:
		return raw, ReasonNone
	}
	if why != ReasonNone {
		return nil, why
	}
	d.pack.received, d.Raw = raw, d.pack.inside
	return d.Raw, ReasonNone
}

// Packed reports whether the payload was packed.
func (d *Document) Packed() bool { return d.pack.received != nil }

// Pack appends inside as the payload was packed that was read last, or as it is.
func (d *Document) Pack(dst, inside []byte) ([]byte, error) {
	p := &d.pack
	if p.received == nil {
		return append(dst, inside...), nil
	}
	p.edited = append(p.edited[:0], inside...)
	return d.packAgain(dst)
}

// mostOf is how many bytes may come out of a packed payload of n.
func mostOf(n int, lim Limits) int { return min(lim.Bytes, max(ratioFreeOf, n*maxRatio)) }

// unpack decompresses gzip or zlib in Raw to pack.inside.
func (d *Document) unpack(gzip bool, lim Limits) Reason {
	p, header, trailer := &d.pack, zlibHeader, zlibTrailer
	if gzip {
		header, trailer = gzipHeader, gzipTrailer
	}
	p.source.Reset(d.Raw[header:])
	defer p.source.Reset(nil)
	if p.inflate == nil {
		p.inflate = flate.NewReader(&p.source)
	} else if err := p.inflate.(flate.Resetter).Reset(&p.source, nil); err != nil {
		return ReasonMalformed
	}
	most := mostOf(len(d.Raw), lim)
	p.inside = p.inside[:0]
	for {
		if len(p.inside) == cap(p.inside) {
			grown := make([]byte, len(p.inside), max(1024, 4*len(d.Raw), 2*cap(p.inside)))
			copy(grown, p.inside)
			p.inside = grown
		}
		n, err := p.inflate.Read(p.inside[len(p.inside):cap(p.inside)])
		p.inside = p.inside[:len(p.inside)+n]
		if len(p.inside) > most {
			return ReasonTooLarge
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return ReasonMalformed
		}
	}
	end := d.Raw[len(d.Raw)-p.source.Len():]
	switch {
	case len(end) < trailer:
		return ReasonMalformed
	case gzip && (binary.LittleEndian.Uint32(end) != crc32.ChecksumIEEE(p.inside) || binary.LittleEndian.Uint32(end[4:]) != uint32(len(p.inside))),
		!gzip && binary.BigEndian.Uint32(end) != adler32.Checksum(p.inside):
		return ReasonMalformed
	case len(end) > trailer:
		return ReasonTrailing
	}
	return ReasonNone
}

// Append is never asked: a packed document has the format of its inside.
func (packedFormat) Append([]byte, *Document, []Edit) ([]byte, error) {
	return nil, errors.New("edit packed: no edit is accepted")
}

// appendPacked has the inside's format carry out edits and packs the result
// again, of gzip and zlib behind the header that it had.
func (d *Document) appendPacked(dst []byte, edits []Edit) ([]byte, error) {
	p := &d.pack
	var err error
	if p.edited, err = d.format.Append(p.edited[:0], d, edits); err != nil {
		return nil, err
	}
	from := len(dst)
	if dst, err = d.packAgain(dst); err != nil {
		return nil, err
	}
	// Who asks has memory and disk in mind that follow the payload's size.
	if len(dst)-from > 2*len(p.received)+1024 {
		return nil, errors.New("edit packed: the result grows too much")
	}
	return dst, nil
}

// packAgain packs edited, of gzip and zlib behind the header that it had.
func (d *Document) packAgain(dst []byte) ([]byte, error) {
	p := &d.pack
	p.out.Reset()
	var err error
	if isZstd(p.received) {
		err = p.packZstd()
	} else {
		err = p.packDeflate()
	}
	if err != nil {
		return nil, err
	}
	if len(p.edited) > max(ratioFreeOf, p.out.Len()*maxRatio) {
		return nil, errors.New("edit packed: the result packs too well")
	}
	switch {
	case isZstd(p.received):
		return append(dst, p.out.Bytes()...), nil
	case isGzip(p.received):
		dst = append(append(dst, p.received[:gzipHeader]...), p.out.Bytes()...)
		dst = binary.LittleEndian.AppendUint32(dst, crc32.ChecksumIEEE(p.edited))
		return binary.LittleEndian.AppendUint32(dst, uint32(len(p.edited))), nil
	}
	dst = append(append(dst, p.received[:zlibHeader]...), p.out.Bytes()...)
	return binary.BigEndian.AppendUint32(dst, adler32.Checksum(p.edited)), nil
}

// packDeflate writes edited to out.
func (p *packing) packDeflate() error {
	if p.deflate == nil {
		var err error
		if p.deflate, err = flate.NewWriter(&p.out, flate.DefaultCompression); err != nil {
			return err
		}
	} else {
		p.deflate.Reset(&p.out)
	}
	if _, err := p.deflate.Write(p.edited); err != nil {
		return err
	}
	return p.deflate.Close()
}
