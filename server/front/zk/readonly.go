package zk

import (
	"sync"
	"time"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/protocol/jute"
)

// onlookers are the connections without a session. They are closed as soon as
// this server can serve sessions, so that their clients come for one.
type onlookers struct {
	mu    sync.Mutex
	conns map[*conn]struct{}
}

// add has c closed in time. While there are any, one goroutine looks.
func (o *onlookers) add(c *conn) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.conns == nil {
		o.conns = map[*conn]struct{}{}
	}
	o.conns[c] = struct{}{}
	if len(o.conns) == 1 {
		go o.attend(c.Config().NotServing)
	}
}

func (o *onlookers) attend(notServing func() error) {
	check := time.NewTicker(onlookerCheck)
	defer check.Stop()
	for range check.C {
		if o.look(notServing() == nil) == 0 {
			return
		}
	}
}

// look forgets those who have gone, closes the others if there are sessions
// again, and returns how many are left.
func (o *onlookers) look(serving bool) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	for c := range o.conns {
		select {
		case <-c.Gone():
			delete(o.conns, c)
			continue
		default:
		}
		if serving {
			c.Close(protocol.Closing, "sessions are served again")
		}
	}
	return len(o.conns)
}

// onlooking answers what a connection without a session is not to hand to its
// lane: sync would wait for others that are not there.
func (c *conn) onlooking(xid int32, op jute.OpCode) error {
	m := &protocol.Message{Xid: jute.Tag(xid, op)}
	if op == jute.OpCloseSession {
		m.Op = protocol.OpCloseSession
		return c.answerLast(m)
	}
	m.Op, m.Code = protocol.OpSync, protocol.NotReadOnly
	return c.Answer(m)
}
