package telemetry

import (
	"math"
	"math/bits"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// A scale sorts durations into the cells of a native histogram of schema 2,
// four to each power of two of a second, split at the bounds of the classic
// buckets too, so that one increment serves both kinds. It does not change.
type scale struct {
	cells []cell
	first [65]int // by number of bits of the nanoseconds: where to look from
}

type cell struct {
	upTo    int64 // nanoseconds, inclusive
	native  int32 // index of the native bucket; of no meaning in the zero bucket
	classic int   // index in classicBounds; len(classicBounds): above all
}

const (
	nativeSchema  = 2
	zeroThreshold = 1.0 / (1 << 23) // seconds: some 119 ns, below which no clock tells more
	lastOctave    = 12              // some 68 minutes; longer is counted there
)

var classicBounds = [...]time.Duration{
	time.Microsecond, 2500 * time.Nanosecond, 5 * time.Microsecond, 10 * time.Microsecond, 25 * time.Microsecond, 50 * time.Microsecond,
	100 * time.Microsecond, 500 * time.Microsecond, time.Millisecond, 5 * time.Millisecond, 25 * time.Millisecond, 100 * time.Millisecond, time.Second,
}

func newScale() *scale {
	s := &scale{}
	for i := int32(-23 << nativeSchema); i <= lastOctave<<nativeSchema; i++ {
		s.cells = append(s.cells, cell{upTo: int64(math.Exp2(float64(i)/(1<<nativeSchema)) * 1e9), native: i})
	}
	s.cells[len(s.cells)-1].upTo = math.MaxInt64
	for n, b := range classicBounds {
		i := slices.IndexFunc(s.cells, func(c cell) bool { return c.upTo >= int64(b) })
		if s.cells[i].upTo > int64(b) {
			s.cells = slices.Insert(s.cells, i, cell{upTo: int64(b), native: s.cells[i].native, classic: s.cells[i].classic})
		}
		for ; i < len(s.cells); i++ {
			if s.cells[i].upTo > int64(b) {
				s.cells[i].classic = n + 1
			}
		}
	}
	for n := range s.first {
		low := int64(0)
		if n > 0 {
			low = int64(min(uint64(1)<<(n-1), math.MaxInt64))
		}
		s.first[n] = slices.IndexFunc(s.cells, func(c cell) bool { return c.upTo >= low })
	}
	return s
}

// histogram counts durations. It is not safe for concurrent use.
type histogram struct {
	counts []uint64 // by cell of the scale
	sum    time.Duration
}

func (s *scale) histogram() histogram { return histogram{counts: make([]uint64, len(s.cells))} }

func (h *histogram) observe(s *scale, d time.Duration) {
	d = max(d, 0) // a wall clock that was set back
	i := s.first[bits.Len64(uint64(d))]
	for s.cells[i].upTo < int64(d) {
		i++
	}
	h.counts[i]++
	h.sum += d
}

func (h *histogram) clone() histogram { return histogram{slices.Clone(h.counts), h.sum} }

// histogramMetric is a histogram at one moment.
type histogramMetric struct {
	desc   *prometheus.Desc
	labels []*dto.LabelPair
	scale  *scale
	h      histogram
}

func (m *histogramMetric) Desc() *prometheus.Desc { return m.desc }

// Write implements prometheus.Metric: native buckets for those who ask, and
// classic ones for the rest.
func (m *histogramMetric) Write(out *dto.Metric) error {
	var total, zero uint64
	native := map[int32]uint64{}
	classic := [len(classicBounds) + 1]uint64{}
	for i, n := range m.h.counts {
		c := &m.scale.cells[i]
		total += n
		classic[c.classic] += n
		switch {
		case i == 0:
			zero = n
		case n > 0:
			native[c.native] += n
		}
	}
	h := &dto.Histogram{SampleCount: &total, SampleSum: new(m.h.sum.Seconds()), ZeroCount: &zero, ZeroThreshold: new(zeroThreshold), Schema: new(int32(nativeSchema))}
	var below uint64
	for i, b := range classicBounds {
		below += classic[i]
		h.Bucket = append(h.Bucket, &dto.Bucket{UpperBound: new(b.Seconds()), CumulativeCount: new(below)})
	}
	h.PositiveSpan, h.PositiveDelta = spans(native)
	if len(h.PositiveSpan) == 0 {
		h.PositiveSpan = []*dto.BucketSpan{{Offset: new(int32(0)), Length: new(uint32(0))}} // marks an empty native histogram
	}
	out.Label, out.Histogram = m.labels, h
	return nil
}

// spans writes sparse buckets as the exposition format wants them: runs, and
// differences between neighbours.
func spans(buckets map[int32]uint64) (out []*dto.BucketSpan, deltas []int64) {
	indexes := make([]int32, 0, len(buckets))
	for i := range buckets {
		indexes = append(indexes, i)
	}
	slices.Sort(indexes)
	next, last := int32(0), int64(0)
	for _, i := range indexes {
		if len(out) == 0 || i != next {
			out = append(out, &dto.BucketSpan{Offset: new(i - next), Length: new(uint32(0))})
		}
		*out[len(out)-1].Length++
		deltas = append(deltas, int64(buckets[i])-last)
		last, next = int64(buckets[i]), i+1
	}
	return out, deltas
}
