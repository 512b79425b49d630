package classify

import (
	"bytes"
	"strings"
	"testing"
)

// verifierCases are made-up values. The good ones were accepted by independent
// implementations of the same rules; the bad ones break one rule each.
var verifierCases = []struct {
	name      string
	verify    func([]byte) bool
	good, bad string // between spaces
	anyDigit  bool   // every change of one digit is noticed, by design of the check
}{
	{"luhn", luhn, "4539368193036426 18", "4539368193036427 1 x8", true},
	{"mod11x10", mod11x10, "20876495719", "20876495718 5 2087649571X", true},
	{"mod11x2", mod11x2, "110101198507153086 07940", "110101198507153087 0 X0", true},
	{"verhoeff", verhoeff, "567020742335 745952334259", "567020742334 657020742335 3", true},
	{"card", cardNumber, "4539368193036426 5288515904584744 2305948075592004 374110561670113 36052546580993 6011221567284142 3540430705550077 6227541723230964070 676142247540",
		"4539368193036427 453936819303642 1453936819303640 9999999999999995 0000000000000000", true},
	{"aba", abaRouting, "265898691 063781706", "265898692 995898691 000000000", true},
	{"iban", iban, "DE12500105170648489890 GB73LOYD30963417284506 FR5030004008240001234A67B42 MT47MALT011000012345MTLCAST0091 NO3215038761027 BR1800360305000010009795493C1 SC18SSCB11010000000000001497USD CH1200781622319427000",
		"DE12500105170648489891 DE1250010517064848989 ZZ12500105170648489890 GB73LO1D30963417284506 GB7LLOYD30963417284506 DE1250010517064848989000000000000000", true},
	{"de-tax", deTaxID, "20876495719 81568027939 12345678903", "20876495718 02876495719 11112345670", true},
	{"de-tax-loose", deTaxIDLoose, "20876495719 12345678903", "11111111111 12345678904", true},
	{"de-vat", deVAT, "847935517 481639130", "847935518 047935517", true},
	{"de-social", deSocial, "15150785Y618 15150785T931", "15150785Y619 15320785Y618 15151385Y618 151507851618", false},
	{"de-document", deDocument, "L7Y4K29X4", "L7Y4K29X5 A7Y4K29X4 LLLLLLLL1 17Y4K29X4", false},
	{"de-health", deHealth, "K204816339", "K204816337 1204816339", false},
	{"de-doctor", deDoctor, "417263801", "417263901 000000000", false},
	{"fi", fiPersonal, "150785-498A 150785-852R", "150785-498B 320785-498A 150785*498A 150785-001A", false},
	{"se-person", sePersonal, "8507154774 198507154774 8507757790", "8507154775 8513154774 228507154774", false},
	{"se-organisation", seOrganisation, "5562243609 5569849358", "5562243608 5502243609", true},
	{"es-nif", esNIF, "73843123J 20944433N", "73843123K 7384312J J73843123", false},
	{"es-nie", esNIE, "X0189629V X5350110B", "X0189629W W0189629V", false},
	{"it-fiscal", itFiscal, "UBCDEF82D12H501P NBCDEF88D16H501J", "UBCDEF82D12H501Q UBCDEF82G12H501P UBCDEF82D39H501P UBCDEF82D12H50", false},
	{"it-fiscal-shape", itFiscalShape, "UBCDEF82D12H501Q UBCDEFUND12H50MP", "UBCDEF82D00H501Q UBCDEF8AD12H501P", false},
	{"it-vat", itVAT, "31278240010 91252460018", "31278240011 00000000000 31278241310", true},
	{"pl-pesel", plPESEL, "52071667323 40071824756", "52071667324 52131667323 52073267323 99991667323", true},
	{"tr", trNational, "56734118498 14926703204", "56734118497 05673411849", true},
	{"uk-nhs", ukNHS, "7263948109 7263948117", "7263948104 2222222222", true},
	{"uk-insurance", ukInsurance, "RH955984D YJ496917B", "DH955984D RO955984D GB955984D RH955984E", false},
	{"uk-driver", ukDriver, "HARPE802154KL9AB LI999557068J99XY", "HARPE813154KL9AB HARPE802304KL9AB 9ARPE802154KL9AB HA9PE802154KL9AB", false},
	{"fr", frINSEE, "128071234555472 111071234576515", "128071234555473 928071234555472 12807123455547X", true},
	{"nl", nlBSN, "066551766 828023840", "066551767 000000000", true},
	{"be", beNational, "85071530512 85071508934", "85071530513 85991530512", true},
	{"ch", chAHV, "7567380321444 7560420218674", "7567380321445 7557380321444", true},
	{"no", noPersonal, "15078517139 15078534017", "15078517138 35138517139", true},
	{"ie", iePPS, "2683472IF 6433435F", "2683472JF 2683472IZ", false},
	{"ro", roPersonal, "1770715401877 1560715407148", "1770715401878 1771315401877 1770715991877", true},
	{"cz", czBirth, "8207155660", "8207155661 8213155660", true},
	{"ssn", usSSN, "677172395 841846686", "000172395 666172395 901172395 677002395 677170000 123456789 111111111", false},
	{"itin", usITIN, "911701234 999881234", "911691234 811701234 911931234", false},
	{"mbi", usMBI, "2CD3EF4GH56 9WX9YT9KM99", "0CD3EF4GH56 2SD3EF4GH56 2CDZEF4GH56 2CD3EF4GH5", false},
	{"npi", usNPI, "1979938119", "1979938118 2979938119 1111111112", true},
	{"dea", usDEA, "BK4726153", "BK4726159 IK4726153 B84726153", false},
	{"ca", caSIN, "912868478", "912868479 012868478 812868478 111111111", true},
	{"br", brCPF, "45777979688 32774237270", "45777979689 45777979698 44444444444", true},
	{"cl", clRUT, "125072607 182003239", "125072608 025072607", true},
	{"mx", mxCURP, "HBCD850715HDFEBC88 HBCD850715HDFNBC09", "HBCD850715HDFEBC89 HBCD851315HDFEBC88 HBCD850715ADFEBC88", false},
	{"ar", arCUIT, "20580966811 20015682338", "20580966812 21580966811", true},
	{"cn", cnResident, "110101198507153086 110101198507156156", "110101198507153087 990101198507153086 110101198513153086 110101178507153086", true},
	{"in-aadhaar", inAadhaar, "567020742335 745952334259", "567020742336 167020742335", true},
	{"in-pan", inPAN, "QKTPB4821L", "QKTZB4821L QKTPB48211 QKTPB0000L", false},
	{"in-gst", inGST, "27MBCPE1234F1ZZ 27ZBCPE1234F1ZM", "27MBCPE1234F1ZY 40MBCPE1234F1ZZ 27MBCPE1234F1YZ 27MBCPE1234F0ZZ", false},
	{"in-voter", inVoter, "KQD4820157", "KQ44820157", false},
	{"kr", krResident, "8507151754883 8507151373752", "8507151754884 8513151754883 8507159754883", false},
	{"kr-resident-shape", krResidentShape, "0402293748291", "0302293748291 0402295748291", false},
	{"kr-foreigner-shape", krForeignerShape, "0402297748291", "0402293748291", false},
	{"kr-business", krBusiness, "1216489022 1216881033", "1216489023 0016489022 1210089022", false},
	{"kr-driver", krDriver, "112244829157", "102244829157 292244829157", false},
	{"kr-passport", krPassport, "M482B7193", "A482B7193 M482719BB", false},
	{"th", thNational, "1101483902711 1101856652723", "1101483902712 0101483902711 1281483902711", false},
	{"sg-nric", sgNRIC, "S7451829Z T0284617E F5839204U G2938475X M4182930X", "S7451829E A7451829Z S745182AZ", false},
	{"sg-uen", sgUEN, "88608553E 99956021B", "88608553F 209912345A", false},
	{"jp", jpMyNumber, "753621857418 854724042081", "753621857419 111111111111", false},
	{"tw", twNational, "B170028798 N182809301", "B170028799 B370028798 1170028798", false},
	{"za", zaIdentity, "8507157253085 8507150208086", "8507157253086 8513157253085 8507157253385", true},
	{"au-tfn", auTFN, "905075086 307878046", "905075087 000000000", true},
	{"au-abn", auABN, "98490079155 82581006319", "98490079156 08490079155", false},
	{"au-acn", auACN, "469695056 213134028", "469695057", false},
	{"au-medicare", auMedicare, "3950192891 39501928911", "3950192871 1950192891", false},
	{"imei", imei, "351260300937567", "351260300937568 771260300937567", true},
	{"iccid", iccid, "8949334348853553097 89865908344101599640", "8949334348853553098 7949334348853553097", true},
	{"vin", vinChecked, "WVWZZZ1K99W284613", "WVWZZZ1K89W284613 WVWZZZ1KI9W284613 WVWZZZ1K99W28461", false},
	{"base58", base58Wallet, "1JJzBfFq2MXgyi8JAue3nhyeTCnoBEU9Ws 3MGKZSxe7KSUtRWCcBxGiD86q681n2GZer LatWK2S2SyqfDZm6iDtRUSM8X8p5AxCui2 DAreboQEQ4B9xGgL7SL27QY36W4Wtvjwhy TF2DauV53AkZrJyNdtB1gUDqTd5QwbpYXW",
		"1JJzBfFq2MXgyi8JAue3nhyeTCnoBEU9Wt 1JJzBfFq2MXgyi8JAue3nhyeTCnoBEU9W0 11JJzBfFq2MXgyi8JAue3nhyeTCnoBEU9Ws", false},
	{"bech32", bech32Wallet, "bc1qe2tczyk2rw7u47kzxxee5g7ufkncdmlcpmw3pk bc1p8c37s9sq89v55vuffajkfcd3xj9m67sq3r2zcjktw0h2a4vuqzwsu0fsll ltc1q9e7jcqaf2pawye0v7k6n26y955ee8gsz0a6vsz BC1QE2TCZYK2RW7U47KZXXEE5G7UFKNCDMLCPMW3PK",
		"bc1qe2tczyk2rw7u47kzxxee5g7ufkncdmlcpmw3pl Bc1qe2tczyk2rw7u47kzxxee5g7ufkncdmlcpmw3pk xy1qe2tczyk2rw7u47kzxxee5g7ufkncdmlcpmw3pk bc1qqqqqqqqqqqb", false},
	{"ethereum", ethereumWallet, "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "0x5AAeb6053F3E94C9b9A09f33669435E7Ef1BeAed 0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed 0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAe", false},
	{"uk-plate", ukPlate, "LK19XTR YB51ABD", "QK19XTR LK31XTR LK19XIR", false},
	{"in-plate", inPlate, "KA05MJ4821 DL3CAB1234 22BH4821AA", "XX05MJ4821 KA05MJ0000 22XH4821AA", false},
	{"tr-plate", trPlate, "34KL482 06A4821", "82KL482 3434482 34482", false},
	{"ng-plate", ngPlate, "KJA482XQ", "KJ4482XQ", false},
	{"cn-plate", cnPlate, "粤B4K82L 京A·D12345", "粤B4K8 粤BOOOOO 外B4K82L 粤14K82L", false},
	{"it-driver", itDriver, "U1K711J11M RM1234567X", "U1A711J11M RM12345678", false},
	{"de-driver", deDriver, "KB48291573L", "K448291573L KB4829157L", false},
	{"passport", passportShape, "482915736 K48291573 KB4829157 XDB482915", "48291 KBCD48291 K4829157L", false},
	{"nanp", nanp, "2125550142", "1125550142 2115550142 2121150142 2199115014", false},
	{"trunk-mobile", trunkMobile, "07700900142 015112345678", "02079460142 0151123456 00000000000", false},
	{"tr-subscriber", trSubscriber, "5324821573 2124821573", "2134821573 5204821573 8124821573", false},
	{"hardware-address", hardwareAddress, "a4cf12f03d9e 70b3d57ed0041a2b", "ffffffffffff 000000000000 dddddddddddddddd a4cf12f03d9g", false},
	{"email", emailAddress, "jane.doe@example.org a@xn--d1acufc.xn--p1ai x+y@sub.example.co.uk müller@exämple.de",
		"@example.org jane@ jane@example jane..doe@example.org .jane@example.org jane@-example.org icon@2x.png a@b@example.org jane@example.o1", false},
}

func TestVerifiers(t *testing.T) {
	for _, tt := range verifierCases {
		good, bad := strings.Fields(tt.good), strings.Fields(tt.bad)
		if len(good) == 0 || len(bad) == 0 {
			t.Errorf("%s: a good and a bad value are required", tt.name)
		}
		for _, s := range good {
			if !tt.verify([]byte(s)) {
				t.Errorf("%s refuses %s", tt.name, s)
			}
			if !tt.anyDigit {
				continue
			}
			b := []byte(s)
			for i, was := range b {
				if was-'0' > 9 {
					continue
				}
				for c := byte('0'); c <= '9'; c++ {
					if b[i] = c; c != was && tt.verify(b) {
						t.Errorf("%s accepts %s beside %s", tt.name, b, s)
					}
				}
				b[i] = was
			}
		}
		for _, s := range bad {
			if tt.verify([]byte(s)) {
				t.Errorf("%s accepts %s", tt.name, s)
			}
		}
	}
}

// TestVerifiersNeverPanic feeds every verifier all short lengths of every kind
// of byte.
func TestVerifiersNeverPanic(t *testing.T) {
	for _, tt := range verifierCases {
		for n := range 64 {
			for _, c := range []byte{0, ' ', '-', '.', '0', '1', '9', 'A', 'I', 'X', 'Z', 'a', 'z', '@', ':', 0x7f, 0x80, 0xff} {
				tt.verify(bytes.Repeat([]byte{c}, n))
			}
		}
		for _, s := range strings.Fields(tt.good) {
			for i := range s {
				tt.verify([]byte(s[:i]))
				tt.verify([]byte(s[i:]))
				tt.verify([]byte(s + s[i:]))
			}
		}
	}
}

func FuzzVerifiers(f *testing.F) {
	for _, tt := range verifierCases {
		for _, s := range strings.Fields(tt.good + " " + tt.bad) {
			f.Add([]byte(s))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		was := bytes.Clone(b)
		for _, tt := range verifierCases {
			if tt.verify(b) && len(b) < 5 {
				switch tt.name {
				case "luhn", "mod11x10", "mod11x2", "verhoeff", "hardware-address":
				default:
					t.Errorf("%s accepts %q", tt.name, b)
				}
			}
		}
		ipv4(b)
		ipv6(b)
		e164(b)
		letterMask(b[:min(len(b), 64)])
		if !bytes.Equal(was, b) {
			t.Errorf("a verifier changed its input %q", was)
		}
	})
}

func TestVerifiersDoNotAllocate(t *testing.T) {
	for _, tt := range verifierCases {
		b := []byte(strings.Fields(tt.good)[0])
		if n := testing.AllocsPerRun(10, func() { tt.verify(b) }); n != 0 {
			t.Errorf("%s allocates %v times", tt.name, n)
		}
	}
}

func TestIPAddresses(t *testing.T) {
	for text, want := range map[string]ipScope{
		"203.0.114.9": ipPublic, "8.8.4.4": ipPublic, "10.1.2.3": ipPrivate, "172.31.0.9": ipPrivate, "172.32.0.9": ipPublic,
		"192.168.7.1": ipPrivate, "169.254.9.9": ipPrivate, "100.64.0.1": ipPrivate, "127.0.0.1": ipPrivate, "203.0.113.7": ipPrivate,
		"256.1.1.1": ipInvalid, "1.2.3": ipInvalid, "1.2.3.4.5": ipInvalid, "01.2.3.4": ipInvalid, "1.2.3.": ipInvalid, "": ipInvalid,
	} {
		if got := ipv4([]byte(text)); got != want {
			t.Errorf("ipv4(%q) = %d, want %d", text, got, want)
		}
	}
	for text, want := range map[string]ipScope{
		"2a00:1450:4001:82a::200e": ipPublic, "2001:db8::7": ipPrivate, "fe80::1": ipPrivate, "fd12:3456::9": ipPrivate, "::1": ipPrivate, "::": ipPrivate,
		"::ffff:8.8.8.8": ipPublic, "::ffff:192.168.0.7": ipPrivate, "64:ff9b::808:808": ipPublic, "2a00:1:2:3:4:5:6:7": ipPublic, "2a00:1:2:3:4:5:8.8.8.8": ipPublic,
		"12:30:45": ipInvalid, "2a00::1::2": ipInvalid, "2a00:1:2:3:4:5:6": ipInvalid, "2a00:1:2:3:4:5:6:7:8": ipInvalid, "12345::1": ipInvalid,
		":1:2": ipInvalid, "1:2:": ipInvalid, "2a00:1:2:3:4:5:6:8.8.8.8": ipInvalid, "::8.8.8": ipInvalid, "g::1": ipInvalid,
	} {
		if got := ipv6([]byte(text)); got != want {
			t.Errorf("ipv6(%q) = %d, want %d", text, got, want)
		}
	}
}

func TestE164(t *testing.T) {
	for digits, want := range map[string]bool{
		"12125550142": true, "4915112345678": true, "442079460142": true, "8613812345678": true, "905324821573": true, "639171234567": true, "35312345678": true,
		"12115550142": false, "9995550142": true, "0491511234567": false, "4915": false, "1234567890123456": false, "2801234567": false, "33123456789": true, "331234567": false,
	} {
		if got := e164([]byte(digits)); got != want {
			t.Errorf("e164(%s) = %v, want %v", digits, got, want)
		}
	}
}

// The vectors of EIP-55 in verifierCases prove the permutation; this one shows
// that all of the address takes part.
func TestKeccakDependsOnEveryByte(t *testing.T) {
	var a [40]byte
	base := keccak256(&a)
	for i := range a {
		a[i] = 1
		if keccak256(&a) == base {
			t.Errorf("byte %d does not take part", i)
		}
		a[i] = 0
	}
}

func TestIBANRegistryIsSorted(t *testing.T) {
	for i := 1; i < len(ibanFormats); i++ {
		if ibanFormats[i-1].country >= ibanFormats[i].country {
			t.Errorf("%s stands before %s", ibanFormats[i-1].country, ibanFormats[i].country)
		}
	}
	for _, f := range ibanFormats {
		n := 4
		for s := f.shape; s != ""; s = s[3:] {
			n += int(s[1]-'0')*10 + int(s[2]-'0')
		}
		if n < 15 || n > 34 || len(f.shape)%3 != 0 {
			t.Errorf("%s has %d characters by %q", f.country, n, f.shape)
		}
	}
}

func BenchmarkVerifiers(b *testing.B) {
	for _, tt := range verifierCases {
		v := []byte(strings.Fields(tt.good)[0])
		b.Run(tt.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				tt.verify(v)
			}
		})
	}
}
