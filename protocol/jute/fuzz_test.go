package jute

import (
	"runtime"
	"runtime/metrics"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/znode"
)

// Every decoder is fuzzed for the same: no panic, memory bounded by the input,
// and what decodes is what it encodes to.

// costBound is what a decoder may allocate for n bytes of input: the worst
// element is a multi's check of 17 bytes, or a result of 9.
func costBound(n int) uint64 { return uint64(128*n + 64<<10) }

// checkCost bounds what decode allocates; decode may run again. A counter that
// costs next to nothing but lags by what other spans hold picks out the
// suspects, and the exact one, which stops the world, tries them.
func checkCost(t *testing.T, n int, decode func()) {
	before := heapAllocs()
	decode()
	if heapAllocs()-before <= costBound(n) {
		return
	}
	if cost := min(allocated(decode), allocated(decode)); cost > costBound(n) {
		t.Fatalf("%d bytes of input cost %d bytes of memory", n, cost)
	}
}

func heapAllocs() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

func allocated(do func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	do()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func TestTheCostOfADecoderIsSeen(t *testing.T) {
	var kept []byte
	before := heapAllocs()
	require.Greater(t, allocated(func() { kept = make([]byte, 2*costBound(0)) }), costBound(0))
	require.Greater(t, heapAllocs()-before, costBound(0))
	runtime.KeepAlive(kept)
}

// A request that decodes makes a write that the native protocol accepts, or a
// read with a path that a node may have.
func FuzzDecodeRequest(f *testing.F) {
	for _, e := range readGolden(f) {
		f.Add(e.request)
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		xid, op, record, err := DecodeHeader(frame)
		if err != nil {
			require.Less(t, len(frame), requestHeaderBytes)
			return
		}
		lim := protocol.DefaultLimits()
		var req protocol.Request
		var forms []Form
		checkCost(t, len(frame), func() { _, forms, err = DecodeRequest(xid, op, record, &lim, &req, nil) })
		gotXid, gotOp := Untag(req.Xid)
		require.Equal(t, xid, gotXid)
		require.Equal(t, int16(op), int16(gotOp))
		if err != nil {
			m := Refusal(&req, err)
			require.NotEqual(t, protocol.OK, m.Code)
			a, err := DecodeAnswer(AppendReply(nil, &m, nil)[lengthBytes:], gotOp)
			require.NoError(t, err)
			require.Equal(t, a.Err != 0, len(a.Results) == 0)
			return
		}
		if req.Op.IsWrite() {
			code, why := protocol.ValidateWrite(req.Op, req.Body, lim)
			require.Equal(t, protocol.OK, code, why)
			require.True(t, req.Unkept)
		}
		if req.Op == protocol.OpMulti {
			ops, _, err := protocol.DecodeMulti(req.Body, nil)
			require.NoError(t, err)
			require.Len(t, forms, len(ops))
		}
		for _, w := range req.Watches {
			require.NoError(t, znode.ValidatePath(w.Path))
		}
		if takesAPath(req.Op) {
			require.NoError(t, znode.ValidatePath(req.Read.Path))
		}
	})
}

func takesAPath(op protocol.Op) bool { return op >= protocol.OpGet && op <= protocol.OpCount }

func FuzzDecodeAnswer(f *testing.F) {
	for _, e := range readGolden(f) {
		_, op, _, _ := DecodeHeader(e.request)
		if len(e.frames) > 0 {
			f.Add(int32(op), e.frames[len(e.frames)-1])
		}
	}
	f.Fuzz(func(t *testing.T, op int32, frame []byte) {
		var a Answer
		var err error
		checkCost(t, len(frame), func() { a, err = DecodeAnswer(frame, OpCode(op)) })
		if err != nil {
			require.ErrorIs(t, err, protocol.ErrMarshalling)
			return
		}
		h, err := DecodeReplyHeader(frame)
		require.NoError(t, err)
		require.Equal(t, h.Xid, a.Xid)
	})
}

func FuzzDecodeEvent(f *testing.F) {
	f.Add(AppendEvent(nil, &protocol.Message{Kind: protocol.Event, Event: protocol.EventDeleted, Path: "/a", Zxid: 4})[lengthBytes:])
	f.Fuzz(func(t *testing.T, frame []byte) {
		var e Event
		var err error
		checkCost(t, len(frame), func() { e, err = DecodeEvent(frame) })
		if err != nil || e.Type < 1 || e.Type > 4 {
			return
		}
		again, err := DecodeEvent(AppendEvent(nil, &protocol.Message{Event: protocol.EventType(e.Type), Path: e.Path, Zxid: uint64(e.Zxid)})[lengthBytes:])
		require.NoError(t, err)
		e.State, e.Zxid = stateSyncConnected, noZxid
		require.Equal(t, e, again)
	})
}

func FuzzDecodeConnect(f *testing.F) {
	r := ConnectRequest{LastZxid: 1, TimeoutMs: 2, Session: 3, Password: make([]byte, 16), HasReadOnly: true, ReadOnly: true}
	f.Add(AppendConnectRequest(nil, &r)[lengthBytes:])
	r.HasReadOnly = false
	f.Add(AppendConnectRequest(nil, &r)[lengthBytes:])
	f.Add(AppendConnectResponse(nil, &ConnectResponse{TimeoutMs: 2, Session: 3, Password: make([]byte, 16)}, true)[lengthBytes:])
	f.Fuzz(func(t *testing.T, frame []byte) {
		checkCost(t, len(frame), func() {
			if r, err := DecodeConnectRequest(frame); err == nil {
				again, err := DecodeConnectRequest(AppendConnectRequest(nil, &r)[lengthBytes:])
				require.NoError(t, err)
				require.Equal(t, r, again)
			}
			if r, err := DecodeConnectResponse(frame); err == nil {
				again, err := DecodeConnectResponse(AppendConnectResponse(nil, &r, true)[lengthBytes:])
				require.NoError(t, err)
				require.Equal(t, r, again)
			}
		})
	})
}

func FuzzDecodeProofs(f *testing.F) {
	_, _, auth, _ := DecodeHeader(AppendAuth(nil, &Auth{Scheme: "digest", Data: []byte("u:p")})[lengthBytes:])
	_, _, reconfig, _ := DecodeHeader(AppendReconfig(nil, 1, &Reconfig{Joining: "a", HasJoining: true})[lengthBytes:])
	f.Add(auth)
	f.Add(reconfig)
	f.Fuzz(func(t *testing.T, record []byte) {
		checkCost(t, len(record), func() {
			if a, err := DecodeAuth(record); err == nil {
				_, _, again, err := DecodeHeader(AppendAuth(nil, &a)[lengthBytes:])
				require.NoError(t, err)
				b, err := DecodeAuth(again)
				require.NoError(t, err)
				require.Equal(t, a, b)
			}
			if r, err := DecodeReconfig(record); err == nil {
				_, _, again, err := DecodeHeader(AppendReconfig(nil, 1, &r)[lengthBytes:])
				require.NoError(t, err)
				b, err := DecodeReconfig(again)
				require.NoError(t, err)
				require.Equal(t, r, b)
			}
			if token, err := DecodeSASL(record); err == nil {
				_, _, again, err := DecodeHeader(AppendSASL(nil, 1, token)[lengthBytes:])
				require.NoError(t, err)
				b, err := DecodeSASL(again)
				require.NoError(t, err)
				require.Equal(t, token, b)
			}
		})
	})
}
