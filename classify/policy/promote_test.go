package policy_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/sealgate/sealgate/classify/policy"
)

func TestPromote(t *testing.T) {
	for _, c := range []struct{ name, src, want string }{
		{"a mode of its own", `# why
schema: sealgate/policy/v1
version: 9   # counts up
profile: eu
routes:
  - name: doors   # all doors
    mode: observe   # until May
    topics: ["site/door/#"]
  - {name: rest, topics: ["#"], mode: observe}
`, `# why
schema: sealgate/policy/v1
version: 10   # counts up
profile: eu
routes:
  - name: doors   # all doors
    mode: enforce   # until May
    topics: ["site/door/#"]
  - {name: rest, topics: ["#"], mode: observe}
`},
		{"the policy's mode", `schema: sealgate/policy/v1
version: 1
profile: eu
mode: observe
routes:
  - name: "doors"
    # seen: 12
    topics: ["site/door/#"]

  - name: rest
    topics: ["#"]
`, `schema: sealgate/policy/v1
version: 2
profile: eu
mode: observe
routes:
  - name: "doors"
    # seen: 12
    mode: enforce
    topics: ["site/door/#"]

  - name: rest
    topics: ["#"]
`},
		{"the name last", "schema: sealgate/policy/v1\r\nversion: 1\r\nprofile: eu\r\nmode: 'observe'\r\nroutes:\r\n- topics: ['#']\r\n  name: doors\r\n",
			"schema: sealgate/policy/v1\r\nversion: 2\r\nprofile: eu\r\nmode: 'observe'\r\nroutes:\r\n- topics: ['#']\r\n  mode: enforce\r\n  name: doors\r\n"},
		{"in a line, with uplinks", `schema: sealgate/policy/v1
version: 1
profile: eu
mode: observe
routes: [{name: "Zürich", topics: ["z/#"]}, {name: doors, topics: ["ü/#"], to: {"city": {mode: "observe"}, plant: {mode: enforce}}}]
`, `schema: sealgate/policy/v1
version: 2
profile: eu
mode: observe
routes: [{name: "Zürich", topics: ["z/#"]}, {mode: enforce, name: doors, topics: ["ü/#"], to: {"city": {mode: "enforce"}, plant: {mode: enforce}}}]
`},
		{"JSON", `{"schema": "sealgate/policy/v1", "version": 1, "profile": "eu", "mode": "observe", "routes": [{"name": "doors", "topics": ["#"]}]}`,
			`{"schema": "sealgate/policy/v1", "version": 2, "profile": "eu", "mode": "observe", "routes": [{"mode": "enforce", "name": "doors", "topics": ["#"]}]}`},
	} {
		out, err := policy.Promote([]byte(c.src), "doors")
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if string(out) != c.want {
			t.Errorf("%s:\n%s\nwant\n%s", c.name, out, c.want)
		}
		g := policy.Guard{Observe: true}
		before, after := compile(t, c.src, g), compile(t, string(out), g)
		for i, r := range after.Routes() {
			if r.Name == "doors" == r.Observes() {
				t.Errorf("%s: route %q observes: %v", c.name, r.Name, r.Observes())
			}
			if r.Name != "doors" && r.Observes() != before.Routes()[i].Observes() {
				t.Errorf("%s: route %q changed", c.name, r.Name)
			}
		}
		if d := policy.Diff(before, after); d.Direction != policy.Tightens {
			t.Errorf("%s: it %s: %+v", c.name, d.Word, d.Changes)
		}
	}
}

func TestPromoteRefuses(t *testing.T) {
	const src = "schema: sealgate/policy/v1\nversion: 1\nprofile: eu\nroutes: [{name: doors, topics: ['#']}]\n"
	if _, err := policy.Promote([]byte(src), "doors"); !errors.Is(err, policy.ErrEnforced) {
		t.Errorf("a route that enforces: %v", err)
	}
	if _, err := policy.Promote([]byte(src), "windows"); err == nil || !strings.Contains(err.Error(), `there is no route "windows"; the policy has ["doors"]`) {
		t.Errorf("an unknown route: %v", err)
	}
	var es *policy.Errors
	if _, err := policy.Promote([]byte("a: [\n"), "doors"); !errors.As(err, &es) {
		t.Errorf("no YAML: %v", err)
	}
	if _, err := policy.Promote([]byte("schema: sealgate/policy/v1\nmode: observe\nroutes:\n- name: doors\n"), "doors"); err == nil || !strings.Contains(err.Error(), "edit it by hand") {
		t.Errorf("a route of one key: %v", err)
	}
}
