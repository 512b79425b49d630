package envelope

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"slices"
	"time"

	"github.com/sealgate/sealgate/crypto"
)

// Bounds of a grant.
const (
	maxGrant = 1 << 18
	maxWraps = 64
	maxWrap  = 4096 // one HPKE ciphertext; X-Wing's has 1168 bytes
)

const (
	grantVersion   = 1
	algEd25519     = -19  // RFC 9864
	tagSign1       = 0xd2 // CBOR tag 18
	tagEncrypt0    = 0xd0 // CBOR tag 16
	contextGrant   = "sg1/grant"
	contextPayload = "sg1/payload"
	contextField   = "sg1/field"
	contextDoc     = "sg1/doc"
	contextSign    = "sg1/sign"
	contextToken   = "sg1/token"
	contextTokens  = "sg1/tokens"
	contextSignAll = "sg1/tokens/sign"
)

// A grant says who may open messages under one data key.
type grant struct {
	kid        crypto.KID
	gateway    string
	signer     crypto.KeyID
	expires    time.Time // of sealing, not of opening
	issuedAt   time.Time
	alg        crypto.Alg
	boot       uint64
	bundle     uint64
	commitment []byte
	wraps      []wrap
	protected  []byte
	payload    []byte
	signature  []byte
}

// A wrap is the data key, encrypted to one recipient.
type wrap struct {
	rid  crypto.RID
	hpke []byte
}

// newGrant wraps the data key for the recipients and signs the result.
func newGrant(o *SealerOptions, dek *crypto.DEK, issuedAt, expires int64) (crypto.KID, []byte, error) {
	alg := dek.Alg()
	commitment, err := dek.Commitment(commitMessage(alg))
	if err != nil {
		return crypto.KID{}, nil, fmt.Errorf("commit to data key: %w", err)
	}
	p := appendHead(nil, majorArray, 6)
	p = appendUint(p, grantVersion)
	p = appendInt(p, int64(alg))
	p = appendUint(p, o.Boot)
	p = appendUint(p, o.BundleVersion)
	p = appendBytes(p, commitment[:])
	wraps := make([]wrap, 0, len(o.Recipients))
	for _, r := range o.Recipients {
		ct, err := dek.WrapFor(r.Recipient, wrapInfo(o.Gateway, o.Boot, alg, r.RID()))
		if err != nil {
			return crypto.KID{}, nil, fmt.Errorf("wrap data key for recipient %x: %w", r.RID(), err)
		}
		wraps = append(wraps, wrap{r.RID(), ct})
	}
	slices.SortFunc(wraps, func(a, b wrap) int { return bytes.Compare(a.rid[:], b.rid[:]) })
	p = appendHead(p, majorArray, uint64(len(wraps)))
	for _, w := range wraps {
		p = appendHead(p, majorArray, 2)
		p = appendBytes(p, w.rid[:])
		p = appendBytes(p, w.hpke)
	}

	signer := o.Signer.KeyID()
	h := appendHead(nil, majorMap, 3)
	h = append(h, labelAlg)
	h = appendInt(h, algEd25519)
	h = append(h, labelKID)
	h = appendBytes(h, signer[:])
	h = append(h, labelClaims, majorMap<<5|3, claimIssuer)
	h = appendText(h, o.Gateway)
	h = append(h, claimExpires)
	h = appendInt(h, expires)
	h = append(h, claimIssuedAt)
	h = appendInt(h, issuedAt)

	sig, err := o.Signer.Sign(grantToBeSigned(h, p))
	if err != nil {
		return crypto.KID{}, nil, fmt.Errorf("sign grant: %w", err)
	}
	g := append([]byte(nil), tagSign1, majorArray<<5|4)
	g = appendBytes(g, h)
	g = append(g, majorMap<<5)
	g = appendBytes(g, p)
	g = appendBytes(g, sig)
	return sha256.Sum256(p), g, nil
}

// commitMessage is CBOR ["sg1/commit", alg].
func commitMessage(alg crypto.Alg) []byte {
	b := appendHead(nil, majorArray, 2)
	b = appendText(b, "sg1/commit")
	return appendInt(b, int64(alg))
}

// wrapInfo is the HPKE info, CBOR ["sg1/dek", gateway, boot, alg, rid].
func wrapInfo(gateway string, boot uint64, alg crypto.Alg, rid crypto.RID) []byte {
	b := appendHead(nil, majorArray, 5)
	b = appendText(b, "sg1/dek")
	b = appendText(b, gateway)
	b = appendUint(b, boot)
	b = appendInt(b, int64(alg))
	return appendBytes(b, rid[:])
}

// grantToBeSigned is the Sig_structure of RFC 9052 §4.4.
func grantToBeSigned(protected, payload []byte) []byte {
	b := appendHead(nil, majorArray, 4)
	b = appendText(b, "Signature1")
	b = appendBytes(b, protected)
	b = appendBytes(b, []byte(contextGrant))
	return appendBytes(b, payload)
}

// parseGrant reads a grant. The result aliases b.
func parseGrant(b []byte) (*grant, bool) {
	if len(b) > maxGrant || len(b) == 0 || b[0] != tagSign1 {
		return nil, false
	}
	c := &cursor{b: b[1:]}
	c.array(4, 4)
	g := &grant{protected: c.bytes(1, maxGrant)}
	c.pairs(0, 0)
	g.payload = c.bytes(1, maxGrant)
	g.signature = c.bytes(crypto.SignatureSize, crypto.SignatureSize)
	if !c.done() || !g.parseProtected() || !g.parsePayload() {
		return nil, false
	}
	g.kid = sha256.Sum256(g.payload)
	return g, true
}

// parseProtected reads the grant's header: exactly the three labels.
func (g *grant) parseProtected() bool {
	c := &cursor{b: g.protected}
	c.pairs(3, 3)
	var outer, inner labels
	c.is(c.label(&outer) == labelAlg)
	c.is(c.int() == algEd25519)
	c.is(c.label(&outer) == labelKID)
	copy(g.signer[:], c.bytes(16, 16))
	c.is(c.label(&outer) == labelClaims)
	c.pairs(3, 3)
	c.is(c.label(&inner) == claimIssuer)
	g.gateway = c.text(1, maxName)
	c.is(c.label(&inner) == claimExpires)
	g.expires = time.Unix(int64(c.uintMax(maxSeconds)), 0).UTC()
	c.is(c.label(&inner) == claimIssuedAt)
	g.issuedAt = time.Unix(int64(c.uintMax(maxSeconds)), 0).UTC()
	return c.done()
}

func (g *grant) parsePayload() bool {
	c := &cursor{b: g.payload}
	c.array(6, 6)
	c.is(c.uint() == grantVersion)
	g.alg = crypto.Alg(c.uintMax(127))
	g.boot = c.uintMax(maxCount)
	g.bundle = c.uint()
	g.commitment = c.bytes(32, 32)
	n := c.array(1, maxWraps)
	g.wraps = make([]wrap, 0, n)
	for i := range n {
		c.array(2, 2)
		w := wrap{rid: crypto.RID(c.fixed16())}
		w.hpke = c.bytes(1, maxWrap)
		c.is(i == 0 || bytes.Compare(g.wraps[i-1].rid[:], w.rid[:]) < 0)
		if c.bad {
			return false
		}
		g.wraps = append(g.wraps, w)
	}
	return c.done()
}

func (c *cursor) fixed16() (out [16]byte) {
	copy(out[:], c.bytes(16, 16))
	return out
}

// unwrap returns the data key of the grant if one of keys is a recipient. It
// returns nil and no error if none is.
func (g *grant) unwrap(keys map[crypto.RID]*crypto.RecipientKey) (*crypto.DEK, error) {
	for _, w := range g.wraps {
		key := keys[w.rid]
		if key == nil {
			continue
		}
		raw, err := key.Unwrap(wrapInfo(g.gateway, g.boot, g.alg, w.rid), w.hpke)
		if err != nil {
			return nil, refuse(ReasonGrant, "grant")
		}
		dek, err := crypto.OpenDEK(g.alg, raw)
		clear(raw)
		if err != nil || !dek.Committed(commitMessage(g.alg), g.commitment) {
			return nil, refuse(ReasonGrant, "grant")
		}
		return dek, nil
	}
	return nil, nil
}
