package classify

import "bytes"

// findURLCredentials finds user and password, or a token, before the host of a
// URL (RFC 3986 section 3.2.1).
func findURLCredentials(c *candidate) (match, bool) {
	t := c.text
	i := c.start
	for i+2 < c.end && !(t[i] == ':' && t[i+1] == '/' && t[i+2] == '/') {
		i++
	}
	i += 3
	colon, at := -1, -1
	for j := i; j < c.end && j-i < 512; j++ {
		switch t[j] {
		case '/', '?', '#':
			j = c.end
		case ':':
			if colon < 0 {
				colon = j
			}
		case '@':
			at = j
		}
	}
	if at < 0 || at+1 >= c.end {
		return match{}, false
	}
	if colon < 0 || colon > at {
		if v := t[i:at]; len(v) >= 20 && random(v) && !masked(v) {
			return match{start: i, end: at, class: ClassCredentialToken, confidence: 80, why: WhyShape | WhyEntropy}, true
		}
		return match{}, false
	}
	if v := t[colon+1 : at]; !weakPassword(v) {
		return match{start: colon + 1, end: at, confidence: 97, why: WhyShape}, true
	}
	return match{}, false
}

// weakPassword reports whether v stands in an example where a password would.
func weakPassword(v []byte) bool {
	for len(v) > 0 && (v[len(v)-1] == '>' || v[len(v)-1] == ']') {
		v = v[:len(v)-1]
	}
	return len(v) < 3 || placeholder(v) || masked(v) || v[0] == '$' || v[0] == '%' && v[len(v)-1] == '%' ||
		oneOf(v, "password", "pass", "passwd", "pwd", "secret", "token", "key", "apikey", "api_key", "user", "username", "test", "foo", "bar", "port")
}

// findAuthorization finds the credentials of HTTP's Authorization header
// (RFC 7617, RFC 6750): after "Basic", base64 of user and password; after
// "Bearer", a token.
func findAuthorization(c *candidate) (match, bool) {
	t := c.text
	i := c.start + len("Basic")
	bearer := t[c.start]|0x20 == 'b' && t[c.start+1] == 'e'
	if bearer {
		i++
	}
	from := i
	for i < len(t) && i-from < 4 && t[i] == ' ' {
		i++
	}
	if i == from || i >= len(t) {
		return match{}, false
	}
	j := i
	for j < len(t) && j-i < 4096 && tokenByte(t[j]) {
		j++
	}
	v := t[i:j]
	c.charge(len(v))
	if bearer {
		if len(v) >= 12 && !masked(v) && !placeholder(v) && (random(v) || isUUID(v)) {
			return match{start: i, end: j, confidence: 85, why: WhyContext | WhyEntropy}, true
		}
		return match{}, false
	}
	if len(v) >= 8 && userAndPassword(v) {
		return match{start: i, end: j, class: ClassCredentialSecret, confidence: 90, why: WhyContext | WhyShape}, true
	}
	return match{}, false
}

// userAndPassword reports whether v is the base64 of "user:password".
func userAndPassword(v []byte) bool {
	var out [192]byte
	return isUserAndPassword(out[:decode64(out[:], v)])
}

// isUserAndPassword reports whether v is "user:password".
func isUserAndPassword(v []byte) bool {
	colon := bytes.IndexByte(v, ':')
	if colon < 1 || colon >= len(v)-2 {
		return false
	}
	for _, b := range v {
		if b < ' ' || b >= 0x7f {
			return false
		}
	}
	return !weakPassword(v[colon+1:])
}

// findCommandLine finds the password of "curl -u user:password" and of a line
// of .netrc: "machine host login user password …".
func findCommandLine(c *candidate) (match, bool) {
	t := c.text[c.start:min(len(c.text), c.start+600)]
	c.charge(len(t))
	if bytes.HasPrefix(t, []byte("machine")) {
		for i := len("machine"); i+10 < len(t) && t[i] != ';'; i++ {
			if t[i-1] <= ' ' && t[i] == 'p' && bytes.HasPrefix(t[i:], []byte("password ")) {
				if bytes.Contains(t[:i], []byte("login ")) {
					return c.argument(t, i+len("password "))
				}
				break
			}
		}
		return match{}, false
	}
	mosquitto := t[0] == 'm'
	for i := len("curl"); i+4 < len(t); i++ {
		if t[i] == '\n' && t[i-1] != '\\' {
			break
		}
		if mosquitto {
			if n := len("-P "); t[i-1] <= ' ' && (bytes.HasPrefix(t[i:], []byte("-P ")) || bytes.HasPrefix(t[i:], []byte("--pw "))) {
				if t[i+1] == '-' {
					n = len("--pw ")
				}
				return c.argument(t, i+n)
			}
			continue
		}
		if t[i] != '-' || t[i-1] > ' ' {
			continue
		}
		j := 0
		switch {
		case t[i+1] == 'u':
			j = i + 2
		case bytes.HasPrefix(t[i:], []byte("--user")) && i+7 < len(t) && (t[i+6] == ' ' || t[i+6] == '='):
			j = i + 7
		default:
			continue
		}
		for j < len(t) && t[j] == ' ' {
			j++
		}
		quote := byte(' ')
		if j < len(t) && (t[j] == '"' || t[j] == '\'') {
			quote = t[j]
			j++
		}
		colon, e := -1, j
		for e < len(t) && t[e] != quote && t[e] != '\n' {
			if t[e] == ':' && colon < 0 {
				colon = e
			}
			e++
		}
		if colon > j && e-colon > 3 && !weakPassword(t[colon+1:e]) && t[colon+1] != '[' && t[colon+1] != '<' &&
			!bytes.Equal(t[j:colon], t[colon+1:e]) {
			return match{start: c.start + colon + 1, end: c.start + e, confidence: 85, why: WhyContext}, true
		}
	}
	return match{}, false
}

// argument is the password that stands at t[i], in the text from c.start on.
func (c *candidate) argument(t []byte, i int) (match, bool) {
	for i < len(t) && (t[i] == ' ' || t[i] == '"' || t[i] == '\'') {
		i++
	}
	j := i
	for j < len(t) && t[j] > ' ' && t[j] != '"' && t[j] != '\'' {
		j++
	}
	if i == j || weakPassword(t[i:j]) {
		return match{}, false
	}
	return match{start: c.start + i, end: c.start + j, confidence: 90, why: WhyContext}, true
}

// findSignature finds the signature of an Azure shared access signature or of
// a Logic Apps URL: base64 of an HMAC-SHA256, escaped for a URL.
func findSignature(c *candidate) (match, bool) {
	i := c.start + len("sig=")
	n := runOf(c.text[i:], csURL|csStd|csPercent)
	if n < 40 || n > 100 || mixed(c.text[i:i+n]) == checkNo {
		return match{}, false
	}
	return match{start: i, end: i + n, confidence: 90, why: WhyPrefix | WhyEntropy}, true
}
