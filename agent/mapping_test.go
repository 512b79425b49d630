package agent

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/sealgate/sealgate/agent/config"
	"github.com/sealgate/sealgate/agent/mqtt"
	"github.com/sealgate/sealgate/agent/telemetry"
	"github.com/sealgate/sealgate/classify/policy"
	"github.com/sealgate/sealgate/crypto/protect"
)

// publishes is mosquitto's rule: the first line with a prefix whose local
// prefix and pattern match decides, the local prefix goes where the topic has
// it, the remote prefix comes before the rest; otherwise the topic stays. A
// topic that no line matches is not published.
func publishes(t *testing.T, lines [][3]string, topic string) (remote string, ok bool) {
	t.Helper()
	for _, l := range lines {
		f, err := policy.ParseFilter(l[1] + l[0])
		if err != nil {
			t.Fatal(err)
		}
		if !f.Match(topic) {
			continue
		}
		ok = true
		if l[1] != "" || l[2] != "" {
			return l[2] + strings.TrimPrefix(topic, l[1]), true
		}
	}
	return topic, ok
}

// TestImportedTopics: what a bridge publishes, an imported configuration does,
// under the same topic; or the import says that it does not.
func TestImportedTopics(t *testing.T) {
	topics := []string{"a", "a/b", "a/b/c", "a/bc", "ab/c", "b", "b/c", "l", "l/a", "l/a/b", "l/ax", "l/$x/y", "$SYS/x", "x/temp", "temp", "temp/1", "la/b", "/a", "a//b"}
	for name, tc := range map[string]struct {
		lines  [][3]string // pattern, local prefix, remote prefix
		remark string      // why the lines are not mapped, or not wholly
	}{
		"as it is":              {[][3]string{{"#", "", ""}}, ""},
		"one topic":             {[][3]string{{"a/b", "", ""}}, ""},
		"remote prefix":         {[][3]string{{"a/#", "", "r/"}}, ""},
		"local prefix":          {[][3]string{{"a/#", "l/", ""}}, ""},
		"both":                  {[][3]string{{"#", "l/", "r/s/"}}, ""},
		"both, plus":            {[][3]string{{"+/b", "l/", "r/"}, {"+", "a/", "q/"}}, ""},
		"single topic":          {[][3]string{{"", "x/temp", "y/temp"}}, ""},
		"tail in both":          {[][3]string{{"b", "l/a/", "r/"}, {"c", "a/b/", ""}}, ""},
		"tail inside a level":   {[][3]string{{"x", "l/a", "r/a"}}, ""},
		"literal level":         {[][3]string{{"a/b", "", "pre-"}}, ""},
		"prefixes go first":     {[][3]string{{"a/#", "", ""}, {"#", "", "r/"}}, ""},
		"first prefix wins":     {[][3]string{{"a/b", "", "one/"}, {"a/#", "", "two/"}, {"#", "", ""}}, ""},
		"leading slash":         {[][3]string{{"/a", "", "r"}}, ""},
		"same twice":            {[][3]string{{"a", "", "r/"}, {"a", "", "r/"}}, ""},
		"renamed last level":    {[][3]string{{"", "x/temp", "y/heat"}}, "last level"},
		"prefix of every level": {[][3]string{{"#", "", "site-"}}, ""},
		"prefix of a tree":      {[][3]string{{"a/#", "", "site-"}}, ""},
		"server's topics":       {[][3]string{{"#", "$SYS/", "r/"}}, "begin with $"},
		"into server's topics":  {[][3]string{{"a", "", "$aws/"}}, "begins with $"},
		"hole":                  {[][3]string{{"a", "", "{site}/"}}, "something else here"},
	} {
		t.Run(name, func(t *testing.T) {
			conf := "listener 1883 127.0.0.1\nallow_anonymous true\nconnection c\naddress 127.0.0.1\ntopic keep/me out 1\n"
			for _, l := range tc.lines {
				word := func(s string) string {
					if s == "" {
						return `""`
					}
					return s
				}
				conf += "topic " + word(l[0]) + " out 1 " + word(l[1]) + " " + word(l[2]) + "\n"
			}
			path := filepath.Join(t.TempDir(), "mosquitto.conf")
			check(t, os.WriteFile(path, []byte(conf), 0o600))
			im, err := config.ImportMosquitto(config.ImportOptions{Path: path, Hostname: "gw"})
			check(t, err)
			said := false
			for _, r := range im.Remarks {
				if r.Directive == "topic" {
					said = said || tc.remark != "" && strings.Contains(r.Text, tc.remark)
					if tc.remark == "" {
						t.Errorf("remark: %+v", r)
					}
				}
			}
			if tc.remark != "" && !said {
				t.Errorf("no remark in %+v", im.Remarks)
			}
			mapping := importedMapping(t, im)
			for _, topic := range topics {
				want, ok := publishes(t, tc.lines, topic)
				m, mapped := mapping(topic)
				got := topic
				for range m.Strip {
					_, got, _ = strings.Cut(got, "/")
				}
				got = m.Prefix + got
				switch {
				case mapped && !ok:
					t.Errorf("%s leaves, as %s", topic, got)
				case mapped && got != want:
					t.Errorf("%s leaves as %s, with mosquitto as %s", topic, got, want)
				case ok && !mapped && tc.remark == "":
					t.Errorf("%s stays, with mosquitto it leaves as %s", topic, want)
				}
			}
		})
	}
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// importedMapping compiles what the import wrote, and its policy.
func importedMapping(t *testing.T, im *config.Imported) func(string) (protect.Mapping, bool) {
	t.Helper()
	for _, f := range im.Files {
		if f.Name == "policy.yaml" {
			_, err := policy.Compile(f.Data, policy.Vocabulary{Actions: protect.Specs(), Uplinks: []string{"c"}}, policy.Guard{Observe: true})
			check(t, err)
		}
	}
	for _, f := range im.Files {
		if f.Name == "agent.yaml" {
			cfg, err := config.Parse("agent.yaml", f.Data)
			check(t, err)
			m, err := topicMapping(cfg.Uplinks[0].Topics)
			check(t, err)
			return m
		}
	}
	t.Fatal("no agent.yaml")
	return nil
}

// TestReservedTopics: whatever is mapped where, no device's message comes to
// stand among what gateways and operators tell each other.
func TestReservedTopics(t *testing.T) {
	for _, tc := range []struct {
		topic  config.Topic
		local  string
		passes bool
	}{
		{config.Topic{Pattern: "#"}, "sg/v1/plant/status/gw-2", false},
		{config.Topic{Pattern: "#"}, "sg/v2/x", true},
		{config.Topic{Pattern: "#", RemotePrefix: "sg/"}, "v1/plant/cmd/all", false},
		{config.Topic{Pattern: "#", RemotePrefix: "sg/v"}, "1/plant/cmd/all", false},
		{config.Topic{Pattern: "#", RemotePrefix: "sg/v1/plant/"}, "line/a", false},
		{config.Topic{Pattern: "#", LocalPrefix: "l/"}, "l/sg/v1/plant/now", false},
		{config.Topic{Pattern: "#", RemotePrefix: "plant/"}, "sg/v1/plant/now", true},
		{config.Topic{Pattern: "#", RemotePrefix: "sgx"}, "line/a", true},
	} {
		m, err := topicMapping([]config.Topic{tc.topic})
		if err != nil {
			t.Fatal(err)
		}
		if _, ok := m(tc.local); ok != tc.passes {
			t.Errorf("%s by %+v: passes %t, want %t", tc.local, tc.topic, ok, tc.passes)
		}
	}
}

// TestRelayedTopics: the topics of a downlink, reversed.
func TestRelayedTopics(t *testing.T) {
	r, err := newRelay([]config.Topic{
		{Pattern: "cmd/#", RemotePrefix: "down/gw-1/", LocalPrefix: "cloud/"},
		{Pattern: "#", RemotePrefix: "down/all/"},
	}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for remote, want := range map[string]string{
		"down/gw-1/cmd/valve": "cloud/cmd/valve", "down/all/time": "time", "down/gw-1/other": "", "up/x": "",
		"down/all/$SYS/x": "", "down/all/sg/v1/plant/now": "", "down/all": "", "down/all/": "",
	} {
		if got, why := r.local(remote); got != want || (why == nil) != (want != "") {
			t.Errorf("%s is relayed as %q (%t), want %q", remote, got, why == nil, want)
		}
	}
}

// TestRefusedDownlink: what can't be relayed is acknowledged, or it would come
// again for ever, and counted by why.
func TestRefusedDownlink(t *testing.T) {
	r, err := newRelay([]config.Topic{{Pattern: "#", RemotePrefix: "r/"}, {Pattern: "#", RemotePrefix: "l/", LocalPrefix: "longer/"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	acks := 0
	for _, topic := range []string{"r/$SYS/x", "r/sg/v1/plant/now", "r/", "e/x", "l/" + strings.Repeat("x", maxTopic-2)} {
		if err := r.Submit(t.Context(), mqtt.Source{}, mqtt.Message{Topic: topic}, func(error) { acks++ }); err != nil {
			t.Errorf("%.20s: %v", topic, err)
		}
	}
	if got, want := *r.stats(), (telemetry.Downlink{Received: 5, Reserved: 2, Unmapped: 2, TooLong: 1}); acks != 5 || got != want {
		t.Errorf("%d acknowledged, %+v, want %+v", acks, got, want)
	}
}
