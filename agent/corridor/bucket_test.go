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
