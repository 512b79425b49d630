package e2e

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	"github.com/sealgate/sealgate/crypto/envelope"
)

// TestHostilePackets sends what no client should. The gateway ends that
// connection and goes on; so do good clients.
func TestHostilePackets(t *testing.T) {
	t.Parallel()
	Need(t, "mosquitto")
	cloud := StartMosquitto(t)
	recorder := Record(t, cloud.Addr, "#")
	site := NewSite(t, cloud.Addr)
	gateway := site.Start(t)
	good, err := Dial(site.Addr, ClientOptions{ID: "good"})
	check(t, err)
	defer good.Close()

	connect4 := frame(tCONNECT<<4, append(str(nil, "MQTT"), 4, 2, 0, 0, 0, 1, 'x'))
	connect5 := frame(tCONNECT<<4, append(str(nil, "MQTT"), 5, 2, 0, 0, 0, 0, 1, 'x'))
	join := func(parts ...[]byte) []byte { return bytes.Join(parts, nil) }
	huge := append([]byte{tPUBLISH << 4}, binary.AppendUvarint(nil, 200<<20)...)
	packets := map[string][]byte{
		"nothing MQTT":                    []byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n"),
		"a broken CONNECT":                frame(tCONNECT<<4, []byte{0, 4, 'M', 'Q'}),
		"a protocol of another version":   frame(tCONNECT<<4, append(str(nil, "MQTT"), 9, 2, 0, 0, 0, 0)),
		"PUBLISH before CONNECT":          publish(Message{Topic: "early", Payload: []byte(Secret)}, 0, false),
		"a length of 200 MB at once":      huge,
		"a length of 200 MB":              join(connect4, huge, bytes.Repeat([]byte{'x'}, 1<<16)),
		"a length without end":            join(connect4, []byte{tPUBLISH << 4, 0xff, 0xff, 0xff, 0xff, 0xff}),
		"a topic longer than its packet":  join(connect4, frame(tPUBLISH<<4, []byte{0xff, 0xff, 'a'})),
		"a topic with a wildcard":         join(connect4, publish(Message{Topic: "a/#", Payload: []byte("x"), QoS: 1}, 1, false)),
		"a topic that is not UTF-8":       join(connect4, publish(Message{Topic: "a/\xff\xfe", Payload: []byte("x"), QoS: 1}, 1, false)),
		"a topic with NUL":                join(connect4, publish(Message{Topic: "a/\x00b", Payload: []byte("x"), QoS: 1}, 1, false)),
		"an empty topic":                  join(connect4, publish(Message{Payload: []byte("x"), QoS: 1}, 1, false)),
		"QoS 3":                           join(connect4, frame(tPUBLISH<<4|6, append(str(nil, "a"), 0, 1, 'x'))),
		"packet id 0":                     join(connect4, publish(Message{Topic: "a", Payload: []byte("x"), QoS: 1}, 0, false)),
		"SUBSCRIBE that ends in MQTT 5":   join(connect5, frame(tSUBSCRIBE<<4|2, append([]byte{0, 1, 0}, str(nil, "a")...))),
		"SUBSCRIBE with false properties": join(connect5, frame(tSUBSCRIBE<<4|2, []byte{0, 1, 0x7f, 0x0b})),
		"UNSUBSCRIBE that ends":           join(connect5, frame(tUNSUBSCRIBE<<4|2, []byte{0, 1, 0, 0, 9})),
		"an unknown topic alias":          join(connect5, frame(tPUBLISH<<4, []byte{0, 0, 3, 0x23, 0, 9, 'x'})),
		"a second CONNECT":                join(connect4, connect4),
		"a packet of type 0":              join(connect4, []byte{0, 0}),
		"an acknowledgement for nothing":  join(connect4, frame(tPUBACK<<4, []byte{0, 7}), frame(tPUBREL<<4|2, []byte{0, 9})),
		"a packet over the limit":         join(connect4, publish(Message{Topic: "big", Payload: bytes.Repeat([]byte("a"), 1<<20), QoS: 1}, 1, false)),
	}
	n := uint16(0)
	for name, raw := range packets {
		c, err := net.Dial("tcp", site.Addr)
		check(t, err)
		_ = c.SetDeadline(time.Now().Add(Size(100*time.Millisecond, time.Second)))
		_, _ = c.Write(raw)           // it may be ended before
		_, _ = io.Copy(io.Discard, c) // until it is ended, or for a moment
		_ = c.Close()
		n++
		check(t, good.Publish(Message{Topic: "good", Payload: fmt.Appendf(nil, `{"n":%d}`, n), QoS: 1}, n))
		if gateway.Ended() {
			t.Fatalf("%s ended the gateway: %s", name, gateway.Log())
		}
	}
	Until(t, "good messages arrive", 10*time.Second, func() bool { return len(recorder.On(Prefix+"good")) >= len(packets) })
	for _, p := range recorder.All() {
		if p.Topic != Prefix+"good" {
			t.Errorf("%d bytes arrived on %s", len(p.Payload), p.Topic)
		}
	}
	u, err := gateway.Usage()
	check(t, err)
	if u.Peak > 150<<20 {
		t.Errorf("the gateway took %d MiB", u.Peak>>20)
	}
}

// TestHostilePayloads publishes documents made to slip through. Whatever they
// hold arrives sealed, opens to the same bytes, and is counted.
func TestHostilePayloads(t *testing.T) {
	t.Parallel()
	Need(t, "mosquitto")
	cloud := StartMosquitto(t)
	recorder := Record(t, cloud.Addr, "#")
	site := NewSite(t, cloud.Addr)
	site.Spool = "{size: 128MiB, volatile: true}"
	site.Ingress = fmt.Sprintf("broker: {listeners: [{address: %q}], anonymous: true, limits: {packet: 2MiB}}", site.Addr)
	gateway := site.Start(t)
	device, err := Dial(site.Addr, ClientOptions{ID: "device"})
	check(t, err)
	defer device.Close()

	wide := func(order binary.AppendByteOrder, s string) (out []byte) {
		for _, u := range utf16.Encode([]rune(s)) {
			out = order.AppendUint16(out, u)
		}
		return out
	}
	plain := `{"password":"` + Secret + `"}`
	payloads := map[string]string{
		"deep":             strings.Repeat(`[`, 100_000) + plain + strings.Repeat(`]`, 100_000),
		"deep-objects":     strings.Repeat(`{"a":`, 5_000) + plain + strings.Repeat(`}`, 5_000),
		"duplicate":        `{"password":"x","password":"` + Secret + `"}`,
		"duplicate-hidden": `{"password":"` + Secret + `","p\u0061ssword":null}`,
		"comment":          `{"password":"` + Secret + `" /* n */}`,
		"line-comment":     "{\"password\":\"" + Secret + "\" // n\n}",
		"lone-surrogate":   `{"password":"` + Secret + `\ud800"}`,
		"lone-in-key":      `{"pass\udc00word":"x","password":"` + Secret + `"}`,
		"utf-16-le":        "\xff\xfe" + string(wide(binary.LittleEndian, plain)),
		"utf-16-be":        string(wide(binary.BigEndian, plain)),
		"bom":              "\ufeff" + plain,
		"homoglyph":        `{"pаsswоrd":"` + Secret + `"}`, // two letters are Cyrillic
		"fullwidth":        `{"ｐａｓｓｗｏｒｄ":"` + Secret + `"}`,
		"zero-width":       "{\"pass\u200bword\":\"" + Secret + "\"}",
		"escaped-key":      `{"\u0070\u0061\u0073\u0073\u0077\u006f\u0072\u0064":"` + Secret + `"}`,
		"reserved":         `{"password":"` + Secret + `","_sg":"1fAAAA"}`,
		"reserved-sealed":  `{"_sg":"1sAAAA","password":"` + Secret + `"}`,
		"reserved-nested":  `{"a":{"_sg":1},"password":"` + Secret + `"}`,
		"trailing":         plain + `}`,
		"two-documents":    plain + "\n" + plain,
		"nan":              `{"password":"` + Secret + `","x":NaN}`,
		"nul":              "{\"password\":\"" + Secret + "\"}\x00",
		"not-utf-8":        "{\"x\":\"\xff\",\"password\":\"" + Secret + "\"}",
		"cut":              plain[:len(plain)-2],
		"big":              `{"pad":"` + strings.Repeat("a", 1<<20-200) + `","password":"` + Secret + `"}`,
		"mebibyte":         `{"password":"` + Secret + `","pad":"` + strings.Repeat("a", 1<<20) + `"}`,
		"array":            `["password",{"password":["` + Secret + `"]}]`,
		"inner":            `{"body":"{\"password\":\"` + Secret + `\"}"}`,
	}
	opener := site.Opener(t)
	id := uint16(0)
	send := func(topic, payload string) {
		t.Helper()
		id++
		if err := device.Publish(Message{Topic: topic, Payload: []byte(payload), QoS: 1}, id); err != nil {
			t.Fatalf("%s: %v: %s", topic, err, gateway.Log())
		}
	}
	utf16Secret := wide(binary.LittleEndian, Secret)
	for name, payload := range payloads {
		send("h/"+name, payload)
		p := arrived(t, recorder, Prefix+"h/"+name, 1)
		if bytes.Contains(p.Payload, []byte(Secret)) || bytes.Contains(p.Payload, utf16Secret) || bytes.Contains(p.Payload, wide(binary.BigEndian, Secret)) {
			t.Errorf("%s left in clear: %.200q", name, p.Payload)
			continue
		}
		opened, err := opener.Open(p.Topic, p.Payload)
		if err != nil || string(opened.Payload) != payload || opened.Protection == envelope.ProtectionNone {
			t.Errorf("%s: protection %s, same bytes %t, %v", name, opened.Protection, string(opened.Payload) == payload, err)
		}
	}

	// Nothing at all is a deletion and passes; a topic is graded too.
	send("h/empty", "")
	if p := arrived(t, recorder, Prefix+"h/empty", 1); len(p.Payload) != 0 {
		t.Errorf("an empty payload became %q", p.Payload)
	}
	before := recorder.Len()
	send("h/anna.schmidt@example.org/state", `{"n":1}`)
	Until(t, "the message with an address in its topic", 10*time.Second, func() bool { return recorder.Len() > before })
	last := recorder.All()[before]
	if strings.Contains(last.Topic, "schmidt") || bytes.Contains(last.Payload, []byte("schmidt")) {
		t.Errorf("an address left in the topic %s", last.Topic)
	}
	if string(last.Payload) != `{"n":1}` || !strings.HasSuffix(last.Topic, "/state") || !strings.HasPrefix(last.Topic, Prefix+"h/") {
		t.Errorf("%q on %s", last.Payload, last.Topic)
	}

	settled(t, site, recorder)
	values, counted := site.Values(t), 0.0
	for name, v := range values {
		if strings.HasPrefix(name, "sealgate_messages_total{") {
			counted += v
		}
	}
	if int(counted) != len(payloads)+2 || values["sealgate_recovered_panics_total"] != 0 || values["sealgate_unreadable_messages_total"] < 10 {
		t.Errorf("metrics count %v messages of %d, %v unreadable, %v panics", counted, len(payloads)+2,
			values["sealgate_unreadable_messages_total"], values["sealgate_recovered_panics_total"])
	}
	clean(t, site)
	if log := gateway.Log(); strings.Contains(log, Secret) || strings.Contains(log, "schmidt") {
		t.Error("the log holds what was published")
	}
}
