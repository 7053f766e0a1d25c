package replicate

import (
	"time"

	"github.com/lycaon-io/lycaon/server/state"
)

// announcement is what a server says of itself on its touch stream.
type announcement struct {
	ID         uint64
	Data       string // id of its data directory
	Addr       string // of its peer port
	ClientAddr string // "" if it is not told
	Version    string
}

// streams are the forward and touch streams of one server.
type streams struct{ n *Node }

func newStreams(n *Node) *streams             { return &streams{n: n} }
func (s *streams) serve()                     {}
func (s *streams) follow(leader, term uint64) {}
func (s *streams) Append(t *state.Txn)        {}
func (s *streams) resendAll()                 {}
func (s *streams) contact() time.Duration     { return 0 }
