package protocol

import (
	"bufio"
	"bytes"
	"runtime"
	"runtime/metrics"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/znode"
)

// Every decoder is fuzzed for the same: no panic, memory bounded by the input,
// and what decodes is what it encodes to: encoding and decoding it again
// changes nothing.

// costBound is what a decoder may allocate for n bytes of input: the worst
// element is a multi-read's, of five bytes.
func costBound(n int) uint64 { return uint64(64*n + 64<<10) }

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

func TestTheCostOfADecoderIsSeen(t *testing.T) {
	before := heapAllocs()
	kept := make([]byte, 2*costBound(0))
	require.Greater(t, heapAllocs()-before, costBound(0))
	runtime.KeepAlive(kept)
}

func FuzzDecodeRequest(f *testing.F) {
	for _, s := range requestSamples() {
		f.Add(AppendRequest(nil, &s.req)[lengthBytes:])
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		var r, again Request
		var err error
		checkCost(t, len(frame), func() { err = DecodeRequest(frame, &r) })
		if err != nil {
			require.NotEqual(t, OK, CodeOf(err))
			return
		}
		second := AppendRequest(nil, &r)[lengthBytes:]
		require.NoError(t, DecodeRequest(second, &again))
		require.Equal(t, r, again)
	})
}

func FuzzDecodeMessage(f *testing.F) {
	for _, s := range messageSamples() {
		f.Add(AppendMessage(nil, &s.msg)[lengthBytes:])
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		var m Message
		var err error
		checkCost(t, len(frame), func() { m, err = DecodeMessage(frame) })
		if err != nil {
			return
		}
		first := AppendMessage(nil, &m) // may have cut a text
		require.LessOrEqual(t, len(first), m.Size())
		m, err = DecodeMessage(first[lengthBytes:])
		require.NoError(t, err)
		require.Equal(t, first, AppendMessage(nil, &m))
	})
}

func FuzzDecodeHello(f *testing.F) {
	for _, h := range helloSamples() {
		f.Add(AppendHello(nil, &h)[lengthBytes:])
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		var h Hello
		var err error
		checkCost(t, len(frame), func() { h, err = DecodeHello(frame) })
		if err != nil {
			return
		}
		again, err := DecodeHello(AppendHello(nil, &h)[lengthBytes:])
		require.NoError(t, err)
		require.Equal(t, h, again)
	})
}

func FuzzDecodeWelcome(f *testing.F) {
	for _, w := range welcomeSamples() {
		f.Add(AppendWelcome(nil, &w)[lengthBytes:])
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		var w Welcome
		var err error
		checkCost(t, len(frame), func() { w, err = DecodeWelcome(frame) })
		if err != nil {
			return
		}
		first := AppendWelcome(nil, &w)
		w, err = DecodeWelcome(first[lengthBytes:])
		require.NoError(t, err)
		require.Equal(t, first, AppendWelcome(nil, &w))
	})
}

func FuzzDecodeWrite(f *testing.F) {
	for _, w := range writeSamples() {
		f.Add(uint8(w.Op), AppendWrite(nil, &w))
	}
	f.Fuzz(func(t *testing.T, op uint8, body []byte) {
		var w WriteOp
		var err error
		checkCost(t, len(body), func() { err = DecodeWrite(Op(op), body, &w) })
		code, detail := ValidateWrite(Op(op), body, DefaultLimits())
		require.Equal(t, code == OK, detail == "")
		if err != nil {
			require.True(t, code != OK || Op(op) == OpMulti, "valid, but does not decode: %v", err)
			return
		}
		again := WriteOp{acl: make(znode.ACL, 1, 2)} // with the memory of another
		require.NoError(t, DecodeWrite(Op(op), AppendWrite(nil, &w), &again))
		require.Equal(t, withoutMemory(w), withoutMemory(again))
	})
}

func FuzzDecodeMulti(f *testing.F) {
	ops := writeSamples()
	f.Add(AppendMulti(nil, nil))
	for i := range ops {
		f.Add(AppendMulti(nil, ops[:i+1]))
		f.Add(AppendBriefMulti(nil, ops[:i+1]))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var ops []WriteOp
		var brief bool
		var err error
		checkCost(t, 8*len(body), func() { ops, brief, err = DecodeMulti(body, nil) })
		code, _ := ValidateWrite(OpMulti, body, DefaultLimits())
		if err != nil {
			require.NotEqual(t, OK, code, "valid, but does not decode: %v", err)
			return
		}
		require.Equal(t, brief, IsBriefMulti(body))
		appendMulti := AppendMulti
		if brief {
			appendMulti = AppendBriefMulti
		}
		again, still, err := DecodeMulti(appendMulti(nil, ops), nil)
		require.NoError(t, err)
		require.Equal(t, brief, still)
		require.Equal(t, len(ops), len(again))
		for i := range ops {
			require.Equal(t, withoutMemory(ops[i]), withoutMemory(again[i]))
		}
	})
}

func FuzzDecodeIdentities(f *testing.F) {
	f.Add(AppendIdentities(nil, sampleIDs))
	f.Add(AppendIdentities(nil, nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		var ids []znode.Identity
		var err error
		checkCost(t, len(b), func() { ids, err = DecodeIdentities(b, nil) })
		if err != nil {
			return
		}
		again, err := DecodeIdentities(AppendIdentities(nil, ids), nil)
		require.NoError(t, err)
		require.Equal(t, ids, again)
	})
}

func FuzzDecodeSmallBodies(f *testing.F) {
	f.Add(AppendAuth(nil, Credential{Scheme: "digest", Data: Secret("ann:secret")}))
	f.Add(AppendExpireSession(nil, 1<<33, "stuck"))
	f.Add(AppendMemberChange(nil, &MemberChange{Action: AddMember, ID: 4, Addr: "d:2888"}))
	f.Add(AppendTransferLeader(nil, 3))
	f.Fuzz(func(t *testing.T, body []byte) {
		if c, err := DecodeAuth(body); err == nil {
			again, err := DecodeAuth(AppendAuth(nil, c))
			require.NoError(t, err)
			require.Equal(t, c, again)
		}
		if id, cause, err := DecodeExpireSession(body); err == nil {
			againID, againCause, err := DecodeExpireSession(AppendExpireSession(nil, id, cause))
			require.NoError(t, err)
			require.Equal(t, id, againID)
			require.Equal(t, cause, againCause)
		}
		if c, err := DecodeMemberChange(body); err == nil {
			again, err := DecodeMemberChange(AppendMemberChange(nil, &c))
			require.NoError(t, err)
			require.Equal(t, c, again)
		}
		if q, err := DecodeSessionQuery(body); err == nil {
			again, err := DecodeSessionQuery(AppendSessionQuery(nil, &q))
			require.NoError(t, err)
			require.Equal(t, q, again)
		}
		if id, err := DecodeTransferLeader(body); err == nil {
			again, err := DecodeTransferLeader(AppendTransferLeader(nil, id))
			require.NoError(t, err)
			require.Equal(t, id, again)
		}
	})
}

func FuzzReadFrame(f *testing.F) {
	f.Add(framed("one", "", "two"), uint32(100))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff, 1}, uint32(1<<20))
	f.Add(framed("0123456789012345678901234567890123456789"), uint32(20))
	f.Fuzz(func(t *testing.T, wire []byte, limit uint32) {
		limit %= 2 << 20
		var rebuilt []byte
		checkCost(t, 4*len(wire), func() {
			r := bufio.NewReaderSize(bytes.NewReader(wire), 32)
			rebuilt = rebuilt[:0]
			var buf []byte
			var err error
			for {
				frame, ok := BufferedFrame(r, limit)
				if !ok {
					if buf, err = ReadFrame(r, buf, limit); err != nil {
						return
					}
					frame = buf
				}
				require.LessOrEqual(t, len(frame), int(limit))
				rebuilt = append(rebuilt, framed(string(frame))...)
			}
		})
		require.Equal(t, wire[:len(rebuilt)], append([]byte{}, rebuilt...), "frames are what was sent")
	})
}
