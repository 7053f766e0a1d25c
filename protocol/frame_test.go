package protocol

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"runtime"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/znode"
)

func framed(bodies ...string) []byte {
	var b []byte
	for _, body := range bodies {
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(body))), body...)
	}
	return b
}

func TestFramesAreReadOneByOne(t *testing.T) {
	bodies := []string{"first", "", strings.Repeat("x", firstRead), strings.Repeat("y", 3*keepBuffer+7), "small again", strings.Repeat("z", firstRead+1)}
	wire := framed(bodies...)
	for name, source := range map[string]io.Reader{
		"at once":           bytes.NewReader(wire),
		"byte by byte":      iotest.OneByteReader(bytes.NewReader(wire)),
		"half of what asks": iotest.HalfReader(bytes.NewReader(wire)),
		"end with the data": iotest.DataErrReader(bytes.NewReader(wire)),
	} {
		r := bufio.NewReaderSize(source, 64)
		var buf []byte
		var err error
		for i, want := range bodies {
			got, ok := BufferedFrame(r, 1<<20)
			if !ok {
				buf, err = ReadFrame(r, buf, 1<<20)
				require.NoError(t, err, "%s, frame %d", name, i)
				got = buf
			}
			require.Equal(t, want, string(got), "%s, frame %d", name, i)
		}
		_, err = ReadFrame(r, buf, 1<<20)
		require.Equal(t, io.EOF, err, name)
	}
}

func TestABufferedFrameIsThereAsAWholeOrNotAtAll(t *testing.T) {
	for name, c := range map[string]struct {
		wire []byte
		want string
		ok   bool
	}{
		"nothing":              {nil, "", false},
		"part of a length":     {[]byte{0, 0, 0}, "", false},
		"a length alone":       {[]byte{0, 0, 0, 4}, "", false},
		"one byte too few":     {framed("four")[:7], "", false},
		"a whole one":          {framed("four"), "four", true},
		"an empty one":         {framed(""), "", true},
		"the first of two":     {framed("one", "two"), "one", true},
		"at the limit":         {framed("12345678"), "12345678", true},
		"above the limit":      {framed("123456789"), "", false},
		"an absurd length":     {[]byte{0xff, 0xff, 0xff, 0xff, 0}, "", false},
		"larger than an int32": {[]byte{0x80, 0, 0, 0, 0}, "", false},
	} {
		r := bufio.NewReader(bytes.NewReader(c.wire))
		_, ok := BufferedFrame(r, 8)
		require.False(t, ok, "%s: nothing is read for it", name)
		_, _ = r.Peek(1)
		got, ok := BufferedFrame(r, 8)
		require.Equal(t, c.ok, ok, name)
		require.Equal(t, c.want, string(got), name)
		require.Equal(t, len(got), cap(got), "%s: what is behind it is not its own", name)
		rest, err := io.ReadAll(r)
		require.NoError(t, err, name)
		taken := 0
		if ok {
			taken = lengthBytes + len(c.want)
		}
		require.Equal(t, string(c.wire[taken:]), string(rest), "%s: what it does not return stays", name)
	}
}

func TestOnlyBetweenFramesIsAnEndAnEnd(t *testing.T) {
	wire := framed("four")
	for cut := 1; cut < len(wire); cut++ {
		_, err := ReadFrame(bufio.NewReader(bytes.NewReader(wire[:cut])), nil, 100)
		require.Equal(t, io.ErrUnexpectedEOF, err, "after %d bytes", cut)
	}
	broken := errors.New("the cable is cut")
	_, err := ReadFrame(bufio.NewReader(io.MultiReader(bytes.NewReader(wire[:6]), iotest.ErrReader(broken))), nil, 100)
	require.ErrorIs(t, err, broken)
}

func TestABufferIsUsedAgainUnlessItIsLarge(t *testing.T) {
	large := strings.Repeat("x", 4*keepBuffer)
	r := bufio.NewReader(bytes.NewReader(framed("one", "two", large, large, "three")))
	var last []byte
	next := func() bool {
		got, err := ReadFrame(r, last, 1<<20)
		require.NoError(t, err)
		same := cap(last) > 0 && &got[:1][0] == &last[:1][0]
		last = got
		return same
	}
	next()
	require.True(t, next(), "the small buffer")
	next()
	require.True(t, next(), "the large one, while it is needed")
	require.False(t, next())
	require.LessOrEqual(t, cap(last), keepBuffer)
}

func TestAFrameAtTheLimitPassesAndOneAboveIsSkipped(t *testing.T) {
	big := Request{Op: OpSet, Xid: 42, Body: AppendSet(nil, "/a", make([]byte, 10_000), -1)}
	ping := Request{Op: OpPing, Xid: 43}
	wire := AppendRequest(AppendRequest(nil, &big), &ping)
	limit := uint32(len(AppendRequest(nil, &big)) - lengthBytes)

	buf, err := ReadFrame(bufio.NewReader(bytes.NewReader(wire)), nil, limit)
	require.NoError(t, err)
	require.Len(t, buf, int(limit))

	r := bufio.NewReader(bytes.NewReader(wire))
	_, err = ReadFrame(r, nil, limit-1)
	var tooLarge *FrameTooLargeError
	require.ErrorAs(t, err, &tooLarge)
	require.ErrorIs(t, err, znode.ErrTooLarge)
	require.Equal(t, FrameTooLargeError{Length: limit, Max: limit - 1}, *tooLarge)
	require.ErrorContains(t, err, "at most")
	op, xid, err := SkipRequest(r, tooLarge)
	require.NoError(t, err)
	require.Equal(t, OpSet, op)
	require.EqualValues(t, 42, xid)

	var got Request
	buf, err = ReadFrame(r, buf, limit-1)
	require.NoError(t, err)
	require.NoError(t, DecodeRequest(buf, &got))
	require.Equal(t, ping.Xid, got.Xid, "the connection goes on")

	_, _, err = SkipRequest(r, &FrameTooLargeError{Length: requestHeaderBytes - 1, Max: 1})
	require.ErrorIs(t, err, ErrMarshalling)
	_, _, err = SkipRequest(bufio.NewReader(bytes.NewReader(wire[:30])), tooLarge)
	require.Error(t, err)
}

// TestLyingFramesCostWhatTheySend announces much and sends little.
func TestLyingFramesCostWhatTheySend(t *testing.T) {
	lim := DefaultLimits()
	lie := binary.BigEndian.AppendUint32(nil, lim.MaxFrame)
	const frames = 10_000
	kept := make([][]byte, 0, frames)
	r := bufio.NewReaderSize(nil, 64)
	got := allocated(func() {
		for range frames {
			r.Reset(io.MultiReader(bytes.NewReader(lie), strings.NewReader("a few bytes")))
			buf, err := ReadFrame(r, nil, lim.MaxFrame)
			require.Equal(t, io.ErrUnexpectedEOF, err)
			kept = append(kept, buf)
		}
	})
	require.LessOrEqual(t, got, uint64(64<<20))

	_, err := ReadFrame(bufio.NewReader(bytes.NewReader([]byte{0xff, 0xff, 0xff, 0xff, 0})), nil, lim.MaxFrame)
	require.ErrorIs(t, err, znode.ErrTooLarge)
	runtime.KeepAlive(kept)
}

// allocated returns the bytes that f allocates.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}
