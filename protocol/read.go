package protocol

import (
	"fmt"
	"math"

	"github.com/lycaon-io/lycaon/znode"
)

func appendRead(b []byte, op Op, r *Read) []byte {
	switch op {
	case OpGet, OpExists:
		b = appendArray(b, 2)
		b = appendStr(b, r.Path)
		return appendBool(b, r.Watch)
	case OpChildren:
		b = appendArray(b, 4)
		b = appendStr(b, r.Path)
		b = appendBool(b, r.Watch)
		b = appendStr(b, r.After)
		return appendInt(b, int64(r.Limit))
	case OpGetACL, OpCount:
		return appendStr(appendArray(b, 1), r.Path)
	case OpEphemerals:
		b = appendArray(b, 3)
		b = appendStr(b, r.Path)
		b = appendStr(b, r.After)
		return appendInt(b, int64(r.Limit))
	case OpMultiRead:
		return appendMultiRead(b, r.Reads)
	case OpSessionInfo:
		return appendUint(appendArray(b, 1), r.Session)
	}
	return appendNothing(b) // sync, whoAmI
}

func appendMultiRead(b []byte, reads []Read) []byte {
	b = appendArray(b, 1)
	b = appendArray(b, len(reads))
	for i := range reads {
		b = appendArray(b, 2)
		b = appendUint(b, uint64(reads[i].Op))
		b = appendRead(b, reads[i].Op, &reads[i])
	}
	return b
}

func (d *decoder) read(op Op, r *Read) {
	*r = Read{Op: op}
	t := d.tuple()
	switch op {
	case OpGet, OpExists:
		r.Path = t.path()
		r.Watch = t.optBool()
	case OpChildren:
		r.Path = t.path()
		r.Watch = t.optBool()
		r.After = t.optStr()
		r.Limit = t.optLimit()
	case OpGetACL, OpCount:
		r.Path = t.path()
	case OpEphemerals:
		r.Path = t.optPrefix()
		r.After = t.optStr()
		r.Limit = t.optLimit()
	case OpMultiRead:
		r.Reads = t.reads()
	case OpSessionInfo:
		r.Session = t.uint()
	}
	t.end()
}

func (t *tuple) reads() (reads []Read) {
	if !t.need() {
		return nil
	}
	n := t.d.array(maxMultiOps)
	for i := 0; i < n && t.d.err == nil; i++ {
		var r Read
		one := t.d.tuple()
		op := Op(one.uintUpTo(0xff))
		if op < OpGet || op > OpCount {
			t.d.failWith(fmt.Errorf("%w: %v in a multiRead", znode.ErrBadArguments, op))
		}
		if one.need() {
			t.d.read(op, &r)
		}
		one.end()
		if r.Watch {
			t.d.failWith(fmt.Errorf("%w: a multiRead leaves no watch", znode.ErrBadArguments))
		}
		reads = append(reads, r)
	}
	return reads
}

// path reads the path of a node and checks it.
func (t *tuple) path() string {
	path := t.str()
	if t.d.err == nil {
		if err := znode.ValidatePath(path); err != nil {
			t.d.failWith(err)
		}
	}
	return path
}

// optPrefix reads the beginning of paths: "" for all.
func (t *tuple) optPrefix() string {
	prefix := t.optStr()
	if prefix != "" && prefix[0] != '/' || len(prefix) > znode.MaxPathBytes {
		t.d.failWith(fmt.Errorf("%w: prefix %.128q is not the beginning of a path", znode.ErrBadArguments, prefix))
	}
	return prefix
}

func (t *tuple) optLimit() int { return int(t.optUintUpTo(maxPageLimit)) }

func appendWatch(b []byte, w *Watch) []byte {
	b = appendArray(b, 2)
	b = appendStr(b, w.Path)
	return appendUint(b, uint64(w.Mode))
}

func appendResume(b []byte, watches []Watch) []byte {
	b = appendArray(b, 1)
	b = appendArray(b, len(watches))
	for i := range watches {
		b = appendArray(b, 3)
		b = appendStr(b, watches[i].Path)
		b = appendUint(b, uint64(watches[i].Mode))
		b = appendUint(b, watches[i].Since)
	}
	return b
}

func (d *decoder) watches(op Op) (watches []Watch) {
	if op != OpResume {
		return []Watch{d.watch(false)}
	}
	t := d.tuple()
	if t.need() {
		n := d.array(math.MaxInt32)
		if n > maxResume {
			d.failWith(fmt.Errorf("%w: %d watches in one resume, at most %d are allowed", ErrTooManyWatches, n, maxResume))
		}
		for ; n > 0 && d.err == nil; n-- {
			watches = append(watches, d.watch(true))
		}
	}
	t.end()
	return watches
}

func (d *decoder) watch(since bool) (w Watch) {
	t := d.tuple()
	w.Path = t.path()
	w.Mode = WatchMode(t.uintUpTo(0xff))
	if d.err == nil && (w.Mode < WatchData || w.Mode > WatchRecursive) {
		d.failWith(fmt.Errorf("%w: watch mode %d", znode.ErrBadArguments, w.Mode))
	}
	if since {
		w.Since = t.optUint()
	}
	t.end()
	return w
}
