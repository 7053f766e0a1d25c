package zk

import (
	"context"
	"errors"
	"fmt"
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
// meanwhile, and one whose pings are not answered leaves, so it takes a part of the
// session's timeout at most; what was not done by then is asked for again in the
// same words.
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
	changes, err := r.Changes(c.members())
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
	c.Config().Logger.Info("a change of the members was asked for", "action", change.Action, "server", change.ID, "addr", change.Addr, "by", c.RemoteAddr())
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
