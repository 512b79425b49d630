package classify

func isHexDigit(c byte) bool { return c-'0' <= 9 || (c|0x20)-'a' <= 5 }

// An ipScope says who can reach an address.
type ipScope uint8

const (
	ipInvalid ipScope = iota
	ipPublic
	ipPrivate // private, link-local, loopback, shared, unspecified, multicast, documentation
)

// ipv4 parses a dotted quad without leading zeros (RFC 6943, section 3.1.1:
// anything else is ambiguous) and says its scope (IANA special-purpose
// registry). Documentation ranges count as private: they identify nobody.
func ipv4(b []byte) ipScope {
	var q [4]int
	i := 0
	for part := range q {
		if part > 0 {
			if i >= len(b) || b[i] != '.' {
				return ipInvalid
			}
			i++
		}
		start := i
		for i < len(b) && i-start < 3 && b[i]-'0' <= 9 {
			q[part] = q[part]*10 + int(b[i]-'0')
			i++
		}
		if i == start || q[part] > 255 || i-start > 1 && b[start] == '0' {
			return ipInvalid
		}
	}
	if i != len(b) {
		return ipInvalid
	}
	switch a, c, d := q[0], q[1], q[2]; {
	case a == 0, a == 10, a == 127, a >= 224,
		a == 100 && c >= 64 && c < 128,
		a == 169 && c == 254,
		a == 172 && c >= 16 && c < 32,
		a == 192 && c == 168, a == 192 && c == 0 && (d == 0 || d == 2),
		a == 198 && (c == 18 || c == 19), a == 198 && c == 51 && d == 100,
		a == 203 && c == 0 && d == 113:
		return ipPrivate
	}
	return ipPublic
}

// ipv6 parses a textual IPv6 address (RFC 4291, section 2.2), with an optional
// dotted quad at its end but no zone, and says its scope.
func ipv6(b []byte) ipScope {
	var groups [8]uint16
	n, gap := 0, -1
	i := 0
	scope := ipInvalid // of an embedded IPv4 address
	if len(b) >= 2 && b[0] == ':' && b[1] == ':' {
		gap, i = 0, 2
	}
	for i < len(b) {
		if n == 8 {
			return ipInvalid
		}
		start, v := i, 0
		for i < len(b) && i-start < 5 && isHexDigit(b[i]) {
			v = v<<4 | hexDigit(b[i])
			i++
		}
		if i == start {
			return ipInvalid
		}
		if i < len(b) && b[i] == '.' {
			if n > 6 {
				return ipInvalid
			}
			if scope = ipv4(b[start:]); scope == ipInvalid {
				return ipInvalid
			}
			groups[n], groups[n+1] = 1, 1 // the value is in scope
			n += 2
			break
		}
		if i-start > 4 {
			return ipInvalid
		}
		groups[n] = uint16(v)
		n++
		if i == len(b) {
			break
		}
		if b[i] != ':' {
			return ipInvalid
		}
		i++
		if i < len(b) && b[i] == ':' {
			if gap >= 0 {
				return ipInvalid
			}
			gap = n
			i++
		} else if i == len(b) {
			return ipInvalid
		}
	}
	if gap < 0 && n != 8 || gap >= 0 && n > 7 {
		return ipInvalid
	}
	if gap < 0 {
		gap = n
	}
	copy(groups[8-(n-gap):], groups[gap:n])
	clear(groups[gap : 8-(n-gap)])
	if scope != ipInvalid && groups[0]|groups[1]|groups[2]|groups[3] == 0 {
		return scope // IPv4-mapped, -compatible, -translated
	}
	switch g := groups[0]; {
	case g&0xe000 != 0x2000 && !(g == 0x64 && groups[1] == 0xff9b): // only 2000::/3 and NAT64 are global
		return ipPrivate
	case g == 0x2001 && groups[1] == 0xdb8, g == 0x3fff && groups[1] < 0x1000: // documentation
		return ipPrivate
	}
	return ipPublic
}

func hexDigit(c byte) int {
	if c <= '9' {
		return int(c - '0')
	}
	return int(c|0x20-'a') + 10
}

// hardwareAddress verifies a MAC address (twelve hexadecimal digits) or EUI-64
// (sixteen) in compact form. Broadcast and zero identify nothing and are refused.
func hardwareAddress(b []byte) bool {
	if len(b) != 12 && len(b) != 16 {
		return false
	}
	for _, c := range b {
		if !isHexDigit(c) {
			return false
		}
	}
	return !sameBytes(b)
}

// emailAddress verifies a mailbox as people write it (a pragmatic RFC 5321,
// section 4.1.2): dot-atom local part up to 64 bytes, a domain of at least two
// labels whose last is alphabetic or punycode. It returns false for the names
// that look like one: image@2x.png, git@host without a domain.
func emailAddress(b []byte) bool {
	at := -1
	for i, c := range b {
		if c == '@' {
			if at >= 0 {
				return false
			}
			at = i
		}
	}
	if at < 1 || at > 64 || len(b)-at-1 > 253 || b[0] == '.' || b[at-1] == '.' {
		return false
	}
	for i, c := range b[:at] {
		if !isEmailLocal(c) || c == '.' && b[i+1] == '.' {
			return false
		}
	}
	domain := b[at+1:]
	label, labels := 0, 0
	for i := 0; i <= len(domain); i++ {
		if i < len(domain) && domain[i] != '.' {
			if !isEmailDomain(domain[i]) {
				return false
			}
			continue
		}
		l := domain[label:i]
		if len(l) == 0 || len(l) > 63 || l[0] == '-' || l[len(l)-1] == '-' {
			return false
		}
		labels++
		if i == len(domain) {
			return labels > 1 && topLevelDomain(l)
		}
		label = i + 1
	}
	return false
}

// topLevelDomain reports whether l can be one: two or more letters, or
// punycode, and not a file name's extension seen behind an '@'.
func topLevelDomain(l []byte) bool {
	if len(l) > 4 && (l[0]|0x20) == 'x' && (l[1]|0x20) == 'n' && l[2] == '-' && l[3] == '-' {
		return true
	}
	if len(l) < 2 || len(l) > 24 {
		return false
	}
	for _, c := range l {
		if (c|0x20)-'a' > 25 && c < 0x80 {
			return false
		}
	}
	switch string(l) {
	case "png", "jpg", "jpeg", "gif", "webp", "svg", "css", "js", "json", "html":
		return false
	}
	return true
}

// isEmailLocal and isEmailDomain hold for the bytes of either side; bytes
// above ASCII are letters of an internationalized address (RFC 6531).
func isEmailLocal(c byte) bool {
	if c-'0' <= 9 || (c|0x20)-'a' <= 25 || c >= 0x80 {
		return true
	}
	switch c {
	case '.', '_', '-', '+', '!', '#', '$', '%', '&', '\'', '*', '/', '=', '?', '^', '`', '{', '|', '}', '~':
		return true
	}
	return false
}

func isEmailDomain(c byte) bool {
	return c-'0' <= 9 || (c|0x20)-'a' <= 25 || c == '-' || c >= 0x80
}
