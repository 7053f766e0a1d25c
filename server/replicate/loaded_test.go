package replicate

import (
	"bytes"
	"io"
	"testing"

	"github.com/hashicorp/raft"
	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/server/state"
)

type oneSnapshot struct {
	raft.SnapshotStore
	id    string
	image []byte
}

func (s oneSnapshot) Open(id string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	if id != s.id {
		return nil, nil, io.ErrUnexpectedEOF
	}
	return &raft.SnapshotMeta{ID: id}, io.NopCloser(bytes.NewReader(s.image)), nil
}

func TestTheMachineOfASnapshotIsGivenWithItOnce(t *testing.T) {
	m, asked := state.New(), 0
	s := loadedSnapshots{oneSnapshot{id: "newest", image: []byte("image")}, func(id string) *state.Machine {
		require.Equal(t, "newest", id)
		if asked++; asked > 1 {
			return nil
		}
		return m
	}}
	_, _, err := s.Open("older")
	require.Error(t, err)
	require.Zero(t, asked, "of one that cannot be opened nothing is taken")
	_, r, err := s.Open("newest")
	require.NoError(t, err)
	require.Same(t, m, loadedMachine(r))
	image, err := io.ReadAll(r)
	require.NoError(t, err)
	require.Equal(t, "image", string(image), "it can be read all the same")
	_, r, err = s.Open("newest")
	require.NoError(t, err)
	require.Nil(t, loadedMachine(r))
}
