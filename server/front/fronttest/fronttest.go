// Package fronttest runs a front.Front over a Core whose log is memory, for tests
// of the protocols. It is not for production.
package fronttest

import (
	"bytes"
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/server/front"
	"github.com/lycaon-io/lycaon/server/pipeline"
	"github.com/lycaon-io/lycaon/server/state"
)

// Log orders transactions in memory and applies them on a goroutine.
type Log struct {
	core *pipeline.Core
	mu   sync.Mutex
	more *sync.Cond
	txns []state.Txn
	held bool // nothing is applied
	done bool
}

// Append implements pipeline.Log.
func (l *Log) Append(t *state.Txn) []byte {
	kept := *t
	kept.IDs, kept.Body = bytes.Clone(t.IDs), bytes.Clone(t.Body)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.txns = append(l.txns, kept)
	l.more.Signal()
	return kept.Body
}

// Hold has nothing applied until it is called with false.
func (l *Log) Hold(held bool) { l.set(func() { l.held = held }) }

// Waiting is how many transactions have come and are not applied.
func (l *Log) Waiting() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.txns)
}

func (l *Log) set(change func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	change()
	l.more.Signal()
}

func (l *Log) run() {
	for {
		l.mu.Lock()
		for !l.done && (len(l.txns) == 0 || l.held) {
			l.more.Wait()
		}
		txns := l.txns
		l.txns = nil
		done := l.done
		l.mu.Unlock()
		if done {
			return
		}
		entry := state.AppendBatchHeader(nil, time.Now().UnixMilli())
		for i := range txns {
			entry = state.AppendTxn(entry, &txns[i])
		}
		if err := l.core.Apply(entry); err != nil {
			panic(err)
		}
	}
}

// Server is a Front that listens on loopback.
type Server struct {
	Core  *pipeline.Core
	Log   *Log
	Front *front.Front
	Addr  string
}

// Start serves these protocols until the test ends.
func Start(t testing.TB, cfg front.Config, core pipeline.Config, protocols ...front.Protocol) *Server {
	t.Helper()
	s := &Server{Core: pipeline.New(core)}
	s.Log = &Log{core: s.Core}
	s.Log.more = sync.NewCond(&s.Log.mu)
	s.Core.SetLog(s.Log)
	s.Front = front.New(cfg, s.Core, protocols...)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	s.Addr = ln.Addr().String()
	var wg sync.WaitGroup
	wg.Go(s.Log.run)
	wg.Go(func() { s.Front.Serve(ln) })
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		require.NoError(t, s.Front.Close(ctx))
		s.Log.set(func() { s.Log.done = true })
		wg.Wait()
	})
	return s
}

// Expire ends a session as its leader would.
func (s *Server) Expire(id uint64, cause string) {
	var generation uint64
	s.Core.View(func(m *state.Machine) {
		if r, ok := m.Sessions().Get(id); ok {
			generation = r.Generation
		}
	})
	s.Log.Append(&state.Txn{Kind: state.TxnExpire, Session: id, Generation: generation, Cause: cause})
}
