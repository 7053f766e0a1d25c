package faults

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/protocol"
)

const (
	changeWithin = 20 * time.Second // of one change of the members
	changeGapMs  = pauseGapMs
	exitRemoved  = 17
	exitRefused  = 18
)

// change asks for a change of the members until the cluster takes it: a newcomer first has to catch up, a leader to be found.
func (r *runner) change(action protocol.MemberAction, id uint64, addr string) {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), changeWithin)
	defer cancel()
	admin, err := client.OpenGuest(ctx, r.c.addrs(), client.WithCredentials(client.Digest("super", superPassword)))
	must(r.t, err)
	defer admin.Abandon()
	for {
		err = admin.ChangeMember(ctx, client.MemberChange{Action: action, ID: id, Addr: addr})
		if err == nil || ctx.Err() != nil {
			break
		}
		time.Sleep(lookEvery) // what it waits for is other processes' business
	}
	if err != nil {
		r.rec.note("%s of server %d: %v", action, id, err)
	}
}

// newcomer starts one more server, which the cluster has been told of.
func (r *runner) newcomer() *server {
	r.t.Helper()
	s := r.c.newServer(uint64(r.c.plan.servers + 1))
	r.change(protocol.AddMember, s.id, s.peer)
	r.join(s)
	return s
}

// join starts a server that asks the others to be let in.
func (r *runner) join(s *server) {
	r.t.Helper()
	var peers []string
	for _, other := range r.c.servers {
		if other != s {
			peers = append(peers, other.peer)
		}
	}
	s.args = r.c.args(s, []string{"--join", strings.Join(peers, ",")})
	must(r.t, s.start())
	if !slices.Contains(r.c.servers, s) {
		r.c.servers = append(r.c.servers, s)
	}
}

func (r *runner) addAndPromote() {
	f := fault{Name: "add a server", GapMs: changeGapMs}
	var s *server
	r.strike(f, func() { s = r.newcomer() }, 0, func() {})
	r.strike(fault{Name: "promote it", GapMs: changeGapMs}, func() { r.change(protocol.PromoteMember, s.id, "") }, 0, func() {})
}

// removeOne takes a server out, which then has to end by itself.
func (r *runner) removeOne(name string, s *server) {
	r.t.Helper()
	r.c.mayEnd(s, true)
	r.strike(fault{Name: name, Detail: fmt.Sprint("server ", s.id), GapMs: changeGapMs}, func() {
		r.change(protocol.RemoveMember, s.id, "")
		r.endsWith(s, exitRemoved)
		r.c.sample(s)
		if err := r.c.dump(s); err != nil {
			r.rec.note("%v", err)
		}
		r.c.servers = slices.DeleteFunc(r.c.servers, func(other *server) bool { return other == s })
	}, 0, func() {})
}

// endsWith waits for a server to end by itself.
func (r *runner) endsWith(s *server, code int) {
	r.t.Helper()
	p := s.process()
	if !p.wait(stopWithin) {
		r.rec.note("server %d goes on for %v, it should have ended with exit code %d", s.id, stopWithin, code)
		s.kill()
		return
	}
	if got := p.cmd.ProcessState.ExitCode(); got != code {
		r.rec.note("server %d ended with exit code %d, wanted was %d: %s", s.id, got, code, s.tail(3))
	}
}

// replaceWiped loses a server's data. Under its old id it must not come back before somebody has said that it is replaced.
func (r *runner) replaceWiped(s *server) {
	r.t.Helper()
	r.c.mayEnd(s, true)
	r.strike(fault{Name: "wiped server replaced", Detail: fmt.Sprint("server ", s.id), GapMs: changeGapMs}, func() {
		s.kill()
		r.c.sample(s)
		must(r.t, r.c.dump(s))
		must(r.t, s.wipe())
		if err := s.start(); err != nil && !errors.Is(err, errNotStarted) {
			must(r.t, err)
		}
		r.endsWith(s, exitRefused)
		r.change(protocol.ReplaceMember, s.id, "")
		must(r.t, s.wipe())
		r.join(s)
		r.change(protocol.PromoteMember, s.id, "")
	}, 0, func() {})
	r.c.mayEnd(s, false)
}

func (r *runner) demoteAndPromote(s *server) {
	r.t.Helper()
	r.strike(fault{Name: "demote and promote leader", Detail: fmt.Sprint("server ", s.id), GapMs: changeGapMs}, func() {
		r.change(protocol.DemoteMember, s.id, "")
		r.change(protocol.PromoteMember, s.id, "")
	}, 0, func() {})
}

// TestFaultsMembers changes who is in the cluster, under load, and at last the whole leadership of it.
func TestFaultsMembers(t *testing.T) {
	p := clusterOf(t)
	if p.servers < 3 {
		t.Skip("one server has nobody to change")
	}
	runScenario(t, "members", p, func(r *runner) {
		r.addAndPromote()
		r.removeOne("remove leader", r.leader())
		for range rounds(t) {
			r.replaceWiped(r.follower())
			r.demoteAndPromote(r.leader())
			r.killLeader()
		}
	})
}
