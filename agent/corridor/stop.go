package corridor

import (
	"fmt"
	"time"
)

// The reason codes with which a broker refuses messages not for what they are:
// the lane stops, and tries again later.
const (
	codeUnauthorized = 0x87
	codeQuota        = 0x97
)

// The reason codes with which a broker refuses a message for what it is. It
// goes to quarantine.
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
}

const (
	stopFirst = 5 * time.Second
	stopMax   = 10 * time.Minute
)

// refuse takes the broker's word that it does not want a record.
func (s *sender) refuse(f flight, code byte) error {
	switch code {
	case codeTopicInvalid, codePacketLarge, codePayloadInvalid:
		return s.quarantine(f, reasonRefused)
	}
	st := &s.stops[f.lane]
	st.rewind = true
	if st.code != 0 && time.Now().Before(st.until) {
		return nil // it was under way with the one that stopped the lane
	}
	pause := min(stopMax, s.u.StopFirst<<min(st.tries, 16))
	st.code, st.until = code, time.Now().Add(pause)
	st.tries++
	s.c.opt.Logger.Error("the uplink refuses the messages of a lane; it stands", "uplink", s.u.Name, "lane", laneWeights[f.lane].lane, "reason", fmt.Sprintf("0x%02x", code), "retry_in", pause)
	s.tell()
	return nil
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
	return st.code == 0 || !time.Now().Before(st.until)
}

// went notes that the broker took a message of a lane again.
func (s *sender) went(lane int) {
	st := &s.stops[lane]
	if st.code != 0 && !st.rewind {
		st.code, st.tries = 0, 0
		s.tell()
	}
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

// quarantine sets a record aside for good, still protected.
func (s *sender) quarantine(f flight, reason string) error {
	cur := s.lanes[f.lane]
	if err := s.c.opt.Spool.Quarantine(s.index, cur, f.pos, reason); err != nil {
		s.c.opt.Logger.Error("record can't be moved to quarantine; it stays at the head", "uplink", s.u.Name, "error", err)
		return err
	}
	s.stats.quarantined.Add(1)
	s.c.opt.Logger.Error("message moved to quarantine", "uplink", s.u.Name, "reason", reason, "message_id", hexID(f.id))
	return nil
}

func hexID(id [16]byte) string { return fmt.Sprintf("%x", id[:]) }
