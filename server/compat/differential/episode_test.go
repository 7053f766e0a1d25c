package differential

import (
	"fmt"
	"path"
	"slices"
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
	twins   bool                        // both are ZooKeepers
	tamper  func(frame []byte) [][]byte // of what the second says

	mu     sync.Mutex
	roots  int
	lost   int            // episodes in which an ensemble of ZooKeeper never answered a request
	counts map[string]int // of the deviations met
}

// outcome of an episode.
type outcome struct {
	said script // what was asked, as far as it went
	diff *difference
	lost bool // ZooKeeper did not answer
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
	out, err := p.play(zk, ly, from(m), c)
	p.mu.Lock()
	defer p.mu.Unlock()
	if out.lost {
		p.lost++
	}
	if p.counts == nil {
		p.counts = map[string]int{}
	}
	for name, n := range c.counts {
		p.counts[name] += n
	}
	return out, err
}

// play goes through the steps of an episode up to the first difference.
func (p *pair) play(zk, ly *side, steps source, c *comparison) (*outcome, error) {
	out := &outcome{}
	for st := steps.next(); st != nil && out.diff == nil; st = steps.next() {
		out.said = append(out.said, *st)
		heard := map[*side]*[]*item{zk: {}, ly: {}}
		err := both(zk, ly, func(s *side) (err error) {
			*heard[s], err = s.do(st)
			return err
		})
		if err != nil {
			return out, err
		}
		if p.forgotten(*heard[zk]) || p.twins && p.forgotten(*heard[ly]) {
			out.lost = true
			return out, nil
		}
		out.diff = c.step(len(out.said)-1, st, *heard[zk], *heard[ly])
		align(zk, ly, st.Slot)
	}
	return out, nil
}

// forgotten says that an ensemble of ZooKeeper has left a request unanswered. A
// member of 3.8.0 does so now and then; who waits longer waits in vain.
func (p *pair) forgotten(heard []*item) bool {
	return len(p.zk) > 1 && slices.ContainsFunc(heard, func(it *item) bool { return it.kind == itemSilent })
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

// end closes what is open, and the sessions with it, and removes the tree: a long
// run would fill the servers.
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
	c := &client{}
	defer c.close()
	if _, err := s.greet(c, &step{}); err != nil || c.conn == nil {
		return // what is left does no harm
	}
	s.send(c, []*op{{Op: opAuth, Scheme: "digest", Data: blob(superSecret)}})
	for _, top := range []string{path.Dir(s.root), "/zookeeper/quota" + path.Dir(s.root)} {
		s.removeBelow(c, top)
	}
	s.send(c, []*op{{Op: opCloseSession}})
}

const removedAtOnce = 100

// removeBelow deletes a node and all below it, as far as it can.
func (s *side) removeBelow(c *client, top string) {
	all := []string{top}
	for i := 0; i < len(all) && c.conn != nil; i++ {
		for _, it := range s.send(c, []*op{{Op: opGetChildren, Path: all[i]}}) {
			for _, name := range it.names {
				all = append(all, all[i]+"/"+name)
			}
		}
	}
	slices.Reverse(all)
	for some := range slices.Chunk(all, removedAtOnce) {
		var ops []*op
		for _, at := range some {
			ops = append(ops, &op{Op: opDelete, Path: at, Version: -1})
		}
		if c.conn != nil {
			s.send(c, ops)
		}
	}
}
