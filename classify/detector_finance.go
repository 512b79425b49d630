package classify

// financeDetectors find payment cards, bank accounts and wallets.
func financeDetectors() []detector {
	iban := detector{name: "iban", class: ClassFinanceIBAN, on: onWord | onWords, min: 15, max: 34, shapes: []string{"AA99"}, heads: ibanCountries(), find: findIBAN}
	card := form{name: "card", class: ClassFinanceCard, on: onDigits, min: 14, max: 19, verify: cardNumber, weak: luhn,
		groups: []uint64{0x4444, 0x465, 0x464, 0x44443, 0x4445}, senses: []sense{senseCard}, hint: hintCard,
		alone: 85, grouped: 93, strong: true}
	short := form{name: "card-short", class: ClassFinanceCard, on: onDigits, min: 12, max: 13, verify: cardNumber, weak: luhn,
		groups: []uint64{0x4441, 0x444}, senses: []sense{senseCard}, hint: hintCard}
	aba := form{name: "us-routing", class: ClassFinanceAccount, on: onDigits, min: 9, max: 9, verify: abaRouting,
		groups: []uint64{0x441, 0x45}, seps: "-", senses: []sense{senseRouting, senseAccount, senseBank}, hint: hintRouting,
		alone: 63, grouped: 80}
	return []detector{iban, card.detector(), short.detector(), aba.detector(), accountDetector(), walletDetector()}
}

func ibanCountries() (cs []string) {
	for i := range ibanFormats {
		cs = append(cs, ibanFormats[i].country)
	}
	return cs
}

// findIBAN accepts any grouping: the country, the length, the shape and two
// check digits leave no room for chance.
func findIBAN(c *candidate) (match, bool) {
	r := c.run()
	if len(r) < 15 || len(r) > 42 || r[2]-'0' > 9 || byteClass[r[0]]&isLetter == 0 || byteClass[r[1]]&isLetter == 0 {
		return match{}, false
	}
	b := c.compact()
	if len(b) == 0 || !within(r, " -") || !iban(b) {
		return match{}, false
	}
	return c.found(98, WhyShape|WhyChecksum)
}

// accountDetector believes a word for an account: account numbers of most
// countries have no form of their own.
func accountDetector() detector {
	said := []sense{senseAccount, senseRouting}
	set := sensesOf(said)
	return detector{
		name: "account-by-name", class: ClassFinanceAccount, on: onKey | onDigits, min: 6, max: 24, senses: said,
		gate: &gate{senses: set, words: hintAccount | hintRouting},
		find: func(c *candidate) (match, bool) {
			b := c.compact()
			if len(b) < 6 || len(b) > 20 || !allDigits(b[len(b)-4:]) || sameBytes(b) {
				return match{}, false
			}
			if c.key.meets(set) {
				return c.trimmed(80, WhyKey)
			}
			if c.hintsBefore()&(hintAccount|hintRouting) != 0 && allDigits(b) {
				return c.found(70, WhyContext)
			}
			return match{}, false
		},
	}
}

// walletDetector finds addresses of cryptocurrencies.
func walletDetector() detector {
	set := sensesOf([]sense{senseWallet})
	return detector{
		name: "wallet", class: ClassFinanceWallet, on: onWord, min: 26, max: 90,
		find: func(c *candidate) (match, bool) {
			switch r := c.run(); {
			case base58Wallet(r), bech32Wallet(r), ethereumWallet(r):
				return c.found(97, WhyShape|WhyChecksum)
			case ethereumShape(r) && c.confirms(set, 0) != unconfirmed:
				return c.found(85, WhyShape|WhyContext)
			case ethereumShape(r) && c.spoken():
				return c.found(60, WhyShape)
			}
			return match{}, false
		},
	}
}
