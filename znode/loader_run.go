package znode

import (
	"fmt"
	"slices"
	"strings"

	"github.com/lycaon-io/lycaon/znode/cow"
)

// Run is a sequence of the records of a Loader. It makes their nodes, and puts those
// into their parent whose parent is in it too. Runs of one Loader may be filled
// beside each other, and beside Attach.
type Run struct {
	loader  *Loader
	records int
	tops    []top
	branch  branch // at the last record; below tops
	held    []held
	special []*node
	entries []entry
	digest  uint64
	bytes   int64
}

// top is a node whose parent is not in the run.
type top struct {
	at   int // number of its record
	node *node
}

// held is an ACL that so many nodes after each other carry.
type held struct {
	acl   *sharedACL
	nodes int
}

// Begin makes r an empty run of l, with the room that it had.
func (r *Run) Begin(l *Loader) {
	*r = Run{
		loader: l, tops: r.tops[:0], branch: r.branch[:0], held: r.held[:0], special: r.special[:0], entries: r.entries[:0],
	}
}

// Add adds a record. It copies what it keeps of it. The error wraps
// ErrInconsistent or what a create would say; no record may follow, those before
// may be attached.
func (r *Run) Add(record *Record) error {
	if err := r.add(record); err != nil {
		return recordError(record.Path, err)
	}
	r.records++
	return nil
}

func (r *Run) add(record *Record) error {
	if err := checkRecord(record); err != nil {
		return err
	}
	acl, err := r.acl(record.ACL)
	if err != nil {
		return err
	}
	n := newNode(record, acl)
	if err := r.put(n); err != nil {
		return err
	}
	r.held[len(r.held)-1].nodes++
	if n.dir != nil {
		r.branch = append(r.branch, parent{
			node: n, expected: record.Stat.NumChildren, children: cow.NewBuilder[string, *node](0, record.Stat.NumChildren),
		})
	}
	r.digest += n.hash()
	r.bytes += int64(len(n.data))
	r.entries = append(r.entries, entry{hash: indexHash(n.path), node: n})
	if n.listed() {
		r.special = append(r.special, n)
	}
	return nil
}

func (r *Run) put(n *node) error {
	parent := Parent(n.path)
	if n.path == rootPath {
		parent = ""
	}
	if err := r.branch.climb(parent); err != nil {
		return err
	}
	if len(r.branch) == 0 {
		r.tops = append(r.tops, top{r.records, n})
		return nil
	}
	return r.branch.last().add(n)
}

// acl returns the shared form of acl, which is then the last of held.
func (r *Run) acl(acl ACL) (*sharedACL, error) {
	if n := len(r.held); n > 0 && slices.Equal(acl, r.held[n-1].acl.list) {
		return r.held[n-1].acl, nil
	}
	normal, err := NormalizeACL(acl, new(Actor))
	if err != nil {
		return nil, err
	}
	if len(normal) != len(acl) {
		return nil, fmt.Errorf("%w: the ACL has duplicates", ErrInconsistent)
	}
	shared := r.loader.share(acl)
	r.held = append(r.held, held{acl: shared})
	return shared, nil
}

func newNode(r *Record, acl *sharedACL) *node {
	path, data := strings.Clone(r.Path), cloneData(r.Data)
	n := &node{
		path: path, data: data, acl: acl, body: bodyHash(path, data),
		czxid: r.Stat.Czxid, mzxid: r.Stat.Mzxid, ctimeMs: r.Stat.CtimeMs, mtimeMs: r.Stat.MtimeMs,
		version: r.Stat.Version, aversion: r.Stat.Aversion, kind: r.Stat.Kind,
	}
	switch n.kind {
	case Ephemeral:
		n.grant = r.Stat.Owner
	case TTL:
		n.grant = uint64(r.Stat.TTLMs)
	}
	if r.Sequence > 0 || r.Stat.NumChildren > 0 {
		n.dir = &dir{
			pzxid: r.Stat.Pzxid, created: r.Sequence, deleted: uint64(r.Stat.Cversion) - r.Sequence, below: &below{},
		}
	}
	return n
}

func checkRecord(r *Record) error {
	if err := ValidatePath(r.Path); err != nil {
		return err
	}
	if err := checkKind(r); err != nil {
		return err
	}
	return checkCounters(r)
}

func checkKind(r *Record) error {
	s := &r.Stat
	var broken string
	switch {
	case s.Kind > TTL:
		broken = "unknown kind"
	case (s.Kind == Ephemeral) != (s.Owner != 0):
		broken = "an owner belongs to an ephemeral node"
	case s.Kind == TTL && (s.TTLMs < 1 || s.TTLMs > MaxTTLMs) || s.Kind != TTL && s.TTLMs != 0:
		broken = "a TTL out of bounds or place"
	case s.Kind == Ephemeral && (s.NumChildren != 0 || r.Sequence != 0):
		broken = "an ephemeral node that has or had children"
	default:
		return nil
	}
	return fmt.Errorf("%w: %s", ErrInconsistent, broken)
}

func checkCounters(r *Record) error {
	s := &r.Stat
	atStart, system := childrenAtStart(r.Path)
	var broken string
	switch {
	case s.DataLength != len(r.Data):
		broken = "data of another length than in the stat"
	case s.Mzxid < s.Czxid || s.Pzxid < s.Czxid:
		broken = "changed before it was created"
	case s.Version < 0 || s.Aversion < 0 || s.NumChildren < 0:
		broken = "a negative counter"
	case r.Sequence > MaxCreated || s.NumChildren < atStart || int64(r.Sequence) < int64(s.NumChildren-atStart):
		broken = "more or fewer children than were ever created"
	case s.Cversion != 2*int64(r.Sequence)-int64(s.NumChildren-atStart):
		broken = "cversion, sequence and number of children contradict each other"
	case r.Sequence == 0 && s.Pzxid != s.Czxid:
		broken = "pzxid of children that never were"
	case system && s.Kind != Persistent:
		broken = "a system node that is not persistent"
	default:
		return nil
	}
	return fmt.Errorf("%w: %s", ErrInconsistent, broken)
}
