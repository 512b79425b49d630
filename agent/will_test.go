package agent_test

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"strings"
	"testing"

	"github.com/sealgate/sealgate/agent/mqtt"
	"github.com/sealgate/sealgate/crypto/signed"
)

// A strict broker is the site's cloud behind a door that looks at each CONNECT:
// one with a will gets answer, or no answer at all, and the end, at the next
// packet if it was accepted.
func strictBroker(t *testing.T, cloud string, answer []byte) (addr string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	check(t, err)
	t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			go pass(c, cloud, answer)
		}
	}()
	return ln.Addr().String()
}

func pass(c net.Conn, cloud string, answer []byte) {
	defer c.Close()
	r := bufio.NewReader(c)
	if first, err := r.ReadByte(); err != nil || first != 0x10 {
		return
	}
	length, err := binary.ReadUvarint(r) // a remaining length is coded as one
	if err != nil {
		return
	}
	body := make([]byte, length)
	if _, err := io.ReadFull(r, body); err != nil || length < 8 {
		return
	}
	if body[7]&0x04 != 0 { // the will flag
		_, _ = c.Write(answer)
		if len(answer) > 3 && answer[3] == 0 {
			_, _ = r.ReadByte()
		}
		return
	}
	up, err := net.Dial("tcp", cloud)
	if err != nil {
		return
	}
	defer up.Close()
	_, _ = up.Write(append(binary.AppendUvarint([]byte{0x10}, length), body...))
	go func() { _, _ = io.Copy(up, r); _ = up.Close() }()
	_, _ = io.Copy(c, up)
}

// TestWillRefused: a broker that takes no connection with a will, and says so or
// hangs up, gets one without; messages leave, and an alarm says what is missing.
func TestWillRefused(t *testing.T) {
	for name, x := range map[string]struct {
		uplink string
		answer []byte
	}{
		"not authorized, 3.1.1": {"", []byte{0x20, 2, 0, 5}},
		"not authorized, paho":  {"client: paho", []byte{0x20, 2, 0, 5}},
		"no retain, MQTT 5":     {`protocol: "5"`, []byte{0x20, 3, 0, 0x9a, 0}},
		"ends at the removal":   {"", []byte{0x20, 2, 0, 0}},
		"hangs up, 3.1.1":       {"", nil},
		"hangs up, paho":        {"client: paho", nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, "")
			cloud := cloudOf(s)
			s.cfg = strings.Replace(s.cfg, cloud, strictBroker(t, cloud, x.answer), 1)
			s.cfg = strings.Replace(s.cfg, "    topics:", "    will: on\n    "+x.uplink+"\n    topics:", 1)
			a := s.start(t)
			defer stop(t, a)
			publish(t, a, mqtt.Message{Topic: "line/temp", Payload: []byte(`{"temperature":21.5}`), QoS: 1})
			s.wait(t, "plant/gw-1/line/temp")
			for _, al := range a.Stats().Alarms {
				if al.ID == "uplink-will-cloud" {
					return
				}
			}
			t.Error("no alarm says that there is no will")
		})
	}
}

// TestWillGiven: where a broker takes it, each connection has a will of its own,
// a clean end publishes none, and the status says which connection it is.
func TestWillGiven(t *testing.T) {
	s := newSite(t, "")
	d := newDesk(t, s)
	a := s.start(t)
	first := d.status(a.Verifier(), func(st *signed.GatewayStatus) bool { return linked(st) > 0 })
	stop(t, a)
	a = s.start(t)
	defer stop(t, a)
	second := d.status(a.Verifier(), func(st *signed.GatewayStatus) bool { return st.Boot > first.Boot && linked(st) > 0 })
	if linked(second) != 1 {
		t.Errorf("first connection of a start has number %d", linked(second))
	}
	for _, m := range s.cloud.all("sg/v1/plant/will/gw-1/cloud") {
		if len(m.Payload) > 0 {
			t.Error("a clean end published the will")
		}
	}
	for _, al := range a.Stats().Alarms {
		if strings.HasPrefix(al.ID, "uplink-will") {
			t.Errorf("alarm %s", al.ID)
		}
	}
}

// linked is the number of the connection that a status names.
func linked(st *signed.GatewayStatus) uint64 {
	for _, l := range st.Links {
		if l.Uplink == "cloud" {
			return l.Connection
		}
	}
	return 0
}

// cloudOf is where the site's configuration says that the cloud is.
func cloudOf(s *site) string {
	_, rest, _ := strings.Cut(s.cfg, `"mqtt://`)
	addr, _, _ := strings.Cut(rest, `"`)
	return addr
}
