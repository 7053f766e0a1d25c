package jute

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/znode"
)

func benchmark(b *testing.B, c Call, m protocol.Message) {
	frame := AppendCall(nil, 7, &c)[lengthBytes:]
	lim := protocol.DefaultLimits()
	var req protocol.Request
	var scratch, out []byte
	b.ReportAllocs()
	for b.Loop() {
		xid, op, record, _ := DecodeHeader(frame)
		var err error
		if scratch, _, err = DecodeRequest(xid, op, record, &lim, &req, scratch); err != nil {
			b.Fatal(err)
		}
		m.Xid = req.Xid
		out = AppendReply(out[:0], &m, nil)
	}
}

func getData() (Call, protocol.Message) {
	return Call{Op: OpGetData, Path: "/services/search/n-0000000017"}, protocol.Message{Data: make([]byte, 100), Stat: znode.Stat{Version: 3}}
}

func setData() (Call, protocol.Message) {
	return Call{Op: OpSetData, Path: "/services/search/n-0000000017", Data: make([]byte, 100), Version: -1}, protocol.Message{Stat: znode.Stat{Version: 3}}
}

func BenchmarkGetData(b *testing.B) {
	c, m := getData()
	benchmark(b, c, m)
}

func BenchmarkSetData(b *testing.B) {
	c, m := setData()
	benchmark(b, c, m)
}

func BenchmarkCreate(b *testing.B) {
	benchmark(b, create(OpCreate, "/services/search/n-", 3), protocol.Message{Path: "/services/search/n-0000000017"})
}

func TestARequestCostsOneAllocationAtMost(t *testing.T) {
	lim := protocol.DefaultLimits()
	var req protocol.Request
	var scratch, out []byte
	most := func(name string, allocations float64, c Call, m protocol.Message) {
		frame := AppendCall(nil, 7, &c)[lengthBytes:]
		got := testing.AllocsPerRun(100, func() {
			xid, op, record, _ := DecodeHeader(frame)
			scratch, _, _ = DecodeRequest(xid, op, record, &lim, &req, scratch)
			m.Xid = req.Xid
			out = AppendReply(out[:0], &m, nil)
		})
		require.LessOrEqual(t, got, allocations, name)
	}
	c, m := getData()
	most("getData: the path that outlives the frame", 1, c, m)
	c, m = setData()
	most("setData", 0, c, m)
	most("create: its ACL", 1, create(OpCreate, "/a/n-", 3), protocol.Message{Path: "/a/n-0000000017"})
}
