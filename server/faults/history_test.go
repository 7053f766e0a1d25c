package faults

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// never is the return of an operation whose outcome nobody learned.
const never = math.MaxInt64

type outcome string

const (
	ok      outcome = "ok"
	fail    outcome = "fail"    // it had no effect; Error is why
	unknown outcome = "unknown" // it may have run
)

// step is one write of an operation, or one read of several.
type step struct {
	Kind       string `json:"kind"` // create set delete check get exists children; of strangers guard raiseSequence
	Path       string `json:"path"`
	Data       string `json:"data,omitempty"` // a create's or set's: unique in the run, it is the command's id
	Version    int64  `json:"version"`        // expected; -1: any
	Ephemeral  bool   `json:"ephemeral,omitempty"`
	Sequential bool   `json:"sequential,omitempty"`
	Czxid      uint64 `json:"czxid,omitempty"`    // a guard's
	AtLeast    int64  `json:"at_least,omitempty"` // a raiseSequence's
}

// answer is what a step was answered.
type answer struct {
	Path     string   `json:"path,omitempty"` // of a create: the name given
	Error    string   `json:"error,omitempty"`
	Data     string   `json:"data,omitempty"`
	Names    []string `json:"names,omitempty"`
	Version  int64    `json:"version,omitempty"`
	Cversion int64    `json:"cversion,omitempty"`
	Czxid    uint64   `json:"czxid,omitempty"`
	Mzxid    uint64   `json:"mzxid,omitempty"`
	Pzxid    uint64   `json:"pzxid,omitempty"`
	Owner    uint64   `json:"owner,omitempty"`
	Children int      `json:"children,omitempty"`
}

// op is one call of a client.
type op struct {
	Process      int      `json:"process"`
	Session      uint64   `json:"session"`
	N            int      `json:"n"`    // its place among all that its process wrote down
	Call         string   `json:"call"` // write multi read sync
	Steps        []step   `json:"steps,omitempty"`
	Linearizable bool     `json:"linearizable,omitempty"`
	Invoke       int64    `json:"invoke"` // nanoseconds of the history's clock
	Return       int64    `json:"return"`
	Outcome      outcome  `json:"outcome"`
	Error        string   `json:"error,omitempty"`
	Culprit      int      `json:"culprit,omitempty"` // of a failed multi
	Zxid         uint64   `json:"zxid"`
	Answers      []answer `json:"answers,omitempty"`
}

func (o *op) writes() bool { return o.Call == "write" || o.Call == "multi" }

// event is what a watch told, or what became of the watch.
type event struct {
	Process int    `json:"process"`
	Session uint64 `json:"session"`
	Watch   int    `json:"watch"` // unique in the run
	N       int    `json:"n"`
	Kind    string `json:"kind"` // opened closed, or the event's type
	Mode    string `json:"mode,omitempty"`
	Path    string `json:"path"`
	Zxid    uint64 `json:"zxid"` // of opened and closed: the point up to which every event was told
	At      int64  `json:"at"`
}

// life is a change in what a client knows of its session.
type life struct {
	Process   int    `json:"process"`
	Session   uint64 `json:"session"`
	State     string `json:"state"` // opened connected disconnected expired closed abandoned
	Cause     string `json:"cause,omitempty"`
	TimeoutMs int64  `json:"timeout_ms,omitempty"`
	At        int64  `json:"at"`
}

// fault is one thing that was done to the cluster.
type fault struct {
	Name   string `json:"name"`
	Detail string `json:"detail,omitempty"`
	Begin  int64  `json:"begin"`
	Healed int64  `json:"healed"`
	// Settled is when all servers were ready again.
	Settled int64 `json:"settled"`
	// Deaf: no majority was up, so that nothing can be asked of that time.
	Deaf bool `json:"deaf,omitempty"`
	// Quiet: writes wait, as behind a disk that hangs, so that little is asked.
	Quiet bool `json:"quiet,omitempty"`
	// GapMs is the longest time without a write that is borne, 0: any.
	GapMs int64 `json:"gap_ms,omitempty"`
	// Bears are the errors that clients may be told because of it.
	Bears []string `json:"bears,omitempty"`
}

// stall is a time in which this very process stood still: the machine had no time for it, and so perhaps none for the servers.
type stall struct {
	Begin int64 `json:"begin"`
	End   int64 `json:"end"`
}

// member is how one server was after everything had healed.
type member struct {
	ID     uint64 `json:"id"`
	Zxid   uint64 `json:"zxid"`
	Digest uint64 `json:"digest"`
	Nodes  int64  `json:"nodes"`
}

// sample is what a stopped server's store held. Boot counts its data directories: a wiped one begins anew.
type sample struct {
	Server   uint64 `json:"server"`
	Boot     int    `json:"boot"`
	Term     uint64 `json:"term"`
	VoteTerm uint64 `json:"vote_term"`
	Vote     string `json:"vote"`
	First    uint64 `json:"first"`
	Last     uint64 `json:"last"`
	Problem  string `json:"problem,omitempty"`
}

// entry is one entry of a server's log.
type entry struct {
	Server uint64 `json:"server"`
	Index  uint64 `json:"index"`
	Term   uint64 `json:"term"`
	Type   uint8  `json:"type"`
	Data   []byte `json:"data"`
}

// image is a file beside the history with the state after an index.
type image struct {
	Index uint64 `json:"index"`
	File  string `json:"file"`
}

// about says how the run was made.
type about struct {
	Name    string `json:"name"`
	Seed    uint64 `json:"seed"`
	Servers int    `json:"servers"`
	WallNs  int64  `json:"wall_ns"` // of the zero of the history's clock
	Begin   int64  `json:"begin"`   // of the load, when it ran at its pace
	End     int64  `json:"end"`
	TickMs  int64  `json:"tick_ms"`
}

// history is all that was written down.
type history struct {
	About   about
	Ops     []op
	Events  []event
	Lives   []life
	Faults  []fault
	Stalls  []stall
	Members []member
	Samples []sample
	Entries []entry
	Images  []image
	Notes   []string // violations seen while the run went on

	dir string
}

// record is one line of a saved history.
type record struct {
	About  *about  `json:"about,omitempty"`
	Op     *op     `json:"op,omitempty"`
	Event  *event  `json:"event,omitempty"`
	Life   *life   `json:"life,omitempty"`
	Fault  *fault  `json:"fault,omitempty"`
	Stall  *stall  `json:"stall,omitempty"`
	Member *member `json:"member,omitempty"`
	Sample *sample `json:"sample,omitempty"`
	Entry  *entry  `json:"entry,omitempty"`
	Image  *image  `json:"image,omitempty"`
	Note   string  `json:"note,omitempty"`
}

func (h *history) add(r record) {
	switch {
	case r.About != nil:
		h.About = *r.About
	case r.Op != nil:
		h.Ops = append(h.Ops, *r.Op)
	case r.Event != nil:
		h.Events = append(h.Events, *r.Event)
	case r.Life != nil:
		h.Lives = append(h.Lives, *r.Life)
	case r.Fault != nil:
		h.Faults = append(h.Faults, *r.Fault)
	case r.Stall != nil:
		h.Stalls = append(h.Stalls, *r.Stall)
	case r.Member != nil:
		h.Members = append(h.Members, *r.Member)
	case r.Sample != nil:
		h.Samples = append(h.Samples, *r.Sample)
	case r.Entry != nil:
		h.Entries = append(h.Entries, *r.Entry)
	case r.Image != nil:
		h.Images = append(h.Images, *r.Image)
	case r.Note != "":
		h.Notes = append(h.Notes, r.Note)
	}
}

const (
	historyFile = "history.jsonl"
	stallGrain  = 300 * time.Millisecond
)

// recorder writes a history down, each record as one line at once, so that a run that dies leaves what it saw.
type recorder struct {
	start time.Time // has the monotonic clock

	mu     sync.Mutex
	h      history
	file   *os.File
	out    *bufio.Writer
	placed map[int]int // records of each process
	failed error
}

func newRecorder(dir string, a about) (*recorder, error) {
	file, err := os.Create(filepath.Join(dir, historyFile))
	if err != nil {
		return nil, err
	}
	r := &recorder{start: time.Now(), file: file, out: bufio.NewWriterSize(file, 1<<20), placed: map[int]int{}}
	r.h.dir = dir
	a.WallNs = r.start.UnixNano()
	r.write(record{About: &a})
	return r, nil
}

func (r *recorder) now() int64 { return int64(time.Since(r.start)) }

func (r *recorder) write(rec record) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.writeLocked(rec)
}

func (r *recorder) writeLocked(rec record) {
	r.h.add(rec)
	line, err := json.Marshal(rec)
	if err == nil {
		_, err = r.out.Write(append(line, '\n'))
	}
	if r.failed == nil {
		r.failed = err
	}
}

// op and event number what one process writes down. A process is one goroutine, so that its numbers are its order.
func (r *recorder) op(o op) {
	r.mu.Lock()
	defer r.mu.Unlock()
	o.N = r.placed[o.Process]
	r.placed[o.Process]++
	r.writeLocked(record{Op: &o})
}

func (r *recorder) event(e event) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e.N = r.placed[e.Process]
	r.placed[e.Process]++
	r.writeLocked(record{Event: &e})
}

func (r *recorder) note(format string, args ...any) {
	r.write(record{Note: fmt.Sprintf(format, args...)})
}

// noteStalls looks at the clock until ctx ends and writes down when nobody let it look.
func (r *recorder) noteStalls(ctx context.Context) {
	tick := time.NewTicker(stallGrain / 10)
	defer tick.Stop()
	for last := r.now(); ctx.Err() == nil; <-tick.C {
		now := r.now()
		if now-last > int64(stallGrain) {
			r.write(record{Stall: &stall{last, now}})
		}
		last = now
	}
}

// stalled is how much of a time the machine stood still.
func (h *history) stalled(from, to int64) time.Duration {
	sum := int64(0)
	for _, s := range h.Stalls {
		sum += max(0, min(s.End, to)-max(s.Begin, from))
	}
	return time.Duration(sum)
}

// finish closes the file and hands out what was recorded.
func (r *recorder) finish() (*history, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	err := errors.Join(r.failed, r.out.Flush(), r.file.Close())
	return &r.h, err
}

// loadHistory reads what a recorder wrote, also of a run that was cut short.
func loadHistory(dir string) (*history, error) {
	file, err := os.Open(filepath.Join(dir, historyFile))
	if err != nil {
		return nil, err
	}
	defer file.Close()
	h := &history{dir: dir}
	lines := json.NewDecoder(bufio.NewReaderSize(file, 1<<20))
	for {
		var r record
		err := lines.Decode(&r)
		if errors.Is(err, io.EOF) {
			return h, nil
		}
		if errors.Is(err, io.ErrUnexpectedEOF) {
			h.Notes = append(h.Notes, "the history is cut short")
			return h, nil
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", file.Name(), err)
		}
		h.add(r)
	}
}

// sessionOps groups the operations by session, each in the order of their invocation.
func (h *history) sessionOps() map[uint64][]*op {
	all := map[uint64][]*op{}
	for i := range h.Ops {
		o := &h.Ops[i]
		all[o.Session] = append(all[o.Session], o)
	}
	for _, ops := range all {
		slices.SortStableFunc(ops, func(a, b *op) int { return cmp.Compare(a.Invoke, b.Invoke) })
	}
	return all
}
