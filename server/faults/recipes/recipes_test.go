package recipes_test

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/server/compat/rig"
)

func TestMain(m *testing.M) {
	if text := os.Getenv(orderVar); text != "" {
		childFails(runChild(text))
	}
	rig.Main(m)
}

// grantsVar makes a run long: it goes on until there were so many grants.
const grantsVar = "LYCAON_RECIPE_GRANTS"

const (
	shortGrants = 200
	shortTime   = 5 * time.Minute // on a machine that does much else
	longTime    = time.Hour
	killEvery   = 3 // turns of a child; in the others it is paused
)

func TestRecipesUnderFaults(t *testing.T) {
	wanted, within, first := shortGrants, shortTime, shortFaults
	if text := os.Getenv(grantsVar); text != "" {
		n, err := strconv.Atoi(text)
		require.NoError(t, err, grantsVar)
		wanted, within, first = n, longTime, len(faults)
	}
	w := newWorld(t, within)
	children := w.begin()
	n := newNemesis(w, seed(t))
	for w.ctx.Err() == nil && w.idle(wanted, children) != "" {
		n.round(first)
		t.Logf("%d grants, %d items; %s", w.granted(), w.counted(acked), cmp.Or(w.idle(wanted, children), "enough"))
	}
	w.enough()
	w.actors.Wait()
	if what := w.idle(wanted, children); what != "" {
		t.Errorf("within %v: %s", within, what)
	}
	w.check(n, children)
}

// idle says what has not happened often enough, "" if all has.
func (w *world) idle(grants int, children []*child) string {
	if n := w.granted(); n < grants {
		return fmt.Sprintf("%d grants, not %d", n, grants)
	}
	for what, least := range map[what]int{acked: grants / 10, put: grants / 10, passed: 10, left: 10, sees: 10} {
		if n := w.counted(what); n < least {
			return fmt.Sprintf("%s %d times, not %d", what, n, least)
		}
	}
	for _, c := range children {
		if c.turns.Load() == 0 {
			return c.Name + " was never struck"
		}
	}
	for name, n := range map[string]*atomic.Int64{"cut off": &w.cuts, "deleted": &w.deleted, "read in the cache": &w.mirrored, "looked up": &w.lookups, "taken in order": &w.batched} {
		if n.Load() == 0 {
			return name + " never"
		}
	}
	return ""
}

// granted are locks, leases, leaderships and places, not items.
func (w *world) granted() int { return w.counted(granted) - w.counted(item) }

func seed(t *testing.T) uint64 {
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("FAULTS_SEED"); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		require.NoError(t, err, "FAULTS_SEED")
		seed = n
	}
	t.Logf("FAULTS_SEED=%d", seed)
	return seed
}

func newWorld(t *testing.T, within time.Duration) *world {
	ctx, cancel := context.WithTimeout(context.Background(), within)
	t.Cleanup(cancel)
	load, enough := context.WithCancel(ctx)
	w := &world{witness: newWitness(), t: t, ctx: ctx, load: load, enough: enough}
	t.Cleanup(func() { enough(); w.actors.Wait(); w.closeAll() })
	w.cluster = rig.Lycaon(t, servers, rig.Options{Flags: []string{"--log-level", "warn"}})
	var err error
	w.reader, err = client.Open(ctx, w.cluster.Addrs, client.WithSessionTimeout(sideSession))
	require.NoError(t, err)
	w.keep(w.reader)
	return w
}

// begin lets all actors go.
func (w *world) begin() (children []*child) {
	dir := w.t.TempDir()
	socket := filepath.Join(dir, "witness")
	l, err := w.listen(socket)
	require.NoError(w.t, err)
	w.t.Cleanup(func() { l.Close() })
	for _, r := range granting {
		lock := path("quick/%s", r.name)
		w.prepare(lock)
		w.hold(r, lock, 3, false)
	}
	for i, name := range []string{"mutex", "rwmutex", "semaphore", "election"} {
		r, err := recipeOf(name)
		require.NoError(w.t, err)
		lock := path("contested/%s", name)
		w.prepare(lock)
		w.hold(r, lock, 2, true)
		children = append(children, w.child(order{name, name, lock, w.cluster.Addrs, socket}, int64(i+1), dir))
		lock = path("cut/%s", name)
		w.prepare(lock)
		w.hold(r, lock, 1, true)
		w.cutOff(r, lock)
	}
	w.prepare("/queue")
	w.queue("/queue", 2, 3)
	children = append(children, w.child(order{"queue", "queue", "/queue", w.cluster.Addrs, socket}, 1, dir))
	w.finally(func() []string { return w.drain("/queue") })
	w.lookAtElection("/quick/election")
	w.lookAtGroup("/quick/group")
	w.counter("/counter", 3)
	w.value("/value", 3)
	w.cache("/cached", 2)
	require.NoError(w.t, w.prepareAnchor("/quick/registry"))
	w.directory("/quick/registry")
	w.batches("/batches")
	w.sabotage("/quick/mutex", "/quick/rwmutex", "/quick/election", "/quick/election run", "/quick/group", "/contested/mutex", "/queue/taken")
	w.barrier("/barrier", 3)
	w.double("/double", 3)
	return children
}

func (w *world) prepare(lock string) {
	require.NoError(w.t, prepare(w.ctx, w.reader, lock))
}

// child is a stubborn holder that is paused and killed as long as there is load.
func (w *world) child(o order, first int64, dir string) *child {
	c, err := newChild(o, dir)
	require.NoError(w.t, err)
	w.actors.Go(func() {
		defer c.process.Kill()
		for w.load.Err() == nil {
			if err := c.trouble(w.load, w.witness, (first+c.turns.Load())%killEvery == 0); err != nil && w.load.Err() == nil {
				w.tell(event{What: odd, Grant: o.Name, Item: fmt.Sprintf("%v\n%s", err, c.process.Tail(5))})
				return
			}
			c.turns.Add(1)
		}
	})
	return c
}

// check reads the history.
func (w *world) check(n *nemesis, children []*child) {
	t := w.t
	if w.ctx.Err() == nil {
		for _, check := range append(w.atEnd, w.leftovers) {
			for _, f := range check() {
				t.Error(f)
			}
		}
	}
	h := w.all()
	for _, name := range slices.Sorted(maps.Keys(checkers)) {
		found := checkers[name](h)
		for _, f := range found[:min(len(found), 5)] {
			t.Errorf("%s: %s", name, f)
		}
	}
	w.report(h, n, children)
}

// leftoverWithin is for what is deleted in the background.
const leftoverWithin = 30 * time.Second

// leftovers are nodes of sessions that live and have given back, or given up, all that
// they asked for.
func (w *world) leftovers() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range w.open {
		var names []string
		rig.Poll(leftoverWithin, func() bool {
			var err error
			names, err = c.Ephemerals(w.ctx, "/", client.Linearizable())
			return c.Session().Context().Err() != nil || w.ctx.Err() != nil || err == nil && len(names) == 0
		})
		if c.Session().Context().Err() == nil && len(names) > 0 {
			return []string{fmt.Sprintf("left behind: %s", names)}
		}
	}
	return nil
}

// report has the figures, and fails where a fault has met nobody.
func (w *world) report(h history, n *nemesis, children []*child) {
	t := w.t
	byRecipe := map[string]int{}
	for _, e := range h {
		if e.What == granted {
			byRecipe[e.Lock]++
		}
	}
	pauses, kills := 0, 0
	for _, c := range children {
		pauses, kills = pauses+c.pauses, kills+c.kills
	}
	late, _ := lateWrites(h)
	items, _ := queueItems(h)
	t.Logf("servers: %v", n.struck)
	t.Logf("holders: %d paused beyond their session, %d killed, %d cut off, %d nodes deleted; %d sessions of ours were lost", pauses, kills, w.cuts.Load(), w.deleted.Load(), w.expired.Load())
	t.Logf("%d grants", w.granted())
	t.Logf("late writes: %+v", late)
	t.Logf("queue: %+v, %d batches in order", items, w.batched.Load())
	t.Logf("looks: %d of holders, %d of a directory that was cut off; barriers: %d passed; double barriers: %d left",
		w.counted(sees), w.lookups.Load(), w.counted(passed), w.counted(left))
	require.Positive(t, late.fenced)
	require.Positive(t, late.offersRefused)
	require.NotEmpty(t, checkResource(forgetful(h)), "nobody came too late to the resource")
	require.Positive(t, late.unguarded, "nobody wrote too late without a guard")
}
