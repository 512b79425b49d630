package protect

import (
	"encoding/hex"
	"net"
	"net/netip"
	"unicode/utf8"

	"github.com/sealgate/sealgate/classify/payload"
	"github.com/sealgate/sealgate/classify/policy"
)

// What is left of an address: the network that the spec's guard floor names.
const (
	keepIPv4 = 24
	keepIPv6 = 48
	keepMAC  = 3 // bytes: the OUI, which names the maker
)

func truncate() Transform {
	return Transform{
		Spec: policy.ActionSpec{
			Name: "truncate", Doc: "public IPv4 to /24, IPv6 to /48, MAC to its OUI, other text to its first characters",
			On: policy.OnField | policy.OnTopicLevel, Strength: policy.StrengthTransform, Residue: policy.ResidueLower2,
			Edits: editsText, Becomes: "string", CanLeave: true,
			Params: []policy.ParamSpec{
				{Name: "text", Kind: policy.ParamInt, Min: 1, Max: 1024, Optional: true, Doc: "characters to keep of text that is no address; default: such text is encrypted instead"},
			},
			Floor: func(a *policy.Action) bool { return a.Ints["text"] <= maskKeep },
		},
		prepare: func(a *policy.Action, _ keys) (apply, error) {
			keep := int(a.Ints["text"])
			return func(dst []byte, v value) ([]byte, payload.EditKind, bool) {
				if len(v.text) == 0 || !v.kind.Leaf() {
					return dst, 0, false
				}
				if out, ok := truncateIP(dst, v.text); ok {
					return out, payload.EditString, true
				}
				if out, ok := truncateMAC(dst, v.text); ok {
					return out, payload.EditString, true
				}
				if keep == 0 || utf8.RuneCount(v.text) <= keep {
					return dst, 0, false // nothing would be gone
				}
				end := 0
				for range keep {
					_, size := utf8.DecodeRune(v.text[end:])
					end += size
				}
				return append(dst, v.text[:end]...), payload.EditString, true
			}, nil
		},
	}
}

func truncateIP(dst, text []byte) ([]byte, bool) {
	addr, err := netip.ParseAddr(string(text))
	if err != nil {
		return dst, false
	}
	bits := keepIPv6
	if addr = addr.WithZone("").Unmap(); addr.Is4() {
		bits = keepIPv4
	}
	network, err := addr.Prefix(bits)
	if err != nil {
		return dst, false
	}
	return network.Addr().AppendTo(dst), true
}

// truncateMAC keeps the form: the separators, or none, and the case.
func truncateMAC(dst, text []byte) ([]byte, bool) {
	if _, err := net.ParseMAC(string(text)); err != nil {
		if n, err := hex.Decode(make([]byte, 8), trim(text, 16)); err != nil || (n != 6 && n != 8) {
			return dst, false
		}
	}
	digits := 0
	for _, b := range text {
		if b == ':' || b == '-' || b == '.' {
			dst = append(dst, b)
			continue
		}
		if digits++; digits > 2*keepMAC {
			b = '0'
		}
		dst = append(dst, b)
	}
	return dst, true
}

// trim returns text, or nothing where it is longer than n bytes.
func trim(text []byte, n int) []byte {
	if len(text) > n {
		return nil
	}
	return text
}
