package strictyaml

import (
	"errors"
	"strings"
	"testing"
	"time"
)

type sample struct {
	Name   string          `yaml:"name"`
	Count  int             `yaml:"count"`
	Small  uint8           `yaml:"small"`
	On     bool            `yaml:"on"`
	Wait   time.Duration   `yaml:"wait"`
	Tags   []string        `yaml:"tags"`
	Limits map[string]int  `yaml:"limits"`
	Sub    *sub            `yaml:"sub"`
	Peers  []peer          `yaml:"peers,named"`
	Level  level           `yaml:"level"`
	Keys   map[level]int64 `yaml:"keys"`
	hidden int
}

type sub struct {
	URL string `yaml:"url"`
}

type peer struct {
	Name string
	URL  string `yaml:"url"`
}

type level int

func (l *level) UnmarshalText(b []byte) error {
	if string(b) != "high" {
		return errors.New("expected high")
	}
	*l = 3
	return nil
}

func TestDecode(t *testing.T) {
	var v sample
	d := Decode("a.yaml", []byte(`
# a comment
name: "gw: 1"
count: 3
on: true
wait: 1m30s
tags: [a, b]
limits:
  x: 1
sub:
  url: mqtt://h
peers:
  second: {url: b}
  first: {url: a}
level: high
keys: {high: 7}
`), &v)
	if err := d.Err(); err != nil {
		t.Fatal(err)
	}
	if v.Name != "gw: 1" || v.Count != 3 || !v.On || v.Wait != 90*time.Second || len(v.Tags) != 2 ||
		v.Limits["x"] != 1 || v.Sub == nil || v.Sub.URL != "mqtt://h" || v.Level != 3 || v.Keys[3] != 7 || v.hidden != 0 {
		t.Errorf("decoded %+v", v)
	}
	if len(v.Peers) != 2 || v.Peers[0] != (peer{"second", "b"}) || v.Peers[1] != (peer{"first", "a"}) {
		t.Errorf("named peers lost their order: %+v", v.Peers)
	}
	if !d.Has("sub.url") || d.Has("sub.nope") {
		t.Error("Has does not know the keys")
	}
	d.Errorf("peers.first.url", "bad url")
	d.Errorf("peers.first.missing", "needs more")
	want := "a.yaml:14:3: needs more\na.yaml:14:11: bad url"
	if got := d.Err().Error(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestEveryErrorAtOnce(t *testing.T) {
	var v sample
	err := Decode("a.yaml", []byte(`name: yes it is
nmae: x
count: many
count: 2
small: 300
on: maybe
wait: -3s
tags: one
limits: [1]
sub: &anchor {url: a}
level: low
peers:
  a: {url: x, uri: y}
  a: {url: z}
---
name: second
`), &v).Err()
	var list *Errors
	if !errors.As(err, &list) {
		t.Fatalf("got %v", err)
	}
	for i, want := range []string{
		`a.yaml:2:1: unknown key "nmae", did you mean "name"?`,
		`a.yaml:3:8: expected a whole number`,
		`a.yaml:4:1: key "count" appears twice`,
		`a.yaml:5:8: number out of range`,
		`a.yaml:6:5: expected true or false`,
		`a.yaml:7:7: expected a duration`,
		`a.yaml:8:7: expected a list`,
		`a.yaml:9:9: expected a mapping`,
		`a.yaml:10:6: anchors, aliases and tags are not allowed`,
		`a.yaml:11:8: expected high`,
		`a.yaml:13:15: unknown key "uri", did you mean "url"?`,
		`a.yaml:14:3: key "a" appears twice`,
		`a second document`,
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("problem %d: %q is missing in\n%s", i, want, err)
		}
	}
	if len(list.List) != 13 {
		t.Errorf("got %d problems, want 13:\n%s", len(list.List), err)
	}
}

func TestSyntaxErrorHasItsPlace(t *testing.T) {
	var v sample
	err := Decode("a.yaml", []byte("name: x\n  bad: [\n"), &v).Err()
	if err == nil || !strings.HasPrefix(err.Error(), "a.yaml:") {
		t.Errorf("got %v", err)
	}
	if err := Decode("a.yaml", make([]byte, MaxBytes+1), &v).Err(); err == nil {
		t.Error("an oversized file was accepted")
	}
	if err := Decode("a.yaml", nil, &v).Err(); err != nil {
		t.Errorf("an empty file: %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add([]byte("name: x\npeers: {a: {url: b}}\n"))
	f.Add([]byte("a: &x [*x]\n<<: {b: c}\n? [k]\n: v\n"))
	f.Add([]byte("\"\\ud800\": !!binary aGk=\n"))
	f.Fuzz(func(_ *testing.T, src []byte) {
		var v sample
		_ = Decode("f", src, &v).Err()
	})
}
