package demo

import (
	_ "embed"
	"encoding/binary"
	"fmt"
	"math"
	"strings"
)

// A sample is one message as a device would publish it. secrets are values in
// it that must not be readable on the cloud's side once a policy is enforced;
// they are written down here by hand, so that the demo does not take the
// classifier's word for what is sensitive. Each is long enough, or holds a
// byte that base64 has not, that ciphertext does not spell it by chance.
type sample struct {
	title   string
	topic   string
	payload []byte
	secrets []string
	retain  bool
}

// samples are realistic messages of the kinds that a gateway sees. All names,
// numbers and places are made up.
func samples() []sample {
	return []sample{
		{
			title:   "room temperature",
			topic:   "building/3/room/12/climate",
			payload: []byte(`{"temperature":21.5,"humidity":43,"unit":"C","battery":87}`),
		},
		{
			title:   "number-plate camera",
			topic:   "cameras/gate-1/anpr",
			payload: []byte(`{"camera":"gate-1","plate":"B-KX 4821","confidence":0.97,"direction":"in","ts":"2026-11-23T08:14:07Z"}`),
			secrets: []string{"B-KX 4821", "KX 4821"},
		},
		{
			title:   "face recognition event",
			topic:   "cameras/lobby/face",
			payload: faceEvent(),
			secrets: []string{"Mara Lindqvist", "0.0312,", "-0.0871"},
		},
		{
			title:   "GPS tracker",
			topic:   "fleet/van-7/position",
			payload: []byte(`{"device":"van-7","lat":52.516275,"lon":13.377704,"speed":41.2,"ts":1795421647}`),
			secrets: []string{"52.516", "13.377"},
		},
		{
			title:   "smart meter",
			topic:   "meters/7730/reading",
			payload: []byte(`{"meter":"7730","energy_kwh":10482.33,"power_w":977,"voltage":[229.8,230.1,230.4],"iban":"DE89 3704 0044 0532 0130 00"}`),
			secrets: []string{"DE89 3704", "0532 0130"},
		},
		{
			title:   "wearable",
			topic:   "wearables/wb-19/vitals",
			payload: []byte(`{"user":{"first_name":"Jonas","last_name":"Okafor"},"heart_rate":128,"spo2":91,"unit":"bpm","steps":4120}`),
			secrets: []string{`"Jonas"`, "Okafor", `"heart_rate":128`, `"spo2":91`},
		},
		{
			title:   "access badge",
			topic:   "access/door-2/anna.schmidt@example.org/event",
			payload: []byte(`{"door":"door-2","holder":"Anna Schmidt","email":"anna.schmidt@example.org","result":"granted"}`),
			secrets: []string{`"Anna `, "Schmidt", "anna.schmidt@example.org"},
		},
		{
			title:   "LoRaWAN uplink",
			topic:   "lorawan/application/4/device/up",
			payload: []byte(`{"devEUI":"70B3D57ED005A1C4","fCnt":1412,"fPort":2,"rxInfo":[{"gatewayID":"b827ebfffe7a21d0","rssi":-97,"location":{"latitude":48.137154,"longitude":11.576124}}],"data":"AWcA6gJoVQ=="}`),
			secrets: []string{"48.137", "11.576"},
		},
		{
			title:   "device configuration",
			topic:   "devices/cam-3/config",
			payload: []byte(`{"hostname":"cam-3","wifi":{"ssid":"plant-iot","password":"tR7!vq-Lw29z"},"rtsp":"rtsp://admin:` + "S3curePass" + `99@10.0.4.17/stream1","ntp":"pool.ntp.org"}`),
			secrets: []string{"tR7!vq-Lw29z", "S3curePass99"},
			retain:  true,
		},
		{
			title:   "assistant request",
			topic:   "kiosk/2/assistant",
			payload: []byte(`{"model":"local-8b","messages":[{"role":"user","content":"My card 4111 1111 1111 1111 was charged twice, call me at +49 30 901820"}],"stream":false}`),
			secrets: []string{"4111 1111 1111 1111", "901820", "charged twice"},
		},
		{
			title:   "log line, plain text",
			topic:   "plc/press-4/log",
			payload: []byte("operator login failed for max.weber@example.com from 203.0.113.77"),
			secrets: []string{"max.weber@example.com", "203.0.113.77"},
		},
		{
			title:   "camera snapshot, JPEG",
			topic:   "cameras/gate-1/snapshot",
			payload: snapshot,
			secrets: []string{"\xff\xd8\xff\xdb\x00\x84"},
		},
		{
			title:   "model file, GGUF",
			topic:   "edge-ai/models/detector",
			payload: model(),
			secrets: []string{"GGUF\x03\x00", "general.name"},
		},
		{
			title:   "unreadable bytes",
			topic:   "serial/bridge-1/raw",
			payload: []byte{0x7f, 0x01, 0x9c, 0xfe, 0x00, 0x33, 0xd8, 0x12, 0xab, 0xcd, 0xef, 0x04, 0x80, 0x81, 0x99},
			secrets: []string{"\x9c\xfe\x00\x33\xd8\x12"},
		},
		{
			title:   "switch state",
			topic:   "home/kitchen/light/state",
			payload: []byte("ON"),
			retain:  true,
		},
	}
}

// faceEvent carries a feature vector of 128 numbers.
func faceEvent() []byte {
	var b strings.Builder
	b.WriteString(`{"camera":"lobby","event":"face","name":"Mara Lindqvist","score":0.93,"embedding":[0.0312,-0.0871`)
	for i := range 126 {
		fmt.Fprintf(&b, ",%.4f", math.Sin(float64(i)*1.7)/8)
	}
	b.WriteString(`]}`)
	return []byte(b.String())
}

// snapshot is a small picture, a pattern of colours. It is a file, because a
// JPEG encoder for one picture is a large part of a small program.
//
//go:embed snapshot.jpg
var snapshot []byte

// model is the beginning of a model file: version 3, no tensors, one key.
func model() []byte {
	b := []byte("GGUF")
	b = binary.LittleEndian.AppendUint32(b, 3)
	b = binary.LittleEndian.AppendUint64(b, 0)
	b = binary.LittleEndian.AppendUint64(b, 1)
	for _, s := range []string{"general.name", "gate-detector"} {
		b = binary.LittleEndian.AppendUint64(b, uint64(len(s)))
		b = append(b, s...)
		if s == "general.name" {
			b = binary.LittleEndian.AppendUint32(b, 8) // a string follows
		}
	}
	return b
}
