package e2e

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A silence is what `sealctl fleet status --json` says of one.
type silence struct {
	Silent bool
	Since  time.Time `json:"silent_since"`
	Wills  []struct {
		Uplink           string
		Boot, Connection uint64
	}
	Ignored struct{ Unsigned, Old uint64 }
}

// silence is the gateway's row, and how the command ended: nil, or exit code 3.
func (o *operator) silence(url string) (s silence, err error) {
	o.t.Helper()
	out, prose, err := o.try("fleet", "status", "--broker", url, "--json", "--wait", "500ms")
	var rows []silence
	if json.Unmarshal([]byte(out), &rows) != nil || len(rows) != 1 {
		o.t.Fatalf("sealctl fleet status: %v\n%s%s", err, out, prose)
	}
	return rows[0], err
}

// TestWill: a gateway is killed, and the broker publishes the will that it signed
// beforehand; the desk sees the silence, which ends when the gateway is back. A
// forged will and a replayed one change nothing, and a clean end publishes none.
func TestWill(t *testing.T) {
	t.Parallel()
	Need(t, "mosquitto", "mosquitto_pub")
	for name, uplink := range map[string]string{"lean 3.1.1": "", "lean 5": `protocol: "5"`, "paho 3.1.1": "client: paho"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cloud := StartMosquitto(t)
			url := "mqtt://" + cloud.Addr
			o := &operator{t, t.TempDir()}
			o.do("keys", "init", "--site", "plant", "--audience", "ops")
			site := NewSite(t, cloud.Addr)
			site.Uplink = uplink
			o.enrol(site)
			const topic = "sg/v1/plant/will/gw-1/cloud"
			recorder := Record(t, cloud.Addr, topic)
			wills := func() (got []Packet) {
				for _, p := range recorder.On(topic) {
					if len(p.Payload) > 0 {
						got = append(got, p)
					}
				}
				return got
			}
			gateway := site.Start(t)
			o.until("it lives", url, func(r fleetRow) bool { return r.Status.Boot == 1 })
			if n := len(wills()); n != 0 {
				t.Fatalf("%d wills of a living gateway", n)
			}

			gateway.Kill()
			Until(t, "the will arrives", 10*time.Second, func() bool { return len(wills()) == 1 })
			row, err := o.silence(url)
			if err == nil || !row.Silent || len(row.Wills) != 1 || row.Wills[0].Uplink != "cloud" || row.Wills[0].Boot != 1 || row.Ignored.Unsigned != 0 {
				t.Fatalf("after kill -9: %+v, exit %v", row, err)
			}
			if d := time.Since(row.Since); d < 0 || d > time.Minute {
				t.Errorf("silent since %s", row.Since)
			}
			if out, _, _ := o.try("fleet", "status", "--broker", url, "--wait", "500ms"); !strings.Contains(out, "silent") || !strings.Contains(out, "until "+row.Since.Format(time.RFC3339)) {
				t.Errorf("the table says: %s", out)
			}

			// Back: it takes its will away, and its status says that it is another
			// connection.
			gateway = site.Start(t)
			o.until("it lives again", url, func(r fleetRow) bool { return r.Status.Boot == 2 })
			Until(t, "the will is removed", 10*time.Second, func() bool {
				got := recorder.On(topic)
				return len(got[len(got)-1].Payload) == 0
			})

			// The broker puts the old one back, and then one that nobody signed.
			put := func(raw []byte) {
				file := filepath.Join(o.desk, "will.json")
				check(t, os.WriteFile(file, raw, 0o600))
				pub(t, cloud.Addr, "-t", topic, "-f", file, "-q", "1", "-r")
			}
			old := wills()[0].Payload
			put(old)
			if row, err := o.silence(url); err != nil || row.Silent || row.Ignored.Old != 1 {
				t.Errorf("a replayed will: %+v, exit %v", row, err)
			}
			put(forge(t, old))
			if row, err := o.silence(url); err != nil || row.Silent || row.Ignored.Unsigned != 1 {
				t.Errorf("a forged will: %+v, exit %v", row, err)
			}

			before := len(wills())
			check(t, gateway.Stop(15*time.Second))
			pub(t, cloud.Addr, "-t", topic, "-n", "-q", "1", "-r") // behind whatever the end published
			Until(t, "the broker has gone on", 10*time.Second, func() bool {
				got := recorder.On(topic)
				return len(got[len(got)-1].Payload) == 0
			})
			if n := len(wills()); n != before {
				t.Errorf("a clean end published a will")
			}
		})
	}
}

// TestWillNotPermitted: a broker whose rules permit the data and not the will
// gets the data. (This one ends each connection that publishes what is not
// permitted, right behind its PUBACK: mosquitto 2.0 without a limit of messages
// queued.)
func TestWillNotPermitted(t *testing.T) {
	t.Parallel()
	Need(t, "mosquitto", "mosquitto_pub")
	rules := filepath.Join(t.TempDir(), "acl")
	check(t, os.WriteFile(rules, []byte("topic readwrite plant/#\n"), 0o600))
	cloud := StartMosquitto(t, "acl_file "+rules, "user root") // who can't read the directory otherwise; nothing where the test is not root's
	site := NewSite(t, cloud.Addr)
	site.Uplink = "will: on"
	site.Start(t)
	recorder := Record(t, cloud.Addr, "plant/#")
	pub(t, site.Addr, "-t", "line/1", "-m", `{"temperature":21.5}`, "-q", "1")
	arrived(t, recorder, Prefix+"line/1", 1)
}

// forge lets a will speak of a later start, under the old signature.
func forge(t *testing.T, raw []byte) []byte {
	t.Helper()
	var envelope map[string]any
	check(t, json.Unmarshal(raw, &envelope))
	body, err := base64.StdEncoding.DecodeString(envelope["payload"].(string))
	check(t, err)
	later := strings.Replace(string(body), `"boot":1`, `"boot":9`, 1)
	if later == string(body) {
		t.Fatalf("no boot in %s", body)
	}
	envelope["payload"] = base64.StdEncoding.EncodeToString([]byte(later))
	forged, err := json.Marshal(envelope)
	check(t, err)
	return forged
}
