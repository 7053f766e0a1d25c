package pipeline

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/znode"
)

// lastSink keeps the last reply.
type lastSink struct {
	last   protocol.Message
	closed protocol.Code
}

func (s *lastSink) Push(m *protocol.Message)             { s.last = *m }
func (s *lastSink) Wake()                                {}
func (s *lastSink) Close(code protocol.Code, why string) { s.closed = code }

func TestALaneBearsItsBytesAndNoMore(t *testing.T) {
	r := setRequest(1, "/x", strings.Repeat("a", 1000))
	c, log := newTestCore(t, Config{MaxLaneBytes: 3 * cost(r)})
	lane := openLane(t, c, log, "a", &nullSink{})
	for range 3 {
		require.True(t, lane.TrySubmit(r))
	}
	require.False(t, lane.TrySubmit(r))
	require.EqualValues(t, 1, c.Stats().LaneFull)
}

// What a request is refused with waits for those before it, and may be far larger
// than the request was.
func TestALaneBearsTheBytesOfAnswersThatWait(t *testing.T) {
	refusal := &protocol.Message{Op: protocol.OpMulti, Xid: 2, Code: protocol.BadArguments}
	refusal.More = &protocol.More{Results: make([]protocol.Message, 20_000)}
	c, log := newTestCore(t, Config{MaxLaneBytes: 4 << 20})
	sink := &countSink{}
	lane := openLane(t, c, log, "a", sink)
	require.True(t, lane.TrySubmit(setRequest(1, "/", "")))
	require.Equal(t, taken, lane.answer(refusal))
	require.Equal(t, full, lane.answer(refusal))
	require.Greater(t, c.Stats().LaneBytes, 15_000*int64(unsafe.Sizeof(protocol.Message{})), "nearly the memory of them")
	applyAll(t, c, log)
	require.Zero(t, c.Stats().LaneBytes)
	require.Greater(t, sink.bytes, refusal.Size())
	require.Equal(t, taken, lane.answer(refusal))
}

func TestARequestLargerThanTheBoundIsTakenAlone(t *testing.T) {
	c, log := newTestCore(t, Config{MaxLaneBytes: 100, MaxLanesBytes: 100})
	lane := openLane(t, c, log, "a", &nullSink{})
	require.True(t, lane.TrySubmit(setRequest(1, "/x", strings.Repeat("a", 1000))))
	require.False(t, lane.TrySubmit(setRequest(2, "/x", "")))
	applyAll(t, c, log)
	require.True(t, lane.TrySubmit(setRequest(2, "/x", "")))
}

func TestTheServerBearsItsWatchesAndNoMore(t *testing.T) {
	c, log := newTestCore(t, Config{MaxServerWatches: 2})
	sink := &lastSink{}
	a, b := openLane(t, c, log, "a", &nullSink{}), openLane(t, c, log, "b", sink)
	watch := func(l *Lane, path string) protocol.Code {
		l.TrySubmit(&protocol.Request{Op: protocol.OpWatch, Xid: 1, Watches: []protocol.Watch{{Path: path, Mode: protocol.WatchData}}})
		return sink.last.Code
	}
	watch(a, "/1")
	require.Equal(t, protocol.OK, watch(b, "/2"))
	require.Equal(t, protocol.TooManyWatches, watch(b, "/3"))
	require.Equal(t, protocol.OK, watch(b, "/2"), "the same once more is no new one")
	resume := func(path string) protocol.Code {
		b.TrySubmit(&protocol.Request{Op: protocol.OpResume, Xid: 2, Watches: []protocol.Watch{{Path: path, Mode: protocol.WatchData}}})
		return sink.last.Code
	}
	require.Equal(t, protocol.TooManyWatches, resume("/3"))
	require.Equal(t, protocol.OK, resume("/2"))
	c.watches.Add(a.watcher(), "/over", protocol.WatchData) // as of two lanes that looked at one time
	require.Equal(t, protocol.OK, resume("/2"))
	r := readRequest(protocol.OpExists, 3, "/3")
	r.Read.Watch = true
	b.TrySubmit(r)
	require.Equal(t, protocol.TooManyWatches, sink.last.Code)
	require.EqualValues(t, 3, c.Stats().WatchesRefused)
	a.Detach()
	require.Equal(t, protocol.OK, watch(b, "/3"))
}

func TestArrivalsAreBounded(t *testing.T) {
	c, _ := newTestCore(t, Config{})
	var last protocol.Code = -1
	done := func(_ *Lane, _ Opened, code protocol.Code, _ string) { last = code }
	var cancel Cancel
	for i := range maxPending {
		cancel = c.Open(OpenParams{PasswordHash: passwordHash(fmt.Sprint(i)), TimeoutMs: 1}, &nullSink{}, done)
		require.EqualValues(t, -1, last)
	}
	c.Attach(AttachParams{Session: 1}, &nullSink{}, done)
	require.Equal(t, protocol.Throttled, last)
	require.EqualValues(t, 1, c.Stats().ArrivalsRefused)
	require.True(t, cancel())
	last = -1
	c.Open(OpenParams{TimeoutMs: 1}, &nullSink{}, done)
	require.EqualValues(t, -1, last)
}

func TestIdentitiesAreBounded(t *testing.T) {
	c, log := newTestCore(t, Config{})
	sink := &lastSink{}
	lane := openLane(t, c, log, "a", sink)
	for i := range maxIdentities {
		id := []znode.Identity{{Scheme: "digest", ID: fmt.Sprint(i)}}
		require.NoError(t, lane.Authorize(&protocol.Message{Op: protocol.OpAuth, Xid: 1}, id))
		before := lane.ids.Load()
		require.NoError(t, lane.Authorize(&protocol.Message{Op: protocol.OpAuth, Xid: 1}, id), "the same once more is no new one")
		require.Same(t, before, lane.ids.Load(), "each write that waits would hold its copy")
		require.Equal(t, protocol.OK, sink.last.Code)
	}
	require.NoError(t, lane.Authorize(&protocol.Message{Op: protocol.OpAuth, Xid: 1}, []znode.Identity{{Scheme: "digest", ID: "more"}}))
	require.Equal(t, protocol.TooLarge, sink.last.Code)
	require.EqualValues(t, 1, c.Stats().IdentitiesRefused)
}

// submitting submits in a goroutine of its own and tells how that ended.
func submitting(l *Lane, r *protocol.Request) chan error {
	ended := make(chan error, 1)
	go func() { ended <- l.Submit(r) }()
	synctest.Wait()
	return ended
}

func TestAReaderWaitsForItsLanesCredit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, log := newTestCore(t, Config{MaxLaneRequests: 1})
		lane := openLane(t, c, log, "a", &nullSink{})
		require.NoError(t, lane.Submit(setRequest(1, "/", "1")))
		ended := submitting(lane, setRequest(2, "/", "2"))
		require.Empty(t, ended)
		applyAll(t, c, log)
		require.NoError(t, <-ended)
	})
}

func TestAReaderWaitsForTheServersCredit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, log := newTestCore(t, Config{MaxLanesBytes: 500})
		a, b := openLane(t, c, log, "a", &nullSink{}), openLane(t, c, log, "b", &nullSink{})
		require.NoError(t, a.Submit(setRequest(1, "/", "1")))
		ended := submitting(b, setRequest(1, "/", "2"))
		require.Empty(t, ended)
		require.Positive(t, c.Stats().ServerFull)
		applyAll(t, c, log)
		require.NoError(t, <-ended)
	})
}

func TestALaneThatGoesGivesTheServersCreditToOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, log := newTestCore(t, Config{MaxLanesBytes: 500})
		a, b := openLane(t, c, log, "a", &nullSink{}), openLane(t, c, log, "b", &nullSink{})
		require.NoError(t, a.Submit(setRequest(1, "/", "1")))
		ended := submitting(b, setRequest(1, "/", "2"))
		a.Detach()
		require.NoError(t, <-ended)
	})
}

func TestAReaderThatWaitsLearnsThatItsLaneIsClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, log := newTestCore(t, Config{MaxLaneRequests: 1})
		lane := openLane(t, c, log, "a", &nullSink{})
		require.NoError(t, lane.Submit(setRequest(1, "/", "1")))
		ended := submitting(lane, setRequest(2, "/", "2"))
		lane.Detach()
		require.ErrorIs(t, <-ended, ErrLaneClosed)
		require.ErrorIs(t, lane.Answer(&protocol.Message{}), ErrLaneClosed)
		require.Zero(t, c.Stats().LaneBytes)
	})
}

func TestAnEntryOfAnUnknownFormHalts(t *testing.T) {
	c, _ := newTestCore(t, Config{})
	require.Error(t, c.Apply([]byte{99, 0, 0}))
	require.Error(t, c.Apply(nil))
}

// A lane's memory is given back when its rush is over.
func TestAQueueShrinks(t *testing.T) {
	var q queue
	for i := range uint64(1000) {
		q.push().xid = i
	}
	for i := range uint64(1000) {
		require.Equal(t, i, q.at(0).xid)
		q.pop()
	}
	require.Empty(t, q.ring)
	q.push().xid = 7
	require.EqualValues(t, 7, q.at(0).xid)
}

// Nobody may expire because the server has no credit to hear them out.
func TestWhoWaitsForTheServersCreditIsTouched(t *testing.T) {
	c, log := newTestCore(t, Config{MaxLanesBytes: 500})
	a, b := openLane(t, c, log, "a", &nullSink{}), openLane(t, c, log, "b", &nullSink{})
	require.True(t, a.TrySubmit(setRequest(1, "/", "1")))
	require.False(t, b.TrySubmit(setRequest(1, "/", "2")))
	c.Touched()
	require.Equal(t, []uint64{a.session, b.session}, c.Touched())
	applyAll(t, c, log)
	require.Empty(t, c.Touched())
}

// Nobody may expire while they talk: a client that sends only what is answered
// before it gets to the lane sends no pings beside it.
func TestWhoIsAnsweredOutsideTheLaneIsTouched(t *testing.T) {
	c, log := newTestCore(t, Config{})
	a, b := openLane(t, c, log, "a", &nullSink{}), openLane(t, c, log, "b", &nullSink{})
	guest := c.Guest(&nullSink{}, nil)
	c.Touched()
	require.NoError(t, a.Answer(&protocol.Message{Op: protocol.OpGet, Xid: 1, Code: protocol.NoNode}))
	require.NoError(t, b.Authorize(&protocol.Message{Op: protocol.OpAuth, Xid: 1}, nil))
	require.NoError(t, guest.Answer(&protocol.Message{Op: protocol.OpGet, Xid: 1, Code: protocol.NoNode}))
	require.Equal(t, []uint64{a.session, b.session}, c.Touched())
}

func TestWhoWaitsBesideTheLaneIsTouched(t *testing.T) {
	c, log := newTestCore(t, Config{})
	a, guest := openLane(t, c, log, "a", &nullSink{}), c.Guest(&nullSink{}, nil)
	c.Touched()
	failed := errors.New("as it may")
	require.ErrorIs(t, a.Aside(func() error {
		require.Equal(t, []uint64{a.session}, c.Touched())
		require.Equal(t, []uint64{a.session}, c.Touched())
		return failed
	}), failed)
	require.NoError(t, guest.Aside(func() error {
		require.Empty(t, c.Touched())
		return nil
	}))
}

// A write of the lane's generation that is not the lane's ends the lane, not
// the session: its client comes again and is told by xid what became of its
// writes.
func TestALaneWhoseOrderWasBrokenMayBeAttachedAgain(t *testing.T) {
	c, log := newTestCore(t, Config{})
	sink := &lastSink{}
	lane := openLane(t, c, log, "a", sink)
	require.True(t, lane.TrySubmit(setRequest(1, "/", "1")))
	txns := log.take(1)
	txns[0].Xid = 99
	require.NoError(t, c.Apply(batchOf(1000, txns...)))
	require.Equal(t, protocol.NotReady, sink.closed)
	require.EqualValues(t, 1, c.Stats().Broken)
}

// countSink counts what it is told.
type countSink struct {
	bytes  int
	closed protocol.Code
}

func (s *countSink) Push(m *protocol.Message)             { s.bytes += m.Size() }
func (s *countSink) Wake()                                {}
func (s *countSink) Close(code protocol.Code, why string) { s.closed = code }

// Reads parked behind one write are answered under the lock, at one instant:
// one connection must not hold everybody up with more than it could be sent.
func TestAnswersAtOneInstantAreBounded(t *testing.T) {
	c, log := newTestCore(t, Config{})
	sink := &countSink{}
	lane := openLane(t, c, log, "a", sink)
	require.True(t, lane.TrySubmit(createRequest(1, "/big", strings.Repeat("a", 1<<20))))
	for i := range 900 {
		require.True(t, lane.TrySubmit(readRequest(protocol.OpGet, uint64(2+i), "/big")))
	}
	applyAll(t, c, log)
	require.Equal(t, protocol.Throttled, sink.closed)
	require.Less(t, sink.bytes, maxBurstBytes+2<<20)
	require.Zero(t, c.Stats().Parked)
}

// So are listings that turn out too large to be told, of which the answer is
// small.
func TestListingsInVainAtOneInstantAreBounded(t *testing.T) {
	const name = 1000
	whole := protocol.Read{Op: protocol.OpChildren, Path: "/d", Whole: true}
	for what, read := range map[string]protocol.Read{
		"alone":           whole,
		"in a multi-read": {Op: protocol.OpMultiRead, Reads: []protocol.Read{whole, whole}},
	} {
		t.Run(what, func(t *testing.T) {
			c, log := newTestCore(t, Config{})
			sink := &countSink{}
			lane := openLane(t, c, log, "a", sink)
			require.True(t, lane.TrySubmit(createRequest(1, "/d", "")))
			applyAll(t, c, log)
			for i := range 16<<20/name + 1 {
				require.True(t, lane.TrySubmit(createRequest(uint64(2+i), fmt.Sprintf("/d/%0*d", name, i), "")))
				if i%500 == 0 {
					applyAll(t, c, log)
				}
			}
			applyAll(t, c, log)
			require.Zero(t, sink.closed)
			require.True(t, lane.TrySubmit(setRequest(1<<40, "/", "")))
			for i := range 100 {
				require.True(t, lane.TrySubmit(&protocol.Request{Op: read.Op, Xid: 1<<40 + uint64(1+i), Read: read}))
			}
			applyAll(t, c, log)
			require.Equal(t, protocol.Throttled, sink.closed)
		})
	}
}

// So are resumes, which look at the whole ring and may say nothing.
func TestResumesAtOneInstantAreBounded(t *testing.T) {
	const effects = 2000
	c, log := newTestCore(t, Config{})
	sink := &countSink{}
	lane := openLane(t, c, log, "a", sink)
	for i := range effects {
		require.True(t, lane.TrySubmit(setRequest(uint64(1+i), "/", "")))
		applyAll(t, c, log)
	}
	resumes := func(from uint64, n int) {
		require.True(t, lane.TrySubmit(setRequest(from, "/", "")))
		for i := range uint64(n) {
			watches := []protocol.Watch{{Path: "/x", Mode: protocol.WatchData}}
			require.True(t, lane.TrySubmit(&protocol.Request{Op: protocol.OpResume, Xid: from + 1 + i, Watches: watches}))
		}
		applyAll(t, c, log)
	}
	resumes(effects+1, 100)
	require.Zero(t, sink.closed)
	resumes(effects+200, 900)
	require.Equal(t, protocol.Throttled, sink.closed)
}
