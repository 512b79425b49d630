package signed

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/sealgate/sealgate/crypto"
)

func newWill() *Will {
	return &Will{Site: "plant", Gateway: "gw-1", Uplink: "cloud", Boot: 3, Connection: 2, ConnectingAt: "2026-06-01T00:00:00Z", PolicyVersion: 7}
}

func TestWill(t *testing.T) {
	key, other := testSigner(t), testSigner(t)
	raw, err := SignWill(newWill(), key)
	if err != nil {
		t.Fatal(err)
	}
	if len(raw) > 1024 {
		t.Errorf("a will takes %d bytes", len(raw))
	}
	w, err := OpenWill(raw, "plant", "gw-1", "cloud", key.Verifier())
	if err != nil {
		t.Fatal(err)
	}
	want := *newWill()
	want.Schema = willSchema
	if *w != want {
		t.Errorf("%+v came back as %+v", want, *w)
	}
	for _, x := range []struct {
		name                  string
		site, gateway, uplink string
		key                   *crypto.Signer
		want                  error
	}{
		{"another key", "plant", "gw-1", "cloud", other, ErrThreshold},
		{"another site", "works", "gw-1", "cloud", key, ErrTarget},
		{"another gateway", "plant", "gw-2", "cloud", key, ErrTarget},
		{"another uplink", "plant", "gw-1", "city", key, ErrTarget},
	} {
		if _, err := OpenWill(raw, x.site, x.gateway, x.uplink, x.key.Verifier()); !errors.Is(err, x.want) {
			t.Errorf("%s: %v, want %v", x.name, err, x.want)
		}
	}

	// A status is no will, and the other way round.
	status, err := Sign(StatusType, []byte(`{}`), key)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenWill(status, "plant", "gw-1", "cloud", key.Verifier()); !errors.Is(err, ErrType) {
		t.Errorf("a status opened as a will: %v", err)
	}
	if _, err := OpenStatus(raw, "plant", "gw-1", key.Verifier()); !errors.Is(err, ErrType) {
		t.Errorf("a will opened as a status: %v", err)
	}

	for name, edit := range map[string]func(*Will){
		"boot 0":               func(w *Will) { w.Boot = 0 },
		"connection 0":         func(w *Will) { w.Connection = 0 },
		"a topic as uplink":    func(w *Will) { w.Uplink = "a/b" },
		"a site in capitals":   func(w *Will) { w.Site = "Plant" },
		"no gateway":           func(w *Will) { w.Gateway = "" },
		"a time in local time": func(w *Will) { w.ConnectingAt = "2026-06-01T02:00:00+02:00" },
	} {
		w := newWill()
		edit(w)
		if _, err := SignWill(w, key); !errors.Is(err, ErrContent) {
			t.Errorf("%s: %v, want %v", name, err, ErrContent)
		}
	}
}

func testSigner(t *testing.T) *crypto.Signer {
	t.Helper()
	k, err := crypto.GenerateSigner()
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// FuzzParseWill: whatever was signed is refused with a reason, or names one
// connection of one uplink and is written again as it was read.
func FuzzParseWill(f *testing.F) {
	w := newWill()
	w.Schema = willSchema
	good, err := json.Marshal(w)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add(good[:len(good)/2])
	f.Add([]byte(strings.Replace(string(good), `"connection":2`, `"connection":-1`, 1)))
	f.Add([]byte(strings.Replace(string(good), `"uplink":"cloud"`, `"uplink":"cloud","uplink":"city"`, 1)))
	f.Add([]byte(strings.Replace(string(good), `"boot":3`, `"boot":18446744073709551615`, 1)))
	f.Add([]byte(`{"schema":"sealgate-will/v1"}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, body []byte) {
		w, err := parseWill(body)
		if err != nil {
			if !errors.Is(err, ErrRefused) || w != nil {
				t.Fatalf("refused badly: %v", err)
			}
			return
		}
		if w.Boot == 0 || w.Connection == 0 || strings.ContainsAny(w.Gateway+w.Uplink, "/+#") {
			t.Fatalf("accepted: %+v", w)
		}
		again, err := json.Marshal(w)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := parseWill(again); err != nil || *back != *w {
			t.Fatalf("%+v came back as %+v, %v", w, back, err)
		}
	})
}
