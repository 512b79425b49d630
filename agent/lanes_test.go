package agent

import (
	"log/slog"
	"os"
	"reflect"
	"testing"

	"github.com/sealgate/sealgate/agent/config"
	"github.com/sealgate/sealgate/classify/policy"
)

func TestLanesAreNoted(t *testing.T) {
	a := &Agent{cfg: &config.Config{State: t.TempDir()}, log: slog.New(slog.DiscardHandler)}
	if l := a.lastLanes(); l != nil {
		t.Errorf("before anything was noted: %v", l)
	}
	want := policy.Lanes{{Topics: []string{"a/+", "b"}, Lane: policy.LaneHigh}, {Topics: []string{"#"}}}
	a.noteLanes(want)
	if got := a.lastLanes(); !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
	if err := os.WriteFile(a.lanesFile(), []byte("["), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := a.lastLanes().Moves(want); err == nil {
		t.Error("damaged lanes are taken for known ones")
	}
}
