package envelope

import (
	"bytes"
	"crypto/sha256"
	"slices"
	"testing"

	"github.com/sealgate/sealgate/classify/payload"
	"github.com/sealgate/sealgate/crypto"
)

// A forge makes grants that no Sealer would make, properly signed.
type forge struct {
	header  map[int]any
	payload []any
	signer  *crypto.Signer
	changed func(grant []byte) []byte
}

// forged seals a message under the sealer's current data key, with a grant of
// our making.
func (p parties) forged(t *testing.T, change func(*forge), lease func(*Lease)) []byte {
	t.Helper()
	l := must(p.sealer.Lease(1, 1))
	g, ok := parseGrant(l.Grant())
	if !ok {
		t.Fatal("a sealer's grant does not parse")
	}
	id := p.signer.KeyID()
	f := &forge{
		header: map[int]any{1: -19, 4: id[:], 15: map[int]any{1: g.gateway, 4: g.expires.Unix(), 6: g.issuedAt.Unix()}},
		payload: []any{1, int(g.alg), g.boot, g.bundle, g.commitment, []any{
			[]any{g.wraps[0].rid[:], g.wraps[0].hpke},
		}},
		signer: p.signer,
	}
	change(f)
	h, body := encode(f.header), encode(f.payload)
	sig := must(f.signer.Sign(encode([]any{"Signature1", h, []byte("sg1/grant"), body})))
	raw := append([]byte{0xd2}, encode([]any{h, map[int]any{}, body, sig})...)
	if f.changed != nil {
		raw = f.changed(raw)
	}
	key := *l.key
	key.kid, key.grant = sha256.Sum256(body), raw
	sealer := &Sealer{gateway: l.sealer.gateway, boot: l.sealer.boot, options: l.sealer.options}
	sealer.scratch.New = l.sealer.scratch.New
	forgedLease := &Lease{sealer: sealer, key: &key, invocations: 1, bytes: 1, issuedAt: l.issuedAt}
	if lease != nil {
		lease(forgedLease)
	}
	return must(forgedLease.SealMessage(nil, testStamp(), []byte("m"), EncodingCOSE))
}

// expiry is the exp of the grant that a forged lease carries.
func expiry(l *Lease) int64 {
	g, _ := parseGrant(l.key.grant)
	return g.expires.Unix()
}

func TestGrantIsChecked(t *testing.T) {
	p := newParties(t)
	stranger := must(crypto.GenerateSigner())
	none := func(*forge) {}
	set := func(i int, v any) func(*forge) { return func(f *forge) { f.payload[i] = v } }
	wrapOf := func(f *forge) []any { return f.payload[5].([]any)[0].([]any) }
	claims := func(f *forge) map[int]any { return f.header[15].(map[int]any) }
	rewrap := func(gateway string, boot uint64, alg crypto.Alg) func(*forge) {
		return func(f *forge) {
			r := p.key.Recipient()
			wrapOf(f)[1] = must(p.sealer.key.dek.WrapFor(r, wrapInfo(gateway, boot, alg, r.RID())))
		}
	}
	for _, tt := range []struct {
		name   string
		change func(*forge)
		lease  func(*Lease)
		want   payload.Reason // "": opens
	}{
		{"as it is", none, nil, ""},
		{"wrapped again", rewrap("gw-1", 7, crypto.AlgAES256GCM), nil, ""},
		{"sealed at exp", none, func(l *Lease) { l.issuedAt = expiry(l) }, ""},
		{"sealed after exp", none, func(l *Lease) { l.issuedAt = expiry(l) + 1 }, ReasonExpired},
		{"header of another boot", none, func(l *Lease) { l.sealer.boot++ }, ReasonGrant},
		{"header of another gateway", none, func(l *Lease) { l.sealer.gateway = "gw-2" }, ReasonGrant},
		{"header of another algorithm", none, func(l *Lease) { l.key.alg = crypto.AlgChaCha20Poly1305 }, ReasonGrant},
		{"grant of another boot", set(2, 8), nil, ReasonGrant},
		{"grant of another algorithm", set(1, 24), nil, ReasonGrant},
		{"grant of another gateway", func(f *forge) { claims(f)[1] = "gw-2" }, nil, ReasonOrigin},
		{"another commitment", set(4, make([]byte, 32)), nil, ReasonGrant},
		{"wrapped for another gateway", rewrap("gw-2", 7, crypto.AlgAES256GCM), nil, ReasonGrant},
		{"wrapped for another boot", rewrap("gw-1", 8, crypto.AlgAES256GCM), nil, ReasonGrant},
		{"wrapped for another algorithm", rewrap("gw-1", 7, crypto.AlgChaCha20Poly1305), nil, ReasonGrant},
		{"another data key", func(f *forge) {
			r := p.key.Recipient()
			wrapOf(f)[1] = must(must(crypto.NewDEK(crypto.AlgAES256GCM)).WrapFor(r, wrapInfo("gw-1", 7, crypto.AlgAES256GCM, r.RID())))
		}, nil, ReasonGrant},
		{"data key too short", func(f *forge) {
			r := p.key.Recipient()
			wrapOf(f)[1] = must(r.Wrap(wrapInfo("gw-1", 7, crypto.AlgAES256GCM, r.RID()), make([]byte, 16)))
		}, nil, ReasonGrant},
		{"for another recipient", func(f *forge) { wrapOf(f)[0] = make([]byte, 16) }, nil, ReasonNoRecipient},
		{"signed by a stranger", func(f *forge) { f.signer = stranger }, nil, ReasonBadSignature},
		{"signed by a stranger who says so", func(f *forge) {
			id := stranger.KeyID()
			f.signer, f.header[4] = stranger, id[:]
		}, nil, ReasonOrigin},
		{"no recipients", set(5, []any{}), nil, ReasonMalformed},
		{"recipient twice", func(f *forge) { f.payload[5] = []any{wrapOf(f), wrapOf(f)} }, nil, ReasonMalformed},
		{"recipients not in order", func(f *forge) {
			f.payload[5] = []any{[]any{bytes.Repeat([]byte{0xff}, 16), []byte{1}}, wrapOf(f)}
		}, nil, ReasonMalformed},
		{"later version", set(0, 2), nil, ReasonMalformed},
		{"unknown algorithm", set(1, 1), nil, ReasonAlgorithm},
		{"short commitment", set(4, make([]byte, 31)), nil, ReasonMalformed},
		{"a part more", func(f *forge) { f.payload = append(f.payload, 1) }, nil, ReasonMalformed},
		{"another signature algorithm", func(f *forge) { f.header[1] = -8 }, nil, ReasonMalformed},
		{"critical header", func(f *forge) { f.header[2] = []any{99} }, nil, ReasonMalformed},
		{"no exp", func(f *forge) { delete(claims(f), 4) }, nil, ReasonMalformed},
		{"unprotected header", func(f *forge) {
			f.changed = func(g []byte) []byte { return bytes.Replace(g, []byte{0xa0}, []byte{0xa1, 4, 0x41, 1}, 1) }
		}, nil, ReasonMalformed},
		{"without its tag", func(f *forge) { f.changed = func(g []byte) []byte { return g[1:] } }, nil, ReasonMalformed},
		{"cut", func(f *forge) { f.changed = func(g []byte) []byte { return g[:len(g)-1] } }, nil, ReasonMalformed},
		{"of another key", func(f *forge) {
			f.changed = func([]byte) []byte {
				p.sealer.Rotate()
				return must(p.sealer.Lease(1, 0)).Grant()
			}
		}, nil, ReasonUnknownKey},
	} {
		t.Run(tt.name, func(t *testing.T) {
			msg := p.forged(t, tt.change, tt.lease)
			for _, warm := range []bool{false, true} {
				o := p.archive(t)
				if warm {
					must(o.AddGrant(must(p.sealer.Lease(1, 0)).Grant()))
				}
				got, err := o.Open("site/gate/3", msg)
				if tt.want != "" {
					wantReason(t, err, tt.want)
				} else if err != nil || string(got.Payload) != "m" {
					t.Errorf("%q, %v", got.Payload, err)
				}
			}
		})
	}
}

// TestGrantSignedAgain: the same key with a longer exp has the same kid; each
// message is held to the grant it came with.
func TestGrantSignedAgain(t *testing.T) {
	p := newParties(t)
	o := p.archive(t)
	normal := must(p.sealer.Lease(1, 0))
	late := func(l *Lease) { l.issuedAt = expiry(normal) + 5 }
	longer := func(f *forge) {
		c := f.header[15].(map[int]any)
		c[4] = c[4].(int64) + 10
	}
	same := func(*forge) {}
	for _, step := range []struct {
		change func(*forge)
		lease  func(*Lease)
		want   payload.Reason
	}{{same, nil, ""}, {same, late, ReasonExpired}, {longer, late, ""}, {same, late, ReasonExpired}, {same, nil, ""}} {
		_, err := o.Open("site/gate/3", p.forged(t, step.change, step.lease))
		if step.want == "" && err != nil {
			t.Error(err)
		} else if step.want != "" {
			wantReason(t, err, step.want)
		}
	}
	if len(o.grants) != 1 {
		t.Errorf("%d grants are cached", len(o.grants))
	}
}

func TestAddGrant(t *testing.T) {
	p := newParties(t)
	l := must(p.sealer.Lease(1, 0))
	raw := slices.Clone(l.Grant())
	o := p.archive(t)
	if kid, err := o.AddGrant(raw); err != nil || kid != l.KID() {
		t.Errorf("%v, %v", kid, err)
	}
	clear(raw) // the opener keeps its own copy
	if _, err := o.Open("site/gate/3", must(l.SealMessage(nil, testStamp(), nil, EncodingCOSE))); err != nil {
		t.Error(err)
	}
	_, err := o.AddGrant(raw)
	wantReason(t, err, ReasonMalformed)
	other := must(NewOpener(OpenerOptions{Keys: []*crypto.RecipientKey{must(crypto.GenerateRecipientKey(crypto.KEMX25519))}, Mode: Archive, Verifiers: p.registry}))
	if kid, err := other.AddGrant(l.Grant()); err != nil || kid != l.KID() {
		t.Errorf("a grant for others: %v, %v", kid, err)
	}
}
