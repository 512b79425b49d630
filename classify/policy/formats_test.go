package policy_test

import (
	"encoding/binary"
	"fmt"
	"math"
	"net/url"
	"strings"
	"testing"

	"github.com/sealgate/sealgate/classify"
	"github.com/sealgate/sealgate/classify/policy"
)

// reading is one value of a record: a number or a text.
type reading struct {
	name string
	text string // "": number
	num  float64
}

// record is what a tracker with sensors says at one time, the i-th.
func record(i int) []reading {
	return []reading{
		{name: "messageId", text: fmt.Sprintf("%08x-77", uint32(i)*0x9E3779B1)}, {name: "type", text: "telemetry"}, {name: "devEui", text: "70b3d57ed0041a2b"},
		{name: "model", text: "TR-40"}, {name: "firmware", text: fmt.Sprintf("2.14.%d", i%10)}, {name: "seen", text: fmt.Sprintf("2026-11-23T14:%02d:%02d.123Z", i/60%60, i%60)},
		{name: "latitude", num: 52.5208 + float64(i%1000)/1e5}, {name: "longitude", num: 13.4094 + float64(i%1000)/1e5}, {name: "altitude", num: 34.5}, {name: "accuracy", num: 4.25},
		{name: "temperature", num: 21 + float64(i%10)/10}, {name: "humidity", num: 48}, {name: "pressure", num: 1013.25}, {name: "battery", num: 3.61}, {name: "rssi", num: -87}, {name: "snr", num: 7.5},
		{name: "state", text: "moving"}, {name: "firstName", text: "Katrin"}, {name: "lastName", text: "Vogt"}, {name: "shift", text: "early"},
		{name: "loads", num: float64(2291 + i)}, {name: "note", text: fmt.Sprintf("door %d opened at dock", i%20)},
	}
}

// encodings are formats by name: the topic of a message, and n records in it,
// from the i-th on.
var encodings = []struct {
	name, topic string
	encode      func(i, n int) []byte
}{
	{"json", benchTopic, func(i, n int) []byte {
		return list(i, n, "[", ",", "]", func(b []byte, r []reading) []byte {
			return join(append(b, '{'), r, ",", func(b []byte, x reading) []byte {
				if x.text != "" {
					return fmt.Appendf(b, "%q:%q", x.name, x.text)
				}
				return fmt.Appendf(b, "%q:%v", x.name, x.num)
			}, "}")
		})
	}},
	{"jsonl", benchTopic, func(i, n int) []byte {
		return list(i, max(n, 2), "", "\n", "", func(b []byte, r []reading) []byte {
			return join(append(b, '{'), r, ",", func(b []byte, x reading) []byte {
				if x.text != "" {
					return fmt.Appendf(b, "%q:%q", x.name, x.text)
				}
				return fmt.Appendf(b, "%q:%v", x.name, x.num)
			}, "}")
		})
	}},
	{"cbor", benchTopic, func(i, n int) []byte {
		text := func(b []byte, s string) []byte {
			if len(s) > 23 {
				b = append(b, 0x78)
				return append(append(b, byte(len(s))), s...)
			}
			return append(append(b, 0x60+byte(len(s))), s...)
		}
		return list(i, n, string(binary.BigEndian.AppendUint16([]byte{0x99}, uint16(n))), "", "", func(b []byte, r []reading) []byte {
			for _, x := range r {
				if b = text(b, x.name); x.text != "" {
					b = text(b, x.text)
				} else {
					b = binary.BigEndian.AppendUint64(append(b, 0xfb), math.Float64bits(x.num))
				}
			}
			return b
		}, 0xb6)
	}},
	{"msgpack", benchTopic, func(i, n int) []byte {
		text := func(b []byte, s string) []byte { return append(append(b, 0xa0+byte(len(s))), s...) }
		return list(i, n, string(binary.BigEndian.AppendUint16([]byte{0xdc}, uint16(n))), "", "", func(b []byte, r []reading) []byte {
			for _, x := range r {
				if b = text(b, x.name); x.text != "" {
					b = text(b, x.text)
				} else {
					b = binary.BigEndian.AppendUint64(append(b, 0xcb), math.Float64bits(x.num))
				}
			}
			return b
		}, 0xde, 0, 22)
	}},
	{"sparkplug", "spBv1.0/fleet/DDATA/berlin/truck-17", func(i, n int) []byte {
		bytes := func(b []byte, number uint64, s string) []byte {
			return append(binary.AppendUvarint(binary.AppendUvarint(b, number<<3|2), uint64(len(s))), s...)
		}
		integer := func(b []byte, number, v uint64) []byte {
			return binary.AppendUvarint(binary.AppendUvarint(b, number<<3), v)
		}
		return list(i, n, string(integer(nil, 1, 1718000123456)), "", string(integer(nil, 3, 7)), func(b []byte, r []reading) []byte {
			for _, x := range r {
				m := bytes(nil, 1, x.name)
				if x.text != "" {
					m = bytes(integer(m, 4, 12), 15, x.text)
				} else {
					m = binary.LittleEndian.AppendUint64(binary.AppendUvarint(integer(m, 4, 10), 13<<3|1), math.Float64bits(x.num))
				}
				b = bytes(b, 2, string(m))
			}
			return b
		})
	}},
	{"csv", benchTopic, func(i, n int) []byte {
		names := join(nil, record(0), ",", func(b []byte, x reading) []byte { return append(b, x.name...) }, "\n")
		return list(i, max(n, 2), string(names), "\n", "\n", func(b []byte, r []reading) []byte { return join(b, r, ",", plain, "") })
	}},
	{"lineprotocol", benchTopic, func(i, n int) []byte {
		return list(i, n, "", "\n", "", func(b []byte, r []reading) []byte {
			return join(append(b, "truck,site=berlin "...), r, ",", func(b []byte, x reading) []byte {
				if x.text != "" {
					return fmt.Appendf(b, "%s=%q", x.name, x.text)
				}
				return fmt.Appendf(b, "%s=%v", x.name, x.num)
			}, " 1718000123456000000")
		})
	}},
	{"logfmt", benchTopic, func(i, n int) []byte {
		return list(i, n, "", "\n", "", func(b []byte, r []reading) []byte {
			return join(b, r, " ", func(b []byte, x reading) []byte {
				if strings.Contains(x.text, " ") {
					return fmt.Appendf(b, "%s=%q", x.name, x.text)
				}
				return plain(append(append(b, x.name...), '='), x)
			}, "")
		})
	}},
	{"form", benchTopic, func(i, n int) []byte {
		return list(i, n, "", "&", "", func(b []byte, r []reading) []byte {
			return join(b, r, "&", func(b []byte, x reading) []byte {
				return append(append(append(b, x.name...), '='), url.QueryEscape(string(plain(nil, x)))...)
			}, "")
		})
	}},
	{"xml", benchTopic, func(i, n int) []byte {
		return list(i, n, "<records>", "", "</records>", func(b []byte, r []reading) []byte {
			return join(append(b, "<record>"...), r, "", func(b []byte, x reading) []byte {
				return fmt.Appendf(b, "<%s>%s</%s>", x.name, plain(nil, x), x.name)
			}, "</record>")
		})
	}},
}

func plain(b []byte, x reading) []byte {
	if x.text != "" {
		return append(b, x.text...)
	}
	return fmt.Appendf(b, "%v", x.num)
}

// list writes n records; each begins with the bytes of head.
func list(i, n int, open, sep, end string, one func([]byte, []reading) []byte, head ...byte) []byte {
	b := []byte(open)
	for k := range n {
		if k > 0 {
			b = append(b, sep...)
		}
		b = one(append(b, head...), record(i+k))
	}
	return append(b, end...)
}

func join(b []byte, r []reading, sep string, one func([]byte, reading) []byte, end string) []byte {
	for k, x := range r {
		if k > 0 {
			b = append(b, sep...)
		}
		b = one(b, x)
	}
	return append(b, end...)
}

// formatJudge judges the same records in each format.
func formatJudge(t testing.TB) func(topic string, raw []byte) policy.Verdict {
	p := compile(t, head+"routes:\n  - {name: everything, topics: [\"#\"]}\n", policy.Guard{})
	var s policy.Scratch
	st := classify.NewState()
	now := int64(0)
	return func(topic string, raw []byte) policy.Verdict {
		now++
		return p.Judge(&s, st, p.Route(topic), policy.Input{Topic: topic, Payload: raw, Now: now, Subject: 7})
	}
}

// Every format says the same to the judge.
func TestFormatsSayTheSame(t *testing.T) {
	judge := formatJudge(t)
	for _, e := range encodings {
		v := judge(e.topic, e.encode(1, 1))
		if got := v.Document.FormatName(); v.Reason != "" || strings.ReplaceAll(got, "-", "") != e.name {
			t.Errorf("%s: read as %s, %q", e.name, got, v.Reason)
		}
		for _, c := range []classify.ClassID{classify.ClassPersonName, classify.ClassLocationPrecise, classify.ClassIDDevice} {
			if !v.Classes.Has(c) {
				t.Errorf("%s: no %v found", e.name, c)
			}
		}
	}
}

// BenchmarkJudgeFormats judges messages of each format with about 0.5, 10 and
// 100 kB: the time for a byte is that of the format, whatever the size.
func BenchmarkJudgeFormats(b *testing.B) {
	for _, e := range encodings {
		for _, n := range []int{1, 20, 200} {
			if e.name == "form" && n > 1 {
				break // a name comes once
			}
			ms := make([][]byte, 16)
			for i := range ms {
				ms[i] = e.encode(i*n, n)
			}
			b.Run(fmt.Sprintf("%s/%dkB", e.name, (len(ms[0])+500)/1000), func(b *testing.B) {
				judge := formatJudge(b)
				b.SetBytes(int64(len(ms[0])))
				b.ReportAllocs()
				for k := 0; b.Loop(); k++ {
					if v := judge(e.topic, ms[k%len(ms)]); v.Reason != "" {
						b.Fatal(v.Reason)
					}
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(len(ms[0])), "ns/byte")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
}
