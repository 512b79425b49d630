package signed

import (
	"bytes"
	"context"
	stdcrypto "crypto"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/secure-systems-lab/go-securesystemslib/dsse"

	"github.com/sealgate/sealgate/crypto"
)

const testType = "application/vnd.example+json"

func newSigners(t testing.TB, n int) ([]*crypto.Signer, []*crypto.Verifier) {
	t.Helper()
	var ss []*crypto.Signer
	var vs []*crypto.Verifier
	for range n {
		s, err := crypto.GenerateSigner()
		if err != nil {
			t.Fatal(err)
		}
		ss, vs = append(ss, s), append(vs, s.Verifier())
	}
	return ss, vs
}

func newRole(t testing.TB, threshold int, keys ...*crypto.Verifier) *Role {
	t.Helper()
	r, err := NewRole("test", threshold, keys)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func sign(t testing.TB, body string, ss ...*crypto.Signer) []byte {
	t.Helper()
	raw, err := Sign(testType, []byte(body), ss...)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

func edit(t testing.TB, raw []byte, change func(*dsse.Envelope)) []byte {
	t.Helper()
	var e dsse.Envelope
	if err := json.Unmarshal(raw, &e); err != nil {
		t.Fatal(err)
	}
	change(&e)
	out, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func TestRoleThreshold(t *testing.T) {
	s, v := newSigners(t, 4)
	const body = `{"x":1}`
	two := newRole(t, 2, v[:3]...)
	cases := []struct {
		name string
		role *Role
		raw  []byte
		want error
	}{
		{"two of three", two, sign(t, body, s[0], s[2]), nil},
		{"all three", two, sign(t, body, s[:3]...), nil},
		{"two and a stranger", two, sign(t, body, s[3], s[0], s[1]), nil},
		{"one of three", two, sign(t, body, s[0]), ErrThreshold},
		{"one and a stranger", two, sign(t, body, s[0], s[3]), ErrThreshold},
		{"one key signs twice", two, sign(t, body, s[0], s[0]), ErrThreshold},
		{"one signature under two ids", two, edit(t, sign(t, body, s[0]), func(e *dsse.Envelope) {
			other := e.Signatures[0]
			other.KeyID = v[1].KeyID().String()
			e.Signatures = append(e.Signatures, other)
		}), ErrThreshold},
		{"one signature with and without id", two, edit(t, sign(t, body, s[0]), func(e *dsse.Envelope) {
			other := e.Signatures[0]
			other.KeyID = ""
			e.Signatures = append(e.Signatures, other)
		}), ErrThreshold},
		{"no ids at all", two, edit(t, sign(t, body, s[0], s[1]), func(e *dsse.Envelope) {
			e.Signatures[0].KeyID, e.Signatures[1].KeyID = "", ""
		}), nil},
		{"no signatures", two, edit(t, sign(t, body, s[0]), func(e *dsse.Envelope) { e.Signatures = nil }), ErrFormat},
		{"empty signatures", two, edit(t, sign(t, body, s[0]), func(e *dsse.Envelope) { e.Signatures = []dsse.Signature{} }), ErrThreshold},
		{"other payload", two, edit(t, sign(t, body, s[0], s[1]), func(e *dsse.Envelope) {
			e.Payload = base64.StdEncoding.EncodeToString([]byte(`{"x":2}`))
		}), ErrThreshold},
		{"other type", two, edit(t, sign(t, body, s[0], s[1]), func(e *dsse.Envelope) { e.PayloadType = "text/plain" }), ErrType},
		{"payload not base64", two, edit(t, sign(t, body, s[0], s[1]), func(e *dsse.Envelope) { e.Payload = "!" }), ErrFormat},
		{"signature not base64", two, edit(t, sign(t, body, s[0], s[1]), func(e *dsse.Envelope) { e.Signatures[0].Sig = "!" }), ErrThreshold},
		{"too many signatures", two, edit(t, sign(t, body, s[0], s[1]), func(e *dsse.Envelope) {
			for len(e.Signatures) <= maxSignatures {
				e.Signatures = append(e.Signatures, e.Signatures[0])
			}
		}), ErrSize},
		{"too large", two, append(sign(t, body, s[0], s[1]), bytes.Repeat([]byte(" "), MaxEnvelope)...), ErrSize},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := c.role.Verify(c.raw, testType)
			if c.want == nil {
				if err != nil || string(got) != body {
					t.Fatalf("got %q, %v", got, err)
				}
				return
			}
			if !errors.Is(err, c.want) || !errors.Is(err, ErrRefused) {
				t.Errorf("got %v, want %v", err, c.want)
			}
			if got != nil {
				t.Error("a refused document's bytes are handed out")
			}
		})
	}
}

// reference adapts our keys to the library that is DSSE's reference.
type reference struct {
	signer   *crypto.Signer
	verifier *crypto.Verifier
}

func (r reference) Sign(_ context.Context, data []byte) ([]byte, error) { return r.signer.Sign(data) }
func (r reference) Verify(_ context.Context, data, sig []byte) error {
	return r.verifier.Verify(data, sig)
}
func (r reference) KeyID() (string, error)      { return r.verifier.KeyID().String(), nil }
func (r reference) Public() stdcrypto.PublicKey { return ed25519.PublicKey(r.verifier.Public()) }

func TestEnvelopesOfTheReference(t *testing.T) {
	s, v := newSigners(t, 2)
	role := newRole(t, 2, v...)
	both := []reference{{s[0], v[0]}, {s[1], v[1]}}
	theirs, err := dsse.NewEnvelopeSigner(both[0], both[1])
	if err != nil {
		t.Fatal(err)
	}
	check, err := dsse.NewMultiEnvelopeVerifier(2, both[0], both[1])
	if err != nil {
		t.Fatal(err)
	}
	for _, kind := range []string{testType, "t", "t 1 ", "größe/日本"} {
		for _, n := range []int{0, 1, 9, 10, 99, 100, 9999, 10000, MaxSize} {
			body := bytes.Repeat([]byte{' '}, n)
			env, err := theirs.SignPayload(t.Context(), kind, body)
			if err != nil {
				t.Fatal(err)
			}
			raw, err := json.Marshal(env)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := role.Verify(raw, kind); err != nil || !bytes.Equal(got, body) {
				t.Errorf("theirs, type %q, %d bytes: %v", kind, n, err)
			}
			if raw, err = Sign(kind, body, s...); err != nil {
				t.Fatal(err)
			}
			var ours dsse.Envelope
			if err := json.Unmarshal(raw, &ours); err != nil {
				t.Fatal(err)
			}
			if _, got, err := check.VerifyAndDecode(t.Context(), &ours); err != nil || !bytes.Equal(got, body) {
				t.Errorf("ours, type %q, %d bytes: %v", kind, n, err)
			}
		}
	}
}

func TestEnvelopeIsStrict(t *testing.T) {
	s, v := newSigners(t, 1)
	role := newRole(t, 1, v...)
	good := string(sign(t, `{}`, s[0]))
	if _, err := role.Verify([]byte(good), testType); err != nil {
		t.Fatal(err)
	}
	for name, bad := range map[string]string{
		"empty":               "",
		"null":                "null",
		"array":               "[]",
		"other case":          strings.Replace(good, `"payload":`, `"Payload":`, 1),
		"name twice":          strings.Replace(good, `{"payloadType"`, `{"payload":"e30=","payloadType"`, 1),
		"name twice, escaped": strings.Replace(good, `{"payloadType"`, `{"pa\u0079load":"e30=","payloadType"`, 1),
		"unknown name":        strings.Replace(good, `{"payloadType"`, `{"x":1,"payloadType"`, 1),
		"null member":         strings.Replace(good, `"payloadType":"`+testType+`"`, `"payloadType":null`, 1),
		"trailer":             good + "{}",
		"cut":                 good[:len(good)-1],
		"comment":             "/**/" + good,
	} {
		if bad == good {
			t.Fatalf("%s: the case does not differ from the good one", name)
		}
		if _, err := role.Verify([]byte(bad), testType); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: got %v, want ErrFormat", name, err)
		}
	}
}

func TestNewRoleCountsDistinctKeys(t *testing.T) {
	s, v := newSigners(t, 2)
	again, err := crypto.ParseVerifier(v[0].Public())
	if err != nil {
		t.Fatal(err)
	}
	twice := []*crypto.Verifier{v[0], again}
	if _, err := NewRole("r", 2, twice); err == nil {
		t.Error("one key given twice reaches a threshold of two")
	}
	for _, n := range []int{-1, 0, 3} {
		if _, err := NewRole("r", n, v); err == nil {
			t.Errorf("threshold %d of 2 was accepted", n)
		}
	}
	if _, err := NewRole("r", 1, nil); err == nil {
		t.Error("a role without keys was accepted")
	}
	if _, err := newRole(t, 1, twice...).Verify(sign(t, "{}", s[0]), testType); err != nil {
		t.Error(err)
	}
}

func TestSignRefuses(t *testing.T) {
	if _, err := Sign(testType, []byte("{}")); err == nil {
		t.Error("signed by nobody")
	}
	s, _ := newSigners(t, 1)
	if _, err := Sign(testType, make([]byte, MaxSize+1), s[0]); !errors.Is(err, ErrSize) {
		t.Errorf("too large: %v", err)
	}
	raw, err := Sign(testType, bytes.Repeat([]byte("x"), MaxSize), s[0])
	if err != nil {
		t.Fatal(err)
	}
	if _, err := newRole(t, 1, s[0].Verifier()).Verify(raw, testType); err != nil {
		t.Errorf("the largest document: %v", err)
	}
}

func FuzzEnvelope(f *testing.F) {
	s, v := newSigners(f, 2)
	role := newRole(f, 2, v...)
	body := `{"x":1}`
	f.Add(sign(f, body, s...))
	f.Add(sign(f, body, s[0]))
	f.Add([]byte(`{"payloadType":"","payload":"","signatures":[{"keyid":"","sig":""}]}`))
	f.Add([]byte(`{"payload":`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		got, err := role.Verify(raw, testType)
		if err == nil && string(got) != body {
			t.Fatal("a document that nobody signed is accepted")
		}
		if err != nil && !errors.Is(err, ErrRefused) {
			t.Fatalf("refused without the parent: %v", err)
		}
	})
}
