package policy_test

import (
	"strings"
	"testing"

	"github.com/sealgate/sealgate/classify/policy"
)

func TestDiff(t *testing.T) {
	detector := func(rest string) string {
		return "detectors: [{name: badge, examples: {match: ['ward badge W-12'], no_match: ['W-12']}, keywords: [badge], pattern: 'W-\\d\\d', " + rest + "}]\n"
	}
	const two = "routes: [{name: cam, topics: ['cam/#']}, {name: all, topics: ['#']}]\n"
	for _, c := range []struct{ name, a, b, want, first string }{
		{"the same", everything, everything + "mode: enforce\ngrades: {L3: seal}\n", "neither", ""},
		{"a stronger action", everything, everything + "classes: {contact.email: encrypt}\n", "tightens", "contact.email: pseudonymize to encrypt"},
		{"a weaker action", everything, everything + "classes: {contact.email: pass}\n", "loosens", "contact.email: pseudonymize to pass"},
		{"both", everything, everything + "classes: {contact.email: pass, contact.phone: encrypt}\n", "loosens", "contact.email: pseudonymize to pass"},
		{"fewer recipients", "recipients: [a, b]\n" + everything + "classes: {health: {encrypt: {recipients: [a, b]}}}\n",
			"recipients: [a, b]\n" + everything + "classes: {health: {encrypt: {recipients: [a]}}}\n", "tightens", "health: encrypt(recipients: [a, b]) to encrypt(recipients: [a])"},
		{"other recipients", "recipients: [a, b]\n" + everything + "classes: {health: {encrypt: {recipients: [b]}}}\n",
			"recipients: [a, b]\n" + everything + "classes: {health: {encrypt: {recipients: [a]}}}\n", "loosens", "health: encrypt(recipients: [b]) to encrypt(recipients: [a])"},
		{"more recipients", "recipients: [a]\n" + everything, "recipients: [a, b]\n" + everything, "loosens", "recipients: a to a b"},
		{"observe", everything, "mode: observe\n" + everything, "loosens", "mode: enforce to observe"},
		{"promote", "mode: observe\n" + everything, everything, "tightens", "mode: observe to enforce"},
		{"strict", everything, "unclassified: strict\n" + everything, "tightens", "unclassified: balanced to strict"},
		{"unreadable", everything, "unreadable: block\n" + everything, "tightens", "unreadable: seal to block"},
		{"grades", everything, everything + "grades: {L4: block}\n", "tightens", "message of L4: seal to block"},
		{"class grades", everything, everything + "class_grades: {id.vin: L3}\n", "tightens", "grade of id.vin: L2 to L3"},
		{"one uplink less", "routes: [{name: all, topics: ['#'], to: {x: {}, y: {}}}]\n", "routes: [{name: all, topics: ['#'], to: {y: {}}}]\n", "tightens", "uplink: goes there to does not"},
		{"one uplink more", "routes: [{name: all, topics: ['#'], to: {x: {}}}]\n", "routes: [{name: all, topics: ['#'], to: {x: {}, y: {}}}]\n", "loosens", "uplink: does not go there to does"},
		{"a route apart, treated alike", everything, two, "neither", "route: in all to cam/#"},
		{"a route apart, tighter", everything, strings.Replace(two, "'cam/#']", "'cam/#'], classes: {contact.email: remove}", 1), "tightens", "route: in all to cam/#"},
		{"a route apart, looser", everything, strings.Replace(two, "'cam/#']", "'cam/#'], classes: {contact.email: pass}", 1), "loosens", "route: in all to cam/#"},
		{"a route gone", two, everything, "neither", "route: cam/# to in all"},
		{"a route for what was dropped", everything, "routes: [{name: all, topics: ['#']}, {name: sys, topics: ['$SYS/#']}]\n", "loosens", "route: several or none to $SYS/#"},
		{"a field declared", everything, everything + "fields:\n" + declare("/x", "health"), "tightens", "field # /x: not declared to health"},
		{"a field harmless", everything, everything + "fields: [{topic: '#', path: /x, grade: L1}]\n", "loosens", "field # /x: not declared to none L1"},
		{"a field forgotten", everything + "fields:\n" + declare("/x", "health"), everything, "loosens", "field # /x: health to not declared"},
		{"a field down", everything + "fields:\n" + declare("/x", "health"), everything + "fields:\n" + declare("/x", "id.vin"), "loosens", "field # /x: health to id.vin"},
		{"a detector more", everything, everything + detector("class: health"), "tightens", `detector badge: none to health, near badge, like W-\d\d, 80%`},
		{"a detector for what passes", everything, everything + detector("class: id.device"), "loosens", `detector badge: none to id.device, near badge, like W-\d\d, 80%`},
		{"a detector less", everything + detector("class: health"), everything, "loosens", `detector badge: health, near badge, like W-\d\d, 80% to none`},
		{"a surer detector", everything + detector("class: health"), everything + detector("class: health, confidence: 90"), "tightens", `detector badge: health, near badge, like W-\d\d, 80% to health, near badge, like W-\d\d, 90%`},
		{"a detector that finds something else", everything + detector("class: health"), everything + strings.Replace(detector("class: health"), "[badge]", "[badge, ward]", 1), "loosens", `detector badge: health, near badge, like W-\d\d, 80% to health, near badge | ward, like W-\d\d, 80%`},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := policy.Guard{Observe: true}
			d := policy.Diff(compile(t, head+c.a, g), compile(t, head+c.b, g))
			if d.Word != c.want || d.Direction.String() != c.want {
				t.Errorf("%s, want %s: %+v", d.Word, c.want, d.Changes)
			}
			first := ""
			if len(d.Changes) > 0 {
				first = d.Changes[0].What + ": " + d.Changes[0].Before + " to " + d.Changes[0].After
			}
			if first != c.first {
				t.Errorf("first change %q, want %q", first, c.first)
			}
		})
	}
}
