package state

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/znode"
	"github.com/stretchr/testify/require"
)

const (
	// deletableInModel makes the bound of a recursive delete one that is met.
	deletableInModel = 10
	// sharedInModel has the listing of every directory kept.
	sharedInModel   = 1
	modelCheckpoint = 1000 // transactions between two images
)

func modelOps(t *testing.T) int {
	if text := os.Getenv("LYCAON_MODEL_OPS"); text != "" {
		n, err := strconv.Atoi(text)
		require.NoError(t, err)
		return n
	}
	if raceEnabled || testing.Short() {
		return 100_000
	}
	return 1_000_000
}

// A random log is applied by the oracle, by a machine that is frozen, written,
// read back and replaced every now and then, and by one that never is.
func TestMachineAnswersLikeTheOracle(t *testing.T) {
	seed := uint64(1)
	if text := os.Getenv("LYCAON_MODEL_SEED"); text != "" {
		var err error
		seed, err = strconv.ParseUint(text, 10, 64)
		require.NoError(t, err)
	}
	ops := modelOps(t)
	t.Logf("seed %d, %d transactions (LYCAON_MODEL_SEED, LYCAON_MODEL_OPS)", seed, ops)
	m := newModel(t, seed)
	for m.txns < ops {
		m.batch()
		if m.txns-m.lastCheck >= modelCheckpoint {
			m.checkpoint()
		}
	}
	m.checkpoint()
	m.tally.check(t, m.txns)
}

type model struct {
	t        testing.TB
	g        *generator
	o        *oracle
	machine  *Machine // goes through images
	steady   *Machine // does not
	behind   [][]byte // entries that steady has not applied
	stampMs  int64
	tally    tally
	buf      bytes.Buffer
	body     []byte
	expected []expected
	actions  []*action

	txns, lastCheck int
}

func newModel(t testing.TB, seed uint64) *model {
	o := newOracle(deletableInModel)
	o.age()
	m := &model{
		t: t, o: o, g: &generator{rng: rand.New(rand.NewPCG(seed, 0)), o: o},
		machine: aged(t), steady: aged(t), tally: tally{},
	}
	for _, machine := range []*Machine{m.machine, m.steady} {
		machine.maxDeleted, machine.sharedFrom = deletableInModel, sharedInModel
	}
	return m
}

// Numbers that a few transactions bring to the limit of a client of 32 bits:
// the children of the root, and the versions of a node that nobody deletes.
const (
	agedCreated = 1<<31 - 100
	agedVersion = 1<<31 - 8
)

func (o *oracle) age() {
	root := o.edit("/")
	root.sequence, root.stat.Cversion = agedCreated, 2*agedCreated
	quota := o.edit("/zookeeper/quota")
	quota.stat.Version, quota.stat.Aversion = agedVersion, agedVersion
}

func aged(t testing.TB) *Machine {
	m := New()
	var records []znode.Record
	for r := range m.tree.Freeze().All() {
		switch r.Path {
		case "/":
			r.Sequence, r.Stat.Cversion = agedCreated, 2*agedCreated
		case "/zookeeper/quota":
			r.Stat.Version, r.Stat.Aversion = agedVersion, agedVersion
		}
		records = append(records, r)
	}
	m.tree = treeOf(t, records)
	return m
}

// batch makes one entry, applies it and compares every outcome.
func (m *model) batch() {
	m.stampMs += int64(m.g.rng.IntN(5)) - 1
	entry := AppendBatchHeader(nil, m.stampMs)
	m.actions, m.expected = m.actions[:0], m.expected[:0]
	for range 1 + m.g.rng.IntN(60) {
		a := m.g.next()
		e := m.o.apply(a, m.stampMs)
		m.g.note(e.effects)
		m.actions, m.expected = append(m.actions, a), append(m.expected, e)
		m.tally.count(a, &e)
		entry = AppendTxn(entry, &a.txn)
	}
	b, err := DecodeBatch(entry)
	require.NoError(m.t, err)
	var txn Txn
	var out Outcome
	for i := 0; ; i++ {
		if more, err := b.Next(&txn); err != nil || !more {
			require.NoError(m.t, err)
			break
		}
		effects := m.machine.Apply(&txn, b.StampMs(), &out)
		if diff := m.compare(&m.expected[i], &out, effects); diff != "" {
			m.t.Fatalf("transaction %d (%s): %s", m.txns, m.actions[i].String(), diff)
		}
		m.txns++
	}
	m.behind = append(m.behind, entry)
	for range len(m.actions) / 4 {
		m.compareRead()
	}
}

func (a *action) String() string {
	s := fmt.Sprintf("kind %d session %d generation %d seq %d xid %d %v as %v", a.txn.Kind, a.txn.Session, a.txn.Generation, a.txn.Seq, a.txn.Xid, a.txn.Op, a.ids)
	for i := range a.steps {
		s += fmt.Sprintf("\n  %+v", a.steps[i])
	}
	return s
}

// compare returns what differs.
func (m *model) compare(want *expected, got *Outcome, effects []znode.Effect) string {
	switch {
	case want.verdict != got.Verdict:
		return fmt.Sprintf("verdict %d, not %d", got.Verdict, want.verdict)
	case want.answer.Code != got.Answer.Code:
		return fmt.Sprintf("code %v, not %v (%s)", got.Answer.Code, want.answer.Code, detail(&got.Answer))
	case want.answer.Zxid != got.Answer.Zxid || want.answer.Xid != got.Answer.Xid || want.answer.Op != got.Answer.Op:
		return fmt.Sprintf("answer %+v, not %+v", got.Answer, want.answer)
	case want.session != got.Session || want.generation != got.Generation || want.timeoutMs != got.TimeoutMs:
		return fmt.Sprintf("session %d, not %d", got.Session, want.session)
	case want.ended != got.Ended || want.cause != got.Cause:
		return fmt.Sprintf("ended %v %q, not %v %q", got.Ended, got.Cause, want.ended, want.cause)
	}
	body := want.body
	if want.verdict != Repeated || want.session != 0 {
		m.body = protocol.AppendReplyBody(m.body[:0], &want.answer)
		body = m.body
	}
	if got.Answer.Body != nil && !bytes.Equal(got.Answer.Body, body) {
		return fmt.Sprintf("body %x, not %x", got.Answer.Body, body)
	}
	if want.body == nil && !sameAnswer(&want.answer, &got.Answer) {
		return fmt.Sprintf("answer %+v, not %+v", got.Answer, want.answer)
	}
	return compareEffects(want, effects)
}

func detail(m *protocol.Message) string {
	if m.More == nil {
		return ""
	}
	return m.More.Detail
}

// sameAnswer compares all but the words of errors and the encoded body.
func sameAnswer(want, got *protocol.Message) bool {
	if want.Code != got.Code || want.Path != got.Path || want.Stat != got.Stat ||
		!bytes.Equal(want.Data, got.Data) || (want.Data == nil) != (got.Data == nil) {
		return false
	}
	var none protocol.More
	w, g := want.More, got.More
	if w == nil {
		w = &none
	}
	if g == nil {
		g = &none
	}
	return w.Existed == g.Existed && w.Count == g.Count && w.Truncated == g.Truncated &&
		slices.Equal(w.Names, g.Names) && slices.Equal(w.ACL, g.ACL) &&
		(w.Session == nil) == (g.Session == nil) && (w.Session == nil || *w.Session == *g.Session) &&
		slices.EqualFunc(w.Results, g.Results, func(w, g protocol.Message) bool { return w.Op == g.Op && sameAnswer(&w, &g) })
}

func compareEffects(want *expected, got []znode.Effect) string {
	if len(want.effects) != len(got) {
		return fmt.Sprintf("%d effects, not %d", len(got), len(want.effects))
	}
	for i, w := range want.effects {
		g := &got[i]
		if w.what != g.Type || w.path != g.Path || g.Zxid != want.answer.Zxid ||
			!slices.Equal(want.lastACL[w.id], g.ACL) || !slices.Equal(want.lastACL[w.parent], g.ParentACL) {
			return fmt.Sprintf("effect %d is %+v, not %+v", i, *g, w)
		}
	}
	return ""
}

func (m *model) compareRead() {
	if len(m.g.clients) == 0 {
		return
	}
	who, r, want := m.g.read(true)
	m.tally["read "+r.Op.String()+" "+want.Code.String()]++
	for range 2 { // a listing is kept by the second one, for those after a change
		var got protocol.Message
		m.machine.Read(who, &r, &got)
		if want.Zxid != got.Zxid || want.Op != got.Op || !sameAnswer(&want, &got) {
			m.t.Fatalf("after transaction %d: read %+v: %+v %+v, not %+v %+v", m.txns, r, got, got.More, want, want.More)
		}
	}
}

// checkpoint freezes, goes on, writes what was frozen, reads it back, catches
// up and goes on with the copy.
func (m *model) checkpoint() {
	t := m.t
	m.catchUp()
	require.Equal(t, m.steady.Digest(), m.machine.Digest(), "digests after transaction %d", m.txns)
	img := m.machine.Freeze()
	m.compareState(img)
	m.batch()
	m.buf.Reset()
	require.NoError(t, WriteImage(&m.buf, img, nil))
	restored, info, err := ReadImage(bytes.NewReader(m.buf.Bytes()))
	require.NoError(t, err)
	require.Equal(t, img.digest, restored.Digest())
	require.Equal(t, int64(m.buf.Len()), info.Bytes)
	if m.txns/modelCheckpoint%16 == 0 {
		var again bytes.Buffer
		require.NoError(t, WriteImage(&again, restored.Freeze(), nil))
		require.True(t, bytes.Equal(m.buf.Bytes(), again.Bytes()), "equal states make equal images")
		verified, err := VerifyImage(bytes.NewReader(m.buf.Bytes()))
		require.NoError(t, err)
		require.Equal(t, info, verified)
	}
	restored.maxDeleted, restored.sharedFrom = deletableInModel, sharedInModel
	for _, entry := range m.behind {
		applyEntry(t, restored, entry)
	}
	require.Equal(t, m.machine.Digest(), restored.Digest())
	m.machine = restored
	m.catchUp()
	m.lastCheck = m.txns
}

func (m *model) catchUp() {
	for _, entry := range m.behind {
		applyEntry(m.t, m.steady, entry)
	}
	m.behind = m.behind[:0]
}

func applyEntry(t testing.TB, m *Machine, entry []byte) {
	b, err := DecodeBatch(entry)
	require.NoError(t, err)
	var txn Txn
	var out Outcome
	for {
		if more, err := b.Next(&txn); err != nil || !more {
			require.NoError(t, err)
			return
		}
		m.Apply(&txn, b.StampMs(), &out)
	}
}

// compareState looks at everything that is in an image.
func (m *model) compareState(img *Image) {
	t, o := m.t, m.o
	require.Equal(t, []any{o.zxid, o.clockMs, len(o.nodes), len(o.sessions)}, []any{img.zxid, img.clockMs, img.tree.Len(), img.sessions.Len()})
	for r := range img.tree.All() {
		n := o.nodes[r.Path]
		if n == nil || n.stat != r.Stat || n.sequence != r.Sequence || !slices.Equal(n.acl, r.ACL) ||
			!bytes.Equal(n.data, r.Data) || (n.data == nil) != (r.Data == nil) {
			t.Fatalf("after transaction %d: node %+v, not %+v", m.txns, r, n)
		}
	}
	for r := range img.sessions.All() {
		s := o.sessions[r.ID]
		require.NotNil(t, s)
		require.Equal(t, []uint64{s.generation, s.attempt, s.nextSeq, s.highXid, s.ack}, []uint64{r.Generation, r.Attempt, r.NextSeq, r.HighXid, r.Ack})
		require.Equal(t, []int64{s.timeoutMs, s.maxEphemeral, int64(s.bytes)}, []int64{r.TimeoutMs, r.MaxEphemerals, int64(r.OutcomeBytes)})
		require.Equal(t, len(s.outcomes), len(r.Outcomes))
		for _, got := range r.Outcomes {
			want, ok := s.outcomes[got.Xid]
			if !ok || want.zxid != got.Zxid || want.code != protocol.Code(got.Code) || !bytes.Equal(want.body, got.Body) {
				t.Fatalf("session %d keeps %+v, not %+v", r.ID, got, want)
			}
		}
	}
	require.True(t, slices.Equal(slices.Collect(img.sessions.AllEnded()), o.remembered()))
}
