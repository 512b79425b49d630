package policy

import (
	"reflect"
	"testing"
)

func TestMoves(t *testing.T) {
	rule := func(lane Lane, topics ...string) LaneRule { return LaneRule{topics, lane} }
	all := rule(LaneNormal, "#")
	for name, c := range map[string]struct {
		before, after Lanes
		want          []Move
	}{
		"the same":               {Lanes{rule(LaneHigh, "a/#"), all}, Lanes{rule(LaneHigh, "a/#"), all}, nil},
		"another split, no move": {Lanes{all}, Lanes{rule(LaneNormal, "a/#"), all}, nil},
		"a route more":           {Lanes{all}, Lanes{rule(LaneHigh, "a/+"), all}, []Move{{LaneNormal, LaneHigh}}},
		"a route less":           {Lanes{rule(LaneLow, "a/+"), all}, Lanes{all}, []Move{{LaneLow, LaneNormal}}},
		"beside the one there":   {Lanes{rule(LaneHigh, "a/#"), all}, Lanes{rule(LaneHigh, "a/#"), rule(LaneLow, "b"), all}, []Move{{LaneNormal, LaneLow}}},
		"wider":                  {Lanes{rule(LaneHigh, "a/b"), all}, Lanes{rule(LaneHigh, "a/#"), all}, []Move{{LaneNormal, LaneHigh}}},
		"turned round":           {Lanes{rule(LaneHigh, "a/+"), rule(LaneLow, "a/#")}, Lanes{rule(LaneLow, "a/#")}, []Move{{LaneHigh, LaneLow}}},
		"nothing in common":      {Lanes{rule(LaneHigh, "a/#")}, Lanes{rule(LaneLow, "b/#")}, nil},
		"dollar topics":          {Lanes{rule(LaneHigh, "$x/#")}, Lanes{rule(LaneLow, "#")}, nil},
		"both ways": {Lanes{rule(LaneHigh, "a"), rule(LaneLow, "b")}, Lanes{rule(LaneLow, "a"), rule(LaneHigh, "b")},
			[]Move{{LaneHigh, LaneLow}, {LaneLow, LaneHigh}}},
	} {
		if got, err := c.before.Moves(c.after); err != nil || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %v, %v, want %v", name, got, err, c.want)
		}
	}
	if _, err := (Lanes{rule(LaneHigh, "a#")}).Moves(nil); err == nil {
		t.Error("a malformed filter was taken")
	}
}
