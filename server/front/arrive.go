package front

import (
	"bufio"
	"errors"
	"time"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/server/pipeline"
)

// Arrival is how an open or attach ended.
type Arrival struct {
	Lane   *pipeline.Lane
	Opened pipeline.Opened
	Code   protocol.Code
	Detail string
}

// Arrive waits for an open or attach. It is given up when the client goes
// away (gone is true), which then would fence the connection the client has made
// elsewhere, and when this server stops serving, so that the client goes elsewhere.
func (c *Conn) Arrive(start func(pipeline.Done) pipeline.Cancel) (a Arrival, gone bool) {
	if code, why := c.NoHope(); code != protocol.OK {
		return Arrival{Code: code, Detail: why}, false
	}
	done := make(chan Arrival, 1)
	cancel := start(func(l *pipeline.Lane, o pipeline.Opened, code protocol.Code, detail string) {
		done <- Arrival{l, o, code, detail}
	})
	late := time.NewTimer(prompt)
	defer late.Stop()
	select {
	case a = <-done:
		return a, false
	case <-late.C:
	}
	heard, stop := c.listen()
	defer stop()
	late.Reset(HandshakeTimeout - prompt)
	check := time.NewTicker(patienceCheck)
	defer check.Stop()
	for {
		select {
		case a = <-done:
			return a, false
		case <-heard:
			if cancel() {
				return a, true
			}
			heard = nil
		case <-check.C:
			if code, why := c.NoHope(); code != protocol.OK && cancel() {
				return Arrival{Code: code, Detail: why}, false
			}
		case <-late.C:
			if cancel() {
				return Arrival{Code: protocol.NotReady, Detail: "the cluster did not take the session in time"}, false
			}
		}
	}
}

// NoHope tells why this server will begin no session now.
func (c *Conn) NoHope() (protocol.Code, string) {
	if c.front.draining.Load() {
		return protocol.Closing, GoingDown
	}
	if why := c.front.cfg.NotServing(); why != nil {
		c.front.counts.NotServing.Add(1)
		return protocol.NotReady, why.Error()
	}
	return protocol.OK, ""
}

// listen finds out when the client goes away, also behind what it has sent
// before its turn, as far as the buffer holds that. Until stop returns nobody
// else may read. That nothing comes is no going away: how long the client waits
// is its caller's.
func (c *Conn) listen() (heard chan error, stop func()) {
	c.nc.SetReadDeadline(time.Time{})
	heard, ended := make(chan error, 1), make(chan struct{})
	go func() {
		defer close(ended)
		var err error
		for err == nil {
			_, err = c.r.Peek(c.r.Buffered() + 1)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			heard <- err
		}
	}()
	return heard, func() {
		c.nc.SetReadDeadline(time.Unix(1, 0))
		<-ended
		c.nc.SetReadDeadline(time.Time{})
	}
}
