package watch

import (
	"fmt"
	"iter"
	"unsafe"

	"github.com/lycaon-io/lycaon/znode"
)

// Ring holds the newest effects, bounded by number and by bytes. It keeps or
// drops the effects of one zxid together.
type Ring struct {
	slots      []slot // grows up to maxEffects
	head       int    // index of the oldest
	count      int
	bytes      int
	maxEffects int
	maxBytes   int
	floor      uint64
	newest     uint64 // zxid of the last effect appended, dropped or not
}

type slot struct {
	effect znode.Effect
	bytes  int
}

// NewRing returns an empty ring that knows everything above zxid 0.
func NewRing(maxEffects, maxBytes int) *Ring {
	return &Ring{maxEffects: maxEffects, maxBytes: maxBytes}
}

// Append takes effects in order of zxid. It keeps their strings and ACLs,
// which nobody changes; those of one zxid may come in several calls. Effects
// of one zxid that exceed a bound by themselves are dropped like old ones, and
// the floor rises to them.
func (r *Ring) Append(effects []znode.Effect) {
	for len(effects) > 0 {
		zxid, n, bytes := effects[0].Zxid, 0, 0
		for n < len(effects) && effects[n].Zxid == zxid {
			bytes += effectBytes(&effects[n])
			n++
		}
		if zxid < r.newest {
			panic(fmt.Sprintf("watch: effect of zxid %d after %d", zxid, r.newest))
		}
		r.newest = zxid
		r.append(zxid, effects[:n], bytes)
		effects = effects[n:]
	}
}

// append takes effects of one zxid.
func (r *Ring) append(zxid uint64, effects []znode.Effect, bytes int) {
	for r.count > 0 && !r.fits(len(effects), bytes) {
		r.evictOldest()
	}
	if !r.fits(len(effects), bytes) {
		r.floor = max(r.floor, zxid)
	}
	if zxid <= r.floor {
		return // a part of it is gone already
	}
	r.grow(r.count + len(effects))
	for i := range effects {
		s := r.at(r.count)
		s.effect, s.bytes = effects[i], effectBytes(&effects[i])
		r.count++
	}
	r.bytes += bytes
}

func (r *Ring) fits(effects, bytes int) bool {
	return r.count+effects <= r.maxEffects && r.bytes+bytes <= r.maxBytes
}

// evictOldest drops all effects of the oldest zxid.
func (r *Ring) evictOldest() {
	r.floor = r.at(0).effect.Zxid
	for r.count > 0 && r.at(0).effect.Zxid == r.floor {
		r.bytes -= r.at(0).bytes
		*r.at(0) = slot{}
		r.head = (r.head + 1) % len(r.slots)
		r.count--
	}
}

// grow makes room for n effects, which are no more than maxEffects.
func (r *Ring) grow(n int) {
	if n <= len(r.slots) {
		return
	}
	const least = 64
	slots := make([]slot, min(r.maxEffects, max(least, n, 2*len(r.slots))))
	for i := range r.count {
		slots[i] = *r.at(i)
	}
	r.slots, r.head = slots, 0
}

// at returns the slot of the i-th effect, counted from the oldest.
func (r *Ring) at(i int) *slot {
	i += r.head
	if i >= len(r.slots) {
		i -= len(r.slots)
	}
	return &r.slots[i]
}

// Since yields the effects above zxid, in order, until the next Append. They
// are all there ever were only if covered.
func (r *Ring) Since(zxid uint64) (effects iter.Seq[*znode.Effect], covered bool) {
	return func(yield func(*znode.Effect) bool) {
		for i := r.search(zxid); i < r.count; i++ {
			if !yield(&r.at(i).effect) {
				return
			}
		}
	}, zxid >= r.floor
}

// search returns the place of the first effect above zxid.
func (r *Ring) search(zxid uint64) int {
	low, high := 0, r.count
	for low < high {
		middle := (low + high) / 2
		if r.at(middle).effect.Zxid > zxid {
			high = middle
		} else {
			low = middle + 1
		}
	}
	return low
}

// Floor returns the zxid above which the ring has everything.
func (r *Ring) Floor() uint64 { return r.floor }

// Reset empties the ring: what happened up to floor is not known to it.
func (r *Ring) Reset(floor uint64) {
	*r = Ring{maxEffects: r.maxEffects, maxBytes: r.maxBytes, floor: floor, newest: floor}
}

// Len returns the number of effects held.
func (r *Ring) Len() int { return r.count }

// Bytes returns the memory that the effects hold at most: an ACL is counted
// with each effect that carries it.
func (r *Ring) Bytes() int { return r.bytes }

func effectBytes(e *znode.Effect) int {
	return int(unsafe.Sizeof(slot{})) + len(e.Path) + aclBytes(e.ACL) + aclBytes(e.ParentACL)
}

func aclBytes(acl znode.ACL) int {
	n := len(acl) * int(unsafe.Sizeof(znode.Entry{}))
	for i := range acl {
		n += len(acl[i].Scheme) + len(acl[i].ID)
	}
	return n
}
