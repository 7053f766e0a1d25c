package replicate

import (
	"maps"
	"slices"
)

// ballots are the digests that servers gave, by zxid and by server. A server
// that has not applied a zxid, or has forgotten its mark, is not in it.
type ballots map[uint64]map[uint64]uint64

func (b ballots) add(id uint64, digests map[uint64]uint64) {
	for zxid, digest := range digests {
		if b[zxid] == nil {
			b[zxid] = map[uint64]uint64{}
		}
		b[zxid][id] = digest
	}
}

// finding is what the ballots of one moment say.
type finding struct {
	conflict bool     // two servers differ at one zxid
	decided  bool     // a majority of all voters, and not of those that answered, agrees at that zxid
	zxid     uint64   // where
	digest   uint64   // of the majority
	guilty   []uint64 // who differ from it, voters or not, by id
	agreed   uint64   // the newest zxid at which a majority of all voters agrees, 0 if there is none
}

// judge looks at the newest zxid at which two servers differ, and among those
// rather at one that a majority of all voters has settled. Without a conflict
// there is nothing to decide.
func (b ballots) judge(voters []uint64) finding {
	var open finding
	var agreed uint64
	for _, zxid := range slices.Backward(slices.Sorted(maps.Keys(b))) {
		given := b[zxid]
		digest, settled := majority(given, voters)
		if settled && agreed == 0 {
			agreed = zxid
		}
		v := finding{zxid: zxid, conflict: differ(given), agreed: agreed}
		if !v.conflict {
			continue
		}
		if settled {
			v.decided, v.digest = true, digest
			for _, id := range slices.Sorted(maps.Keys(given)) {
				if given[id] != v.digest {
					v.guilty = append(v.guilty, id)
				}
			}
			return v
		}
		if !open.conflict {
			open = v
		}
	}
	open.agreed = agreed
	return open
}

func differ(given map[uint64]uint64) bool {
	first, seen := uint64(0), false
	for _, digest := range given {
		if seen && digest != first {
			return true
		}
		first, seen = digest, true
	}
	return false
}

// majority is the digest that more than half of all voters gave.
func majority(given map[uint64]uint64, voters []uint64) (digest uint64, ok bool) {
	counts := map[uint64]int{}
	for _, id := range voters {
		if digest, answered := given[id]; answered {
			if counts[digest]++; 2*counts[digest] > len(voters) {
				return digest, true
			}
		}
	}
	return 0, false
}
