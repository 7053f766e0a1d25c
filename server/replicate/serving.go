package replicate

import (
	"errors"
	"fmt"
	"time"

	"github.com/lycaon-io/lycaon/server/internal/mutant"
	"github.com/lycaon-io/lycaon/server/state"
)

// Leader is who leads and in which term; 0 if nobody is known to.
func (n *Node) Leader() (id, term uint64) {
	l := n.leader.Load()
	return l.id, l.term
}

// Contact is for how long this server has not been sure of a leader: the age of
// the newest sign of life that the leader has acknowledged, 0 while leading. A
// leader that a majority has not answered for a while cannot be sure of itself.
func (n *Node) Contact() time.Duration {
	if n.leadTerm.Load() != 0 {
		return n.assurance.silence(time.Since(n.started), n.silenceOfMajority)
	}
	contact := n.streams.contact()
	if lost := n.lostLead.Load(); lost != 0 {
		contact = min(contact, time.Since(n.started)-time.Duration(lost))
	}
	return contact
}

// Serving is nil while sessions may be served here: everything that was
// acknowledged before this start is applied, and there is a leader who hears
// of the sessions. Otherwise it says what is in the way.
func (n *Node) Serving() error {
	inst := n.instance()
	switch {
	case !n.opened.Load():
		return errors.New("replicate: reading the newest snapshot")
	case n.guard.condemned() != nil:
		return fmt.Errorf("replicate: this server rebuilds its state: %w", n.guard.condemned())
	case inst == nil && n.counts.rebuilds.Load() > 0:
		return errors.New("replicate: raft starts anew")
	case inst == nil:
		return errors.New("replicate: " + n.claims.why())
	case !n.serving.Load() && !mutant.On(mutant.ServeEarly):
		return fmt.Errorf("replicate: applying the log: at entry %d of %d", n.fsm.counts.index.Load(), inst.raft.LastIndex())
	}
	if age := inst.gate.age(); n.stuck(age) {
		return fmt.Errorf("replicate: a write to the log has been under way for %s", age.Round(time.Millisecond))
	}
	if contact := n.Contact(); contact > maxServingContact {
		return fmt.Errorf("replicate: no contact with a leader for %s", contact.Round(time.Millisecond))
	}
	return nil
}

// Condition is nil while this server can take writes, and says what is in the
// way otherwise.
func (n *Node) Condition() error {
	if err := n.Serving(); err != nil {
		return err
	}
	if n.leadTerm.Load() == 0 {
		if n.leader.Load().id == 0 {
			return errors.New("replicate: this server does not lead and knows no leader")
		}
		return nil
	}
	s := n.prop.Stats()
	switch {
	case !s.Proposing:
		return errors.New("replicate: the log refused a write; trying again")
	case s.OldestFlight > slowFlight:
		return fmt.Errorf("replicate: a write to the log has been under way for %s", s.OldestFlight.Round(time.Millisecond))
	}
	return nil
}

// caughtUpWith is told the zxid of a leader that has applied an entry of its
// term. Once as much is applied here, nothing that was acknowledged before this
// start is missing, and this server may serve.
func (n *Node) caughtUpWith(zxid uint64) {
	if n.serving.Load() {
		return
	}
	n.awaiting.Store(zxid + 1)
	n.applied()
}

// applied looks, after each batch while it matters, whether this server has
// caught up.
func (n *Node) applied() {
	if n.serving.Load() {
		return
	}
	awaited := n.awaiting.Load()
	if awaited == 0 {
		return
	}
	var zxid uint64
	n.machine.View(func(m *state.Machine) { zxid = m.Zxid() })
	if zxid+1 >= awaited {
		n.nowServing()
	}
}

func (n *Node) nowServing() {
	n.serving.Store(true)
	n.readyOnce.Do(func() { close(n.ready) })
}

// unready takes back that this server serves, until it has caught up anew.
func (n *Node) unready() {
	n.serving.Store(false)
	n.awaiting.Store(0)
}

// stuck tells whether a write to the log has been under way for so long that this
// server is not one to be written through: others, if there are any, may be better
// off. Only then they are counted, since each session that begins has this asked.
func (n *Node) stuck(age time.Duration) bool {
	return age > hangAfter && (age > slowFlight || len(n.others()) > 0)
}
