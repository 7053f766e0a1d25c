package replicate

import (
	"errors"
	"fmt"
	"io"

	"github.com/hashicorp/raft"
)

// errLate refuses a snapshot of what this server has gone beyond.
var errLate = errors.New("replicate: a snapshot came late")

// snapshotReader is what raft reads a snapshot from. raft puts in place whatever
// its leader has sent, and empties the log for it: also a snapshot that a broken
// connection delivers when its leader has sent another one since, and entries
// behind that, which may be committed by what this server answered to them. So
// the first read, on raft's own goroutine, fails if entries of the same leader
// are stored behind it.
type snapshotReader struct {
	io.Reader
	gate *gate
	req  *raft.InstallSnapshotRequest
	read bool
}

func (r *snapshotReader) Read(b []byte) (int, error) {
	first := !r.read
	r.read = true
	if newest := r.gate.newest; first && newest.term == r.req.Term && newest.index > r.req.LastLogIndex {
		_, _ = io.Copy(io.Discard, r.Reader) // else it would be taken for the next request
		return 0, fmt.Errorf("%w: it ends at entry %d, and entry %d of its leader is there", errLate, r.req.LastLogIndex, newest.index)
	}
	return r.Reader.Read(b)
}
