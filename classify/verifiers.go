package classify

import "slices"

// A Verifier is a check that a detector of a policy can name: a check digit, a
// checksum or a structure that a number of its kind has.
type Verifier struct {
	Name string
	Doc  string // one line for people

	holds func(b []byte) bool
	raw   bool // wants the text as it stands, not letters and digits alone
}

// Holds reports whether a text passes. Separators do not count, nor does case,
// except for wallets and addresses.
func (v *Verifier) Holds(t []byte) bool {
	if v.raw {
		return len(t) > 0 && v.holds(t)
	}
	var buf [64]byte
	n := 0
	for _, b := range t {
		switch {
		case byteClass[b]&isLower != 0:
			b &^= 0x20
		case byteClass[b]&isAlnum != 0:
		case b >= 0x80:
			return false
		default:
			continue
		}
		if n == len(buf) {
			return false
		}
		buf[n] = b
		n++
	}
	return n > 0 && v.holds(buf[:n])
}

// digits is a check on digits alone, with a length.
func digitsCheck(low, high int, f func([]byte) bool) func([]byte) bool {
	return func(b []byte) bool { return len(b) >= low && len(b) <= high && allDigits(b) && f(b) }
}

// exactly is a check on a text of one length.
func exactly(n int, f func([]byte) bool) func([]byte) bool {
	return func(b []byte) bool { return len(b) == n && f(b) }
}

// Verifiers returns the checks that a policy's detectors can name.
func Verifiers() []Verifier {
	return []Verifier{
		{Name: "luhn", Doc: "digits with a Luhn check digit (ISO/IEC 7812-1 annex B)", holds: digitsCheck(2, 34, luhn)},
		{Name: "verhoeff", Doc: "digits with a Verhoeff check digit", holds: digitsCheck(2, 34, verhoeff)},
		{Name: "mod97", Doc: "letters and digits, ISO 7064 mod 97-10", holds: func(b []byte) bool { return len(b) >= 5 && mod97(b) == 1 }},
		{Name: "mod11-10", Doc: "digits, ISO 7064 mod 11,10", holds: digitsCheck(2, 34, mod11x10)},
		{Name: "mod11-2", Doc: "17 digits and a digit or X, ISO 7064 mod 11-2", holds: exactly(18, mod11x2)},
		{Name: "card", Doc: "payment card: issuer range, length and Luhn", holds: digitsCheck(12, 19, cardNumber)},
		{Name: "iban", Doc: "IBAN: country, length and mod 97-10 (ISO 13616)", holds: iban},
		{Name: "aba", Doc: "bank routing number of the United States, 3-7-1", holds: digitsCheck(9, 9, abaRouting)},
		{Name: "imei", Doc: "IMEI: 15 digits with Luhn (3GPP TS 23.003)", holds: digitsCheck(15, 15, imei)},
		{Name: "iccid", Doc: "SIM card number: 89, 18 to 20 digits (ITU-T E.118)", holds: digitsCheck(18, 20, iccid)},
		{Name: "vin", Doc: "vehicle identification number with its check digit (49 CFR 565)", holds: exactly(17, vinChecked)},
		{Name: "vin-shape", Doc: "vehicle identification number by its form alone (ISO 3779)", holds: exactly(17, vinShape)},
		{Name: "e164", Doc: "phone number: country code and length by country (ITU-T E.164)", holds: digitsCheck(8, 15, e164)},
		{Name: "email", Doc: "e-mail address with a top-level domain", holds: emailAddress, raw: true},
		{Name: "ipv4", Doc: "IPv4 address", holds: func(b []byte) bool { return ipv4(b) != ipInvalid }, raw: true},
		{Name: "ipv6", Doc: "IPv6 address (RFC 4291)", holds: func(b []byte) bool { return ipv6(b) != ipInvalid }, raw: true},
		{Name: "uuid", Doc: "UUID (RFC 9562)", holds: isUUID, raw: true},
		{Name: "bitcoin", Doc: "Bitcoin address with its checksum (base58check or bech32)", holds: func(b []byte) bool { return base58Wallet(b) || bech32Wallet(b) }, raw: true},
		{Name: "ethereum", Doc: "Ethereum address with its checksum (EIP-55)", holds: ethereumWallet, raw: true},
		{Name: "cn-resident-id", Doc: "Chinese resident identity number: date and mod 11-2 (GB 11643)", holds: exactly(18, cnResident)},
		{Name: "de-tax-id", Doc: "German tax identification number", holds: digitsCheck(11, 11, deTaxID)},
		{Name: "es-nif", Doc: "Spanish NIF: digits and letter", holds: esNIF},
		{Name: "fr-nir", Doc: "French social-security number with its key", holds: exactly(15, frINSEE)},
		{Name: "in-aadhaar", Doc: "Indian Aadhaar: 12 digits with Verhoeff", holds: digitsCheck(12, 12, inAadhaar)},
		{Name: "it-fiscal-code", Doc: "Italian fiscal code with its check letter", holds: exactly(16, itFiscal)},
		{Name: "nl-bsn", Doc: "Dutch citizen service number", holds: digitsCheck(9, 9, nlBSN)},
		{Name: "pl-pesel", Doc: "Polish PESEL", holds: digitsCheck(11, 11, plPESEL)},
		{Name: "se-personal-id", Doc: "Swedish personal number: date and Luhn", holds: digitsCheck(10, 12, sePersonal)},
		{Name: "uk-nhs", Doc: "NHS number of the United Kingdom, mod 11", holds: digitsCheck(10, 10, ukNHS)},
		{Name: "us-npi", Doc: "National Provider Identifier of the United States", holds: digitsCheck(10, 10, usNPI)},
	}
}

// VerifierNames returns the names of Verifiers, in order of the alphabet.
func VerifierNames() []string {
	var out []string
	for _, v := range Verifiers() {
		out = append(out, v.Name)
	}
	slices.Sort(out)
	return out
}

func verifierByName(name string) *Verifier {
	for _, v := range Verifiers() {
		if v.Name == name {
			return &v
		}
	}
	return nil
}
