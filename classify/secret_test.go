package classify

import (
	"math/rand"
	"strings"
	"testing"
)

// Every rule finds a token that is minted as it says, of the shortest and of the
// longest length, and nothing that is too short, too long, masked, or inside a
// longer word.
func TestTokenRules(t *testing.T) {
	rnd := rand.New(rand.NewSource(4))
	mint := func(r *tokenRule, n int) string {
		var set []byte
		for b := range 128 {
			if charsets[b]&r.set&csAlnum != 0 {
				set = append(set, byte(b))
			}
		}
		b := make([]byte, n)
		for i := range b {
			b[i] = set[rnd.Intn(len(set))]
		}
		return string(b)
	}
	structured := map[string]string{
		"api-": "01234f67-89ab-4def-8123-45c789abcdef", "sdk-": "01234f67-89ab-4def-8123-45c789abcdef",
		"tskey-": "auth-kQ7x2mP9v1CN-TRL4bN8sWd2Qe5ZyUo3J", "A3-": "B7K2Q9-H4M8TZXW5RC-J2L6N-P8D3V-Q5S9T",
		"sk-ant-": "api03-" + strings.Repeat("k7Qz_W2m", 11) + "v7mQpAA",
		"sntrys_": "eyJ" + strings.Repeat("k7Qz", 14) + "_" + strings.Repeat("W2m", 14) + "x",
		"oaa":     "kQ7x2mP9v1CNTR.v1." + strings.Repeat("k7Qz", 20),
		"pat":     "kQ7x2mP9v1CNTR." + strings.Repeat("0f1e2d3c", 8), "dapi": "0f1e2d3c4b5a69788796a5b4c3d2e1f0",
	}
	for i := range tokenRules {
		r := &tokenRules[i]
		if len(r.prefix) < 3 || r.min < 8 || r.max != 0 && r.max < r.min || r.max > maxTokenBody {
			t.Errorf("rule %s: bad bounds", r.prefix)
		}
		bodies := []string{structured[r.prefix]}
		if bodies[0] == "" {
			limit := r.max
			if limit == 0 {
				limit = maxTokenBody
			}
			bodies = []string{mint(r, min(limit, r.min+r.min/4)), mint(r, limit)}
		}
		for _, body := range bodies {
			// Chance mints no digit now and then: then another body.
			for n := 0; n < 500 && structured[r.prefix] == "" && r.check != nil && r.check([]byte(body)) == checkNo; n++ {
				body = mint(r, len(body))
			}
			text := []byte("> " + r.prefix + body + " <")
			m, ok := r.match(text, 2)
			if !ok || m.start != 2 || m.end != len(text)-2 {
				t.Errorf("rule %s: %q: found %v %+v", r.prefix, body, ok, m)
			}
		}
		for _, bad := range []string{r.prefix, r.prefix + mint(r, r.min-1), r.prefix + strings.Repeat("x", r.min), r.prefix + mint(r, maxTokenBody+1)} {
			if m, ok := r.match([]byte(bad+" "), 0); ok {
				t.Errorf("rule %s: %q: found %+v", r.prefix, bad, m)
			}
		}
	}
}

func TestGithubChecksum(t *testing.T) {
	for body, want := range map[string]int{
		strings.Repeat("a", 30) + "2W1xDd": checkMaybe,
		strings.Repeat("0", 36):            checkMaybe,
	} {
		if got := githubChecksum([]byte(body)); got != want {
			t.Errorf("%s: %d", body, got)
		}
	}
}

func TestRandomText(t *testing.T) {
	for text, want := range map[string]bool{
		"q8z4hd0v7m2kx1rt": true, "0f3c9a7be1d24586": true, "kQpXvTzLmWcRbNyGhJdS": true,
		"NEXUS-GPT4-API-KEY": false, "SalesResults-1.2": false, "aaaaaaaaaaaaaaa1": false,
		"0123456789abcdef": false, "kitchen-lamp-2024": false, "abcdefgh": false, "12345678901": false,
		"getAccessTokenForUser": false,
	} {
		if random([]byte(text)) != want {
			t.Errorf("%s: want %v", text, want)
		}
	}
}

// What devices send all day holds no credential.
func TestTelemetryHoldsNoSecret(t *testing.T) {
	f := newFinder(t, Options{})
	for _, raw := range []string{
		benchMessage,
		`{"devEUI":"70b3d57ed0041a2b","data":"AQIDBAUGBwgJCgsMDQ4PEBESExQVFhcYGRobHB0eHyA=","fCnt":1712,"rxInfo":[{"gatewayID":"0016c001f153a14c"}]}`,
		`{"fw":{"sha256":"9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08","git":"d7da9862f0c3a4b1e5d6c7b8a9f0e1d2c3b4a596","etag":"33a64df551425fcc55e4d42a148795d9"}}`,
		`{"id":"7d0c9d3e-61b4-4d52-9a55-0d4f1f0f9b2e","key":"kitchen-lamp-1f","keyId":"k-20240501","topic":"zigbee2mqtt/0x00158d0001a2b3c4"}`,
		`I (1234) wifi: connected with ap-hall4, bssid = a4:cf:12:77:80:01, rssi -61; heap 182344; task 0x3ffb5e1c`,
		`{"publicKey":"MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=","tokenCount":1718,"passCount":44}`,
		`{"url":"https://cdn.test/fw/esp32-2.14.3-1f2e3d4c5b6a.bin?v=20240501T101112Z","serial":"SN-4F7A-99K2-11XQ"}`,
	} {
		r := f.find("plant/hall4/gw7/up", raw, Context{})
		for _, x := range r.Findings {
			if strings.HasPrefix(x.Class.String(), "credential.") {
				t.Errorf("%s: %s by %s", raw, x.Class, f.c.DetectorName(x.Detector))
			}
		}
	}
}

func FuzzSecrets(f *testing.F) {
	for _, s := range []string{"token = 'a1b2c3d4e5f6a7b8'", "x://u:p@h", "Basic dTpw", "-----BEGIN PRIVATE KEY-----", "sig=", "curl -u a:b", "eyJh.e.", "~Q8Q~", "pat.oaa", "machine a password "} {
		f.Add([]byte(s), 0, len(s))
	}
	ds := secretDetectors()
	dict := newDictionary()
	f.Fuzz(func(t *testing.T, text []byte, from, to int) {
		if from < 0 || to > len(text) || from >= to {
			return
		}
		for i := range ds {
			d := &ds[i]
			if d.on&onLiteral != 0 {
				ok := false
				for _, l := range d.literals {
					ok = ok || strings.HasPrefix(string(text[from:]), l)
				}
				if !ok {
					continue
				}
			}
			if d.on&onURL != 0 && !strings.Contains(string(text[from:to]), "://") {
				continue
			}
			c := &candidate{text: text, raw: text, start: from, end: to, nearFrom: -1, dict: dict, names: &names{dict: dict}}
			if m, ok := d.find(c); ok && (m.start < 0 || m.start >= m.end || m.end > len(text)) {
				t.Fatalf("%s: match %+v in %d bytes", d.name, m, len(text))
			}
		}
	})
}
