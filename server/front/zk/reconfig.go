package zk

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/protocol/jute"
	"github.com/lycaon-io/lycaon/server/front"
	"github.com/lycaon-io/lycaon/server/state"
	"github.com/lycaon-io/lycaon/znode"
)

const configPath = "/zookeeper/config"

// reconfig changes the membership one server at a time, as incremental
// reconfigurations of ZooKeeper name them, and answers with the new
// configuration. It is for the superuser. Nothing else of the client is heard
// meanwhile, its pings neither, so it takes a part of the session's timeout at
// most; what was not done by then is asked for again in the same words.
func (c *conn) reconfig(xid int32, record []byte) error {
	m := &protocol.Message{Op: protocol.OpMemberChange, Xid: jute.Tag(xid, jute.OpReconfig)}
	r, err := jute.DecodeReconfig(record)
	if err == nil {
		err = c.Taking(c.reconfigTime(), func(ctx context.Context) error { return c.change(ctx, &r) })
	}
	if err != nil {
		c.Counts().BadRequests.Add(1)
		c.Config().Logger.Debug("reconfig refused", "peer", c.RemoteAddr(), "err", err)
		m.Code = protocol.CodeOf(err)
		return c.Answer(m)
	}
	m.Data, m.Stat = c.configuration()
	return c.Answer(m)
}

func (c *conn) reconfigTime() time.Duration {
	return min(reconfigTimeout, time.Duration(c.about.timeout.Load())*time.Millisecond/3)
}

func (c *conn) change(ctx context.Context, r *jute.Reconfig) error {
	if !front.IsSuper(c.Lane().IDs()) {
		return fmt.Errorf("%w: reconfig wants the superuser's identity", znode.ErrNoAuth)
	}
	if c.zk.cfg.ChangeMember == nil || c.readOnly {
		return protocol.ErrNotReady
	}
	changes, err := changesOf(r, c.members())
	if err != nil {
		return err
	}
	before, _ := c.configuration()
	if version := versionOf(before); r.CurConfigID != -1 && r.CurConfigID != version {
		return fmt.Errorf("%w: the configuration has version %x, not %x", znode.ErrBadVersion, version, r.CurConfigID)
	}
	for _, change := range changes {
		if err := c.changeOne(ctx, change); err != nil {
			return fmt.Errorf("%s of server %d: %w", change.Action, change.ID, err)
		}
	}
	return c.published(ctx, versionOf(before))
}

// changeOne makes one change. A promotion waits for its server to catch up.
func (c *conn) changeOne(ctx context.Context, change protocol.MemberChange) error {
	for {
		err := c.zk.cfg.ChangeMember(ctx, change)
		if err == nil || change.Action != protocol.PromoteMember {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%w: %v", protocol.ErrNotReady, err) // it may be asked for again
		case <-time.After(retryAfter):
		}
	}
}

// published waits for the tree to show a configuration newer than before, as
// it does soon after a change.
func (c *conn) published(ctx context.Context, before int64) error {
	ctx, cancel := context.WithTimeout(ctx, publishWait)
	defer cancel()
	for {
		if data, _ := c.configuration(); versionOf(data) != before {
			return nil
		}
		select {
		case <-ctx.Done():
			return errors.New("the membership has changed, and " + configPath + " does not show it yet")
		case <-time.After(retryAfter):
		}
	}
}

// configuration is the node that holds it, which anybody may read.
func (c *conn) configuration() (data []byte, stat znode.Stat) {
	c.Core().View(func(m *state.Machine) {
		data, stat, _ = m.Tree().Get(&znode.Actor{}, configPath)
	})
	return data, stat
}

// versionOf reads the line version=HEX; without one the version is 0.
func versionOf(config []byte) int64 {
	for line := range strings.Lines(string(config)) {
		if hex, ok := strings.CutPrefix(strings.TrimSpace(line), "version="); ok {
			version, _ := strconv.ParseInt(hex, 16, 64)
			return version
		}
	}
	return 0
}

// changesOf turns a reconfig into changes: who leaves goes first, who joins is
// added as an observer, and promoted unless it is to stay one. A member that
// joins again gets the role that it joins with.
func changesOf(r *jute.Reconfig, members []protocol.Member) ([]protocol.MemberChange, error) {
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
	last := strings.LastIndexByte(addr, ':')
	if last < 0 {
		return add, false, bad
	}
	if _, _, err := net.SplitHostPort(addr[:last]); err != nil {
		return add, false, bad
	}
	add.Action, add.Addr = protocol.AddMember, addr[:last]
	return add, observes, nil
}
