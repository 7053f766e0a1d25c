package memnet

import "time"

// pipe is one direction of a connection.
type pipe struct {
	net      *Net
	from, to *conn

	flight  []segment // sent and not arrived
	arrived [][]byte
	ended   bool // the end has arrived
	size    int  // bytes sent and not acknowledged
	owed    int  // bytes read whose acknowledgement is held back
}

// segment is what travels: bytes, the end of them, or a reset.
type segment struct {
	at       time.Time // arrives then, if the way is open
	data     []byte
	fin, rst bool
}

func (p *pipe) send(s segment) {
	delay := p.net.link(p.from.host, p.to.host).delay
	s.at = time.Now().Add(delay)
	if n := len(p.flight); n > 0 && p.flight[n-1].at.After(s.at) {
		s.at = p.flight[n-1].at
	}
	p.size += len(s.data)
	p.flight = append(p.flight, s)
	if wait := time.Until(s.at); wait > 0 {
		time.AfterFunc(wait, p.later)
		return
	}
	p.pump()
}

func (p *pipe) later() {
	p.net.mu.Lock()
	defer p.net.mu.Unlock()
	p.pump()
}

// pump lets arrive what has travelled long enough. Bytes for an end that is
// closed are answered with a reset.
func (p *pipe) pump() {
	if p.net.link(p.from.host, p.to.host).cut {
		return
	}
	now := time.Now()
	for len(p.flight) > 0 && !p.flight[0].at.After(now) {
		s := p.flight[0]
		p.flight = p.flight[1:]
		switch {
		case s.rst:
			p.to.reset = true
		case s.fin:
			p.ended = true
		case p.to.closed || p.to.reset:
			p.owed += len(s.data)
			p.to.out.send(segment{rst: true})
		default:
			p.arrived = append(p.arrived, s.data)
		}
	}
	p.to.moved.Broadcast()
}

// take gives bytes to the reader and room to the writer.
func (p *pipe) take(b []byte) int {
	taken := 0
	for len(p.arrived) > 0 && taken < len(b) {
		n := copy(b[taken:], p.arrived[0])
		taken += n
		if n == len(p.arrived[0]) {
			p.arrived = p.arrived[1:]
		} else {
			p.arrived[0] = p.arrived[0][n:]
		}
	}
	p.owed += taken
	p.acknowledge()
	return taken
}

func (p *pipe) acknowledge() {
	if p.net.link(p.to.host, p.from.host).cut {
		return
	}
	p.size -= p.owed
	p.owed = 0
	p.from.moved.Broadcast()
}
