package envelope

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"

	"github.com/sealgate/sealgate/classify/payload"
	"github.com/sealgate/sealgate/crypto"
)

// FuzzOpen: whatever arrives, there is a result or a Reason, and what is opened
// without having been sealed is only what is in clear.
func FuzzOpen(f *testing.F) {
	set := loadVectors(f)
	for _, v := range set.Vectors {
		f.Add([]byte(v.Message))
	}
	for _, v := range set.Refused {
		f.Add([]byte(v.Message))
	}
	known := map[string]bool{}
	for _, v := range set.Vectors {
		known[insideOf(v.Message)] = true
	}
	strict := set.opener(f, OpenerOptions{Mode: Archive})
	lenient := set.opener(f, OpenerOptions{Mode: Archive, AllowReserialized: true, Require: func(string) Requirement { return Requirement{AllowClear: true} }})
	f.Fuzz(func(t *testing.T, msg []byte) {
		got, err := strict.Open(set.Topic, msg)
		switch {
		case err != nil && ReasonOf(err) == "":
			t.Errorf("error without a reason: %v", err)
		case err == nil && !known[strings.TrimRight(insideOf(msg), jsonSpace)] && !known[insideOf(msg)] && !sameButSpace(known, []byte(insideOf(msg))):
			t.Errorf("opened a message nobody sealed: %q", msg)
		case err == nil && !got.Verified:
			t.Error("a strict opener returned something unverified")
		}
		got, err = lenient.Open(set.Topic, msg)
		object := !strings.Contains(insideOf(msg), payload.TokenMark)
		if err == nil && object && got.Protection == ProtectionFields && payload.CheckStrictJSON([]byte(insideOf(got.Payload))) != payload.ReasonNone {
			t.Errorf("restored document is not JSON: %s", got.Payload)
		}
		if err == nil && got.Protection == ProtectionNone && !bytes.Equal(got.Payload, msg) {
			t.Error("a message in clear was changed")
		}
	})
}

// insideOf is what is packed, or the message.
func insideOf(msg []byte) string {
	var d payload.Document
	if inside, why := d.Unpack(msg, payload.Limits{}); why == payload.ReasonNone {
		return string(inside)
	}
	return string(msg)
}

// sameButSpace reports whether msg is a sealed message in JSON form, or a
// document, that was only spaced where the format does not care.
func sameButSpace(known map[string]bool, msg []byte) bool {
	var compact bytes.Buffer
	if json.Compact(&compact, msg) != nil {
		return false
	}
	for k := range known {
		var other bytes.Buffer
		if json.Compact(&other, []byte(k)) == nil && bytes.Equal(other.Bytes(), compact.Bytes()) {
			return true
		}
	}
	return false
}

// FuzzGrant: what the parser takes is deterministic CBOR by another library's
// judgement, and every part is found in it.
func FuzzGrant(f *testing.F) {
	set := loadVectors(f)
	for _, g := range set.allGrants(f) {
		f.Add(g)
	}
	opener := set.opener(f, OpenerOptions{Mode: Archive})
	f.Fuzz(func(t *testing.T, b []byte) {
		g, ok := parseGrant(b)
		if ok && (!canonical(b) || !canonical(g.protected) || !canonical(g.payload)) {
			t.Errorf("grant is not deterministic: %x", b)
		}
		if ok && (len(g.gateway) == 0 || len(g.wraps) == 0 || len(g.signature) != crypto.SignatureSize) {
			t.Errorf("grant without its parts: %x", b)
		}
		if kid, err := opener.AddGrant(b); err == nil && (!ok || kid != g.kid) || err != nil && ReasonOf(err) == "" {
			t.Errorf("admitted %v, %v", kid, err)
		}
	})
}

// FuzzHeader: what the parser takes is deterministic CBOR, and says the same
// when the Sealer writes it.
func FuzzHeader(f *testing.F) {
	for _, v := range loadVectors(f).Vectors {
		f.Add([]byte(v.Steps.Header), v.Opened.Protection == "fields")
	}
	f.Add(encode(validHeader()), false)
	f.Fuzz(func(t *testing.T, b []byte, document bool) {
		h, ok := parseHeader(b, document)
		if !ok {
			return
		}
		if !canonical(b) {
			t.Fatalf("header is not deterministic: %x", b)
		}
		again := reencode(&h)
		h2, ok := parseHeader(again, document)
		if !ok || !bytes.Equal(reencode(&h2), again) || len(again) > len(b) || len(again) == len(b) && !bytes.Equal(again, b) {
			t.Fatalf("header %x is written as %x", b, again)
		}
	})
}

// reencode writes a header that was read.
func reencode(h *Header) []byte {
	leases := make([]*Lease, len(h.KIDs))
	for i, kid := range h.KIDs {
		leases[i] = &Lease{sealer: &Sealer{gateway: h.Gateway, boot: h.Boot}, key: &sealingKey{alg: h.Alg, kid: kid}, issuedAt: h.IssuedAt.Unix()}
	}
	fields := make([]FieldCipher, len(h.Fields))
	for i, f := range h.Fields {
		fields[i] = FieldCipher{Pointer: f.Pointer, Key: f.Key}
	}
	st := Stamp{Stream: h.Stream, Seq: h.Seq, MessageID: h.MessageID, Grade: h.Grade, PolicyVersion: h.PolicyVersion, Topic: h.Topic, ContentType: h.ContentType}
	return appendHeader(nil, &st, leases, fields)
}

// FuzzState: a state is restored whole or not at all, and is then the same.
func FuzzState(f *testing.F) {
	p := newParties(f)
	o := p.live(f)
	f.Add(o.State())
	for seq := range uint64(3) {
		if _, err := o.replay.check(&Header{Gateway: "gw-1", Boot: 1 + seq/2, Seq: seq}, []byte("m")); err != nil {
			f.Fatal(err)
		}
	}
	f.Add(o.State())
	f.Fuzz(func(t *testing.T, b []byte) {
		o := p.live(t)
		if o.RestoreState(b) == nil && !bytes.Equal(o.State(), b) && len(b) < 16*o.options.Window {
			t.Errorf("restored %x, have %x", b, o.State())
		}
	})
}

// FuzzEdited: a sealed message of which any stretch is replaced by anything is
// refused, but for white space where the format does not care.
func FuzzEdited(f *testing.F) {
	set := loadVectors(f)
	strict := set.opener(f, OpenerOptions{Mode: Archive})
	known := map[string]bool{}
	for i, v := range set.Vectors {
		known[insideOf(v.Message)] = true
		f.Add(i, 0, 1, []byte{0x20})
		f.Add(i, len(v.Message)-1, 1, []byte{})
		f.Add(i, len(v.Message), 0, []byte(" "))
		f.Add(i, len(v.Message)/2, 2, []byte("AA"))
	}
	f.Fuzz(func(t *testing.T, which, at, drop int, insert []byte) {
		msg := []byte(set.Vectors[uint(which)%uint(len(set.Vectors))].Message)
		from := int(uint(at) % uint(len(msg)+1))
		to := from + int(uint(drop)%uint(len(msg)-from+1))
		edited := append(append(append([]byte{}, msg[:from]...), insert...), msg[to:]...)
		if _, err := strict.Open(set.Topic, edited); err == nil && !known[insideOf(edited)] && !sameButSpace(known, []byte(insideOf(edited))) {
			t.Errorf("bytes %d to %d of message %d replaced by %q: opened", from, to, which, insert)
		}
	})
}
