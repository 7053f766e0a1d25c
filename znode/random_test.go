package znode

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"math/rand"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// dice is what a run draws its choices from: a seeded source, or the bytes of a
// fuzzer.
type dice interface{ Intn(n int) int }

// bytesDice is loaded dice; they end with the bytes.
type bytesDice struct{ left []byte }

func (d *bytesDice) Intn(n int) int {
	if len(d.left) == 0 {
		return 0
	}
	b := int(d.left[0])
	d.left = d.left[1:]
	if n > 256 {
		return (b<<8 | d.Intn(256)) % n
	}
	return b % n
}

func pick[T any](d dice, choices ...T) T { return choices[d.Intn(len(choices))] }

// run drives a tree and its model through the same operations.
type run struct {
	testing.TB
	dice
	tree     *Tree
	model    *model
	zxid     uint64
	nowMs    int64
	ops      int
	outcomes map[string]int
	frozen   []frozenPair

	transactions, multis int
}

type frozenPair struct {
	frozen *Frozen
	model  *model
	digest uint64
}

var (
	runActors = []*Actor{
		{Session: 1, IDs: []Identity{{SchemeIP, "10.1.2.3"}, {SchemeDigest, "ann:h1"}}},
		{Session: 2, IDs: []Identity{{SchemeIP, "10.1.2.3"}, {SchemeDigest, "ann:h1"}, {SchemeDigest, "bob:h2"}}},
		{Session: 3, IDs: []Identity{{SchemeIP, "::1"}, {SchemeSASL, "eve"}, {SchemeX509, "CN=eve,O=x"}}},
		{IDs: []Identity{{SchemeIP, "10.9.9.9"}}},
		{Session: 4, IDs: []Identity{{SchemeIP, "10.0.0.1"}, {SchemeSuper, ""}}},
		{Session: 4, IDs: []Identity{{SchemeIP, "10.0.0.1"}, {SchemeSuper, ""}}},
	}
	runACLs = []ACL{
		OpenACL, OpenACL, OpenACL, OpenACL, OpenACL, OpenACL, OpenACL, OpenACL, OpenACL, OpenACL, OpenACL, OpenACL,
		CreatorACL, ReadACL,
		{{AllPerms, SchemeIP, "10.0.0.0/8"}, {Read, SchemeWorld, "anyone"}},
		{{AllPerms &^ Read, SchemeWorld, "anyone"}, {AllPerms, SchemeAuth, "x"}, {Read, SchemeDigest, "bob:h2"}},
		{{AllPerms, SchemeDigest, "ann:h1"}, {AllPerms, SchemeDigest, "ann:h1"}, {Admin, SchemeWorld, "anyone"}},
		{{AllPerms, SchemeSASL, "eve"}, {Create | Read, SchemeWorld, "anyone"}, {AllPerms, SchemeX509, "CN=eve,O=x"}},
		nil, {{Read, "kerberos", "x"}},
	}
	runData    = [][]byte{nil, {}, []byte("x"), []byte("some more data"), make([]byte, 300)}
	runNames   = []string{"a", "b", "c", "a-", "ä", "lock-"}
	runOddPath = []string{
		"", "a", "/a/", "//", "/a//b", "/a/./b", "/..", "/a\x00", "/a\u0085", "/\ue000", "/\xff", "/\U0001f600",
		"/zookeeper", "/zookeeper/config", "/zookeeper/quota", "/zookeeper/quota/a", limitsOf(""), statsOf(""),
		"/" + strings.Repeat("x", MaxPathBytes), "/" + strings.Repeat("y", MaxPathBytes-5), strings.Repeat("/d", MaxPathDepth+1),
	}
)

func (r *run) path() string {
	path := ""
	switch r.Intn(40) {
	case 0:
		return pick(r.dice, runOddPath...)
	case 1, 2:
		return r.quotaPath()
	}
	for range r.Intn(4) {
		path += "/" + pick(r.dice, runNames...)
	}
	if path == "" {
		return "/"
	}
	return path
}

// quotaPath is of /zookeeper/quota and what gives a node a quota. There are few
// such nodes, so that most writes are within their bounds.
func (r *run) quotaPath() string {
	of := pick(r.dice, "/a", "/b", "/c", "/a/b", "/zookeeper/quota/a")
	return pick(r.dice, limitsOf(of), limitsOf(of), statsOf(of), quotaPath, quotaPath)
}

// data suits path.
func (r *run) data(path string) []byte {
	switch {
	case path == quotaPath:
		return pick(r.dice, nil, []byte("enforce=on"), []byte("enforce=on"))
	case Base(path) == limitsName:
		return []byte(pick(r.dice,
			"", "many", "count=3,bytes=-1", "countHardLimit=4", "count=1,bytes=1=;byteHardLimit=20;countHardLimit=8", "byteHardLimit=300,bytes=200", "countHardLimit=0;byteHardLimit=0",
		))
	}
	return pick(r.dice, runData...)
}

// living returns mostly the path of a node that is there.
func (r *run) living() string {
	path := r.path()
	for n := r.tree.index.get(path); n == nil && path != "/" && r.Intn(3) > 0; n = r.tree.index.get(path) {
		path = Parent(path)
	}
	if n := r.tree.index.get(path); n != nil && n.numChildren() > 0 && r.Intn(2) == 0 {
		names := r.model.children(path)
		path = Join(path, names[r.Intn(len(names))])
	}
	return path
}

func (r *run) version(current int64) int64 {
	return pick(r.dice, -1, -1, -1, current, current, current+1)
}

func (r *run) actor() *Actor { return pick(r.dice, runActors...) }

// write does one operation on both and says what it was.
func (r *run) write() error {
	a, path := r.actor(), r.living()
	n := r.model.at(path)
	var name func() string
	var got, want any
	var err, wantErr error
	switch k := r.Intn(100); {
	case k < 40:
		op := r.createOp()
		name = func() string { return fmt.Sprintf("create %+v", *op) }
		got, err = r.tree.Create(a, op)
		want, wantErr = r.model.create(a, op)
	case k < 55:
		data, version := r.data(path), r.version(n.stat.Version)
		name = func() string { return fmt.Sprintf("set %q %q %d", path, data, version) }
		got, err = r.tree.Set(a, path, data, version)
		want, wantErr = r.model.set(a, path, data, version)
	case k < 75:
		version := r.version(n.stat.Version)
		name = func() string { return fmt.Sprintf("delete %q %d", path, version) }
		err = r.tree.Delete(a, path, version)
		wantErr = r.model.delete(a, path, version)
	case k < 80:
		version, most := r.version(n.stat.Version), pick(r.dice, 1, 3, 10, 1000)
		name = func() string { return fmt.Sprintf("deleteall %q %d %d", path, version, most) }
		got, err = r.tree.DeleteAll(a, path, version, most)
		want, wantErr = r.model.deleteAll(a, path, version, most)
	case k < 85:
		acl, version := pick(r.dice, runACLs...), r.version(n.stat.Aversion)
		name = func() string { return fmt.Sprintf("setACL %q %v %d", path, acl, version) }
		got, err = r.tree.SetACL(a, path, acl, version)
		want, wantErr = r.model.setACL(a, path, acl, version)
	case k < 92:
		version := r.version(n.stat.Version)
		name = func() string { return fmt.Sprintf("check %q %d", path, version) }
		err = r.tree.Check(a, path, version)
		wantErr = r.model.check(a, path, version)
	case k < 93:
		czxid := pick(r.dice, n.stat.Czxid, n.stat.Czxid, n.stat.Czxid+1, 0)
		name = func() string { return fmt.Sprintf("guard %q %d", path, czxid) }
		err = r.tree.Guard(a, path, czxid)
		wantErr = r.model.guard(a, path, czxid)
	case k < 94:
		atLeast := pick(r.dice, int64(n.sequence)+int64(r.Intn(3))-1, int64(n.sequence)+5, 3, 1<<61+1)
		name = func() string { return fmt.Sprintf("raiseSequence %q %d", path, atLeast) }
		err = r.tree.RaiseSequence(a, path, atLeast)
		wantErr = r.model.raiseSequence(a, path, atLeast)
	case k < 97:
		if mortals := r.model.mortals(); len(mortals) > 0 && r.Intn(3) > 0 {
			path = mortals[r.Intn(len(mortals))].Path
			n = r.model.at(path)
		}
		mzxid, pzxid := n.stat.Mzxid, pick(r.dice, n.stat.Pzxid, n.stat.Pzxid, n.stat.Pzxid+1)
		name = func() string { return fmt.Sprintf("reap %q %d %d", path, mzxid, pzxid) }
		err = r.tree.Reap(path, mzxid, pzxid)
		wantErr = r.model.reap(path, mzxid, pzxid)
	default:
		name = func() string { return fmt.Sprintf("close of %d", a.Session) }
		got = r.tree.DeleteEphemerals(a.Session)
		want = r.model.deleteEphemerals(a.Session)
	}
	r.compare(func() string { return fmt.Sprintf("op %d zxid %d %v: %s", r.ops, r.zxid, *a, name()) }, want, got, wantErr, err)
	return err
}

func (r *run) createOp() *CreateOp {
	path := r.path()
	op := &CreateOp{
		Path: path, Data: r.data(path), ACL: pick(r.dice, runACLs...),
		Kind:       pick(r.dice, Persistent, Persistent, Persistent, Ephemeral, Ephemeral, Container, TTL),
		Sequential: r.Intn(4) == 0, Parents: r.Intn(4) == 0, IfAbsent: r.Intn(8) == 0,
		MaxEphemerals: pick(r.dice, 0, 1, 3), Narrow: r.Intn(4) == 0,
	}
	op.Parents = op.Parents || inQuotas(path)
	if op.Kind == TTL {
		op.TTLMs = pick[int64](r.dice, 1, 1000, 1<<40-1)
	}
	if r.Intn(60) == 0 {
		op.TTLMs = pick[int64](r.dice, -1, 0, 5, 1<<40)
	}
	if ephemerals := r.model.ephemerals(1, ""); len(ephemerals) > 0 && r.Intn(30) == 0 {
		op.Path = ephemerals[0] + "/a"
	}
	if op.Sequential && r.Intn(3) == 0 {
		op.Path += "/"
	}
	return op
}

func (r *run) compare(what func() string, want, got any, wantErr, err error) {
	r.ops++
	outcome := "ok"
	if wantErr != nil {
		outcome = wantErr.Error()
		want, got = nil, nil
	}
	r.outcomes[outcome]++
	if wantErr == nil && err != nil || !errors.Is(err, wantErr) {
		r.Fatalf("%s: got error %v, want %v", what(), err, wantErr)
	}
	if want != got {
		require.Equal(r, want, got, what())
	}
}

// transaction is one operation, or in 15 of 100 cases several of which each
// sees those before it, all or nothing.
func (r *run) transaction() {
	r.zxid++
	r.nowMs += int64(r.Intn(3))
	before, digest := r.model.clone(), r.tree.Digest()
	r.model.begin(r.zxid, r.nowMs)
	r.tree.Begin(r.zxid, r.nowMs)
	ops, abort := 1, false
	r.transactions++
	if r.Intn(100) < 15 {
		ops, abort = 2+r.Intn(5), r.Intn(4) == 0
		r.multis++
	}
	for ; ops > 0; ops-- {
		if r.write() != nil {
			abort = true
			break
		}
	}
	if abort {
		r.tree.Rollback()
		r.model = before
		require.Equal(r, digest, r.tree.Digest(), "digest after a rollback, op %d", r.ops)
		return
	}
	want := r.model.settledEffects()
	if got := r.tree.Commit(); len(want)+len(got) > 0 {
		require.Equal(r, want, got, "effects, op %d", r.ops)
	}
}

// read compares the answers of every kind of read.
func (r *run) read() {
	a, path := r.actor(), r.living()
	n, wantErr := r.model.lookUp(a, path, Read)
	what := func() string { return fmt.Sprintf("op %d: read of %q by %v", r.ops, path, *a) }
	wantData, st := r.model.shown(path)

	data, gotStat, err := r.tree.Get(a, path)
	r.compare(what, st, gotStat, wantErr, err)
	if err == nil {
		require.Equal(r, wantData, data, what())
	}
	gotStat, err = r.tree.Exists(a, path)
	r.compare(what, st, gotStat, wantErr, err)
	count, err := r.tree.Count(a, path)
	r.compare(what, len(r.model.below(path)), count, wantErr, err)
	r.readChildren(a, path, wantErr)
	r.readLists()

	_, wantErr = r.model.lookUp(a, path, Read|Admin)
	acl, gotStat, err := r.tree.ACL(a, path)
	r.compare(what, st, gotStat, wantErr, err)
	if err == nil {
		require.Equal(r, r.model.redacted(a, path), acl, what())
	}
	_, there := r.model.nodes[path]
	gotStat, acl, ok := r.tree.Peek(path)
	require.Equal(r, there, ok, what())
	if ok {
		require.Equal(r, r.model.stat(path), gotStat, what())
		require.Equal(r, n.acl, acl, what())
	}
	if r.Intn(8) == 0 {
		require.Equal(r, r.model.quotas(), sortedQuotas(r.tree), what())
	}
}

func (r *run) readChildren(a *Actor, path string, wantErr error) {
	after, limit := pick(r.dice, "", "", "a", "b0", "zzz"), r.Intn(4)
	names, more, st, err := r.tree.Children(a, path, after, limit)
	_, want := r.model.shown(path)
	r.compare(func() string { return "children of " + path }, want, st, wantErr, err)
	if err != nil {
		return
	}
	requirePage(r, slices.DeleteFunc(r.model.children(path), func(name string) bool { return name <= after }), limit, names, more)
}

func (r *run) readLists() {
	session, prefix, after, limit := uint64(r.Intn(5)), pick(r.dice, "", "/", "/a", "/a/b", "/a-"), pick(r.dice, "", r.path()), r.Intn(4)
	paths, more := r.tree.Ephemerals(session, prefix, after, limit)
	want := slices.DeleteFunc(r.model.ephemerals(session, prefix), func(path string) bool { return path <= after })
	requirePage(r, want, limit, paths, more)
	require.Equal(r, len(r.model.ephemerals(session, "")), r.tree.NumEphemerals(session))

	var all []Mortal
	cursor := ""
	for first := true; first || cursor != ""; first = false {
		var some []Mortal
		some, cursor = r.tree.Mortals(cursor, 1+limit)
		all = append(all, some...)
	}
	require.Equal(r, r.model.mortals(), all)
}

func requirePage(tb testing.TB, want []string, limit int, got []string, more bool) {
	tb.Helper()
	full := len(want)
	if limit > 0 {
		want = want[:min(limit, full)]
	}
	require.Equal(tb, len(want), len(got))
	if len(want) > 0 {
		require.Equal(tb, want, got)
	}
	require.Equal(tb, len(want) < full, more)
}

func (p *frozenPair) requireEqual(tb testing.TB) {
	tb.Helper()
	want := p.model.records()
	require.Equal(tb, want, slices.Collect(p.frozen.All()))
	require.Equal(tb, len(want), p.frozen.Len())
	require.Equal(tb, p.digest, p.frozen.Digest(nil))
}

// freeze keeps a handle, and looks at an old one, thousands of operations old,
// in its place.
func (r *run) freeze() {
	p := frozenPair{r.tree.Freeze(), r.model.clone(), r.tree.Digest()}
	p.requireEqual(r)
	if len(r.frozen) < 8 {
		r.frozen = append(r.frozen, p)
		return
	}
	i := r.Intn(len(r.frozen))
	r.frozen[i].requireEqual(r)
	r.frozen[i] = p
}

// reload goes on with a tree made from the records.
func (r *run) reload() {
	requireSound(r, r.tree)
	records := slices.Collect(r.tree.Freeze().All())
	tree, err := loadInRuns(records, 1+r.Intn(len(records)))
	require.NoError(r, err)
	r.tree = tree
}

func (r *run) step() {
	switch k := r.Intn(1000); {
	case k < 800:
		r.transaction()
	case k < 995:
		r.read()
	case k < 998:
		r.freeze()
	default:
		r.reload()
	}
	// A model looks at all nodes all the time: keep them few.
	if r.tree.Len() > 100 {
		r.zxid++
		r.tree.Begin(r.zxid, r.nowMs)
		r.model.begin(r.zxid, r.nowMs)
		for _, path := range slices.Sorted(slices.Values(r.model.below("/"))) {
			top := modelParent(path) == "/" && path != "/zookeeper" || modelParent(path) == "/zookeeper/quota"
			if top && r.Intn(2) == 0 {
				_, err := r.tree.DeleteAll(super, path, AnyVersion, math.MaxInt)
				_, wantErr := r.model.deleteAll(super, path, AnyVersion, math.MaxInt)
				r.compare(func() string { return "prune" }, nil, nil, wantErr, err)
			}
		}
		require.Equal(r, len(r.model.effects), len(r.tree.Commit()))
	}
}

// newRun starts with a root whose next children reach the numbers that a client
// of 32 bits cannot be told.
func newRun(tb testing.TB, d dice) *run {
	const created = 1<<31 - 40
	m := newModel()
	root := m.at("/")
	root.sequence, root.stat.Cversion = created, 2*created
	m.put("/", root)
	tree, err := load(m.records())
	require.NoError(tb, err)
	return &run{TB: tb, dice: d, tree: tree, model: m, outcomes: map[string]int{}}
}

func (r *run) finish() {
	for i := range r.frozen {
		r.frozen[i].requireEqual(r)
	}
	last := frozenPair{r.tree.Freeze(), r.model, r.tree.Digest()}
	last.requireEqual(r)
	requireSound(r, r.tree)
}

// TestTreeEqualsTheModel runs LYCAON_MODEL_OPS operations from the seed
// LYCAON_MODEL_SEED.
func TestTreeEqualsTheModel(t *testing.T) {
	ops := envInt("LYCAON_MODEL_OPS", 200_000)
	seed := envInt("LYCAON_MODEL_SEED", int(time.Now().UnixNano()))
	t.Logf("LYCAON_MODEL_SEED=%d", seed)
	r := newRun(t, rand.New(rand.NewSource(int64(seed))))
	for r.ops < ops {
		r.step()
	}
	r.finish()
	for _, outcome := range slices.Sorted(maps.Keys(r.outcomes)) {
		t.Logf("%6.2f %% %s", 100*float64(r.outcomes[outcome])/float64(r.ops), outcome)
	}
	t.Logf("%6.2f %% of %d transactions are multis", 100*float64(r.multis)/float64(r.transactions), r.transactions)
	require.InDelta(t, 0.15, float64(r.multis)/float64(r.transactions), 0.02)
	for _, err := range []error{
		ErrNoNode, ErrNodeExists, ErrBadVersion, ErrNotEmpty, ErrNoAuth, ErrInvalidACL, ErrBadArguments,
		ErrNoChildrenForEphemerals, ErrTooManyEphemerals, ErrTooLarge, ErrQuotaExceeded,
	} {
		// Some come in swarms, so that seeds differ much: a quota is exceeded in 0.13 to 0.28 % of all operations.
		require.Greater(t, r.outcomes[err.Error()]*5000, r.ops, "%v is too rare", err)
	}
	require.Greater(t, r.outcomes["ok"]*3, r.ops, "too few operations succeed")
}

func envInt(name string, fallback int) int {
	if n, err := strconv.Atoi(os.Getenv(name)); err == nil {
		return n
	}
	return fallback
}

func FuzzTreeAgainstModel(f *testing.F) {
	script := make([]byte, 600)
	rand.New(rand.NewSource(1)).Read(script)
	f.Add(script)
	f.Add([]byte("create and delete"))
	f.Fuzz(func(t *testing.T, script []byte) {
		d := &bytesDice{script[:min(len(script), 1000)]}
		r := newRun(t, d)
		for len(d.left) > 0 {
			r.step()
		}
		r.finish()
	})
}
