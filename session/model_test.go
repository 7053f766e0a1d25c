package session

import (
	"bytes"
	"fmt"
	"slices"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"
)

func unsafeString(b []byte) string { return unsafe.String(&b[0], len(b)) }

// twin is the dumb table: everything in the open, copied whole to freeze.
type twin struct {
	records []Record
	ended   []Ended
}

func (w *twin) find(id uint64) *Record {
	for i := range w.records {
		if w.records[i].ID == id {
			return &w.records[i]
		}
	}
	return nil
}

func (w *twin) copy() *twin {
	c := &twin{ended: slices.Clone(w.ended)}
	for _, r := range w.records {
		r.Outcomes = slices.Clone(r.Outcomes)
		c.records = append(c.records, r)
	}
	return c
}

// pair runs the same operations on a table and on its twin. Frozen handles are
// kept and compared to the end.
type pair struct {
	tb      testing.TB
	table   *Table
	twin    *twin
	nextID  uint64
	zxid    uint64
	frozen  []*Frozen
	then    []*twin
	digests []uint64
	body    []byte // reused, as the machine does
}

func newPair(tb testing.TB) *pair {
	return &pair{tb: tb, table: NewTable(), twin: &twin{}, nextID: 1}
}

func (p *pair) step(pick func(int) int) {
	p.zxid++
	id := p.nextID - min(p.nextID, uint64(pick(8)))
	switch action := pick(40); {
	case action < 3:
		p.open()
	case action < 4:
		p.close(id)
	case action < 8:
		p.attach(id, pick)
	case action < 10:
		p.freeze()
	case action < 11:
		p.reload()
	default:
		p.write(id, pick)
	}
}

func (p *pair) open() {
	id := p.nextID
	p.nextID++
	r := p.table.Open(id, hashOf(id), int64(id)*10, int64(id))
	p.twin.records = append(p.twin.records, Record{ID: id, Generation: 1, PasswordHash: hashOf(id), TimeoutMs: int64(id) * 10, MaxEphemerals: int64(id), NextSeq: 1})
	requireRecord(p.tb, p.twin.find(id), r)
}

func (p *pair) close(id uint64) {
	cause := fmt.Sprint("cause ", p.zxid)
	i := slices.IndexFunc(p.twin.records, func(r Record) bool { return r.ID == id })
	require.Equal(p.tb, i >= 0, p.table.Close(id, p.zxid, cause))
	if i >= 0 {
		p.twin.records = slices.Delete(p.twin.records, i, i+1)
		p.twin.ended = append(p.twin.ended, Ended{id, p.zxid, cause})
	}
}

func (p *pair) attach(id uint64, pick func(int) int) {
	attempt, hash, ack := uint64(pick(6)), hashOf(id), uint64(pick(40))
	if pick(8) == 0 {
		hash[31] = 9
	}
	want := Unknown
	w := p.twin.find(id)
	if w != nil && hash == w.PasswordHash {
		if attempt += w.Attempt; attempt >= 3 {
			attempt -= 3
		}
		switch {
		case attempt == 0 || attempt < w.Attempt:
			want = Stale
		case attempt == w.Attempt:
			want = Repeat
		default:
			want = Attached
			w.Generation++
			w.Attempt, w.NextSeq, w.TimeoutMs = attempt, 1, int64(p.zxid)
			w.acknowledgeDumb(ack)
		}
	}
	_, got := p.table.Attach(id, hash, attempt, int64(p.zxid), ack)
	require.Equal(p.tb, want, got)
}

func (r *Record) acknowledgeDumb(ack uint64) {
	if ack <= r.Ack {
		return
	}
	r.Ack = ack
	r.Outcomes = slices.DeleteFunc(slices.Clone(r.Outcomes), func(o Outcome) bool { return o.Xid < ack })
}

// write does what the machine does with one write.
func (p *pair) write(id uint64, pick func(int) int) {
	w := p.twin.find(id)
	generation, seq := uint64(1), uint64(1)
	want := NoSession
	if w != nil {
		generation, seq = w.Generation, w.NextSeq
		want = Accept
		switch pick(10) {
		case 0:
			generation--
			want = Fenced
		case 1:
			seq++
			want = Gap
		case 2:
			seq--
			want = Duplicate
		}
	}
	require.Equal(p.tb, want, p.table.Admit(id, generation, seq))
	if want != Accept {
		return
	}
	w.NextSeq++
	ack := w.Ack + uint64(pick(4)) - min(w.Ack, 1)
	p.table.Acknowledge(id, ack)
	w.acknowledgeDumb(ack)
	xid := w.HighXid + 3 - min(w.HighXid+2, uint64(pick(8)))
	if !p.knownAlike(id, w, xid) {
		return
	}
	p.body = append(p.body[:0], make([]byte, pick(30))...)
	for i := range p.body {
		p.body[i] = byte(pick(256))
	}
	bytes := 0
	for _, o := range w.Outcomes {
		bytes += len(o.Body)
	}
	require.Equal(p.tb, bytes+1000*len(p.body) > MaxOutcomeBytes || len(w.Outcomes) >= MaxOutcomes, p.table.Full(id, 1000*len(p.body)))
	w.HighXid = xid
	o := Outcome{Xid: xid, Zxid: p.zxid, Code: int32(-pick(200)), Body: p.body}
	p.table.Keep(id, o)
	if xid >= w.Ack {
		o.Body = slices.Clone(p.body)
		w.Outcomes = append(w.Outcomes, o)
	}
}

// knownAlike compares what is known of xid and returns whether it is new.
func (p *pair) knownAlike(id uint64, w *Record, xid uint64) bool {
	o, got := p.table.Known(id, xid)
	if xid > w.HighXid {
		require.Equal(p.tb, New, got)
		return true
	}
	i := slices.IndexFunc(w.Outcomes, func(o Outcome) bool { return o.Xid == xid })
	if i < 0 {
		want := Overtaken
		if xid < w.Ack {
			want = Lost
		}
		require.Equal(p.tb, want, got)
		require.Nil(p.tb, o)
		return false
	}
	require.Equal(p.tb, Kept, got)
	require.True(p.tb, sameOutcome(w.Outcomes[i], *o))
	return false
}

func (p *pair) freeze() {
	p.frozen = append(p.frozen, p.table.Freeze())
	p.then = append(p.then, p.twin.copy())
	p.digests = append(p.digests, p.table.Digest())
	if len(p.frozen) > 5 {
		p.requireFrozen(0)
		p.frozen, p.then, p.digests = p.frozen[1:], p.then[1:], p.digests[1:]
	}
}

// reload goes on with a table that was loaded from a frozen one.
func (p *pair) reload() {
	f := p.table.Freeze()
	loader := NewLoader()
	for r := range f.All() {
		require.NoError(p.tb, loader.Add(*r))
	}
	for e := range f.AllEnded() {
		require.NoError(p.tb, loader.AddEnded(e))
	}
	loaded := loader.Table()
	require.Equal(p.tb, p.table.Digest(), loaded.Digest())
	p.table = loaded
}

func (p *pair) requireFrozen(i int) {
	requireAlike(p.tb, p.then[i], slices.Collect(p.frozen[i].All()), slices.Collect(p.frozen[i].AllEnded()))
	require.Equal(p.tb, p.digests[i], p.frozen[i].Digest(nil))
	require.Equal(p.tb, len(p.then[i].records), p.frozen[i].Len())
}

func (p *pair) requireEqual() {
	requireAlike(p.tb, p.twin, slices.Collect(p.table.All()), slices.Collect(p.table.AllEnded()))
	require.Equal(p.tb, len(p.twin.records), p.table.Len())
	kept := 0
	for _, w := range p.twin.records {
		r, ok := p.table.Get(w.ID)
		require.True(p.tb, ok)
		requireRecord(p.tb, &w, r)
		requireKeeps(p.tb, &w, r)
		kept += r.Keeps(0)
		id, ok := p.table.ByPassword(w.PasswordHash)
		require.True(p.tb, ok)
		require.Equal(p.tb, w.ID, id)
	}
	require.Equal(p.tb, kept, p.table.Kept())
	for _, e := range p.twin.ended {
		got, ok := p.table.Ended(e.ID)
		require.True(p.tb, ok)
		require.Equal(p.tb, e, got)
		_, live := p.table.Get(e.ID)
		require.False(p.tb, live)
	}
	for i := range p.frozen {
		p.requireFrozen(i)
	}
	digest := p.table.Digest()
	require.Equal(p.tb, digest, p.table.Freeze().Digest(nil), "the kept digest is not the computed one")
}

func requireAlike(tb testing.TB, w *twin, records []*Record, ended []Ended) {
	tb.Helper()
	require.Len(tb, records, len(w.records))
	for i := range records {
		requireRecord(tb, &w.records[i], records[i])
	}
	require.True(tb, slices.Equal(w.ended, ended))
}

func requireRecord(tb testing.TB, want, got *Record) {
	tb.Helper()
	require.True(tb, slices.EqualFunc(want.Outcomes, got.Outcomes, sameOutcome), "%v, want %v", got.Outcomes, want.Outcomes)
	size := 0
	for _, o := range got.Outcomes {
		size += len(o.Body)
	}
	require.Equal(tb, size, got.OutcomeBytes)
	type plain struct{ id, generation, attempt, timeout, ephemerals, next, high, ack uint64 }
	of := func(r *Record) plain {
		return plain{r.ID, r.Generation, r.Attempt, uint64(r.TimeoutMs), uint64(r.MaxEphemerals), r.NextSeq, r.HighXid, r.Ack}
	}
	require.Equal(tb, of(want), of(got))
	require.Equal(tb, want.PasswordHash, got.PasswordHash)
}

func requireKeeps(tb testing.TB, want, got *Record) {
	for ack := want.Ack; ack <= want.HighXid+1; ack++ {
		keeps := 0
		for _, o := range want.Outcomes {
			if o.Xid >= ack {
				keeps += KeptBytes + len(o.Body)
			}
		}
		require.Equal(tb, keeps, got.Keeps(ack))
	}
}

func sameOutcome(a, b Outcome) bool {
	return a.Xid == b.Xid && a.Zxid == b.Zxid && a.Code == b.Code && bytes.Equal(a.Body, b.Body)
}

func TestTableEqualsItsTwin(t *testing.T) {
	var seed uint64
	defer func() {
		if t.Failed() {
			t.Logf("seed %d", seed)
		}
	}()
	kept, ended := 0, 0
	for seed = range 100 {
		p, pick := newPair(t), picker(seed)
		for i := range 600 {
			p.step(pick)
			if i%50 == 0 {
				p.requireEqual()
			}
		}
		p.requireEqual()
		for _, r := range p.twin.records {
			kept += len(r.Outcomes)
		}
		ended += len(p.twin.ended)
	}
	t.Logf("at the end: %d outcomes kept, %d sessions ended", kept, ended)
	require.Greater(t, kept, 700)
	require.Greater(t, ended, 500)
}

// TestAFrozenTableIsReadBesideItsWriter is for the race detector.
func TestAFrozenTableIsReadBesideItsWriter(t *testing.T) {
	p, pick := newPair(t), picker(1)
	for range 300 {
		p.step(pick)
	}
	f, want := p.table.Freeze(), p.table.Digest()
	done := make(chan uint64)
	go func() {
		var sum uint64
		for range 20 {
			sum = f.Digest(nil)
		}
		done <- sum
	}()
	for range 2000 {
		p.step(pick)
	}
	require.Equal(t, want, <-done)
	require.Equal(t, want, f.Digest(nil))
}

func FuzzTableAgainstTwin(f *testing.F) {
	f.Add([]byte{})
	f.Add([]byte("\x00\x00\x01\x27\x09\x01\x07\x05\x61\x62\x63\x64\x65\x01\x08\x01\x27\x09\x02\x07\x03\x61\x62\x63\x01\x0a"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if len(data) > 4000 {
			return
		}
		p := newPair(t)
		pick, more := picks(data)
		for more() {
			p.step(pick)
		}
		p.requireEqual()
	})
}
