package classify

import "strings"

// hint is what the words around a run say it is: a set of bits. The dictionary
// knows what keys mean; these are words of sentences, which would mean too much
// in a key (a "card" of a form, the "address" of a bus).
type hint uint16

const (
	hintNational hint = 1 << iota // a number that a state gives
	hintNumber                    // the same, and the word names nothing else
	hintCard
	hintAccount
	hintRouting
	hintPhone
	hintDriver
	hintPassport
	hintPlate
	hintSIM
	hintIMEI
	hintMAC
	hintVIN
	hintVersion
	hintAddress
)

var hintWords = func() map[string]hint {
	m := map[string]hint{}
	for bit, words := range map[hint]string{
		hintNational: "gst gstin rvnr svnr vsnr ahv avs uen kimlik tckn rrn frn arn abn acn orgnr organisationsnummer idnr steuer " +
			"iva piva vat cuit cuil uidai tnin cnp npi brn mbi medicare patient dea prescriber lanr arztnummer kvnr krankenkasse " +
			"versichertennummer pps ppsn pan vote voter epic",
		hintNumber: "ssn social tin nino bsn dni nif nie cpf rut curp aadhaar pesel nric hetu itin taxpayer steuernummer personnummer " +
			"sozialversicherungsnummer ausweisnummer tfn sin nhs 身份证 身份证号",
		hintCard:     "card cards visa mastercard amex maestro kreditkarte karte carte tarjeta carta",
		hintAccount:  "account konto kontonummer cuenta compte conto",
		hintRouting:  "aba routing rtn transit",
		hintPhone:    "call phone tel telephone mobile cell fax sms whatsapp dial ring desk office answering calling messages telefon telefono teléfono téléphone mobil handy 电话 手机",
		hintDriver:   "license licence driver drivers driving permis patente fuehrerschein führerschein 驾驶证",
		hintPassport: "passport passports pasaporte passeport reisepass passaporto travel 여권번호는 여권번호 여권 护照",
		hintPlate:    "plate plates registration registered vehicle vehicles car cars kennzeichen plaka matricula targa licence license number",
		hintSIM:      "iccid sim",
		hintIMEI:     "imei",
		hintMAC:      "mac bssid eui",
		hintVIN:      "vin chassis",
		hintVersion:  "version firmware fw ver release build",
		hintAddress:  "address lives located moved",
	} {
		for _, w := range strings.Fields(words) {
			m[w] |= bit
		}
	}
	return m
}()

// hints are the hints before and after a run, kept until another is asked for.
type hints struct {
	before, after hint
	start, end    int // of the run; end 0: none
}

// hints looks at five words before the run and five after it, in its line.
func (c *candidate) hints() hints {
	h := &c.hinted
	if h.start == c.start && h.end == c.end && c.end != 0 {
		return *h
	}
	*h = hints{start: c.start, end: c.end}
	const words, longest = 5, 32
	for i, n := c.start, 0; n < words; n++ {
		for i > 0 && !alnum(c.text[i-1]) {
			if i--; c.text[i] == '\n' {
				n = words
			}
		}
		end := i
		for i > 0 && alnum(c.text[i-1]) && end-i < longest {
			i--
		}
		if end == i || n >= words {
			break
		}
		h.before |= lookHint(c.text[i:end])
	}
	for i, n := c.end, 0; n < words; n++ {
		for i < len(c.text) && !alnum(c.text[i]) {
			if i++; c.text[i-1] == '\n' {
				n = words
			}
		}
		start := i
		for i < len(c.text) && alnum(c.text[i]) && i-start < longest {
			i++
		}
		if start == i || n >= words {
			break
		}
		h.after |= lookHint(c.text[start:i])
	}
	return *h
}

func lookHint(w []byte) hint {
	var b [32]byte
	for i, x := range w {
		if x-'A' <= 25 {
			x |= 0x20
		}
		b[i] = x
	}
	return hintWords[string(b[:len(w)])] // does not allocate
}
