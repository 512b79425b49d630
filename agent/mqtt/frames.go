package mqtt

import (
	"bufio"
	"fmt"
	"net"
)

// A frameGuard reads MQTT packets from a connection and ends it before a packet
// longer than limit is buffered anywhere: both client libraries allocate what a
// length header says, up to 256 MB.
//
// It also buffers reads, which the libraries do a byte at a time.
type frameGuard struct {
	net.Conn
	in    *bufio.Reader
	limit int

	first  [4]byte // of the connection: the shape of CONNACK tells 3.1.1 from 5
	nFirst int
	body   int  // bytes of the current packet still to come
	length int  // of the current packet, as far as decoded
	shift  uint // of the next length byte
	inHead bool // within the length bytes
}

func newFrameGuard(c net.Conn, limit int) *frameGuard {
	return &frameGuard{Conn: c, in: bufio.NewReaderSize(c, 8<<10), limit: limit}
}

func (g *frameGuard) Read(p []byte) (int, error) {
	n, err := g.in.Read(p)
	if bad := g.scan(p[:n]); bad != nil {
		_ = g.Conn.Close()
		return 0, bad
	}
	return n, err
}

func (g *frameGuard) scan(p []byte) error {
	if g.nFirst < len(g.first) {
		g.nFirst += copy(g.first[g.nFirst:], p)
	}
	for len(p) > 0 {
		switch {
		case g.body > 0:
			k := min(g.body, len(p))
			g.body -= k
			p = p[k:]
		case !g.inHead:
			g.inHead, g.length, g.shift = true, 0, 0
			p = p[1:]
		default:
			b := p[0]
			p = p[1:]
			g.length |= int(b&0x7f) << g.shift
			if g.shift += 7; b&0x80 != 0 {
				if g.shift > 21 {
					return fmt.Errorf("packet length is malformed")
				}
				continue
			}
			if g.length > g.limit {
				return fmt.Errorf("packet of %d bytes is longer than %d", g.length, g.limit)
			}
			g.inHead, g.body = false, g.length
		}
	}
	return nil
}

// answeredAs311 says whether the first packet was a CONNACK of MQTT 3.1.1,
// which a broker that does not know MQTT 5 answers; MQTT 5's is longer.
func (g *frameGuard) answeredAs311() bool {
	return g.nFirst == 4 && g.first[0] == 0x20 && g.first[1] == 2
}
