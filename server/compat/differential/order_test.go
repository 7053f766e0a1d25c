package differential

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/lycaon-io/lycaon/protocol/jute"
	"github.com/stretchr/testify/require"
)

// In each round the parent gets a child, and then the first and the second node
// are written with the number of the round, one after the other. Who has been told
// nothing of a round of one of them may not see it, nor what came after it.
const (
	parentNode = "/parent"
	firstNode  = "/first"
	secondNode = "/second"
)

// watchOrder holds what one connection has been told against what it is shown:
// a change that a watch of it waits for has to be told before any reply that
// shows it, or shows something later.
type watchOrder struct {
	round    map[string]int64 // newest round that a watch of the path was set at, or was told of
	watching map[string]bool
	stays    bool // the watches are persistent: they tell of each change, in order
	events   int
	shown    int // replies that showed something newer than the one before
	newest   map[string]int64
}

func newWatchOrder(stays bool) *watchOrder {
	return &watchOrder{round: map[string]int64{}, watching: map[string]bool{}, newest: map[string]int64{}, stays: stays}
}

// set notes that a reply has left a watch and shown a round.
func (w *watchOrder) set(path string, round int64) {
	w.round[path], w.watching[path] = round, true
}

// told notes an event. Of a staying watch each is one round; a one-shot is used
// up.
func (w *watchOrder) told(path string) {
	w.events++
	if w.stays {
		w.round[path]++
		return
	}
	w.watching[path] = false
}

// shows judges a reply that shows the round of path, with and without a watch
// that it leaves.
func (w *watchOrder) shows(path string, round int64) error {
	if round > w.newest[path] {
		w.newest[path] = round
		w.shown++
	}
	if round < w.newest[path] {
		return fmt.Errorf("%s is at round %d, and was at %d", path, round, w.newest[path])
	}
	// In the order in which a round writes them.
	for _, earlier := range []string{parentNode, firstNode, secondNode} {
		if w.watching[earlier] && w.round[earlier] < round {
			return fmt.Errorf("%s is at round %d, and the watch on %s of round %d has told nothing of it", path, round, earlier, w.round[earlier])
		}
		if earlier == path {
			break
		}
	}
	return nil
}

func TestAnEventBehindWhatItTellsOfIsSeen(t *testing.T) {
	cases := []struct {
		name  string
		stays bool
		hear  func(w *watchOrder) error
		wrong bool
	}{
		{"a change after its event", false, func(w *watchOrder) error {
			w.set(firstNode, 1)
			w.told(firstNode)
			return w.shows(firstNode, 2)
		}, false},
		{"a change before its event", false, func(w *watchOrder) error {
			w.set(firstNode, 1)
			return w.shows(firstNode, 2)
		}, true},
		{"a later change before the event of an earlier one", false, func(w *watchOrder) error {
			w.set(firstNode, 1)
			return w.shows(secondNode, 2)
		}, true},
		{"an earlier change before the event of a later one", false, func(w *watchOrder) error {
			w.set(secondNode, 1)
			return w.shows(firstNode, 2)
		}, false},
		{"two changes, one event of a staying watch", true, func(w *watchOrder) error {
			w.set(firstNode, 1)
			w.told(firstNode)
			return w.shows(firstNode, 3)
		}, true},
		{"two changes, two events of a staying watch", true, func(w *watchOrder) error {
			w.set(firstNode, 1)
			w.told(firstNode)
			w.told(firstNode)
			return w.shows(secondNode, 3)
		}, false},
		{"a step back", false, func(w *watchOrder) error {
			_ = w.shows(firstNode, 3)
			return w.shows(firstNode, 2)
		}, true},
	}
	for _, tt := range cases {
		t.Run(tt.name, func(t *testing.T) {
			err := tt.hear(newWatchOrder(tt.stays))
			require.Equal(t, tt.wrong, err != nil, err)
		})
	}
}

// asker is a connection that is asked without a script.
type asker struct {
	*client
	side *side
}

func dial(t testing.TB, addr string) *asker {
	t.Helper()
	s := newSide("", []string{addr}, 0)
	a := &asker{&client{}, s}
	it, err := s.greet(a.client, &step{})
	require.NoError(t, err)
	require.Equal(t, itemWelcome, it.kind)
	t.Cleanup(a.close)
	return a
}

// ask sends calls at once and hands everything to hear in the order in which it
// comes, until each has its answer.
func (a *asker) ask(calls []jute.Call, hear func(ev *jute.Event, call int, answer *jute.Answer) error) error {
	var out []byte
	base := a.xid
	for i := range calls {
		a.xid++
		out = jute.AppendCall(out, a.xid, &calls[i])
	}
	if err := a.side.write(a.client, out); err != nil {
		return err
	}
	for done := 0; done < len(calls); {
		frame, err := readFrame(a.client)
		if err != nil {
			return err
		}
		if int32(binary.BigEndian.Uint32(frame)) == jute.XidEvent {
			ev, err := jute.DecodeEvent(frame)
			if err == nil {
				err = hear(&ev, 0, nil)
			}
			if err != nil {
				return err
			}
			continue
		}
		answer, err := jute.DecodeAnswer(frame, calls[done].Op)
		if err != nil {
			return err
		}
		if answer.Xid != base+int32(done)+1 {
			return fmt.Errorf("a reply with xid %d, want %d", answer.Xid, base+int32(done)+1)
		}
		if err := hear(nil, done, &answer); err != nil {
			return err
		}
		done++
	}
	return nil
}

func (a *asker) must(t testing.TB, calls ...jute.Call) {
	t.Helper()
	require.NoError(t, a.ask(calls, func(_ *jute.Event, _ int, answer *jute.Answer) error {
		if answer != nil && answer.Err != 0 {
			return fmt.Errorf("error %d", answer.Err)
		}
		return nil
	}))
}

func plainCreate(path, data string) jute.Call {
	return jute.Call{Op: jute.OpCreate, Path: path, Data: []byte(data), ACL: []jute.ACL{{Perms: permAll, Scheme: "world", ID: "anyone"}}}
}

// write goes through rounds until stop, several at once, and returns how many.
func write(a *asker, stop *atomic.Bool) (rounds int, err error) {
	const atOnce = 4
	for round := 1; !stop.Load(); round += atOnce {
		var calls []jute.Call
		for i := range atOnce {
			data := []byte(strconv.Itoa(round + i))
			calls = append(calls,
				plainCreate(fmt.Sprintf("%s/%d", parentNode, round+i), ""),
				jute.Call{Op: jute.OpSetData, Path: firstNode, Data: data, Version: -1},
				jute.Call{Op: jute.OpSetData, Path: secondNode, Data: data, Version: -1})
		}
		err := a.ask(calls, func(_ *jute.Event, _ int, answer *jute.Answer) error {
			if answer != nil && answer.Err != 0 {
				return fmt.Errorf("error %d", answer.Err)
			}
			return nil
		})
		if err != nil {
			return rounds, err
		}
		rounds += atOnce
	}
	return rounds, nil
}

// observe watches and reads, many requests at once, and judges what it hears.
func observe(a *asker, w *watchOrder, stop *atomic.Bool) error {
	for !stop.Load() {
		calls := w.questions()
		err := a.ask(calls, func(ev *jute.Event, i int, answer *jute.Answer) error {
			if ev != nil {
				w.told(ev.Path)
				return nil
			}
			return w.answered(&calls[i], answer)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

const questions = 24 // at once

// questions reads everything several times; the first leave the watches that are
// missing.
func (w *watchOrder) questions() (calls []jute.Call) {
	for i := range questions {
		path := []string{secondNode, firstNode, parentNode}[i%3]
		c := jute.Call{Op: jute.OpGetData, Path: path, Watch: i < 6 && !w.stays && !w.watching[path]}
		if path == parentNode {
			c.Op = jute.OpGetChildren2
		}
		calls = append(calls, c)
	}
	return calls
}

func (w *watchOrder) answered(call *jute.Call, answer *jute.Answer) error {
	if answer.Err != 0 {
		return fmt.Errorf("%v of %s: error %d", call.Op, call.Path, answer.Err)
	}
	round := int64(answer.Stat.Cversion) // the children of the parent are never deleted
	if call.Path != parentNode {
		n, err := strconv.ParseInt(string(answer.Data), 10, 64)
		if err != nil {
			return err
		}
		round = n
	}
	if err := w.shows(call.Path, round); err != nil {
		return err
	}
	if call.Watch {
		w.set(call.Path, round)
	}
	return nil
}

const orderFor = 3 * time.Second

// watchInOrder has one writer make rounds, and on every server one observer with
// one-shots, one with staying watches, and somebody who writes something else.
func watchInOrder(t *testing.T, addrs []string) {
	dial(t, addrs[0]).must(t, plainCreate(parentNode, ""), plainCreate(firstNode, "0"), plainCreate(secondNode, "0"), plainCreate(noiseNode, ""))
	var stop atomic.Bool
	var work sync.WaitGroup
	for i, addr := range addrs {
		for _, stays := range []bool{false, true} {
			a, w := watcher(t, addr, stays)
			work.Go(func() {
				if err := observe(a, w, &stop); err != nil {
					t.Errorf("server %d, staying watches %t: %v", i, stays, err)
				}
				t.Logf("server %d, staying watches %t: %d events, %d changes shown", i, stays, w.events, w.shown)
				if w.events == 0 || w.shown == 0 {
					t.Errorf("server %d, staying watches %t: nothing was heard", i, stays)
				}
			})
		}
		noise := dial(t, addr)
		work.Go(func() {
			if err := disturb(noise, &stop); err != nil {
				t.Error(err)
			}
		})
	}
	writer := dial(t, addrs[1])
	work.Go(func() {
		rounds, err := write(writer, &stop)
		if err != nil {
			t.Error(err)
		}
		t.Logf("%d rounds", rounds)
	})
	ended := time.AfterFunc(orderFor, func() { stop.Store(true) })
	defer ended.Stop()
	work.Wait()
}

const noiseNode = "/noise"

// watcher is a connection that has caught up, with its staying watches.
func watcher(t *testing.T, addr string, stays bool) (*asker, *watchOrder) {
	t.Helper()
	a, w := dial(t, addr), newWatchOrder(stays)
	a.must(t, jute.Call{Op: jute.OpSync, Path: "/"})
	for _, path := range []string{parentNode, firstNode, secondNode} {
		if stays {
			a.must(t, jute.Call{Op: jute.OpAddWatch, Path: path, Mode: modePersistent})
			w.set(path, 0)
		}
	}
	return a, w
}

// disturb writes what nobody watches.
func disturb(a *asker, stop *atomic.Bool) error {
	for !stop.Load() {
		err := a.ask([]jute.Call{{Op: jute.OpSetData, Path: noiseNode, Version: -1}}, func(*jute.Event, int, *jute.Answer) error { return nil })
		if err != nil {
			return err
		}
	}
	return nil
}
