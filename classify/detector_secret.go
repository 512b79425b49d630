package classify

// secretDetectors find credentials by their own form or by the words before
// them, in any text. Those that a field's key names are in credentialDetectors.
func secretDetectors() []detector {
	return []detector{
		{name: "provider-token", class: ClassCredentialToken, on: onToken, gate: &gate{begins: tokenPrefixes()}, find: findProviderToken},
		{name: "shaped-token", class: ClassCredentialToken, on: onToken, gate: &gate{begins: []string{"SK"}, signs: "~:.|", holds: []string{"-us", "T3BlbkFJ"}}, find: findShapedToken},
		{name: "json-web-token", class: ClassCredentialToken, on: onToken, min: 24, gate: &gate{begins: []string{"ZXl", "ey", "ew"}}, find: findJWT},
		{name: "named-secret", class: ClassCredentialSecret, on: onToken, gate: &gate{signs: "=:", named: true}, find: findNamedSecret},
		{name: "pem-private-key", class: ClassCredentialPrivateKey, on: onLiteral, literals: []string{"-----BEGIN "}, find: findPEM},
		{name: "putty-private-key", class: ClassCredentialPrivateKey, on: onLiteral, literals: []string{"PuTTY-User-Key-File-"}, find: findPuTTY},
		{name: "url-credentials", class: ClassCredentialSecret, on: onURL, find: findURLCredentials},
		{name: "authorization", class: ClassCredentialToken, on: onLiteral, literals: []string{"Basic", "basic", "Bearer", "bearer"}, find: findAuthorization},
		{name: "azure-signature", class: ClassCredentialToken, on: onLiteral, literals: []string{"sig="}, find: findSignature},
		{name: "command-line-secret", class: ClassCredentialSecret, on: onLiteral, literals: []string{"curl", "machine", "mosquitto_"}, find: findCommandLine},
		{name: "basic-auth", class: ClassCredentialSecret, on: onKey, strings: true, min: 8, max: 512, senses: []sense{senseAuth}, find: findBasicAuth},
		{name: "wifi-code", class: ClassCredentialSecret, on: onLiteral, literals: []string{"WIFI:"}, find: findWiFiCode},
		{name: "modem-command", class: ClassCredentialSecret, on: onLiteral, literals: []string{"AT+"}, find: findModemCommand},
		{name: "cluster-secret", class: ClassCredentialSecret, on: onLiteral, literals: []string{"kind: Secret", "kind: secret"}, find: findClusterSecret},
	}
}

// masked reports whether b stands where random characters would and is none:
// rows of x, an example, the alphabet.
func masked(b []byte) bool {
	filler, last := 0, 0
	for i, x := range b {
		if i > 0 && x == b[i-1] {
			last++
		} else {
			last = 0
		}
		if last >= 3 && (x == 'x' || x == 'X' || x == '0' || x == 'a' || x == '*' || x == '.' || x == '_' || x == '-') {
			filler++
		}
	}
	return filler*3 > len(b) || holdsWord(b)
}

// stopWords say that what holds them is made up, or not yet filled in.
var stopWords = []string{"example", "xxxxx", "your-", "your_", "yourapi", "yourtoken", "yoursecret", "yourkey", "yourpass", "placeholder", "changeme", "change_me", "change-me", "redacted", "insert", "replace",
	"abcdefghijklmn", "my-secret", "my_secret", "mysecret", "fakekey", "dummy", "undefined",
	"bpxrficy"} // the last: in the key of AWS's documentation

// holdsWord reports whether b holds one of stopWords, whatever its case.
func holdsWord(b []byte) bool {
	for i := range b {
		x := b[i] | 0x20
		switch x {
		case 'b', 'e', 'x', 'y', 'p', 'c', 'r', 'i', 'a', 'm', 'f', 'd', 'u':
			for _, w := range stopWords {
				if w[0] == x && i+len(w) <= len(b) && equalFold(b[i:i+len(w)], w) {
					return true
				}
			}
		}
	}
	return false
}

// distinct counts the different bytes of b.
func distinct(b []byte) int {
	var seen [4]uint64
	n := 0
	for _, x := range b {
		if bit := uint64(1) << (x & 63); seen[x>>6]&bit == 0 {
			seen[x>>6] |= bit
			n++
		}
	}
	return n
}

// wordy counts the letters of b that stand in what can be read: four letters
// of one case or more, with vowels between the consonants.
func wordy(b []byte) int {
	total := 0
	for i := 0; i < len(b); {
		if byteClass[b[i]]&isLetter == 0 {
			i++
			continue
		}
		j := i + 1
		for j < len(b) && byteClass[b[j]]&isLetter != 0 && (byteClass[b[j]]&isUpper == byteClass[b[j-1]]&isUpper || j == i+1 && byteClass[b[j]]&isLower != 0) {
			j++
		}
		if j-i >= 4 && readable(b[i:j]) {
			total += j - i
		}
		i = j
	}
	return total
}

func readable(w []byte) bool {
	vowels, row, longest := 0, 0, 0
	for _, x := range w {
		switch x | 0x20 {
		case 'a', 'e', 'i', 'o', 'u', 'y':
			vowels++
			row = 0
		default:
			row++
			longest = max(longest, row)
		}
	}
	return longest < 4 && vowels*5 >= len(w) && vowels*3 <= len(w)*2
}

// random reports whether b, a word of at least 8 bytes, looks drawn by chance:
// letters and digits, or both cases, many different ones, nothing readable.
func random(b []byte) bool {
	n := count(b)
	if n.letters == 0 || n.digits == 0 && (n.upper == 0 || n.upper == n.letters || len(b) < 20) {
		return false
	}
	d := distinct(b)
	if d < 6 || d < min(len(b)/2, 12) && !(len(b) >= 32 && d >= 10 && isHex(b)) {
		return false
	}
	if n.digits == 0 && changes(b)*4 < len(b) {
		return false
	}
	return wordy(b)*2 < len(b) && plain(b)*2 < len(b) && !sequence(b)
}

// plain counts the bytes of b that stand between separators in parts as people
// write them: letters of one case, then digits.
func plain(b []byte) int {
	total := 0
	for i := 0; i < len(b); {
		j := i
		for j < len(b) && byteClass[b[j]]&isLetter != 0 && (j < i+2 || byteClass[b[j]]&isUpper == byteClass[b[j-1]]&isUpper) {
			j++
		}
		for j < len(b) && byteClass[b[j]]&isDigit != 0 {
			j++
		}
		if j == len(b) || byteClass[b[j]]&isAlnum == 0 {
			if j-i <= 12 {
				total += j - i + 1
			}
			i = j + 1
			continue
		}
		for i = j; i < len(b) && byteClass[b[i]]&isAlnum != 0; i++ {
		}
		i++
	}
	return total
}

// changes counts where the case of letters changes.
func changes(b []byte) int {
	n := 0
	for i := 1; i < len(b); i++ {
		if (byteClass[b[i]]^byteClass[b[i-1]])&(isLetter|isDigit) != 0 {
			n++
		}
	}
	return n
}

// sequence reports whether b is mostly a row of neighbours: 0123456789abcdef.
func sequence(b []byte) bool {
	n := 0
	for i := 1; i < len(b); i++ {
		if b[i] == b[i-1]+1 || b[i] == b[i-1] {
			n++
		}
	}
	return n*3 > len(b)*2
}

// secretHead is what a name means, and whether that is a credential or a key.
func (c *candidate) secretHead(word []byte) (senses, bool) {
	m := c.names.meaning(word)
	return m.head, m.head.meets(secretSenses)
}

var secretSenses = sensesOf([]sense{senseToken, senseSecret, sensePassword, senseAPIKey, senseAccessKey, sensePrivateKey, senseKey, senseAuth})
