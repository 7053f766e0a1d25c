package replicate

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"github.com/stretchr/testify/require"
)

var errDisk = errors.New("input/output error")

// broken is a store that takes no term, or gives no entry, from some call on.
type broken struct {
	monotonic
	terms, reads atomic.Int64 // calls left before it fails
}

func (b *broken) SetUint64(key []byte, value uint64) error {
	if b.terms.Add(-1) < 0 {
		return errDisk
	}
	return b.monotonic.SetUint64(key, value)
}

func (b *broken) GetLog(index uint64, l *raft.Log) error {
	if b.reads.Add(-1) < 0 {
		return errDisk
	}
	return b.monotonic.GetLog(index, l)
}

// A panic of raft would end the process with the exit code of a wrong setting.
func TestAStoreThatFailsStopsTheServerWithoutAPanic(t *testing.T) {
	const plenty = 1 << 30
	for name, left := range map[string]struct{ terms, reads int64 }{
		"at its first term":      {0, plenty},
		"at the term of opening": {1, plenty},
		"at an election":         {2, plenty},
		"at an entry":            {plenty, 0},
		"at a later entry":       {plenty, 1},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDisk()
			n, r := start(t, d, Config{})
			r.session(t, time.Hour)
			stop(t, n)
			store := &broken{monotonic: d.logs}
			if left.terms == 0 {
				store.monotonic = newDisk().logs
			}
			store.terms.Store(left.terms)
			store.reads.Store(left.reads)
			n = New(Config{ID: 1, Address: "127.0.0.1:2888"}, store, d.snaps)
			r = newReplica()
			r.observer, r.log = n, n
			err := n.Open(r)
			if err == nil {
				err = <-n.Fatal()
			}
			require.ErrorContains(t, err, errDisk.Error())
			stop(t, n)
		})
	}
}
