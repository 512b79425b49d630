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
	hintThing // a number of a thing: an order, a batch
)

var hintWords = func() *lexicon[hint] {
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
		hintThing: "order ticket batch lot serial article invoice parcel shipment item part case ref reference counter sequence seq frame packet job auftrag " +
			"charge artikel bestellung pedido lote commande ordine zamowienie 订单 批号 注文",
	} {
		for _, w := range strings.Fields(words) {
			m[w] |= bit
		}
	}
	return newLexicon(m)
}()

// hintLengths is, by the first byte of the words, the set of their lengths.
var hintLengths = wordLengths(hintWords.words)

// wordLengths is, by their first byte, the set of the lengths of words: one bit
// each, the last for all that are longer.
func wordLengths(words []string) (t [256]uint64) {
	for _, w := range words {
		t[w[0]] |= 1 << min(len(w), 63)
	}
	return t
}

// hints are the hints before and after a run, kept until other places are asked
// for.
type hints struct {
	before   hint
	after    [hintReach]hint // of the first word, the first two, …
	from, to int             // where before ends and after begins; -1: not known
}

// How far hints look: five words, in the line, within so many bytes.
const (
	hintReach   = 5
	longestHint = 32
	hintBytes   = 256
)

// hintsBefore looks at the words before the run.
func (c *candidate) hintsBefore() hint {
	h, t := &c.hinted, c.text
	if h.from == c.start {
		return h.before
	}
	h.from, h.before = c.start, 0
	low := max(0, c.start-hintBytes)
	for i, n := c.start, 0; n < hintReach; n++ {
		for i > low && !alnum(t[i-1]) {
			if i--; t[i] == '\n' {
				n = hintReach
			}
		}
		end := i
		for i > low && alnum(t[i-1]) && end-i < longestHint {
			i--
		}
		if end == i || n >= hintReach {
			break
		}
		h.before |= lookHint(t[i:end])
	}
	return h.before
}

// hintsAfter looks at the words after the run. Groups of digits that belonged
// to the run are words, too, and tell nothing.
func (c *candidate) hintsAfter() hint {
	h, t := &c.hinted, c.text[:min(len(c.text), c.end+hintBytes)]
	from, reach := c.end, hintReach
	if c.rest > 0 {
		if from, reach = c.last, hintReach-c.rest; reach <= 0 {
			return 0
		}
	}
	if h.to == from {
		return h.after[reach-1]
	}
	h.to, h.after = from, [hintReach]hint{}
	i := from
	for n := range hintReach {
		line := true
		for i < len(t) && !alnum(t[i]) {
			line = line && t[i] != '\n'
			i++
		}
		start := i
		for i < len(t) && alnum(t[i]) && i-start < longestHint {
			i++
		}
		if start == i || !line {
			break
		}
		said := lookHint(t[start:i])
		for k := n; k < hintReach; k++ {
			h.after[k] |= said
		}
	}
	return h.after[reach-1]
}

func lookHint(w []byte) hint {
	first := w[0]
	if first-'A' <= 25 {
		first |= 0x20
	}
	if hintLengths[first]>>len(w)&1 == 0 {
		return 0 // most words, and all numbers
	}
	var b [longestHint]byte
	for i, x := range w {
		if x-'A' <= 25 {
			x |= 0x20
		}
		b[i] = x
	}
	said, _ := hintWords.look(b[:len(w)])
	return said
}
