package differential

import (
	"fmt"
	"hash/crc32"
	"slices"
	"strconv"
	"strings"

	"github.com/lycaon-io/lycaon/protocol/jute"
)

// item turns a packet into what it means.
func (s *side) item(c *client, frame []byte, wait *waiting) (*item, error) {
	h, err := jute.DecodeReplyHeader(frame)
	if err != nil {
		return nil, err
	}
	if h.Xid == jute.XidEvent {
		return s.eventItem(h, frame)
	}
	i, found := wait.match(h.Xid)
	if !found {
		return nil, fmt.Errorf("a reply with xid %d, waiting for %v", h.Xid, wait.xids)
	}
	o, request := wait.ops[i], wait.numbers[i]
	wait.ops, wait.xids, wait.numbers = slices.Delete(wait.ops, i, i+1), slices.Delete(wait.xids, i, i+1), slices.Delete(wait.numbers, i, i+1)
	return s.replyItem(c, frame, o, request)
}

// match finds the request of a reply: the next one, or the next ping.
func (w *waiting) match(xid int32) (int, bool) {
	if xid == jute.XidPing {
		i := slices.Index(w.xids, xid)
		return i, i >= 0
	}
	i := slices.IndexFunc(w.xids, func(x int32) bool { return x != jute.XidPing })
	return i, i >= 0 && w.xids[i] == xid
}

func (s *side) eventItem(h jute.Header, frame []byte) (*item, error) {
	e, err := jute.DecodeEvent(frame)
	if err != nil {
		return nil, err
	}
	it := &item{kind: itemEvent, event: e.Type, path: s.hide(e.Path)}
	it.add("state", "%d", e.State)
	it.add("err", "%d", h.Err)
	it.add("zxid", "%d", h.Zxid)
	it.add("bytes", "%d", len(frame))
	return it, nil
}

func (s *side) replyItem(c *client, frame []byte, o *op, request int) (*item, error) {
	a, err := answerTo(o, frame)
	if err != nil {
		return nil, err
	}
	it := &item{kind: itemReply, op: o, err: a.Err}
	s.replyZxid(c, it, a.Zxid, request, a.Err == 0 && o.changes() && !failed(a))
	if a.Err == 0 {
		s.fields(it, a)
	}
	it.add("bytes", "%d", len(frame))
	return it, nil
}

// replyZxid judges the zxid of a reply. Those to auth packets and of what is
// unknown have none.
func (s *side) replyZxid(c *client, it *item, zxid int64, request int, changed bool) {
	if zxid <= 0 {
		it.add("zxid", "%d", zxid)
		return
	}
	if changed && !s.ledger.record(zxid, request) || zxid < c.newest {
		it.add("order", "zxids fall")
	}
	it.add("zxid", "%s", s.ledger.floor(zxid))
	c.newest = max(c.newest, zxid)
}

// hide puts $ for the root of the episode, also where its quota is; show puts the
// root for $.
func (s *side) hide(path string) string {
	before, rest := quotaPart(path)
	if under, found := strings.CutPrefix(rest, s.root); found && s.root != "" {
		return before + "$" + under
	}
	return path
}

func (s *side) show(path string) string {
	before, rest := quotaPart(path)
	if under, found := strings.CutPrefix(rest, "$"); found {
		return before + s.root + under
	}
	return path
}

func quotaPart(path string) (before, rest string) {
	const quota = "/zookeeper/quota"
	if rest, under := strings.CutPrefix(path, quota); under {
		return quota, rest
	}
	return "", path
}

func (s *side) pathField(it *item, path string) {
	path = s.hide(path)
	if it.op.Op.creates() {
		it.made = path
	}
	it.add("path", "%q", path)
}

// sorted puts names in an order; ZooKeeper has none.
func (s *side) sorted(names []string) string {
	out := make([]string, len(names))
	for i, n := range names {
		out[i] = s.hide(n)
	}
	slices.Sort(out)
	return fmt.Sprintf("%q", out)
}

func (s *side) statFields(it *item, st *jute.Stat) {
	it.add("czxid", "%s", s.ledger.exact(st.Czxid))
	it.add("mzxid", "%s", s.ledger.exact(st.Mzxid))
	it.add("pzxid", "%s", s.ledger.exact(st.Pzxid))
	it.add("versions", "%d/%d/%d", st.Version, st.Cversion, st.Aversion)
	it.add("owner", "%s", s.ledger.session(st.EphemeralOwner))
	it.add("dataLength", "%d", st.DataLength)
	it.add("numChildren", "%d", st.NumChildren)
	it.add("times", "%s", s.ledger.timely(st))
}

const shownData = 40

func dataText(data []byte) string {
	switch {
	case data == nil:
		return "null"
	case len(data) > shownData:
		return fmt.Sprintf("%q... %d bytes, crc %08x", data[:shownData], len(data), crc32.ChecksumIEEE(data))
	}
	return strconv.Quote(string(data))
}
