package replicate

import (
	"fmt"
	"net"
	"strconv"
	"strings"

	"github.com/hashicorp/raft"
)

// Suffrage says whether a member's vote counts.
type Suffrage string

const (
	Voter    Suffrage = "voter"
	Observer Suffrage = "observer"
)

// Member is a server of the cluster as this server knows it.
type Member struct {
	ID         uint64
	PeerAddr   string
	Data       string // id of its data directory; "" until it has shown it
	Suffrage   Suffrage
	ClientAddr string // "" if it has not told
	Version    string // "" if it has not told
	Leader     bool
}

// memberAddr is a member's address in raft's configuration: its peer address
// and, behind a '#', the id of the data directory that the cluster has admitted
// under its id. A member without one has not shown it yet.
type memberAddr struct{ addr, data string }

func (a memberAddr) String() string {
	if a.data == "" {
		return a.addr
	}
	return a.addr + "#" + a.data
}

func (a memberAddr) raft() raft.ServerAddress { return raft.ServerAddress(a.String()) }

func parseMemberAddr(s raft.ServerAddress) (memberAddr, error) {
	addr, data, _ := strings.Cut(string(s), "#")
	if _, _, err := net.SplitHostPort(addr); err != nil {
		return memberAddr{}, fmt.Errorf("replicate: member address %q: %w", s, err)
	}
	return memberAddr{addr, data}, nil
}

func serverID(id uint64) raft.ServerID { return raft.ServerID(strconv.FormatUint(id, 10)) }

// parseServerID is 0 for what is no id of ours.
func parseServerID(id raft.ServerID) uint64 {
	n, err := strconv.ParseUint(string(id), 10, 64)
	if err != nil {
		return 0
	}
	return n
}
