// Package learn drafts a policy from observed traffic.
//
// Mental model: a [Learner] judges each message as the built-in policy would and
// remembers structure, never values: which topics there are, as patterns; which
// classes of data were found in which fields, how often, and how they would be
// protected. [Learner.Inventory] sums that up by route, for the people who
// answer for the data; [Inventory.Draft] writes it as a policy in observe mode,
// for them to change and sign.
//
// Topics are put together as a tree. A level that looks like a name of one
// thing among many (it holds digits, or the classifier finds something in it)
// becomes "+", and so do siblings that are alike or too many. Keys of payloads
// that look like that become "*". The tree, the paths and the classes are
// bounded, so that a device that invents names costs a bounded memory.
//
// What the package can't know is why data is processed: that is left to fill
// in. It prints nothing and performs no I/O.
package learn

import (
	"fmt"
	"math/bits"
	"strings"
	"time"

	"github.com/sealgate/sealgate/classify"
	"github.com/sealgate/sealgate/classify/payload"
	"github.com/sealgate/sealgate/classify/policy"
)

// Options say how to learn.
type Options struct {
	Profile string            // one of classify.Profiles; empty: the first
	Vocab   policy.Vocabulary // actions and uplinks, as for policy.Compile
	// Takes says whether an uplink takes a topic, by the order of Vocab.Uplinks;
	// nil: each takes all.
	Takes  func(uplink int, topic string) bool
	Begun  time.Time // when watching began; zero: messages are from captures
	Routes int       // at most so many beside the last one, for everything else; 0: 24
}

// Bounds of what is remembered.
const (
	maxRoutes   = 24
	maxNodes    = 8192 // of the tree of topics
	maxChildren = 16   // of a level, by name
	maxDepth    = 12   // levels, beyond which "#" stands
	maxPaths    = 24   // of a class on a route, or of text about which nothing is known
)

// A Learner remembers what messages are made of. Not for concurrent use.
type Learner struct {
	o       Options
	p       *policy.Policy
	route   *policy.Route
	scratch policy.Scratch
	root    *level
	nodes   int
	stray   int // messages on "$" topics, which no wildcard takes
}

// New returns a learner that has seen nothing.
func New(o Options) (*Learner, error) {
	if o.Profile == "" {
		o.Profile = classify.Profiles()[0]
	}
	if o.Routes == 0 {
		o.Routes = maxRoutes
	}
	p, err := policy.BuiltIn(o.Profile, o.Vocab, policy.Guard{})
	if err != nil {
		return nil, fmt.Errorf("make policy to learn with: %w", err)
	}
	l := &Learner{o: o, p: p, route: p.Routes()[0]}
	l.root = &level{}
	return l, nil
}

// Add looks at one message. Nothing of it is kept but its structure.
func (l *Learner) Add(topic string, raw []byte) {
	if strings.HasPrefix(topic, "$") {
		l.stray++
		return
	}
	v := l.p.Judge(&l.scratch, nil, l.route, policy.Input{Topic: topic, Payload: raw})
	names := namedLevels(topic, &v)
	t := l.at(topic, names)
	t.add(l, topic, len(raw), &v)
}

// namedLevels says which levels of a topic are names, by what was found there.
func namedLevels(topic string, v *policy.Verdict) map[int]bool {
	names := map[int]bool{}
	first, _, _ := strings.Cut(topic, "/")
	for _, i := range conventions[first] {
		names[i] = true
	}
	for i := range v.Findings {
		f := &v.Findings[i]
		if x := &v.Document.Fields[f.Field]; x.Kind == payload.KindTopic {
			names[int(x.Index)] = true
		}
	}
	return names
}

// conventions says which levels name a thing or a person where well-known
// software publishes, by its first level.
var conventions = map[string][]int{
	"owntracks":     {1, 2}, // owntracks/user/device
	"zigbee2mqtt":   {1},    // zigbee2mqtt/friendly name
	"tele":          {1},    // Tasmota: tele/device/SENSOR
	"stat":          {1},    //
	"cmnd":          {1},    //
	"shellies":      {1},    // shellies/model-id
	"frigate":       {1},    // frigate/camera
	"valetudo":      {1},    // valetudo/robot
	"homeassistant": {2, 3}, // homeassistant/component/node/object
	"application":   {1, 3}, // ChirpStack: application/id/device/EUI
	"spBv1.0":       {1, 3, 4},
	"teslamate":     {2}, // teslamate/cars/id
}

// word reports whether a level or a key is a word of the site's own structure
// and not the name of one thing among many: letters, with few digits, none of
// them at its end unless it is a version such as "v3".
func word(s string) bool {
	if s == "spBv1.0" {
		return true
	}
	if len(s) == 0 || len(s) > 32 {
		return false
	}
	digits := 0
	for _, r := range s {
		switch {
		case r >= '0' && r <= '9':
			digits++
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r == '_', r == '-', r == '.':
		default:
			return false
		}
	}
	last := s[len(s)-1]
	if last >= '0' && last <= '9' {
		return len(s) == 2 && s[0] == 'v'
	}
	return digits <= 2
}

// Topics is how many patterns of topics there are so far, before those that are
// alike are put together.
func (l *Learner) Topics() int { return len(l.root.leaves(nil, nil)) }

// Classes is how many classes were found so far.
func (l *Learner) Classes() int {
	var all classify.ClassSet
	for _, x := range l.root.leaves(nil, nil) {
		for id := range x.found {
			all = all.With(id)
		}
	}
	return bits.OnesCount64(uint64(all))
}
