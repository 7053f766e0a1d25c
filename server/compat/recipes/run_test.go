package recipes_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/client/clienttest"
	"github.com/lycaon-io/lycaon/recipes"
	"github.com/lycaon-io/lycaon/server/compat/rig"
)

func TestMain(m *testing.M) { rig.Main(m) }

const testTime = 2 * time.Minute

// pair is both sides of a test.
type pair struct {
	t     *testing.T
	ctx   context.Context
	c     *client.Client
	other *rig.Talk
	said  int
}

// tell has the other side do something, and returns what waits for its answer.
func (p *pair) tell(format string, args ...any) (answer func() string) {
	p.said++
	number := fmt.Sprintf("%d ", p.said)
	p.other.Say(number + fmt.Sprintf(format, args...))
	return func() string {
		p.t.Helper()
		rest, ok := p.other.Await(number)
		require.True(p.t, ok, "it ended before it had answered")
		return rest
	}
}

func (p *pair) wants(answer, format string, args ...any) {
	p.t.Helper()
	require.Equal(p.t, answer, p.tell(format, args...)(), fmt.Sprintf(format, args...))
}

func (p *pair) held(h *recipes.Held, err error) *recipes.Held {
	p.t.Helper()
	require.NoError(p.t, err)
	require.NoError(p.t, h.Context().Err())
	return h
}

func (p *pair) release(h *recipes.Held) {
	p.t.Helper()
	require.NoError(p.t, h.Release(p.ctx))
}

// children are waited for, since what the other side does is told by nobody.
func (p *pair) children(path string, n int) {
	p.t.Helper()
	require.Eventually(p.t, func() bool {
		names, err := p.c.Children(p.ctx, path, client.Linearizable())
		return err == nil && len(names) == n
	}, testTime, 2*time.Millisecond)
}

func newPair(t *testing.T, command func(connect string) []string) *pair {
	ctx, cancel := context.WithTimeout(context.Background(), testTime)
	t.Cleanup(cancel)
	cluster := clienttest.Start(t)
	p := &pair{t: t, ctx: ctx, c: cluster.Client(t)}
	p.other = rig.Begin(t, ctx, command(cluster.Addrs()[0])...)
	t.Cleanup(func() {
		if out, err := p.other.Finish(); err != nil || t.Failed() {
			t.Logf("%v\n%s", err, out)
		}
	})
	return p
}

func TestRecipesShareTheirNodesWithCurator(t *testing.T) {
	classPath := rig.Java(t, "testdata/java")
	p := newPair(t, func(connect string) []string { return rig.JavaCommand(classPath, "Partner", connect) })
	for _, part := range []struct {
		name string
		run  func(*pair)
	}{
		{"mutex", (*pair).mutex},
		{"read-write lock", (*pair).readWrite},
		{"semaphore", (*pair).semaphore},
		{"election", (*pair).election},
		{"barriers", (*pair).barriers},
		{"counter", (*pair).counter},
		{"group", (*pair).group},
		{"registry", (*pair).registry},
	} {
		t.Run(part.name, func(t *testing.T) {
			q := *p
			q.t = t
			part.run(&q)
			p.said = q.said
		})
	}
}

func (p *pair) mutex() {
	m := recipes.NewMutex(p.c, "/mutex")
	p.wants("yes", "lock /mutex")
	_, err := m.TryLock(p.ctx)
	require.ErrorIs(p.t, err, recipes.ErrLocked)
	got := make(chan *recipes.Held)
	go func() {
		h, err := m.Lock(p.ctx)
		if err != nil {
			p.t.Error(err)
		}
		got <- h
	}()
	p.children("/mutex", 2)
	require.Empty(p.t, got)
	p.wants("done", "unlock /mutex")
	h := <-got
	p.wants("no", "trylock /mutex")
	answer := p.tell("lock /mutex")
	p.children("/mutex", 2)
	p.release(h)
	require.Equal(p.t, "yes", answer())
	p.wants("done", "unlock /mutex")
}

func (p *pair) readWrite() {
	m := recipes.NewRWMutex(p.c, "/rw")
	p.wants("yes", "read /rw")
	r := p.held(m.TryRLock(p.ctx))
	_, err := m.TryLock(p.ctx)
	require.ErrorIs(p.t, err, recipes.ErrLocked)
	p.wants("done", "unread /rw")
	p.wants("no", "trywrite /rw")
	p.release(r)
	w := p.held(m.TryLock(p.ctx))
	p.wants("no", "tryread /rw")
	p.wants("no", "trywrite /rw")
	p.release(w)
	p.wants("yes", "write /rw")
	_, err = m.TryRLock(p.ctx)
	require.ErrorIs(p.t, err, recipes.ErrLocked)
	p.wants("done", "unwrite /rw")
}

func (p *pair) semaphore() {
	s := recipes.NewSemaphore(p.c, "/semaphore", 3)
	p.wants("yes", "lease /semaphore 2 3")
	_, err := s.TryAcquire(p.ctx, 2)
	require.ErrorIs(p.t, err, recipes.ErrLocked)
	p.children("/semaphore/leases", 2)
	h := p.held(s.TryAcquire(p.ctx, 1))
	p.wants("done", "unlease /semaphore")
	more := p.held(s.Acquire(p.ctx, 1))
	p.wants("no", "trylease /semaphore 2 3")
	answer := p.tell("lease /semaphore 3 3")
	p.release(h)
	p.release(more)
	require.Equal(p.t, "yes", answer())
	p.wants("done", "unlease /semaphore")
}

func (p *pair) election() {
	e := recipes.NewElection(p.c, "/election")
	h := p.held(e.Campaign(p.ctx, []byte("ours")))
	p.wants("done", "latch /election theirs")
	p.children("/election", 2)
	p.wants("ours", "leader /election")
	p.release(h)
	p.wants("yes", "await /election")
	l, err := e.Leader(p.ctx)
	require.NoError(p.t, err)
	require.Equal(p.t, "theirs", string(l.Value))
	p.wants("done", "resign /election")
	p.release(p.held(e.Campaign(p.ctx, nil)))
}

func (p *pair) barriers() {
	b := recipes.NewBarrier(p.c, "/barrier")
	p.wants("done", "raise /barrier")
	waited := make(chan error)
	go func() { waited <- b.Wait(p.ctx) }()
	p.wants("done", "lower /barrier")
	require.NoError(p.t, <-waited)
	require.NoError(p.t, b.Raise(p.ctx))
	answer := p.tell("wait /barrier")
	require.NoError(p.t, b.Lower(p.ctx))
	require.Equal(p.t, "yes", answer())

	d := recipes.NewDoubleBarrier(p.c, "/double", 2)
	for range 4 { // whose name is the lower one is chance
		answer = p.tell("enter /double 2")
		e, err := d.Enter(p.ctx)
		require.NoError(p.t, err)
		require.Equal(p.t, "yes", answer())
		answer = p.tell("leave /double")
		require.NoError(p.t, e.Leave(p.ctx))
		require.Equal(p.t, "yes", answer())
		p.children("/double", 0)
	}
}

func (p *pair) counter() {
	n := recipes.NewCounter(p.c, "/counter")
	p.wants("40", "add /counter 40")
	v, err := n.Add(p.ctx, -50)
	require.NoError(p.t, err)
	require.EqualValues(p.t, -10, v)
	p.wants("-3", "add /counter 7")
}

func (p *pair) group() {
	g := recipes.NewGroup(p.c, "/group")
	h := p.held(g.Join(p.ctx, "ours", nil))
	p.wants("done", "join /group theirs")
	p.children("/group", 2)
	members, err := g.Members(p.ctx)
	require.NoError(p.t, err)
	require.Equal(p.t, "theirs", members[1].Name)
	require.Equal(p.t, "theirs", string(members[1].Data))
	for said := ""; said != "[ours, theirs]"; { // it learns by its watches
		said = p.tell("members /group")()
		require.NotContains(p.t, said, "failed")
	}
	p.release(h)
}

func (p *pair) registry() {
	r, err := recipes.NewRegistry(p.ctx, p.c, "/services")
	require.NoError(p.t, err)
	defer r.Close()
	h := p.held(r.Register(p.ctx, recipes.Instance{Service: "web", ID: "1", Address: "10.0.0.1", Port: 80}))
	p.wants("done", "register /services web 2")
	p.wants("[1@10.0.0.1:80, 2@10.0.0.2:2]", "find /services web")
	for found, err := range r.Watch(p.ctx, "web") {
		require.NoError(p.t, err)
		if len(found) == 2 {
			require.Equal(p.t, "10.0.0.2", found[1].Address)
			break
		}
	}
	p.release(h)
}

func TestQueuesShareTheirNodesWithKazoo(t *testing.T) {
	const python = "/usr/bin/python3"
	rig.Needs(t, "/usr/lib/python3/dist-packages/kazoo", "kazoo", "python3-kazoo")
	p := newPair(t, func(connect string) []string { return []string{python, "testdata/partner.py", connect} })
	p.wants("done", "put /queue theirs 100")
	q := recipes.NewQueue(p.c, "/queue")
	require.NoError(t, q.Put(p.ctx, []byte("ours"), recipes.Priority(5)))
	i, err := q.Take(p.ctx)
	require.NoError(t, err)
	require.Equal(t, "ours", string(i.Data))
	p.wants("theirs", "get /queue")
	require.NoError(t, i.Nack(p.ctx))
	p.wants("True", "release /queue")
	p.wants("ours", "get /queue")
	i, err = q.Take(p.ctx)
	require.NoError(t, err)
	require.Equal(t, "theirs", string(i.Data))
	require.NoError(t, i.Ack(p.ctx))
	p.wants("True", "consume /queue")
	p.children("/queue/entries", 0)
	p.children("/queue/taken", 0)
}
