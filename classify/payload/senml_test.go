package payload

import "testing"

func TestSenML(t *testing.T) {
	d := mustParse(t, "", []byte(fromHex("82 a3 21 6464657631 22 01 01 6143 a3 00 636c6174 02 fb404a428368f08461 6162 a1 02 01")))
	for path, want := range map[string]string{"/0/-2": "bn", "/0/-3": "bt", "/0/1": "u", "/1/0": "n", "/1/2": "v", "/1/b": "b", "/1/b/2": "2", "/1": ""} {
		if got := string(d.Name(field(t, d, path))); got != want {
			t.Errorf("%s is called %q, want %q", path, got, want)
		}
	}
	for _, raw := range []string{
		"81 a2 18ff 01 00 6161",     // a label that SenML does not have
		"82 a1 00 6161 01",          // no record
		"81 a2 02 01 05 6161",       // nothing has a name
		"a2 00 6161 02 01",          // no pack
		"81 a2 6130 6161 6132 6161", // texts for keys
	} {
		d := mustParse(t, "", []byte(fromHex(raw)))
		for _, i := range payloadFields(d) {
			if string(d.Name(i)) != string(d.Key(i)) {
				t.Errorf("%s: %q is called %q", raw, d.Key(i), d.Name(i))
			}
		}
	}
	j := mustParse(t, "", []byte(`[{"0":"a","-2":"b"}]`))
	if i := field(t, j, "/0/-2"); string(j.Name(i)) != "-2" {
		t.Errorf("in JSON -2 is called %q", j.Name(i))
	}
}
