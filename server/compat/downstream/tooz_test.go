package downstream

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const tooz = "/usr/lib/python3/dist-packages/tooz"

// crew are three workers of tooz, which OpenStack's services coordinate by: they
// count under a lock, form a group and have a leader.
type crew struct {
	*run
	counter string
	workers []*program
}

func TestTooz(t *testing.T) {
	r := begin(t, need{python, "python3"}, need{kazoo, "python3-kazoo"}, need{tooz, "python3-tooz"})
	c := &crew{run: r, counter: filepath.Join(t.TempDir(), "counter")}
	require.NoError(t, os.WriteFile(c.counter, []byte("0"), 0o600))
	for i := range 3 {
		w := r.add(fmt.Sprintf("worker%d", i+1), "root") // the file is of root
		w.Command = []string{python, r.configure(w, "worker.py", nil), r.ensemble.Connect(), w.name, c.counter}
		r.start(w)
		c.workers = append(c.workers, w)
	}
	c.group(c.workers...)
	leader := c.leader(nil)
	c.ok("three workers are a group, %s leads, and they count", leader.name)
	c.serverDies("the server of the worker that leads", c.connected(leader), leader)
	c.serverDies("the leader of the ensemble", c.ensemble.Leader(), leader)
	c.leaderDies(leader)
	c.endsWhole()
}

// group waits until each of some workers, and each of them only, is known to the
// rest, and has counted some more.
func (c *crew) group(members ...*program) {
	c.Helper()
	var names []string
	for _, w := range members {
		names = append(names, w.name)
	}
	want := "members " + strings.Join(names, ",")
	for _, w := range members {
		counted := len(c.said(w, "count"))
		c.await(w.name+" counts among "+want, func() error {
			known := last(c.said(w, "members"))
			if now := len(c.said(w, "count")); known != want || now < counted+flowing {
				return fmt.Errorf("%q, counted %d", known, now-counted)
			}
			return nil
		})
	}
}

// said are the lines of a worker that begin with a word.
func (c *crew) said(w *program, word string) (lines []string) {
	c.Helper()
	raw, err := os.ReadFile(w.Log)
	require.NoError(c, err)
	for line := range strings.Lines(string(raw)) {
		if strings.HasPrefix(line, word) {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}

// leader waits for one that leads and is not the former.
func (c *crew) leader(former *program) (found *program) {
	c.Helper()
	c.await("a worker that leads", func() error {
		at := slices.IndexFunc(c.workers, func(w *program) bool { return w != former && len(c.said(w, "leads")) > 0 })
		if at < 0 {
			return fmt.Errorf("none beside %v", former)
		}
		found = c.workers[at]
		return nil
	})
	return found
}

// serverDies kills a server of the ensemble: all go on, under the same leader.
func (c *crew) serverDies(which string, victim int, leader *program) {
	at := time.Now()
	c.ensemble.Kill9(victim)
	c.group(c.workers...)
	took := since(at)
	for _, w := range c.workers {
		require.Equal(c, w == leader, len(c.said(w, "leads")) > 0, "%s", w.name)
	}
	c.ensemble.Restart(victim)
	c.ok("%s was killed (server %d): every worker has counted on within %v, and %s leads", which, victim, took, leader.name)
}

// leaderDies kills the worker that leads, which may hold the lock.
func (c *crew) leaderDies(old *program) {
	at := time.Now()
	old.Kill()
	heir := c.leader(old)
	took := since(at)
	c.group(slices.DeleteFunc(slices.Clone(c.workers), func(w *program) bool { return w == old })...)
	c.start(old)
	c.group(c.workers...)
	c.ok("%s was killed: %s leads after %v; it came back", old.name, heir.name, took)
}

// endsWhole stops the workers. No number may have been counted twice, or left out
// but by one that was killed before it could tell.
func (c *crew) endsWhole() {
	counted, doubts := map[int]bool{}, 0
	for _, w := range c.workers {
		w.Signal(syscall.SIGTERM)
		c.await(w.name+" stops", func() error {
			if !w.Ended() {
				return fmt.Errorf("it runs")
			}
			return nil
		})
		doubts += len(c.said(w, "error"))
		for _, line := range c.said(w, "count") {
			n, err := strconv.Atoi(strings.TrimPrefix(line, "count "))
			require.NoError(c, err)
			require.False(c, counted[n], "%d was counted twice", n)
			counted[n] = true
		}
	}
	raw, err := os.ReadFile(c.counter)
	require.NoError(c, err)
	total, err := strconv.Atoi(string(raw))
	require.NoError(c, err)
	require.InDelta(c, total, len(counted), 1, "one worker was killed")
	c.ok("counted to %d under the lock, no number twice; %d errors on the way", total, doubts)
}
