package corridor

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/sealgate/sealgate/agent/spool"
)

// The reason codes with which a broker refuses messages not for what they are:
// the lane stops, and tries again later.
const (
	codeUnauthorized = 0x87
	codeQuota        = 0x97
)

// The reason codes with which a broker refuses a message for what it is. It
// goes to quarantine, or where that is full and the broker takes nothing, the
// lane stops.
const (
	codeTopicInvalid   = 0x90
	codePacketLarge    = 0x95
	codePayloadInvalid = 0x99
)

// A stop is a lane that the broker refuses. It stands until a moment; then it
// starts again from the first record that is not acknowledged.
type stop struct {
	code   byte // 0: the lane goes
	until  time.Time
	tries  int
	flying int  // sent and not answered
	rewind bool // once nothing is under way
	full   bool // for a quarantine that is full: one message at a time is tried

	spurned int // messages refused for what they are since the broker took one of the lane
}

const (
	stopFirst = 5 * time.Second
	stopMax   = 10 * time.Minute
	stopFull  = 30 * time.Second // a message of another topic may have come, and be taken

	// spurnedMost is how many messages in a row may be refused for what they
	// are, and still push others out of a full quarantine. More of them say
	// something of the broker, not of the messages.
	spurnedMost = 256
)

// RefusesContent reports whether a reason code (MQTT 5, 2.4) refuses a message
// for what it is, and not for when or by whom it was sent.
func RefusesContent(code byte) bool {
	return code == codeTopicInvalid || code == codePacketLarge || code == codePayloadInvalid
}

// refuse takes the broker's word that it does not want a record.
func (s *sender) refuse(f flight, code byte) error {
	if RefusesContent(code) {
		return s.quarantine(f, reasonRefused, code)
	}
	s.stand(f.lane, code, false)
	return nil
}

// stand stops a lane for a while.
func (s *sender) stand(i int, code byte, full bool) {
	st := &s.stops[i]
	st.rewind = true
	if st.code != 0 && time.Now().Before(st.until) {
		return // it was under way with the one that stopped the lane
	}
	if full && !st.full { // before anybody is alarmed, another message is tried
		st.code, st.until, st.full, st.tries = code, time.Now(), true, 0
		return
	}
	most := stopMax
	if full {
		most = stopFull
	}
	pause := min(most, s.u.StopFirst<<min(st.tries, 16))
	pause -= rand.N(pause/4 + 1) // gateways that one broker refused must not come back together
	st.code, st.until, st.full = code, time.Now().Add(pause), full
	st.tries++
	lane, reason := laneWeights[i].lane, fmt.Sprintf("0x%02x", code)
	if full {
		s.c.opt.Logger.Error("the uplink takes nothing and its quarantine is full; the lane stands", "uplink", s.u.Name, "lane", lane, "reason", reason, "retry_in", pause)
	} else {
		s.c.opt.Logger.Error("the uplink refuses the messages of a lane; it stands", "uplink", s.u.Name, "lane", lane, "reason", reason, "retry_in", pause)
	}
	s.tell()
}

// goes reports whether a lane does not stand, or may be tried again.
func (s *sender) goes(lane int) bool {
	st := &s.stops[lane]
	if st.rewind {
		if st.flying > 0 {
			return false
		}
		s.lanes[lane].Rewind()
		s.held[lane] = held{}
		st.rewind = false
	}
	if st.full && st.flying > 0 {
		return false
	}
	return st.code == 0 || !time.Now().Before(st.until)
}

// next is a lane's next record. A lane that stands for a full quarantine tries
// by turns another one than its head, from ever further behind, and its head:
// bad messages at the head must not keep it standing. What is tried out of turn
// is the first of its topic, so that no order is touched.
func (s *sender) next(lane int) (*spool.Record, spool.Pos, bool, error) {
	cur, st := s.lanes[lane], &s.stops[lane]
	rec, pos, ok, err := cur.Next()
	if err != nil || !ok || !st.full || st.tries%2 == 1 || rec.Kind == spool.KindFence {
		return rec, pos, ok, err
	}
	st.rewind = true // what is passed over comes again
	topics := map[string]bool{rec.Topic: true}
	for range probeDepth {
		further, at, more, err := cur.Next()
		if err != nil {
			return nil, at, false, err
		}
		if !more || further.Kind == spool.KindFence {
			break
		}
		if topics[further.Topic] {
			continue
		}
		rec, pos = further, at
		if topics[rec.Topic] = true; len(topics) > 1<<min(st.tries/2, 16) {
			break
		}
	}
	return rec, pos, true, nil
}

// went notes that the broker took a message of a lane again.
func (s *sender) went(lane int) {
	st := &s.stops[lane]
	st.spurned = 0
	if st.full || st.code != 0 && !st.rewind {
		s.lift(lane)
	}
}

// lift lets a lane go on.
func (s *sender) lift(lane int) {
	st := &s.stops[lane]
	st.rewind = st.rewind || st.full
	st.code, st.tries, st.full = 0, 0, false
	s.tell()
}

// tell says which refusal stands, for an alarm.
func (s *sender) tell() {
	if s.u.Refused == nil {
		return
	}
	for i := range s.stops {
		if c := s.stops[i].code; c != 0 {
			s.u.Refused(c)
			return
		}
	}
	s.u.Refused(0)
}

// patience is how long until a lane that stands, or the rate, lets something
// go; 0 if neither holds anything.
func (s *sender) patience(now time.Time) time.Duration {
	wait := s.bucket.wait(now)
	for i := range s.stops {
		if st := &s.stops[i]; st.code != 0 && !st.rewind && st.until.After(now) {
			if d := st.until.Sub(now); wait == 0 || d < wait {
				wait = d
			}
		}
	}
	return wait
}

// quarantine sets a record aside for good, still protected. Where others would
// be lost for it, and the broker took none of the last messages, the lane stands
// instead.
func (s *sender) quarantine(f flight, reason string, code byte) error {
	cur := s.lanes[f.lane]
	st := &s.stops[f.lane]
	err := s.c.opt.Spool.Quarantine(s.index, cur, f.pos, reason, st.spurned < spurnedMost)
	if errors.Is(err, spool.ErrQuarantineFull) {
		s.stand(f.lane, code, true)
		return nil
	}
	if err != nil {
		s.c.opt.Logger.Error("record can't be moved to quarantine; it stays at the head", "uplink", s.u.Name, "error", err)
		return err
	}
	st.spurned = min(st.spurned+1, spurnedMost)
	if st.full {
		s.lift(f.lane) // somebody made room
	}
	s.stats.quarantined.Add(1)
	s.c.opt.Logger.Error("message moved to quarantine", "uplink", s.u.Name, "reason", reason, "message_id", hexID(f.id))
	return nil
}

func hexID(id [16]byte) string { return fmt.Sprintf("%x", id[:]) }
