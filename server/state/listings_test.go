package state

import (
	"fmt"
	"testing"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/znode"
	"github.com/stretchr/testify/require"
)

var listD = protocol.Read{Op: protocol.OpChildren, Path: "/d"}

// directory makes /d with so many children in transactions of their own.
func (b *bench) directory(children int) {
	b.quiet(create("/d", ""))
	for i := range children {
		b.quiet(create(fmt.Sprintf("/d/%06d", i), ""))
	}
}

// unshared is the answer of a machine that keeps nothing.
func (b *bench) unshared(r protocol.Read) protocol.Message {
	without := newMachine(b.m.tree, b.m.sessions)
	without.zxid = b.m.zxid
	var out protocol.Message
	without.Read(&znode.Actor{Session: b.id, IDs: []znode.Identity{near}}, &r, &out)
	return out
}

// same asks for a listing until it is kept, and holds each answer against the
// tree.
func (b *bench) same(r protocol.Read, why string) {
	b.t.Helper()
	for range 3 {
		require.Equal(b.t, frame(b.unshared(r)), frame(b.read(r)), why)
		want, got := b.unshared(r), b.read(r)
		require.Equal(b.t, protocol.AppendMessage(nil, &want), protocol.AppendMessage(nil, &got), why)
	}
}

func TestTheSecondListingIsKeptForAllLaterOnes(t *testing.T) {
	b := newBench(t)
	b.directory(sharedFrom)
	first, second, third := b.read(listD), b.read(listD), b.read(listD)
	require.NotSame(t, first.More, second.More, "who asks once has nothing kept")
	require.Same(t, second.More, third.More)
	whole := b.read(protocol.Read{Op: protocol.OpChildren, Path: "/d", Whole: true, After: "x", Limit: 1})
	require.Same(t, second.More, whole.More, "a whole listing knows no page")
	b.same(listD, "as it is")

	b.quiet(remove("/d/000000"))
	require.NotSame(t, b.read(listD).More, b.read(listD).More, "fewer names are not kept")
}

func TestAKeptListingIsForgottenWithAnyChange(t *testing.T) {
	for what, change := range map[string]func(b *bench){
		"a create":                      func(b *bench) { b.done(create("/d/new", "")) },
		"a delete":                      func(b *bench) { b.done(remove("/d/000007")) },
		"a name that goes, another one": func(b *bench) { b.multi(remove("/d/000007"), create("/d/000007-", "")) },
		"the same name anew":            func(b *bench) { b.multi(remove("/d/000007"), create("/d/000007", "")) },
		"data of the directory":         func(b *bench) { b.done(set("/d", "data")) },
		"a grandchild":                  func(b *bench) { b.done(create("/d/000007/below", "")) },
		"a multi that fails":            func(b *bench) { b.multi(create("/d/new", ""), check("/none", 1)) },
		"the directory anew": func(b *bench) {
			b.done(protocol.WriteOp{Op: protocol.OpDelete, Path: "/d", Version: znode.AnyVersion, Recursive: true})
			b.done(create("/d", ""))
			for i := range sharedFrom {
				b.quiet(create(fmt.Sprintf("/d/other-%06d", i), ""))
			}
		},
		"the session that owns a child ends": func(b *bench) { b.apply(&Txn{Kind: TxnExpire, Session: b.id, Generation: b.gen}) },
	} {
		b := newBench(t)
		b.directory(sharedFrom + 1)
		b.done(ephemeral("/d/ephemeral"))
		b.same(listD, what)
		change(b)
		b.same(listD, what)
	}
}

func TestAKeptListingIsForThoseWhoMayRead(t *testing.T) {
	b := newBench(t)
	b.directory(sharedFrom)
	b.same(listD, "open")
	nobody := znode.ACL{{Perms: znode.Write, Scheme: "world", ID: "anyone"}}
	b.done(protocol.WriteOp{Op: protocol.OpSetACL, Path: "/d", ACL: nobody, Version: znode.AnyVersion})
	out := b.read(listD)
	require.Equal(t, protocol.NoAuth, out.Code)
	require.Equal(t, b.unshared(listD), out)
}

func TestAKeptListingHonoursPagesAndRoom(t *testing.T) {
	b := newBench(t)
	b.directory(sharedFrom)
	b.same(listD, "whole")
	b.same(protocol.Read{Op: protocol.OpChildren, Path: "/d", Limit: 3}, "a page")
	b.same(protocol.Read{Op: protocol.OpChildren, Path: "/d", After: "000100"}, "above a name")
	reads := make([]protocol.Read, protocol.DefaultLimits().MaxFrame/(sharedFrom*10)+10)
	for i := range reads {
		reads[i] = listD
		reads[i].Whole = i%3 == 0
	}
	b.same(protocol.Read{Op: protocol.OpMultiRead, Reads: reads}, "more of them than a frame holds")
}

func TestKeptListingsStayWithinTheirBound(t *testing.T) {
	var l listings
	names := make([]string, maxListing/512)
	for i := range names {
		names[i] = fmt.Sprintf("%0100d", i)
	}
	for i := range 3 * maxListings / maxListing {
		path := fmt.Sprintf("/d%d", i)
		for range 2 {
			l.note(path, 1, &protocol.More{Names: names})
		}
		require.NotNil(t, l.of(path).names, "the newest is kept")
		sum := 0
		for path, kept := range l.known {
			sum += kept.memory(path)
		}
		require.Equal(t, sum, l.bytes)
		require.LessOrEqual(t, l.bytes, maxListings)
	}
	for range 2 {
		l.note("/huge", 1, &protocol.More{Names: append(names, names...)})
	}
	require.Nil(t, l.of("/huge").names, "one that would leave no room for others is not kept")
	require.LessOrEqual(t, l.bytes, maxListings)
	for i := range maxListings/listingRoom + 1 {
		l.note(fmt.Sprintf("/once%d", i), 1, &protocol.More{})
	}
	require.LessOrEqual(t, len(l.known), maxListings/listingRoom, "those asked for once are bounded as well")
}

func TestAListingTooLargeToBeSharedIsMeasuredOnce(t *testing.T) {
	t.Parallel()
	var l listings
	names := &protocol.More{Names: make([]string, maxListing/keptNameRoom+1)}
	for range 3 {
		require.Same(t, names, l.note("/huge", 7, names))
	}
	require.True(t, l.known["/huge"].large)
	small := &protocol.More{Names: []string{"a"}}
	require.Same(t, small, l.note("/huge", 8, small), "it has shrunk")
	require.NotSame(t, small, l.note("/huge", 8, small))
}
