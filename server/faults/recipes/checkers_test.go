package recipes_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// hold is a grant from its asking to its being told, of all there is of the lock.
func hold(grant string, token uint64) history {
	return history{
		{What: asks, Lock: "l", Grant: grant},
		{What: granted, Lock: "l", Grant: grant, Token: token, Weight: 1, Capacity: 1},
	}
}

// part is a grant of some of three.
func part(grant string, token uint64, weight int) event {
	return event{What: granted, Lock: "l", Grant: grant, Token: token, Weight: weight, Capacity: 3}
}

func did(what what, grant string) event { return event{What: what, Lock: "l", Grant: grant} }

func offer(grant string, token uint64, accepted bool) event {
	return event{What: offers, Lock: "l", Grant: grant, Token: token, Accepted: accepted}
}

// wroteAt is a write that went well.
func wroteAt(grant string, zxid uint64, value int64) history {
	return history{did(writes, grant), {What: wrote, Lock: "l", Grant: grant, Zxid: zxid, Value: value}}
}

// takes is the taking of an item that is at an entry of the queue.
func takes(grant, id, entry string, token uint64) history {
	return history{
		{What: asks, Lock: "q", Grant: grant},
		{What: granted, Lock: entry, Grant: grant, Token: token, Weight: 1, Capacity: 1},
		{What: item, Lock: entry, Grant: grant, Token: token, Item: id},
	}
}

func ofItem(what what, id string) history { return history{{What: what, Lock: "q", Item: id}} }

func ack(grant string) history { return history{{What: acked, Lock: "e", Grant: grant}} }

func look(tokens ...uint64) history {
	return history{did(looks, "eye"), {What: sees, Lock: "l", Grant: "eye", Tokens: tokens}}
}

func joined(parts ...history) history { return slices.Concat(parts...) }

func at(what what, who string) history {
	return history{{What: what, Lock: "l", Grant: who, Capacity: 2}}
}

// good is what a run without a fault leaves.
var good = joined(
	hold("a", 10), history{offer("a", 10, true)}, wroteAt("a", 11, 1), look(10), wroteAt("a", 12, 2), history{did(releases, "a"), did(released, "a")},
	hold("b", 20), history{offer("b", 20, true), offer("a", 10, false), did(writes, "a"), did(fenced, "a"), {What: writes, Lock: "l", Grant: "a", Bare: true}, {What: wrote, Lock: "l", Grant: "a", Zxid: 20, Bare: true}}, wroteAt("b", 21, 3), look(20), wroteAt("b", 22, 4),
	ofItem(puts, "i"), ofItem(put, "i"), takes("t", "i", "e", 30), takes("u", "i", "e", 40), ack("u"),
	at(raised, "keeper"), at(waits, "w"), at(lowers, "keeper"), at(passed, "w"),
	at(enters, "m"), at(enters, "n"), at(entered, "m"), at(leaves, "m"), at(entered, "n"), at(leaves, "n"), at(left, "m"), at(left, "n"),
)

func TestAGoodHistoryHasNoFinding(t *testing.T) {
	for name, check := range checkers {
		require.Empty(t, check(good), name)
	}
	require.Empty(t, ledgerEnds(good, "l", 4))
	n, _ := lateWrites(good)
	require.Equal(t, lateCount{tried: 1, fenced: 1, unguarded: 1, offered: 1, offersRefused: 1}, n)
	items, _ := queueItems(good)
	require.Equal(t, queueCount{put: 1, taken: 2, redelivered: 1, acked: 1}, items)
}

func TestEveryCheckerSeesTheLie(t *testing.T) {
	lies := []struct {
		name    string
		checker string
		h       history
		finds   string
	}{
		{"an error without a fault", "errors", history{{What: odd, Grant: "a", Item: "no such thing"}}, "no such thing"},
		{"two have one token", "tokens", joined(hold("a", 10), hold("b", 10)), "token 10 is of a and of b"},
		{"a later grant has a lower token", "tokens", joined(hold("a", 10), hold("b", 9)), "b got token 9"},
		{"the resource takes a lower token", "resource", history{offer("a", 10, true), offer("b", 9, true)}, "accepted with 9 after 10"},
		{"the resource is written by two with one token", "resource", history{offer("a", 10, true), offer("b", 10, true)}, "a and b both came with 10"},
		{"the resource refuses its holder", "resource", history{offer("a", 10, true), offer("b", 11, false)}, "refused with 11, the highest"},
		{"two write by turns", "overlap", joined(hold("a", 10), hold("b", 20), wroteAt("a", 21, 0), wroteAt("b", 22, 0), wroteAt("a", 23, 0)), "held, by a, b"},
		{"one writes amid the writes of another", "overlap", joined(hold("a", 10), hold("b", 20), wroteAt("a", 21, 0), wroteAt("b", 22, 0), wroteAt("b", 23, 0), wroteAt("a", 24, 0)), "2 of 1 are held"},
		{"a reader writes amid a writer's", "overlap", joined(history{part("w", 10, 3), part("r", 20, 1)}, wroteAt("w", 21, 0), wroteAt("r", 22, 0), wroteAt("w", 23, 0)), "4 of 3 are held, by r, w"},
		{"there are more than the permits", "overlap", joined(history{part("a", 10, 2), part("b", 20, 2)}, wroteAt("a", 21, 0), wroteAt("b", 22, 0), wroteAt("a", 23, 0)), "4 of 3 are held"},
		{"a write after the next one's grant", "late", joined(hold("a", 10), hold("b", 20), wroteAt("a", 21, 0)), "a wrote to l at zxid 21 after b had token 20"},
		{"a reader writes after a writer's grant", "late", joined(history{part("r", 10, 1), part("w", 20, 3)}, wroteAt("r", 21, 0)), "r wrote to l"},
		{"a write after the release", "late", joined(hold("a", 10), history{did(released, "a")}, wroteAt("a", 21, 0)), "after its release"},
		{"a number is counted twice", "ledger", joined(hold("a", 10), wroteAt("a", 11, 1), hold("b", 20), wroteAt("b", 21, 1)), "b put 1 at zxid 21 after a had put 1"},
		{"a value changes under a reader", "readers", joined(history{part("r", 10, 1), {What: saw, Grant: "r", Value: 1}, {What: saw, Grant: "r", Value: 2}}, wroteAt("r", 11, 0)), "r saw 1, then 2"},
		{"a holder is not seen", "views", joined(hold("a", 10), look(), wroteAt("a", 11, 0)), "eye did not see a"},
		{"one who has released is seen", "views", joined(hold("a", 10), history{did(released, "a")}, look(10)), "eye saw a, who had given l back"},
		{"an item is lost", "queue", joined(ofItem(puts, "i"), ofItem(put, "i")), "i was put and never acknowledged"},
		{"a taken item is lost", "queue", joined(ofItem(puts, "i"), ofItem(put, "i"), takes("t", "i", "e", 30)), "i was put and never acknowledged"},
		{"an item is put twice", "queue", joined(ofItem(puts, "i"), takes("t", "i", "e", 30), ack("t"), takes("u", "i", "f", 40)), "item i is e and f"},
		{"an item is acknowledged twice", "queue", joined(ofItem(puts, "i"), takes("t", "i", "e", 30), takes("u", "i", "e", 40), ack("u"), ack("t")), "acknowledged by u and t"},
		{"an item comes again", "queue", joined(ofItem(puts, "i"), takes("t", "i", "e", 30), ack("t"), takes("u", "i", "e", 40)), "u took i, acknowledged before it asked"},
		{"one who has lost an item acknowledges it", "queue", joined(ofItem(puts, "i"), takes("t", "i", "e", 30), takes("u", "i", "e", 40), ack("t")), "acknowledged by t, when u had it"},
		{"an item is nobody's", "queue", takes("t", "i", "e", 30), "i, which nobody put"},
		{"an item comes whose put has failed", "queue", joined(ofItem(puts, "i"), ofItem(putNot, "i"), takes("t", "i", "e", 30)), "i, which nobody put"},
		{"an item comes too early", "queue", joined(history{{What: puts, Item: "i", Value: 5}}, takes("t", "i", "e", 30)), "took i 5 ms too early"},
		{"one passes a barrier that is up", "barrier", joined(at(raised, "keeper"), at(waits, "w"), at(passed, "w"), at(lowers, "keeper")), "w passed l, which was up"},
		{"one is inside before all have come", "double", joined(at(enters, "m"), at(entered, "m"), at(enters, "n")), "m has entered l for the time 1, and 1 of 2"},
		{"one is out before all have gone", "double", joined(at(enters, "m"), at(enters, "n"), at(entered, "m"), at(entered, "n"), at(leaves, "m"), at(left, "m")), "m has left l for the time 1, and 1 of 2"},
	}
	seen := map[string]bool{}
	for _, lie := range lies {
		t.Run(lie.name, func(t *testing.T) {
			require.Contains(t, strings.Join(checkers[lie.checker](lie.h), "\n"), lie.finds)
		})
		seen[lie.checker] = true
	}
	for name := range checkers {
		require.Contains(t, seen, name, "no lie is told to this checker")
	}
}

func TestALedgerEndsWithWhatWasCounted(t *testing.T) {
	h := joined(hold("a", 10), wroteAt("a", 11, 1), history{did(writes, "a"), did(unknown, "a"), did(writes, "killed")})
	for end, wrong := range map[int64]bool{0: true, 1: false, 2: false, 3: false, 4: true} {
		require.Equal(t, wrong, len(ledgerEnds(h, "l", end)) > 0, "%d", end)
	}
}

// The late holder of the good history writes to a resource that remembers nothing.
func TestWithoutMemoryTheResourceIsOverwritten(t *testing.T) {
	require.NotEmpty(t, checkResource(forgetful(good)))
}
