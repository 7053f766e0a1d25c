package downstream

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestPatroni(t *testing.T) {
	r := begin(t, need{patroni, "patroni"}, need{patronictl, "patroni"}, need{python, "python3"}, need{postgres + "/postgres", "postgresql-15"},
		need{postgres + "/psql", "postgresql-client-15"}, need{kazoo, "python3-kazoo"})
	d := r.openDatabase()
	d.bootstrap()
	d.configures()
	d.pauses()
	w := d.write()
	d.switchesOver(w)
	d.serverDies(w, "the server of the primary", func() int { return d.connected(d.primary().program) })
	d.serverDies(w, "the leader", d.ensemble.Leader)
	d.serverHangs(w)
	d.allServersDie(w)
	d.failsOver(w, "", func() {})
	leader := d.ensemble.Leader()
	d.failsOver(w, fmt.Sprintf(", and the leader of the ensemble (server %d)", leader), func() { d.ensemble.Kill9(leader) })
	d.ensemble.Restart(leader)
	w.end()
	d.keepsAll(w)
}

// bootstrap starts every member at once: one of them founds the database, the others copy it.
func (d *database) bootstrap() {
	for _, m := range d.members {
		d.start(m.program)
	}
	d.whole(1)
	lock := d.lock()
	require.Equal(d, d.primary().name, lock.holder)
	require.NotEqual(d, "0x0", lock.session, "the lock is ephemeral")
	d.ok("bootstrapped: %s; the lock is of session %s", d.list(), lock.session)
}

func (d *database) configures() {
	d.ctl("edit-config", "--force", "-s", "postgresql.parameters.work_mem=7MB", scope)
	for _, m := range d.members {
		d.await("the new setting at "+m.name, func() error { return m.says("7MB", "SHOW work_mem") })
	}
	require.Contains(d, d.ctl("show-config", scope), "work_mem: 7MB")
	d.ok("edit-config reached every member")
}

func (d *database) pauses() {
	require.Contains(d, d.ctl("pause", "--wait", scope), "cluster management is paused")
	require.Contains(d, d.ctl("list", scope), "Maintenance mode: on")
	require.Contains(d, d.ctl("resume", "--wait", scope), "cluster management is resumed")
	require.NotContains(d, d.ctl("list", scope), "Maintenance mode")
	d.ok("paused and resumed")
}

func (d *database) switchesOver(w *rows) {
	w.flow()
	from, to := d.primary(), d.syncStandby()
	at := time.Now()
	d.ctl("switchover", "--force", "--master", from.name, "--candidate", to.name, scope)
	w.flowAt(to.port)
	d.whole(2)
	require.Equal(d, to, d.primary())
	d.ok("switched over from %s to %s: no writes for %v", from.name, to.name, w.gap(at))
}

// serverDies kills a server of the ensemble. The primary must go on as if nothing
// had happened, for longer than its lock would last without it.
func (d *database) serverDies(w *rows, which string, choose func() int) {
	before := d.holds(w)
	victim, at := choose(), time.Now()
	d.ensemble.Kill9(victim)
	d.keepsLock(w, before, at)
	d.ensemble.Restart(victim)
	d.whole(2)
	d.ok("%s was killed (server %d): the primary kept its lock for %v, no writes for %v", which, victim, since(at), w.gap(at))
}

// serverHangs stops the server of the primary without closing a connection.
func (d *database) serverHangs(w *rows) {
	before := d.holds(w)
	victim, at := d.connected(d.primary().program), time.Now()
	d.ensemble.Pause(victim)
	d.keepsLock(w, before, at)
	d.ensemble.Resume(victim)
	d.ensemble.Await(victim)
	d.whole(2)
	d.ok("the server of the primary hung (server %d): the primary kept its lock for %v, no writes for %v", victim, since(at), w.gap(at))
}

// allServersDie leaves the primary without the ensemble: it must take no more
// writes, since nobody can say who holds the lock, until the ensemble is back.
func (d *database) allServersDie(w *rows) {
	w.flow()
	old, at := d.primary(), time.Now()
	d.ensembleDies(func() {
		d.await(old.name+" steps down", func() error { return old.says("t", "SELECT pg_is_in_recovery()") })
		d.ok("all servers were killed: %s steps down, %v", old.name, since(at))
	})
	back := time.Now()
	w.flow()
	d.ok("they are back: %s is primary, %v", d.primary().name, since(back))
	d.whole(2)
}

// holds is the lock of a primary that is written to.
func (d *database) holds(w *rows) lock {
	d.Helper()
	w.flow()
	l := d.lock()
	require.Equal(d, d.primary().name, l.holder)
	return l
}

// keepsLock waits for longer than a lock lasts by itself: it must be the same node
// of the same session then, and every write have gone to the same primary.
func (d *database) keepsLock(w *rows, before lock, at time.Time) {
	d.Helper()
	port := d.primary().port
	d.await("the time of a lock to pass", func() error {
		if left := ttl + 2*time.Second - time.Since(at); left > 0 {
			return fmt.Errorf("%v left", left)
		}
		return nil
	})
	w.flow()
	require.Equal(d, before, d.lock())
	for _, r := range w.after(at) {
		require.Equal(d, port, r.port, "row %d was written elsewhere", r.id)
	}
}

// failsOver kills the primary, and meanwhile whatever else.
func (d *database) failsOver(w *rows, more string, meanwhile func()) {
	w.flow()
	old, heir := d.primary(), d.syncStandby()
	at := time.Now()
	d.kill(old)
	meanwhile()
	w.flowAt(heir.port)
	took := w.gap(at)
	d.holdsAll(heir, w)
	d.start(old.program)
	back := time.Now()
	d.whole(2)
	require.Equal(d, heir, d.primary())
	d.ok("%s was killed%s: %s is primary, no writes for %v, none lost; %s came back as a replica in %v", old.name, more, heir.name, took, old.name, since(back))
}

// holdsAll compares a member with what the client was told.
func (d *database) holdsAll(m *member, w *rows) {
	d.Helper()
	told := w.after(d.began)
	held := map[string]bool{}
	answer, err := m.query("SELECT id FROM told")
	require.NoError(d, err)
	for id := range strings.Lines(answer) {
		require.False(d, held[strings.TrimSpace(id)], "row %s is there twice", id)
		held[strings.TrimSpace(id)] = true
	}
	for _, r := range told {
		require.True(d, held[fmt.Sprint(r.id)], "row %d of %d, taken at port %d, is not at %s", r.id, len(told), r.port, m.name)
	}
}

func (d *database) keepsAll(w *rows) {
	want, err := d.primary().query("SELECT count(*), sum(id) FROM told")
	require.NoError(d, err)
	for _, m := range d.members {
		d.await("all rows at "+m.name, func() error { return m.says(want, "SELECT count(*), sum(id) FROM told") })
		d.holdsAll(m, w)
	}
	d.ok("each of the %d rows that a client was told of is at every member; %d writes failed or are in doubt", len(w.after(d.began)), w.failed())
}
