package znode

import (
	"iter"
	"strconv"
	"strings"
)

// What /a/b and all below it may take stands in the data of
// /zookeeper/quota/a/b/zookeeper_limits, and what they take in that of
// zookeeper_stats beside it, as in ZooKeeper. The tree knows both of every
// subtree by its sums, so the data of a zookeeper_stats node is made when it is
// read; what is stored, frozen and hashed is what a client once wrote there.
const (
	limitsName = "zookeeper_limits"
	statsName  = "zookeeper_stats"

	maxLimitsBytes = 1024 // of the data of zookeeper_limits
)

// QuotasEnforced, as the data of /zookeeper/quota, has hard limits kept. Without
// it they only warn, as in ZooKeeper by default: a tree that is moved here must
// not begin to refuse what it took. It is in the tree so that all replicas agree.
const QuotasEnforced = "enforce=on"

// Limits bound the nodes and the bytes of data of a subtree. A hard one is kept
// by refusing writes, the others are for a warning. Below 0 is no limit.
type Limits struct {
	Count, Bytes         int64
	CountHard, BytesHard int64
}

// NoLimits bounds nothing.
var NoLimits = Limits{-1, -1, -1, -1}

// String is the data of a zookeeper_limits as ZooKeeper's clients write it: with
// a sign in the middle that ends the figures for those of 3.4.
func (l Limits) String() string {
	b := strconv.AppendInt([]byte("count="), l.Count, 10)
	b = strconv.AppendInt(append(b, ",bytes="...), l.Bytes, 10)
	b = strconv.AppendInt(append(b, "=;byteHardLimit="...), l.BytesHard, 10)
	return string(strconv.AppendInt(append(b, ";countHardLimit="...), l.CountHard, 10))
}

// Quota is a subtree with limits and what it takes, its topmost node included.
type Quota struct {
	Path string
	Limits
	Count, Bytes int64 // as it stands
}

// ComparePaths is for sorting.
func (q Quota) ComparePaths(other Quota) int { return strings.Compare(q.Path, other.Path) }

// Exceeded tells which of the limits is exceeded, and by which figure; "" for
// none. Where there is a hard limit the other of its kind does not count.
func (q *Quota) Exceeded() (limit string, bound, figure int64) {
	if name, most := q.mostNodes(); most >= 0 && q.Count > most {
		return name, most, q.Count
	}
	if name, most := q.mostBytes(); most >= 0 && q.Bytes > most {
		return name, most, q.Bytes
	}
	return "", 0, 0
}

func (l *Limits) mostNodes() (name string, most int64) {
	if l.CountHard >= 0 {
		return "countHardLimit", l.CountHard
	}
	return "count", l.Count
}

func (l *Limits) mostBytes() (name string, most int64) {
	if l.BytesHard >= 0 {
		return "byteHardLimit", l.BytesHard
	}
	return "bytes", l.Bytes
}

// Quotas returns the quotas in no order: to sort them takes longer, and can be done
// while others use the tree.
func (t *Tree) Quotas() []Quota {
	all := make([]Quota, 0, len(t.quotas))
	for path, limits := range t.quotas {
		q := Quota{Path: path, Limits: limits}
		q.Count, q.Bytes = t.usage(path)
		all = append(all, q)
	}
	return all
}

// NumQuotas returns how many there are.
func (t *Tree) NumQuotas() int { return len(t.quotas) }

// HasQuota tells whether there is one of the subtree at path.
func (t *Tree) HasQuota(path string) bool {
	_, ok := t.quotas[path]
	return ok
}

// Limited walks the paths that op would give a quota, if they have none: missing
// parents can be a zookeeper_limits as well.
func (op *CreateOp) Limited() iter.Seq[string] {
	return func(yield func(string) bool) {
		at := op.Path
		if op.Sequential { // the name will have a number behind it
			at = Parent(at)
		}
		for made := !op.Sequential; (made || op.Parents) && inQuotas(at); made = false {
			if of, ok := limited(at, limitsName); ok && of != rootPath && !yield(of) {
				return
			}
			at = Parent(at)
		}
	}
}

// usage returns the nodes at and below path, and the bytes of their data.
func (t *Tree) usage(path string) (count, bytes int64) {
	n := t.index.get(path)
	switch {
	case n == nil:
		return 0, 0
	case n.dir == nil:
		return 1, int64(len(n.data))
	}
	return 1 + int64(n.dir.below.nodes), int64(len(n.data)) + n.dir.below.bytes
}

// inQuotas tells whether the node at path lies below /zookeeper/quota.
func inQuotas(path string) bool {
	return len(path) > len(quotaPath) && path[len(quotaPath)] == '/' && path[:len(quotaPath)] == quotaPath
}

// limited returns the path whose quota the node at path is about, if it lies
// below /zookeeper/quota and has the name; "/" is for the whole tree.
func limited(path, name string) (of string, ok bool) {
	if !inQuotas(path) || Base(path) != name {
		return "", false
	}
	return Parent(path[len(quotaPath):]), true
}

// shown is what a reader sees of n. Of a node that is not inQuotas that is what
// is stored.
func (t *Tree) shown(n *node) ([]byte, Stat) {
	data, s := n.data, n.stat()
	if of, ok := limited(n.path, statsName); ok {
		count, bytes := t.usage(of)
		data = strconv.AppendInt([]byte("count="), count, 10)
		data = strconv.AppendInt(append(data, ",bytes="...), bytes, 10)
		s.DataLength = len(data)
	}
	return data[:len(data):len(data)], s
}

// shownStat is the stat of it.
func (t *Tree) shownStat(n *node) Stat {
	if inQuotas(n.path) {
		_, s := t.shown(n)
		return s
	}
	return n.stat()
}

// noteLimits keeps the index of quotas right after n came or changed.
func (t *Tree) noteLimits(n *node) {
	of, ok := limited(n.path, limitsName)
	if !ok || of == rootPath {
		return
	}
	limits, err := ParseLimits(n.data)
	if err != nil { // of an image from before they were looked at
		limits = NoLimits
	}
	if t.quotas == nil {
		t.quotas = map[string]Limits{}
	}
	t.quotas[of] = limits
}

// dropLimits does so for an n that went.
func (t *Tree) dropLimits(n *node) {
	if of, ok := limited(n.path, limitsName); ok {
		delete(t.quotas, of)
	}
}

// checkQuotaNode refuses what would limit something else than its author
// means: figures that do not read, and a quota of the whole tree, which
// ZooKeeper does not know either.
func checkQuotaNode(path string, data []byte) error {
	if !inQuotas(path) {
		return nil
	}
	if top, _, _ := strings.Cut(path[len(quotaPath)+1:], "/"); top == limitsName || top == statsName {
		return errRootQuota
	}
	if Base(path) != limitsName {
		return nil
	}
	_, err := ParseLimits(data)
	return err
}

const errRootQuota = badArguments("there is no quota of the whole tree")

// ParseLimits reads what ZooKeeper's clients write, of any version, in any
// order: "count=5,bytes=-1=;byteHardLimit=9;countHardLimit=-1". Keys that it
// does not know it skips, and separators with nothing between them.
func ParseLimits(data []byte) (Limits, error) {
	if len(data) > maxLimitsBytes {
		return NoLimits, badArguments("the limits of a quota are longer than " + strconv.Itoa(maxLimitsBytes) + " bytes")
	}
	l := NoLimits
	for _, pair := range strings.FieldsFunc(string(data), func(r rune) bool { return r == ',' || r == ';' }) {
		key, value, _ := strings.Cut(pair, "=")
		value, _, _ = strings.Cut(value, "=") // what follows is there for readers of ZooKeeper 3.4
		figure, err := strconv.ParseInt(value, 10, 64)
		if err != nil {
			return NoLimits, badArguments("the limits of a quota are key=figure, separated by commas, not " + strconv.Quote(pair))
		}
		switch key {
		case "count":
			l.Count = figure
		case "bytes":
			l.Bytes = figure
		case "countHardLimit":
			l.CountHard = figure
		case "byteHardLimit":
			l.BytesHard = figure
		}
	}
	return l, nil
}

// nearestQuota returns the deepest quota at or above path, whose Path aliases
// path. As in ZooKeeper those above it do not count.
func (t *Tree) nearestQuota(path string) (Quota, bool) {
	for ; path != rootPath; path = Parent(path) {
		if limits, ok := t.quotas[path]; ok {
			q := Quota{Path: path, Limits: limits}
			q.Count, q.Bytes = t.usage(path)
			return q, true
		}
	}
	return Quota{}, false
}

// enforced tells whether hard limits refuse anything. A tree without quotas
// pays no more than this.
func (t *Tree) enforced() bool {
	return len(t.quotas) > 0 && string(t.index.get(quotaPath).data) == QuotasEnforced
}

// mayAdd checks a create of path and of the missing ancestors above it, which
// counts as if they were made one by one.
func (t *Tree) mayAdd(path string, data []byte, missing int) error {
	if err := checkQuotaNode(path, data); err != nil || !t.enforced() {
		return err
	}
	for up := missing; up >= 0; up-- {
		at, bytes := path, len(data)
		for range up {
			at, bytes = Parent(at), 0
		}
		if q, ok := t.nearestQuota(at); ok {
			before := min(missing-up, Depth(at)-Depth(q.Path)) // of those above it
			if err := q.mayTake(1+before, bytes); err != nil {
				return err
			}
		}
	}
	return nil
}

// mayHold checks a set.
func (t *Tree) mayHold(n *node, data []byte) error {
	if err := checkQuotaNode(n.path, data); err != nil || !t.enforced() {
		return err
	}
	if q, ok := t.nearestQuota(n.path); ok {
		return q.mayTake(0, len(data)-len(n.data))
	}
	return nil
}

// mayTake refuses so many more nodes, and bytes more or less, if that exceeds a
// hard limit. A figure that stays is not held against its limit, one that falls
// is, as in ZooKeeper.
func (q *Quota) mayTake(nodes, bytes int) error {
	count, sum := q.Count+int64(nodes), q.Bytes+int64(bytes)
	switch {
	case nodes != 0 && q.CountHard >= 0 && count > q.CountHard:
		return &quotaExceeded{strings.Clone(q.Path), "countHardLimit", q.CountHard, count}
	case bytes != 0 && q.BytesHard >= 0 && sum > q.BytesHard:
		return &quotaExceeded{strings.Clone(q.Path), "byteHardLimit", q.BytesHard, sum}
	}
	return nil
}

// quotaExceeded is an ErrQuotaExceeded with its figures.
type quotaExceeded struct {
	path, limit   string
	bound, figure int64
}

func (e *quotaExceeded) Error() string {
	return ErrQuotaExceeded.Error() + ": " + e.path + " would have " + strconv.FormatInt(e.figure, 10) + ", its " + e.limit + " is " + strconv.FormatInt(e.bound, 10)
}

func (e *quotaExceeded) Unwrap() error { return ErrQuotaExceeded }
