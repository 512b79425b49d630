package envelope

import (
	"bytes"
	"compress/gzip"
	"crypto/cipher"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"flag"
	"io"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"
	"github.com/sealgate/sealgate/classify/payload"
	"github.com/sealgate/sealgate/crypto"
	"golang.org/x/crypto/chacha20poly1305"
)

var update = flag.Bool("update", false, "make the test vectors anew: keys, clock and inputs are fixed, nonces and HPKE encapsulations are not")

const vectorDir = "testdata/vectors"

// hexBytes are bytes that JSON shows in hex.
type hexBytes []byte

func (h hexBytes) MarshalText() ([]byte, error) { return []byte(hex.EncodeToString(h)), nil }

func (h *hexBytes) UnmarshalText(text []byte) (err error) {
	*h, err = hex.DecodeString(string(text))
	return err
}

// A vectorSet is all that another implementation needs to test its opener.
type vectorSet struct {
	vectorKeys
	Vectors []vector
	Refused []refusal
}

type vectorKeys struct {
	About      string            `json:"about"`
	Gateway    string            `json:"gateway"`
	SigningKey vectorSigner      `json:"signing_key"`
	Topic      string            `json:"topic"` // every message was published and received on it
	Recipients []vectorRecipient `json:"recipients"`
}

type vectorSigner struct {
	Seed   hexBytes `json:"seed"`
	Public hexBytes `json:"public"`
	ID     hexBytes `json:"id"`
}

type vectorRecipient struct {
	Name    string   `json:"name"`
	KEM     uint16   `json:"kem"` // RFC 9180 §7.1
	Private hexBytes `json:"private"`
	Public  hexBytes `json:"public"`
	RID     hexBytes `json:"rid"`
}

type vector struct {
	Name    string       `json:"name"`
	Keys    []string     `json:"keys"` // names of the recipients that open it here
	Grants  []hexBytes   `json:"grants,omitempty"`
	Message hexBytes     `json:"message"`
	Steps   vectorSteps  `json:"steps"`
	Opened  vectorResult `json:"opened"`
}

// vectorSteps are the values between the message and the result.
type vectorSteps struct {
	Header     hexBytes      `json:"header"`
	DataKeys   []vectorDEK   `json:"data_keys"`
	AAD        hexBytes      `json:"aad,omitempty"`       // sealed
	IV         hexBytes      `json:"iv,omitempty"`        // sealed
	Plaintext  hexBytes      `json:"plaintext,omitempty"` // sealed
	Fields     []vectorField `json:"fields,omitempty"`    // documents
	Tags       []vectorField `json:"tags,omitempty"`      // documents
	ToBeSigned hexBytes      `json:"to_be_signed,omitempty"`
	Signature  hexBytes      `json:"signature,omitempty"`
}

type vectorDEK struct {
	KID           hexBytes `json:"kid"`
	Alg           int      `json:"alg"`
	Grant         hexBytes `json:"grant"`
	ToBeSigned    hexBytes `json:"to_be_signed"`
	CommitMessage hexBytes `json:"commit_message"`
	Commitment    hexBytes `json:"commitment"`
	HPKEInfo      hexBytes `json:"hpke_info,omitempty"` // absent for another audience
	DEK           hexBytes `json:"dek,omitempty"`
}

type vectorField struct {
	Pointer   string   `json:"pointer,omitempty"`
	Key       int      `json:"key"`
	AAD       hexBytes `json:"aad"`
	Blob      hexBytes `json:"blob"` // iv, ciphertext, tag
	Plaintext hexBytes `json:"plaintext,omitempty"`
}

type vectorResult struct {
	Payload       hexBytes        `json:"payload"`
	Topic         string          `json:"topic"`
	Protection    string          `json:"protection"`
	Origin        string          `json:"origin"`
	ContentType   string          `json:"content_type,omitempty"`
	MessageID     hexBytes        `json:"message_id"`
	IssuedAt      int64           `json:"issued_at"`
	Grade         uint8           `json:"grade"`
	PolicyVersion uint64          `json:"policy_version"`
	Boot          uint64          `json:"boot"`
	Stream        [3]uint32       `json:"stream"`
	Seq           uint64          `json:"seq"`
	Fields        map[string]bool `json:"fields,omitempty"` // pointer to whether it was opened
}

// A refusal is a message that must not open.
type refusal struct {
	Name    string         `json:"name"`
	Keys    []string       `json:"keys"`
	Reason  payload.Reason `json:"reason"`
	Message hexBytes       `json:"message"`
}

func readVectors(t testing.TB, name string, v any) {
	t.Helper()
	dec := json.NewDecoder(bytes.NewReader(must(os.ReadFile(filepath.Join(vectorDir, name)))))
	dec.DisallowUnknownFields()
	if err := dec.Decode(v); err != nil {
		t.Fatalf("read %s: %v", name, err)
	}
}

func writeVectors(t *testing.T, name string, v any) {
	t.Helper()
	b := must(json.MarshalIndent(v, "", "  "))
	if err := os.WriteFile(filepath.Join(vectorDir, name), append(b, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

func loadVectors(t testing.TB) *vectorSet {
	t.Helper()
	var s vectorSet
	readVectors(t, "keys.json", &s.vectorKeys)
	readVectors(t, "opened.json", &s.Vectors)
	readVectors(t, "refused.json", &s.Refused)
	return &s
}

func (s *vectorSet) recipient(t testing.TB, name string) *crypto.RecipientKey {
	t.Helper()
	for _, r := range s.Recipients {
		if r.Name == name {
			return must(crypto.InsecureRecipientKey(crypto.KEM(r.KEM), r.Private))
		}
	}
	t.Fatalf("no recipient %q", name)
	return nil
}

// opener opens with the given recipients, or all.
func (s *vectorSet) opener(t testing.TB, o OpenerOptions, names ...string) *Opener {
	t.Helper()
	for _, r := range s.Recipients {
		if names == nil || slices.Contains(names, r.Name) {
			o.Keys = append(o.Keys, s.recipient(t, r.Name))
		}
	}
	v := must(crypto.ParseVerifier(s.SigningKey.Public))
	o.Verifiers = func(g string) []*crypto.Verifier {
		if g == s.Gateway {
			return []*crypto.Verifier{v}
		}
		return nil
	}
	return must(NewOpener(o))
}

func (s *vectorSet) allGrants(t testing.TB) (all [][]byte) {
	t.Helper()
	for _, v := range s.Vectors {
		for _, k := range v.Steps.DataKeys {
			all = append(all, k.Grant)
		}
	}
	return all
}

func result(o Opened) vectorResult {
	h := o.Header
	r := vectorResult{
		Payload: o.Payload, Topic: o.Topic, Protection: o.Protection.String(), Origin: o.Origin.String(), ContentType: h.ContentType,
		MessageID: h.MessageID[:], IssuedAt: h.IssuedAt.Unix(), Grade: h.Grade, PolicyVersion: h.PolicyVersion, Boot: h.Boot,
		Stream: [3]uint32{h.Stream.Uplink, h.Stream.Lane, h.Stream.Shard}, Seq: h.Seq,
	}
	for _, f := range o.Fields {
		if r.Fields == nil {
			r.Fields = map[string]bool{}
		}
		r.Fields[f.Pointer] = f.Opened
	}
	return r
}

func TestVectors(t *testing.T) {
	if *update {
		makeVectors(t)
	}
	s := loadVectors(t)
	if len(s.Vectors) < 10 || len(s.Refused) < 10 {
		t.Fatalf("only %d and %d vectors", len(s.Vectors), len(s.Refused))
	}
	for _, r := range s.Recipients {
		pub := s.recipient(t, r.Name).Recipient()
		rid := sha256.Sum256(encode([]any{r.KEM, pub.Public()}))
		if !bytes.Equal(pub.Public(), r.Public) || !bytes.Equal(rid[:16], r.RID) {
			t.Errorf("recipient %s: public key or rid differs", r.Name)
		}
	}
	for _, v := range s.Vectors {
		t.Run(v.Name, func(t *testing.T) {
			if got := s.takeApart(t, &v); !reflect.DeepEqual(got, v.Steps) {
				t.Errorf("steps differ:\n got %+v\nwant %+v", got, v.Steps)
			}
			o := s.opener(t, OpenerOptions{}, v.Keys...)
			for _, g := range v.Grants {
				must(o.AddGrant(g))
			}
			got, err := o.Open(s.Topic, v.Message)
			if err != nil {
				t.Fatal(err)
			}
			if r := result(got); !reflect.DeepEqual(r, v.Opened) || !got.Verified || got.Freshness != New {
				t.Errorf("opened differs:\n got %+v\nwant %+v", r, v.Opened)
			}
			if again := reencode(&got.Header); !bytes.Equal(again, v.Steps.Header) {
				t.Errorf("header is written as %x", again)
			}
		})
	}
	for _, r := range s.Refused {
		t.Run("refused "+r.Name, func(t *testing.T) {
			_, err := s.opener(t, OpenerOptions{}, r.Keys...).Open(s.Topic, r.Message)
			wantReason(t, err, r.Reason)
		})
	}
}

func aeadFor(alg int, key []byte) cipher.AEAD {
	if alg == 24 {
		return must(chacha20poly1305.New(key))
	}
	return gcm(key)
}

// takeApart computes every step from the message alone, by the text of the
// format and without the package's own code.
func (s *vectorSet) takeApart(t *testing.T, v *vector) (st vectorSteps) {
	t.Helper()
	grants := map[string][]byte{}
	learn := func(g []byte) {
		var tag cbor.RawTag
		decodeCanonical(t, g, &tag)
		var sign1 struct {
			_           struct{} `cbor:",toarray"`
			Protected   []byte
			Unprotected map[int]any
			Payload     []byte
			Signature   []byte
		}
		decodeCanonical(t, tag.Content, &sign1)
		kid := sha256.Sum256(sign1.Payload)
		grants[string(kid[:])] = g
	}
	for _, g := range v.Grants {
		learn(g)
	}
	dekOf := func(kid []byte) vectorDEK { return s.dataKey(t, v, grants[string(kid)]) }
	var h struct {
		KID     []byte   `cbor:"4,keyasint"`
		Fields  [][]any  `cbor:"-70005,keyasint"`
		Further [][]byte `cbor:"-70006,keyasint"`
	}

	msg := []byte(v.Message)
	if msg[0] == 0x1f {
		msg = must(io.ReadAll(must(gzip.NewReader(bytes.NewReader(msg)))))
	}
	if bytes.Contains(msg, []byte("sealgate1h.")) {
		st = s.takeTokensApart(t, v, msg, learn, dekOf)
		s.checkSigned(t, &st)
		return st
	}
	var sg struct {
		SG string `json:"_sg"`
	}
	if msg[0] != 0xd0 {
		if err := json.Unmarshal(msg, &sg); err != nil {
			t.Fatal(err)
		}
	}
	if text, ok := strings.CutPrefix(sg.SG, "1s."); ok {
		msg = must(base64.RawURLEncoding.DecodeString(text))
	}
	if msg[0] == 0xd0 {
		var tag cbor.RawTag
		decodeCanonical(t, msg, &tag)
		var e oracleEncrypt0
		decodeCanonical(t, tag.Content, &e)
		if err := strictDecoder(t).Unmarshal(e.Protected, &h); err != nil {
			t.Fatal(err)
		}
		if e.Unprotected.Grant != nil {
			learn(e.Unprotected.Grant)
		}
		k := dekOf(h.KID)
		st = vectorSteps{Header: e.Protected, DataKeys: []vectorDEK{k}, IV: e.Unprotected.IV, Signature: e.Unprotected.Signature}
		st.AAD = encode([]any{"Encrypt0", e.Protected, []byte("sg1/payload")})
		st.Plaintext = must(aeadFor(k.Alg, k.DEK).Open(nil, st.IV, e.Ciphertext, st.AAD))
		if st.Signature != nil {
			sum := sha256.Sum256(encode([]any{e.Protected, st.IV, e.Ciphertext}))
			st.ToBeSigned = encode([]any{"sg1/sign", sum[:]})
		}
	} else {
		part := strings.Split(sg.SG, ".")
		raw := func(i int) []byte { return must(base64.RawURLEncoding.DecodeString(part[i])) }
		st.Header = raw(1)
		if err := strictDecoder(t).Unmarshal(st.Header, &h); err != nil {
			t.Fatal(err)
		}
		var inline [][]byte
		decodeCanonical(t, raw(2), &inline)
		for _, g := range inline {
			learn(g)
		}
		for _, kid := range append([][]byte{h.KID}, h.Further...) {
			st.DataKeys = append(st.DataKeys, dekOf(kid))
		}
		for i, f := range h.Fields {
			vf := vectorField{Pointer: f[0].(string), Key: int(f[1].(uint64)), Blob: raw(3 + i)}
			vf.AAD = encode([]any{"sg1/field", []byte(st.Header), vf.Pointer})
			if k := st.DataKeys[vf.Key]; k.DEK != nil {
				vf.Plaintext = must(aeadFor(k.Alg, k.DEK).Open(nil, vf.Blob[:12], vf.Blob[12:], vf.AAD))
			}
			st.Fields = append(st.Fields, vf)
		}
		tags := part[3+len(h.Fields)]
		sig := part[4+len(h.Fields)]
		behind := strings.Index(string(msg), "."+tags+"."+sig+`"`) + 1
		upTo := sha256.Sum256(msg[:behind])
		for i, k := range st.DataKeys {
			tag := vectorField{Key: i, Blob: must(base64.RawURLEncoding.DecodeString(tags))[28*i : 28*i+28]}
			tag.AAD = encode([]any{"sg1/doc", []byte(st.Header), upTo[:]})
			if k.DEK != nil {
				must(aeadFor(k.Alg, k.DEK).Open(nil, tag.Blob[:12], tag.Blob[12:], tag.AAD))
			}
			st.Tags = append(st.Tags, tag)
		}
		if sig != "" {
			upTo := sha256.Sum256(msg[:behind+len(tags)+1])
			st.ToBeSigned, st.Signature = encode([]any{"sg1/sign", upTo[:]}), raw(4+len(h.Fields))
		}
	}
	s.checkSigned(t, &st)
	return st
}

func (s *vectorSet) checkSigned(t *testing.T, st *vectorSteps) {
	t.Helper()
	if st.Signature != nil && !ed25519.Verify(ed25519.PublicKey(s.SigningKey.Public), st.ToBeSigned, st.Signature) {
		t.Error("signature does not verify")
	}
}

// dataKey opens a grant with the vector's recipients.
func (s *vectorSet) dataKey(t *testing.T, v *vector, raw []byte) vectorDEK {
	t.Helper()
	var sign1 struct {
		_           struct{} `cbor:",toarray"`
		Protected   []byte
		Unprotected map[int]any
		Payload     []byte
		Signature   []byte
	}
	decodeCanonical(t, raw[1:], &sign1)
	var g oracleGrant
	decodeCanonical(t, sign1.Payload, &g)
	kid := sha256.Sum256(sign1.Payload)
	k := vectorDEK{KID: kid[:], Alg: g.Alg, Grant: raw, Commitment: g.Commitment}
	k.ToBeSigned = encode([]any{"Signature1", sign1.Protected, []byte("sg1/grant"), sign1.Payload})
	k.CommitMessage = encode([]any{"sg1/commit", g.Alg})
	if !ed25519.Verify(ed25519.PublicKey(s.SigningKey.Public), k.ToBeSigned, sign1.Signature) {
		t.Error("grant's signature does not verify")
	}
	for _, w := range g.Wraps {
		for _, name := range v.Keys {
			key := s.recipient(t, name)
			if rid := key.Recipient().RID(); !bytes.Equal(rid[:], w.RID) {
				continue
			}
			k.HPKEInfo = encode([]any{"sg1/dek", s.Gateway, g.Boot, g.Alg, w.RID})
			k.DEK = must(key.Unwrap(k.HPKEInfo, w.HPKE))
			mac := hmac.New(sha256.New, k.DEK)
			mac.Write(k.CommitMessage)
			if !hmac.Equal(mac.Sum(nil), g.Commitment) {
				t.Error("commitment does not match")
			}
			return k
		}
	}
	return k
}

// makeVectors writes all vectors anew.
func makeVectors(t *testing.T) {
	t.Helper()
	fixed := func(label string) []byte {
		sum := sha256.Sum256([]byte("sealgate test vectors: " + label))
		return sum[:]
	}
	signer := must(crypto.InsecureSigner(fixed("signing key")))
	id := signer.KeyID()
	s := &vectorSet{vectorKeys: vectorKeys{
		About:      "Test vectors of docs/formats.md, for openers in any language. Bytes are in hex. The keys are for tests only.",
		Gateway:    "gw-7f3a",
		Topic:      "sites/north/gate/3",
		SigningKey: vectorSigner{Seed: fixed("signing key"), Public: signer.Verifier().Public(), ID: id[:]},
	}}
	keys := map[string]*crypto.RecipientKey{}
	for _, r := range []struct {
		name string
		kem  crypto.KEM
	}{{"x25519", crypto.KEMX25519}, {"p256", crypto.KEMP256}, {"xwing", crypto.KEMXWing}, {"recovery", crypto.KEMX25519}} {
		k := must(crypto.InsecureRecipientKey(r.kem, fixed(r.name)))
		rid := k.Recipient().RID()
		keys[r.name] = k
		s.Recipients = append(s.Recipients, vectorRecipient{r.name, uint16(r.kem), fixed(r.name), k.Recipient().Public(), rid[:]})
	}
	clock := &testClock{wall: time.Unix(1_800_000_000, 0)}
	sealer := func(alg crypto.Alg, reference bool, names ...string) *Sealer {
		var rs []Recipient
		for _, n := range names {
			rs = append(rs, Recipient{Recipient: keys[n].Recipient(), Audience: n, Recovery: n == "recovery"})
		}
		return must(NewSealer(SealerOptions{Gateway: s.Gateway, Signer: signer, Boot: 12, BundleVersion: 4, Alg: alg, Clock: clock.read, Reference: reference, Recipients: rs}))
	}
	stamp := func(seq uint64) Stamp {
		st := Stamp{Stream: Stream{Uplink: 0, Lane: 1, Shard: 3}, Seq: seq, Grade: 3, PolicyVersion: 9, Topic: s.Topic, ContentType: "application/json"}
		copy(st.MessageID[:], fixed("message")[:8])
		st.MessageID[15] = byte(seq)
		return st
	}
	text := `{"plate":"XX 123 YZ","speed":42.10,"owner":{"name":"Ada Example"}}`
	add := func(name string, msg []byte, grants [][]byte, with ...string) {
		v := vector{Name: name, Keys: with, Message: msg}
		o := s.opener(t, OpenerOptions{}, with...)
		for _, g := range grants {
			must(o.AddGrant(g))
			v.Grants = append(v.Grants, g)
		}
		v.Steps = s.takeApart(t, &v)
		v.Opened = result(must(o.Open(s.Topic, msg)))
		s.Vectors = append(s.Vectors, v)
	}
	message := func(sl *Sealer, st Stamp, msg string, enc Encoding) ([]byte, [][]byte) {
		l := must(sl.Lease(1, len(msg)+len(st.RealTopic)))
		return must(l.SealMessage(nil, st, []byte(msg), enc)), [][]byte{l.Grant()}
	}
	const gcmAlg, chaAlg = crypto.AlgAES256GCM, crypto.AlgChaCha20Poly1305
	plain := sealer(gcmAlg, false, "x25519", "recovery")
	m, _ := message(plain, stamp(1), text, EncodingCOSE)
	add("sealed", m, nil, "x25519")
	add("sealed, opened by the recovery key", m, nil, "recovery")
	m, _ = message(plain, stamp(2), text, EncodingJSON)
	add("sealed as JSON", m, nil, "x25519")
	st := stamp(3)
	st.RealTopic, st.Grade, st.ContentType = "sites/north/gate/XX 123 YZ", 4, ""
	m, _ = message(plain, st, text, EncodingCOSE)
	add("sealed with a real topic, signed", m, nil, "x25519")
	m, _ = message(sealer(chaAlg, false, "x25519"), stamp(4), text, EncodingCOSE)
	add("sealed by ChaCha20/Poly1305", m, nil, "x25519")
	m, _ = message(sealer(gcmAlg, false, "p256"), stamp(5), text, EncodingCOSE)
	add("sealed for P-256", m, nil, "p256")
	m, g := message(sealer(gcmAlg, true, "xwing"), stamp(6), text, EncodingCOSE)
	add("sealed for X-Wing, grant by reference", m, g, "xwing")
	m, _ = message(sealer(gcmAlg, false, "x25519", "p256"), stamp(7), "", EncodingCOSE)
	add("sealed, empty, for two audiences", m, nil, "p256")

	doc := "{\"plate\":null, \"speed\":42.10,\"owner\":{\"name\":null}}\n"
	fields := []FieldCipher{{Pointer: "/plate", Plaintext: []byte(`"XX 123 YZ"`)}, {Pointer: "/owner/name", Plaintext: []byte(`"Ada Example"`)}}
	document := func(sl *Sealer, st Stamp, doc string, fields []FieldCipher) []byte {
		return must(must(sl.Lease(len(fields)+1, 200)).SealFields(nil, st, []byte(doc), fields))
	}
	whole := document(plain, stamp(8), doc, fields)
	add("document", whole, nil, "x25519")
	st = stamp(9)
	st.Sign = true
	signed := document(plain, st, doc, fields)
	add("document, signed", signed, nil, "x25519")
	add("document by ChaCha20/Poly1305, a member removed", document(sealer(chaAlg, false, "x25519"), stamp(10), `{"at":{}}`,
		[]FieldCipher{{Pointer: "/at/a~1b~0", Plaintext: []byte(`[1,{"x":"` + strings.Repeat("long ", 9) + `"}]`)}}), nil, "x25519")
	first, second := sealer(gcmAlg, false, "x25519"), sealer(gcmAlg, false, "p256")
	two := []FieldCipher{fields[0], {Pointer: "/owner/name", Plaintext: fields[1].Plaintext, Key: 1}}
	both := must(must(first.Lease(2, 200)).SealFields(nil, stamp(11), []byte(doc), two, must(second.Lease(2, 200))))
	add("document for two audiences, opened by the first", both, nil, "x25519")
	add("document for two audiences, opened by the second", both, nil, "p256")
	add("document for two audiences, opened by both", both, nil, "p256", "x25519")
	ref := sealer(gcmAlg, true, "x25519")
	l := must(ref.Lease(3, 200))
	byReference := must(l.SealFields(nil, stamp(12), []byte(doc), fields))
	add("document, grant by reference", byReference, [][]byte{l.Grant()}, "x25519")

	for i, name := range slices.Sorted(maps.Keys(tokenDocs)) {
		st := stamp(uint64(13 + i))
		st.ContentType = ""
		add("tokens in "+name, sealTokens(t, tokenDocs[name], st, nil, must(plain.Lease(4, 200))), nil, "x25519")
	}
	st = stamp(40)
	st.Sign = true
	tokens := sealTokens(t, tokenCSV, st, nil, must(plain.Lease(4, 200)))
	add("tokens, signed", tokens, nil, "recovery")
	first, second = sealer(gcmAlg, false, "x25519"), sealer(gcmAlg, false, "p256")
	shared := sealTokens(t, tokenCSV, stamp(41), []int{1, 0, 1}, must(first.Lease(3, 200)), must(second.Lease(3, 200)))
	add("tokens for two audiences, opened by the first", shared, nil, "x25519")
	add("tokens for two audiences, opened by the second", shared, nil, "p256")
	st = stamp(42)
	l = must(sealer(chaAlg, true, "x25519").Lease(4, 200))
	add("tokens by ChaCha20/Poly1305, grant by reference", sealTokens(t, tokenCSV, st, nil, l), [][]byte{l.Grant()}, "x25519")
	add("document in gzip", []byte(gzipped(string(whole))), nil, "x25519")

	sealed := []byte(s.Vectors[0].Message)
	flip := func(msg []byte, at int) []byte {
		msg = slices.Clone(msg)
		msg[at] ^= 1
		return msg
	}
	part := func(i int) string { return strings.Split(string(whole), ".")[i+1] } // "42.10" has the first '.'
	swap := func(i int, with string) []byte { return rewrite(t, whole, "."+part(i)+".", "."+with+".") }
	refuse := func(name string, reason payload.Reason, msg []byte, with ...string) {
		s.Refused = append(s.Refused, refusal{name, with, reason, msg})
	}
	refuse("ciphertext changed", ReasonBadTag, flip(sealed, len(sealed)-20), "x25519")
	refuse("header changed", ReasonBadTag, flip(sealed, bytes.Index(sealed, []byte(s.Topic))), "x25519")
	refuse("byte behind the message", ReasonMalformed, append(slices.Clone(sealed), 0), "x25519")
	refuse("no recipient", ReasonNoRecipient, sealed, "p256")
	refuse("unknown key", ReasonUnknownKey, byReference, "x25519")
	refuse("in clear", ReasonDowngrade, []byte(text), "x25519")
	refuse("clear value edited", ReasonReserialized, rewrite(t, whole, "42.10", "12.10"), "x25519")
	refuse("member behind the trailer", ReasonReserialized, rewrite(t, whole, "\"}\n", "\",\"x\":1}\n"), "x25519")
	refuse("fields swapped", ReasonBadTag, rewrite(t, whole, "."+part(3)+"."+part(4)+".", "."+part(4)+"."+part(3)+"."), "x25519")
	refuse("field of another document", ReasonBadTag, swap(3, strings.Split(string(signed), ".")[4]), "x25519")
	refuse("padded base64url", ReasonMalformed, swap(5, part(5)+"="), "x25519")
	refuse("field missing", ReasonMalformed, rewrite(t, whole, part(3)+".", ""), "x25519")
	refuse("unknown version", ReasonAlgorithm, rewrite(t, whole, `"_sg":"1.`, `"_sg":"2.`), "x25519")
	refuse("signature changed", ReasonBadSignature, flip(signed, len(signed)-20), "x25519")
	refuse("trailer twice", ReasonMalformed, rewrite(t, whole, `"plate":null`, `"plate":null,"_sg":"1."`), "x25519")
	refuse("duplicate key", ReasonMalformed, rewrite(t, whole, `"speed"`, `"plate"`), "x25519")

	others := tokenOtherShape.FindAll(tokens, -1)
	refuse("tokens, clear value edited", ReasonReserialized, rewrite(t, tokens, ",5\n", ",6\n"), "x25519")
	refuse("tokens, a byte behind", ReasonReserialized, append(slices.Clone(tokens), '\n'), "x25519")
	refuse("tokens, one missing", ReasonMalformed, rewrite(t, tokens, string(others[1]), "x"), "x25519")
	refuse("tokens, one twice", ReasonBadTag, rewrite(t, tokens, string(others[1]), string(others[0])), "x25519")
	refuse("tokens, first missing", ReasonMalformed, tokens[bytes.Index(tokens, others[0]):], "x25519")
	refuse("tokens, mark alone", ReasonMalformed, append(slices.Clone(tokens), "sealgate1"...), "x25519")
	refuse("tokens, signature changed", ReasonBadSignature, flip(tokens, bytes.Index(tokens, []byte(".,"))-20), "x25519")
	refuse("tokens, no recipient", ReasonNoRecipient, tokens, "p256")
	refuse("tokens, more goes than there is", ReasonMalformed, must(must(plain.Lease(2, 50)).SealTokens(nil, stamp(43), []FieldCipher{{Pointer: "/a", Plaintext: []byte("x")}},
		func(t [][]byte) ([]byte, []TokenPlace, error) { return t[0], []TokenPlace{{Before: 1}}, nil })), "x25519")

	if err := os.MkdirAll(vectorDir, 0o755); err != nil {
		t.Fatal(err)
	}
	writeVectors(t, "keys.json", s.vectorKeys)
	writeVectors(t, "opened.json", s.Vectors)
	writeVectors(t, "refused.json", s.Refused)
}
