package state

import (
	"fmt"

	"github.com/lycaon-io/lycaon/session"
	"github.com/lycaon-io/lycaon/znode"
)

// Image is a machine as it was at one instant. It never changes and is read
// without any lock while the machine goes on.
type Image struct {
	zxid     uint64
	clockMs  int64
	digest   uint64 // kept up by every change since the machine began
	tree     *znode.Frozen
	sessions *session.Frozen
}

// Info describes an image.
type Info struct {
	Format   int // version of the file
	Zxid     uint64
	ClockMs  int64
	Nodes    int
	Sessions int
	Ended    int // sessions whose end is remembered
	Digest   uint64
	Bytes    int64 // of the whole file
}

// Freeze returns the machine as it is between two transactions, in constant
// time.
func (m *Machine) Freeze() *Image {
	return &Image{
		zxid: m.zxid, clockMs: m.clockMs, digest: m.Digest(),
		tree: m.tree.Freeze(), sessions: m.sessions.Freeze(),
	}
}

// Zxid returns the zxid of the instant.
func (i *Image) Zxid() uint64 { return i.zxid }

// scrubStepBytes is what is read between two calls of a Scrub's pace: a tenth
// of a millisecond when it is in the processor's cache, ten times that when not.
const scrubStepBytes = 128 << 10

// Scrub computes the digest anew from every byte and compares it with the one
// that the machine kept up. A difference means that memory changed by itself,
// or a bug, and wraps ErrCorrupt. It needs no lock, holds no more memory for a
// larger state, and calls pace (unless nil) every few hundred microseconds of
// work; an error of pace ends it and is returned.
func (i *Image) Scrub(pace func() error) error {
	var ended error
	unpaced := 0
	step := func(bytes int) bool {
		if unpaced += bytes; unpaced >= scrubStepBytes {
			unpaced, ended = 0, pace()
		}
		return ended == nil
	}
	if pace == nil {
		step = nil
	}
	tree := i.tree.Digest(step)
	if ended != nil {
		return ended
	}
	sessions := i.sessions.Digest(step)
	if ended != nil {
		return ended
	}
	if found := digest(i.zxid, i.clockMs, tree, sessions); found != i.digest {
		return fmt.Errorf("state at zxid %d: %w: its digest is %016x, its content has %016x", i.zxid, ErrCorrupt, i.digest, found)
	}
	return nil
}
