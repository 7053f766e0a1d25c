package differential

import "fmt"

// verdict is what a deviation says of two items that are not the same.
type verdict int

const (
	notMine       verdict = iota
	bothAnswer            // they stand for each other
	zooKeeperOnly         // ZooKeeper's has no counterpart
	lycaonOnly            // Lycaon's has none
)

// comparison goes through what both systems have said, side by side.
type comparison struct {
	m       *mirror
	allowed []deviation
	counts  map[string]int

	early   map[*op]bool // pings whose reply Lycaon has given and ZooKeeper has not
	pending []*item      // what ZooKeeper says in this step, from the item that is being judged on
	coming  []*item      // and Lycaon
}

// difference is one that is not allowed.
type difference struct {
	step     int
	st       *step
	zk, ly   *item // nil: nothing more
	zks, lys []*item
}

func (d *difference) String() string {
	detail := ""
	if d.zk != nil && d.ly != nil {
		detail = "\n" + contrast(d.zk, d.ly)
	}
	return fmt.Sprintf("step %d, slot %d, %s\n    zookeeper: %v\n    lycaon:    %v%s", d.step, d.st.Slot, d.st.Kind, d.zk, d.ly, detail)
}

// signature is equal for differences that look alike.
func (d *difference) signature() string {
	return fmt.Sprintf("%v | %v", brief(d.zk), brief(d.ly))
}

func brief(it *item) string {
	switch {
	case it == nil:
		return "nothing"
	case it.kind == itemReply:
		return fmt.Sprintf("%v %d", it.op.Op, it.err)
	case it.kind == itemEvent:
		return fmt.Sprintf("event %d", it.event)
	}
	return it.kind
}

// step compares what a step has given on both sides and returns the first
// difference that no deviation allows.
func (c *comparison) step(n int, st *step, zks, lys []*item) *difference {
	c.m.foresee(zks)
	i, j := 0, 0
	for i < len(zks) || j < len(lys) {
		c.settle(at(zks, i), lys[min(j, len(lys)):])
		zk, ly := at(zks, i), at(lys, j)
		v := bothAnswer
		if zk == nil || ly == nil || !zk.same(ly) {
			c.pending, c.coming = zks[min(i, len(zks)):], lys[min(j, len(lys)):]
			v = c.judge(st, zk, ly)
		}
		switch v {
		case notMine:
			return &difference{n, st, zk, ly, zks, lys}
		case bothAnswer:
			i, j = i+1, j+1
		case zooKeeperOnly:
			i++
		case lycaonOnly:
			j++
		}
		if v != lycaonOnly {
			c.m.heard(st, zk)
		}
	}
	return nil
}

// settle brings the counterpart of zk to the front of what Lycaon says next, if
// both come from the end of a session: its ephemerals go in no certain order, in
// ZooKeeper that of a hash table.
func (c *comparison) settle(zk *item, lys []*item) {
	if zk == nil || !c.m.buries(zk) {
		return
	}
	for i, ly := range lys {
		if !c.m.buries(ly) {
			return
		}
		if ly.event == zk.event && ly.path == zk.path {
			copy(lys[1:i+1], lys[:i])
			lys[0] = ly
			return
		}
	}
}

func at(items []*item, i int) *item {
	if i < len(items) {
		return items[i]
	}
	return nil
}

func (c *comparison) judge(st *step, zk, ly *item) verdict {
	for i := range c.allowed {
		if v := c.allowed[i].allows(c, st, zk, ly); v != notMine {
			c.counts[c.allowed[i].name]++
			return v
		}
	}
	return notMine
}
