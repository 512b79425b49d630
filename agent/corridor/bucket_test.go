package corridor

import (
	"testing"
	"time"
)

func TestBucket(t *testing.T) {
	now := time.Unix(1_000, 0)
	b := newBucket(Rate{Messages: 10, Bytes: 1000})
	sent := 0
	for ; b.wait(now) == 0; sent++ {
		b.take(10)
	}
	if sent != 10 {
		t.Errorf("%d messages at once at 10 a second", sent)
	}
	if d := b.wait(now); d > 200*time.Millisecond {
		t.Errorf("next one in %s", d)
	}
	now = now.Add(time.Second)
	if b.wait(now) != 0 {
		t.Error("nothing goes after a second")
	}
	b.take(5000) // larger than the bucket: passes, and is paid for
	if d := b.wait(now); d < 4*time.Second-10*time.Millisecond || d > 5*time.Second {
		t.Errorf("after 5,000 bytes at 1,000 a second the next goes in %s", d)
	}
	if d := b.wait(now.Add(-time.Hour)); d > 5*time.Second {
		t.Errorf("a clock that went back costs %s", d)
	}
	free := newBucket(Rate{})
	free.take(1 << 30)
	if free.wait(now) != 0 {
		t.Error("no rate holds something back")
	}
}

// TestBackoff: pauses grow, are drawn anew each time, and stay within the limit,
// however often a connection failed.
func TestBackoff(t *testing.T) {
	const limit, draws = time.Minute, 200
	for _, attempt := range []int{1, 2, 5, 9, 64, 1 << 30} {
		top := min(limit, 250*time.Millisecond<<min(attempt, 20))
		var least, most time.Duration = limit, 0
		for range draws {
			d := backoff(attempt, limit)
			least, most = min(least, d), max(most, d)
		}
		if least <= 0 || most > top+10*time.Millisecond {
			t.Errorf("attempt %d: pauses from %s to %s, want at most %s", attempt, least, most, top)
		}
		if least > top/4 || most < top/2 { // 200 draws that avoid a quarter: one in 10²⁵
			t.Errorf("attempt %d: pauses from %s to %s are no full jitter below %s", attempt, least, most, top)
		}
	}
}
