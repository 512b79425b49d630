package e2e

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"io"
	"io/fs"
	"maps"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fxamacker/cbor/v2"
)

// secrets are values that must appear nowhere in what a gateway says or writes:
// by the key under which a device sends them, one or more for each kind of class.
// All are made up.
var secrets = map[string]string{
	"driver_name": "Quirina Zwölfknecht", "email": "q.zwoelfknecht.77@example.org", "phone": "+49 1512 7743199",
	"address": "Unter den Eulen 413a, 99999 Musterhausen", "ssn": "078-05-1184", "passport": "C01X00T47", "driving_licence": "N0774RZT9913",
	"plate": "QX-ZW 7731", "vin": "WQZZZZ77Z7Z773199", "serial": "SN-7Q31-99ZW-KK04", "mac": "7a:31:99:5c:0e:d7", "ip": "198.51.100.177",
	"position": "48.1371547731,11.5761249917", "diagnosis": "zerebrale Quirinose Grad 7", "heart_rate": "177.313199", "face_id": "face-q7z31x99w04k",
	"embedding": "0.77319917,0.31990477,0.99047731", "fingerprint": "Rk1SACAyMAAAAQZW7Q31", "card": "4000 0077 3199 0410", "iban": "DE02773199047731990477",
	"account": "7731990477", "wallet": "bc1qzw77q31x99k04v5mhd8rt2yj6e0s3naluf9gc", "religion": "quirinisch-zwölftig",
	"password": Secret + "-hunter77", "token": "gh" + "p_Q7z31X99w04K5mHd8Rt2Yj6E0s3NaLuF9gcB", "private_key": "-----BEGIN " + "PRIVATE KEY-----Q7z31X99w04K5mHd8Rt2Yj6E0s3-----END",
	"prompt": "tell me what Quirina bought on the 31st", "who_is_home": "only-child-quirin-after-1545", "recipe": "KD-773199-Zw-geheim",
}

// forms are the shapes in which a text may stand in a file or an answer.
func forms(s string) map[string]string {
	out := map[string]string{
		"plain": s, "hex": hex.EncodeToString([]byte(s)), "HEX": strings.ToUpper(hex.EncodeToString([]byte(s))),
		"query": url.QueryEscape(s), "path": url.PathEscape(s), "quoted": strings.Trim(strconv.QuoteToASCII(s), `"`), "HTML": html.EscapeString(s),
		"UTF-16": string(bytes.Join(bytes.Split([]byte(s), nil), []byte{0})), "bytes": strings.Trim(fmt.Sprint([]byte(s)), "[]"),
	}
	// In base64 a text has one of three shapes, by what stands before it. The
	// characters at both ends depend on what is beside it.
	for _, enc := range []struct {
		name string
		*base64.Encoding
	}{{"base64", base64.RawStdEncoding}, {"base64url", base64.RawURLEncoding}} {
		for before := range 3 {
			e := enc.EncodeToString(append(make([]byte, before), s...))
			from := []int{0, 2, 3}[before]
			to := len(e) - []int{0, 1, 1}[(before+len(s))%3]
			out[fmt.Sprintf("%s%d", enc.name, before)] = e[from:to]
		}
	}
	return out
}

// leaks finds the secrets in what a gateway said or wrote.
func leaks(where string, said []byte) (found []string) {
	for name, s := range secrets {
		for form, f := range forms(s) {
			if bytes.Contains(said, []byte(f)) {
				found = append(found, fmt.Sprintf("%s holds %s, %s", where, name, form))
			}
		}
	}
	return found
}

// TestLeakSearch: what the search for leaks is to find it finds, in every form
// and at every place in a text.
func TestLeakSearch(t *testing.T) {
	for name, s := range secrets {
		for form, f := range forms(s) {
			if len(f) < 7 {
				t.Errorf("%s as %s is too short to mean anything: %q", name, form, f)
			}
		}
		for before := range 4 {
			text := strings.Repeat("x", before) + s + "tail"
			for _, said := range []string{
				text, hex.EncodeToString([]byte(text)), url.QueryEscape(text), url.PathEscape(text), strconv.QuoteToASCII(text), fmt.Sprint([]byte(text)),
				base64.StdEncoding.EncodeToString([]byte(text)), base64.URLEncoding.EncodeToString([]byte(text)), html.EscapeString(text), fmt.Sprintf("%X", text),
			} {
				if found := leaks("text", []byte(said)); !strings.Contains(strings.Join(found, "\n"), "holds "+name+",") {
					t.Errorf("%s is not found in %q", name, said)
				}
			}
		}
	}
	if found := leaks("text", []byte(`{"temperature":21.5,"plate":"none"}`)); len(found) > 0 {
		t.Errorf("found where there is nothing: %v", found)
	}
}

// payloads are one secret in every format that a device may choose, and in
// documents that are broken.
func payloads(t *testing.T, key, value string) map[string][]byte {
	t.Helper()
	doc := map[string]any{key: value, "n": 1}
	j, err := json.Marshal(doc)
	check(t, err)
	c, err := cbor.Marshal(doc)
	check(t, err)
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, err = z.Write(j)
	check(t, err)
	check(t, z.Close())
	msgpack := append([]byte{0x81, 0xa0 | byte(len(key))}, key...)
	msgpack = append(append(msgpack, 0xd9, byte(len(value))), value...)
	return map[string][]byte{
		"json": j, "jsonl": []byte(string(j) + "\n" + string(j) + "\n"), "cbor": c, "msgpack": msgpack, "gzip": packed.Bytes(),
		"xml": []byte("<m><" + key + ">" + html.EscapeString(value) + "</" + key + "></m>"), "csv": []byte("n," + key + "\n1,\"" + value + "\"\n"),
		"line": []byte("m " + key + "=\"" + value + "\" 1"), "logfmt": []byte("n=1 " + key + "=\"" + value + "\""), "form": []byte(key + "=" + url.QueryEscape(value) + "&n=1"),
		"text": []byte(key + ": " + value), "nested": []byte(`{"body":"` + base64.StdEncoding.EncodeToString(j) + `"}`), "key": []byte(`{"` + value + `":1}`),
		"broken": j[:len(j)-2], "twice": []byte(`{"` + key + `":1,"` + key + `":"` + value + `"}`), "raw": []byte("\xff\xfe" + value + "\x00"),
	}
}

// badBroker answers each connection of an uplink in another wrong way, each of
// which tells the secrets.
func badBroker(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	t.Cleanup(func() { _ = ln.Close() })
	all := strings.Join(slices.Collect(maps.Values(secrets)), " ")
	reason := append([]byte{0x1f}, str(nil, all[:min(len(all), 400)])...)
	props := func(p []byte) []byte { return append(binaryLength(len(p)), p...) }
	connack := func(code byte) []byte { return frame(tCONNACK<<4, append([]byte{0, code}, props(reason)...)) }
	answers := [][]byte{
		connack(0x87), connack(0x88), []byte(all), append(connack(0), frame(tDISCONNECT<<4, append([]byte{0x8b}, props(reason)...))...),
		append(connack(0), frame(tPUBLISH<<4, append(str(nil, all[:200]), all...))...), frame(tCONNACK<<4, []byte(all)),
		append(connack(0), frame(tPUBACK<<4, append([]byte{0, 1, 0x97}, props(reason)...))...),
	}
	go func() {
		for n := 0; ; n++ {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			_, _ = c.Read(make([]byte, 1<<10)) // its CONNECT, most likely
			_, _ = c.Write(answers[n%len(answers)])
			_ = c.SetReadDeadline(time.Now().Add(200 * time.Millisecond))
			_, _ = io.Copy(io.Discard, c)
			_ = c.Close()
		}
	}()
	return ln.Addr().String()
}

// binaryLength is a length as MQTT writes it.
func binaryLength(n int) []byte {
	return frame(0, make([]byte, n))[1 : len(frame(0, make([]byte, n)))-n]
}

// TestNothingLeaks feeds values of every class through every way into a gateway,
// in every format and in places where they don't belong, breaks what can break,
// and then looks for them in all that the gateway says and writes.
func TestNothingLeaks(t *testing.T) {
	Need(t, "mosquitto")
	cloud := StartMosquitto(t)
	site := NewSite(t, cloud.Addr)
	mountDisk(t, site.State(), 120<<20)
	site.Spool = "{size: 96MiB, volatile: true}"
	site.Topics = `[{pattern: "#", remote_prefix: "{site}/{gateway}/"}, {pattern: "#", direction: in, remote_prefix: "down/", local_prefix: "cloud/"}]`
	site.Uplink = "takes: {payload: 4096}"
	site.More = "log: {level: debug}\ncontrol: {uplink: cloud}\n"
	site.Policy = "schema: sealgate/policy/v1\nversion: 1\nprofile: eu\nroutes: [{name: canary, topics: ['#']}]\n"
	path := site.Config(t)
	raw, err := os.ReadFile(path)
	check(t, err)
	raw = bytes.Replace(raw, []byte("uplinks:\n"), []byte("uplinks:\n  canary:\n    url: \"mqtt://"+badBroker(t)+"\"\n    protocol: \"5\"\n"), 1)
	check(t, os.WriteFile(path, bytes.Replace(raw, []byte("gateway: gw-1"), []byte("gateway: canary"), 1), 0o600))
	logFile := filepath.Join(site.Dir, "log")
	gateway := Start(t, "sh", "-c", `exec "$0" run --config "$1" >"$2" 2>&1`, Sealgate(t), path, logFile)
	t.Cleanup(func() {
		if t.Failed() {
			log, _ := os.ReadFile(logFile)
			t.Logf("%d bytes of log, the first:\n%.3000s", len(log), log)
		}
	})
	site.Ready(t, gateway)

	feed(t, site.Addr)
	down(t, cloud.Addr)
	refuse(t, site, gateway, logFile)
	full(t, site, logFile)

	said := map[string][]byte{}
	for _, p := range []string{"/", "/metrics", "/api/v1/status", "/-/ready", "/" + url.PathEscape(secrets["email"])} {
		resp, err := http.Get("http://" + site.Metrics + p)
		check(t, err)
		said["GET "+p[:min(len(p), 11)]], err = io.ReadAll(resp.Body)
		check(t, err)
		_ = resp.Body.Close()
	}
	for _, args := range []string{"status", "status --json", "doctor --offline", "check", "quarantine list", "keys show"} {
		f := strings.Fields(args)
		out, _ := exec.Command(Sealgate(t), append(f, "--config", path)...).CombinedOutput() // doctor may well fail here
		said["sealgate "+args] = out
	}
	mapped(t, gateway.PID(), said)
	check(t, gateway.Stop(30*time.Second))
	said["log"], err = os.ReadFile(logFile)
	check(t, err)
	files := filesOf(t, site.State())
	if len(files) < 5 || len(said["log"]) < 1000 {
		t.Fatalf("only %d files and a log of %d bytes: nothing ran", len(files), len(said["log"]))
	}

	// Control: what names a person gave is found wherever it is to be, so the
	// places are really searched.
	for _, where := range []string{"GET /", "GET /metrics", "GET /api/v1/sta", "sealgate status", "sealgate status --json", "log"} {
		if !bytes.Contains(said[where], []byte("canary")) {
			t.Errorf("%s does not even show the uplink's name:\n%.400s", where, said[where])
		}
	}
	for _, event := range []string{"reload-refused", "uplink-ended", "quarantine-refused", "remote-refused", "broker-panic", "broker-state-write"} {
		if !bytes.Contains(said["log"], []byte("event="+event)) {
			t.Errorf("the log has no %s: that way was not gone", event)
		}
	}
	planted := filepath.Join(site.State(), "spool", "planted")
	check(t, os.WriteFile(planted, []byte("\x00\x01"+base64.StdEncoding.EncodeToString([]byte("x"+secrets["card"]))), 0o600))
	if found := leaks("planted", filesOf(t, site.State())[planted]); len(found) == 0 {
		t.Error("a planted secret is not found on the disk")
	}

	maps.Copy(said, files)
	for where, what := range said {
		for _, found := range leaks(where, what) {
			t.Error(found)
		}
	}
}

// feed is what devices do.
func feed(t *testing.T, addr string) {
	t.Helper()
	id := uint16(0)
	device, err := Dial(addr, ClientOptions{ID: "leak"})
	check(t, err)
	defer device.Close()
	for key, value := range secrets {
		for format, payload := range payloads(t, key, value) {
			for _, retain := range []bool{false, true} {
				id++
				check(t, device.Publish(Message{Topic: "leak/" + format, Payload: payload, QoS: 1, Retain: retain}, id))
			}
		}
		// In topics, client ids and wills.
		level := strings.NewReplacer("/", "_", "+", "_", "#", "_").Replace(value)
		id++
		check(t, device.Publish(Message{Topic: "leak/" + level + "/x", Payload: []byte(value), QoS: 1, Retain: true}, id))
		dying, err := Dial(addr, ClientOptions{ID: value, Session: true, Will: &Message{Topic: "will/" + level, Payload: []byte(`{"` + key + `":"` + value + `"}`), QoS: 1, Retain: true}})
		check(t, err)
		check(t, dying.Subscribe("leak/"+level+"/#"))
		_ = dying.Close() // without a DISCONNECT

		// In user names, passwords and properties of MQTT 5, and in packets that are
		// no good.
		user := append(str(nil, "MQTT"), 5, 0xc2, 0, 0, 0)
		user = str(str(str(user, "c-"+key), value), value)
		pair := append([]byte{0x26}, str(str(nil, key), value)...)
		props := append(append(append([]byte{0x08}, str(nil, "reply/"+level)...), append([]byte{0x09}, str(nil, value)...)...), pair...)
		five := append(str(nil, "leak/five"), 0, 9)
		five = append(append(append(five, binaryLength(len(props))...), props...), `{"n":1}`...)
		anonymous := frame(tCONNECT<<4, append(append(str(nil, "MQTT"), 5, 2, 0, 0, 0), str(nil, "five-"+key)...))
		for _, packets := range [][]byte{
			frame(tCONNECT<<4, user),
			append(slices.Clone(anonymous), frame(tPUBLISH<<4|2, five)...),
			append(slices.Clone(anonymous), frame(tPUBLISH<<4, append(str(nil, "a/#"+value), value...))...),
			append(slices.Clone(anonymous), frame(tSUBSCRIBE<<4|2, append([]byte{0, 1, 0}, str(nil, "x/#/"+value)...))...),
			[]byte(value),
		} {
			c, err := net.Dial("tcp", addr)
			check(t, err)
			_, _ = c.Write(packets)
			_ = c.SetReadDeadline(time.Now().Add(20 * time.Millisecond))
			_, _ = io.Copy(io.Discard, c)
			_ = c.Close()
		}
	}
	// More than the uplink takes: quarantine.
	check(t, device.Publish(Message{Topic: "leak/long", Payload: []byte(`{"password":"` + secrets["password"] + `","a":"` + strings.Repeat("long ", 1000) + `"}`), QoS: 1}, 1))
}

// down is what the cloud's broker sends: to devices, and as forged documents and
// commands of the site's operators.
func down(t *testing.T, addr string) {
	t.Helper()
	c, err := Dial(addr, ClientOptions{ID: "cloud-app"})
	check(t, err)
	defer c.Close()
	id := uint16(0)
	for key, value := range secrets {
		doc, err := json.Marshal(map[string]any{"payloadType": value, "payload": base64.StdEncoding.EncodeToString([]byte(value)), "signatures": []any{map[string]string{"keyid": value, "sig": value}}, key: value})
		check(t, err)
		for _, m := range []Message{
			{Topic: "down/" + strings.NewReplacer("/", "_", "+", "_", "#", "_").Replace(value), Payload: []byte(value)},
			{Topic: "sg/v1/plant/cfg/g/default", Payload: doc}, {Topic: "sg/v1/plant/cfg/d/canary", Payload: []byte(value)}, {Topic: "sg/v1/plant/cmd/all", Payload: doc},
			{Topic: "sg/v1/plant/cmd/canary", Payload: []byte(value)}, {Topic: "sg/v1/plant/recipients", Payload: doc}, {Topic: "sg/v1/plant/now", Payload: doc},
			{Topic: "sg/v1/plant/root/" + strings.NewReplacer("/", "_", "+", "_", "#", "_").Replace(value), Payload: doc},
		} {
			id++
			m.QoS = 1
			check(t, c.Publish(m, id))
		}
	}
}

// refuse reloads policies and recipients that are no good and hold secrets.
func refuse(t *testing.T, site *Site, gateway *Process, logFile string) {
	t.Helper()
	policy, bundle := filepath.Join(site.Dir, "policy.yaml"), filepath.Join(site.Dir, "recipients.bundle")
	good, err := os.ReadFile(bundle)
	check(t, err)
	// Each holds all of them, as the log passes on only so many of a kind.
	var detectors, fields, tests, words, keys []string
	for key, value := range secrets {
		q := strconv.Quote(value)
		detectors = append(detectors, fmt.Sprintf("  - {name: %s, class: industrial.sensitive, pattern: '[', match: [%s], no_match: [%s], verifier: %s}", key, q, q, q))
		fields = append(fields, fmt.Sprintf("  - {topic: %s, path: %s, grade: %s, class: %s}", q, q, q, q))
		tests = append(tests, fmt.Sprintf("  - {name: %s, topic: %s, payload: %s, expect: {grade: L1, outcome: %s}}", q, q, q, q))
		words, keys = append(words, value), append(keys, q+": "+q)
	}
	for _, bad := range []string{
		site.Policy + "detectors:\n" + strings.Join(detectors, "\n"), site.Policy + "fields:\n" + strings.Join(fields, "\n"),
		site.Policy + "tests:\n" + strings.Join(tests, "\n"), site.Policy + strings.Join(keys, "\n"), strings.Join(words, "\n\t: ["),
	} {
		check(t, os.WriteFile(policy, []byte(bad), 0o600))
		before, err := os.ReadFile(logFile)
		check(t, err)
		check(t, gateway.Reload())
		Until(t, "a policy is refused", 20*time.Second, func() bool {
			now, err := os.ReadFile(logFile)
			return err == nil && bytes.Contains(now[len(before):], []byte("event=reload-refused"))
		})
	}
	check(t, os.WriteFile(bundle, []byte(secrets["email"]), 0o600))
	check(t, gateway.Reload())
	Until(t, "the refusal is an alarm", 20*time.Second, func() bool {
		resp, err := http.Get("http://" + site.Metrics + "/api/v1/status")
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		return err == nil && bytes.Contains(body, []byte("reload-refused"))
	})
	check(t, os.WriteFile(bundle, good, 0o600))
	check(t, os.WriteFile(policy, []byte(site.Policy), 0o600))
}

// full fills the disk, so that nothing can be written any more.
func full(t *testing.T, site *Site, logFile string) {
	t.Helper()
	filler := filepath.Join(site.State(), "filler")
	f, err := os.Create(filler)
	check(t, err)
	for block := make([]byte, 1<<16); err == nil; _, err = f.Write(block) {
	}
	_ = f.Close()
	device, err := Dial(site.Addr, ClientOptions{ID: "late"})
	check(t, err)
	defer device.Close()
	for n := range 40 {
		for _, value := range secrets {
			_ = device.Queue(Message{Topic: "late/" + strconv.Itoa(n), Payload: []byte(strings.Repeat(value, 40)), QoS: 1, Retain: true}, uint16(n)+1, false)
		}
	}
	_ = device.Flush()
	Until(t, "the broker can't write its state", 30*time.Second, func() bool {
		log, err := os.ReadFile(logFile)
		return err == nil && bytes.Contains(log, []byte("event=broker-state-write"))
	})
	check(t, os.Remove(filler))
}

// mapped adds every file that the process has mapped and may write.
func mapped(t *testing.T, pid int, said map[string][]byte) {
	t.Helper()
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/maps", pid))
	check(t, err)
	for line := range strings.Lines(string(raw)) {
		f := strings.Fields(line)
		if len(f) < 6 || !strings.HasPrefix(f[5], "/") || !strings.Contains(f[1], "w") || !strings.Contains(f[1], "s") {
			continue // the program itself, or memory of its own
		}
		content, err := os.ReadFile(f[5])
		check(t, err)
		said["mapped "+f[5]] = content
	}
}

func filesOf(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	check(t, filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		// Names as well as bytes.
		raw, err := os.ReadFile(path)
		files[path] = append(raw, "\n"+path...)
		return err
	}))
	return files
}
