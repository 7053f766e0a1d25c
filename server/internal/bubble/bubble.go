// Package bubble runs tests in bubbles of testing/synctest and tells what holds one up. The time of a bubble stands
// still while a goroutine of it waits for a lock. If who has the lock waits for time to pass, the test hangs for good,
// and of hundreds of goroutines one is the reason.
package bubble

import (
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

const (
	lookEvery = 10 * time.Second
	looks     = 3 // that find the same, before a bubble is said to be held up
)

// Test is synctest.Test, but ends the process if a bubble is held up.
func Test(t *testing.T, f func(t *testing.T)) {
	t.Helper()
	done := make(chan struct{})
	var watcher sync.WaitGroup
	watcher.Go(func() { watch(lookEvery, done, func(what string) { panic(what) }) })
	defer watcher.Wait()
	defer close(done)
	synctest.Test(t, f)
}

// watch counts looks, not time: a process that is stopped meanwhile has not hung.
func watch(every time.Duration, done <-chan struct{}, tell func(what string)) {
	tick := time.NewTimer(every)
	defer tick.Stop()
	var last string
	for same := 0; ; {
		select {
		case <-done:
			return
		case <-tick.C:
		}
		tick.Reset(every)
		waiting, resting := held(stacks())
		if waiting == "" || waiting != last {
			last, same = waiting, 0
		}
		if same++; waiting != "" && same == looks {
			tell("a bubble is held up. In it rest:\n\n" + resting + "\n\nand its time stands still for those who wait for one of them:\n\n" + waiting)
		}
	}
}

func stacks() string {
	b := make([]byte, 1<<20)
	for {
		if n := runtime.Stack(b, true); n < len(b) {
			return string(b[:n])
		}
		b = make([]byte, 2*len(b))
	}
}

var (
	inBubble = regexp.MustCompile(`^goroutine \d+ \[([^],]+).*(synctest bubble \d+)\]:`)
	minutes  = regexp.MustCompile(`, \d+ minutes`)
)

// locked are what goroutines wait for until another goroutine does something. Any other reason passes by itself.
var locked = []string{"sync.Mutex.Lock", "sync.RWMutex.Lock", "sync.RWMutex.RLock", "semacquire", "chan receive", "chan send", "select"}

// held finds a bubble in which nobody runs and somebody waits whose wait keeps its time from passing.
func held(stacks string) (waiting, resting string) {
	rests, waits, runs := map[string][]string{}, map[string][]string{}, map[string]bool{}
	for one := range strings.SplitSeq(strings.TrimSpace(stacks), "\n\n") {
		head := inBubble.FindStringSubmatch(one)
		if head == nil {
			continue
		}
		switch state, bubble := head[1], head[2]; {
		case strings.HasSuffix(state, "(durable)"):
			rests[bubble] = append(rests[bubble], one)
		case slices.Contains(locked, state):
			waits[bubble] = append(waits[bubble], minutes.ReplaceAllString(one, ""))
		default:
			runs[bubble] = true
		}
	}
	for bubble, all := range waits {
		if !runs[bubble] {
			return strings.Join(all, "\n\n"), strings.Join(rests[bubble], "\n\n")
		}
	}
	return "", ""
}
