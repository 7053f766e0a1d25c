package recipes_test

import (
	"context"
	"encoding/gob"
	"errors"
	"net"
	"sync"
)

// what somebody tells the witness.
type what string

const (
	// Of a grant.
	asks     what = "asks"
	granted  what = "granted"
	writes   what = "writes"  // begins a write in the tree; what follows is how it ended
	wrote    what = "wrote"   // with Zxid and, where one after the other counts up a number, its Value
	fenced   what = "fenced"  // refused for its guard
	refused  what = "refused" // and certainly not done
	unknown  what = "unknown"
	offers   what = "offers" // to the resource outside
	saw      what = "saw"    // Value, twice the same as long as the grant lasts
	releases what = "releases"
	released what = "released"
	lost     what = "lost" // said the release
	done     what = "done" // has no more to do with it
	odd      what = "odd"  // an error, in Item, for which no fault is a reason

	// Of an item of a queue, whose taking is a grant. Grant of a put is the item.
	puts       what = "puts"
	put        what = "put"
	putNot     what = "put not"
	putUnknown what = "put unknown"
	item       what = "item"  // what was taken by Grant is Item
	acked      what = "acked" // by Grant
	ackUnknown what = "ack unknown"

	// Of one who looks who holds.
	looks what = "looks"
	sees  what = "sees" // Tokens

	// Of barriers.
	raised  what = "raised"
	lowers  what = "lowers"
	waits   what = "waits"
	passed  what = "passed"
	enters  what = "enters"
	entered what = "entered"
	leaves  what = "leaves"
	left    what = "left"
)

// event is one thing told. Its place in the history is its time.
type event struct {
	What     what
	Lock     string // or entry of a queue, or barrier
	Grant    string // name of its holder, and a number; or who looks
	Token    uint64 // 0 where a form of a recipe does not tell it
	Weight   int    // of a grant, of Capacity
	Capacity int
	Zxid     uint64
	Value    int64
	Item     string
	Tokens   []uint64
	Bare     bool // a write without its guard: what would be without guards
	Accepted bool // of an offer
}

type history []event

// witness writes down what it is told, in the order in which it hears it. It is also
// the resource that is outside of the cluster, one for each lock: all that this knows
// is the highest token that it was offered.
type witness struct {
	mu      sync.Mutex
	events  history
	highest map[string]uint64
	count   map[what]int
	news    chan struct{} // closed and replaced at each event
}

func newWitness() *witness {
	return &witness{highest: map[string]uint64{}, count: map[what]int{}, news: make(chan struct{})}
}

// tell returns whether an offer was accepted.
func (w *witness) tell(e event) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if e.What == offers {
		e.Accepted = e.Token >= w.highest[e.Lock]
		w.highest[e.Lock] = max(e.Token, w.highest[e.Lock])
	}
	w.events = append(w.events, e)
	w.count[e.What]++
	close(w.news)
	w.news = make(chan struct{})
	return e.Accepted
}

// now is the place of the next event.
func (w *witness) now() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.events)
}

func (w *witness) counted(what what) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.count[what]
}

func (w *witness) all() history {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.events[:len(w.events):len(w.events)]
}

// await returns the first event at or after from that is wanted; false when ctx ends.
func (w *witness) await(ctx context.Context, from int, wanted func(event) bool) (event, bool) {
	for {
		w.mu.Lock()
		unseen, news := w.events[from:len(w.events):len(w.events)], w.news
		w.mu.Unlock()
		for _, e := range unseen {
			if wanted(e) {
				return e, true
			}
		}
		from += len(unseen)
		select {
		case <-news:
		case <-ctx.Done():
			return event{}, false
		}
	}
}

// listen serves other processes at a Unix socket until it is closed.
func (w *witness) listen(path string) (net.Listener, error) {
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go w.serve(conn)
		}
	}()
	return l, nil
}

func (w *witness) serve(conn net.Conn) {
	defer conn.Close()
	in, out := gob.NewDecoder(conn), gob.NewEncoder(conn)
	for {
		var e event
		if in.Decode(&e) != nil || out.Encode(w.tell(e)) != nil {
			return // it was killed
		}
	}
}

// teller is a witness, here or in another process.
type teller interface{ tell(e event) bool }

// remote is the witness of the process that started this one. It is used by one goroutine.
type remote struct {
	in  *gob.Decoder
	out *gob.Encoder
}

func dialWitness(path string) (teller, error) {
	conn, err := net.Dial("unix", path)
	if err != nil {
		return nil, err
	}
	return remote{gob.NewDecoder(conn), gob.NewEncoder(conn)}, nil
}

// tell ends this process with the one that would know.
func (r remote) tell(e event) (accepted bool) {
	if err := errors.Join(r.out.Encode(e), r.in.Decode(&accepted)); err != nil {
		childFails(err)
	}
	return accepted
}
