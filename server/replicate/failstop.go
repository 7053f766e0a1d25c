package replicate

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"

	"github.com/hashicorp/raft"
)

// failStop stands between raft and its store. raft panics when the store does
// not take a term or give an entry, which ends the process with a trace, the
// exit code of something else, and everything else that runs cut off. Here the
// error is told and raft's goroutine ends: it does nothing more, as after a
// panic, and the server stops as it does after any other failure.
type failStop struct {
	Store
	fatal func(error)
}

func (s failStop) IsMonotonic() bool {
	monotonic, ok := s.Store.(raft.MonotonicLogStore)
	return ok && monotonic.IsMonotonic()
}

// GetLog lets raft hear of an entry that is not there; that has its meaning.
func (s failStop) GetLog(index uint64, l *raft.Log) error {
	err := s.Store.GetLog(index, l)
	if err != nil && !errors.Is(err, raft.ErrLogNotFound) {
		s.end(fmt.Errorf("read log entry %d: %w", index, err))
	}
	return err
}

func (s failStop) SetUint64(key []byte, value uint64) error {
	err := s.Store.SetUint64(key, value)
	if err != nil && bytes.Equal(key, currentTermKey) {
		s.end(fmt.Errorf("save term %d: %w", value, err))
	}
	return err
}

func (s failStop) end(err error) {
	s.fatal(fmt.Errorf("replicate: %w", err))
	runtime.Goexit()
}

// newRaft runs on a goroutine of its own, which a failing store ends.
func (n *Node) newRaft(conf *raft.Config, store Store, trans raft.Transport) (r *raft.Raft, err error) {
	err = raft.ErrRaftShutdown // what openError replaces by the failure
	done := make(chan struct{})
	go func() {
		defer close(done)
		r, err = raft.NewRaft(conf, n.fsm, store, store, n.snaps, trans)
	}()
	<-done
	return r, err
}
