package corridor_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sealgate/sealgate/agent/corridor"
	"github.com/sealgate/sealgate/agent/mqtt"
	"github.com/sealgate/sealgate/classify/policy"
)

// lanes is a policy that sends the topics line/0 … line/n-1 to those lanes, in
// the order of topics or of an edge node.
func lanes(order string, priorities ...string) string {
	src := "schema: sealgate/policy/v1\nversion: 1\nprofile: generic\nrecipients: [ops]\nroutes:\n"
	for i, p := range priorities {
		if order != "topic" {
			p = priorities[0] // those of edge nodes share a lane
		}
		src += fmt.Sprintf("  - {name: r%d, topics: [line/%d], priority: %s, order_by: %s}\n", i, i, p, order)
	}
	return src + "  - {name: rest, topics: ['#']}\n"
}

// inOrder checks that the numbers of each topic arrive from 0 on, and that only
// what had arrived comes again. It returns how many topics are complete.
func inOrder(t *testing.T, got []mqtt.Message, each int) (complete int) {
	t.Helper()
	next := map[string]int{}
	for _, m := range got {
		n, err := strconv.Atoi(strings.Trim(string(m.Payload), `{"n:}`))
		if err != nil {
			t.Fatalf("unexpected payload %q", m.Payload)
		}
		if n > next[m.Topic] {
			t.Fatalf("%s: %d arrived before %d", m.Topic, n, next[m.Topic])
		}
		next[m.Topic] = max(next[m.Topic], n+1)
	}
	for _, n := range next {
		if n == each {
			complete++
		}
	}
	return complete
}

// TestTopicMovesToAFasterLane: while the uplink is down a swap moves a topic
// from the low to the high lane. What lies in the low one still comes first.
func TestTopicMovesToAFasterLane(t *testing.T) {
	c := &cloud{}
	var up atomic.Bool
	g := newGateway(t, c, func(g *gateway) *corridor.Generation { return g.generation(lanes("topic", "low", "normal"), true) },
		func(ctx context.Context) (mqtt.Conn, error) {
			if !up.Load() {
				return nil, errors.New("down")
			}
			return c.dial(ctx)
		})
	const each = 120
	steps := []string{lanes("topic", "low", "normal"), lanes("topic", "high", "low"), lanes("topic", "normal", "high")}
	for n := range each {
		if n%(each/len(steps)) == 0 {
			g.corridor.Swap(g.generation(steps[n/(each/len(steps))], true))
		}
		for i := range 2 {
			if err := g.publish(t.Context(), fmt.Sprintf("line/%d", i), fmt.Sprintf(`{"n":%d}`, n)); err != nil {
				t.Fatal(err)
			}
		}
	}
	up.Store(true)
	eventually(t, "all delivered", func() bool { return g.spool.Stats().Records == 0 })
	if n := inOrder(t, c.messages(), each); n != 2 {
		t.Errorf("%d of 2 topics are complete", n)
	}
}

// TestOrderAcrossSwaps swaps rules that send topics to other lanes and other
// shards while devices publish and the uplink is cut.
func TestOrderAcrossSwaps(t *testing.T) {
	c := &cloud{mood: func(n int, _ *mqtt.Message) mood {
		if n%61 == 0 {
			return cut
		}
		return acknowledge
	}}
	g := newGateway(t, c, builtIn)
	const topics, each = 8, 120
	var publishing sync.WaitGroup
	for i := range topics {
		publishing.Go(func() {
			for n := range each {
				if err := g.publish(t.Context(), fmt.Sprintf("line/%d", i), fmt.Sprintf(`{"n":%d}`, n)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	over := make(chan struct{})
	var swapping sync.WaitGroup
	swapping.Go(func() {
		random := rand.New(rand.NewPCG(7, 7))
		for {
			var priorities []string
			for range topics {
				priorities = append(priorities, []string{"high", "normal", "low"}[random.IntN(3)])
			}
			g.corridor.Swap(g.generation(lanes([]string{"topic", "sparkplug-node"}[random.IntN(2)], priorities...), true))
			select {
			case <-over:
				return
			case <-time.After(time.Duration(random.IntN(10)) * time.Millisecond):
			}
		}
	})
	publishing.Wait()
	close(over)
	swapping.Wait()
	eventually(t, "all delivered", func() bool { return g.spool.Stats().Records == 0 })
	if n := inOrder(t, c.messages(), each); n != topics {
		t.Errorf("%d of %d topics are complete", n, topics)
	}
}

// TestOfflineLatest: of a route that says so only the newest message of each
// topic waits for the uplink; other routes keep everything.
func TestOfflineLatest(t *testing.T) {
	c := &cloud{}
	var up atomic.Bool
	g := newGateway(t, c, func(g *gateway) *corridor.Generation {
		return g.generation("schema: sealgate/policy/v1\nversion: 1\nprofile: generic\nrecipients: [ops]\nroutes:\n"+
			"  - {name: state, topics: [state/#], offline: latest, max_age: 1h}\n  - {name: rest, topics: ['#']}\n", true)
	}, func(ctx context.Context) (mqtt.Conn, error) {
		if !up.Load() {
			return nil, errors.New("down")
		}
		return c.dial(ctx)
	})
	for n := range 10 {
		for _, topic := range []string{"state/a", "state/b", "line/0"} {
			if err := g.publish(t.Context(), topic, fmt.Sprintf(`{"n":%d}`, n)); err != nil {
				t.Fatal(err)
			}
		}
	}
	up.Store(true)
	eventually(t, "all delivered", func() bool { return g.spool.Stats().Records == 0 })
	got := map[string]string{}
	for _, m := range c.messages() {
		got[m.Topic] += string(m.Payload)
	}
	if got["site/state/a"] != `{"n":9}` || got["site/state/b"] != `{"n":9}` || len(got["site/line/0"]) != 10*len(`{"n":9}`) {
		t.Errorf("arrived: %v", got)
	}
	if st := g.spool.Stats(); st.Replaced != 18 {
		t.Errorf("%d replaced, want 18", st.Replaced)
	}
}

// TestLanesOfTheLastRun: a start under rules that move a topic writes the fence
// that the swap would have, and tells by which rules the logs go on.
func TestLanesOfTheLastRun(t *testing.T) {
	c := &cloud{}
	var up atomic.Bool
	down := func(ctx context.Context) (mqtt.Conn, error) {
		if !up.Load() {
			return nil, errors.New("down")
		}
		return c.dial(ctx)
	}
	g := newGateway(t, c, func(g *gateway) *corridor.Generation { return g.generation(lanes("topic", "low"), true) }, down)
	for n := range 20 {
		if err := g.publish(t.Context(), "line/0", fmt.Sprintf(`{"n":%d}`, n)); err != nil {
			t.Fatal(err)
		}
	}
	before := g.corridor.Generation().Policy.Lanes()
	if err := g.corridor.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	told := make(chan policy.Lanes, 1)
	opt := g.options(g.generation(lanes("topic", "high"), true), func(u *corridor.Uplink) { u.Dial = down })
	opt.Lanes, opt.OnLanes = before, func(l policy.Lanes) { told <- l }
	g.corridor = must[*corridor.Corridor](t)(corridor.New(opt))
	for n := range 20 {
		if err := g.publish(t.Context(), "line/0", fmt.Sprintf(`{"n":%d}`, 20+n)); err != nil {
			t.Fatal(err)
		}
	}
	up.Store(true)
	eventually(t, "all delivered", func() bool { return g.spool.Stats().Records == 0 })
	if n := inOrder(t, c.messages(), 40); n != 1 {
		t.Error("the topic is not complete")
	}
	if l := <-told; l[0].Lane != policy.LaneHigh {
		t.Errorf("lanes told: %v", l)
	}
}
