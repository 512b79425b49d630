package classify

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
)

//go:embed taxonomy.json
var taxonomyJSON []byte

// The classes, in the order of taxonomy.json.
const (
	ClassNone                 ClassID = iota
	ClassPersonName                   // person.name
	ClassContactEmail                 // contact.email
	ClassContactPhone                 // contact.phone
	ClassContactAddress               // contact.address
	ClassIDNational                   // id.national
	ClassIDPassport                   // id.passport
	ClassIDDriver                     // id.driver
	ClassIDVehiclePlate               // id.vehicle_plate
	ClassIDVIN                        // id.vin
	ClassIDDevice                     // id.device
	ClassNetIP                        // net.ip
	ClassLocationCoarse               // location.coarse
	ClassLocationPrecise              // location.precise
	ClassBiometricFace                // biometric.face
	ClassBiometricEmbedding           // biometric.embedding
	ClassBiometricOther               // biometric.other
	ClassHealth                       // health
	ClassFinanceCard                  // finance.card
	ClassFinanceAccount               // finance.account
	ClassFinanceIBAN                  // finance.iban
	ClassFinanceWallet                // finance.wallet
	ClassSpecial                      // special
	ClassCredentialSecret             // credential.secret
	ClassCredentialToken              // credential.token
	ClassCredentialPrivateKey         // credential.private_key
	ClassMediaImage                   // media.image
	ClassMediaVideo                   // media.video
	ClassMediaAudio                   // media.audio
	ClassAIModel                      // ai.model
	ClassAIPrompt                     // ai.prompt
	ClassPresenceBehaviour            // presence.behaviour
	ClassIndustrialSensitive          // industrial.sensitive
	ClassChild                        // child

	classCount
)

// Trait says what a class is to the combination rules: a set of bits.
type Trait uint16

// The traits.
const (
	TraitDirect     Trait = 1 << iota // identifies a person by itself
	TraitQuasi                        // identifies a person together with others of its kind
	TraitPersonal                     // is personal data
	TraitHealth                       // sensitive kinds: these with a direct identifier are graded L4
	TraitBiometric                    //
	TraitFinance                      //
	TraitSpecial                      //
	TraitCredential                   // opens something
	TraitMedia                        // picture or sound
)

var traitNames = map[string]Trait{
	"direct": TraitDirect, "quasi": TraitQuasi, "personal": TraitPersonal, "health": TraitHealth,
	"biometric": TraitBiometric, "finance": TraitFinance, "special": TraitSpecial,
	"credential": TraitCredential, "media": TraitMedia,
}

// A GradedAction is the default action for findings from a grade on.
type GradedAction struct {
	From   Grade
	Action string         // a policy action's name
	Params map[string]any // its parameters, as in a policy document
}

// A Class is one row of the taxonomy.
type Class struct {
	ID     ClassID
	Name   string
	Doc    string
	Grades map[string]Grade // by profile
	// Raised is the grade by profile where the condition RaisedWhen holds
	// (public, personal, track, face_or_plate, …); nil where there is none.
	Raised     map[string]Grade
	RaisedWhen string
	// RaisedWhenIn is the condition of profiles that have another one.
	RaisedWhenIn map[string]string
	// DefaultAction and DefaultParams are in the words of a policy document.
	// DefaultFrom, ascending by grade, replaces them for findings of a higher
	// grade; see Default.
	DefaultAction string
	DefaultParams map[string]any
	DefaultFrom   []GradedAction
	Coarse        ClassID // what a generalized value is; ClassNone: there is no such class
	Traits        Trait
	Clauses       []string // laws and standards that the row rests on
}

// Default returns the action and parameters for a finding of grade g.
func (c *Class) Default(g Grade) (action string, params map[string]any) {
	action, params = c.DefaultAction, c.DefaultParams
	for _, d := range c.DefaultFrom {
		if g >= d.From {
			action, params = d.Action, d.Params
		}
	}
	return action, params
}

// ConditionIn returns the condition of Raised under a profile.
func (c *Class) ConditionIn(profile string) string {
	if when, ok := c.RaisedWhenIn[profile]; ok {
		return when
	}
	return c.RaisedWhen
}

// Limits are the numbers of a profile.
type Limits struct {
	// ChildAge is the age in years below which a person is a child.
	ChildAge int `json:"child_age"`
	// SubjectsInMessage is how many distinct subjects one message may be about
	// before what identifies them is graded one up.
	SubjectsInMessage int `json:"subjects_in_message"`
	// SubjectsAYear are the numbers of distinct subjects over an uplink in a
	// calendar year from which what leaves may be important data (L5), for a
	// person to decide; ascending.
	SubjectsAYear []VolumeLimit `json:"subjects_a_year"`
}

// A VolumeLimit is one number of subjects, and the clause it rests on.
type VolumeLimit struct {
	Subjects  uint64 `json:"subjects"`
	Sensitive bool   `json:"sensitive"` // only those count of whom something graded L4 leaves
	Clause    string `json:"clause"`
}

// taxonomy is the parsed table, immutable.
type taxonomy struct {
	profiles []string
	limits   map[string]Limits
	classes  []Class // by ClassID; [0] is ClassNone
	byName   map[string]ClassID
}

var loadTaxonomy = sync.OnceValue(func() *taxonomy {
	t, err := parseTaxonomy(taxonomyJSON)
	if err != nil {
		panic("classify: embedded taxonomy: " + err.Error()) // a test parses it
	}
	return t
})

type classJSON struct {
	Name       string            `json:"name"`
	Doc        string            `json:"doc"`
	Grades     map[string]string `json:"grades"`
	Raised     map[string]string `json:"raised"`
	RaisedWhen string            `json:"raised_when"`
	RaisedIn   map[string]string `json:"raised_when_in"`
	Default    struct {
		Action string         `json:"action"`
		Params map[string]any `json:"params"`
	} `json:"default"`
	DefaultFrom []struct {
		From   string         `json:"from"`
		Action string         `json:"action"`
		Params map[string]any `json:"params"`
	} `json:"default_from"`
	Coarse  string   `json:"coarse"`
	Traits  []string `json:"traits"`
	Clauses []string `json:"clauses"`
}

func parseTaxonomy(src []byte) (*taxonomy, error) {
	var doc struct {
		Profiles []string          `json:"profiles"`
		Limits   map[string]Limits `json:"limits"`
		Classes  []classJSON       `json:"classes"`
	}
	dec := json.NewDecoder(bytes.NewReader(src))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&doc); err != nil {
		return nil, fmt.Errorf("decode taxonomy: %w", err)
	}
	if len(doc.Classes) != int(classCount)-1 || classCount > 64 {
		return nil, fmt.Errorf("read taxonomy: %d classes, want %d", len(doc.Classes), classCount-1)
	}
	for _, p := range doc.Profiles {
		if l, ok := doc.Limits[p]; !ok || l.ChildAge < 1 || l.SubjectsInMessage < 1 || l.SubjectsInMessage > maxSubjects {
			return nil, fmt.Errorf("read limits: profile %s lacks them, or they make no sense", p)
		}
	}
	if len(doc.Limits) != len(doc.Profiles) {
		return nil, fmt.Errorf("read limits: %d for %d profiles", len(doc.Limits), len(doc.Profiles))
	}
	t := &taxonomy{profiles: doc.Profiles, limits: doc.Limits, classes: make([]Class, 1, classCount), byName: map[string]ClassID{}}
	for i, c := range doc.Classes {
		t.byName[c.Name] = ClassID(i + 1)
	}
	for i := range doc.Classes {
		c, err := t.class(ClassID(i+1), &doc.Classes[i])
		if err != nil {
			return nil, fmt.Errorf("read class %s: %w", doc.Classes[i].Name, err)
		}
		t.classes = append(t.classes, c)
	}
	return t, nil
}

func (t *taxonomy) class(id ClassID, j *classJSON) (Class, error) {
	c := Class{ID: id, Name: j.Name, Doc: j.Doc, RaisedWhen: j.RaisedWhen, RaisedWhenIn: j.RaisedIn,
		DefaultAction: j.Default.Action, DefaultParams: j.Default.Params, Clauses: j.Clauses}
	if c.Name == "" || c.Doc == "" || c.DefaultAction == "" || len(c.Clauses) == 0 {
		return c, fmt.Errorf("name, doc, default and clauses are required")
	}
	var err error
	if c.Grades, err = t.grades(j.Grades); err != nil {
		return c, err
	}
	if (j.Raised == nil) != (j.RaisedWhen == "") {
		return c, fmt.Errorf("raised and raised_when belong together")
	}
	for p := range j.RaisedIn {
		if _, ok := j.Raised[p]; !ok {
			return c, fmt.Errorf("raised_when_in: profile %s raises nothing", p)
		}
	}
	if j.Raised != nil {
		if c.Raised, err = t.grades(j.Raised); err != nil {
			return c, err
		}
	}
	for _, d := range j.DefaultFrom {
		g, err := parseGrade(d.From)
		if err != nil {
			return c, err
		}
		c.DefaultFrom = append(c.DefaultFrom, GradedAction{From: g, Action: d.Action, Params: d.Params})
	}
	if j.Coarse != "" {
		if c.Coarse = t.byName[j.Coarse]; c.Coarse == ClassNone {
			return c, fmt.Errorf("unknown coarse class %q", j.Coarse)
		}
	}
	for _, n := range j.Traits {
		tr, ok := traitNames[n]
		if !ok {
			return c, fmt.Errorf("unknown trait %q", n)
		}
		c.Traits |= tr
	}
	return c, nil
}

func (t *taxonomy) grades(m map[string]string) (map[string]Grade, error) {
	out := make(map[string]Grade, len(t.profiles))
	for _, p := range t.profiles {
		g, err := parseGrade(m[p])
		if err != nil {
			return nil, fmt.Errorf("profile %s: %w", p, err)
		}
		out[p] = g
	}
	if len(m) != len(out) {
		return nil, fmt.Errorf("%d grades for %d profiles", len(m), len(out))
	}
	return out, nil
}

func parseGrade(s string) (Grade, error) {
	if len(s) == 2 && s[0] == 'L' && s[1] >= '1' && s[1] <= '5' {
		return Grade(s[1] - '0'), nil
	}
	return Ungraded, fmt.Errorf("unknown grade %q", s)
}

// Classes returns the taxonomy in order of ClassID, without ClassNone.
func Classes() []Class { return slices.Clone(loadTaxonomy().classes[1:]) }

// ClassByName returns the class of a dotted name.
func ClassByName(name string) (ClassID, bool) {
	id, ok := loadTaxonomy().byName[name]
	return id, ok
}

// String returns the class's dotted name, or "none".
func (c ClassID) String() string {
	if c == ClassNone || c >= classCount {
		return "none"
	}
	return loadTaxonomy().classes[c].Name
}

// Profiles returns the names of the legal profiles, the default one first.
func Profiles() []string { return slices.Clone(loadTaxonomy().profiles) }

// ProfileGrade returns the grade of a class under a profile, without raises.
func ProfileGrade(profile string, c ClassID) (Grade, bool) {
	if c == ClassNone || c >= classCount {
		return Ungraded, false
	}
	g, ok := loadTaxonomy().classes[c].Grades[profile]
	return g, ok
}

// ProfileLimits returns the numbers of a profile.
func ProfileLimits(profile string) (Limits, bool) {
	l, ok := loadTaxonomy().limits[profile]
	l.SubjectsAYear = slices.Clone(l.SubjectsAYear)
	return l, ok
}

// Taxonomy returns the taxonomy as the JSON document that this package reads.
func Taxonomy() []byte { return bytes.Clone(taxonomyJSON) }
