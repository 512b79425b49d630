package policy

import (
	"crypto/sha256"
	"fmt"
	"slices"

	"github.com/sealgate/sealgate/classify"
)

// Schema is the value of the document's key "schema".
const Schema = "sealgate/policy/v1"

// A Policy is a compiled policy document, immutable and safe for concurrent use.
type Policy struct {
	version    uint64
	profile    string
	gbt35273   bool // identity documents are graded as GB/T 35273 does
	hash       [32]byte
	uplinks    []string
	recipients []string
	actions    []*Action
	routes     []*Route
	declared   []*declaration
	site       []siteDetector
	tests      []selfTest

	classifier *classify.Classifier
	grades     [maxClasses]classify.Grade   // of each class, before raises
	coarse     [maxClasses]classify.ClassID // what a generalized value of the class is
	traits     [maxClasses]classify.Trait
	guard      guardTable
	narrower   map[narrowing]*Action // seals for fewer recipients; nil where all actions have the same
	encrypt    *Action               // what befalls an unclassified leaf
	pseudonym  *Action               // what the guard does to a topic level
}

// maxClasses is the size of tables indexed by ClassID.
const maxClasses = 64

// maxRoutes bounds the routes of a policy: each message is tried against them
// in turn.
const maxRoutes = 1024

// Version returns the document's version.
func (p *Policy) Version() uint64 { return p.version }

// Hash returns the SHA-256 hash of the document.
func (p *Policy) Hash() [32]byte { return p.hash }

// Profile returns the legal profile that the policy grades by.
func (p *Policy) Profile() string { return p.profile }

// Uplinks returns the names that Route.Uplinks and Decision.Uplink index.
func (p *Policy) Uplinks() []string { return slices.Clone(p.uplinks) }

// Recipients returns the audiences that open what is sealed, unless an action
// names its own.
func (p *Policy) Recipients() []string { return slices.Clone(p.recipients) }

// Actions returns every action of the policy, nested ones included, by ID.
func (p *Policy) Actions() []*Action { return slices.Clone(p.actions) }

// Routes returns the routes by ID, in the order in which they are tried.
func (p *Policy) Routes() []*Route { return slices.Clone(p.routes) }

// Classifier returns the classifier that Judge finds and grades with, for the
// names of its detectors.
func (p *Policy) Classifier() *classify.Classifier { return p.classifier }

// Compile reads a policy document: YAML, or JSON as a subset of it. It accepts
// no unknown key, no second document, no anchors, and nothing that could not
// have an effect; then it runs the document's self-tests. An error about the
// document is an [*Errors], which holds all of them; any other error is about
// the vocabulary or the guard.
//
// A missing setting means the protective thing: mode enforce, unclassified
// balanced, unreadable seal, grades {L1: pass, L2: pass, L3: seal, L4: seal,
// L5: block}, the taxonomy's own action for a class.
func Compile(src []byte, v Vocabulary, g Guard) (*Policy, error) {
	c, err := newCompiler(v, g)
	if err != nil {
		return nil, err
	}
	root := readSource(src, &c.problems)
	if root == nil {
		return nil, c.err(src)
	}
	if err := c.document(root); err != nil {
		return nil, err
	}
	if err := c.err(src); err != nil {
		return nil, err
	}
	c.policy.hash = sha256.Sum256(src)
	for i := range c.policy.tests {
		c.policy.tests[i].run(c.policy, &c.problems)
	}
	if err := c.err(src); err != nil {
		return nil, err
	}
	return c.policy, nil
}

// BuiltIn returns the policy that is enforced where there is no valid one: a
// single route "everything" to all uplinks, and every default. An empty profile
// is the guard's, and without that the first of the taxonomy.
func BuiltIn(profile string, v Vocabulary, g Guard) (*Policy, error) {
	if profile == "" {
		profile = g.Profile
	}
	if profile == "" {
		profile = classify.Profiles()[0]
	}
	p, err := Compile(fmt.Appendf(nil, "schema: %s\nversion: 1\nprofile: %q\nroutes: [{name: everything, topics: ['#']}]\n", Schema, profile), v, g)
	if err != nil {
		return nil, fmt.Errorf("compile built-in policy: %w", err)
	}
	p.version = 0
	return p, nil
}

// compiler is the state of one compilation.
type compiler struct {
	problems
	vocabulary Vocabulary
	limits     Guard
	specs      map[string]*ActionSpec
	interned   map[string]*Action
	tables     []*classTable
	classes    []classify.Class
	names      []string // of the classes
	policy     *Policy

	pass, encrypt, pseudonymize, seal, block *Action

	filters  []routed            // of all routes so far
	topics   [maxClasses]*Action // said under topic_levels
	topicAt  [maxClasses]*node
	taxonomy *classTable
}

// routed is a topic filter and the route that it belongs to.
type routed struct {
	filter
	route string
	line  int
}

func newCompiler(v Vocabulary, g Guard) (*compiler, error) {
	c := &compiler{
		vocabulary: v, limits: g,
		specs: map[string]*ActionSpec{}, interned: map[string]*Action{},
		classes: classify.Classes(), policy: &Policy{},
	}
	for _, s := range v.Actions {
		if s == nil || c.specs[s.Name] != nil {
			return nil, fmt.Errorf("compile policy: the vocabulary has an action twice, or none")
		}
		c.specs[s.Name] = s
	}
	for _, k := range c.classes {
		if k.ID >= maxClasses {
			return nil, fmt.Errorf("compile policy: more than %d classes", maxClasses-1)
		}
		c.names = append(c.names, k.Name)
		c.policy.coarse[k.ID], c.policy.traits[k.ID] = k.Coarse, k.Traits
	}
	for _, x := range []struct {
		to   **Action
		name string
	}{{&c.pass, "pass"}, {&c.encrypt, "encrypt"}, {&c.pseudonymize, "pseudonymize"}, {&c.seal, "seal"}, {&c.block, "block"}} {
		a, err := c.plain(x.name)
		if err != nil {
			return nil, err
		}
		*x.to = a
	}
	c.policy.encrypt, c.policy.pseudonym = c.encrypt, c.pseudonymize
	if err := c.policy.guard.minima(g); err != nil {
		return nil, err
	}
	return c, nil
}

// settings is what is inherited from the policy to a route to an uplink of it.
type settings struct {
	observe      bool
	watched      classify.ClassSet // classes that are observed, where the rest is enforced
	unclassified Unclassified
	grades       [6]*Action // by grade
	classes      [maxClasses]*Action
	origin       [maxClasses]Origin

	gradeAt [6]*node // where it was written; nil: a default
	classAt [maxClasses]*node
}

func (c *compiler) defaults() settings {
	s := settings{grades: [6]*Action{c.block, c.pass, c.pass, c.seal, c.seal, c.block}}
	if c.limits.RequireStrict {
		s.unclassified = Strict
	}
	return s
}

// Unclassified says what happens to a leaf without a finding.
type Unclassified uint8

// The treatments of unclassified leaves. The zero value is what a missing
// setting means.
const (
	Balanced         Unclassified = iota // numbers, booleans, null, timestamps and words of an enumeration pass; other strings are encrypted
	Strict                               // what the policy does not declare is encrypted
	PassUnclassified                     // passes
)

// String returns the word of the document.
func (u Unclassified) String() string {
	return [...]string{"balanced", "strict", "pass"}[u]
}

// Origin says which level of a policy decides something.
type Origin uint8

// The origins, nearest last.
const (
	FromTaxonomy Origin = iota
	FromPolicy
	FromRoute
	FromUplink // the route's treatment of one uplink
)

// String returns a word for people.
func (o Origin) String() string {
	return [...]string{"taxonomy", "policy", "route", "uplink"}[o]
}

// document reads the whole document. The error is about the program, not the
// document.
func (c *compiler) document(root *node) error {
	if !c.keys(root, "a policy", "schema", "version", "profile", "gbt35273", "mode", "observe_classes", "recipients", "unclassified", "routes", "grades",
		"classes", "class_grades", "topic_levels", "unreadable", "detectors", "fields", "selftest") {
		return nil
	}
	c.header(root)
	c.policy.recipients = c.defaultRecipients(root.get("recipients"))
	c.uplinks(root.get("routes"))

	overrides := c.classGrades(root.get("class_grades"))
	c.policy.site = c.detectors(root.get("detectors"))
	if profile := c.policy.profile; profile != "" {
		c.policy.gbt35273 = c.flag(root.get("gbt35273"), "gbt35273")
		o := classify.Options{Profile: profile, Grades: overrides, GBT35273: c.policy.gbt35273}
		for _, d := range c.policy.site {
			o.Custom = append(o.Custom, d.Custom)
		}
		o.Custom = append(o.Custom, c.limits.Detectors...)
		var err error
		c.policy.classifier, err = classify.New(o)
		if err != nil {
			return fmt.Errorf("compile policy: %w", err)
		}
		c.gradeClasses()
	}

	base := c.defaults()
	if err := c.taxonomyDefaults(); err != nil {
		return err
	}
	c.topicLevels(root.get("topic_levels"))
	c.settings(root, &base, FromPolicy)
	unreadable := c.unreadable(root, "", unreadableRule{})
	c.routes(root.get("routes"), root, base, unreadable)
	c.fields(root.get("fields"))
	c.selfTests(root.get("selftest"))
	if len(c.list) == 0 {
		c.narrowSeals(root)
		c.checkGuard(root, overrides)
	}
	return nil
}
