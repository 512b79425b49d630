package classify

import (
	"bytes"
	"hash/crc32"
)

// mixed wants what random text of its length has: letters and digits, many
// different ones.
func mixed(b []byte) int {
	n := count(b)
	if n.digits == 0 || n.letters == 0 || distinct(b) < min(10, len(b)*2/5) {
		return checkNo
	}
	return checkMaybe
}

// base32: an AWS access key id is letters and 2 to 7, which hold the account
// (RFC 4648 section 6). Ids of a single letter are made up.
func base32(b []byte) int {
	digits := 0
	for _, x := range b {
		switch {
		case x == '0', x == '1', x == '8', x == '9':
			return checkNo
		case x-'0' < 10:
			digits++
		}
	}
	if digits == 0 && distinct(b) < 8 {
		return checkNo
	}
	return checkMaybe
}

// sentryOrg: base64 of a JSON object, an underscore, a key of 43 characters.
func sentryOrg(b []byte) int {
	i := bytes.LastIndexByte(b, '_')
	if i < 40 || len(b)-i-1 != 43 || b[0] != 'e' || b[1] != 'y' {
		return checkNo
	}
	return checkMaybe
}

// githubChecksum: the last six characters are the CRC-32 of the others in
// base 62. Tokens older than the checksum, and made-up ones, lack it.
func githubChecksum(b []byte) int {
	const digits = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	n := len(b) - 6
	sum := crc32.ChecksumIEEE(b[:n])
	for i := 5; i >= 0; i-- {
		if b[n+i] != digits[sum%62] {
			return checkMaybe
		}
		sum /= 62
	}
	return checkSure
}

// anthropic: the last two characters are padding.
func anthropic(b []byte) int {
	if b[len(b)-2] == 'A' && b[len(b)-1] == 'A' {
		return checkMaybe
	}
	return checkNo
}

func databricks(b []byte) int {
	if len(b) == 32 && isHex(b) || len(b) == 34 && isHex(b[:32]) && b[32] == '-' && b[33]-'0' < 10 {
		return checkMaybe
	}
	return checkNo
}

func dashes(b []byte) int {
	for i, x := range b {
		if x == '-' && i > 0 && len(b)-i > 8 {
			return checkMaybe
		}
	}
	return checkNo
}

func uuidBody(b []byte) int {
	if isUUID(b) {
		return checkMaybe
	}
	return checkNo
}

func isUUID(b []byte) bool {
	if len(b) != 36 {
		return false
	}
	for i, x := range b {
		if dash := i == 8 || i == 13 || i == 18 || i == 23; dash != (x == '-') || !dash && byteClass[x]&(isDigit|isHexAF) == 0 {
			return false
		}
	}
	return true
}

func onePassword(b []byte) int {
	d := 0
	for i, x := range b {
		if x == '-' {
			if d++; i < 6 {
				return checkNo
			}
		}
	}
	if d != 4 && d != 5 || count(b).digits == 0 {
		return checkNo
	}
	return checkMaybe
}

// slack: numbers in groups, then what is secret.
func slack(b []byte) int {
	if n := count(b); n.digits < 6 {
		return checkNo
	}
	return checkMaybe
}

func airtable(b []byte) int {
	if b[14] == '.' && isHex(b[15:]) {
		return checkMaybe
	}
	return checkNo
}

func airtableOAuth(b []byte) int {
	for i := 10; i+4 < min(len(b), 24); i++ {
		if b[i] == '.' && b[i+1] == 'v' && b[i+2] == '1' && b[i+3] == '.' {
			return checkMaybe
		}
	}
	return checkNo
}
