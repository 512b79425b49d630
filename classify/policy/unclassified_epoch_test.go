package policy

import "testing"

// TestEpoch: digits are a time where they may be one and the key says so.
func TestEpoch(t *testing.T) {
	for _, tt := range []struct {
		key, text string
		want      bool
	}{
		{"time", "1700000000", true}, {"ts", "1700000000123", true}, {"created_ts", "1600000000", true}, {"eventTime", "1700000000", true},
		{"EVENT_TIME", "1700000000", true}, {"Timestamp", "1999999999", true}, {"date", "1700000000", true},
		{"phone", "1700000000", false}, {"parts", "1700000000", false}, {"lifetime", "1700000000", false}, {"", "1700000000", false}, {"0", "1700000000", false},
		{"time", "170000000", false}, {"time", "17000000001", false}, {"time", "2700000000", false}, {"time", "1100000000", false}, {"time", "17000000x0", false},
	} {
		if got := epoch([]byte(tt.text)) && timeKey([]byte(tt.key)); got != tt.want {
			t.Errorf("%s=%s: %v", tt.key, tt.text, got)
		}
	}
}
