package payload

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// maxTopic is the longest topic that MQTT can carry, in bytes.
const maxTopic = 65535

const topicAccepts EditMask = 1<<EditString | 1<<EditRemove

// parseTopic appends a field for each level of the topic. The topic is copied
// to the front of the arena, so a level's text is at the same place in both.
func (d *Document) parseTopic() {
	if d.Topic == "" {
		return
	}
	d.arena = append(d.arena, d.Topic...)
	start := 0
	for level := uint32(0); ; level++ {
		end := len(d.Topic)
		n := strings.IndexByte(d.Topic[start:], '/')
		if n >= 0 {
			end = start + n
		}
		span := Span{uint32(start), uint32(end)}
		d.Fields = append(d.Fields, Field{
			Parent: -1, Index: level, Raw: span, Text: span,
			PathHash: topicLevelHash(level),
			Kind:     KindTopic, Accepts: topicAccepts, Flags: TextArena,
		})
		if n < 0 {
			return
		}
		start = end + 1
	}
}

// AppendTopic appends the topic with edits on its levels to dst: EditString
// within a level, EditRemove to leave a level out. The result is a topic that
// can be published (MQTT 5.0, 4.7): not empty, at most 65,535 bytes of UTF-8, no
// wildcard, no NUL, as many levels as were left, and among the server's own
// topics ("$…") only if it was before. Anything else is an error; dst is then
// returned as it was.
func (d *Document) AppendTopic(dst []byte, edits []Edit) ([]byte, error) {
	return d.apply(dst, edits, levels)
}

func (d *Document) appendTopic(dst []byte, edits []Edit) ([]byte, error) {
	from := len(dst)
	first := true
	for i := int32(0); int(i) < len(d.Fields) && d.Fields[i].Kind == KindTopic; i++ {
		n := 0
		for n < len(edits) && edits[n].Field == i {
			n++
		}
		mine := edits[:n]
		edits = edits[n:]
		if n > 0 && mine[0].Kind == EditRemove {
			continue
		}
		if !first {
			dst = append(dst, '/')
		}
		first = false
		text, at := d.Text(i), uint32(0)
		for _, e := range mine {
			if bytes.IndexByte(e.Value, '/') >= 0 {
				return nil, fmt.Errorf("edit field %d: a topic level can't hold a slash", i)
			}
			dst = append(append(dst, text[at:e.Start]...), e.Value...)
			at = e.End
		}
		dst = append(dst, text[at:]...)
	}
	if err := checkTopic(dst[from:]); err != nil {
		return nil, err
	}
	if dst[from] == '$' && d.Topic[0] != '$' {
		return nil, errors.New("edit topic: the result begins with $")
	}
	return dst, nil
}

func checkTopic(topic []byte) error {
	switch {
	case len(topic) == 0:
		return errors.New("edit topic: the result is empty")
	case len(topic) > maxTopic:
		return errors.New("edit topic: the result is too long")
	case !utf8.Valid(topic):
		return errors.New("edit topic: the result is not UTF-8")
	case bytes.ContainsAny(topic, "+#\x00"):
		return errors.New("edit topic: the result holds a wildcard or NUL")
	}
	return nil
}
