package protect

import (
	"errors"
	"strings"
	"unicode/utf8"

	"github.com/sealgate/sealgate/classify"
	"github.com/sealgate/sealgate/classify/payload"
	"github.com/sealgate/sealgate/classify/policy"
)

const (
	// topicHole is where the message's own topic goes in seal's topic.
	topicHole = "{topic}"

	// hidden is the topic of a message whose own can't be shown in any form.
	hidden = "sealed/hidden"

	// maxTopic is the longest topic that MQTT can carry, in bytes.
	maxTopic = 65535
)

func checkSealTopic(_ classify.ClassID, a *policy.Action) error {
	t := a.Strings["topic"]
	rest := strings.Replace(t, topicHole, "", 1)
	if !utf8.ValidString(t) || strings.ContainsAny(rest, "+#{}\x00") || strings.HasPrefix(t, "$") || strings.HasPrefix(t, "/") {
		return errors.New(`topic must be a topic name with at most one "{topic}" and no wildcard, "$" or "/" in front`)
	}
	return nil
}

// mapTopic sets the published topic: protected levels replaced, leading levels
// left out, the prefix before the rest. It reports false where the topic can't
// be published as planned: the message then has to be sealed, and o.Topic shows
// nothing that the plan would not.
func (j *job) mapTopic() (ok bool) {
	if j.v.Reason == policy.ReasonPanic { // nobody looked at the levels
		j.o.Topic = j.hiddenTopic()
		return false
	}
	ok = true
	for rest := j.d.Fields; len(rest) > 0 && j.v.Document.Fields[rest[0].Field].Kind == payload.KindTopic; {
		n := 1
		for n < len(rest) && rest[n].Field == rest[0].Field {
			n++
		}
		if int(rest[0].Field) >= j.r.Mapping.Strip && !j.level(rest[:n]) {
			ok = false
		}
		rest = rest[n:]
	}
	j.replaced = len(j.topics) > 0
	if !j.replaced {
		j.o.Topic = j.plainTopic()
	} else {
		for i := range min(j.r.Mapping.Strip, levels(j.v.Document)) {
			j.topics = append(j.topics, payload.Edit{Field: int32(i), Kind: payload.EditRemove})
		}
		out, err := j.v.Document.AppendTopic(append(j.topic[:0], j.r.Mapping.Prefix...), j.topics)
		j.topic = out
		if err != nil {
			out, ok = nil, false
		}
		j.o.Topic = string(out)
	}
	if !publishable(j.o.Topic) || j.entersServerTopics() {
		j.o.Topic = j.hiddenTopic()
		return false
	}
	return ok
}

// level carries out all actions on one topic level. Where one does not fit, the
// level is left out.
func (j *job) level(actions []policy.FieldAction) bool {
	mark := len(j.topics)
	for i := range actions {
		a := actions[i].Action
		if a.Spec.Strength == policy.StrengthPass {
			continue
		}
		if whole := actions[i].End == 0 && len(actions) > 1; whole || !j.edit(&actions[i], a) {
			j.topics = append(j.topics[:mark], payload.Edit{Field: actions[i].Field, Kind: payload.EditRemove})
			j.doneTopic = append(j.doneTopic[:mark], removed)
			return false
		}
	}
	return true
}

// entersServerTopics reports whether a topic that was not one of the server's
// own ("$…") would become one.
func (j *job) entersServerTopics() bool {
	return j.o.Topic[0] == '$' && !strings.HasPrefix(j.v.Document.Topic, "$") && !strings.HasPrefix(j.r.Mapping.Prefix, "$")
}

// publishable reports whether a topic can be published (MQTT 5.0, 4.7).
func publishable(topic string) bool {
	if len(topic) == 0 || len(topic) > maxTopic {
		return false
	}
	ascii := true
	for i := range len(topic) {
		switch c := topic[i]; {
		case c == '+', c == '#', c == 0:
			return false
		case c >= utf8.RuneSelf:
			ascii = false
		}
	}
	return ascii || utf8.ValidString(topic)
}

func (j *job) hiddenTopic() string { return j.r.Mapping.Prefix + hidden }

// expand puts the published topic into the hole of a seal's topic, behind the
// prefix.
func (j *job) expand(form string) string {
	if form == "" || form == topicHole {
		return j.o.Topic
	}
	own := strings.TrimPrefix(j.o.Topic, j.r.Mapping.Prefix)
	return j.r.Mapping.Prefix + strings.Replace(form, topicHole, own, 1)
}

// sealTopic sets the envelope's topic and returns the real one, which travels
// inside, where it differs from what is published.
func (j *job) sealTopic(form string) (real string, ok bool) {
	if j.o.Topic = j.expand(form); !publishable(j.o.Topic) {
		j.o.Topic = j.hiddenTopic()
	}
	real = j.plainTopic()
	if !publishable(j.o.Topic) || !utf8.ValidString(real) || len(real) > maxTopic {
		return "", false
	}
	if real == j.o.Topic {
		real = ""
	}
	return real, true
}

// plainTopic is the mapped topic without protection.
func (j *job) plainTopic() string {
	t := j.v.Document.Topic
	for range j.r.Mapping.Strip {
		rest, found := "", false
		if _, rest, found = strings.Cut(t, "/"); !found {
			return "" // nothing is left: a prefix alone is no place of its own
		}
		t = rest // may be empty: the topic ended in '/'
	}
	return j.r.Mapping.Prefix + t
}

// topicResidual is what is left of the grade of a sealed message: that of its
// topic.
func (j *job) topicResidual() classify.Grade {
	left := classify.L1
	if j.o.Topic == j.hiddenTopic() {
		return left
	}
	for i := range j.v.Findings {
		f := &j.v.Findings[i]
		if j.v.Document.Fields[f.Field].Kind != payload.KindTopic {
			break
		}
		if int(f.Field) >= j.r.Mapping.Strip {
			left = max(left, j.levelResidual(f))
		}
	}
	return left
}

func (j *job) levelResidual(f *classify.Finding) classify.Grade {
	for i := range j.topics {
		switch e := &j.topics[i]; {
		case e.Field != f.Field:
		case e.Kind == payload.EditRemove:
			return classify.L1
		default:
			return min(f.Grade, classify.L2)
		}
	}
	return f.Grade
}

func levels(d *payload.Document) (n int) {
	for n < len(d.Fields) && d.Fields[n].Kind == payload.KindTopic {
		n++
	}
	return n
}
