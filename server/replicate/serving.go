package replicate

import (
	"context"
	"errors"
	"time"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/server/peer"
)

var errAlone = errors.New("replicate: this server has no peers")

// Members are the servers of the cluster, by id.
func (n *Node) Members() []Member {
	return []Member{{
		ID: n.cfg.ID, PeerAddr: n.cfg.Address, Data: n.cfg.Data, Suffrage: Voter,
		ClientAddr: n.cfg.ClientAddr, Version: n.cfg.Version, Leader: n.leadTerm.Load() != 0,
	}}
}

// Leader is who leads and in which term; 0 if nobody is known to.
func (n *Node) Leader() (id, term uint64) {
	if term := n.leadTerm.Load(); term != 0 {
		return n.cfg.ID, term
	}
	return 0, 0
}

// Contact is the age of the leader's last acknowledgement; 0 while leading.
func (n *Node) Contact() time.Duration { return n.streams.contact() }

// Serving is nil while sessions may be served here, and says what is in the
// way otherwise.
func (n *Node) Serving() error { return n.Condition() }

// ChangeMember changes the membership of the cluster; the leader does it,
// whoever is asked.
func (n *Node) ChangeMember(ctx context.Context, c protocol.MemberChange) error { return errAlone }

// TransferLeader hands leadership to a voter, 0 for any.
func (n *Node) TransferLeader(ctx context.Context, id uint64) error { return errAlone }

// Rebuild starts raft and the machine anew over the same log, term and vote.
func (n *Node) Rebuild(cause error) {}

// target is how to dial a member.
func (n *Node) target(id uint64) (peer.Target, bool) {
	for _, m := range n.Members() {
		if m.ID == id {
			return peer.Target{ID: id, Addr: m.PeerAddr, Data: m.Data}, true
		}
	}
	return peer.Target{}, false
}

// leaderGone is told when all streams to the leader broke at once.
func (n *Node) leaderGone(id uint64) {}

// announced is told, while leading, what a member says of itself.
func (n *Node) announced(a announcement) {}

// learned is told what the leader knows of the members.
func (n *Node) learned(list []announcement) {}

// directory is what the leader knows of the members; the revision rises with
// each change.
func (n *Node) directory() (list []announcement, revision uint64) { return nil, 0 }

// caughtUpWith is told the zxid of a leader that has applied an entry of its
// term: this server serves once it has applied as much.
func (n *Node) caughtUpWith(zxid uint64) {}
