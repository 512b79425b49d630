package agent

import (
	"encoding/binary"
	"time"

	"github.com/sealgate/sealgate/agent/mqtt"
)

// askRebirth tells an edge node to send its birth certificate again (Eclipse
// Sparkplug 3.0, 6.4.26). Only clients of the embedded broker can be told.
func (a *Agent) askRebirth(group, node string) {
	select {
	case <-a.started:
	default:
		return // the node's next message asks again
	}
	if a.broker == nil {
		a.log.Warn("an edge node is to send its birth certificate again, and can't be told: it is a client of another broker")
		return
	}
	a.broker.Tell(mqtt.Message{Topic: "spBv1.0/" + group + "/NCMD/" + node, Payload: rebirthCommand(time.Now())})
}

// rebirthCommand is a Sparkplug B payload with one metric, "Node
// Control/Rebirth" = true: timestamp (1), metrics (2), and in the metric name
// (1), datatype (4) = Boolean (11), boolean_value (14).
func rebirthCommand(now time.Time) []byte {
	const name = "Node Control/Rebirth"
	metric := append([]byte{1<<3 | 2, byte(len(name))}, name...)
	metric = append(metric, 4<<3, 11, 14<<3, 1)
	b := binary.AppendUvarint([]byte{1 << 3}, uint64(now.UnixMilli()))
	return append(append(b, 2<<3|2, byte(len(metric))), metric...)
}
