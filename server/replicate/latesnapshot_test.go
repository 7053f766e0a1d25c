package replicate

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/raft"
	"github.com/stretchr/testify/require"
)

// newestSnapshot is what a leader sends to who is far behind.
func (e *ensemble) newestSnapshot(leader *server) (*raft.InstallSnapshotRequest, []byte) {
	e.Helper()
	require.NoError(e, leader.Snapshot(e.Context()))
	all, err := leader.snaps.List()
	require.NoError(e, err)
	meta, r, err := leader.snaps.Open(all[0].ID)
	require.NoError(e, err)
	image, err := io.ReadAll(r)
	require.NoError(e, err)
	_, term := leader.Leader()
	return &raft.InstallSnapshotRequest{
		RPCHeader: leader.header(), SnapshotVersion: meta.Version, Term: term, LastLogIndex: meta.Index, LastLogTerm: meta.Term,
		Configuration: raft.EncodeConfiguration(meta.Configuration), ConfigurationIndex: meta.ConfigurationIndex, Size: meta.Size,
	}, image
}

// A connection that broke may deliver what was sent over it when a newer one is
// in use.
func TestASnapshotThatComesLateTakesNothingBack(t *testing.T) {
	running(t, 3, func(e *ensemble) {
		leader, follower := e.leader(), e.follower()
		e.writes(leader)
		e.equal()
		req, image := e.newestSnapshot(leader)
		e.writes(leader)
		e.equal()
		content, last := follower.content(), e.lastIndex(follower)

		trans := leader.instance().trans.(*peerTransport)
		s, _, _ := find(leader.configuration(), follower.id)
		err := trans.bulk.InstallSnapshot(s.ID, target(s.ID, s.Address), req, &raft.InstallSnapshotResponse{}, bytes.NewReader(image))
		require.ErrorContains(t, err, errLate.Error())
		require.Equal(t, content, follower.content())
		require.Equal(t, last, e.lastIndex(follower))
		require.Zero(t, follower.Stats().Restores)
		e.writes(leader)
		e.writes(follower)
		time.Sleep(time.Second)
		e.equal()
	})
}

// What its leader has sent meanwhile may be another snapshot, and entries that were
// proposed before its time.
func TestASnapshotIsLateBehindWhatItsLeaderHasSent(t *testing.T) {
	const term, ends = 5, 7
	take := func(g *gate, index, term uint64) error {
		const image = "image"
		req := &raft.InstallSnapshotRequest{Term: term, LastLogIndex: index, Size: int64(len(image))}
		_, err := io.Copy(io.Discard, &snapshotReader{Reader: strings.NewReader(image), gate: g, req: req})
		return err
	}
	for _, c := range []struct {
		name   string
		before func(g *gate) error
		late   bool
	}{
		{"nothing", func(*gate) error { return nil }, false},
		{"the same snapshot", func(g *gate) error { return take(g, ends, term) }, false},
		{"a snapshot before", func(g *gate) error { return take(g, ends-1, term) }, false},
		{"a snapshot behind", func(g *gate) error { return take(g, ends+1, term) }, true},
		{"another leader's snapshot", func(g *gate) error { return take(g, ends+1, term-1) }, false},
		{"its own entry", func(g *gate) error { return g.StoreLog(&raft.Log{Index: ends + 1, Term: term}) }, true},
		{"an entry of the term before", func(g *gate) error { return g.StoreLog(&raft.Log{Index: ends + 1, Term: term - 1}) }, true},
		{"its own entry, and then a snapshot of the leader before", func(g *gate) error {
			return errors.Join(g.StoreLog(&raft.Log{Index: ends + 1, Term: term}), take(g, ends-1, term-1))
		}, true},
		{"an entry that the snapshot holds", func(g *gate) error { return g.StoreLog(&raft.Log{Index: ends, Term: term}) }, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			g := newGate(&shaky{monotonic: newDisk().logs})
			require.NoError(t, g.SetUint64(currentTermKey, term))
			require.NoError(t, c.before(g))
			err := take(g, ends, term)
			if c.late {
				require.ErrorIs(t, err, errLate)
			} else {
				require.NoError(t, err)
			}
		})
	}
}

// behindSnapshot runs f with a follower that was sent a snapshot and has entries behind
// it: before is the snapshot's last one.
func behindSnapshot(t *testing.T, f func(e *ensemble, leader, follower *server, before logID)) {
	together(t, 3, func(e *ensemble) {
		leader, follower := e.fallsFarBehind()
		e.snapshotBytes = 0 // it makes none of its own
		e.start(follower)
		e.settled()
		e.writes(leader)
		e.equal()
		require.Positive(e, leader.progress.sent())
		all, err := follower.snaps.List()
		require.NoError(e, err)
		first, err := follower.store.FirstIndex()
		require.NoError(e, err)
		require.Equal(e, first-1, all[0].Index)
		f(e, leader, follower, logID{all[0].Index, all[0].Term})
	})
}

// The answer to what came first behind a snapshot may be lost: then it comes again.
func TestWhatComesAgainBehindASnapshotNeedsNoOther(t *testing.T) {
	behindSnapshot(t, func(e *ensemble, leader, follower *server, before logID) {
		again := &raft.Log{}
		require.NoError(t, leader.store.GetLog(before.index+1, again))
		trans := leader.instance().trans.(*peerTransport)
		to, _, _ := find(leader.configuration(), follower.id)
		for _, term := range []uint64{before.term, before.term + 1} {
			resp := &raft.AppendEntriesResponse{}
			require.NoError(t, trans.bulk.AppendEntries(to.ID, target(to.ID, to.Address), &raft.AppendEntriesRequest{
				RPCHeader: leader.header(), Term: leader.leadTerm.Load(), PrevLogEntry: before.index, PrevLogTerm: term, Entries: []*raft.Log{again},
			}, resp))
			require.Equal(t, term == before.term, resp.Success)
		}
		e.writes(follower)
		e.equal()
	})
}

// Another leader may have sent something else there, which nobody else has.
func TestWhatGivesWayBehindASnapshotNeedsNoOther(t *testing.T) {
	behindSnapshot(t, func(e *ensemble, leader, follower *server, before logID) {
		e.stop(follower)
		require.NoError(t, follower.store.DeleteRange(before.index+1, e.lastIndex(follower)))
		require.NoError(t, follower.store.StoreLog(&raft.Log{Index: before.index + 1, Term: before.term - 1, Type: raft.LogNoop}))
		sent := leader.progress.sent()
		e.start(follower)
		e.settled()
		e.writes(follower)
		e.equal()
		require.Equal(t, sent, leader.progress.sent())
	})
}

func TestWhichMessagesBeginBehindASnapshot(t *testing.T) {
	const ends, term = 7, 5
	for _, c := range []struct {
		name         string
		before, term uint64
		log          []uint64
		placed       bool
	}{
		{"right behind it, again", ends, term, []uint64{ends + 1}, true},
		{"right behind another one", ends, term - 1, []uint64{ends + 1}, false},
		{"further behind", ends + 1, term, []uint64{ends + 1, ends + 2}, false},
		{"where the log reaches back", ends, term, []uint64{ends, ends + 1}, false},
		{"right behind it, for the first time", ends, term, nil, false},
		{"at the beginning", 0, 0, nil, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := &shaky{monotonic: newDisk().logs}
				trans := &peerTransport{gate: newGate(store), closed: make(chan struct{}), snapshots: func() ([]*raft.SnapshotMeta, error) {
					return []*raft.SnapshotMeta{{Index: ends, Term: term}}, nil
				}}
				release := hold(&server{store: store})
				var wg sync.WaitGroup
				if len(c.log) > 0 {
					wg.Go(func() {
						var entries []*raft.Log
						for _, index := range c.log {
							entries = append(entries, &raft.Log{Index: index, Term: term})
						}
						require.NoError(t, trans.gate.StoreLogs(entries))
					})
				}
				synctest.Wait()
				req := &raft.AppendEntriesRequest{PrevLogEntry: c.before, PrevLogTerm: c.term}
				wg.Go(func() { trans.placeBehindSnapshot(req) }) // while it is written
				time.Sleep(10 * time.Millisecond)
				release(false)
				wg.Wait()
				for range 2 {
					require.Equal(t, c.placed, c.before != 0 && req.PrevLogEntry == 0)
					req.PrevLogEntry, req.PrevLogTerm = c.before, c.term
					trans.placeBehindSnapshot(req)
				}
			})
		})
	}
}
