package protect

import (
	"bytes"
	"net/netip"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/sealgate/sealgate/classify"
)

// Normalization is the version of the rules in normalize. It is part of every
// token, so that tokens made under other rules are not joined unseen: a change
// of rules needs a new one.
const Normalization = 1

// normalize appends the one form of a value that has several ways of being
// written. It errs on the side of joining: "B-AB 123" and "BA-B 123" have one
// token, because cameras read plates without their gaps.
func normalize(dst []byte, class classify.ClassID, text []byte) []byte {
	text = bytes.TrimSpace(text)
	switch class {
	case classify.ClassPersonName, classify.ClassContactAddress:
		return appendWords(dst, text)
	case classify.ClassContactEmail:
		return appendLower(dst, text)
	case classify.ClassContactPhone:
		return appendPhone(dst, text)
	case classify.ClassIDVehiclePlate, classify.ClassIDVIN, classify.ClassIDNational, classify.ClassIDPassport, classify.ClassIDDriver,
		classify.ClassFinanceIBAN, classify.ClassFinanceCard, classify.ClassFinanceAccount:
		return appendSigns(dst, text)
	case classify.ClassIDDevice:
		if isMAC(text, true) {
			return appendSigns(dst, text)
		}
	case classify.ClassNetIP:
		if addr, err := netip.ParseAddr(string(text)); err == nil {
			return addr.Unmap().AppendTo(dst)
		}
	}
	return append(dst, text...)
}

// appendLower appends text in lower case and composed (NFC).
func appendLower(dst, text []byte) []byte {
	for i, c := range text {
		if c >= utf8.RuneSelf {
			return norm.NFC.Append(dst, bytes.ToLower(text[i:])...)
		}
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		dst = append(dst, c)
	}
	return dst
}

// appendWords is appendLower with one space for each gap.
func appendWords(dst, text []byte) []byte {
	from := len(dst)
	for word := range bytes.FieldsSeq(text) {
		if len(dst) > from {
			dst = append(dst, ' ')
		}
		dst = appendLower(dst, word)
	}
	return dst
}

// appendSigns appends letters and digits only, in upper case.
func appendSigns(dst, text []byte) []byte {
	for len(text) > 0 {
		r, n := utf8.DecodeRune(text)
		if unicode.IsLetter(r) || unicode.IsDigit(r) {
			dst = utf8.AppendRune(dst, unicode.ToUpper(r))
		}
		text = text[n:]
	}
	return dst
}

// appendPhone appends the digits, behind a "+" where the country is named: as
// "+49" or "0049". The "(0)" that some write behind it is not dialled.
func appendPhone(dst, text []byte) []byte {
	from := len(dst)
	abroad := len(text) > 0 && text[0] == '+'
	if rest, ok := bytes.CutPrefix(text, []byte("00")); ok {
		abroad, text = true, rest
	}
	if abroad {
		dst = append(dst, '+')
	}
	for len(text) > 0 {
		if abroad && bytes.HasPrefix(text, []byte("(0)")) {
			text = text[3:]
			continue
		}
		if text[0] >= '0' && text[0] <= '9' {
			dst = append(dst, text[0])
		}
		text = text[1:]
	}
	if string(dst[from:]) == "+" {
		return dst[:from]
	}
	return dst
}
