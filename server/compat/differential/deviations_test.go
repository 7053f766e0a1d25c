package differential

import (
	"slices"
	"strings"
)

// deviation is a difference that is meant. Its name and reason stand in
// docs/ZOOKEEPER.md word for word.
type deviation struct {
	name   string
	reason string
	// allows says whether it explains that the next item of ZooKeeper is zk and
	// that of Lycaon ly; either may be nil.
	allows func(c *comparison, st *step, zk, ly *item) verdict
}

// deviations are all that may differ, each as narrow as can be said.
var deviations = []deviation{
	{
		name:   "Every reply carries a zxid",
		reason: "ZooKeeper's to an auth packet carries 0, and the one to an unknown operation -1. No client looks at them.",
		allows: func(_ *comparison, _ *step, zk, ly *item) verdict {
			without := map[string]bool{"0": true, "-1": true}
			return pairUp(bothReply(zk, ly) && (zk.op.Op == opAuth || !zk.op.Op.known()) && without[zk.field("zxid")] && zk.sameBut(ly, "zxid"))
		},
	},
	{
		name:   "A ping is answered at once",
		reason: "ZooKeeper answers it behind the requests before it. Clients match it by its xid alone, and a server that is busy with a write still shows that it lives.",
		allows: pingAtOnce,
	},
	{
		name:   "reconfig is always there",
		reason: "ZooKeeper refuses it with -123 unless reconfigEnabled is set. Here it wants the superuser, as member add does.",
		allows: func(_ *comparison, _ *step, zk, ly *item) verdict {
			return pairUp(isReply(zk, opReconfig) && isReply(ly, opReconfig) && zk.err == errReconfig)
		},
	},
	{
		name:   "checkWatches knows whose watches it is asked about",
		reason: "ZooKeeper 3.8 answers 0 as soon as any connection watches the path.",
		allows: func(c *comparison, _ *step, zk, ly *item) verdict {
			return pairUp(isReply(zk, opCheckWatches) && isReply(ly, opCheckWatches) && zk.err == 0 && ly.err == errNoWatcher && c.m.everWatched[zk.op.Path])
		},
	},
	{
		name: "Kinds of watches live side by side",
		reason: "In ZooKeeper 3.8 a later kind of watch of a connection on a path takes the place of an earlier one (ZOOKEEPER-4466), " +
			"and a staying watch can be removed by halves, with the watcherTypes of one-shots.",
		allows: muddledWatches,
	},
	{
		name: "exists wants READ",
		reason: "ZooKeeper 3.8.0 answers it to anybody; since 3.8.4 and 3.9.2 a node that is there has to be readable. " +
			"The watch is not left either.",
		allows: existsUnread,
	},
	{
		name:   "setWatches tells nothing of a node that may not be read",
		reason: "ZooKeeper keeps all other events of such a node from the session, and not these.",
		allows: unreadAnswer,
	},
	{
		name: "A path that breaks a rule is refused before anything else",
		reason: "ZooKeeper looks at the ACL, the parent and its permissions before it looks at the name that a create would make, " +
			"and at the parent's permissions before it misses what a delete names. Which of several errors is told differs, that it fails does not.",
		allows: pathRule,
	},
	{
		name:   "There are no watches on a path that no node can have",
		reason: "ZooKeeper takes them, and they never fire. addWatch is refused with -8; for removeWatches and checkWatches there are none.",
		allows: func(_ *comparison, _ *step, zk, ly *item) verdict {
			if !bothReply(zk, ly) || !breaksRule(zk.op.Path) || zk.err != 0 {
				return notMine
			}
			return pairUp(zk.op.Op == opAddWatch && ly.err == errBadArgs ||
				(zk.op.Op == opRemoveWatches || zk.op.Op == opCheckWatches) && ly.err == errNoWatcher)
		},
	},
	{
		name:   "auth in an ACL becomes each identity once, in the order in which they were proved",
		reason: "In ZooKeeper their order is that of a hash table, and two entries of auth become the same twice. What they permit is the same.",
		allows: func(_ *comparison, _ *step, zk, ly *item) verdict {
			return pairUp(isReply(zk, opGetACL) && isReply(ly, opGetACL) && zk.sameBut(ly, "acl", "bytes") && sameEntries(zk.field("acl"), ly.field("acl")))
		},
	},
	{
		name:   "A create with the flag of a TTL and no TTL is refused by itself in a multi",
		reason: "ZooKeeper fails to make sense of the whole multi, -5. No client sends one.",
		allows: func(_ *comparison, _ *step, zk, ly *item) verdict {
			if !bothReply(zk, ly) || zk.op.Op != opMulti || zk.err != errMarshalling || ly.err != 0 {
				return notMine
			}
			at := culprit(ly)
			return pairUp(at >= 0 && ly.results[at].err == errBadArgs && ly.results[at].op.lacksTTL())
		},
	},
	{
		name:   "An exists watch that is set again hears of a node that came and went",
		reason: "ZooKeeper compares with the node as it is, and its client never learns of it.",
		allows: cameAndWent,
	},
	{
		name:   "What servers say to each other is unknown to clients",
		reason: "ZooKeeper lets clients send createSession and deleteContainer.",
		allows: func(_ *comparison, _ *step, zk, ly *item) verdict {
			return pairUp(bothReply(zk, ly) && (zk.op.Op == opCreateSession || zk.op.Op == opDeleteContainer) && ly.err == errUnimplemented)
		},
	},
	{
		name:   "Unknown permission bits are refused",
		reason: "ZooKeeper keeps them, and they mean nothing.",
		allows: func(_ *comparison, _ *step, zk, ly *item) verdict {
			return pairUp(bothReply(zk, ly) && zk.err == 0 && ly.err == errInvalidACL &&
				slices.ContainsFunc(zk.op.ACL, func(e aclEntry) bool { return e.Perms&^permAll != 0 }))
		},
	},
	{
		name:   "An ACL has 64 entries at most",
		reason: "ZooKeeper has no limit but that of a packet.",
		allows: func(_ *comparison, _ *step, zk, ly *item) verdict {
			return pairUp(bothReply(zk, ly) && zk.err == 0 && ly.err == errInvalidACL && len(zk.op.ACL) > maxEntries)
		},
	},
	{
		name:   "A path has 1,024 bytes and 128 names at most",
		reason: "ZooKeeper has no limit but that of a packet.",
		allows: func(_ *comparison, _ *step, zk, ly *item) verdict {
			return pairUp(bothReply(zk, ly) && zk.op.Op.creates() && ly.err == errBadArgs &&
				(len(zk.op.Path) > maxPath || strings.Count(zk.op.Path, "/") > maxNames))
		},
	},
	{
		name:   "There are no sequential containers",
		reason: "No client offers them; ZooKeeper makes one if asked by the bare flags.",
		allows: func(_ *comparison, _ *step, zk, ly *item) verdict {
			return pairUp(isReply(zk, opCreateContainer) && isReply(ly, opCreateContainer) && zk.err == 0 && ly.err == errBadArgs && zk.op.Flags == flagSequential)
		},
	},
	{
		name:   "The ACL of /zookeeper/config has version 0",
		reason: "It has version -1 in ZooKeeper.",
		allows: func(_ *comparison, _ *step, zk, ly *item) verdict {
			return pairUp(bothReply(zk, ly) && zk.op.Path == "/zookeeper/config" && zk.sameBut(ly, "versions") &&
				strings.TrimSuffix(zk.field("versions"), "/-1") == strings.TrimSuffix(ly.field("versions"), "/0"))
		},
	},
	{
		name: "A multi that cannot succeed is refused as a whole",
		reason: "An operation whose arguments break a rule, whatever the tree holds, is the one that is blamed, " +
			"and not an earlier one that fails on the tree as it is. Nothing happens either way.",
		allows: func(_ *comparison, _ *step, zk, ly *item) verdict {
			if !bothReply(zk, ly) || zk.op.Op != opMulti || zk.err != 0 || ly.err != 0 {
				return notMine
			}
			tree, rule := culprit(zk), culprit(ly)
			return pairUp(0 <= tree && tree < rule && cannotBe(ly.results[rule]))
		},
	},
}

// pingAtOnce lets the reply to a ping of this step come earlier.
func pingAtOnce(c *comparison, st *step, zk, ly *item) verdict {
	switch {
	case isReply(ly, opPing) && !isReply(zk, opPing) && slices.Contains(st.Ops, ly.op):
		c.early[ly.op] = true
		return lycaonOnly
	case isReply(zk, opPing) && c.early[zk.op]:
		delete(c.early, zk.op)
		return zooKeeperOnly
	}
	return notMine
}

// muddledWatches allows whatever is heard of watches that ZooKeeper has lost
// track of.
func muddledWatches(c *comparison, st *step, zk, ly *item) verdict {
	switch {
	case bothReply(zk, ly) && (zk.op.Op == opCheckWatches || zk.op.Op == opRemoveWatches) && zk.sameBut(ly, "bytes"):
		return notMine
	case bothReply(zk, ly) && (zk.op.Op == opCheckWatches || zk.op.Op == opRemoveWatches):
		kinds := c.m.slots[st.Slot].watches[zk.op.Path]
		return pairUp(kinds.muddled() || kinds&stayingKinds != 0 && zk.op.Mode != watcherAny)
	case isEventItem(ly) && c.m.muddled(st.Slot, ly.path):
		return lycaonOnly
	case isEventItem(zk) && c.m.muddled(st.Slot, zk.path):
		return zooKeeperOnly
	}
	return notMine
}

// existsUnread follows an exists that ZooKeeper has answered and Lycaon has not
// to what it has left.
func existsUnread(c *comparison, st *step, zk, ly *item) verdict {
	own := c.m.slots[st.Slot]
	switch {
	case bothReply(zk, ly) && zk.op.Op == opExists && zk.err == 0 && ly.err == errNoAuth && !c.m.may(st.Slot, zk.op.Path, permRead):
		if zk.op.Watch {
			own.refused[zk.op.Path] = true
		}
		return bothAnswer
	case isEventItem(zk) && own.refused[zk.path] && !c.comes(zk) && !c.answersUnread(st, zk):
		delete(own.refused, zk.path)
		return zooKeeperOnly
	case isReply(zk, opRemoveWatches) && isReply(ly, opRemoveWatches):
		return pairUp(own.refused[zk.op.Path] && zk.err == 0 && ly.err == errNoWatcher)
	}
	return notMine
}

// quotaDeviations are those that only quotas bring about.
var quotaDeviations = []deviation{
	{
		name:   "In a multi a quota counts what the operations before have done",
		reason: "ZooKeeper compares each with the figures before the multi: one that makes room first is refused, one that takes it in parts is not.",
		allows: func(_ *comparison, _ *step, zk, ly *item) verdict {
			if !isReply(zk, opMulti) || !isReply(ly, opMulti) {
				return notMine
			}
			return pairUp(exceeds(zk) || exceeds(ly))
		},
	},
}

// exceeds says that a multi failed for a quota.
func exceeds(it *item) bool {
	at := culprit(it)
	return at >= 0 && it.results[at].err == errQuota
}

// unreadAnswer allows the answer of a setWatches that the session may not see.
func unreadAnswer(c *comparison, st *step, zk, _ *item) verdict {
	if isEventItem(zk) && !c.comes(zk) && c.answersUnread(st, zk) {
		return zooKeeperOnly
	}
	return notMine
}

// answersUnread says that an event of ZooKeeper's may answer a setWatches, and is
// of a node that may not be read.
func (c *comparison) answersUnread(st *step, zk *item) bool {
	next := c.nextReply()
	return next != nil && slices.ContainsFunc(next.op.Lists, func(paths []string) bool { return slices.Contains(paths, zk.path) }) &&
		c.m.nodes[zk.path] != nil && !c.m.may(st.Slot, zk.path, permRead)
}

// comes says that Lycaon tells an event as well, before its next reply.
func (c *comparison) comes(zk *item) bool {
	for _, ly := range c.coming {
		if ly.kind != itemEvent {
			return false
		}
		if ly.event == zk.event && ly.path == zk.path {
			return true
		}
	}
	return false
}

// nextReply is the first reply among what ZooKeeper still says in this step.
func (c *comparison) nextReply() *item {
	for _, it := range c.pending {
		if it.kind == itemReply {
			return it
		}
	}
	return nil
}

// breaksRule says that no node can have a path.
func breaksRule(path string) bool {
	names := strings.Split(path, "/")
	return len(names) < 2 || slices.ContainsFunc(names[1:], func(name string) bool {
		return name == "" || name == "." || name == ".." || strings.ContainsFunc(name, func(r rune) bool {
			return r < ' ' || '\x7f' <= r && r <= '\u009f' || '\ue000' <= r && r <= '\uf8ff' || '\ufff0' <= r
		})
	})
}

// cannotBe says that an operation of a multi was refused whatever the tree holds.
func cannotBe(r *item) bool {
	return r.err == errInvalidACL || r.err == errBadArgs || r.op.Op == opDelete && breaksRule(r.op.Path)
}

// pathRule allows another error for a path that breaks a rule, also in a multi.
func pathRule(_ *comparison, _ *step, zk, ly *item) verdict {
	if !bothReply(zk, ly) {
		return notMine
	}
	if zk.op.Op == opMulti && len(zk.results) == len(ly.results) {
		at := culprit(zk)
		if at < 0 || at != culprit(ly) {
			return notMine
		}
		zk, ly = zk.results[at], ly.results[at]
	}
	return pairUp(breaksRule(zk.op.Path) &&
		(zk.op.Op.creates() && ly.err == errBadArgs && (zk.err == errInvalidACL || zk.err == errNoNode || zk.err == errNoAuth) ||
			zk.op.Op == opDelete && ly.err == errNoNode && zk.err == errNoAuth))
}

// sameEntries compares two ACLs as sets.
func sameEntries(a, b string) bool {
	set := func(acl string) []string {
		entries := strings.Split(strings.Trim(acl, "[{}]"), "} {")
		slices.Sort(entries)
		return slices.Compact(entries)
	}
	return slices.Equal(set(a), set(b))
}

// lacksTTL says that o is a create with the flag of a TTL and without one.
func (o *op) lacksTTL() bool {
	return (o.Op == opCreate || o.Op == opCreate2) && (o.Flags == flagTTL || o.Flags == flagTTLSequential)
}

// cameAndWent lets a setWatches tell of a node that was made and is not there;
// the watch is used up then, and stands in ZooKeeper.
func cameAndWent(c *comparison, st *step, _, ly *item) verdict {
	next := c.nextReply()
	if !isEventItem(ly) || ly.event != eventCreated || next == nil || len(next.op.Lists) == 0 ||
		!slices.Contains(next.op.Lists[1], ly.path) || c.m.nodes[ly.path] != nil || !c.m.everMade[ly.path] {
		return notMine
	}
	c.m.slots[st.Slot].refused[ly.path] = true
	return lycaonOnly
}

// culprit is the index of the operation that made a multi fail, -1 if none did.
func culprit(it *item) int {
	return slices.IndexFunc(it.results, func(r *item) bool { return r.err != 0 })
}

// bothReply says that both are replies to the same request.
func bothReply(zk, ly *item) bool {
	return zk != nil && ly != nil && zk.kind == itemReply && ly.kind == itemReply && zk.op == ly.op
}

func isReply(it *item, code opcode) bool {
	return it != nil && it.kind == itemReply && it.op.Op == code
}

func isEventItem(it *item) bool { return it != nil && it.kind == itemEvent }

// pairUp is bothAnswer if ok.
func pairUp(ok bool) verdict {
	if ok {
		return bothAnswer
	}
	return notMine
}
