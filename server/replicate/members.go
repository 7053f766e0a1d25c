package replicate

import (
	"cmp"
	"fmt"
	"maps"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/hashicorp/raft"

	"github.com/lycaon-io/lycaon/server/peer"
	"github.com/lycaon-io/lycaon/server/state"
)

// Suffrage says whether a member's vote counts.
type Suffrage string

const (
	Voter    Suffrage = "voter"
	Observer Suffrage = "observer"
)

// Member is a server of the cluster as this server knows it.
type Member struct {
	ID         uint64
	PeerAddr   string
	Data       string // id of its data directory; "" until it has shown it
	Suffrage   Suffrage
	ClientAddr string // "" if it has not told
	Version    string // "" if it has not told
	Leader     bool
}

// memberAddr is a member's address in raft's configuration: where it is, and
// behind a '#' the id of the data directory that the cluster has admitted under
// its id. A member without one has not shown it yet. One that is being replaced
// has "-" and the data of its former life, which is not admitted any more.
type memberAddr struct{ addr, data, former string }

func (a memberAddr) String() string {
	switch {
	case a.data != "":
		return a.addr + "#" + a.data
	case a.former != "":
		return a.addr + "#-" + a.former
	}
	return a.addr
}

func (a memberAddr) raft() raft.ServerAddress { return raft.ServerAddress(a.String()) }

// fits tells whether a data directory may be this member's.
func (a memberAddr) fits(data string) bool {
	return data != "" && (a.data == "" || a.data == data) && a.former != data
}

func parseMemberAddr(s raft.ServerAddress) (a memberAddr, err error) {
	a.addr, a.data, _ = strings.Cut(string(s), "#")
	if former, replaced := strings.CutPrefix(a.data, "-"); replaced {
		a.data, a.former = "", former
	}
	if _, _, err := net.SplitHostPort(a.addr); err != nil {
		return memberAddr{}, fmt.Errorf("replicate: member address %q: %w", s, err)
	}
	return a, nil
}

func serverID(id uint64) raft.ServerID { return raft.ServerID(strconv.FormatUint(id, 10)) }

// parseServerID is 0 for what is no id of ours.
func parseServerID(id raft.ServerID) uint64 {
	n, err := strconv.ParseUint(string(id), 10, 64)
	if err != nil {
		return 0
	}
	return n
}

// configuration is the newest membership that raft knows here, committed or
// not; empty before raft runs, and on a new member until the leader's log has
// come.
func (n *Node) configuration() raft.Configuration {
	inst := n.instance()
	if inst == nil {
		return raft.Configuration{}
	}
	return inst.raft.GetConfiguration().Configuration()
}

func (n *Node) self() memberAddr { return memberAddr{addr: n.cfg.Address, data: n.cfg.Data} }

func find(c raft.Configuration, id uint64) (raft.Server, memberAddr, bool) {
	for _, s := range c.Servers {
		if s.ID == serverID(id) {
			addr, err := parseMemberAddr(s.Address)
			return s, addr, err == nil
		}
	}
	return raft.Server{}, memberAddr{}, false
}

// voters counts the members with a vote but for one.
func voters(c raft.Configuration, without uint64) (ids []uint64) {
	for _, s := range c.Servers {
		if id := parseServerID(s.ID); s.Suffrage == raft.Voter && id != without {
			ids = append(ids, id)
		}
	}
	return ids
}

// Members are the servers of the cluster, by id. Before this server takes part
// they are those it was told to found the cluster with.
func (n *Node) Members() []Member {
	c := n.configuration()
	if len(c.Servers) == 0 {
		return slices.Clone(n.cfg.Initial)
	}
	leader, _ := n.Leader()
	members := make([]Member, 0, len(c.Servers))
	for _, s := range c.Servers {
		id := parseServerID(s.ID)
		_, addr, _ := find(c, id)
		m := Member{ID: id, PeerAddr: addr.addr, Data: addr.data, Suffrage: Voter, Leader: id == leader}
		if s.Suffrage != raft.Voter {
			m.Suffrage = Observer
		}
		if said, ok := n.book.of(id); ok {
			m.ClientAddr, m.Version = said.ClientAddr, said.Version
		}
		if id == n.cfg.ID {
			m.ClientAddr, m.Version = n.cfg.ClientAddr, n.cfg.Version
		}
		members = append(members, m)
	}
	slices.SortFunc(members, func(a, b Member) int { return cmp.Compare(a.ID, b.ID) })
	return members
}

// followers are all members but this server, as raft addresses them.
func (n *Node) followers() []raft.Server {
	return slices.DeleteFunc(slices.Clone(n.configuration().Servers), func(s raft.Server) bool { return s.ID == serverID(n.cfg.ID) })
}

// others are their ids.
func (n *Node) others() (ids []uint64) {
	for _, s := range n.followers() {
		ids = append(ids, parseServerID(s.ID))
	}
	return ids
}

// target is how to dial a member.
func (n *Node) target(id uint64) (peer.Target, bool) {
	_, addr, ok := find(n.configuration(), id)
	return peer.Target{ID: id, Addr: addr.addr, Data: addr.data}, ok
}

// isMember tells whether the newest membership has, or may have, a server with
// that data under an id. It says nothing against a server that it does not know.
func (n *Node) isMember(id raft.ServerID, data string) bool {
	_, addr, ok := find(n.configuration(), parseServerID(id))
	return !ok || addr.data == "" && addr.former == "" || addr.fits(data)
}

// leads tells whether this server leads in a term in which a server is a member.
func (n *Node) leads(id raft.ServerID, term uint64) bool {
	if n.leadTerm.Load() != term {
		return false
	}
	_, _, ok := find(n.configuration(), parseServerID(id))
	return ok
}

// obeys tells whether raft here takes a server for the leader.
func (n *Node) obeys(id raft.ServerID) bool {
	inst := n.instance()
	if inst == nil {
		return false
	}
	_, leader := inst.raft.LeaderWithID()
	return leader == id
}

// appendTo sends a follower what raft might have sent it.
func (n *Node) appendTo(id uint64, req *raft.AppendEntriesRequest) error {
	inst := n.instance()
	s, _, ok := find(n.configuration(), id)
	if inst == nil || !ok {
		return raft.ErrNotLeader
	}
	req.RPCHeader = n.header()
	if t, ok := inst.trans.(*peerTransport); ok {
		return t.notice(s.ID, s.Address, req)
	}
	return errWithheld // there are no peers
}

// header is that of raft's own messages.
func (n *Node) header() raft.RPCHeader {
	return headerOf(n.cfg.ID, string(n.self().raft()))
}

func headerOf(id uint64, addr string) raft.RPCHeader {
	return raft.RPCHeader{ProtocolVersion: raft.ProtocolVersionMax, ID: []byte(serverID(id)), Addr: []byte(addr)}
}

// Admit is the rule by which streams of other servers of this cluster are
// accepted. It may be called before Open.
//
// For raft every server will do: one that was behind does not know the member
// yet that leads now, and could never learn of it. Nobody gets a vote by that,
// since raft and the transport compare the candidate with the membership.
func (n *Node) Admit(k peer.Kind, remote peer.Identity) error {
	switch {
	case k == peer.Admin:
		return nil
	case n.instance() == nil:
		return peer.Refuse(peer.ErrNotReady, "server %d does not take part yet", n.cfg.ID)
	case k == peer.Raft:
		return nil
	}
	return n.mustBeMember(remote)
}

// mustBeMember refuses whom the newest membership does not have with its data.
func (n *Node) mustBeMember(remote peer.Identity) error {
	_, addr, ok := find(n.configuration(), remote.ID)
	switch {
	case !ok:
		return peer.Refuse(peer.ErrNotMember, "server %d is not a member as far as server %d knows", remote.ID, n.cfg.ID)
	case !addr.fits(remote.Data):
		return peer.Refuse(peer.ErrOtherData, "server %d is a member with other data", remote.ID)
	}
	return nil
}

// book is what the members said of themselves: the leader's own record, which
// its followers are sent.
type book struct {
	mu       sync.Mutex // guards what follows
	said     map[uint64]announcement
	revision uint64
	pending  map[uint64]announcement // to be compared with the membership
}

func newBook() *book {
	return &book{said: map[uint64]announcement{}, pending: map[uint64]announcement{}}
}

func (b *book) of(id uint64) (announcement, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	a, ok := b.said[id]
	return a, ok
}

func (b *book) noteLocked(a announcement) {
	if b.said[a.ID] != a {
		b.said[a.ID] = a
		b.revision++
	}
}

// announced is told, while leading, what a member says of itself.
func (n *Node) announced(a announcement) {
	n.book.mu.Lock()
	n.book.noteLocked(a)
	n.book.pending[a.ID] = a
	n.book.mu.Unlock()
	hint(n.adoptees)
}

// learned is told what the leader knows of the members.
func (n *Node) learned(list []announcement) {
	n.book.mu.Lock()
	defer n.book.mu.Unlock()
	for _, a := range list {
		if len(n.book.said) < maxBook || n.book.said[a.ID] != (announcement{}) {
			n.book.noteLocked(a)
		}
	}
}

// waiting are the announcements not compared with the membership yet.
func (b *book) waiting() []announcement {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Collect(maps.Values(b.pending))
}

func (b *book) settled(a announcement) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.pending[a.ID] == a {
		delete(b.pending, a.ID)
	}
}

func (b *book) clearPending() {
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(b.pending)
}

// directory is what this server knows of the members; the revision rises with
// each change.
func (n *Node) directory() (list []announcement, revision uint64) {
	n.book.mu.Lock()
	defer n.book.mu.Unlock()
	return slices.Collect(maps.Values(n.book.said)), n.book.revision
}

// introduction is what this server says of itself.
func (n *Node) introduction() announcement {
	return announcement{ID: n.cfg.ID, Data: n.cfg.Data, Addr: n.cfg.Address, ClientAddr: n.cfg.ClientAddr, Version: n.cfg.Version, Knows: state.Knows}
}
