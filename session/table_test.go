package session

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAttachAnswersByAttempt(t *testing.T) {
	table := NewTable()
	table.Open(7, hashOf(7), 4000, 9)
	require.Equal(t, Accept, table.Admit(7, 1, 1))
	for _, step := range []struct {
		name               string
		id, password       uint64
		attempt            uint64
		want               AttachVerdict
		generation, timeMs uint64
	}{
		{"attempts count from 1", 7, 7, 0, Stale, 1, 4000},
		{"the first", 7, 7, 3, Attached, 2, 1003},
		{"the same again", 7, 7, 3, Repeat, 2, 1003},
		{"an older one", 7, 7, 2, Stale, 2, 1003},
		{"a newer one", 7, 7, 4, Attached, 3, 1004},
		{"the wrong password", 7, 8, 5, Unknown, 3, 1004},
		{"the wrong password with a known attempt", 7, 8, 4, Unknown, 3, 1004},
		{"no such session", 8, 8, 1, Unknown, 3, 1004},
	} {
		before := table.Digest()
		r, verdict := table.Attach(step.id, hashOf(step.password), step.attempt, int64(1000+step.attempt), 0)
		require.Equal(t, step.want, verdict, step.name)
		require.Equal(t, verdict == Unknown, r == nil, step.name)
		live, _ := table.Get(7)
		if r != nil {
			require.Same(t, live, r, step.name)
		}
		require.Equal(t, step.generation, live.Generation, step.name)
		require.Equal(t, int64(step.timeMs), live.TimeoutMs, step.name)
		require.Equal(t, int64(9), live.MaxEphemerals)
		require.Equal(t, verdict == Attached, before != table.Digest(), step.name)
		if verdict == Attached {
			require.Equal(t, uint64(1), live.NextSeq)
		}
	}
}

func TestAdmitTakesOnlyTheNextWriteOfTheGeneration(t *testing.T) {
	table := NewTable()
	table.Open(7, hashOf(7), 4000, 0)
	require.Equal(t, NoSession, table.Admit(8, 1, 1))
	require.Equal(t, Gap, table.Admit(7, 1, 2))
	require.Equal(t, Duplicate, table.Admit(7, 1, 0))
	require.Equal(t, Accept, table.Admit(7, 1, 1))
	require.Equal(t, Duplicate, table.Admit(7, 1, 1))
	require.Equal(t, Accept, table.Admit(7, 1, 2))
	table.Attach(7, hashOf(7), 1, 4000, 0)
	require.Equal(t, Fenced, table.Admit(7, 1, 3))
	require.Equal(t, Fenced, table.Admit(7, 3, 1))
	require.Equal(t, Accept, table.Admit(7, 2, 1))
	table.Close(7, 9, "test")
	require.Equal(t, NoSession, table.Admit(7, 2, 2))
}

func TestAWriteIsKnownByItsXidAcrossGenerations(t *testing.T) {
	table := NewTable()
	table.Open(7, hashOf(7), 4000, 0)
	known := func(xid uint64) string {
		o, knowledge := table.Known(7, xid)
		if knowledge == Kept {
			return string(o.Body)
		}
		require.Nil(t, o)
		return map[Knowledge]string{New: "new", Lost: "lost", Overtaken: "overtaken"}[knowledge]
	}
	body := []byte("one")
	table.Keep(7, Outcome{Xid: 1, Zxid: 11, Body: body})
	copy(body, "xxx")
	table.Keep(7, Outcome{Xid: 4, Zxid: 12, Code: -101, Body: []byte("four")})
	table.Keep(7, Outcome{Xid: 6, Body: []byte("six")})
	table.Attach(7, hashOf(7), 1, 4000, 0)
	for xid, want := range map[uint64]string{1: "one", 2: "overtaken", 4: "four", 5: "overtaken", 6: "six", 7: "new"} {
		require.Equal(t, want, known(xid), xid)
	}
	table.Acknowledge(7, 4)
	require.Equal(t, "lost", known(1))
	require.Equal(t, "lost", known(2), "whether it ran is not known any more")
	require.Equal(t, "four", known(4))
	table.Acknowledge(7, 2)
	r, _ := table.Get(7)
	require.Equal(t, uint64(4), r.Ack, "an ack never goes back")
	table.Attach(7, hashOf(7), 2, 4000, 9)
	require.Equal(t, "lost", known(4), "an attach acknowledges too")
	require.Zero(t, r.OutcomeBytes)
	table.Keep(7, Outcome{Xid: 8, Body: []byte("eight")})
	require.Equal(t, "lost", known(8), "acknowledged before it ran")
	require.Panics(t, func() { table.Keep(7, Outcome{Xid: 8}) })
	o, knowledge := table.Known(99, 1)
	require.Nil(t, o)
	require.Equal(t, New, knowledge)
}

func TestOutcomesAreBoundedByNumberAndBytes(t *testing.T) {
	table := NewTable()
	table.Open(7, hashOf(7), 4000, 0)
	xid := uint64(0)
	keep := func(size int) {
		xid++
		table.Keep(7, Outcome{Xid: xid, Body: make([]byte, size)})
	}
	for range MaxOutcomes {
		require.False(t, table.Full(7, 0))
		keep(1)
	}
	require.True(t, table.Full(7, 0))
	table.Acknowledge(7, 2)
	require.False(t, table.Full(7, 0))
	table.Acknowledge(7, xid+1)
	keep(MaxOutcomeBytes - 10)
	require.False(t, table.Full(7, 10))
	require.True(t, table.Full(7, 11))
	require.False(t, table.Full(8, 1<<30), "no session")
}

func TestOpenRefusesWhatIsTaken(t *testing.T) {
	table := NewTable()
	table.Open(7, hashOf(7), 4000, 0)
	id, ok := table.ByPassword(hashOf(7))
	require.True(t, ok)
	require.Equal(t, uint64(7), id)
	require.Panics(t, func() { table.Open(7, hashOf(8), 4000, 0) })
	require.Panics(t, func() { table.Open(8, hashOf(7), 4000, 0) })
	table.Close(7, 8, "")
	_, ok = table.ByPassword(hashOf(7))
	require.False(t, ok)
}

func TestTheNewestEndedSessionsAreRemembered(t *testing.T) {
	table := NewTable()
	require.False(t, table.Close(1, 1, "no such"))
	empty := table.Digest()
	const total = MaxEnded + 500
	var frozen *Frozen
	cause := []byte("expired")
	for id := uint64(1); id <= total; id++ {
		table.Open(id, hashOf(id), 4000, 0)
		require.True(t, table.Close(id, id+1, unsafeString(cause)))
		if id == MaxEnded+100 {
			frozen = table.Freeze()
		}
	}
	copy(cause, "xxxxxxx")
	require.NotEqual(t, empty, table.Digest())
	_, ok := table.Ended(500)
	require.False(t, ok)
	e, ok := table.Ended(501)
	require.True(t, ok)
	require.Equal(t, Ended{ID: 501, Zxid: 502, Cause: "expired"}, e)
	all := slices.Collect(table.AllEnded())
	require.Len(t, all, MaxEnded)
	require.Equal(t, uint64(501), all[0].ID)
	require.Equal(t, uint64(total), all[MaxEnded-1].ID)
	all = slices.Collect(frozen.AllEnded())
	require.Len(t, all, MaxEnded)
	require.Equal(t, uint64(101), all[0].ID)
	require.Equal(t, uint64(MaxEnded+100), all[MaxEnded-1].ID)
	require.Equal(t, table.Freeze().Digest(nil), table.Digest())
}

func TestSessionsAreListedFromAnyIdOn(t *testing.T) {
	table := NewTable()
	for _, id := range []uint64{9, 3, 7} {
		table.Open(id, hashOf(id), 4000, 0)
	}
	for after, want := range map[uint64][]uint64{0: {3, 7, 9}, 2: {3, 7, 9}, 3: {7, 9}, 8: {9}, 9: nil} {
		var got []uint64
		for r := range table.After(after) {
			got = append(got, r.ID)
		}
		require.Equal(t, want, got, "after %d", after)
	}
}

func TestALongCauseIsCutBetweenCharacters(t *testing.T) {
	table := NewTable()
	table.Open(1, hashOf(1), 4000, 0)
	table.Close(1, 2, strings.Repeat("é", MaxCauseBytes))
	e, _ := table.Ended(1)
	require.Equal(t, strings.Repeat("é", MaxCauseBytes/2), e.Cause)
	table.Open(3, hashOf(3), 4000, 0)
	table.Close(3, 4, "x"+strings.Repeat("é", MaxCauseBytes))
	e, _ = table.Ended(3)
	require.Equal(t, "x"+strings.Repeat("é", MaxCauseBytes/2-1), e.Cause)
}

// TestTheDigestSeesEveryField changes one field at a time.
func TestTheDigestSeesEveryField(t *testing.T) {
	whole := func() Record {
		return Record{ID: 1, Generation: 2, Attempt: 3, PasswordHash: hashOf(4), TimeoutMs: 5, MaxEphemerals: 6,
			NextSeq: 7, HighXid: 8, Ack: 2, Outcomes: []Outcome{{Xid: 3, Zxid: 4, Code: 5, Body: []byte("b")}}}
	}
	seen := map[uint64]string{}
	for name, change := range map[string]func(*Record){
		"nothing": func(*Record) {}, "id": func(r *Record) { r.ID++ }, "generation": func(r *Record) { r.Generation++ },
		"attempt": func(r *Record) { r.Attempt++ }, "password": func(r *Record) { r.PasswordHash[31] ^= 1 },
		"timeout": func(r *Record) { r.TimeoutMs++ }, "ephemerals": func(r *Record) { r.MaxEphemerals++ },
		"next": func(r *Record) { r.NextSeq++ }, "high": func(r *Record) { r.HighXid++ }, "ack": func(r *Record) { r.Ack++ },
		"xid": func(r *Record) { r.Outcomes[0].Xid++ }, "zxid": func(r *Record) { r.Outcomes[0].Zxid++ },
		"code": func(r *Record) { r.Outcomes[0].Code-- }, "body": func(r *Record) { r.Outcomes[0].Body[0]++ },
		"no outcome":             func(r *Record) { r.Outcomes = nil },
		"attempt and generation": func(r *Record) { r.Attempt, r.Generation = r.Generation, r.Attempt },
	} {
		r := whole()
		change(&r)
		loader := NewLoader()
		require.NoError(t, loader.Add(r), name)
		digest := loader.Table().Digest()
		require.Empty(t, seen[digest], "%s does not show", name)
		seen[digest] = name
	}
	for i, e := range []Ended{{1, 2, "c"}, {2, 2, "c"}, {1, 3, "c"}, {1, 2, "d"}} {
		loader := NewLoader()
		require.NoError(t, loader.AddEnded(e))
		digest := loader.Table().Digest()
		require.Empty(t, seen[digest], "%v does not show", e)
		seen[digest] = fmt.Sprint("ended ", i)
	}
}

func TestTheLoaderRefusesWhatNoTableHolds(t *testing.T) {
	good := Record{ID: 5, Generation: 1, NextSeq: 1, PasswordHash: hashOf(5), HighXid: 9, Ack: 3}
	for name, change := range map[string]func(*Record){
		"no id":           func(r *Record) { r.ID = 0 },
		"falling id":      func(r *Record) { r.ID = 4 },
		"same id":         func(r *Record) { r.ID = 5 },
		"same password":   func(r *Record) { r.PasswordHash = hashOf(5) },
		"no generation":   func(r *Record) { r.Generation = 0 },
		"no next":         func(r *Record) { r.NextSeq = 0 },
		"ended":           func(r *Record) { r.ID = 20 },
		"xid above high":  func(r *Record) { r.Outcomes = []Outcome{{Xid: 10}} },
		"xid below ack":   func(r *Record) { r.Outcomes = []Outcome{{Xid: 2}} },
		"xid 0":           func(r *Record) { r.Ack, r.Outcomes = 0, []Outcome{{Xid: 0}} },
		"xids out of row": func(r *Record) { r.Outcomes = []Outcome{{Xid: 5}, {Xid: 5}} },
	} {
		loader := NewLoader()
		require.NoError(t, loader.Add(good))
		require.NoError(t, loader.AddEnded(Ended{ID: 20, Zxid: 30}))
		r := good
		r.ID, r.PasswordHash = 6, hashOf(6)
		change(&r)
		require.ErrorIs(t, loader.Add(r), ErrInvalid, name)
	}
	loader := NewLoader()
	require.NoError(t, loader.Add(good))
	require.NoError(t, loader.AddEnded(Ended{ID: 20, Zxid: 30}))
	for name, e := range map[string]Ended{
		"live": {ID: 5, Zxid: 31}, "twice": {ID: 20, Zxid: 31}, "out of order": {ID: 21, Zxid: 29},
		"long cause": {ID: 21, Zxid: 31, Cause: strings.Repeat("x", MaxCauseBytes+1)},
	} {
		require.ErrorIs(t, loader.AddEnded(e), ErrInvalid, name)
	}
	for id := uint64(21); id < 20+MaxEnded; id++ {
		require.NoError(t, loader.AddEnded(Ended{ID: id, Zxid: 30}))
	}
	require.ErrorIs(t, loader.AddEnded(Ended{ID: 1 << 40, Zxid: 31}), ErrInvalid, "too many")
}

func TestAWriteAllocatesOnlyItsBody(t *testing.T) {
	table := NewTable()
	table.Open(7, hashOf(7), 4000, 0)
	body := make([]byte, 100)
	seq := uint64(0)
	write := func() {
		seq++
		table.Admit(7, 1, seq)
		table.Acknowledge(7, seq-min(seq, 5))
		table.Known(7, seq)
		table.Full(7, len(body))
		table.Keep(7, Outcome{Xid: seq, Zxid: seq, Body: body})
	}
	for range 100 {
		write()
	}
	require.LessOrEqual(t, testing.AllocsPerRun(1000, write), 1.0)
}
