package pipeline

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/protocol"
)

func TestAReadThatWaitsKeepsAllThatItAsks(t *testing.T) {
	bare := func() *protocol.Request { return readRequest(protocol.OpChildren, 7, "/a") }
	requests := map[string]*protocol.Request{
		"nothing but a path": bare(),
		"a sync":             readRequest(protocol.OpSync, 7, "/a"),
		"of another op":      {Op: protocol.OpSync, Xid: 7, Read: protocol.Read{Op: protocol.OpGet, Path: "/a"}},
		"watches":            {Op: protocol.OpResume, Xid: 7, Watches: []protocol.Watch{{Path: "/a", Mode: protocol.WatchData, Since: 3}}},
		"compare":            {Op: protocol.OpResume, Xid: 7, Compare: true},
	}
	for field, value := range reflect.ValueOf(protocol.Read{}).Fields() {
		r := bare()
		into := reflect.ValueOf(&r.Read).Elem().FieldByIndex(field.Index)
		switch value.Kind() {
		case reflect.String:
			into.SetString("/b")
		case reflect.Bool:
			into.SetBool(true)
		case reflect.Int:
			into.SetInt(5)
		case reflect.Uint8, reflect.Uint64:
			into.SetUint(uint64(protocol.OpCount))
		case reflect.Slice:
			into.Set(reflect.ValueOf([]protocol.Read{{Op: protocol.OpGet, Path: "/c"}, {Op: protocol.OpExists, Path: "/d"}}))
		default:
			t.Fatalf("%s is of a new kind", field.Name)
		}
		requests[field.Name] = r
	}
	for name, r := range requests {
		t.Run(name, func(t *testing.T) {
			var s slot
			s.keep(r)
			var short protocol.Request
			require.Equal(t, r, s.asked(&short))
			require.True(t, s.isRead())
		})
	}
}

// TestTheAnswersOfReadsThatWaitedOutliveTheFrames has two lanes wait in turn, with frames that are
// used again at once, and looks at all answers at the end, as an outbox does.
func TestTheAnswersOfReadsThatWaitedOutliveTheFrames(t *testing.T) {
	c, log := newTestCore(t, Config{})
	sinks := []*tapeSink{{}, {}}
	lanes := []*Lane{openLane(t, c, log, "a", sinks[0]), openLane(t, c, log, "b", sinks[1])}
	frame := make([]byte, 0, 64)
	paths := []string{"/first", "/second", "/third", "/fourth"}
	var want []string
	for _, path := range paths {
		for range 3 {
			want = append(want, path)
			for _, l := range lanes {
				frame = append(frame[:0], path...)
				r := readRequest(protocol.OpSync, uint64(len(want)), unsafe.String(&frame[0], len(frame)))
				require.NoError(t, l.Submit(r))
				clear(frame)
			}
		}
		applyAll(t, c, log)
	}
	for _, s := range sinks {
		require.Equal(t, want, s.paths())
	}
}

func TestALinearizableReadAllocatesNothingBesideItsBody(t *testing.T) {
	c, held := newTestCore(t, Config{})
	lane := openLane(t, c, held, "a", &nullSink{})
	require.NoError(t, lane.Submit(createRequest(1, "/x", "one")))
	applyAll(t, c, held)
	log := logEntries(c)
	r := readRequest(protocol.OpGet, 2, "/x")
	r.Consistency, r.Owned = protocol.Linearizable, true
	const reads = 500
	perBatch := testing.AllocsPerRun(20, func() {
		for range reads {
			lane.TrySubmit(r)
		}
		for range 2 {
			require.NoError(t, c.Apply(log.take()))
		}
	})
	require.Zero(t, lane.Depth())
	require.Less(t, perBatch, float64(reads)/10, "of %d reads: no-ops and a longer queue take some", reads)
}

// TestNobodyIsLostWhereListsOfWaitersAreUsedAgain compares waits with one that makes a list for each
// no-op: a list given back too early or twice would be somebody else's too.
func TestNobodyIsLostWhereListsOfWaitersAreUsedAgain(t *testing.T) {
	for seed := range uint64(50) {
		rng := rand.New(rand.NewPCG(seed, 1))
		lanes := make([]*Lane, 8)
		for i := range lanes {
			lanes[i] = &Lane{}
		}
		var w waits
		var present, next []*Lane
		for range 200 {
			switch k := rng.IntN(10); {
			case k < 6:
				l := lanes[rng.IntN(len(lanes))]
				idle := !w.inFlight
				ticket, send := w.join(l, 0)
				if idle {
					require.Equal(t, ticket, send)
					present = append(present, l)
				} else if require.Zero(t, send); ticket == w.last+1 {
					next = append(next, l)
				}
			case k < 9:
				got, _ := w.applied(w.last)
				require.True(t, slices.Equal(slices.Compact(present), slices.Compact(slices.Clone(got))), "seed %d", seed)
				w.reuse(got)
				present, next = next, nil
				stale, _ := w.applied(w.last - 1)
				require.Nil(t, stale, "seed %d", seed)
				w.reuse(stale)
			default:
				i := rng.IntN(len(lanes))
				lanes[i].closed = true
				w.forgetClosed()
				gone := func(l *Lane) bool { return l.closed }
				present, next = slices.DeleteFunc(present, gone), slices.DeleteFunc(next, gone)
				lanes[i] = &Lane{}
			}
			requireApart(t, w.present, w.next, w.spare)
		}
	}
}

// requireApart fails if two of the lists have their room in one place.
func requireApart(t *testing.T, lists ...[]*Lane) {
	t.Helper()
	for i, a := range lists {
		for _, b := range lists[:i] {
			if cap(a) > 0 && cap(b) > 0 {
				require.NotSame(t, &a[:1][0], &b[:1][0])
			}
		}
	}
	spare := lists[len(lists)-1]
	for _, l := range spare[:cap(spare)] {
		require.Nil(t, l, "who was closed would be held")
	}
}

// tapeSink keeps its messages as they came, as an outbox does.
type tapeSink struct{ queue []protocol.Message }

func (s *tapeSink) Push(m *protocol.Message)    { s.queue = append(s.queue, *m) }
func (s *tapeSink) Wake()                       {}
func (s *tapeSink) Close(protocol.Code, string) {}

func (s *tapeSink) paths() (paths []string) {
	for i := range s.queue {
		paths = append(paths, strings.Clone(s.queue[i].Path))
	}
	return paths
}
