package classify

// A sense is what a key or a word means: many spellings, one meaning.
type sense uint8

// The senses. Order does not matter and is not stored anywhere; add at will, up
// to maxSenses.
const (
	senseNone   sense = iota
	senseShield       // means nothing, and shields its words from meaning more

	// People.
	sensePersonName  // the value is a person's name: firstName, ownerName, 姓名
	sensePerson      // a person is spoken of: owner, driver, patient, employee
	senseNamePart    // part of a name, or of anything: family, given
	senseUser        // user, username, login, account holder
	senseLabelled    // a label beside it says that this is a person
	sensePersonLabel // whom or what was recognized: a person's name, if it looks like one
	senseName        // name, label, title: a name of anything
	senseEmail
	sensePhone
	senseAddress     // street, postal address
	senseAddressWeak // address: of a bus, a network or a house
	senseCity        // part of an address: city, zip, postcode, country
	senseChild       // child, minor, pupil
	senseAge
	senseGender
	senseBirth       // date of birth
	senseSpecial     // religion, union membership, orientation, ethnicity, politics
	senseSpecialWeak // race: of people, or of boats

	// Identifiers of people.
	senseNationalID // any national, identity-card, tax, social-security or insurance number
	senseTaxID
	senseSSN
	sensePassport
	senseDriver // driving licence number
	sensePatient
	senseNHS
	senseInsurance

	// Vehicles.
	sensePlate
	senseVIN
	senseVehicle

	// Devices and networks.
	senseDevice // a device is spoken of
	senseSerial
	senseMAC
	senseIMEI
	senseICCID
	senseIMSI
	senseEUI
	senseID       // id: of anything
	senseDeviceID // deviceId, gatewayId, node id, meter number
	senseWearable // a device that a person carries: phone, watch, tag, beacon
	senseIP
	senseHost
	senseVersion // version, firmware, release
	senseHash    // checksum, digest, commit

	// Money.
	senseCard
	senseAccount
	senseIBAN
	senseRouting // routing, sort code, BIC, ABA
	senseWallet
	senseBank
	senseTransaction // amount, currency

	// Credentials.
	sensePassword
	sensePIN // pin: a code, or a pin of a board
	senseSecret
	senseToken
	senseAPIKey
	senseAccessKey
	sensePrivateKey
	senseAuth // auth: user and password, or a mode
	senseCertificate
	sensePass // pass, pw: a password, or what passes
	senseKey  // key: of anything
	senseSSID
	senseKeyType   // kty: of a JSON Web Key
	senseKeyPart   // a member of such a key that is not public
	senseCode      // code: of anything
	senseAlarm     // a keypad, a panel that is armed and disarmed, what is done there
	senseAction    // action, command
	senseCommunity // community: of SNMP, or of anything
	senseSNMP      // SNMP is spoken of
	senseBadge     // access badge, card of a door

	// Places.
	senseLat
	senseLon
	sensePosition    // coordinates, position: on the earth or anywhere
	senseCoordinates // coordinates: likely on the earth
	senseGeo         // gps, location: on the earth
	senseAltitude
	senseSpeed
	senseHeading
	senseAccuracy
	senseGeohash
	senseTimezone
	sensePlace // room, zone, site
	senseRoom  // a room: of people
	senseRegion
	senseTime
	senseCamera
	sensePresence
	senseTransition // event: enter, leave
	senseDistance   // distance, rssi

	// Bodies.
	senseFace
	senseEmbedding
	senseVector    // vector, features, template: of anything
	senseFaceData  // landmarks, a face's template
	senseFaceTrait // glasses, a beard, an emotion: of a face, where one is spoken of
	senseFingerprint
	senseFinger // a finger: of a hand, or of a gripper
	senseIris
	senseVoice
	senseSimilarity
	senseHealth     // a body's measurement or condition
	senseHealthWeak // a measurement that may be of a body: temperature, pulse, weight
	senseBody       // a body, or what is worn on it or measures it
	senseMachine    // a machine, or the air around one
	senseUnit

	// Media and models.
	senseImage
	senseVideo
	senseAudio
	senseModel
	sensePrompt
	senseMessages
	senseRole // role, finish_reason: of a message of a language model
	senseContent

	// Neighbours of others above: of anything, until something near says more.
	senseTemperature

	// What makes another sense void.
	senseCount // count, number of, length, size
	senseFlag  // enabled, valid, required, has, is
	senseType  // type, kind, format, model name

	numSenses
)

// maxSenses is how many senses a set can hold.
const maxSenses = 128

var _ [maxSenses - numSenses]struct{} // too many senses: enlarge maxSenses

// senses is a set of senses. It is no array, so that a set stays in registers.
type senses struct{ low, high uint64 }

func (s senses) has(x sense) bool {
	if x < 64 {
		return s.low>>x&1 != 0
	}
	return s.high>>(x-64)&1 != 0
}

func (s senses) with(x sense) senses {
	if x < 64 {
		return senses{s.low | 1<<x, s.high}
	}
	return senses{s.low, s.high | 1<<(x-64)}
}

func (s senses) union(o senses) senses { return senses{s.low | o.low, s.high | o.high} }

func (s senses) meets(o senses) bool { return s.low&o.low|s.high&o.high != 0 }

func (s senses) empty() bool { return s.low|s.high == 0 }

func sensesOf(xs []sense) senses {
	var s senses
	for _, x := range xs {
		s = s.with(x)
	}
	return s
}
