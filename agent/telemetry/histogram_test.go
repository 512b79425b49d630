package telemetry

import (
	"math"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// TestHistogram holds both kinds of buckets to the client library's, which gets
// the same observations.
func TestHistogram(t *testing.T) {
	s := newScale()
	h := s.histogram()
	var bounds []float64
	for _, b := range classicBounds {
		bounds = append(bounds, b.Seconds())
	}
	ref := prometheus.NewHistogram(prometheus.HistogramOpts{
		Name: "x", Help: "x", Buckets: bounds, NativeHistogramBucketFactor: 1.2, NativeHistogramZeroThreshold: zeroThreshold,
	})
	durations := []time.Duration{0, 1, 119, 120, 999, 1000, 1001, 2500, 2501, time.Second - 1, time.Second, time.Second + 1, 70 * time.Second, 3 * time.Millisecond}
	for d := time.Duration(100); d < time.Hour; d += d / 7 {
		durations = append(durations, d)
	}
	for _, d := range durations {
		h.observe(s, d)
		ref.Observe(d.Seconds())
	}
	var got, want dto.Metric
	if err := (&histogramMetric{scale: s, h: h}).Write(&got); err != nil {
		t.Fatal(err)
	}
	if err := ref.Write(&want); err != nil {
		t.Fatal(err)
	}
	g, w := got.Histogram, want.Histogram
	if g.GetSampleCount() != w.GetSampleCount() || math.Abs(g.GetSampleSum()-w.GetSampleSum()) > 1e-6 || g.GetSchema() != w.GetSchema() || g.GetZeroCount() != w.GetZeroCount() || g.GetZeroCount() < 2 {
		t.Errorf("count, sum, schema or zero bucket differ: %v, want %v", g, w)
	}
	for i := range w.Bucket {
		if g.Bucket[i].GetCumulativeCount() != w.Bucket[i].GetCumulativeCount() || g.Bucket[i].GetUpperBound() != w.Bucket[i].GetUpperBound() {
			t.Errorf("classic bucket %d: %v, want %v", i, g.Bucket[i], w.Bucket[i])
		}
	}
	got1, want1 := unfold(g), unfold(w)
	for i, n := range want1 {
		if got1[i] != n {
			t.Errorf("native bucket %d: %d, want %d", i, got1[i], n)
		}
	}
	if len(got1) != len(want1) || len(want1) < 100 {
		t.Errorf("%d native buckets, want %d, more than 100", len(got1), len(want1))
	}
}

// TestHistogramEnds: what is beyond both ends is counted, not lost.
func TestHistogramEnds(t *testing.T) {
	s := newScale()
	h := s.histogram()
	for _, d := range []time.Duration{-1, math.MinInt64, math.MaxInt64} {
		h.observe(s, d)
	}
	if h.counts[0] != 2 || h.counts[len(h.counts)-1] != 1 {
		t.Errorf("ends: %v", h.counts)
	}
}

// unfold returns the native buckets that are not empty.
func unfold(h *dto.Histogram) map[int32]int64 {
	out := map[int32]int64{}
	i, n, next := int32(0), int64(0), 0
	for _, span := range h.PositiveSpan {
		i += span.GetOffset()
		for range span.GetLength() {
			n += h.PositiveDelta[next]
			next++
			if n != 0 {
				out[i] = n
			}
			i++
		}
	}
	return out
}
