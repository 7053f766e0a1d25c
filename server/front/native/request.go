package native

import (
	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/server/front"
	"github.com/lycaon-io/lycaon/server/state"
)

// Request implements front.Speaker: it hands one request to the lane. What is
// wrong with the request alone is answered in its turn.
func (c *conn) Request(frame []byte) error {
	req := &c.req
	if err := protocol.DecodeRequest(frame, req); err != nil {
		if req.Op == 0 && req.Xid == 0 {
			return err // not even a header
		}
		return c.refuseRequest(protocol.CodeOf(err), err.Error())
	}
	switch {
	case req.Op.IsWrite():
		if code, why := protocol.ValidateWrite(req.Op, req.Body, c.Config().Limits); code != protocol.OK {
			return c.refuseRequest(code, why)
		}
		if req.Op == protocol.OpMulti && c.tooNew(req.Body) {
			return c.refuseRequest(protocol.Unimplemented, "multi: a server of the cluster runs an older version, which gives no brief answer")
		}
	case req.Op.IsRead():
		if code, why := c.mayRead(); code != protocol.OK {
			return c.refuseRequest(code, why)
		}
		if code, why := protocol.ValidateRead(&req.Read, c.Config().Limits); code != protocol.OK {
			return c.refuseRequest(code, why)
		}
		// A copy of a body in which hardly anything but the path was counts as much as the path.
		req.Owned = len(frame) <= len(req.Read.Path)+maxOwnedBytes
	case req.Op == protocol.OpAuth:
		return c.auth()
	case req.Op >= protocol.OpSnapshot:
		return c.administer()
	}
	return c.Submit(req)
}

// tooNew tells whether a replica of an older program would apply a multi in
// another way than this one.
func (c *conn) tooNew(multi []byte) bool {
	return protocol.IsBriefMulti(multi) && !c.AllKnow(state.KnowsBrief)
}

// mayRead keeps guests off a state that may be old: they have no session whose
// past this server would be bound to. Who they are, they may ask.
func (c *conn) mayRead() (protocol.Code, string) {
	if c.guest && c.req.Op != protocol.OpWhoAmI {
		if why := c.Config().NotServing(); why != nil {
			c.Counts().NotServing.Add(1)
			return protocol.NotReady, why.Error()
		}
	}
	return protocol.OK, ""
}

// answer completes the request at hand with m, in its turn.
func (c *conn) answer(m *protocol.Message) error {
	m.Op, m.Xid = c.req.Op, c.req.Xid
	return c.Answer(m)
}

func (c *conn) refuseRequest(code protocol.Code, detail string) error {
	c.Counts().BadRequests.Add(1)
	return c.answer(&protocol.Message{Code: code, More: &protocol.More{Detail: detail}})
}

// TooLarge implements front.Speaker: it passes over the frame and answers it.
func (c *conn) TooLarge(e *protocol.FrameTooLargeError) error {
	if e.Length > maxSkippedFrame {
		return e
	}
	op, xid, err := protocol.SkipRequest(c.Reader(), e)
	if err != nil {
		return err
	}
	c.req = protocol.Request{Op: op, Xid: xid}
	return c.refuseRequest(protocol.TooLarge, e.Error())
}

func (c *conn) auth() error {
	cred, err := protocol.DecodeAuth(c.req.Body)
	if err != nil {
		return c.refuseRequest(protocol.CodeOf(err), err.Error())
	}
	ids, err := c.Config().Prove(cred)
	if err != nil {
		c.Counts().AuthFailures.Add(1)
		return c.refuseRequest(protocol.AuthFailed, err.Error())
	}
	err = c.Authorize(&protocol.Message{Op: protocol.OpAuth, Xid: c.req.Xid}, ids)
	c.admin = front.IsSuper(c.Lane().IDs()) // it may have been one too many
	return err
}
