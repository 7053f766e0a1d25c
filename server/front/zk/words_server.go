package zk

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/server/state"
)

// pretended is the version whose protocol is spoken, worded as the oldest
// clients read it: go-zookeeper knows this form of the date alone, kazoo takes
// what stands before the dash.
const pretended = "3.8.0-0, built on 02/25/2022 08:49 GMT"

func (c *conn) status() protocol.Status {
	if c.zk.cfg.Status == nil {
		return protocol.Status{Zxid: c.Core().Zxid()}
	}
	return c.zk.cfg.Status()
}

// mode is the role as ZooKeeper words it.
func (c *conn) mode(s *protocol.Status) string {
	if s.Role == roleLeader && len(c.members()) <= 1 {
		return "standalone"
	}
	return s.Role
}

// Roles as protocol.Member and protocol.Status word them.
const (
	roleLeader   = "leader"
	roleObserver = "observer"
)

func (c *conn) members() []protocol.Member {
	if c.zk.cfg.Members == nil {
		return nil
	}
	return c.zk.cfg.Members()
}

func (c *conn) isro() string {
	if c.Config().NotServing() != nil {
		return "ro"
	}
	return "rw"
}

func (c *conn) envi() string {
	host, _ := os.Hostname()
	return "Environment:\n" +
		"zookeeper.version=" + pretended + "\n" +
		"lycaon.version=" + c.status().Version + "\n" +
		"host.name=" + host + "\n" +
		"os.name=" + runtime.GOOS + "\n" +
		"os.arch=" + runtime.GOARCH + "\n"
}

func (c *conn) conf() string {
	var b strings.Builder
	for _, s := range c.zk.cfg.Settings {
		fmt.Fprintf(&b, "%s=%s\n", s.Key, s.Value)
	}
	return b.String()
}

func (c *conn) srvr() string {
	return "Zookeeper version: " + pretended + "\n" + c.figures()
}

func (c *conn) stat() string {
	var b strings.Builder
	b.WriteString("Zookeeper version: " + pretended + "\nClients:\n")
	for _, other := range c.Front().Conns() {
		b.WriteString(line(other, false))
	}
	return b.String() + "\n" + c.figures()
}

// figures are what srvr and stat have in common.
func (c *conn) figures() string {
	s, traffic := c.status(), c.traffic()
	least, average, worst := c.zk.latency.read()
	return fmt.Sprintf("Latency min/avg/max: %d/%.4g/%d\nReceived: %d\nSent: %d\nConnections: %d\nOutstanding: %d\nZxid: 0x%x\nMode: %s\nNode count: %d\n",
		least, average, worst, traffic.received, traffic.sent, s.Connections, traffic.outstanding, s.Zxid, c.mode(&s), s.Nodes)
}

// traffic is of all connections since the start or the last srst.
type traffic struct {
	received, sent uint64
	outstanding    int64
}

func (c *conn) traffic() traffic {
	s := c.Front().Stats()
	c.zk.mu.Lock()
	defer c.zk.mu.Unlock()
	return traffic{s.Requests - c.zk.received, s.MessagesOut - c.zk.sent, c.Core().Stats().Requests}
}

func (c *conn) srst() string {
	s := c.Front().Stats()
	c.zk.mu.Lock()
	defer c.zk.mu.Unlock()
	c.zk.received, c.zk.sent = s.Requests, s.MessagesOut
	c.zk.latency.reset()
	return "Server stats reset.\n"
}

func (c *conn) mntr() string {
	s, traffic := c.status(), c.traffic()
	least, average, worst := c.zk.latency.read()
	ephemerals := 0
	c.Core().View(func(m *state.Machine) {
		for s := range m.Sessions().All() {
			ephemerals += m.Tree().NumEphemerals(s.ID)
		}
	})
	var b strings.Builder
	for _, row := range []struct {
		key   string
		value any
	}{
		{"version", pretended},
		{"server_state", c.mode(&s)},
		{"ephemerals_count", ephemerals},
		{"num_alive_connections", s.Connections},
		{"avg_latency", fmt.Sprintf("%.4g", average)},
		{"outstanding_requests", traffic.outstanding},
		{"znode_count", s.Nodes},
		{"global_sessions", s.Sessions},
		{"packets_sent", traffic.sent},
		{"packets_received", traffic.received},
		{"watch_count", s.Watches},
		{"min_latency", least},
		{"max_latency", worst},
		{"max_file_descriptor_count", maxDescriptors()},
		{"open_file_descriptor_count", openDescriptors()},
		{"approximate_data_size", s.DataBytes},
		{"auth_failed_count", c.Counts().AuthFailures.Load()},
		{"uptime", time.Since(c.zk.start).Milliseconds()},
	} {
		fmt.Fprintf(&b, "zk_%s\t%v\n", row.key, row.value)
	}
	if members := c.members(); s.Role == roleLeader && len(members) > 1 {
		voters := 0
		for _, m := range members {
			if m.Role != roleObserver {
				voters++
			}
		}
		fmt.Fprintf(&b, "zk_learners\t%d\nzk_synced_followers\t%d\n", len(members)-1, voters-1)
	}
	return b.String()
}

func openDescriptors() int {
	entries, _ := os.ReadDir("/proc/self/fd")
	return len(entries)
}

func maxDescriptors() uint64 {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return 0
	}
	return uint64(limit.Cur)
}

func (c *conn) dirs() string {
	size := int64(0)
	if c.zk.cfg.DataDir != nil {
		size = c.zk.cfg.DataDir()
	}
	return fmt.Sprintf("datadir_size: %d\nlogdir_size: %d\n", size, c.status().LogBytes)
}

// hash is the digest of the newest state: servers at the same zxid have the
// same.
func (c *conn) hash() string {
	zxid, digest := c.Core().Mark()
	return fmt.Sprintf("zxid: 0x%x digest: %016x\n", zxid, digest)
}
