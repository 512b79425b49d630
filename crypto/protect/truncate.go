package protect

import (
	"net/netip"
	"unicode/utf8"

	"github.com/sealgate/sealgate/classify"
	"github.com/sealgate/sealgate/classify/payload"
	"github.com/sealgate/sealgate/classify/policy"
)

// What the guard lets stay of an address: its network, or who made the device.
const (
	floorIPv4 = 24
	floorIPv6 = 48
	floorMAC  = 24 // the OUI
	floorText = 4
)

func truncate() Transform {
	return Transform{
		Spec: policy.ActionSpec{
			Name: "truncate", Doc: "cuts an IP address to its network, a MAC address to its maker, any other text to its first characters",
			On: policy.OnField, Strength: policy.StrengthTransform, Residue: policy.ResidueLower2,
			Edits: accepts(payload.EditString, payload.EditRaw), Becomes: "string", CanLeave: true,
			Params: []policy.ParamSpec{
				{Name: "ipv4", Kind: policy.ParamInt, Min: 8, Max: 32, Default: floorIPv4, Doc: "bits of an IPv4 address that stay"},
				{Name: "ipv6", Kind: policy.ParamInt, Min: 16, Max: 128, Default: floorIPv6, Doc: "bits of an IPv6 address that stay"},
				{Name: "mac", Kind: policy.ParamInt, Min: 24, Max: 48, Default: floorMAC, Doc: "bits of a MAC address that stay: 24 is the maker (OUI)"},
				{Name: "text", Kind: policy.ParamInt, Min: 0, Max: 256, Default: 0, Doc: "characters of any other text that stay; a text that is not longer does not fit"},
			},
			Floor: func(a *policy.Action) bool {
				return a.Ints["ipv4"] <= floorIPv4 && a.Ints["ipv6"] <= floorIPv6 && a.Ints["mac"] <= floorMAC && a.Ints["text"] <= floorText
			},
		},
		prepare: func(a *policy.Action, _ keys) (apply, error) {
			t := truncation{int(a.Ints["ipv4"]), int(a.Ints["ipv6"]), int(a.Ints["mac"]), int(a.Ints["text"])}
			return t.apply, nil
		},
	}
}

// truncation is how much of each kind of text stays.
type truncation struct{ ipv4, ipv6, mac, text int }

func (t *truncation) apply(dst []byte, v value) ([]byte, payload.EditKind, bool) {
	if !v.kind.Leaf() {
		return dst, 0, false
	}
	// Eight pairs are an IPv6 address as well, so this comes first. Without separators
	// it is a MAC address only where it is known to be a device's: twelve digits
	// are also half a phone number.
	if isMAC(v.text, v.class == classify.ClassIDDevice) {
		return t.maker(dst, v.text), payload.EditString, true
	}
	if addr, err := netip.ParseAddr(string(v.text)); err == nil {
		out, ok := t.network(dst, addr)
		return out, payload.EditString, ok
	}
	end := 0
	for range t.text {
		_, size := utf8.DecodeRune(v.text[end:])
		end += size
	}
	if end == 0 || end >= len(v.text) {
		return dst, 0, false
	}
	return append(dst, v.text[:end]...), payload.EditString, true
}

// network cuts an address. An IPv6 address that is made from an IPv4 address
// shows no more of it than that would.
func (t *truncation) network(dst []byte, addr netip.Addr) ([]byte, bool) {
	addr = addr.WithZone("").Unmap()
	bits := t.ipv6
	switch raw := addr.As16(); {
	case addr.Is4():
		bits = t.ipv4
	case raw[0] == 0x20 && raw[1] == 0x02: // 6to4 (RFC 3056): behind 16 bits
		bits = min(bits, 16+t.ipv4)
	case raw[0] == 0 && raw[1] == 0x64 && raw[2] == 0xff && raw[3] == 0x9b: // NAT64 (RFC 6052): behind 96
		bits = min(bits, 96+t.ipv4)
	}
	network, err := addr.Prefix(bits)
	if err != nil {
		return dst, false
	}
	return network.Addr().AppendTo(dst), true
}

// isMAC reports whether a text is an EUI-48 or EUI-64: pairs of hexadecimal
// digits behind ':' or '-', fours behind '.', or all of them together.
func isMAC(text []byte, bare bool) bool {
	if bare && (len(text) == 12 || len(text) == 16) && group(text) == 0 {
		return true
	}
	for _, size := range []int{2, 4} {
		n := len(text) + 1
		if n%(size+1) != 0 || n/(size+1)*size != 12 && n/(size+1)*size != 16 {
			continue
		}
		if group(text) == size {
			return true
		}
	}
	return false
}

// group returns the size of the groups of digits that one kind of separator
// makes; 0 where there is none, -1 where they are not as a MAC address has them.
func group(text []byte) int {
	size, sep, since := 0, byte(0), 0
	for _, c := range text {
		if _, ok := nibble(c); ok {
			since++
			continue
		}
		switch {
		case sep == 0 && (c == ':' || c == '-') && since == 2, sep == 0 && c == '.' && since == 4:
			sep, size = c, since
		case c != sep || since != size:
			return -1
		}
		since = 0
	}
	if sep != 0 && since != size {
		return -1
	}
	return size
}

// maker zeroes what does not stay and keeps the form: separators and case.
func (t *truncation) maker(dst, text []byte) []byte {
	left := t.mac
	for _, c := range text {
		n, ok := nibble(c)
		if !ok {
			dst = append(dst, c)
			continue
		}
		if left < 4 {
			c = "0123456789abcdef"[n&(0xF0>>max(left, 0))&0xF]
		}
		dst, left = append(dst, c), left-4
	}
	return dst
}

func nibble(c byte) (byte, bool) {
	switch {
	case c >= '0' && c <= '9':
		return c - '0', true
	case c >= 'a' && c <= 'f':
		return c - 'a' + 10, true
	case c >= 'A' && c <= 'F':
		return c - 'A' + 10, true
	}
	return 0, false
}
