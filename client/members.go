package client

import (
	"context"
	"fmt"

	"github.com/lycaon-io/lycaon/protocol"
)

// Member is one server of the cluster.
type Member = protocol.Member

// MemberStatus is a Member and how it is: without a Status it did not answer,
// and Error says why.
type MemberStatus = protocol.MemberStatus

// MemberChange says what is to become of a server of the cluster. Addr is
// where its peers reach it.
type MemberChange = protocol.MemberChange

// What a MemberChange does.
const (
	AddMember     = protocol.AddMember     // a new server, at an address, as an observer
	RemoveMember  = protocol.RemoveMember  // for good
	PromoteMember = protocol.PromoteMember // from observer to voter
	DemoteMember  = protocol.DemoteMember  // from voter to observer
	ReplaceMember = protocol.ReplaceMember // its data directory is new, and its address if one is given
)

// Members asks the server that holds the connection for the servers of the
// cluster, as far as it knows them. Anybody may.
func (c *Client) Members(ctx context.Context) ([]Member, error) {
	m, err := c.do(ctx, c.newCall(protocol.OpMembers))
	if err != nil {
		return nil, opError("members", "", err)
	}
	if m.More == nil {
		return nil, &Error{Op: "members", Err: ErrProtocol}
	}
	return m.More.Members, nil
}

// ClusterStatus has a server ask each of the others how it is, which takes some
// seconds if one does not answer. Anybody may.
func (c *Client) ClusterStatus(ctx context.Context) ([]MemberStatus, error) {
	m, err := c.answerAside(ctx, protocol.OpClusterStatus, nil)
	if err != nil {
		return nil, opError("clusterStatus", "", err)
	}
	if m.More == nil {
		return nil, &Error{Op: "clusterStatus", Err: ErrProtocol}
	}
	return m.More.Cluster, nil
}

// ChangeMember changes the cluster, through whichever server answers, and
// returns when the change is in force. A rule that forbids it is told by an
// error that is ErrBadArguments; ErrNotReady means that there is no leader now.
// After an error with Maybe, ask Members what became of it. It wants the
// superuser's identity.
func (c *Client) ChangeMember(ctx context.Context, change MemberChange) error {
	what := fmt.Sprintf("%s %d", change.Action, change.ID)
	return c.changeAside(ctx, protocol.OpMemberChange, protocol.AppendMemberChange(nil, &change), what)
}

// TransferLeader has another voter lead: the one of that id, or for 0 one that
// the leader chooses. It wants the superuser's identity.
func (c *Client) TransferLeader(ctx context.Context, id uint64) error {
	named := ""
	if id != 0 {
		named = fmt.Sprint(id)
	}
	return c.changeAside(ctx, protocol.OpTransferLeader, protocol.AppendTransferLeader(nil, id), named)
}

// askMembers asks the server for the others, behind everything that waits. The
// caller holds mu.
func (c *Client) askMembers(l *link) {
	l.askedAt = c.now()
	if c.cfg.mode == protocol.HelloGuest || c.cfg.givenOnly || c.asking || c.closing {
		return
	}
	cl := c.newCall(protocol.OpMembers)
	cl.quiet, cl.state = true, callPending
	c.asking = true
	c.pending.push(cl)
	c.kick()
}

// isAsking is of what the client asks for itself. It is asked anew on the
// next connection.
func (cl *call) isAsking() bool { return cl.quiet && cl.req.Op == protocol.OpMembers }

// learned takes the answer. A server that cannot tell is as good as one that
// knows of nobody new. The caller holds mu.
func (c *Client) learned(cl *call, m *protocol.Message) {
	if cl.quiet {
		c.asking = false
	}
	if m.Code == protocol.OK && m.More != nil && !c.cfg.givenOnly && c.link != nil {
		c.pool.learn(m.More.Members, c.link.addr)
	}
}
