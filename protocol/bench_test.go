package protocol

import (
	"bufio"
	"bytes"
	"testing"

	"github.com/lycaon-io/lycaon/znode"
)

func benchWrites() []struct {
	name string
	op   WriteOp
} {
	data := make([]byte, 1024)
	return []struct {
		name string
		op   WriteOp
	}{
		{"create", WriteOp{Op: OpCreate, Create: znode.CreateOp{Path: "/service/instances/node-000001", Data: data, ACL: znode.OpenACL}}},
		{"set", WriteOp{Op: OpSet, Path: "/service/instances/node-000001", Data: data, Version: 12}},
	}
}

func BenchmarkEncodeWrite1KiB(b *testing.B) {
	for _, w := range benchWrites() {
		b.Run(w.name, func(b *testing.B) {
			b.ReportAllocs()
			var buf []byte
			for b.Loop() {
				buf = AppendWrite(buf[:0], &w.op)
			}
		})
	}
}

func BenchmarkDecodeWrite1KiB(b *testing.B) {
	for _, w := range benchWrites() {
		b.Run(w.name, func(b *testing.B) {
			body := AppendWrite(nil, &w.op)
			b.ReportAllocs()
			var into WriteOp
			for b.Loop() {
				if err := DecodeWrite(w.op.Op, body, &into); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkValidateWrite1KiB(b *testing.B) {
	lim := DefaultLimits()
	for _, w := range benchWrites() {
		b.Run(w.name, func(b *testing.B) {
			body := AppendWrite(nil, &w.op)
			b.ReportAllocs()
			for b.Loop() {
				if code, detail := ValidateWrite(w.op.Op, body, lim); code != OK {
					b.Fatal(detail)
				}
			}
		})
	}
}

func BenchmarkDecodeMultiOf100(b *testing.B) {
	ops := make([]WriteOp, 100)
	for i := range ops {
		ops[i] = benchWrites()[i%2].op
	}
	body := AppendMulti(nil, ops)
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if ops, _, err = DecodeMulti(body, ops); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRequestFrame(b *testing.B) {
	body := AppendWrite(nil, &benchWrites()[1].op)
	for _, c := range []struct {
		name string
		req  Request
	}{
		{"get", Request{Op: OpGet, Xid: 4711, Read: Read{Op: OpGet, Path: "/service/instances/node-000001"}}},
		{"set", Request{Op: OpSet, Xid: 4711, Arg: 4700, Body: body}},
		{"ping", Request{Op: OpPing, Xid: 4711}},
	} {
		frame := AppendRequest(nil, &c.req)
		b.Run(c.name+"/append", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				frame = AppendRequest(frame[:0], &c.req)
			}
		})
		b.Run(c.name+"/decode", func(b *testing.B) {
			b.ReportAllocs()
			var into Request
			for b.Loop() {
				if err := DecodeRequest(frame[lengthBytes:], &into); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func benchMessages() map[string]Message {
	names := make([]string, 1000)
	for i := range names {
		names[i] = "node-000001"
	}
	return map[string]Message{
		"get1KiB":      {Op: OpGet, Xid: 4711, Zxid: 1 << 33, Data: make([]byte, 1024), Stat: sampleStat},
		"set":          {Op: OpSet, Xid: 4711, Zxid: 1 << 33, Stat: sampleStat},
		"event":        {Kind: Event, Event: EventDataChanged, Zxid: 1 << 33, Path: "/service/instances/node-000001"},
		"eventOfMany":  {Kind: Event, Event: EventDataChanged, Zxid: 1 << 33, Path: "/service/instances/node-000001", More: ShareEvent()},
		"children1000": {Op: OpChildren, Xid: 4711, Zxid: 1 << 33, Stat: sampleStat, More: &More{Names: names}},
		"failed":       {Op: OpGet, Xid: 4711, Zxid: 1 << 33, Code: NoNode, More: &More{Detail: "get /service: node does not exist"}},
	}
}

func BenchmarkAppendMessage(b *testing.B) {
	for name, m := range benchMessages() {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			var buf []byte
			for b.Loop() {
				buf = AppendMessage(buf[:0], &m)
			}
		})
	}
}

func BenchmarkDecodeMessage(b *testing.B) {
	for name, m := range benchMessages() {
		b.Run(name, func(b *testing.B) {
			frame := AppendMessage(nil, &m)[lengthBytes:]
			b.ReportAllocs()
			for b.Loop() {
				if _, err := DecodeMessage(frame); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkReadFrame1KiB(b *testing.B) {
	wire := framed(string(make([]byte, 1100)))
	source := bytes.NewReader(wire)
	r := bufio.NewReaderSize(source, 64<<10)
	var buf []byte
	b.ReportAllocs()
	for b.Loop() {
		source.Reset(wire)
		r.Reset(source)
		var err error
		if buf, err = ReadFrame(r, buf, 1<<20); err != nil {
			b.Fatal(err)
		}
	}
}

// TestTheHotPathDoesNotAllocate holds what the benchmarks show.
func TestTheHotPathDoesNotAllocate(t *testing.T) {
	lim, buf := DefaultLimits(), make([]byte, 0, 64<<10)
	var into WriteOp
	var req Request
	for _, w := range benchWrites() {
		body := AppendWrite(nil, &w.op)
		frame := AppendRequest(nil, &Request{Op: w.op.Op, Body: body})[lengthBytes:]
		expectAllocs(t, 0, "encode "+w.name, func() { AppendWrite(buf, &w.op) })
		expectAllocs(t, 0, "decode "+w.name, func() { DecodeWrite(w.op.Op, body, &into) })
		expectAllocs(t, 0, "path of "+w.name, func() { PathOf(w.op.Op, body) })
		expectAllocs(t, float64(len(w.op.Create.ACL)), "validate "+w.name, func() { ValidateWrite(w.op.Op, body, lim) })
		expectAllocs(t, 0, "request "+w.name, func() { DecodeRequest(frame, &req) })
	}
	get := AppendRequest(nil, &Request{Op: OpGet, Read: Read{Path: "/a"}})[lengthBytes:]
	expectAllocs(t, 1, "get", func() { DecodeRequest(get, &req) })
	for name, m := range benchMessages() {
		expectAllocs(t, 0, name, func() { AppendMessage(buf, &m) })
	}
}

func expectAllocs(t *testing.T, want float64, name string, f func()) {
	f() // memory that is used again exists from now on
	if got := testing.AllocsPerRun(100, f); got > want {
		t.Errorf("%s: %v allocations, want at most %v", name, got, want)
	}
}
