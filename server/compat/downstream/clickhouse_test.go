package downstream

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// shard is a table of two replicas and all the rows that a client was told are in it.
type shard struct {
	*run
	replicas []*replica
	ids      counter
	told     blocks
}

func TestClickHouse(t *testing.T) {
	r := begin(t, need{clickHouse, "clickhouse-server"})
	s := &shard{run: r, replicas: r.openReplicas()}
	s.tables()
	s.inserts()
	s.merges()
	s.quorum()
	s.readsTheTree()
	s.replicaRestarts()
	s.serverDies("the server of "+s.replicas[0].name, s.connected(s.replicas[0].program))
	s.serverDies("the leader", s.ensemble.Leader())
	s.serverHangs()
	s.allServersDie()
	s.sessionExpires()
	s.drops()
}

// tables makes one table by a statement for both replicas, which they find in the tree.
func (s *shard) tables() {
	// Before its worker has begun this ClickHouse crashes on such a statement.
	const begun = "DDLWorker: Processing tasks"
	for _, r := range s.replicas {
		s.await(begun+" in the log of "+r.name, func() error { return r.logs(begun) })
	}
	s.query(s.replicas[0], `CREATE TABLE events ON CLUSTER both (id UInt64, name String, square UInt64)
		ENGINE = ReplicatedMergeTree('/clickhouse/tables/{shard}/events', '{replica}') ORDER BY id`)
	for _, r := range s.replicas {
		s.await(r.name+" has the table", func() error { return r.says("2", "SELECT total_replicas FROM system.replicas WHERE table = 'events'") })
	}
	s.ok("a table on both replicas, made ON CLUSTER")
}

func (s *shard) inserts() {
	for _, r := range s.replicas {
		began := time.Now()
		s.insert(r)
		s.agree()
		s.ok("an insert into %s is on both, %v", r.name, since(began))
	}
}

// merges has parts merged, columns added and rows rewritten on both replicas.
func (s *shard) merges() {
	a, b := s.replicas[0], s.replicas[1]
	const parts = "SELECT count() FROM system.parts WHERE table = 'events' AND active"
	s.await("one part on "+a.name, func() error {
		// Refused if there is nothing to merge, also since that is done already.
		_, refused := a.query("OPTIMIZE TABLE events FINAL", "")
		return errors.Join(a.says("1", parts), refused)
	})
	s.await("one part on "+b.name, func() error { return b.says("1", parts) })
	s.agree()
	s.ok("OPTIMIZE FINAL: one part on both")
	s.query(b, "ALTER TABLE events ADD COLUMN double UInt64 DEFAULT id * 2")
	s.await("the new column on "+a.name, func() error { return a.says("1", "SELECT min(double = id * 2) FROM events") })
	s.ok("ALTER ADD COLUMN at %s is on both", b.name)
	doomed := s.told.take()
	s.query(b, fmt.Sprintf("ALTER TABLE events DELETE WHERE id IN (%s)", join(doomed)))
	for _, r := range s.replicas {
		s.await("the mutation on "+r.name, func() error {
			return r.says("1", "SELECT min(is_done) FROM system.mutations WHERE table = 'events'")
		})
	}
	s.agree()
	s.ok("ALTER DELETE at %s has rewritten both", b.name)
}

// quorum comes after the merges: ClickHouse merges no part that is the last of those with a quorum.
func (s *shard) quorum() {
	began := time.Now()
	b := s.ids.block()
	require.NoError(s, s.replicas[0].insert(b, "insert_quorum=2"))
	s.told.add(b)
	s.agree()
	s.ok("an insert with a quorum of 2, %v", since(began))
	require.NoError(s, s.replicas[1].insert(b, ""))
	s.agree()
	s.ok("the same block again, at the other replica: not doubled")
}

func (s *shard) readsTheTree() {
	for _, r := range s.replicas {
		const under = "SELECT name FROM system.zookeeper WHERE path = '/clickhouse/tables/01/events/replicas"
		s.await("the tree by "+r.name, func() error { return r.says("r1\nr2", under+"' ORDER BY name") })
		s.await("the lock of "+r.name, func() error {
			return r.says("1", strings.Replace(under, "name", "ephemeralOwner > 0", 1)+"/"+r.name+"' AND name = 'is_active'")
		})
	}
	s.ok("system.zookeeper lists the replicas, and each has its ephemeral node")
}

func (s *shard) replicaRestarts() {
	a, b := s.replicas[0], s.replicas[1]
	for _, end := range []struct {
		how string
		run func()
	}{
		{"stopped", func() { s.stop(b) }},
		{"killed", b.Kill},
	} {
		end.run()
		s.insert(a)
		began := time.Now()
		s.start(b.program)
		s.await(b.name+" answers", func() error { return b.says("1", "SELECT 1") })
		s.agree()
		s.await(b.name+" can be written to", b.writable)
		s.insert(b)
		s.agree()
		s.ok("%s was %s, started again, has caught up and takes inserts, %v", b.name, end.how, since(began))
	}
}

func (s *shard) stop(r *replica) {
	r.Signal(syscall.SIGTERM)
	s.await(r.name+" stops", func() error {
		if !r.Ended() {
			return errors.New("it runs")
		}
		return nil
	})
}

// serverDies kills a server of the ensemble while both replicas are written to.
func (s *shard) serverDies(which string, victim int) {
	w := s.write()
	w.flows()
	at := time.Now()
	s.ensemble.Kill9(victim)
	w.flows()
	s.ensemble.Restart(victim)
	w.flows()
	s.settle(w, fmt.Sprintf("%s was killed (server %d)", which, victim), at)
}

// serverHangs stops the server of a replica for longer than its session without closing a connection.
func (s *shard) serverHangs() {
	w := s.write()
	w.flows()
	victim := s.connected(s.replicas[0].program)
	at := time.Now()
	s.ensemble.Pause(victim)
	w.flows()
	s.ensemble.Resume(victim)
	s.ensemble.Await(victim)
	w.flows()
	s.settle(w, fmt.Sprintf("the server of %s hung (server %d)", s.replicas[0].name, victim), at)
}

// allServersDie leaves the replicas without servers until they refuse inserts.
func (s *shard) allServersDie() {
	w := s.write()
	w.flows()
	at := time.Now()
	s.ensembleDies(w.ebbs)
	w.flows()
	s.settle(w, "all servers were killed", at)
}

// settle ends the writing and compares what the replicas hold with what their clients were told.
func (s *shard) settle(w *writing, what string, at time.Time) {
	w.end()
	if w.inDoubt() > 0 {
		// ClickHouse keeps the part of an insert in doubt, beside that of the same
		// block written again, until a check minutes later or at the next attachment.
		s.reattach()
	}
	s.agree()
	s.ok("%s: %s; %d rows, none lost or doubled", what, w.report(at), s.told.rows())
}

func (s *shard) reattach() {
	for _, r := range s.replicas {
		s.query(r, "DETACH TABLE events")
		s.query(r, "ATTACH TABLE events")
		s.await(r.name+" can be written to", r.writable)
	}
}

// sessionExpires stops a replica for so long that its ephemeral node goes.
func (s *shard) sessionExpires() {
	a, b := s.replicas[0], s.replicas[1]
	b.Signal(syscall.SIGSTOP)
	at := time.Now()
	s.await(b.name+" is seen to be gone", func() error {
		return a.says("1", "SELECT active_replicas FROM system.replicas WHERE table = 'events'")
	})
	gone := since(at)
	s.insert(a)
	b.Signal(syscall.SIGCONT)
	began := time.Now()
	s.await(b.name+" is seen again", func() error {
		return a.says("2", "SELECT active_replicas FROM system.replicas WHERE table = 'events'")
	})
	s.await(b.name+" can be written to", b.writable)
	s.insert(b)
	s.agree()
	s.ok("%s stood still: its session (%d ms) was gone after %v; %v after it went on it takes inserts", b.name, sessionMs, gone, since(began))
}

func (s *shard) drops() {
	s.eventually(s.replicas[0], "DROP TABLE IF EXISTS events ON CLUSTER both") // refused by a worker that has lost its session
	for _, r := range s.replicas {
		s.await("the tree by "+r.name, func() error {
			return r.says("0", "SELECT count() FROM system.zookeeper WHERE path = '/clickhouse/tables/01' AND name = 'events'")
		})
	}
	s.ok("dropped on both, and out of the tree")
}

func (s *shard) query(r *replica, statement string) {
	s.Helper()
	_, err := r.query(statement, "")
	require.NoError(s, err)
}

// eventually repeats a statement until it is taken.
func (s *shard) eventually(r *replica, statement string) {
	s.Helper()
	s.await(statement, func() error {
		_, err := r.query(statement, "")
		return err
	})
}

// insert writes a block to one replica, which must take it.
func (s *shard) insert(r *replica) {
	s.Helper()
	b := s.ids.block()
	require.NoError(s, r.insert(b, ""))
	s.told.add(b)
}

// agree waits until every replica holds each row that a client was told of, and each once.
func (s *shard) agree() {
	s.Helper()
	want := s.told.sums()
	for _, r := range s.replicas {
		s.await(r.name+" has every row once", func() error {
			return r.says(want, "SELECT count(), uniqExact(id), sum(id), sum(square) FROM events")
		})
	}
}

func since(t time.Time) time.Duration { return time.Since(t).Round(10 * time.Millisecond) }
