package protocol

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/znode"
)

func TestARequestThatBreaksARuleIsRefused(t *testing.T) {
	request := func(op Op, flags byte, body ...byte) []byte {
		frame := make([]byte, requestHeaderBytes, requestHeaderBytes+len(body))
		frame[0], frame[1], frame[9] = byte(op), flags, 42
		return append(frame, body...)
	}
	path := []byte{0xa2, '/', 'a'}
	with := func(head byte, parts ...[]byte) []byte { return append([]byte{head}, bytes.Join(parts, nil)...) }
	oneRead := func(body ...byte) []byte { return append([]byte{0x91, 0x91}, body...) }

	for _, c := range []struct {
		name  string
		frame []byte
		want  Code
	}{
		{"a ping", request(OpPing, 0, 0x90), OK},
		{"a ping without a body", request(OpPing, 0), Marshalling},
		{"a ping of a newer client", request(OpPing, 0, 0x91, 0x07), OK},
		{"an unknown operation", request(99, 0, 0x90), Unimplemented},
		{"operation 0", request(0, 0, 0x90), Unimplemented},
		{"an unknown flag", request(OpPing, 4, 0x90), Unimplemented},
		{"an unknown consistency", request(OpSync, 3, 0x90), Unimplemented},
		{"a linearizable write", request(OpCheck, 2, 0x90), BadArguments},
		{"a linearizable ping", request(OpPing, 2, 0x90), BadArguments},
		{"a linearizable read", request(OpGet, 2, with(0x91, path)...), OK},
		{"a get of a bad path", request(OpGet, 0, 0x91, 0xa2, '/', '/'), BadArguments},
		{"a page below zero", request(OpChildren, 0, with(0x94, path, []byte{0xc2, 0xa0, 0xff})...), Marshalling},
		{"a page beyond reason", request(OpChildren, 0, with(0x94, path, []byte{0xc2, 0xa0, 0xce, 0x40, 0, 0, 1})...), Marshalling},
		{"ephemerals of no path", request(OpEphemerals, 0, 0x91, 0xa1, 'a'), BadArguments},
		{"ephemerals of the beginning of a path", request(OpEphemerals, 0, 0x91, 0xa3, '/', 'a', '/'), OK},
		{"a set in a multiRead", request(OpMultiRead, 0, oneRead(0x92, byte(OpSet), 0x90)...), BadArguments},
		{"a multiRead in a multiRead", request(OpMultiRead, 0, oneRead(0x92, byte(OpMultiRead), 0x91, 0x90)...), BadArguments},
		{"a get in a multiRead", request(OpMultiRead, 0, oneRead(0x92, byte(OpGet), 0x91, 0xa1, '/')...), OK},
		{"which leaves a watch", request(OpMultiRead, 0, oneRead(0x92, byte(OpGet), 0x92, 0xa1, '/', 0xc3)...), BadArguments},
		{"watch mode 0", request(OpWatch, 0, with(0x92, path, []byte{0})...), BadArguments},
		{"watch mode 1", request(OpWatch, 0, with(0x92, path, []byte{1})...), OK},
		{"watch mode 5", request(OpWatch, 0, with(0x92, path, []byte{5})...), OK},
		{"watch mode 6", request(OpWatch, 0, with(0x92, path, []byte{6})...), BadArguments},
		{"a watch of no path", request(OpWatch, 0, 0x92, 0xa0, 0x01), BadArguments},
		{"no header", request(OpPing, 0)[:requestHeaderBytes-1], Marshalling},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := Request{Op: OpGet, Xid: 7, Read: Read{Path: "/left over"}}
			err := DecodeRequest(c.frame, &r)
			require.Equal(t, c.want, CodeOf(err), "%v", err)
			require.NotEqual(t, "/left over", r.Read.Path)
			if len(c.frame) >= requestHeaderBytes {
				require.EqualValues(t, 42, r.Xid, "the answer needs it")
				require.Equal(t, Op(c.frame[0]), r.Op)
			}
		})
	}
}

func TestAResumeIsBoundedInWatches(t *testing.T) {
	watches := make([]Watch, maxResume+1)
	for i := range watches {
		watches[i] = Watch{Path: "/a", Mode: WatchData, Since: 1}
	}
	var r Request
	require.NoError(t, DecodeRequest(AppendRequest(nil, &Request{Op: OpResume, Watches: watches[1:]})[lengthBytes:], &r))
	require.Len(t, r.Watches, maxResume)
	err := DecodeRequest(AppendRequest(nil, &Request{Op: OpResume, Watches: watches})[lengthBytes:], &r)
	require.ErrorIs(t, err, ErrTooManyWatches)
	require.ErrorContains(t, err, "50001 watches in one resume, at most 50000 are allowed")
}

func TestTheBodiesOfAuthAndExpireSessionDecode(t *testing.T) {
	c, err := DecodeAuth(AppendAuth(nil, Credential{Scheme: "digest", Data: Secret("ann:secret")}))
	require.NoError(t, err)
	require.Equal(t, Credential{Scheme: "digest", Data: Secret("ann:secret")}, c)
	_, err = DecodeAuth([]byte{0x90})
	require.ErrorIs(t, err, ErrMarshalling)

	id, cause, err := DecodeExpireSession(AppendExpireSession(nil, 77, "stuck"))
	require.NoError(t, err)
	require.EqualValues(t, 77, id)
	require.Equal(t, "stuck", cause)
	long := appendStr(appendUint(appendArray(nil, 2), 77), string(make([]byte, maxCauseBytes+1)))
	_, _, err = DecodeExpireSession(long)
	require.ErrorIs(t, err, ErrMarshalling)
}

func TestOneSessionIsAskedForAlone(t *testing.T) {
	for name, q := range map[string]SessionQuery{
		"with a cursor": {Session: 9, After: 1},
		"with a limit":  {Session: 9, Limit: 1},
	} {
		_, err := DecodeSessionQuery(AppendSessionQuery(nil, &q))
		require.ErrorIs(t, err, znode.ErrBadArguments, name)
	}
	q, err := DecodeSessionQuery([]byte{0x90})
	require.NoError(t, err)
	require.Equal(t, MaxSessionPage, q.PageLimit())
	require.Equal(t, MaxSessionPage, (&SessionQuery{Limit: MaxSessionPage + 1}).PageLimit())
	require.Equal(t, 3, (&SessionQuery{Limit: 3}).PageLimit())
}

func TestAHelloThatBreaksARuleIsRefused(t *testing.T) {
	for name, h := range map[string]Hello{
		"no mode":           {MinVersion: 1, MaxVersion: 1},
		"an unknown mode":   {MinVersion: 1, MaxVersion: 1, Mode: HelloGuest + 1},
		"versions reversed": {MinVersion: 2, MaxVersion: 1, Mode: HelloOpen},
		"a long password":   {MinVersion: 1, MaxVersion: 1, Mode: HelloAttach, Password: make([]byte, maxSecretBytes+1)},
		"a negative time":   {MinVersion: 1, MaxVersion: 1, Mode: HelloOpen, TimeoutMs: -1},
		"credentials":       {MinVersion: 1, MaxVersion: 1, Mode: HelloOpen, Credentials: make([]Credential, maxCredentials+1)},
	} {
		_, err := DecodeHello(AppendHello(nil, &h)[lengthBytes:])
		require.ErrorIs(t, err, ErrMarshalling, name)
	}
	h := Hello{MinVersion: 1, MaxVersion: 1, Mode: HelloOpen, Password: make([]byte, maxSecretBytes), Credentials: make([]Credential, maxCredentials)}
	_, err := DecodeHello(AppendHello(nil, &h)[lengthBytes:])
	require.NoError(t, err)
	require.True(t, h.Fits())
	h.Credentials[0].Data = make([]byte, PreHelloMaxFrame)
	require.False(t, h.Fits())

	later := []byte{0x93, 2, 9, 0xc0} // a version that orders its fields anew
	got, err := DecodeHello(later)
	require.NoError(t, err)
	require.Equal(t, Hello{MinVersion: 2, MaxVersion: 9}, got)
}

// A server lets a connection rest on that: see server/front.
func TestOnlyAPingIsAsShortAsAPing(t *testing.T) {
	t.Parallel()
	require.Len(t, AppendRequest(nil, &Request{Op: OpPing}), PingBytes)
	for op := range opNames {
		if op != OpPing {
			empty := AppendRequest(nil, &Request{Op: op, Watches: make([]Watch, 1)})
			require.Greater(t, len(empty), PingBytes, op)
		}
	}
}
