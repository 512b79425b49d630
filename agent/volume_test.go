package agent

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/sealgate/sealgate/classify"
	"github.com/sealgate/sealgate/classify/payload"
	"github.com/sealgate/sealgate/crypto"
)

// counted is volumes of one uplink, with the alarms that stand.
type counted struct {
	*volumes
	alarms map[string]string
}

func newCounted(t *testing.T, dir string, year int, keys ...*crypto.SecretKey) *counted {
	t.Helper()
	c := &counted{alarms: map[string]string{}}
	c.volumes = &volumes{
		dir: dir, keys: keys, log: slog.New(slog.NewTextHandler(t.Output(), nil)), stop: make(chan struct{}),
		raise: func(id, text, _ string) { c.alarms[id] = text }, clear: func(id string) { delete(c.alarms, id) },
		limits: func() []classify.VolumeLimit {
			l, _ := classify.ProfileLimits("cn")
			return l.SubjectsAYear
		},
		uplinks: make([]volume, 1),
	}
	c.uplinks[0].uplink = "cloud"
	if err := c.open(&c.uplinks[0], year); err != nil {
		t.Fatal(err)
	}
	return c
}

// note counts people from one number to another, each with a card.
func (c *counted) note(t *testing.T, from, to int) {
	t.Helper()
	k, err := classify.New(classify.Options{Profile: "cn"})
	if err != nil {
		t.Fatal(err)
	}
	var s classify.Scratch
	var d payload.Document
	for i := from; i < to; i++ {
		if why := payload.Parse(&d, "x", fmt.Appendf(nil, `{"email":"guest%d@example.org","heartRate":71}`, i), payload.Limits{}); why != "" {
			t.Fatal(why)
		}
		r := k.Find(&s, nil, &d, classify.Context{})
		k.Count(c.of(0), &d, r.Findings, r.Grade >= classify.L4)
	}
}

// Somebody is told at 80 % of a number and again when it is reached; a new year
// begins at nothing, and the old one is kept.
func TestVolumesTell(t *testing.T) {
	key, err := crypto.NewSecretKey()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	day := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	c := newCounted(t, dir, 2026, key)
	for _, x := range []struct {
		people int
		want   string
	}{{7000, ""}, {8800, "data left of 80 % of 10000 people, with something sensitive, in 2026"}, {11000, "may be important data (L5;"}} {
		c.note(t, 0, x.people)
		c.check(day, true)
		if got := c.alarms["volume-cloud"]; x.want == "" && got != "" || !strings.Contains(got, x.want) {
			t.Errorf("%d people: %q", x.people, got)
		}
		if s := c.stats(0); s.Limit != 10_000 || s.Share < float64(x.people)*0.93/10_000 || s.Share > float64(x.people)*1.07/10_000 {
			t.Errorf("%d people: %+v", x.people, s)
		}
	}
	c.check(day.AddDate(1, 0, 0), false)
	if s := c.stats(0); s.All != 0 || len(c.alarms) != 0 {
		t.Errorf("a new year begins with %+v and the alarms %v", s, c.alarms)
	}
	if again := newCounted(t, dir, 2026, key); again.stats(0).All < 10_000 {
		t.Errorf("the old year is %+v", again.stats(0))
	}
}

// A count outlives restarts and a rotation of keys; it is bound to its year and
// uplink, and says nothing in clear. One that can't be read is set aside.
func TestVolumesAreKept(t *testing.T) {
	old, err := crypto.NewSecretKey()
	if err != nil {
		t.Fatal(err)
	}
	fresh, err := crypto.NewSecretKey()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	path := filepath.Join(dir, "cloud-2026")
	c := newCounted(t, dir, 2026, old)
	c.note(t, 0, 300)
	want := c.stats(0)
	if err := c.close(context.Background()); err != nil {
		t.Fatal(err)
	}
	c = newCounted(t, dir, 2026, fresh, old)
	if c.stats(0) != want {
		t.Errorf("after a restart: %+v, want %+v", c.stats(0), want)
	}
	c.note(t, 0, 300)
	if c.stats(0) != want {
		t.Errorf("the same people again: %+v, want %+v", c.stats(0), want)
	}
	c.note(t, 300, 301)
	if err := c.save(&c.uplinks[0]); err != nil {
		t.Fatal(err)
	}
	if c = newCounted(t, dir, 2026, fresh); c.stats(0).All < want.All {
		t.Error("not under the newest key")
	}

	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(raw), "contact.email") {
		t.Error("the file says in clear what was counted")
	}
	if err := os.WriteFile(filepath.Join(dir, "cloud-2027"), raw, 0o600); err != nil {
		t.Fatal(err)
	}
	if c = newCounted(t, dir, 2027, fresh); c.stats(0).All != 0 || c.alarms["volume-damaged"] == "" {
		t.Errorf("another year's file is taken: %+v", c.stats(0))
	}
	if _, err := os.Stat(filepath.Join(dir, "cloud-2027.corrupt")); err != nil {
		t.Error("what can't be read is not set aside")
	}
}
