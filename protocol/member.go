package protocol

import (
	"fmt"

	"github.com/lycaon-io/lycaon/znode"
)

// Member is one server of the cluster, as OpMembers tells of it.
type Member struct {
	ID         uint64
	Role       string // leader, follower, observer or unreachable
	PeerAddr   string // where the other servers reach it
	ClientAddr string // where clients do; "" if it has not said
	Version    string // "" if it has not said
}

// MemberStatus is one server as OpClusterStatus tells of it.
type MemberStatus struct {
	Member
	Status *Status // nil: it did not answer
	Error  string  // why not
}

// MemberAction is what a MemberChange does with its member.
type MemberAction string

const (
	AddMember     MemberAction = "add"     // a new server, at an address, as an observer
	RemoveMember  MemberAction = "remove"  // for good
	PromoteMember MemberAction = "promote" // from observer to voter
	DemoteMember  MemberAction = "demote"  // from voter to observer
	ReplaceMember MemberAction = "replace" // its data directory is new, and its address if one is given
)

// MemberChange is the body of OpMemberChange.
type MemberChange struct {
	Action MemberAction
	ID     uint64
	Addr   string // for peers, host:port: of an add, and of a replace that moves the server
}

// validate tells the rules that need no knowledge of the cluster.
func (c *MemberChange) validate() error {
	switch c.Action {
	case AddMember:
		if c.Addr == "" {
			return fmt.Errorf("%w: a member is added at an address for its peers", znode.ErrBadArguments)
		}
	case RemoveMember, PromoteMember, DemoteMember:
		if c.Addr != "" {
			return fmt.Errorf("%w: %s takes no address", znode.ErrBadArguments, c.Action)
		}
	case ReplaceMember:
	default:
		return fmt.Errorf("%w: member action %.64q", ErrUnimplemented, c.Action)
	}
	if c.ID == 0 {
		return fmt.Errorf("%w: 0 is no id of a member", znode.ErrBadArguments)
	}
	return nil
}

// AppendMemberChange appends the body of a memberChange.
func AppendMemberChange(b []byte, c *MemberChange) []byte {
	b = appendArray(b, 3)
	b = appendStr(b, string(c.Action))
	b = appendUint(b, c.ID)
	return appendStr(b, c.Addr)
}

// DecodeMemberChange decodes the body of a memberChange into memory of its own
// and checks what can be told without knowing the cluster.
func DecodeMemberChange(body []byte) (c MemberChange, err error) {
	d := newOwnedDecoder(body)
	t := d.tuple()
	c.Action = MemberAction(t.str())
	c.ID = t.uint()
	if c.Addr = t.optStr(); len(c.Addr) > maxAddrBytes {
		d.fail("an address that is too long")
	}
	t.end()
	if err := d.done(); err != nil {
		return c, err
	}
	return c, c.validate()
}

// AppendTransferLeader appends the body of a transferLeader; id 0 leaves the
// choice to the leader.
func AppendTransferLeader(b []byte, id uint64) []byte {
	return appendUint(appendArray(b, 1), id)
}

// DecodeTransferLeader decodes the body of a transferLeader.
func DecodeTransferLeader(body []byte) (id uint64, err error) {
	d := newDecoder(body)
	t := d.tuple()
	id = t.optUint()
	t.end()
	return id, d.done()
}

func appendMember(b []byte, m *Member) []byte {
	b = appendArray(b, 5)
	b = appendUint(b, m.ID)
	b = appendText(b, m.Role, maxAddrBytes)
	b = appendText(b, m.PeerAddr, maxAddrBytes)
	b = appendText(b, m.ClientAddr, maxAddrBytes)
	return appendText(b, m.Version, maxAddrBytes)
}

func (d *decoder) member() (m Member) {
	t := d.tuple()
	m = Member{ID: t.uint(), Role: t.optStr(), PeerAddr: t.optStr(), ClientAddr: t.optStr(), Version: t.optStr()}
	t.end()
	return m
}

func appendMembers(b []byte, members []Member) []byte {
	b = appendArray(b, 1)
	b = appendArray(b, len(members))
	for i := range members {
		b = appendMember(b, &members[i])
	}
	return b
}

func (t *tuple) members() (members []Member) {
	if !t.has() {
		return nil
	}
	n := t.d.array(maxMembers)
	if n == 0 {
		return nil
	}
	members = make([]Member, 0, n)
	for ; n > 0 && t.d.err == nil; n-- {
		members = append(members, t.d.member())
	}
	return members
}

func appendCluster(b []byte, cluster []MemberStatus) []byte {
	b = appendArray(b, 1)
	b = appendArray(b, len(cluster))
	for i := range cluster {
		m := &cluster[i]
		b = appendArray(b, 3)
		b = appendMember(b, &m.Member)
		if m.Status != nil {
			b = appendStatus(b, m.Status)
		} else {
			b = append(b, mpNil)
		}
		b = appendText(b, m.Error, maxDetailBytes)
	}
	return b
}

func (t *tuple) cluster() (cluster []MemberStatus) {
	if !t.has() {
		return nil
	}
	n := t.d.array(maxMembers)
	if n == 0 {
		return nil
	}
	cluster = make([]MemberStatus, 0, n)
	for ; n > 0 && t.d.err == nil; n-- {
		cluster = append(cluster, t.d.memberStatus())
	}
	return cluster
}

func (d *decoder) memberStatus() (m MemberStatus) {
	t := d.tuple()
	if t.need() {
		m.Member = d.member()
	}
	if t.has() && !d.null() {
		s := d.tuple()
		m.Status = s.status()
		s.end()
	}
	m.Error = t.optStr()
	t.end()
	return m
}
