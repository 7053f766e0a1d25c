package jute

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/znode"
)

const maxServers = 64 // in one reconfig

// Changes are what the reconfig does to the members, one after the other: who
// leaves goes first, who joins is added as an observer, and promoted unless it is
// to stay one. A member that joins again gets the role that it joins with.
func (r *Reconfig) Changes(members []protocol.Member) ([]protocol.MemberChange, error) {
	if r.HasNewMembers && r.NewMembers != "" {
		return nil, fmt.Errorf("%w: only incremental reconfigurations are known: name who joins and who leaves", znode.ErrBadArguments)
	}
	var changes []protocol.MemberChange
	for _, id := range list(r.Leaving) {
		n, err := serverID(id)
		if err != nil {
			return nil, err
		}
		changes = append(changes, protocol.MemberChange{Action: protocol.RemoveMember, ID: n})
	}
	for _, server := range list(r.Joining) {
		add, observes, err := joiningServer(server)
		if err != nil {
			return nil, err
		}
		known := slices.ContainsFunc(members, func(m protocol.Member) bool { return m.ID == add.ID })
		if !known {
			changes = append(changes, add)
		}
		switch {
		case !observes:
			changes = append(changes, protocol.MemberChange{Action: protocol.PromoteMember, ID: add.ID})
		case known:
			changes = append(changes, protocol.MemberChange{Action: protocol.DemoteMember, ID: add.ID})
		}
	}
	switch {
	case len(changes) == 0:
		return nil, fmt.Errorf("%w: nobody joins and nobody leaves", znode.ErrBadArguments)
	case len(changes) > maxServers:
		return nil, fmt.Errorf("%w: %d changes, at most %d are allowed", znode.ErrBadArguments, len(changes), maxServers)
	}
	return changes, nil
}

// list splits at commas and lines, of which ZooKeeper's clients use either.
func list(servers string) []string {
	return strings.FieldsFunc(servers, func(r rune) bool { return r == ',' || r == '\n' || r == ' ' })
}

func serverID(text string) (uint64, error) {
	id, err := strconv.ParseUint(strings.TrimPrefix(text, "server."), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("%w: %.64q is no server's number", znode.ErrBadArguments, text)
	}
	return id, nil
}

// joiningServer takes `server.ID=HOST:PEERPORT:ELECTIONPORT[:ROLE][;CLIENT]`. Lycaon's
// servers have one port for each other, which is the first; where clients reach
// a server, it tells itself.
func joiningServer(text string) (add protocol.MemberChange, observes bool, err error) {
	bad := fmt.Errorf("%w: %.128q is not server.ID=HOST:PORT:PORT[:participant|observer][;CLIENTPORT]", znode.ErrBadArguments, text)
	number, addr, ok := strings.Cut(text, "=")
	if !ok {
		return add, false, bad
	}
	if add.ID, err = serverID(number); err != nil {
		return add, false, err
	}
	addr, _, _ = strings.Cut(addr, ";")
	addr, observes = strings.CutSuffix(addr, ":observer")
	addr = strings.TrimSuffix(addr, ":participant")
	peer, ok := cutPort(addr) // of the elections
	host, isPeer := cutPort(peer)
	if !ok || !isPeer || strings.Contains(host, ":") && host[0] != '[' {
		return add, false, bad
	}
	add.Action, add.Addr = protocol.AddMember, peer
	return add, observes, nil
}

// cutPort takes the last :PORT off.
func cutPort(addr string) (rest string, ok bool) {
	i := strings.LastIndexByte(addr, ':')
	if i <= 0 || i == len(addr)-1 {
		return "", false
	}
	return addr[:i], true
}
