package differential

import (
	"fmt"
	"path"
	"sync"
)

// source gives the steps of an episode, nil at its end.
type source interface{ next() *step }

// replay is the source of a script.
type replay struct{ rest script }

func (r *replay) next() *step {
	if len(r.rest) == 0 {
		return nil
	}
	st := &r.rest[0]
	r.rest = r.rest[1:]
	return st
}

// pair are two systems that are asked the same.
type pair struct {
	zk, ly  []string // addresses
	allowed []deviation
	apart   bool                        // both are one system: a tree for each
	tamper  func(frame []byte) [][]byte // of what the second says

	mu     sync.Mutex
	roots  int
	counts map[string]int // of the deviations met
}

// outcome of an episode.
type outcome struct {
	said script // what was asked, as far as it went
	diff *difference
}

// run plays an episode in a tree of its own.
func (p *pair) run(from func(m *mirror) source) (*outcome, error) {
	zk, ly := newSide("zookeeper", p.zk, slots), newSide("lycaon", p.ly, slots)
	ly.tamper = p.tamper
	defer zk.end()
	defer ly.end()
	roots := p.newRoots(zk, ly)
	if err := both(zk, ly, func(s *side) error { return s.begin(roots[s]) }); err != nil {
		return nil, err
	}
	m := newMirror(slots)
	c := &comparison{m: m, allowed: p.allowed, counts: map[string]int{}, early: map[*op]bool{}}
	out := &outcome{}
	steps := from(m)
	for st := steps.next(); st != nil && out.diff == nil; st = steps.next() {
		out.said = append(out.said, *st)
		var heard [2][]*item
		err := both(zk, ly, func(s *side) (err error) {
			at := 0
			if s == ly {
				at = 1
			}
			heard[at], err = s.do(st)
			return err
		})
		if err != nil {
			return out, err
		}
		out.diff = c.step(len(out.said)-1, st, heard[0], heard[1])
		align(zk, ly, st.Slot)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.counts == nil {
		p.counts = map[string]int{}
	}
	for name, n := range c.counts {
		p.counts[name] += n
	}
	return out, nil
}

// newRoots names the trees of an episode, equally long ones.
func (p *pair) newRoots(zk, ly *side) map[*side]string {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.roots++
	name := fmt.Sprintf("/run%06d", p.roots)
	roots := map[*side]string{zk: name + "/root", ly: name + "/root"}
	if p.apart {
		roots[ly] = "/two" + name[len("/run"):] + "/root"
	}
	return roots
}

// align lets both sides go on alike after a deviation that ended a connection.
func align(zk, ly *side, slot int) {
	a, b := zk.slots[slot], ly.slots[slot]
	if a.conn == nil || b.conn == nil {
		a.close()
		b.close()
	}
}

func both(zk, ly *side, do func(s *side) error) error {
	failed := make(chan error, 1)
	go func() { failed <- do(ly) }()
	err := do(zk)
	if other := <-failed; err == nil {
		err = other
	}
	return err
}

// Quotas of the root: no limits, but figures that the server keeps.
const (
	quotaLimits = "/zookeeper/quota$/zookeeper_limits"
	quotaStats  = "/zookeeper/quota$/zookeeper_stats"
)

// begin makes the root of the episode, and the place for its quotas.
func (s *side) begin(root string) error {
	s.root = root
	c := &client{}
	defer c.close()
	tamper := s.tamper
	s.tamper = nil
	defer func() { s.tamper = tamper }()
	if _, err := s.greet(c, &step{}); err != nil {
		return err
	}
	if c.conn == nil {
		return fmt.Errorf("%s opens no session", s.name)
	}
	var ops []*op
	for _, at := range []string{path.Dir(root), "$", "/zookeeper/quota" + path.Dir(root), "/zookeeper/quota$"} {
		ops = append(ops, &op{Op: opCreate, Path: at, ACL: openACL})
	}
	ops = append(ops, &op{Op: opCreate, Path: quotaLimits, Data: blob("count=-1,bytes=-1"), ACL: openACL},
		&op{Op: opCreate, Path: quotaStats, Data: blob("count=0,bytes=0"), ACL: openACL})
	heard := s.send(c, append(ops, &op{Op: opCloseSession}))
	for _, it := range heard {
		if it.kind == itemReply && it.err != 0 {
			return fmt.Errorf("%s: %v of %s: %d", s.name, it.op.Op, root, it.err)
		}
	}
	s.first = c.newest
	s.ledger, s.asked = newLedger(), 0
	return nil
}

// end closes what is open, and the sessions with it.
func (s *side) end() {
	s.tamper = nil
	for _, c := range s.slots {
		if c.conn == nil && c.session != 0 {
			_, _ = s.greet(c, &step{}) // a session that stays behind expires
		}
		if c.conn != nil {
			s.send(c, []*op{{Op: opCloseSession}})
		}
		c.close()
	}
}
