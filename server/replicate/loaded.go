package replicate

import (
	"io"

	"github.com/hashicorp/raft"

	"github.com/lycaon-io/lycaon/server/state"
)

// loadedSnapshots gives raft a snapshot with the machine that it was loaded into
// before raft began, if it was. raft asks and decides as ever: which snapshot, and
// what if it is not there any more.
type loadedSnapshots struct {
	raft.SnapshotStore
	loaded func(snapshot string) *state.Machine // nil if it was not, and after the first time
}

func (s loadedSnapshots) Open(id string) (*raft.SnapshotMeta, io.ReadCloser, error) {
	m, r, err := s.SnapshotStore.Open(id)
	if err != nil {
		return m, r, err
	}
	if machine := s.loaded(id); machine != nil {
		r = loadedImage{r, machine}
	}
	return m, r, nil
}

// loadedImage is an image with what comes out if it is read.
type loadedImage struct {
	io.ReadCloser
	machine *state.Machine
}

// loadedMachine is nil if the image has to be read.
func loadedMachine(image io.ReadCloser) *state.Machine {
	if counting, ok := image.(raft.ReadCloserWrapper); ok {
		image = counting.WrappedReadCloser()
	}
	if l, ok := image.(loadedImage); ok {
		return l.machine
	}
	return nil
}
