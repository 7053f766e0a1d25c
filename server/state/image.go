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

// scrub computes the digest anew from every byte and compares it with the one
// that the machine kept up. A difference means that memory changed by itself,
// or a bug, and wraps ErrCorrupt.
func (i *Image) scrub() error {
	if found := digest(i.zxid, i.clockMs, i.tree.Digest(), i.sessions.Digest()); found != i.digest {
		return fmt.Errorf("state at zxid %d: %w: its digest is %016x, its content has %016x", i.zxid, ErrCorrupt, i.digest, found)
	}
	return nil
}
