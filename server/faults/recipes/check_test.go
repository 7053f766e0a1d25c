package recipes_test

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// checker returns what is wrong with a history.
type checker func(h history) []string

var checkers = map[string]checker{
	"errors":   checkErrors,
	"tokens":   checkTokens,
	"resource": checkResource,
	"overlap":  checkOverlap,
	"late":     checkLate,
	"ledger":   checkLedger,
	"readers":  checkReaders,
	"views":    checkViews,
	"queue":    checkQueue,
	"barrier":  checkBarrier,
	"double":   checkDouble,
}

// checkErrors: faults are told as what they are.
func checkErrors(h history) (found []string) {
	for i, e := range h {
		if e.What == odd {
			found = append(found, fmt.Sprintf("%d: %s: %s", i, e.Grant, e.Item))
		}
	}
	return found
}

// checkTokens: one grant a token, and a token above those of all grants of the lock
// that were there before it was asked for.
func checkTokens(h history) (found []string) {
	holder := map[uint64]string{}
	highest, before := map[string]uint64{}, map[string]uint64{} // of a lock; when a grant was asked for
	for i, e := range h {
		switch {
		case e.What == asks:
			before[e.Grant] = highest[e.Lock]
		case e.What == granted && e.Token > 0:
			if other, taken := holder[e.Token]; taken && other != e.Grant {
				found = append(found, fmt.Sprintf("%d: token %d is of %s and of %s", i, e.Token, other, e.Grant))
			}
			if e.Token <= before[e.Grant] {
				found = append(found, fmt.Sprintf("%d: %s got token %d of %s when there was %d before it asked", i, e.Grant, e.Token, e.Lock, before[e.Grant]))
			}
			holder[e.Token] = e.Grant
			highest[e.Lock] = max(highest[e.Lock], e.Token)
		}
	}
	return found
}

// checkResource: the resource never takes a lower token after a higher one, nor one
// token of two, and refuses nobody else.
func checkResource(h history) (found []string) {
	last := map[string]event{}
	for i, e := range h {
		if e.What != offers {
			continue
		}
		highest := last[e.Lock]
		switch lower := e.Token < highest.Token; {
		case e.Accepted && lower:
			found = append(found, fmt.Sprintf("%d: %s of %s was accepted with %d after %d", i, e.Grant, e.Lock, e.Token, highest.Token))
		case e.Accepted && e.Token == highest.Token && e.Grant != highest.Grant:
			found = append(found, fmt.Sprintf("%d: %s and %s both came with %d", i, highest.Grant, e.Grant, e.Token))
		case !e.Accepted && !lower:
			found = append(found, fmt.Sprintf("%d: %s of %s was refused with %d, the highest", i, e.Grant, e.Lock, e.Token))
		}
		if e.Accepted {
			last[e.Lock] = e
		}
	}
	return found
}

// forgetful is what a history would be if the resource took everything.
func forgetful(h history) history {
	h = slices.Clone(h)
	for i := range h {
		h[i].Accepted = h[i].What == offers
	}
	return h
}

// span is how long a grant was held for sure: from its first guarded write that was
// accepted to its last, by the order of the cluster.
type span struct {
	grant            string
	lock             string
	weight, capacity int
	first, last      uint64
}

func spans(h history) map[string][]*span {
	byGrant, byLock := map[string]*span{}, map[string][]*span{}
	for _, e := range h {
		switch {
		case e.What == granted:
			byGrant[e.Grant] = &span{grant: e.Grant, lock: e.Lock, weight: e.Weight, capacity: e.Capacity}
		case e.What == wrote && !e.Bare && byGrant[e.Grant] != nil:
			s := byGrant[e.Grant]
			if s.first == 0 {
				s.first = e.Zxid
				byLock[s.lock] = append(byLock[s.lock], s)
			}
			s.last = e.Zxid
		}
	}
	return byLock
}

// checkOverlap: at no place in the order of the cluster do more hold than may.
func checkOverlap(h history) (found []string) {
	all := spans(h)
	for _, lock := range slices.Sorted(maps.Keys(all)) {
		inside := map[*span]bool{}
		held := 0
		for _, s := range edges(all[lock]) {
			if inside[s] {
				held -= s.weight
				delete(inside, s)
				continue
			}
			held += s.weight
			inside[s] = true
			if held > s.capacity {
				found = append(found, fmt.Sprintf("%s: at zxid %d %d of %d are held, by %s", lock, s.first, held, s.capacity, names(inside)))
			}
		}
	}
	return found
}

// edges has each span twice, at its beginning and at its end.
func edges(spans []*span) []*span {
	type edge struct {
		zxid uint64
		*span
	}
	var all []edge
	for _, s := range spans {
		all = append(all, edge{s.first, s}, edge{s.last, s})
	}
	slices.SortStableFunc(all, func(a, b edge) int { return cmp.Compare(a.zxid, b.zxid) })
	sorted := make([]*span, len(all))
	for i, e := range all {
		sorted[i] = e.span
	}
	return sorted
}

func names(inside map[*span]bool) string {
	var all []string
	for s := range inside {
		all = append(all, s.grant)
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

// checkLate: no write is done that began after the grant was given back, or after
// somebody was granted what cannot be held beside it.
func checkLate(h history) []string {
	_, found := lateWrites(h)
	return found
}

// lateCount is of the writes and offers that began too late. Those without guards went
// well.
type lateCount struct{ tried, fenced, refused, unknown, unguarded, offered, offersRefused int }

func lateWrites(h history) (n lateCount, found []string) {
	holds := map[string]event{}           // by grant
	over := map[string]bool{}             // grants that were given back
	highest := map[string]map[int]event{} // by lock and weight
	late := map[string]string{}           // why the write is that a grant has begun
	for i, e := range h {
		g := holds[e.Grant]
		switch e.What {
		case granted:
			holds[e.Grant] = e
			if highest[e.Lock] == nil {
				highest[e.Lock] = map[int]event{}
			}
			if e.Token > highest[e.Lock][e.Weight].Token {
				highest[e.Lock][e.Weight] = e
			}
		case released:
			over[e.Grant] = true
		case offers:
			if after(g, highest[g.Lock]) != "" {
				n.offered++
				if !e.Accepted {
					n.offersRefused++
				}
			}
		case writes:
			late[e.Grant] = after(g, highest[g.Lock])
			if over[e.Grant] {
				late[e.Grant] = "its release"
			}
		case wrote, fenced, refused, unknown:
			if late[e.Grant] == "" {
				break
			}
			if e.Bare && e.What == wrote {
				n.unguarded++
			}
			if e.Bare {
				break
			}
			n.tried++
			switch e.What {
			case wrote:
				found = append(found, fmt.Sprintf("%d: %s wrote to %s at zxid %d after %s", i, e.Grant, g.Lock, e.Zxid, late[e.Grant]))
			case fenced:
				n.fenced++
			case refused:
				n.refused++
			default:
				n.unknown++
			}
		}
	}
	return n, found
}

// after is who has a higher token than g and cannot hold beside it; "" is nobody.
func after(g event, highest map[int]event) string {
	for weight, other := range highest {
		if g.Token > 0 && other.Token > g.Token && weight+g.Weight > g.Capacity {
			return fmt.Sprintf("%s had token %d", other.Grant, other.Token)
		}
	}
	return ""
}

// checkLedger: who counts up a number by reading and writing it, under a grant that
// one has alone, never takes away what another one has counted.
func checkLedger(h history) (found []string) {
	byLock := map[string][]event{}
	for _, e := range h {
		if e.What == wrote && !e.Bare && e.Value > 0 {
			byLock[e.Lock] = append(byLock[e.Lock], e)
		}
	}
	for _, lock := range slices.Sorted(maps.Keys(byLock)) {
		all := byLock[lock]
		slices.SortStableFunc(all, func(a, b event) int { return cmp.Compare(a.Zxid, b.Zxid) })
		for i, e := range all[1:] {
			if e.Value <= all[i].Value {
				found = append(found, fmt.Sprintf("%s: %s put %d at zxid %d after %s had put %d", lock, e.Grant, e.Value, e.Zxid, all[i].Grant, all[i].Value))
			}
		}
	}
	return found
}

// ledgerEnds: what a ledger says in the end is what was counted, but for writes of
// which nobody knows.
func ledgerEnds(h history, lock string, end int64) []string {
	var known, open int64
	writing := map[string]bool{}
	for _, e := range h {
		switch {
		case e.Lock != lock || e.Bare:
		case e.What == writes:
			writing[e.Grant] = true
		case e.What == wrote && e.Value > 0:
			known++
			delete(writing, e.Grant)
		case e.What == fenced, e.What == refused:
			delete(writing, e.Grant)
		case e.What == unknown:
			open++
			delete(writing, e.Grant)
		}
	}
	open += int64(len(writing)) // of those who were killed
	return outside("ledger of "+lock, end, known, open)
}

// outside tells of a sum that cannot be.
func outside(of string, end, known, open int64) []string {
	if end < known || end > known+open {
		return []string{fmt.Sprintf("%s: it says %d, %d were counted and of %d nobody knows", of, end, known, open)}
	}
	return nil
}

// checkReaders: what one reads under a grant does not change until its last write.
func checkReaders(h history) (found []string) {
	value := map[string]int64{}
	changed := map[string]string{}
	for i, e := range h {
		switch before, seen := value[e.Grant]; {
		case e.What == saw && seen && before != e.Value:
			changed[e.Grant] = fmt.Sprintf("%d: %s saw %d, then %d, and held %s still", i, e.Grant, before, e.Value, e.Lock)
		case e.What == saw:
			value[e.Grant] = e.Value
		case e.What == wrote && !e.Bare && changed[e.Grant] != "":
			found = append(found, changed[e.Grant])
		}
	}
	return found
}

// checkViews: who held before somebody looked and did so after that was seen; who had
// given back before was not.
func checkViews(h history) (found []string) {
	type life struct {
		event
		from, proven, over int // place of the grant, of its last good write's beginning, of its release
	}
	grants := map[string]*life{}
	byLock := map[string][]*life{}
	began, looked := map[string]int{}, map[string]int{}
	for i, e := range h {
		g := grants[e.Grant]
		switch {
		case e.What == granted:
			g = &life{event: e, from: i, over: len(h)}
			grants[e.Grant] = g
			byLock[e.Lock] = append(byLock[e.Lock], g)
		case e.What == writes && !e.Bare:
			began[e.Grant] = i
		case e.What == wrote && !e.Bare && g != nil:
			g.proven = began[e.Grant]
		case e.What == released && g != nil:
			g.over = i
		}
	}
	for i, e := range h {
		switch e.What {
		case looks:
			looked[e.Grant] = i
		case sees:
			for _, g := range byLock[e.Lock] {
				seen := slices.Contains(e.Tokens, g.Token)
				if !seen && g.from < looked[e.Grant] && g.proven > i {
					found = append(found, fmt.Sprintf("%d: %s did not see %s, who held %s", i, e.Grant, g.Grant, e.Lock))
				}
				if seen && g.over < looked[e.Grant] {
					found = append(found, fmt.Sprintf("%d: %s saw %s, who had given %s back", i, e.Grant, g.Grant, e.Lock))
				}
			}
		}
	}
	return found
}

// queueCount is what became of the items of a queue.
type queueCount struct{ put, taken, redelivered, acked, lost, doubled int }

// checkQueue: each item is there once, is acknowledged once, and does not come again.
func checkQueue(h history) []string {
	_, found := queueItems(h)
	return found
}

func queueItems(h history) (n queueCount, found []string) {
	state := map[string]what{}    // of an item: how its put ended
	entry := map[string]string{}  // of an item
	taking := map[string]event{}  // by grant: its granted
	asked := map[string]int{}     // by grant
	ready := map[string]int64{}   // when an item may be taken, Unix milliseconds
	times := map[string]int{}     // that an entry was taken
	highest := map[string]event{} // of those who took an entry
	ackedBy, ackedAt := map[string]event{}, map[string]int{}
	maybe := map[string]bool{}
	for i, e := range h {
		switch e.What {
		case puts, put, putNot, putUnknown:
			state[e.Item], ready[e.Item] = e.What, e.Value
		case asks:
			asked[e.Grant] = i
		case item:
			g := e
			taking[e.Grant] = g
			n.taken++
			if times[e.Lock]++; times[e.Lock] > 1 {
				n.redelivered++
			}
			if how := state[e.Item]; how == "" || how == putNot {
				found = append(found, fmt.Sprintf("%d: %s took %s, which nobody put", i, e.Grant, e.Item))
			}
			if e.Value < ready[e.Item] {
				found = append(found, fmt.Sprintf("%d: %s took %s %d ms too early", i, e.Grant, e.Item, ready[e.Item]-e.Value))
			}
			if other, known := entry[e.Item]; known && other != e.Lock {
				n.doubled++
				found = append(found, fmt.Sprintf("%d: item %s is %s and %s", i, e.Item, other, e.Lock))
			}
			entry[e.Item] = e.Lock
			if at, over := ackedAt[e.Lock]; over && at < asked[e.Grant] {
				n.doubled++
				found = append(found, fmt.Sprintf("%d: %s took %s, acknowledged before it asked", i, e.Grant, e.Item))
			}
			if e.Token > highest[e.Lock].Token {
				highest[e.Lock] = e
			}
		case acked:
			g := taking[e.Grant]
			if other, twice := ackedBy[g.Lock]; twice {
				n.doubled++
				found = append(found, fmt.Sprintf("%d: %s was acknowledged by %s and %s", i, g.Item, other.Grant, e.Grant))
			}
			ackedBy[g.Lock], ackedAt[g.Lock] = g, i
			n.acked++
		case ackUnknown:
			maybe[taking[e.Grant].Lock] = true
		}
	}
	for entry, by := range ackedBy {
		if top := highest[entry]; top.Token > by.Token {
			n.doubled++
			found = append(found, fmt.Sprintf("%s was acknowledged by %s, when %s had it", by.Item, by.Grant, top.Grant))
		}
	}
	for _, item := range slices.Sorted(maps.Keys(state)) {
		_, over := ackedBy[entry[item]]
		if state[item] == put {
			n.put++
			if !over && !maybe[entry[item]] {
				n.lost++
				found = append(found, item+" was put and never acknowledged")
			}
		}
	}
	return n, found
}

// checkBarrier: nobody who comes after it was raised passes before somebody begins to
// lower it.
func checkBarrier(h history) (found []string) {
	up := map[string]int{} // since when it is up for sure; absent if it may be down
	came := map[string]int{}
	for i, e := range h {
		switch e.What {
		case raised:
			up[e.Lock] = i
		case lowers:
			delete(up, e.Lock)
		case waits:
			came[e.Grant] = i
		case passed:
			if since, is := up[e.Lock]; is && since < came[e.Grant] {
				found = append(found, fmt.Sprintf("%d: %s passed %s, which was up", i, e.Grant, e.Lock))
			}
		}
	}
	return found
}

// checkDouble: nobody is inside before Capacity have come as often, nor out before they
// have gone as often, but for those who never were told that they are inside: they are
// lost, and the others see that first.
func checkDouble(h history) (found []string) {
	type place struct {
		what         what
		lock, member string
	}
	total, count := map[place]int{}, map[place]int{}
	members := map[string]map[string]bool{}
	for _, e := range h {
		total[place{e.What, e.Lock, e.Grant}]++
		if e.What == enters {
			if members[e.Lock] == nil {
				members[e.Lock] = map[string]bool{}
			}
			members[e.Lock][e.Grant] = true
		}
	}
	for i, e := range h {
		count[place{e.What, e.Lock, e.Grant}]++
		round, others := count[place{e.What, e.Lock, e.Grant}], 0
		for m := range members[e.Lock] {
			lost := total[place{entered, e.Lock, m}] < round
			switch {
			case e.What == entered && count[place{enters, e.Lock, m}] >= round,
				e.What == left && (lost || count[place{leaves, e.Lock, m}] >= round):
				others++
			}
		}
		if (e.What == entered || e.What == left) && others < e.Capacity {
			found = append(found, fmt.Sprintf("%d: %s has %s %s for the time %d, and %d of %d with it", i, e.Grant, e.What, e.Lock, round, others, e.Capacity))
		}
	}
	return found
}
