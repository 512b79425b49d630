package classify

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

func TestTaxonomy(t *testing.T) {
	tx, err := parseTaxonomy(taxonomyJSON)
	if err != nil {
		t.Fatal(err)
	}
	if p := Profiles(); !slices.Equal(p, []string{"generic", "eu", "cn", "automotive"}) {
		t.Errorf("profiles %v", p)
	}
	actions := []string{"pass", "mask", "truncate", "generalize", "pseudonymize", "remove", "encrypt", "seal", "block"}
	for _, k := range Classes() {
		if id, ok := ClassByName(k.Name); !ok || id != k.ID || k.ID.String() != k.Name || tx.classes[k.ID].Name != k.Name {
			t.Errorf("%s: id %d, %v", k.Name, id, ok)
		}
		for _, p := range Profiles() {
			g, ok := ProfileGrade(p, k.ID)
			if !ok || g < L1 || g > L4 || k.Raised != nil && k.Raised[p] < g {
				t.Errorf("%s: grade %s under %s, raised %s", k.Name, g, p, k.Raised[p])
			}
		}
		for g := L1; g <= L5; g++ {
			if a, _ := k.Default(g); !slices.Contains(actions, a) {
				t.Errorf("%s: default action %q", k.Name, a)
			}
		}
	}
	for _, x := range []struct {
		class  ClassID
		name   string
		grade  Grade // generic
		action string
	}{
		{ClassPersonName, "person.name", L2, "pseudonymize"},
		{ClassContactAddress, "contact.address", L3, "encrypt"},
		{ClassIDNational, "id.national", L4, "encrypt"},
		{ClassIDVehiclePlate, "id.vehicle_plate", L3, "pseudonymize"},
		{ClassIDVIN, "id.vin", L2, "pseudonymize"},
		{ClassIDDevice, "id.device", L1, "pass"},
		{ClassNetIP, "net.ip", L1, "pass"},
		{ClassNetIP, "net.ip", L2, "truncate"},
		{ClassLocationPrecise, "location.precise", L3, "generalize"},
		{ClassLocationPrecise, "location.precise", L4, "encrypt"},
		{ClassBiometricEmbedding, "biometric.embedding", L4, "encrypt"},
		{ClassFinanceIBAN, "finance.iban", L3, "encrypt"},
		{ClassSpecial, "special", L4, "seal"},
		{ClassCredentialPrivateKey, "credential.private_key", L4, "encrypt"},
		{ClassMediaImage, "media.image", L3, "seal"},
		{ClassAIModel, "ai.model", L3, "seal"},
		{ClassPresenceBehaviour, "presence.behaviour", L2, "pass"},
		{ClassChild, "child", L4, "encrypt"},
	} {
		k := tx.classes[x.class]
		if a, _ := k.Default(x.grade); x.class.String() != x.name || a != x.action || x.grade < k.Grades["generic"] {
			t.Errorf("%s at %s: %s, action %s", x.class, x.grade, k.Grades["generic"], a)
		}
	}
	if c := tx.classes[ClassLocationPrecise].Coarse; c != ClassLocationCoarse {
		t.Errorf("a generalized position is %s", c)
	}
	if ClassNone.String() != "none" || ClassID(200).String() != "none" {
		t.Error("no class has a name")
	}
	if _, ok := ProfileGrade("mars", ClassHealth); ok {
		t.Error("an unknown profile has grades")
	}
	if _, ok := ProfileGrade("eu", classCount); ok {
		t.Error("an unknown class has a grade")
	}
	if !bytes.Equal(Taxonomy(), taxonomyJSON) {
		t.Error("Taxonomy is not what is read")
	}
}

func TestTaxonomyRefuses(t *testing.T) {
	for _, x := range []struct{ name, old, new string }{
		{"unknown member", `"doc":`, `"dox":`},
		{"unknown grade", `"L2"`, `"L9"`},
		{"missing profile", `"eu": "L2", `, ``},
		{"unknown profile", `"eu": "L2"`, `"us": "L2"`},
		{"unknown trait", `"direct"`, `"indirect"`},
		{"unknown coarse class", `"coarse": "location.coarse"`, `"coarse": "location.none"`},
		{"no clauses", `"clauses": ["GDPR art. 4(1)", "NIST SP 800-122 2.2"]`, `"clauses": []`},
		{"condition without grades", `"raised_when": "track"`, `"raised_when": ""`},
		{"a class too few", `"name": "child"`, `"name": "child"}, {"name": "x"`},
	} {
		src := strings.Replace(string(taxonomyJSON), x.old, x.new, 1)
		if src == string(taxonomyJSON) {
			t.Fatalf("%s: nothing changed", x.name)
		}
		if _, err := parseTaxonomy([]byte(src)); err == nil {
			t.Errorf("%s is accepted", x.name)
		}
	}
}

func TestGrade(t *testing.T) {
	for g, want := range map[Grade]string{Ungraded: "ungraded", L1: "L1", L5: "L5", 9: "ungraded"} {
		if g.String() != want {
			t.Errorf("grade %d is %q", g, g)
		}
	}
}

// The dictionary is written as it is looked up.
func TestDictionary(t *testing.T) {
	var f folder
	for _, e := range slices.Concat(senseWords, foreignWords) {
		for _, w := range splitWords(e.words) {
			folded, _ := f.fold([]byte(w))
			var k keyWords
			k.split(folded)
			got := ""
			for i := range k.n {
				got += string(k.phrase(i, i+1))
			}
			if got != string(folded) {
				t.Errorf("%q is not normalized: %q", w, got)
			}
		}
	}
	d := newDictionary()
	for _, x := range []struct {
		key         string
		head, about sense
		transparent bool
	}{
		{"licensePlate", sensePlate, sensePlate, false},
		{"LICENSE_PLATE_NUMBER", sensePlate, sensePlate, false},
		{"plateConfidence", senseSimilarity, sensePlate, false},
		{"passwordLength", senseCount, sensePassword, false},
		{"IPAddresses", senseIP, senseIP, false},
		{"BSSId", senseMAC, senseMAC, false},
		{"appSKey", senseSecret, senseSecret, false},
		{"LoRaWanAppKey1", senseSecret, senseSecret, false},
		{"value", senseNone, senseNone, true},
		{"7", senseNone, senseNone, true},
		{"clientToken", senseShield, senseShield, false},
		{"被抓拍车牌", sensePlate, sensePlate, false},
	} {
		m := d.meaning([]byte(x.key))
		if x.head != senseNone && !m.head.has(x.head) || x.about != senseNone && !m.about.has(x.about) || m.transparent != x.transparent {
			t.Errorf("%s: head %v about %v transparent %v", x.key, m.head, m.about, m.transparent)
		}
		if x.head == senseNone && !m.head.empty() {
			t.Errorf("%s: head %v", x.key, m.head)
		}
	}
	if m := d.meaning([]byte("clientToken")); m.head.has(senseToken) {
		t.Error("a client token is a token")
	}
	if n := d.before([]byte("my new\npassword for the gate is")); !n.has(sensePassword) {
		t.Error("words on the line are not seen")
	}
	if n := d.before([]byte("the password\nis on the other side")); n.has(sensePassword) {
		t.Error("words of another line are seen")
	}
}
