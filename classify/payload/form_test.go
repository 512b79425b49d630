package payload

import "testing"

var formSamples = []string{
	"id=7&plate=B%2D12+x&note=", "a%2Fb=1&c=%C3%BC&d=x", "email=mara%40example.org", "a=&b=&c=",
}

func TestForm(t *testing.T) {
	d := mustParse(t, "", []byte("id=7&plate=B%2D12+x&%C3%A9=&t=10:30"))
	if got := render(d); d.FormatName() != "form" || got != `={} /id="7" /plate="B-12 x" /é="" /t="10:30"` {
		t.Errorf("read as %s, %s", d.FormatName(), got)
	}
	if at := d.Locate(field(t, d, "/plate"), 1, 3); string(d.Raw[at.Start:at.End]) != "%2D1" {
		t.Errorf("located %q", d.Raw[at.Start:at.End])
	}
	for _, raw := range []string{
		"a=b", "abc=", "aGVsbG8=&", "=1&b=2", "a=1&b", "a=1&&b=2", "a=1&b=2\n", "a=1 & b=2", "a=1&b=%4", "a=1&b=%zz", "a=1&b=%ff", "a=1&b=%C3x",
		"x=1&y=a=b", "Q&A", "rock&roll=fun, they said",
	} {
		if d := mustParse(t, "", []byte(raw)); d.FormatName() != "text" {
			t.Errorf("%q: read as %s", raw, d.FormatName())
		}
	}
	var r Document
	if why := Parse(&r, "", []byte("a=1&%61=2"), Limits{}); why != ReasonDuplicate {
		t.Errorf("equal keys: %q", why)
	}
	if why := Parse(&r, "", []byte("a=1&b=2"), Limits{Fields: 2}); why != ReasonTooMany {
		t.Errorf("too many fields: %q", why)
	}
}

func TestFormAppend(t *testing.T) {
	tests := []struct {
		raw     string
		changes []change
		want    string // "" is an error
	}{
		{"a=1&b=x%40y&c=2", []change{{"/b", "0:1", "é &="}}, "a=1&b=%C3%A9+%26%3D%40y&c=2"},
		{"a=1&b=%7e&c=2", []change{{"/a", "remove", ""}}, "b=%7e&c=2"},
		{"a=1&b=2&c=3", []change{{"/b", "remove", ""}, {"/c", "text", ""}}, "a=1&c="},
		{"a=1&b=2&c=3", []change{{"/c", "remove", ""}, {"/a", "text", "0"}}, "a=0&b=2"},
		{"a=1&b=2", []change{{"/a", "remove", ""}}, ""},
		{"a=1&b=2", []change{{"/a", "text", "\xff"}}, ""},
		{"a=1&b=2", []change{{"/a", "number", "2"}}, ""},
	}
	for _, tt := range tests {
		d := mustParse(t, "", []byte(tt.raw))
		out, err := d.Append(nil, edits(t, d, tt.changes))
		if (err != nil) != (tt.want == "") || string(out) != tt.want {
			t.Errorf("%s with %v: %q, %v, want %q", tt.raw, tt.changes, out, err, tt.want)
		}
	}
}
