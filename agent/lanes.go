package agent

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/sealgate/sealgate/classify/policy"
	"github.com/sealgate/sealgate/internal/durable"
)

// lanesFile says by which lanes the logs were last written, so that a policy
// that changed while the gateway was off keeps the order too.
func (a *Agent) lanesFile() string { return filepath.Join(a.cfg.State, "lanes") }

// lastLanes is nil where nothing was noted: then nothing was written by other
// lanes than today's.
func (a *Agent) lastLanes() (l policy.Lanes) {
	raw, err := os.ReadFile(a.lanesFile())
	if err == nil {
		err = json.Unmarshal(raw, &l)
	}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		a.log.Error("lanes of the last run can't be read", "error", err)
		return policy.Lanes{{Topics: []string{""}}} // no filter: every lane waits for the others
	}
	return l
}

// noteLanes is called when the logs have the fences for these lanes. Where it
// can't be noted the next start writes fences once more.
func (a *Agent) noteLanes(l policy.Lanes) {
	raw, err := json.Marshal(l)
	if err == nil {
		err = durable.WriteFile(a.lanesFile(), raw, 0o600)
	}
	if err != nil {
		a.log.Error("lanes can't be noted", "error", err)
	}
}
