package spool

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/sealgate/sealgate/crypto"
)

func records() []Record {
	return []Record{
		{Kind: KindData},
		{Kind: KindData, ID: [16]byte{1, 2}, Grade: 4, QoS: 2, Retain: true, KIDs: []crypto.KID{{1}, {2}}, Topic: "a/b",
			ContentType: "application/json", Props: []Prop{{"k", "v"}, {"", ""}}, Payload: []byte("{}")},
		{Kind: KindGrant, KIDs: []crypto.KID{{9}}, QoS: 1, Payload: bytes.Repeat([]byte{7}, 400)},
		{Kind: KindFence, Topic: strings.Repeat("x", maxString-1)},
		{Kind: KindData, Reason: "refused_by_broker", Payload: make([]byte, 1<<16)},
		{Kind: kindDiscard, Payload: make([]byte, 8)},
		{Kind: KindData, Topic: "a", MaxAge: 90 * time.Minute},
	}
}

func TestRecordRoundTrip(t *testing.T) {
	for i, r := range records() {
		if err := r.check(); err != nil {
			t.Fatalf("record %d: %v", i, err)
		}
		b := appendRecord(nil, &r)
		if len(b) != r.encodedSize() {
			t.Errorf("record %d: %d bytes, encodedSize says %d", i, len(b), r.encodedSize())
		}
		got, err := decodeRecord(b)
		if err != nil || !reflect.DeepEqual(got, r) {
			t.Errorf("record %d: got %+v, %v", i, got, err)
		}
	}
}

func TestRecordsThatCannotBeStored(t *testing.T) {
	for name, r := range map[string]Record{
		"no kind":          {},
		"unknown kind":     {Kind: 4},
		"qos 3":            {Kind: KindData, QoS: 3},
		"many keys":        {Kind: KindData, KIDs: make([]crypto.KID, maxKIDs+1)},
		"grant sans key":   {Kind: KindGrant},
		"long topic":       {Kind: KindData, Topic: strings.Repeat("x", maxString)},
		"long type":        {Kind: KindData, ContentType: strings.Repeat("x", maxString)},
		"long property":    {Kind: KindData, Props: []Prop{{"k", strings.Repeat("x", maxString)}}},
		"many properties":  {Kind: KindData, Props: make([]Prop, maxProps+1)},
		"long reason":      {Kind: KindData, Reason: strings.Repeat("x", maxReason+1)},
		"negative age":     {Kind: KindData, MaxAge: -time.Second},
		"age of 1 µs":      {Kind: KindData, MaxAge: time.Microsecond},
		"grant, two keys":  {Kind: KindGrant, KIDs: make([]crypto.KID, 2)},
		"discard and more": {Kind: kindDiscard + 1},
	} {
		if err := r.check(); !errors.Is(err, ErrRecord) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func FuzzDecodeRecord(f *testing.F) {
	for _, r := range records() {
		if b := appendRecord(nil, &r); len(b) < 4096 {
			f.Add(b)
		}
	}
	f.Add([]byte{codecVersion, byte(KindData), 0x7f, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x80, 0})
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := decodeRecord(b)
		if err != nil {
			if !errors.Is(err, ErrRecord) {
				t.Fatalf("untyped error %v", err)
			}
			return
		}
		if again := appendRecord(nil, &r); !bytes.Equal(again, b) {
			t.Fatalf("two encodings of one record:\n%x\n%x", b, again)
		}
	})
}

func FuzzSplitPlain(f *testing.F) {
	r := records()[1]
	f.Add(appendPlain(nil, 3, 1<<41, &r))
	f.Add([]byte{0x80, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		undurable, stored, rec, err := splitPlain(b)
		if err != nil {
			return
		}
		if n := uvarintSize(undurable) + uvarintSize(stored); n+len(rec) != len(b) {
			t.Fatalf("%d + %d bytes of %d", n, len(rec), len(b))
		}
	})
}
