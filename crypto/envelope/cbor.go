package envelope

import (
	"encoding/binary"
	"unicode/utf8"
)

// CBOR major types (RFC 8949 §3.1).
const (
	majorUint = iota
	majorNegative
	majorBytes
	majorText
	majorArray
	majorMap
	majorTag
	majorSimple
)

// appendHead appends the head of a data item in its shortest form, which is
// the only form deterministic encoding knows (RFC 8949 §4.2.1).
func appendHead(dst []byte, major byte, n uint64) []byte {
	major <<= 5
	switch {
	case n < 24:
		return append(dst, major|byte(n))
	case n <= 0xff:
		return append(dst, major|24, byte(n))
	case n <= 0xffff:
		return append(dst, major|25, byte(n>>8), byte(n))
	case n <= 0xffffffff:
		return binary.BigEndian.AppendUint32(append(dst, major|26), uint32(n))
	}
	return binary.BigEndian.AppendUint64(append(dst, major|27), n)
}

// headLen is the number of bytes that appendHead appends for n.
func headLen(n int) int {
	switch {
	case n < 24:
		return 1
	case n <= 0xff:
		return 2
	case n <= 0xffff:
		return 3
	}
	return 5
}

func appendUint(dst []byte, n uint64) []byte { return appendHead(dst, majorUint, n) }

func appendInt(dst []byte, n int64) []byte {
	if n < 0 {
		return appendHead(dst, majorNegative, uint64(-1-n))
	}
	return appendHead(dst, majorUint, uint64(n))
}

func appendBytes(dst, b []byte) []byte {
	return append(appendHead(dst, majorBytes, uint64(len(b))), b...)
}

func appendText(dst []byte, s string) []byte {
	return append(appendHead(dst, majorText, uint64(len(s))), s...)
}

// A cursor reads CBOR that must be deterministically encoded: shortest heads,
// definite lengths, sorted map keys. What it accepts has exactly one encoding,
// so bytes that were read need no second encoding to be compared. The first
// violation is sticky: every later read returns zero values, and ok is false.
type cursor struct {
	b   []byte
	bad bool
}

// done reports whether everything was read, and read well.
func (c *cursor) done() bool { return !c.bad && len(c.b) == 0 }

func (c *cursor) fail() { c.bad, c.b = true, nil }

// peek is the major type of the next item, or 0xff at the end.
func (c *cursor) peek() byte {
	if len(c.b) == 0 {
		return 0xff
	}
	return c.b[0] >> 5
}

func (c *cursor) head() (major byte, n uint64) {
	if len(c.b) == 0 {
		c.fail()
		return 0, 0
	}
	major, n = c.b[0]>>5, uint64(c.b[0]&0x1f)
	if n < 24 {
		c.b = c.b[1:]
		return major, n
	}
	size := 1 << (n - 24)
	if n > 27 || len(c.b) < 1+size {
		c.fail()
		return 0, 0
	}
	n = 0
	for _, x := range c.b[1 : 1+size] {
		n = n<<8 | uint64(x)
	}
	if size == 1 && n < 24 || size > 1 && n>>(size*4) == 0 {
		c.fail() // a shorter head would have done
		return 0, 0
	}
	c.b = c.b[1+size:]
	return major, n
}

func (c *cursor) expect(major byte) uint64 {
	m, n := c.head()
	if m != major {
		c.fail()
		return 0
	}
	return n
}

func (c *cursor) uint() uint64 { return c.expect(majorUint) }

func (c *cursor) int() int64 {
	m, n := c.head()
	switch {
	case m == majorUint && n < 1<<63:
		return int64(n)
	case m == majorNegative && n < 1<<63:
		return -1 - int64(n)
	}
	c.fail()
	return 0
}

// uintMax reads an unsigned integer of at most limit.
func (c *cursor) uintMax(limit uint64) uint64 {
	n := c.uint()
	if n > limit {
		c.fail()
		return 0
	}
	return n
}

// bytes reads a byte string of at least low and at most high bytes. The result
// aliases the input.
func (c *cursor) bytes(low, high int) []byte { return c.str(majorBytes, low, high) }

func (c *cursor) text(low, high int) string {
	b := c.str(majorText, low, high)
	if !utf8.Valid(b) {
		c.fail()
		return ""
	}
	return string(b)
}

func (c *cursor) str(major byte, low, high int) []byte {
	n := c.expect(major)
	if c.bad || n > uint64(len(c.b)) || n < uint64(low) || n > uint64(high) {
		c.fail()
		return nil
	}
	b := c.b[:n:n]
	c.b = c.b[n:]
	return b
}

// array reads the head of an array of at least low and at most high items.
func (c *cursor) array(low, high int) int { return c.count(majorArray, low, high) }

// pairs reads the head of a map of at least low and at most high pairs.
func (c *cursor) pairs(low, high int) int { return c.count(majorMap, low, high) }

func (c *cursor) count(major byte, low, high int) int {
	n := c.expect(major)
	if c.bad || n > uint64(len(c.b)) || n < uint64(low) || n > uint64(high) { // an item has at least one byte
		c.fail()
		return 0
	}
	return int(n)
}

// A labels remembers the last key of a map, so that the next one must be
// greater in the bytewise order of the encodings. For integers in shortest
// form that is: non-negative before negative, then by magnitude.
type labels struct {
	started  bool
	negative bool
	n        uint64
}

// label reads an integer map key.
func (c *cursor) label(last *labels) int64 {
	m, n := c.head()
	negative := m == majorNegative
	if c.bad || m > majorNegative || n > 1<<62 ||
		last.started && (last.negative && !negative || last.negative == negative && n <= last.n) {
		c.fail()
		return 0
	}
	*last = labels{true, negative, n}
	if negative {
		return -1 - int64(n)
	}
	return int64(n)
}

// skip reads one item of a label we do not know: integers, strings, arrays,
// maps with integer keys, false, true and null, nested at most depth deep.
func (c *cursor) skip(depth int) {
	switch major := c.peek(); major {
	case majorUint, majorNegative:
		c.head()
	case majorBytes:
		c.bytes(0, len(c.b))
	case majorText:
		c.text(0, len(c.b))
	case majorArray, majorMap:
		if depth == 0 {
			c.fail()
			return
		}
		var last labels
		for range c.count(major, 0, len(c.b)) {
			if major == majorMap {
				c.label(&last)
			}
			if c.skip(depth - 1); c.bad {
				return
			}
		}
	default:
		if m, n := c.head(); m != majorSimple || n < 20 || n > 22 {
			c.fail()
		}
	}
}
