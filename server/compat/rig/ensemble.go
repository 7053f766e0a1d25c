package rig

import (
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	serveWithin = 40 * time.Second // a server, or an election, on a machine whose cores are all busy
	stopWithin  = 10 * time.Second // of SIGTERM to the end
	pollEvery   = 30 * time.Millisecond
	tailLines   = 25 // of each log, when a test has failed
)

// Options of an ensemble. The zero value is what clients meet mostly.
type Options struct {
	// SuperDigest is super:BASE64SHA1, the superuser's name and hashed password.
	SuperDigest string
	// EnforceQuota makes ZooKeeper refuse writes over a hard limit.
	EnforceQuota bool
	// TickMs is ZooKeeper's tickTime, 500 if 0; sessions last 2 to 20 ticks.
	TickMs int
	// Config are further lines of zoo.cfg.
	Config []string
	// JVM are further options of ZooKeeper's java.
	JVM []string
	// Flags are further options of lycaon serve.
	Flags []string
}

// server is one member of an ensemble.
type server struct {
	index int
	Process
}

// Ensemble is a running cluster. Server i has its clients at Addrs[i].
type Ensemble struct {
	Addrs []string

	t       testing.TB
	servers []*server
	// serving says whether server i answers clients now, leads whether it leads.
	serving, leads func(i int) bool
}

// Connect is the connect string of a ZooKeeper client.
func (e *Ensemble) Connect() string { return strings.Join(e.Addrs, ",") }

// begin starts every server, then waits for each, and ends them with the test.
func (e *Ensemble) begin() {
	e.t.Helper()
	e.t.Cleanup(e.end)
	for i := range e.servers {
		e.Start(i)
	}
	for i := range e.servers {
		e.Await(i)
	}
}

func (e *Ensemble) end() {
	for _, s := range e.servers {
		s.Kill()
	}
	if !e.t.Failed() {
		return
	}
	for i, s := range e.servers {
		e.t.Logf("server %d (%s), the end of its log:\n%s", i, e.Addrs[i], s.Tail(tailLines))
	}
}

// Start starts server i, which must not be running, and does not wait until it serves.
func (e *Ensemble) Start(i int) {
	e.t.Helper()
	if err := e.servers[i].Start(); err != nil {
		e.t.Fatalf("server %d: %v", i, err)
	}
}

// Await waits until server i answers clients, for which it needs a quorum.
func (e *Ensemble) Await(i int) {
	e.t.Helper()
	if !Poll(serveWithin, func() bool { return e.servers[i].Ended() || e.serving(i) }) {
		e.t.Fatalf("server %d does not serve after %v", i, serveWithin)
	}
	if e.servers[i].Ended() {
		e.t.Fatalf("server %d has ended", i)
	}
}

// Restart starts server i, which must not be running, and waits until it serves.
func (e *Ensemble) Restart(i int) {
	e.t.Helper()
	e.Start(i)
	e.Await(i)
}

// Kill9 ends server i at once and returns when it is gone.
func (e *Ensemble) Kill9(i int) { e.servers[i].Kill() }

// Stop ends server i as an operator would, and by force if that takes too long.
func (e *Ensemble) Stop(i int) {
	e.t.Helper()
	if err := e.servers[i].Stop(); err != nil {
		e.t.Errorf("server %d: %v", i, err)
	}
}

// Pause stops server i from running without closing its connections. When it
// returns none of its threads runs any more.
func (e *Ensemble) Pause(i int) {
	e.t.Helper()
	e.servers[i].Signal(syscall.SIGSTOP)
	if !Poll(serveWithin, e.servers[i].paused) {
		e.t.Fatalf("server %d does not stand still after %v", i, serveWithin)
	}
}

// Resume lets a paused server go on.
func (e *Ensemble) Resume(i int) { e.servers[i].Signal(syscall.SIGCONT) }

// Leader waits for a leader and returns its index; a single server leads itself.
func (e *Ensemble) Leader() int {
	e.t.Helper()
	leader := -1
	Poll(serveWithin, func() bool {
		leader = slices.IndexFunc(e.servers, func(s *server) bool { return !s.Ended() && e.leads(s.index) })
		return leader >= 0
	})
	if leader < 0 {
		e.t.Fatalf("no leader after %v", serveWithin)
	}
	return leader
}

// At returns the index of the server at addr, as a client names it; -1 if none is there.
func (e *Ensemble) At(addr string) int { return slices.Index(e.Addrs, addr) }

// Poll asks until done is true or the time is over, and tells which.
func Poll(within time.Duration, done func() bool) bool {
	for end := time.Now().Add(within); ; time.Sleep(pollEvery) {
		if done() {
			return true
		}
		if time.Now().After(end) {
			return false
		}
	}
}

// Dir is where server i keeps its files; its data is in data below it.
func (e *Ensemble) Dir(i int) string { return e.servers[i].Dir }
