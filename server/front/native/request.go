package native

import "github.com/lycaon-io/lycaon/protocol"

// request hands one request to the lane. An error ends the connection; what is
// wrong with the request alone is answered in its turn.
func (c *conn) request(frame []byte) error {
	c.requests++
	req := &c.req
	if err := protocol.DecodeRequest(frame, req); err != nil {
		if req.Op == 0 && req.Xid == 0 {
			return err // not even a header
		}
		return c.refuseRequest(protocol.CodeOf(err), err.Error())
	}
	switch {
	case req.Op.IsWrite():
		if code, why := protocol.ValidateWrite(req.Op, req.Body, c.front.cfg.Limits); code != protocol.OK {
			return c.refuseRequest(code, why)
		}
	case req.Op.IsRead():
		if code, why := c.mayRead(); code != protocol.OK {
			return c.refuseRequest(code, why)
		}
		if code, why := protocol.ValidateRead(&req.Read, c.front.cfg.Limits); code != protocol.OK {
			return c.refuseRequest(code, why)
		}
	case req.Op == protocol.OpAuth:
		return c.auth()
	case req.Op >= protocol.OpSnapshot:
		return c.administer()
	}
	return c.submit()
}

// mayRead keeps guests off a state that may be old: they have no session whose
// past this server would be bound to. Who they are, they may ask.
func (c *conn) mayRead() (protocol.Code, string) {
	if c.guest && c.req.Op != protocol.OpWhoAmI {
		if why := c.front.cfg.notServing(); why != nil {
			c.front.counts.notServing.Add(1)
			return protocol.NotReady, why.Error()
		}
	}
	return protocol.OK, ""
}

// submit waits for credit only once everything known has been said: the
// client may need to hear it before it goes on.
func (c *conn) submit() error {
	lane := c.lane.Load()
	if lane.TrySubmit(&c.req) {
		return nil
	}
	c.rest()
	err := lane.Submit(&c.req)
	c.out.setBusy(true)
	return err
}

func (c *conn) rest() {
	c.out.setBusy(false)
	c.flush()
}

// answer completes the request at hand with m, in its turn.
func (c *conn) answer(m *protocol.Message) error {
	m.Op, m.Xid = c.req.Op, c.req.Xid
	c.rest() // it may have to wait
	err := c.lane.Load().Answer(m)
	c.out.setBusy(true)
	return err
}

func (c *conn) refuseRequest(code protocol.Code, detail string) error {
	c.front.counts.badRequests.Add(1)
	return c.answer(&protocol.Message{Code: code, More: &protocol.More{Detail: detail}})
}

// refuseFrame passes over a frame that is too large and answers it.
func (c *conn) refuseFrame(e *protocol.FrameTooLargeError) error {
	c.front.counts.tooLarge.Add(1)
	if e.Length > maxSkippedFrame {
		return e
	}
	op, xid, err := protocol.SkipRequest(c.r, e)
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
	ids, err := c.front.cfg.prove(cred)
	if err != nil {
		c.front.counts.authFailures.Add(1)
		return c.refuseRequest(protocol.AuthFailed, err.Error())
	}
	c.admin = c.admin || isSuper(ids)
	c.rest()
	err = c.lane.Load().Authorize(c.req.Xid, ids)
	c.out.setBusy(true)
	return err
}
