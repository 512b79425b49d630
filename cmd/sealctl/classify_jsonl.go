package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"runtime"
	"strconv"
	"sync"

	"github.com/sealgate/sealgate/classify"
	"github.com/sealgate/sealgate/classify/payload"
	"github.com/sealgate/sealgate/classify/policy"
)

const (
	batchBytes  = 64 << 10 // lines of one piece of work
	batchLines  = 256      //
	underWay    = 64 << 20 // bytes of lines read and not yet written
	toldOfLines = 10       // bad lines that are named on stderr
)

// A batch is some lines on their way through a worker. Batches are written in
// the order in which they were read.
type batch struct {
	lines []byte
	ends  []int // end of each line in lines; negative: -end, the line was too long
	size  int   // of lines, which are let go of when they are judged
	first int   // number of the first line
	out   []byte
	bad   []badLine
	count int
	done  chan struct{}
}

type badLine struct {
	number int
	err    error
}

// jsonLines reads one message a line and writes one verdict a line, in order.
func (e *env) jsonLines(ctx context.Context, j *judge, in io.Reader) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	workers := runtime.GOMAXPROCS(0)
	work := make(chan *batch)
	order := make(chan *batch, 4*workers)
	room := newBudget(underWay)

	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			w := j.worker()
			for b := range work {
				w.batch(b)
				b.lines = nil
				close(b.done)
			}
		})
	}
	var readErr error
	wg.Go(func() {
		defer close(order)
		defer close(work)
		readErr = readBatches(ctx, newLineReader(in), room, func(b *batch) bool {
			select {
			case order <- b:
			case <-ctx.Done():
				return false
			}
			work <- b
			return true
		})
	})

	// Once writing has failed the rest is only drained, so that the others end.
	out := bufio.NewWriterSize(e.stdout, 256<<10)
	var writeErr error
	lines, bad := 0, 0
	for b := range order {
		<-b.done
		if writeErr == nil {
			_, writeErr = out.Write(b.out)
			if writeErr == nil && len(order) == 0 {
				writeErr = out.Flush()
			}
			if writeErr != nil {
				cancel()
			}
		}
		for _, x := range b.bad {
			if bad++; bad <= toldOfLines {
				fmt.Fprintf(e.stderr, "sealctl: line %d: %v\n", x.number, x.err)
			}
		}
		lines += b.count
		room.give(b.size)
	}
	wg.Wait()
	if writeErr != nil {
		return fmt.Errorf("write verdicts: %w", writeErr)
	}
	if bad > 0 {
		fmt.Fprintf(e.stderr, "sealctl: %s of %s hold no message; their verdicts have the reason malformed or too_large\n", thousands(bad), plural(lines, "line", "lines"))
	}
	if readErr != nil {
		return fmt.Errorf("read messages: %w", readErr)
	}
	return nil
}

// readBatches cuts the input into batches: as long as input is waiting they are
// filled, else handed on at once, so that a slow producer gets its answers.
func readBatches(ctx context.Context, lr *lineReader, room *budget, emit func(*batch) bool) error {
	number := 1
	for {
		b := &batch{first: number, done: make(chan struct{})}
		var err error
		for {
			var grown []byte
			grown, err = lr.next(b.lines)
			if err != nil && !errors.Is(err, errTooLong) {
				break
			}
			b.lines = grown
			if err != nil {
				b.ends = append(b.ends, -1)
			} else {
				b.ends = append(b.ends, len(grown))
			}
			err = nil
			if len(b.lines) >= batchBytes || len(b.ends) >= batchLines || !lr.waiting() {
				break
			}
		}
		if len(b.ends) > 0 {
			number += len(b.ends)
			b.size = len(b.lines)
			room.take(b.size)
			if !emit(b) {
				return ctx.Err()
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// batch judges the lines of a batch.
func (w *worker) batch(b *batch) {
	start := 0
	for i, end := range b.ends {
		if end < 0 {
			b.fail(b.first+i, nil, payload.ReasonTooLarge, errTooLong)
			continue
		}
		line := b.lines[start:end]
		start = end
		if len(bytes.TrimSpace(line)) == 0 {
			continue
		}
		m, err := parseMessage(line)
		if err != nil {
			b.fail(b.first+i, m.id, payload.ReasonMalformed, err)
			continue
		}
		v := w.look(m.topic, m.payload)
		b.count++
		b.out = appendVerdict(b.out, m.id, &v)
	}
}

// fail writes the line of what is not a message: like a payload that can't be
// read it would be sealed.
func (b *batch) fail(number int, id json.RawMessage, why payload.Reason, err error) {
	b.count++
	b.bad = append(b.bad, badLine{number, err})
	b.out = appendVerdict(b.out, id, &verdict{
		Format: "unreadable", Grade: classify.Ungraded, Residual: classify.Ungraded,
		Action: policy.MessageSeal.String(), Reason: why,
	})
}

// appendVerdict writes one line of `classify --jsonl`. Its shape is fixed.
func appendVerdict(dst []byte, id json.RawMessage, v *verdict) []byte {
	dst = append(dst, `{"id":`...)
	if id == nil {
		dst = append(dst, `""`...)
	} else {
		dst = append(dst, id...)
	}
	dst = appendMember(dst, `,"format":`, v.Format)
	dst = appendMember(dst, `,"grade":`, v.Grade.String())
	dst = appendMember(dst, `,"residual_grade":`, v.Residual.String())
	dst = appendMember(dst, `,"action":`, v.Action)
	dst = appendMember(dst, `,"reason":`, string(v.Reason))
	dst = append(dst, `,"findings":[`...)
	for i := range v.Findings {
		f := &v.Findings[i]
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendMember(dst, `{"path":`, f.Path)
		dst = appendMember(dst, `,"class":`, f.Class)
		dst = appendMember(dst, `,"grade":`, f.Grade)
		dst = strconv.AppendInt(append(dst, `,"confidence":`...), int64(f.Confidence), 10)
		dst = appendMember(dst, `,"detector":`, f.Detector)
		dst = strconv.AppendUint(append(dst, `,"start":`...), uint64(f.Start), 10)
		dst = strconv.AppendUint(append(dst, `,"end":`...), uint64(f.End), 10)
		dst = appendMember(dst, `,"action":`, f.Action)
		dst = append(dst, '}')
	}
	return append(dst, "]}\n"...)
}

func appendMember(dst []byte, name, value string) []byte {
	dst = append(dst, name...)
	for i := range len(value) {
		if c := value[i]; c < 0x20 || c >= 0x7f || c == '"' || c == '\\' {
			q, _ := json.Marshal(value) // a string always has a JSON form
			return append(dst, q...)
		}
	}
	dst = append(dst, '"')
	dst = append(dst, value...)
	return append(dst, '"')
}

// A budget bounds bytes in memory. One who takes more than there is in all waits
// until nobody else has any.
type budget struct {
	mu   sync.Mutex
	free *sync.Cond
	size int
	used int // guarded by mu
}

func newBudget(size int) *budget {
	b := &budget{size: size}
	b.free = sync.NewCond(&b.mu)
	return b
}

func (b *budget) take(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for b.used > 0 && b.used+n > b.size {
		b.free.Wait()
	}
	b.used += n
}

func (b *budget) give(n int) {
	b.mu.Lock()
	b.used -= n
	b.mu.Unlock()
	b.free.Signal()
}
