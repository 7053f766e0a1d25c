package differential

import (
	"reflect"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAScriptIsReadAsItWasWritten(t *testing.T) {
	m := newMirror(slots)
	for i := range m.slots {
		m.slots[i].connected = true
	}
	g := newGenerator(7, m, 2000)
	var said script
	for st := g.next(); st != nil; st = g.next() {
		said = append(said, *st)
	}
	require.Greater(t, said.count(), 2000)
	again, err := parseScript([]byte("# a comment\n\n" + said.text()))
	require.NoError(t, err)
	require.True(t, reflect.DeepEqual(said, again))
}

func TestNullIsNotEmptyInAScript(t *testing.T) {
	for _, o := range []*op{
		{Op: opSetData}, {Op: opSetData, Data: blob{}}, {Op: opSetData, Data: blob("abababab")},
		{Op: opSetACL}, {Op: opSetACL, ACL: []aclEntry{}}, {Op: opSetACL, ACL: []aclEntry{{-1, "ip", "::1"}}},
	} {
		said := script{{Kind: stepSend, Ops: []*op{o}}}
		again, err := parseScript([]byte(said.text()))
		require.NoError(t, err)
		require.Equal(t, said, again, said.text())
	}
}

func TestAScriptShrinksToWhatDiffers(t *testing.T) {
	var said script
	for i := range 100 {
		said = append(said, step{Slot: i % slots, Kind: stepSend, Ops: []*op{{Op: opGetData, Path: "$/a"}, {Op: opPing}, {Op: opSync}}})
	}
	said[40].Ops[1] = &op{Op: opMulti, Ops: []*op{{Op: opCheck}, {Op: opDelete, Path: "$/b"}, {Op: opCheck}}}
	said[70].Ops[2] = &op{Op: opSetWatches, Lists: [][]string{{"$/c", "$/d"}, {"$/e"}}}
	differs := func(s script) *difference {
		deletes := slices.ContainsFunc(s, func(st step) bool {
			return slices.ContainsFunc(st.Ops, func(o *op) bool {
				return slices.ContainsFunc(o.Ops, func(sub *op) bool { return sub.Op == opDelete })
			})
		})
		waits := slices.ContainsFunc(s, func(st step) bool {
			return slices.ContainsFunc(st.Ops, func(o *op) bool { return len(o.Lists) > 0 && slices.Contains(o.Lists[0], "$/d") })
		})
		if !deletes || !waits {
			return nil
		}
		return &difference{zk: &item{kind: itemClosed}, ly: &item{kind: itemSilent}}
	}
	small, _ := shrink(said, differs(said), differs)
	require.Equal(t, script{
		{Slot: 0, Kind: stepSend, Ops: []*op{{Op: opMulti, Ops: []*op{{Op: opDelete, Path: "$/b"}}}}},
		{Slot: 2, Kind: stepSend, Ops: []*op{{Op: opSetWatches, Lists: [][]string{{"$/d"}, {}}}}},
	}, small)
}

func TestEqualSeedsAskTheSame(t *testing.T) {
	ask := func(seed uint64) string {
		g := newGenerator(seed, newMirror(slots), 500)
		var said script
		for st := g.next(); st != nil; st = g.next() {
			said = append(said, *st)
		}
		return said.text()
	}
	require.Equal(t, ask(3), ask(3))
	require.NotEqual(t, ask(3), ask(4))
}
