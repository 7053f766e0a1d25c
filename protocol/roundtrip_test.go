package protocol

import (
	"bytes"
	"cmp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/znode"
)

func TestEveryRequestDecodesToWhatWasAppended(t *testing.T) {
	seen := map[Op]bool{}
	for _, s := range requestSamples() {
		seen[s.req.Op] = true
		t.Run(s.name, func(t *testing.T) {
			frame := AppendRequest(nil, &s.req)[lengthBytes:]
			var got Request
			require.NoError(t, DecodeRequest(frame, &got))
			want := s.req
			if got.Body != nil && want.Body == nil {
				want.Body = []byte{}
			}
			require.Equal(t, want, got)
		})
	}
	for op := range opNames {
		require.True(t, seen[op], "no sample of %v", op)
	}
}

func TestEveryMessageDecodesToWhatWasAppended(t *testing.T) {
	seen := map[Op]bool{}
	for _, s := range messageSamples() {
		seen[s.msg.Op] = seen[s.msg.Op] || s.msg.Kind == Reply
		t.Run(s.name, func(t *testing.T) {
			frame := AppendMessage(nil, &s.msg)
			require.LessOrEqual(t, len(frame), s.msg.Size(), "Size is an upper bound")
			got, err := DecodeMessage(frame[lengthBytes:])
			require.NoError(t, err)
			require.Equal(t, s.msg, got)
		})
	}
	for op := range opNames {
		require.True(t, seen[op], "no sample of a reply to %v", op)
	}
}

func TestAKeptOutcomeIsSentAsTheReplyItWas(t *testing.T) {
	for _, s := range messageSamples() {
		if s.msg.Kind != Reply {
			continue
		}
		kept := Message{Op: s.msg.Op, Code: s.msg.Code, Xid: s.msg.Xid, Zxid: s.msg.Zxid, Partial: s.msg.Partial, Body: AppendReplyBody(nil, &s.msg)}
		require.Equal(t, AppendMessage(nil, &s.msg), AppendMessage(nil, &kept), s.name)
		require.NotNil(t, kept.Body, s.name)
	}
}

func TestEveryWriteDecodesToWhatWasAppended(t *testing.T) {
	var got WriteOp // one for all: nothing of the last may be left in the next
	for _, want := range writeSamples() {
		require.NoError(t, DecodeWrite(want.Op, AppendWrite(nil, &want), &got))
		require.Equal(t, want, withoutMemory(got))
	}
}

func TestTheOperationsOfAWriteAreWalked(t *testing.T) {
	walked := func(op Op, body []byte) (all []WriteOp) {
		for w := range Writes(op, body) {
			all = append(all, withoutMemory(*w))
			all[len(all)-1].Create.ACL = slices.Clone(w.Create.ACL)
			all[len(all)-1].ACL = slices.Clone(w.ACL)
		}
		return all
	}
	samples := slices.DeleteFunc(writeSamples(), func(w WriteOp) bool { return w.Op > OpCheck })
	for _, w := range samples {
		require.Equal(t, []WriteOp{w}, walked(w.Op, AppendWrite(nil, &w)))
	}
	require.Equal(t, samples, walked(OpMulti, AppendMulti(nil, samples)))
	require.Equal(t, samples, walked(OpMulti, AppendBriefMulti(nil, samples)))
	for range Writes(OpMulti, AppendMulti(nil, samples)) {
		break
	}
	torn := AppendMulti(nil, samples)
	require.Less(t, len(walked(OpMulti, torn[:len(torn)-1])), len(samples))
	require.Empty(t, walked(OpCreate, []byte{0x91, 0xa5, '/'}))
}

func TestThePathOfAWriteIsToldWithoutTheRest(t *testing.T) {
	for _, w := range writeSamples() {
		require.Equal(t, cmp.Or(w.Path, w.Create.Path), PathOf(w.Op, AppendWrite(nil, &w)))
	}
	require.Equal(t, "/a", PathOf(OpGuard, AppendGuard(nil, "/a", 7)))
	for op, body := range map[Op][]byte{
		OpMulti: AppendMulti(nil, writeSamples()), OpCloseSession: AppendCloseSession(nil), OpSet: nil, OpDelete: {0x92, 0xff}, OpCreate: {0x91, 0xa5, '/'},
	} {
		require.Empty(t, PathOf(op, body), op)
	}
}

func TestAMultiDecodesIntoAReusedSlice(t *testing.T) {
	ops := writeSamples()
	got, _, err := DecodeMulti(AppendMulti(nil, ops), nil)
	require.NoError(t, err)
	require.Len(t, got, len(ops))
	first := &got[0]

	for shift := range ops { // every operation over the memory of every other
		turned := append(ops[shift:len(ops):len(ops)], ops[:shift]...)
		got, _, err = DecodeMulti(AppendMulti(nil, turned), got)
		require.NoError(t, err)
		require.Same(t, first, &got[0])
		for i := range got {
			require.Equal(t, turned[i], withoutMemory(got[i]))
		}
	}
}

// withoutMemory drops what a WriteOp keeps for its next use.
func withoutMemory(w WriteOp) WriteOp {
	w.acl = nil
	return w
}

func TestHelloAndWelcomeDecodeToWhatWasAppended(t *testing.T) {
	for _, want := range helloSamples() {
		frame := AppendHello(nil, &want)
		require.LessOrEqual(t, len(frame), PreHelloMaxFrame)
		got, err := DecodeHello(frame[lengthBytes:])
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	for _, want := range welcomeSamples() {
		got, err := DecodeWelcome(AppendWelcome(nil, &want)[lengthBytes:])
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
}

func TestOnlyAVersionInCommonIsNegotiated(t *testing.T) {
	for _, c := range []struct {
		min, max uint8
		ok       bool
	}{{1, 1, true}, {0, 1, true}, {1, 255, true}, {0, 0, false}, {2, 3, false}} {
		h := Hello{MinVersion: c.min, MaxVersion: c.max}
		version, ok := h.Negotiate()
		require.Equal(t, c.ok, ok, "%d to %d", c.min, c.max)
		require.Equal(t, Version, version)
	}
}

func TestIdentitiesDecodeToWhatWasAppended(t *testing.T) {
	var got []znode.Identity
	for _, want := range [][]znode.Identity{sampleIDs, {}, sampleIDs[:1]} {
		var err error
		got, err = DecodeIdentities(AppendIdentities(nil, want), got)
		require.NoError(t, err)
		require.Equal(t, len(want), len(got))
		for i := range want {
			require.Equal(t, want[i], got[i])
		}
	}
}

func TestAppendingKeepsWhatIsThere(t *testing.T) {
	head := []byte("before")
	m, r, h := messageSamples()[0].msg, requestSamples()[0].req, helloSamples()[0]
	for _, got := range [][]byte{
		AppendMessage(bytes.Clone(head), &m), AppendRequest(bytes.Clone(head), &r), AppendHello(bytes.Clone(head), &h),
	} {
		require.Equal(t, head, got[:len(head)])
		require.Equal(t, len(got)-len(head)-lengthBytes, int(got[len(head)+2])<<8|int(got[len(head)+3]))
	}
}

func TestResultsOutliveTheFrame(t *testing.T) {
	wipe := func(frame []byte) {
		for i := range frame {
			frame[i] = 0xc1
		}
	}
	for _, s := range messageSamples() {
		frame := AppendMessage(nil, &s.msg)[lengthBytes:]
		got, err := DecodeMessage(frame)
		require.NoError(t, err)
		wipe(frame)
		require.Equal(t, s.msg, got, s.name)
	}
	for _, s := range requestSamples() {
		frame := AppendRequest(nil, &s.req)[lengthBytes:]
		var got Request
		require.NoError(t, DecodeRequest(frame, &got))
		wipe(frame)
		require.Equal(t, s.req.Read, got.Read, s.name)
		require.Equal(t, s.req.Watches, got.Watches, s.name)
	}
	for _, want := range helloSamples() {
		frame := AppendHello(nil, &want)[lengthBytes:]
		got, err := DecodeHello(frame)
		require.NoError(t, err)
		wipe(frame)
		require.Equal(t, want, got)
	}
}

func TestATextForAPersonIsCutAndMadeValid(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"plain", "plain"},
		{"bad \xff byte", "bad \uFFFD byte"},
		{strings.Repeat("x", maxDetailBytes), strings.Repeat("x", maxDetailBytes)},
		{strings.Repeat("x", maxDetailBytes+1), strings.Repeat("x", maxDetailBytes)},
		{strings.Repeat("x", maxDetailBytes-1) + "é", strings.Repeat("x", maxDetailBytes-1)},
	} {
		m := Message{Op: OpGet, Code: NoNode, More: &More{Detail: c.in}}
		got, err := DecodeMessage(AppendMessage(nil, &m)[lengthBytes:])
		require.NoError(t, err)
		require.Equal(t, c.want, got.More.Detail)
	}
}
