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
	for name, left := range map[string]struct {
		fresh        bool
		terms, reads int64
	}{
		"at its first term": {fresh: true, reads: plenty},
		"at an election":    {reads: plenty},
		"at a vote":         {terms: 1, reads: plenty},
		"at an entry":       {terms: plenty},
		"at a later entry":  {terms: plenty, reads: 1},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDisk()
			n, r := start(t, d, Config{})
			r.session(t, time.Hour)
			stop(t, n)
			store := &broken{monotonic: d.logs}
			if left.fresh {
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
