package bubble

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestWhoHoldsABubbleUpIsTold(t *testing.T) {
	done, told, outside := make(chan struct{}), make(chan string, 1), make(chan struct{})
	var once sync.Once
	go watch(time.Millisecond, done, func(what string) {
		once.Do(func() {
			told <- what
			close(outside)
		})
	})
	defer close(done)
	synctest.Test(t, func(*testing.T) {
		var rests sync.WaitGroup
		rests.Go(func() { time.Sleep(time.Hour) })
		waitOutside(outside) // as for a lock: no time passes
		rests.Wait()
	})
	what := <-told
	require.Regexp(t, `(?s)In it rest:.*time\.Sleep.*stands still.*waitOutside`, what)
}

func waitOutside(c <-chan struct{}) { <-c }

func TestABubbleIsHeldUpIfNobodyRunsAndNotAllRest(t *testing.T) {
	const (
		rests = "goroutine 7 [select (durable), 4 minutes, synctest bubble 5]:\nmain.a()"
		waits = "goroutine 8 [sync.RWMutex.Lock, 3 minutes, synctest bubble 5]:\nmain.b()"
		runs  = "goroutine 9 [runnable, synctest bubble 5]:\nmain.c()"
		reads = "goroutine 9 [IO wait, synctest bubble 5]:\nmain.c()"
		other = "goroutine 10 [running, synctest bubble 6]:\nmain.d()"
		none  = "goroutine 11 [chan receive, 4 minutes]:\nmain.e()"
	)
	for name, c := range map[string]struct {
		stacks string
		held   bool
	}{
		"all rest":                       {rests + "\n\n" + none, false},
		"one waits for a lock":           {none + "\n\n" + rests + "\n\n" + waits + "\n\n" + other + "\n", true},
		"one waits and another runs":     {waits + "\n\n" + runs, false},
		"one waits and another does I/O": {waits + "\n\n" + reads + "\n\n" + rests, false},
		"nobody is in a bubble":          {none, false},
	} {
		t.Run(name, func(t *testing.T) {
			waiting, resting := held(c.stacks)
			if !c.held {
				require.Empty(t, waiting)
				return
			}
			require.Equal(t, "goroutine 8 [sync.RWMutex.Lock, synctest bubble 5]:\nmain.b()", waiting)
			require.Equal(t, rests, resting)
		})
	}
}
