package e2e

import (
	"bytes"
	"encoding/binary"
	"testing"
	"time"

	"github.com/sealgate/sealgate/crypto/envelope"
)

// Protobuf by hand: numbers and bytes of a Sparkplug B payload.
func pbUint(field int, v uint64) []byte {
	return binary.AppendUvarint(binary.AppendUvarint(nil, uint64(field)<<3), v)
}

func pbBytes(field int, parts ...[]byte) []byte {
	v := bytes.Join(parts, nil)
	return append(binary.AppendUvarint(binary.AppendUvarint(nil, uint64(field)<<3|2), uint64(len(v))), v...)
}

// TestSparkplugLifeCycle: an edge node speaks by aliases that nobody knows. What
// it says is sealed whole and it is asked for its birth; from then on metrics
// are protected by name, births and deaths stay where they are, in order, and
// sequence numbers are what they were.
func TestSparkplugLifeCycle(t *testing.T) {
	t.Parallel()
	Need(t, "mosquitto")
	const root = "spBv1.0/plant/"
	cloud := StartMosquitto(t)
	recorder := Record(t, cloud.Addr, "#")
	site := NewSite(t, cloud.Addr)
	site.Topics = `[{pattern: "spBv1.0/#"}, {pattern: "#", remote_prefix: "{site}/{gateway}/"}]`
	site.Policy = `schema: sealgate/policy/v1
version: 1
profile: generic
recipients: [ops]
classes: {person.name: remove}
routes: [{name: sparkplug, topics: ["spBv1.0/#"], order_by: sparkplug-node}, {name: rest, topics: ["#"]}]
`
	site.Start(t)
	birth := bytes.Join([][]byte{pbUint(1, 1),
		pbBytes(2, pbBytes(1, []byte("bdSeq")), pbUint(4, 8), pbUint(11, 7)),
		pbBytes(2, pbBytes(1, []byte("Driver/Name")), pbUint(2, 5), pbUint(4, 12), pbBytes(15, []byte("Mara Beispiel"))),
		pbUint(3, 0)}, nil)
	data := func(seq uint64) []byte {
		return bytes.Join([][]byte{pbUint(1, 2), pbBytes(2, pbUint(2, 5), pbBytes(15, []byte("Mara Beispiel"))), pbUint(3, seq)}, nil)
	}
	death := bytes.Join([][]byte{pbUint(1, 3), pbBytes(2, pbBytes(1, []byte("bdSeq")), pbUint(4, 8), pbUint(11, 7))}, nil)
	node, err := Dial(site.Addr, ClientOptions{ID: "edge", Will: &Message{Topic: root + "NDEATH/edge", Payload: death, QoS: 1}})
	check(t, err)
	defer node.Close()
	commands, err := Dial(site.Addr, ClientOptions{ID: "edge-commands"})
	check(t, err)
	defer commands.Close()
	check(t, commands.Subscribe(root+"NCMD/edge"))

	check(t, node.Publish(Message{Topic: root + "NDATA/edge", Payload: data(4), QoS: 1}, 1))
	_ = commands.SetReadDeadline(time.Now().Add(10 * time.Second))
	command, err := commands.Read()
	check(t, err)
	if !bytes.Contains(command.Payload, append([]byte("Node Control/Rebirth"), 4<<3, 11, 14<<3, 1)) {
		t.Errorf("the node was told % x", command.Payload)
	}
	check(t, node.Publish(Message{Topic: root + "NBIRTH/edge", Payload: birth, QoS: 1}, 2))
	check(t, node.Publish(Message{Topic: root + "NDATA/edge", Payload: data(1), QoS: 1}, 3))
	broken := []byte{0x08, 1, 0x12, 0x7f}
	check(t, node.Publish(Message{Topic: root + "DBIRTH/edge/door", Payload: broken, QoS: 1}, 4))
	_ = node.Close() // without a word
	Until(t, "everything arrives", 20*time.Second, func() bool { return len(recorder.On(root+"NDEATH/edge")) > 0 })

	var topics []string
	for _, p := range recorder.All() {
		topics = append(topics, p.Topic)
		if bytes.Contains(p.Payload, []byte("Mara ")) {
			t.Errorf("a name left in clear on %s", p.Topic)
		}
	}
	if len(topics) != 4 {
		t.Fatalf("arrived on %v", topics)
	}
	opened, err := site.Opener(t).Open(topics[0], recorder.All()[0].Payload)
	if err != nil || opened.Protection == envelope.ProtectionNone || !bytes.Equal(opened.Payload, data(4)) || opened.Topic != root+"NDATA/edge" {
		t.Errorf("data without a birth arrived on %s: %v", topics[0], err)
	}
	for i, want := range []string{"NBIRTH/edge", "NDATA/edge", "NDEATH/edge"} {
		if topics[i+1] != root+want {
			t.Errorf("on %s, want %s", topics[i+1], want)
		}
	}
	got := recorder.All()
	if !bytes.HasSuffix(got[1].Payload, pbUint(3, 0)) || !bytes.Contains(got[1].Payload, []byte("bdSeq")) || !bytes.HasSuffix(got[2].Payload, pbUint(3, 1)) {
		t.Errorf("birth % x, data % x", got[1].Payload, got[2].Payload)
	}
	if !bytes.Equal(got[3].Payload, death) {
		t.Errorf("death % x", got[3].Payload)
	}
}
