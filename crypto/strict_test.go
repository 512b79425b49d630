package crypto

import (
	"reflect"
	"strings"
	"testing"
)

type strictBase struct {
	ID string `json:"id"`
}

type strictDoc struct {
	strictBase
	Name  string        `json:"name"`
	Count uint32        `json:"count"`
	Bytes []byte        `json:"bytes"`
	List  []strictInner `json:"list,omitempty"`
	Inner *strictInner  `json:"inner,omitempty"`
	Plain string
}

type strictInner struct {
	X string `json:"x"`
}

func TestUnmarshalStrict(t *testing.T) {
	var got strictDoc
	good := ` {"id":"b","name":"a","count":3,"bytes":"AQI=","list":[{"x":"1"},{}],"inner":{"x":"y"}} `
	if err := UnmarshalStrict([]byte(good), &got); err != nil {
		t.Fatal(err)
	}
	want := strictDoc{strictBase: strictBase{"b"}, Name: "a", Count: 3, Bytes: []byte{1, 2}, List: []strictInner{{"1"}, {}}, Inner: &strictInner{"y"}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v", got)
	}
	for name, bad := range map[string]string{
		"empty":              ``,
		"scalar for struct":  `"x"`,
		"null":               `null`,
		"null member":        `{"name":null}`,
		"other case":         `{"Name":"a"}`,
		"untagged field":     `{"Plain":"a"}`,
		"empty name":         `{"":"a"}`,
		"unknown":            `{"nam":"a"}`,
		"twice":              `{"name":"a","name":"b"}`,
		"twice, escaped":     `{"name":"a","n\u0061me":"b"}`,
		"twice, embedded":    `{"id":"a","id":"b"}`,
		"embedded by name":   `{"strictBase":{"id":"a"}}`,
		"twice inside":       `{"inner":{"x":"a","x":"b"}}`,
		"unknown in list":    `{"list":[{"y":"a"}]}`,
		"object for string":  `{"name":{}}`,
		"array for object":   `{"inner":[]}`,
		"object for array":   `{"list":{}}`,
		"bytes as numbers":   `{"bytes":[1,2]}`,
		"bytes not base64":   `{"bytes":"?"}`,
		"number for string":  `{"name":1}`,
		"negative":           `{"count":-1}`,
		"too large":          `{"count":4294967296}`,
		"fraction":           `{"count":1.5}`,
		"trailer":            `{} {}`,
		"trailing comma":     `{"name":"a",}`,
		"cut":                `{"name":"a"`,
		"lone surrogate":     `{"name":"\ud800"}`,
		"not utf-8":          "{\"name\":\"\xff\"}",
		"deep":               strings.Repeat("[", 10000),
		"comment":            `{/**/}`,
		"secret in an error": `{"count":"hunter2"}`,
	} {
		var v strictDoc
		err := UnmarshalStrict([]byte(bad), &v)
		if err == nil {
			t.Errorf("%s: accepted", name)
			continue
		}
		if strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: the error quotes the input: %v", name, err)
		}
	}
}

func FuzzUnmarshalStrict(f *testing.F) {
	f.Add([]byte(`{"name":"a","count":3,"list":[{"x":"1"}]}`))
	f.Add([]byte(`{"name":"a","NAME":"b"}`))
	f.Add([]byte(`{"inner":{"x":"\ud800\u0000"}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		var a, b strictDoc
		if UnmarshalStrict(raw, &a) != nil {
			return
		}
		if err := UnmarshalStrict(raw, &b); err != nil || !reflect.DeepEqual(a, b) {
			t.Fatal("one document, two readings")
		}
		if a.Plain != "" {
			t.Fatal("a field without a name was set")
		}
	})
}
