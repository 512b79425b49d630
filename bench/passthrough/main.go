// Command passthrough forwards with paho.mqtt.golang what a local broker has to
// another, as one would write it by hand: persistent session, QoS 1, a message
// acknowledged when the other broker has acknowledged it. It protects nothing
// and keeps nothing on disk: what forwarding costs, and no more.
//
//	passthrough LOCAL CLOUD PREFIX
package main

import (
	"fmt"
	"os"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "passthrough:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	if len(args) != 3 {
		return fmt.Errorf("usage: passthrough LOCAL CLOUD PREFIX")
	}
	local, cloud, prefix := args[0], args[1], args[2]
	up, err := connect(paho.NewClientOptions().AddBroker("tcp://" + cloud).SetClientID("passthrough"))
	if err != nil {
		return err
	}
	type pending struct {
		token paho.Token
		m     paho.Message
	}
	under := make(chan pending, 100)
	down, err := connect(paho.NewClientOptions().AddBroker("tcp://" + local).SetClientID("passthrough").
		SetCleanSession(false).SetAutoAckDisabled(true).SetOrderMatters(true).
		SetDefaultPublishHandler(func(_ paho.Client, m paho.Message) {
			under <- pending{up.Publish(prefix+m.Topic(), m.Qos(), m.Retained(), m.Payload()), m}
		}))
	if err != nil {
		return err
	}
	if t := down.Subscribe("#", 1, nil); t.WaitTimeout(10*time.Second) && t.Error() != nil {
		return t.Error()
	}
	for p := range under {
		if p.token.Wait(); p.token.Error() != nil {
			return p.token.Error()
		}
		p.m.Ack()
	}
	return nil
}

func connect(o *paho.ClientOptions) (paho.Client, error) {
	c := paho.NewClient(o)
	t := c.Connect()
	t.Wait()
	return c, t.Error()
}
