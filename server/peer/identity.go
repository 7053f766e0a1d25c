package peer

import (
	"fmt"
	"slices"
)

// Kind is the first byte of a stream and says what follows the handshake.
type Kind byte

// The kinds of streams.
const (
	Raft    Kind = 'R'
	Forward Kind = 'F'
	Touch   Kind = 'T'
	Admin   Kind = 'A'
	Image   Kind = 'I'
)

var kinds = []Kind{Raft, Forward, Touch, Admin, Image}

func (k Kind) known() bool { return slices.Contains(kinds, k) }

func (k Kind) String() string {
	switch k {
	case Raft:
		return "raft"
	case Forward:
		return "forward"
	case Touch:
		return "touch"
	case Admin:
		return "admin"
	case Image:
		return "image"
	}
	return fmt.Sprintf("kind %#02x", byte(k))
}

// Identity is what a server says of itself. Data names its data directory: a
// server that was wiped has another one. An empty Cluster belongs to a server
// without data that asks to join and does not know the cluster yet.
type Identity struct {
	Cluster string `json:"cluster,omitempty"`
	ID      uint64 `json:"id"`
	Data    string `json:"data"`
	Version string `json:"version,omitempty"`
}

// Target is whom to dial. An empty Data accepts any data directory, as at the
// founding of a cluster. ID 0 accepts any server, for Admin streams alone: a
// server that joins knows addresses, not ids.
type Target struct {
	ID   uint64
	Addr string
	Data string
}
