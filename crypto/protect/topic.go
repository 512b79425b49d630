package protect

import (
	"errors"
	"strconv"
	"strings"

	"github.com/sealgate/sealgate/classify"
	"github.com/sealgate/sealgate/classify/payload"
	"github.com/sealgate/sealgate/classify/policy"
)

// topicHole is where the message's own topic goes in seal's topic.
const topicHole = "{topic}"

func checkSealTopic(_ classify.ClassID, a *policy.Action) error {
	t := a.Strings["topic"]
	if strings.Count(t, topicHole) > 1 || strings.ContainsAny(strings.Replace(t, topicHole, "", 1), "+#{}\x00") || strings.HasPrefix(t, "$") || strings.HasPrefix(t, "/") {
		return errors.New(`topic must be a topic name with at most one "{topic}" and no wildcard`)
	}
	return nil
}

// mapTopic sets the published topic: protected levels replaced, leading levels
// left out, the prefix before the rest. It reports false where a level can't be
// protected as planned; the topic then has every such level removed.
func (j *job) mapTopic() (ok bool) {
	doc := j.v.Document
	ok = true
	j.s.topics = j.s.topics[:0]
	for i := range min(j.r.Mapping.Strip, levels(doc)) {
		j.s.topics = append(j.s.topics, payload.Edit{Field: int32(i), Kind: payload.EditRemove})
	}
	for i := range j.d.Fields {
		fa := &j.d.Fields[i]
		f := &doc.Fields[fa.Field]
		if f.Kind != payload.KindTopic || int(fa.Field) < j.r.Mapping.Strip || fa.Action.Spec.Strength == policy.StrengthPass {
			continue
		}
		if !j.edit(fa, fa.Action) {
			ok = false
			whole := *fa
			whole.Start, whole.End = 0, 0
			j.s.topics = append(j.s.topics, payload.Edit{Field: fa.Field, Kind: payload.EditRemove})
		}
		j.o.Actions++
	}
	if len(j.s.topics) == 0 {
		j.o.Topic = j.r.Mapping.Prefix + doc.Topic
		j.also()
		return ok
	}
	out, err := doc.AppendTopic(j.s.topic[:0], j.s.topics)
	j.s.topic = out
	if err != nil {
		// Nothing is left, or a level was edited twice: only what names no one.
		j.o.Topic = j.r.Mapping.Prefix + "sealed/" + strconv.Itoa(levels(doc))
		return false
	}
	j.o.Topic = j.r.Mapping.Prefix + string(out)
	j.also()
	return ok
}

// also lists the other topics under which this route may have retained a
// message, for a deletion to reach them.
func (j *job) also() {
	if len(j.v.Document.Raw) > 0 || j.d.Seal == nil {
		return
	}
	if t := j.d.Seal.Strings["topic"]; t != "" && t != topicHole {
		j.o.Also = append(j.o.Also, j.expand(t))
	}
}

func (j *job) expand(template string) string {
	own := strings.TrimPrefix(j.o.Topic, j.r.Mapping.Prefix)
	return j.r.Mapping.Prefix + strings.Replace(template, topicHole, own, 1)
}

// sealTopic sets the envelope's topic and returns the real one where it differs
// from what is published: it travels inside.
func (j *job) sealTopic(template string) (real string, ok bool) {
	if template != "" && template != topicHole {
		j.o.Topic = j.expand(template)
	}
	if plain := j.plainTopic(); plain != j.o.Topic {
		real = plain
	}
	return real, j.o.Topic != ""
}

// plainTopic is the mapped topic without protection.
func (j *job) plainTopic() string {
	t := j.v.Document.Topic
	for range j.r.Mapping.Strip {
		_, t, _ = strings.Cut(t, "/")
	}
	return j.r.Mapping.Prefix + t
}

func levels(d *payload.Document) (n int) {
	for n < len(d.Fields) && d.Fields[n].Kind == payload.KindTopic {
		n++
	}
	return n
}

// pointer is the JSON Pointer of a field in the output document: removed array
// elements before it no longer count.
func (j *job) pointer(field int32) string {
	doc := j.v.Document
	if !j.removesElements() {
		return string(doc.AppendPath(nil, field))
	}
	var steps []string
	for i := field; doc.Fields[i].Parent >= 0; i = doc.Fields[i].Parent {
		f := &doc.Fields[i]
		if doc.Fields[f.Parent].Kind != payload.KindArray {
			steps = append(steps, strings.NewReplacer("~", "~0", "/", "~1").Replace(string(doc.Key(i))))
			continue
		}
		index := int(f.Index)
		for _, e := range j.s.edits {
			if g := &doc.Fields[e.Field]; e.Kind == payload.EditRemove && g.Parent == f.Parent && g.Index < f.Index {
				index--
			}
		}
		steps = append(steps, strconv.Itoa(index))
	}
	var b strings.Builder
	for i := len(steps) - 1; i >= 0; i-- {
		b.WriteByte('/')
		b.WriteString(steps[i])
	}
	return b.String()
}

func (j *job) removesElements() bool {
	for _, e := range j.s.edits {
		if p := j.v.Document.Fields[e.Field].Parent; e.Kind == payload.EditRemove && p >= 0 && j.v.Document.Fields[p].Kind == payload.KindArray {
			return true
		}
	}
	return false
}
