package replicate

import (
	"bytes"
	"io"
	"testing"
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
