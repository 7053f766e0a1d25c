package differential

import (
	"fmt"
	"slices"
	"strings"
)

// Kinds of items.
const (
	itemReply   = "reply"
	itemEvent   = "event"
	itemWelcome = "welcome"
	itemClosed  = "closed" // the server closed the connection
	itemSilent  = "silent" // nothing came in time
	itemBroken  = "broken" // bytes that make no sense, or an answer out of turn
)

type field struct{ name, value string }

// item is something that a connection heard, in terms that both systems share.
type item struct {
	kind    string
	op      *op // of a reply
	err     int32
	event   int32
	path    string   // of an event
	made    string   // by a create
	names   []string // of children, as the server has them
	fields  []field  // all the rest, in the order of the wire
	results []*item  // of multi and multiRead
}

func (it *item) add(name, format string, args ...any) {
	it.fields = append(it.fields, field{name, fmt.Sprintf(format, args...)})
}

// field is the value of a field, "" if there is none.
func (it *item) field(name string) string {
	for i := range it.fields {
		if it.fields[i].name == name {
			return it.fields[i].value
		}
	}
	return ""
}

func (it *item) same(other *item) bool {
	return it.kind == other.kind && it.op == other.op && it.err == other.err && it.event == other.event && it.path == other.path &&
		slices.Equal(it.fields, other.fields) && slices.EqualFunc(it.results, other.results, (*item).same)
}

// Types of events.
const (
	eventCreated         = 1
	eventDeleted         = 2
	eventDataChanged     = 3
	eventChildrenChanged = 4
)

// sameBut is same, whatever the fields of these names say.
func (it *item) sameBut(other *item, names ...string) bool {
	a, b := *it, *other
	a.fields, b.fields = without(it.fields, names), without(other.fields, names)
	return a.same(&b)
}

func without(fields []field, names []string) []field {
	return slices.DeleteFunc(slices.Clone(fields), func(f field) bool { return slices.Contains(names, f.name) })
}

var eventNames = map[int32]string{
	eventCreated: "created", eventDeleted: "deleted", eventDataChanged: "dataChanged", eventChildrenChanged: "childrenChanged",
}

func (it *item) String() string {
	var b strings.Builder
	b.WriteString(it.kind)
	switch it.kind {
	case itemReply:
		fmt.Fprintf(&b, " to %v, err %d", it.op.Op, it.err)
	case itemEvent:
		fmt.Fprintf(&b, " %s(%d) %q", eventNames[it.event], it.event, it.path)
	}
	for _, f := range it.fields {
		fmt.Fprintf(&b, ", %s=%s", f.name, f.value)
	}
	for i, r := range it.results {
		fmt.Fprintf(&b, "\n        [%d] %v", i, r)
	}
	return b.String()
}

// contrast names what differs between two items.
func contrast(zk, ly *item) string {
	var b strings.Builder
	note := func(name string, x, y any) {
		if x != y {
			fmt.Fprintf(&b, "  %-12s zookeeper %v, lycaon %v\n", name, x, y)
		}
	}
	note("kind", zk.kind, ly.kind)
	note("err", zk.err, ly.err)
	note("event", zk.event, ly.event)
	note("path", zk.path, ly.path)
	note("results", len(zk.results), len(ly.results))
	names := map[string]bool{}
	for _, f := range append(slices.Clone(zk.fields), ly.fields...) {
		if !names[f.name] {
			names[f.name] = true
			note(f.name, zk.field(f.name), ly.field(f.name))
		}
	}
	for i := range min(len(zk.results), len(ly.results)) {
		if !zk.results[i].same(ly.results[i]) {
			fmt.Fprintf(&b, "  in [%d]:\n%s", i, contrast(zk.results[i], ly.results[i]))
		}
	}
	return b.String()
}
