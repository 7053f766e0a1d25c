package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

const (
	sessionLength = 10 * time.Second // the timeout that every client asks for
	healthWithin  = 2 * time.Minute
	lookEvery     = 20 * time.Millisecond
)

// system is a kind of server, several of which replicate one another.
type system interface {
	name() string
	// lay writes what n servers below dir need and says how each is started.
	lay(dir string, n int) ([]*member, error)
	// leads asks one server.
	leads(ctx context.Context, m *member) (bool, error)
	// open makes a session with an ephemeral node, through the first of addrs
	// as long as that one answers.
	open(ctx context.Context, addrs []string) (session, error)
	// picks says whether a client can choose the server it begins with.
	picks() bool
}

// session is a client of one system.
type session interface {
	// write sets the client's own node; the error says that the client does
	// not know it to be done.
	write(ctx context.Context) error
	// survives tells whether session and ephemeral node are those of the beginning.
	survives(ctx context.Context) (session, ephemeral bool, err error)
	close()
}

// member is one of the servers.
type member struct {
	args, env []string
	addr      string // of its clients
	web       string // of Lycaon's figures and profiles
	log       string
	process   *process // nil before the first start
}

func (m *member) start() error {
	log, err := os.OpenFile(m.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	m.process, err = spawn(log, m.env, m.args...)
	return err
}

// ensemble is the servers of one system: three, where faults are played.
type ensemble struct {
	system
	dir     string
	members []*member
}

// raise starts n servers and waits until they serve.
func raise(ctx context.Context, s system, dir string, n int) (*ensemble, error) {
	e := &ensemble{system: s, dir: filepath.Join(dir, s.name())}
	if err := os.MkdirAll(e.dir, 0o755); err != nil {
		return nil, err
	}
	var err error
	if e.members, err = s.lay(e.dir, n); err != nil {
		return nil, fmt.Errorf("%s: %w", s.name(), err)
	}
	for i, m := range e.members {
		m.log = filepath.Join(e.dir, fmt.Sprintf("%d.log", i+1))
		if err := m.start(); err != nil {
			e.fell()
			return nil, fmt.Errorf("%s: %w", s.name(), err)
		}
	}
	if _, err := e.healthy(ctx); err != nil {
		e.fell()
		return nil, err
	}
	return e, nil
}

// fell ends every server of the ensemble.
func (e *ensemble) fell() {
	var wg sync.WaitGroup
	for _, m := range e.members {
		if m.process != nil && m.process.running() {
			m.process.signal(syscall.SIGCONT) // a stopped one hears nothing else
			wg.Go(m.process.stop)
		}
	}
	wg.Wait()
}

// endWithin is what a scene may still take when the run has been ended.
const endWithin = 10 * time.Second

// slayAfter kills every server when too much time has passed, so that whoever waits
// for an answer is told that there is none, and says so; until the function that it
// returns is called.
func (e *ensemble) slayAfter(ctx context.Context, patience time.Duration) (spare func()) {
	late := time.AfterFunc(patience, func() {
		fmt.Fprintf(os.Stderr, "bench: the servers in %s are killed: their time is over\n", e.dir)
		for _, m := range e.members {
			m.process.signal(syscall.SIGKILL)
		}
	})
	unhurried := context.AfterFunc(ctx, func() { late.Reset(endWithin) })
	return func() {
		unhurried()
		late.Stop()
	}
}

// end kills every server and removes what they kept: nobody asks for it again, so
// nobody waits until they have taken their leave.
func (e *ensemble) end() {
	for _, m := range e.members {
		if m.process != nil {
			m.process.kill()
		}
	}
	os.RemoveAll(e.dir)
}

func (e *ensemble) addrs() []string {
	var addrs []string
	for _, m := range e.members {
		addrs = append(addrs, m.addr)
	}
	return addrs
}

func (e *ensemble) pids() []int {
	var pids []int
	for _, m := range e.members {
		pids = append(pids, m.process.pid())
	}
	return pids
}

// from is all addresses, that of the ith member first.
func (e *ensemble) from(i int) []string {
	addrs := e.addrs()
	return append(addrs[i:len(addrs):len(addrs)], addrs[:i]...)
}

// healthy waits until one server leads, the others say that they do not,
// and a write through each of them has been answered. It returns the leader's
// place.
func (e *ensemble) healthy(ctx context.Context) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, healthWithin)
	defer cancel()
	for {
		leader, err := e.look(ctx)
		if err == nil {
			return leader, nil
		}
		select {
		case <-ctx.Done():
			return 0, fmt.Errorf("%s is not healthy: %w (logs in %s)", e.name(), err, e.dir)
		case <-time.After(lookEvery):
		}
	}
}

func (e *ensemble) look(ctx context.Context) (int, error) {
	leader, err := e.leader(ctx)
	if err != nil {
		return 0, err
	}
	for i, m := range e.members {
		if !m.process.running() {
			return 0, fmt.Errorf("server %d has ended: %v", i+1, m.process.cmd.ProcessState)
		}
		if err := e.serves(ctx, m); err != nil {
			return 0, fmt.Errorf("server %d: %w", i+1, err)
		}
	}
	return leader, nil
}

// leader is the one server that says so, with all others answering.
func (e *ensemble) leader(ctx context.Context) (int, error) {
	found := -1
	for i, m := range e.members {
		ctx, cancel := context.WithTimeout(ctx, time.Second)
		leads, err := e.leads(ctx, m)
		cancel()
		switch {
		case err != nil:
			return 0, fmt.Errorf("server %d: %w", i+1, err)
		case leads && found >= 0:
			return 0, fmt.Errorf("servers %d and %d lead", found+1, i+1)
		case leads:
			found = i
		}
	}
	if found < 0 {
		return 0, errors.New("nobody leads")
	}
	return found, nil
}

func (e *ensemble) serves(ctx context.Context, m *member) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	s, err := e.open(ctx, []string{m.addr})
	if err != nil {
		return err
	}
	defer s.close()
	return s.write(ctx)
}
