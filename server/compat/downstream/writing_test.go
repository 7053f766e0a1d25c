package downstream

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	blockRows  = 10
	writeEvery = 50 * time.Millisecond // an insert makes a part, and parts want to be merged
	flowing    = 10                    // inserts of each replica that show that writing goes on
	// unknownStatus is what ClickHouse says when it lost its session amid an insert.
	unknownStatus = "Code: 319"
)

// counter gives each row its own id.
type counter struct{ last atomic.Uint64 }

func (c *counter) block() []uint64 {
	end := c.last.Add(blockRows)
	block := make([]uint64, blockRows)
	for i := range block {
		block[i] = end - uint64(len(block)-1-i)
	}
	return block
}

// values are the rows of a block as an INSERT has them.
func values(block []uint64) string {
	var rows strings.Builder
	for _, id := range block {
		fmt.Fprintf(&rows, "(%d,'event %d',%d)", id, id, id*id)
	}
	return rows.String()
}

func join(ids []uint64) string {
	words := make([]string, len(ids))
	for i, id := range ids {
		words[i] = strconv.FormatUint(id, 10)
	}
	return strings.Join(words, ",")
}

// blocks are the rows that a client was told are written.
type blocks struct {
	mu  sync.Mutex // guards all
	all [][]uint64
}

func (b *blocks) add(block []uint64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.all = append(b.all, block)
}

// take removes a block.
func (b *blocks) take() []uint64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	first := b.all[0]
	b.all = b.all[1:]
	return first
}

func (b *blocks) rows() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.all) * blockRows
}

// sums are the count of rows and of different ids, and the sums of ids and of their squares.
func (b *blocks) sums() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	var count, ids, squares uint64
	for _, block := range b.all {
		for _, id := range block {
			count, ids, squares = count+1, ids+id, squares+id*id
		}
	}
	return fmt.Sprintf("%d,%d,%d,%d", count, count, ids, squares)
}

// writing is a client at each replica that writes block after block; one that is
// refused it writes again until it is taken, as ClickHouse asks of clients.
type writing struct {
	s       *shard
	stop    chan struct{}
	wg      sync.WaitGroup
	writers []*writer
}

type writer struct {
	replica *replica
	mu      sync.Mutex // guards the rest
	taken   []time.Time
	refused []string
}

func (s *shard) write() *writing {
	w := &writing{s: s, stop: make(chan struct{})}
	for _, r := range s.replicas {
		one := &writer{replica: r}
		w.writers = append(w.writers, one)
		w.wg.Go(func() { one.run(s, w.stop) })
	}
	return w
}

// run ends between two blocks: none is left in doubt.
func (w *writer) run(s *shard, stop chan struct{}) {
	tick := time.NewTicker(writeEvery)
	defer tick.Stop()
	block := s.ids.block()
	for fresh := true; ; <-tick.C {
		select {
		case <-stop:
			if fresh {
				return
			}
		default:
		}
		if err := w.replica.insert(block, ""); err != nil {
			fresh = false
			w.note(func() { w.refused = append(w.refused, err.Error()) })
			continue
		}
		fresh = true
		s.told.add(block)
		w.note(func() { w.taken = append(w.taken, time.Now()) })
		block = s.ids.block()
	}
}

func (w *writer) note(what func()) {
	w.mu.Lock()
	defer w.mu.Unlock()
	what()
}

// flows waits until every replica has taken some more blocks.
func (w *writing) flows() {
	w.s.Helper()
	for _, one := range w.writers {
		var from int
		one.note(func() { from = len(one.taken) })
		w.s.await("inserts into "+one.replica.name, func() (err error) {
			one.note(func() {
				if len(one.taken) < from+flowing {
					err = fmt.Errorf("%d taken, %d refused: %.300s", len(one.taken)-from, len(one.refused), last(one.refused))
				}
			})
			return err
		})
	}
}

// ebbs waits until every replica has refused some blocks.
func (w *writing) ebbs() {
	w.s.Helper()
	for _, one := range w.writers {
		w.s.await("refusals by "+one.replica.name, func() (err error) {
			one.note(func() {
				if len(one.refused) < flowing {
					err = fmt.Errorf("%d refused", len(one.refused))
				}
			})
			return err
		})
	}
}

func (w *writing) end() {
	close(w.stop)
	w.wg.Wait()
}

func (w *writing) inDoubt() (n int) {
	for _, one := range w.writers {
		for _, why := range one.refused {
			if strings.Contains(why, unknownStatus) {
				n++
			}
		}
	}
	return n
}

// report tells how long each replica took nothing around a moment.
func (w *writing) report(at time.Time) string {
	parts := make([]string, len(w.writers))
	for i, one := range w.writers {
		parts[i] = fmt.Sprintf("%s without inserts for %v, %d refused", one.replica.name, longestGap(one.taken, at), len(one.refused))
	}
	return fmt.Sprintf("%s (%d in doubt)", strings.Join(parts, "; "), w.inDoubt())
}

// longestGap is the longest time between two moments of which the later one is after at.
func longestGap(taken []time.Time, at time.Time) (gap time.Duration) {
	for i := 1; i < len(taken); i++ {
		if taken[i].After(at) {
			gap = max(gap, taken[i].Sub(taken[i-1]))
		}
	}
	return gap.Round(10 * time.Millisecond)
}

func last(lines []string) string {
	if len(lines) == 0 {
		return ""
	}
	return lines[len(lines)-1]
}
