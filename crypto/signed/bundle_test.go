package signed

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sealgate/sealgate/crypto"
)

var day = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

func newEntry(t testing.TB, audience string, status Status, kem crypto.KEM) Entry {
	t.Helper()
	k, err := crypto.GenerateRecipientKey(kem)
	if err != nil {
		t.Fatal(err)
	}
	return Entry{Audience: audience, Status: status, Recipient: k.Recipient()}
}

func newBundle(t testing.TB) *Bundle {
	t.Helper()
	return &Bundle{
		Chain: Chain{Site: "plant-1", Version: 1, NotBefore: day, NotAfter: day.AddDate(0, 6, 0)},
		Entries: []Entry{
			newEntry(t, "ops", Active, crypto.KEMX25519),
			newEntry(t, "ops", Pending, crypto.KEMX25519),
			newEntry(t, "ops", Retiring, crypto.KEMP256),
			newEntry(t, "dpo", Active, crypto.KEMXWing),
			newEntry(t, "dpo", Revoked, crypto.KEMX25519),
			newEntry(t, "old", Revoked, crypto.KEMX25519),
			newEntry(t, "new", Pending, crypto.KEMX25519),
			newEntry(t, Recovery, Active, crypto.KEMX25519),
		},
	}
}

func TestBundleRoundTrip(t *testing.T) {
	s, v := newSigners(t, 2)
	want := newBundle(t)
	raw, err := SignBundle(want, s...)
	if err != nil {
		t.Fatal(err)
	}
	got, err := OpenBundle(raw, newRole(t, 2, v...), Expect{Site: "plant-1", Now: day.AddDate(0, 1, 0)})
	if err != nil {
		t.Fatal(err)
	}
	if got.Version != 1 || !got.NotBefore.Equal(want.NotBefore) || !got.NotAfter.Equal(want.NotAfter) || got.Hash == [32]byte{} || len(got.Entries) != len(want.Entries) {
		t.Errorf("got %+v", got)
	}
	for i, e := range got.Entries {
		w := want.Entries[i]
		if e.Audience != w.Audience || e.Status != w.Status || e.Recipient.RID() != w.Recipient.RID() || e.Recipient.KEM() != w.Recipient.KEM() {
			t.Errorf("entry %d differs", i)
		}
	}
}

func TestActive(t *testing.T) {
	b := newBundle(t)
	for _, c := range []struct {
		audiences []string
		want      []int // indices of entries; nil: an error
	}{
		{[]string{"ops"}, []int{0, 2, 7}},
		{[]string{"dpo"}, []int{3, 7}},
		{[]string{"ops", "dpo"}, []int{0, 2, 3, 7}},
		{[]string{"ops", "ops"}, []int{0, 2, 7}},
		{[]string{Recovery}, []int{7}},
		{nil, []int{7}},
		{[]string{"old"}, nil},
		{[]string{"new"}, nil},
		{[]string{"ops", "nobody"}, nil},
	} {
		got, err := b.Active(c.audiences...)
		if c.want == nil {
			if !errors.Is(err, ErrContent) || got != nil {
				t.Errorf("%v: got %d entries, %v", c.audiences, len(got), err)
			}
			continue
		}
		var idx []int
		for _, e := range got {
			idx = append(idx, slices.IndexFunc(b.Entries, func(x Entry) bool { return x.Recipient == e.Recipient }))
		}
		if err != nil || !slices.Equal(idx, c.want) {
			t.Errorf("%v: got %v, %v, want %v", c.audiences, idx, err, c.want)
		}
	}
}

func TestOpenBundleExpectations(t *testing.T) {
	s, v := newSigners(t, 1)
	role := newRole(t, 1, v...)
	put := func(b *Bundle) ([]byte, *Bundle) {
		raw, err := SignBundle(b, s...)
		if err != nil {
			t.Fatal(err)
		}
		got, err := OpenBundle(raw, role, Expect{Site: b.Site, Now: b.NotBefore})
		if err != nil {
			t.Fatal(err)
		}
		return raw, got
	}
	one, b1 := put(newBundle(t))
	two := newBundle(t)
	two.Version, two.Previous = 2, b1.Hash
	rawTwo, b2 := put(two)
	fork := newBundle(t)
	fork.Version, fork.Previous = 2, [32]byte{1}
	rawFork, _ := put(fork)
	far := newBundle(t)
	far.Version, far.Previous = 9, [32]byte{2}
	rawFar, _ := put(far)

	ok := Expect{Site: "plant-1", Now: day}
	with := func(change func(*Expect)) Expect {
		e := ok
		change(&e)
		return e
	}
	for _, c := range []struct {
		name string
		raw  []byte
		e    Expect
		want error
	}{
		{"first", one, ok, nil},
		{"the same again", one, with(func(e *Expect) { e.Floor, e.Hash = 1, b1.Hash }), nil},
		{"successor", rawTwo, with(func(e *Expect) { e.Floor, e.Hash = 1, b1.Hash }), nil},
		{"far ahead", rawFar, with(func(e *Expect) { e.Floor, e.Hash = 1, b1.Hash }), nil},
		{"older", one, with(func(e *Expect) { e.Floor, e.Hash = 2, b2.Hash }), ErrRollback},
		{"same version, other content", rawFork, with(func(e *Expect) { e.Floor, e.Hash = 2, b2.Hash }), ErrRollback},
		{"successor of another", rawFork, with(func(e *Expect) { e.Floor, e.Hash = 1, b1.Hash }), ErrRollback},
		{"other site", one, with(func(e *Expect) { e.Site = "plant-2" }), ErrTarget},
		{"no site expected", one, with(func(e *Expect) { e.Site = "" }), ErrTarget},
		{"early", one, with(func(e *Expect) { e.Now = day.Add(-time.Second) }), ErrNotYet},
		{"last moment", one, with(func(e *Expect) { e.Now = day.AddDate(0, 6, 0).Add(-time.Second) }), nil},
		{"late", one, with(func(e *Expect) { e.Now = day.AddDate(0, 6, 0) }), ErrExpired},
	} {
		if _, err := OpenBundle(c.raw, role, c.e); !errors.Is(err, c.want) {
			t.Errorf("%s: got %v, want %v", c.name, err, c.want)
		}
	}
	_, strangers := newSigners(t, 1)
	if _, err := OpenBundle(one, newRole(t, 1, strangers...), ok); !errors.Is(err, ErrThreshold) {
		t.Errorf("signed by a stranger: %v", err)
	}
	other, err := Sign("application/vnd.sealgate.policy.v1+json", []byte("{}"), s...)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenBundle(other, role, ok); !errors.Is(err, ErrType) {
		t.Errorf("another kind of document: %v", err)
	}
}

// wire returns a good bundle as JSON values that a case may spoil.
func wire(t testing.TB) map[string]any {
	t.Helper()
	s, v := newSigners(t, 1)
	raw, err := SignBundle(newBundle(t), s...)
	if err != nil {
		t.Fatal(err)
	}
	body, err := newRole(t, 1, v...).Verify(raw, BundleType)
	if err != nil {
		t.Fatal(err)
	}
	var m map[string]any
	if err := json.Unmarshal(body, &m); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestParseBundleRefuses(t *testing.T) {
	entry := func(m map[string]any, i int) map[string]any { return m["entries"].([]any)[i].(map[string]any) }
	for name, c := range map[string]struct {
		spoil func(map[string]any)
		want  error
	}{
		"nothing spoiled":       {func(m map[string]any) {}, nil},
		"other schema":          {func(m map[string]any) { m["schema"] = "sealgate-recipients/v2" }, ErrContent},
		"no site":               {func(m map[string]any) { delete(m, "site") }, ErrContent},
		"site with a slash":     {func(m map[string]any) { m["site"] = "a/b" }, ErrContent},
		"version 0":             {func(m map[string]any) { m["version"] = 0 }, ErrContent},
		"version negative":      {func(m map[string]any) { m["version"] = -1 }, ErrFormat},
		"version 2, no hash":    {func(m map[string]any) { m["version"] = 2 }, ErrContent},
		"version 1 with a hash": {func(m map[string]any) { m["previous"] = strings.Repeat("ab", 32) }, ErrContent},
		"short hash":            {func(m map[string]any) { m["version"], m["previous"] = 2, "abab" }, ErrContent},
		"upper-case hash":       {func(m map[string]any) { m["version"], m["previous"] = 2, strings.Repeat("AB", 32) }, ErrContent},
		"time with offset":      {func(m map[string]any) { m["not_before"] = "2026-03-01T01:00:00+01:00" }, ErrContent},
		"time with fraction":    {func(m map[string]any) { m["not_before"] = "2026-03-01T00:00:00.5Z" }, ErrContent},
		"no end":                {func(m map[string]any) { delete(m, "not_after") }, ErrContent},
		"ends before it begins": {func(m map[string]any) { m["not_after"] = "2025-03-01T00:00:00Z" }, ErrContent},
		"no entries":            {func(m map[string]any) { m["entries"] = []any{} }, ErrContent},
		"no recovery":           {func(m map[string]any) { m["entries"] = m["entries"].([]any)[:7] }, ErrContent},
		"recovery revoked":      {func(m map[string]any) { entry(m, 7)["status"] = "revoked" }, ErrContent},
		"recovery pending":      {func(m map[string]any) { entry(m, 7)["status"] = "pending" }, ErrContent},
		"unknown status":        {func(m map[string]any) { entry(m, 0)["status"] = "Active" }, ErrContent},
		"unknown kem":           {func(m map[string]any) { entry(m, 0)["kem"] = "rsa" }, ErrContent},
		"kem of another key":    {func(m map[string]any) { entry(m, 0)["kem"] = "p256" }, ErrContent},
		"rid of another key":    {func(m map[string]any) { entry(m, 0)["rid"] = entry(m, 1)["rid"] }, ErrContent},
		"short rid":             {func(m map[string]any) { entry(m, 0)["rid"] = "ab" }, ErrContent},
		"no audience":           {func(m map[string]any) { entry(m, 0)["audience"] = "" }, ErrContent},
		"key twice": {func(m map[string]any) {
			for k, v := range entry(m, 0) {
				if k != "audience" {
					entry(m, 3)[k] = v
				}
			}
		}, ErrContent},
		"key as numbers":       {func(m map[string]any) { entry(m, 0)["public"] = []any{1, 2} }, ErrFormat},
		"key not base64":       {func(m map[string]any) { entry(m, 0)["public"] = "?" }, ErrFormat},
		"small-order key":      {func(m map[string]any) { entry(m, 0)["public"] = strings.Repeat("A", 43) + "=" }, ErrContent},
		"unknown member":       {func(m map[string]any) { m["comment"] = "x" }, ErrFormat},
		"unknown entry member": {func(m map[string]any) { entry(m, 0)["note"] = "x" }, ErrFormat},
		"null entry":           {func(m map[string]any) { m["entries"].([]any)[0] = nil }, ErrFormat},
		"too many entries": {func(m map[string]any) {
			for len(m["entries"].([]any)) <= maxEntries {
				m["entries"] = append(m["entries"].([]any), entry(m, 0))
			}
		}, ErrContent},
	} {
		t.Run(name, func(t *testing.T) {
			m := wire(t)
			c.spoil(m)
			raw, err := json.Marshal(m)
			if err != nil {
				t.Fatal(err)
			}
			if b, err := ParseBundle(raw); !errors.Is(err, c.want) || (c.want != nil) != (b == nil) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
	if _, err := ParseBundle(make([]byte, MaxSize+1)); !errors.Is(err, ErrSize) {
		t.Errorf("too large: %v", err)
	}
}

func TestSignBundleRefusesWhatWouldBeRefused(t *testing.T) {
	s, _ := newSigners(t, 1)
	b := newBundle(t)
	b.Entries = b.Entries[:3]
	if _, err := SignBundle(b, s...); !errors.Is(err, ErrContent) {
		t.Errorf("without recovery: %v", err)
	}
}

func FuzzParseBundle(f *testing.F) {
	good, err := json.Marshal(wire(f))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:200])
	f.Add([]byte(`{"schema":"sealgate-recipients/v1","site":"a","version":1,"entries":[{}]}`))
	f.Add([]byte(`{"entries":null}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		b, err := ParseBundle(raw)
		if err != nil {
			if !errors.Is(err, ErrRefused) || b != nil {
				t.Fatalf("refused badly: %v", err)
			}
			return
		}
		if es, err := b.Active(); err != nil || len(es) == 0 {
			t.Fatal("an accepted bundle has no recovery recipient")
		}
	})
}

var update = flag.Bool("update", false, "write the vectors anew; only when the format's version changes")

// TestBundleVector checks that a bundle is signed byte for byte as when version
// 1 of the format was fixed, and that the signed vector opens. Ed25519 makes
// the same signature each time. Keys are 32 bytes that rise from the number
// given.
func TestBundleVector(t *testing.T) {
	rising := func(first byte) []byte {
		b := make([]byte, 32)
		for i := range b {
			b[i] = first + byte(i)
		}
		return b
	}
	var signers []*crypto.Signer
	var keys []*crypto.Verifier
	for _, first := range []byte{0x20, 0x40} {
		s, err := crypto.InsecureSigner(rising(first))
		if err != nil {
			t.Fatal(err)
		}
		signers, keys = append(signers, s), append(keys, s.Verifier())
	}
	entry := func(audience string, status Status, kem crypto.KEM, first byte) Entry {
		k, err := crypto.InsecureRecipientKey(kem, rising(first))
		if err != nil {
			t.Fatal(err)
		}
		return Entry{Audience: audience, Status: status, Recipient: k.Recipient()}
	}
	c := Chain{Site: "plant-1", Version: 2, Previous: [32]byte(rising(0x80)), NotBefore: day, NotAfter: day.AddDate(0, 6, 0)}
	b := &Bundle{Chain: c, Entries: []Entry{
		entry("ops", Retiring, crypto.KEMX25519, 0), entry("ops", Active, crypto.KEMP256, 1), entry(Recovery, Active, crypto.KEMXWing, 2),
	}}
	got, err := SignBundle(b, signers...)
	if err != nil {
		t.Fatal(err)
	}
	const path = "testdata/vectors/recipients.bundle.json"
	if *update {
		if err := os.WriteFile(path, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Error("the bundle differs from its vector")
	}
	opened, err := OpenBundle(want, newRole(t, 2, keys...), Expect{Site: "plant-1", Floor: 1, Hash: [32]byte(rising(0x80)), Now: day})
	if err != nil {
		t.Fatal(err)
	}
	if es, err := opened.Active("ops"); err != nil || len(es) != 3 {
		t.Errorf("%d recipients, %v", len(es), err)
	}
}
