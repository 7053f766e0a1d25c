package main

import (
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/schollz/progressbar/v3"
)

// tellEvery is how often long work says how far it is where no bar is seen.
const tellEvery = 10 * time.Second

// progress tells how far long work is: with a bar on a terminal, else with a
// line at times on the error output, and with nothing to programs that read
// values. Finish ends it.
type progress struct {
	bar   *progressbar.ProgressBar
	doing string
	unit  string
	done  atomic.Int64
	begun time.Time

	ended    chan struct{}
	finished sync.Once
	telling  sync.WaitGroup
}

// progress is that of work which takes so many nodes.
func (e *env) progress(doing string) *progress { return e.progressOf(doing, "nodes") }

// progressOf is that of work which takes so many of a unit; without one nothing
// but time is known of it.
func (e *env) progressOf(doing, unit string) *progress {
	opts := []progressbar.Option{
		progressbar.OptionSetDescription(doing), progressbar.OptionSetWriter(e.errw),
		progressbar.OptionSetVisibility(e.barsAreSeen()), progressbar.OptionThrottle(100 * time.Millisecond),
		progressbar.OptionClearOnFinish(), progressbar.OptionSetRenderBlankState(true),
	}
	switch unit {
	case "":
	case "bytes":
		opts = append(opts, progressbar.OptionShowBytes(true), progressbar.OptionShowCount())
	default:
		opts = append(opts, progressbar.OptionShowCount(), progressbar.OptionSetItsString(unit), progressbar.OptionShowIts())
	}
	p := &progress{bar: progressbar.NewOptions(-1, opts...), doing: doing, unit: unit, begun: time.Now(), ended: make(chan struct{})}
	if !e.barsAreSeen() && !e.out.structured() {
		ticks := time.NewTicker(tellEvery)
		p.telling.Go(func() {
			defer ticks.Stop()
			p.tell(e.errw, ticks.C)
		})
	}
	return p
}

// barsAreSeen tells that the error output is a terminal, and for people.
func (e *env) barsAreSeen() bool {
	return e.errorsAreSeen() && !e.out.structured()
}

func (p *progress) tell(w io.Writer, ticks <-chan time.Time) {
	for {
		select {
		case <-p.ended:
			return
		case now := <-ticks:
			line := fmt.Sprintf("lycaon: %s, %s", p.doing, now.Sub(p.begun).Round(time.Second))
			if p.unit != "" {
				line += fmt.Sprintf(", %d %s", p.done.Load(), p.unit)
			}
			fmt.Fprintln(w, line)
		}
	}
}

// Add counts what was done.
func (p *progress) Add(n int) {
	p.done.Add(int64(n))
	p.bar.Add(n)
}

// Write counts bytes, for what is written elsewhere too.
func (p *progress) Write(b []byte) (int, error) {
	p.Add(len(b))
	return len(b), nil
}

// Clear makes room for a line.
func (p *progress) Clear() { p.bar.Clear() }

// Finish takes the bar away. It may be called again.
func (p *progress) Finish() {
	p.finished.Do(func() {
		close(p.ended)
		p.telling.Wait()
		p.bar.Finish()
	})
}
