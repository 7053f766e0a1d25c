package native

import (
	"context"
	"fmt"
	"time"

	"github.com/lycaon-io/lycaon/protocol"
)

// wantsSuper lists the requests of administration that are not for everybody.
// What tells counts, roles and addresses of servers and no names of nodes is.
var wantsSuper = map[protocol.Op]bool{
	protocol.OpSnapshot:       true,
	protocol.OpStatus:         false,
	protocol.OpExpireSession:  true,
	protocol.OpMembers:        false,
	protocol.OpClusterStatus:  false,
	protocol.OpMemberChange:   true,
	protocol.OpTransferLeader: true,
	protocol.OpSessions:       false, // anybody may ask for his own; see sessions
}

// administer answers what is none of the pipeline's business. It works whether
// or not this server serves sessions.
func (c *conn) administer() error {
	op := c.req.Op
	restricted, known := wantsSuper[op]
	switch {
	case !known:
		return c.refuseRequest(protocol.Unimplemented, "unknown operation")
	case restricted && !c.admin:
		return c.refuseRequest(protocol.NoAuth, "it wants the superuser's identity")
	}
	switch op {
	case protocol.OpSnapshot:
		return c.snapshot()
	case protocol.OpStatus:
		return c.status()
	case protocol.OpExpireSession:
		return c.expireSession()
	case protocol.OpMembers:
		return c.members()
	case protocol.OpClusterStatus:
		return c.clusterStatus()
	case protocol.OpMemberChange:
		return c.changeMember()
	case protocol.OpTransferLeader:
		return c.transferLeader()
	default:
		return c.sessions()
	}
}

func (c *conn) status() error {
	if c.native.cfg.Status == nil {
		return c.unoffered()
	}
	s := c.native.cfg.Status()
	return c.answer(&protocol.Message{More: &protocol.More{Status: &s}})
}

func (c *conn) members() error {
	if c.native.cfg.Members == nil {
		return c.unoffered()
	}
	return c.answer(&protocol.Message{More: &protocol.More{Members: c.native.cfg.Members()}})
}

// clusterStatus has every server asked: the superuser at once, the others all
// together.
func (c *conn) clusterStatus() error {
	if c.native.cfg.ClusterStatus == nil {
		return c.unoffered()
	}
	var cluster []protocol.MemberStatus
	if c.admin {
		code, why := c.survey(func(ctx context.Context) { cluster = c.native.cfg.ClusterStatus(ctx) })
		if code != protocol.OK {
			return c.refuseRequest(code, why)
		}
	} else if err := c.Taking(surveyTimeout, func(ctx context.Context) (err error) {
		cluster, err = c.native.census.take(ctx, c.native.cfg.ClusterStatus)
		return err
	}); err != nil {
		return c.refuseRequest(protocol.Throttled, othersAsk)
	}
	return c.answer(&protocol.Message{More: &protocol.More{Cluster: cluster}})
}

const othersAsk = "others are asking how the servers are"

// survey asks all servers for something, as one of few at a time. Nobody else takes
// the superuser's places.
func (c *conn) survey(ask func(ctx context.Context)) (protocol.Code, string) {
	places := c.native.others
	if c.admin {
		places = c.native.surveys
	}
	select {
	case places <- struct{}{}:
		defer func() { <-places }()
	default:
		return protocol.Throttled, othersAsk
	}
	c.Taking(surveyTimeout, func(ctx context.Context) error {
		ask(ctx)
		return nil
	})
	return protocol.OK, ""
}

// sessions tells from where the clients come, and so how the network of their
// owners is laid out: that is for the superuser. His own session anybody may
// ask for, which this server holds and so answers at once.
func (c *conn) sessions() error {
	q, err := protocol.DecodeSessionQuery(c.req.Body)
	own := q.Session != 0 && q.Session == c.Lane().Session()
	switch {
	case err != nil:
		return c.refuseRequest(protocol.CodeOf(err), err.Error())
	case !own && !c.admin:
		return c.refuseRequest(protocol.NoAuth, "sessions other than one's own want the superuser's identity")
	case c.native.cfg.Sessions == nil:
		return c.unoffered()
	}
	var page *protocol.SessionPage
	code, why := c.survey(func(ctx context.Context) { page = c.native.cfg.Sessions(ctx, q) })
	if code != protocol.OK {
		return c.refuseRequest(code, why)
	}
	return c.answer(&protocol.Message{More: &protocol.More{Sessions: page}})
}

// killed is the cause of a session that is ended without a reason.
const killed = "killed by an administrator"

func (c *conn) expireSession() error {
	session, cause, err := protocol.DecodeExpireSession(c.req.Body)
	if cause == "" {
		cause = killed
	}
	return c.change(err, c.native.cfg.ExpireSession != nil, adminTimeout, func(ctx context.Context) error {
		err := c.native.cfg.ExpireSession(ctx, session, cause)
		if err == nil {
			c.Config().Logger.Info("a session was ended by hand", "session", session, "cause", cause, "by", c.RemoteAddr())
		}
		return err
	})
}

func (c *conn) changeMember() error {
	change, err := protocol.DecodeMemberChange(c.req.Body)
	return c.change(err, c.native.cfg.ChangeMember != nil, memberTimeout, func(ctx context.Context) error {
		c.Config().Logger.Info("a change of the members was asked for", "action", change.Action, "server", change.ID, "addr", change.Addr, "by", c.RemoteAddr())
		return c.native.cfg.ChangeMember(ctx, change)
	})
}

func (c *conn) transferLeader() error {
	id, err := protocol.DecodeTransferLeader(c.req.Body)
	return c.change(err, c.native.cfg.TransferLeader != nil, memberTimeout, func(ctx context.Context) error {
		c.Config().Logger.Info("another leader was asked for", "server", id, "by", c.RemoteAddr())
		return c.native.cfg.TransferLeader(ctx, id)
	})
}

// change answers a request that has no result but that it was done. malformed
// is what its body broke, if anything.
func (c *conn) change(malformed error, offered bool, within time.Duration, do func(context.Context) error) error {
	switch {
	case malformed != nil:
		return c.refuseRequest(protocol.CodeOf(malformed), malformed.Error())
	case !offered:
		return c.unoffered()
	}
	if err := c.Taking(within, do); err != nil {
		return c.refuseRequest(protocol.CodeOf(err), err.Error())
	}
	return c.answer(&protocol.Message{})
}

func (c *conn) unoffered() error {
	return c.refuseRequest(protocol.Unimplemented, fmt.Sprintf("this server does not offer %v", c.req.Op))
}
