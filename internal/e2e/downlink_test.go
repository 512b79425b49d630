package e2e

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// TestDownlink: what the cloud has for local devices arrives at them in order,
// also what was said while the gateway was away or its line cut, and never goes
// back up.
func TestDownlink(t *testing.T) {
	t.Parallel()
	Need(t, "mosquitto")
	for _, protocol := range []string{"3.1.1", "5"} {
		t.Run(protocol, func(t *testing.T) {
			t.Parallel()
			cloud := StartMosquitto(t)
			proxy := StartProxy(t, cloud.Addr)
			site := NewSite(t, proxy.Addr)
			site.Topics = `[{pattern: "#", remote_prefix: "{site}/{gateway}/"}, {pattern: "#", direction: in, remote_prefix: "down/{gateway}/", local_prefix: "cloud/"}]`
			site.Uplink = fmt.Sprintf("protocol: %q", protocol)
			gateway := site.Start(t)
			everything := Record(t, cloud.Addr, "#")
			operator, err := Dial(cloud.Addr, ClientOptions{ID: "operator"})
			check(t, err)
			defer operator.Close()
			id := uint16(0)
			send := func(topic, payload string, retain bool) {
				t.Helper()
				id++
				check(t, operator.Publish(Message{Topic: topic, Payload: []byte(payload), QoS: 1, Retain: retain}, id))
			}
			device := Record(t, site.Addr, "cloud/#")
			got := func() (ns []string) {
				for _, p := range device.On("cloud/cmd") {
					ns = append(ns, string(p.Payload))
				}
				return slices.Compact(ns) // a cut may repeat one
			}
			var want []string
			say := func(n int) {
				t.Helper()
				for range n {
					want = append(want, fmt.Sprint(len(want)))
					send("down/gw-1/cmd", want[len(want)-1], false)
				}
			}
			Until(t, "the downlink subscribes", 20*time.Second, func() bool {
				send("down/gw-1/probe", "x", false)
				time.Sleep(50 * time.Millisecond)
				return len(device.On("cloud/probe")) > 0
			})
			say(50)
			Until(t, "commands arrive", 20*time.Second, func() bool { return len(got()) == 50 })
			proxy.Cut(100 * time.Millisecond)
			say(50)
			Until(t, "commands arrive after a cut", 30*time.Second, func() bool { return slices.Contains(got(), "99") })

			send("down/gw-1/setpoint", "21.5", true)
			Until(t, "the setpoint arrives", 20*time.Second, func() bool { return len(device.On("cloud/setpoint")) > 0 })
			keeper, err := Dial(site.Addr, ClientOptions{ID: "keeper", Session: true})
			check(t, err)
			check(t, keeper.Subscribe("cloud/cmd"))
			check(t, keeper.Raw([]byte{tDISCONNECT << 4, 0}))
			_ = keeper.Close()
			check(t, gateway.Stop(20*time.Second))
			say(20) // waits in our session at the cloud, then in the keeper's here
			site.Start(t)
			keeper, err = Dial(site.Addr, ClientOptions{ID: "keeper", Session: true})
			check(t, err)
			defer keeper.Close()
			_ = keeper.SetReadDeadline(time.Now().Add(20 * time.Second))
			for n := 100; n < 120; n++ {
				p, err := keeper.Read()
				check(t, err)
				if string(p.Payload) != fmt.Sprint(n) {
					t.Fatalf("after the restart %s arrived in place of %d", p.Payload, n)
				}
				check(t, keeper.Ack(p.ID))
			}
			v := site.Values(t)
			if received, relayed := v[`sealgate_downlink_received_messages_total{uplink="cloud"}`], v[`sealgate_downlink_relayed_messages_total{uplink="cloud"}`]; received < 20 || relayed != received {
				t.Errorf("%g messages of the downlink were received and %g relayed since the start, want 20 of each", received, relayed)
			}
			for i, p := range everything.All() {
				if len(p.Topic) < 5 || p.Topic[:5] != "down/" {
					t.Errorf("message %d came back up as %s", i, p.Topic)
				}
			}
			for i := 1; i < len(got()); i++ {
				var before, after int
				_, _ = fmt.Sscan(got()[i-1], &before)
				_, _ = fmt.Sscan(got()[i], &after)
				if after < before {
					t.Errorf("command %d arrived before %d", before, after)
				}
			}
		})
	}
}
