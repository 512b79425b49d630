package classify

import "bytes"

// Tokens without a prefix, whose form is still nobody else's.

func findShapedToken(c *candidate) (match, bool) {
	t := c.text
	if m, ok := c.appToken(); ok {
		return m, true
	}
	for i := c.start; i < c.end; {
		if t[i] == '~' && i >= c.start+5 && t[i-1] == 'Q' && t[i-2]-'0' < 10 {
			c.charge(512)
			// Entra client secrets: three characters, a version, "Q~", 31 to 34 more.
			from := i - 5
			k := runOf(t[i+1:c.end], csDots|csTilde)
			if k >= 31 && k <= 34 && mixed(t[i+1:i+1+k]) != checkNo && !masked(t[from:i]) && runOf(t[from:], csDots|csTilde) > 36 {
				return match{start: from, end: i + 1 + k, class: ClassCredentialSecret, confidence: 90, why: WhyShape}, true
			}
		}
		if charsets[t[i]]&csAlnum == 0 || i > c.start && charsets[t[i-1]]&(csAlnum|csUnder|csDash) != 0 {
			i++
			continue
		}
		if n, class := shaped(t[i:c.end]); n > 0 && !masked(t[i:i+n]) {
			return match{start: i, end: i + n, class: class, confidence: 85, why: WhyShape}, true
		}
		i++
	}
	return match{}, false
}

// appToken finds the tokens of Facebook's apps: id, bar, secret.
func (c *candidate) appToken() (match, bool) {
	t, bar := c.text, c.start-1
	if bar < 15 || t[bar] != '|' || runOf(t[c.start:], csURL) != 27 || mixed(t[c.start:c.start+27]) == checkNo {
		return match{}, false
	}
	id := bar
	for id > 0 && bar-id < 17 && t[id-1]-'0' < 10 {
		id--
	}
	if n := bar - id; n != 15 && n != 16 {
		return match{}, false
	}
	return match{start: id, end: c.start + 27, confidence: 85, why: WhyShape}, true
}

// shaped returns the length of the token that t begins with, or 0.
func shaped(t []byte) (int, ClassID) {
	n := runOf(t, csURL)
	w := t[:n]
	rest := t[n:]
	next := byte(0)
	if len(rest) > 1 {
		next = rest[0]
	}
	switch {
	case next == ':' && n >= 8 && n <= 10 && digitsOnly(w):
		// Telegram bots: id, colon, 35 characters that begin with A.
		if k := runOf(rest[1:], csURL); k == 35 && rest[1] == 'A' && mixed(rest[1:1+k]) != checkNo {
			return n + 1 + k, ClassCredentialToken
		}
	case next == '.' && n >= 17 && n <= 28 && (w[0] == 'M' || w[0] == 'N' || w[0] == 'O'):
		// Discord bots: base64 of a decimal id, a time, an HMAC.
		if k := runOf(rest[1:], csURL); k == 6 && len(rest) > 8 && rest[7] == '.' {
			if h := runOf(rest[8:], csURL); h >= 27 && h <= 40 {
				return n + 8 + h, ClassCredentialToken
			}
		}
	case next == '.' && n == 14 && bytes.HasPrefix(rest, []byte(".atlasv1.")):
		if k := runOf(rest[9:], csLoose); k >= 60 && k <= 70 {
			return n + 9 + k, ClassCredentialToken
		}
	case n >= 36 && n <= 37 && w[32] == '-' && w[33] == 'u' && w[34] == 's' && digitsOnly(w[35:]) && lowerHex(w[:32]):
		return n, ClassCredentialToken // Mailchimp
	case n == 34 && w[0] == 'S' && w[1] == 'K' && lowerHex(w[2:]):
		return n, ClassCredentialToken // Twilio API keys
	case n >= 40 && n <= 300 && bytes.Contains(w, []byte("T3BlbkFJ")):
		return n, ClassCredentialToken // "OpenAI" in base64
	}
	return 0, ClassNone
}

func lowerHex(b []byte) bool {
	for _, x := range b {
		if charsets[x]&csHex == 0 {
			return false
		}
	}
	return count(b).digits > 0 && distinct(b) > 6
}

// runOf is how many bytes of t are of a set; at most 512 count.
func runOf(t []byte, set charset) int {
	n := 0
	for n < len(t) && n < 512 && charsets[t[n]]&set != 0 {
		n++
	}
	return n
}

// findJWT finds JSON Web Tokens (RFC 7519, RFC 7516): base64url of a JSON
// header, a dot, further parts.
func findJWT(c *candidate) (match, bool) {
	t := c.text
	for i := c.start; i+20 < c.end; i++ {
		if i > c.start && charsets[t[i-1]]&csAlnum != 0 {
			continue
		}
		switch {
		case t[i] == 'Z' && t[i+1] == 'X' && t[i+2] == 'l': // once more in base64
			var outer [512]byte
			c.charge(len(outer))
			k := decode64(outer[:], t[i:c.end])
			if k > 40 && jwtHeader(outer[:k]) > 0 {
				end := i
				for end < c.end && charsets[t[end]]&(csStd|csURL) != 0 {
					end++
				}
				return match{start: i, end: end, confidence: 90, why: WhyShape | WhyPrefix}, true
			}
		case t[i] == 'e' && (t[i+1] == 'y' || t[i+1] == 'w'):
			c.charge(min(c.end-i, maxKeyBlock))
			h := jwtHeader(t[i:c.end])
			if h == 0 {
				continue
			}
			end := i + h
			for parts := 0; parts < 4 && end < len(t) && t[end] == '.'; parts++ {
				j := end + 1
				for j < len(t) && charsets[t[j]]&(csURL|csPad) != 0 {
					j++
				}
				end = j
			}
			if end > i+h+8 {
				return match{start: i, end: end, confidence: 97, why: WhyShape | WhyPrefix}, true
			}
		}
	}
	return match{}, false
}

// jwtHeader returns the length of the first part of t where that is the header
// of a token and a dot follows, or 0.
func jwtHeader(t []byte) int {
	n := 0
	for n < len(t) && n < maxKeyBlock && charsets[t[n]]&(csURL|csPad) != 0 {
		n++
	}
	if n < 12 || n == maxKeyBlock || n == len(t) && n < 300 || n < len(t) && t[n] != '.' {
		return 0
	}
	var out [384]byte
	h := out[:decode64(out[:], t[:n])]
	if len(h) < 8 || h[0] != '{' {
		return 0
	}
	object := n+3 < len(t) && t[n+1] == 'e' && (t[n+2] == 'y' || t[n+2] == 'w')
	if !object && !bytes.Contains(h, []byte(`"alg"`)) && !bytes.Contains(h, []byte(`"typ"`)) {
		return 0
	}
	return n
}

// decode64 decodes base64 of either alphabet into dst until dst is full or
// something else comes, and returns the length.
func decode64(dst, src []byte) int {
	var acc uint32
	bits, n := 0, 0
	for _, b := range src {
		var v byte
		switch {
		case b-'A' < 26:
			v = b - 'A'
		case b-'a' < 26:
			v = b - 'a' + 26
		case b-'0' < 10:
			v = b - '0' + 52
		case b == '+' || b == '-':
			v = 62
		case b == '/' || b == '_':
			v = 63
		default:
			return n
		}
		acc = acc<<6 | uint32(v)
		if bits += 6; bits >= 8 {
			bits -= 8
			if n == len(dst) {
				return n
			}
			dst[n] = byte(acc >> bits)
			n++
		}
	}
	return n
}

// maxKeyBlock is how far the end of a key is looked for.
const maxKeyBlock = 16 << 10

// findPEM finds private keys between "-----BEGIN … PRIVATE KEY-----" and its
// end (RFC 7468, RFC 9580), also where line breaks are escaped, and also where
// the end is missing.
func findPEM(c *candidate) (match, bool) {
	t := c.text[c.start:]
	const begin = len("-----BEGIN ")
	line := t[:min(len(t), 80)]
	i := bytes.Index(line[begin:], []byte("-----"))
	if i < 0 || !bytes.Contains(line[:begin+i], []byte("PRIVATE KEY")) {
		return match{}, false
	}
	body := begin + i + 5
	end, n := body, 0
	for end < len(t) && end-body < maxKeyBlock && !(t[end] == '-' && bytes.HasPrefix(t[end:], []byte("-----"))) {
		if charsets[t[end]]&(csAlnum|csB64) != 0 {
			n++
		}
		end++
	}
	c.charge(end - body)
	if n < 32 {
		return match{}, false
	}
	if j := bytes.Index(t[end:min(len(t), end+80)], []byte("KEY")); j > 0 {
		if k := bytes.Index(t[end+j:min(len(t), end+j+16)], []byte("-----")); k >= 0 {
			end += j + k + 5
		}
	}
	return match{start: c.start, end: c.start + end, confidence: 97, why: WhyPrefix}, true
}

// findPuTTY finds PuTTY's private keys.
func findPuTTY(c *candidate) (match, bool) {
	t := c.text[c.start:]
	t = t[:min(len(t), maxKeyBlock)]
	c.charge(len(t))
	if i := bytes.Index(t, []byte("Private-Lines:")); i >= 0 {
		end := len(t)
		if j := bytes.Index(t[i:], []byte("Private-MAC:")); j >= 0 {
			end = min(len(t), i+j+len("Private-MAC: ")+64)
		}
		return match{start: c.start, end: c.start + end, confidence: 97, why: WhyPrefix}, true
	}
	return match{}, false
}
