package main

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"unicode/utf16"
	"unicode/utf8"
)

// maxLine bounds one line of JSON lines.
const maxLine = 64 << 20

// A message is one line of JSON lines: what mosquitto_sub -F %j and %J print
// can be read as well.
type message struct {
	id      json.RawMessage // a string or a number; nil: none
	topic   string
	payload []byte
}

type messageLine struct {
	ID         json.RawMessage `json:"id"`
	Topic      json.RawMessage `json:"topic"`
	Payload    json.RawMessage `json:"payload"`
	PayloadB64 *string         `json:"payload_b64"`
	PayloadLen *int            `json:"payloadlen"` // of mosquitto_sub, which ends a payload at its first NUL
}

var (
	errNotObject = errors.New("not a JSON object")
	errNoPayload = errors.New("neither payload nor payload_b64")
	errCut       = errors.New("payload is not as long as payloadlen says: the tool that wrote the line can't carry it")
	errTooLong   = fmt.Errorf("longer than %s", byteSize(maxLine))
)

// parseMessage reads one line. A payload that is a string is the payload's
// text; any other JSON value is itself the payload, byte for byte. What the
// line says of the id is returned even if the rest can't be used.
func parseMessage(line []byte) (message, error) {
	var x messageLine
	if err := json.Unmarshal(line, &x); err != nil {
		return message{}, errNotObject
	}
	m := message{}
	if len(x.ID) > 0 && (x.ID[0] == '"' || x.ID[0] == '-' || x.ID[0] >= '0' && x.ID[0] <= '9') && utf8.Valid(x.ID) {
		m.id = x.ID
	}
	if len(x.Topic) > 0 && string(x.Topic) != "null" {
		if x.Topic[0] != '"' {
			return m, errors.New("topic is not a string")
		}
		m.topic = string(unquote(x.Topic))
	}
	switch {
	case x.PayloadB64 != nil:
		b, err := base64.StdEncoding.DecodeString(*x.PayloadB64)
		if err != nil {
			return m, errors.New("payload_b64 is not base64")
		}
		m.payload = b
	case len(x.Payload) == 0:
		return m, errNoPayload
	case x.Payload[0] == '"':
		m.payload = unquote(x.Payload)
		if x.PayloadLen != nil && *x.PayloadLen != len(m.payload) {
			return m, errCut
		}
	default:
		m.payload = x.Payload
	}
	return m, nil
}

// unquote decodes a JSON string whose grammar is known to be right. Unlike
// encoding/json it keeps what is not Unicode: bytes that are not UTF-8 as they
// are, and lone surrogates in the bytes that UTF-8 would have for them, so that
// such a payload is judged as what it is and not as a repaired one.
func unquote(q []byte) []byte {
	s := q[1 : len(q)-1]
	if bytes.IndexByte(s, '\\') < 0 {
		return s
	}
	out := make([]byte, 0, len(s))
	for i := 0; i < len(s); {
		if s[i] != '\\' {
			out = append(out, s[i])
			i++
			continue
		}
		c := s[i+1]
		i += 2
		switch c {
		case 'b':
			out = append(out, '\b')
		case 'f':
			out = append(out, '\f')
		case 'n':
			out = append(out, '\n')
		case 'r':
			out = append(out, '\r')
		case 't':
			out = append(out, '\t')
		case 'u':
			r := hex4(s[i:])
			i += 4
			if utf16.IsSurrogate(r) && i+6 <= len(s) && s[i] == '\\' && s[i+1] == 'u' {
				if pair := utf16.DecodeRune(r, hex4(s[i+2:])); pair != utf8.RuneError {
					r = pair
					i += 6
				}
			}
			if utf16.IsSurrogate(r) {
				out = append(out, 0xE0|byte(r>>12), 0x80|byte(r>>6)&0x3F, 0x80|byte(r)&0x3F)
			} else {
				out = utf8.AppendRune(out, r)
			}
		default: // " \ /
			out = append(out, c)
		}
	}
	return out
}

func hex4(s []byte) rune {
	var r rune
	for _, c := range s[:4] {
		switch {
		case c <= '9':
			r = r<<4 | rune(c-'0')
		default:
			r = r<<4 | rune(c|0x20-'a'+10)
		}
	}
	return r
}

// lineReader reads lines of bounded length and steps over longer ones.
type lineReader struct {
	r *bufio.Reader
}

func newLineReader(r io.Reader) *lineReader {
	return &lineReader{bufio.NewReaderSize(r, 256<<10)}
}

// next appends the next line, without its end, to buf. A line that is too long
// is read to its end and returned as errTooLong; io.EOF ends the input.
func (l *lineReader) next(buf []byte) ([]byte, error) {
	from, any, long := len(buf), false, false
	for {
		part, err := l.r.ReadSlice('\n')
		any = any || len(part) > 0
		if !long && len(buf)-from+len(part) > maxLine+2 {
			long = true
			buf = buf[:from]
		}
		if !long {
			buf = append(buf, part...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err != nil && (!errors.Is(err, io.EOF) || !any):
			return buf[:from], err
		case long:
			return buf, errTooLong
		}
		line := bytes.TrimSuffix(buf[from:], []byte("\n"))
		line = bytes.TrimSuffix(line, []byte("\r"))
		return buf[:from+len(line)], nil
	}
}

// waiting reports whether more input is there without waiting for it.
func (l *lineReader) waiting() bool { return l.r.Buffered() > 0 }
