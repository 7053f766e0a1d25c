package replicate

import (
	"context"
	"math"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/lycaon-io/lycaon/server/state"
	"github.com/lycaon-io/lycaon/znode"
)

const configPath = "/zookeeper/config"

// publisher is what a leader remembers of telling the tree who the members are.
type publisher struct {
	began time.Time // when it took up its duties
	asked string    // what was proposed last
	at    time.Time // and when
}

// publish has /zookeeper/config name the members, as ZooKeeper does, unless it
// does so already. It is called with every tick, which bounds its rate.
//
// The proposal follows the change of the membership in the log, so it is not
// committed before that.
func (l *loop) publish(now time.Time) {
	if lead := l.leadTerm.Load(); lead == 0 || l.begun != lead || l.prop.halted.Load() {
		return
	}
	members := l.Members()
	if all, _ := l.allKnow(state.KnowsConfig, members, now.Sub(l.publisher.began)); !all {
		return
	}
	said, zxid := l.saidConfig()
	text := describe(members, said)
	p := &l.publisher
	if said == znode.ConfigData(text, zxid) || text == p.asked && now.Sub(p.at) < publishRetry {
		return
	}
	p.asked, p.at = text, now
	l.prop.Append(&state.Txn{Kind: state.TxnConfig, Members: text})
}

// saidConfig is what the node holds, and since when.
func (n *Node) saidConfig() (data string, zxid uint64) {
	reader := &znode.Actor{IDs: []znode.Identity{{Scheme: znode.SchemeSuper}}}
	n.machine.View(func(m *state.Machine) {
		raw, stat, _ := m.Tree().Get(reader, configPath) // the node is always there
		data, zxid = string(raw), stat.Mzxid
	})
	return data, zxid
}

// AllKnow tells whether the program of no member is too old for what
// (state.KnowsBrief, ...), as far as this server has been told. If it has just
// started it waits to be told, as long as ctx lasts.
func (n *Node) AllKnow(ctx context.Context, what int) bool {
	again := time.NewTicker(askAgain)
	defer again.Stop()
	for {
		all, settled := n.allKnow(what, n.Members(), time.Since(n.started))
		if settled {
			return all
		}
		select {
		case <-ctx.Done():
			return false
		case <-again.C:
		}
	}
}

// allKnow is false while a member runs a program that does not know what, and not
// settled while one has told nothing of itself. If it has not for a while it is
// taken to be down.
func (n *Node) allKnow(what int, members []Member, waited time.Duration) (all, settled bool) {
	all, settled = true, true
	for _, m := range members {
		a, told := n.book.of(m.ID)
		switch {
		case m.ID == n.cfg.ID:
		case told && a.Knows < what:
			return false, true
		case !told && waited < introductionTime:
			all, settled = false, false
		}
	}
	return all, settled
}

// describe gives the members in the order of their ids, in the form of
// ZooKeeper's dynamic configuration. A server that is alone and always was is
// nobody, as there. Where clients reach a member that has not told it is taken
// from what was said before of a server at the same place, and else left out.
func describe(members []Member, said string) string {
	if len(members) == 1 && said == "" {
		return ""
	}
	var text strings.Builder
	for _, m := range members {
		host, port, _ := net.SplitHostPort(m.PeerAddr) // checked when the member was admitted
		place := "server." + strconv.FormatUint(m.ID, 10) + "=" + net.JoinHostPort(host, port) + ":" + electionPort(port) + ":"
		role := "participant"
		if m.Suffrage == Observer {
			role = "observer"
		}
		text.WriteString(place + role)
		clients := m.ClientAddr
		if clients == "" {
			clients = clientAddrIn(said, place)
		}
		if clients != "" {
			text.WriteString(";" + clients)
		}
		text.WriteByte('\n')
	}
	return text.String()
}

// electionPort is a port beside a member's. Our servers have no second one, but
// clients refuse a line whose two ports are the same (QuorumServer of ZooKeeper's
// own library, which Curator uses).
func electionPort(peer string) string {
	n, _ := strconv.Atoi(peer) // checked when the member was admitted
	if n == math.MaxUint16 {
		return strconv.Itoa(n - 1)
	}
	return strconv.Itoa(n + 1)
}

// clientAddrIn finds the client address in the line that begins with place.
func clientAddrIn(said, place string) string {
	for line := range strings.Lines(said) {
		if rest, ok := strings.CutPrefix(line, place); ok {
			_, clients, _ := strings.Cut(strings.TrimSuffix(rest, "\n"), ";")
			if _, _, err := net.SplitHostPort(clients); err != nil {
				return ""
			}
			return clients
		}
	}
	return ""
}
