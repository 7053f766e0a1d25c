package protocol

import (
	"bytes"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/znode"
)

// decoders is every way into this package for bytes of a stranger.
func decoders() map[string]func([]byte) error {
	list := map[string]func([]byte) error{
		"hello":          func(b []byte) error { _, err := DecodeHello(b); return err },
		"welcome":        func(b []byte) error { _, err := DecodeWelcome(b); return err },
		"identities":     func(b []byte) error { _, err := DecodeIdentities(b, nil); return err },
		"auth":           func(b []byte) error { _, err := DecodeAuth(b); return err },
		"expireSession":  func(b []byte) error { _, _, err := DecodeExpireSession(b); return err },
		"memberChange":   func(b []byte) error { _, err := DecodeMemberChange(b); return err },
		"sessions":       func(b []byte) error { _, err := DecodeSessionQuery(b); return err },
		"transferLeader": func(b []byte) error { _, err := DecodeTransferLeader(b); return err },
		"multi":          func(b []byte) error { _, _, err := DecodeMulti(b, nil); return err },
	}
	for op, name := range opNames {
		if op.IsWrite() {
			list["validate "+name] = func(b []byte) error { _, err := validated(op, b); return err }
			continue
		}
		list["request "+name] = func(b []byte) error {
			var r Request
			return DecodeRequest(append(requestHeader(op), b...), &r)
		}
	}
	for op, name := range opNames {
		list["reply "+name] = func(b []byte) error {
			_, err := DecodeMessage(append(messageHeader(Reply, byte(op), OK), b...))
			return err
		}
	}
	list["failed multi"] = func(b []byte) error {
		_, err := DecodeMessage(append(messageHeader(Reply, byte(OpMulti), NoNode), b...))
		return err
	}
	list["event"] = func(b []byte) error { _, err := DecodeMessage(append(messageHeader(Event, 1, OK), b...)); return err }
	list["goodbye"] = func(b []byte) error {
		_, err := DecodeMessage(append(messageHeader(Goodbye, 0, Closing), b...))
		return err
	}
	delete(list, "request auth") // the body is left alone
	delete(list, "request expireSession")
	delete(list, "request memberChange")
	delete(list, "request transferLeader")
	delete(list, "request sessions")
	return list
}

func validated(op Op, body []byte) (Code, error) {
	code, _ := ValidateWrite(op, body, DefaultLimits())
	return code, code.Err()
}

func requestHeader(op Op) []byte {
	h := make([]byte, requestHeaderBytes)
	h[0] = byte(op)
	return h
}

func messageHeader(kind MessageKind, what byte, code Code) []byte {
	h := appendMessageHeader(nil, &Message{Kind: kind, Op: Op(what), Event: EventType(what), Code: code})
	return h
}

// TestAFewBytesThatClaimMuchGetNothing puts a lie about its length at every
// place where a body has a value.
func TestAFewBytesThatClaimMuchGetNothing(t *testing.T) {
	lies := [][]byte{
		{mpArray32, 0xff, 0xff, 0xff, 0xff}, {mpArray32, 0x7f, 0xff, 0xff, 0xff}, {mpArray16, 0xff, 0xff}, {0x9f},
		{mpStr32, 0xff, 0xff, 0xff, 0xff}, {mpStr16, 0xff, 0xff}, {mpStr8, 0xff}, {0xbf},
		{mpBin32, 0xff, 0xff, 0xff, 0xff}, {mpBin16, 0xff, 0xff}, {mpBin8, 0xff},
		{0xdf, 0xff, 0xff, 0xff, 0xff}, {0xde, 0xff, 0xff}, {0x8f},
	}
	for name, decode := range decoders() {
		for _, lie := range lies {
			for _, head := range [][]byte{nil, {0x91}, {0x92}, {0x91, 0x91}, {0x91, 0x91, 0x92, 0x01}, {0x93, 0xa1, '/', 0xc0}} {
				hostile := append(bytes.Clone(head), lie...)
				require.Error(t, decode(hostile), "%s of %x", name, hostile)
			}
		}
		var lie []byte
		if cost := allocated(func() {
			for _, lie = range lies {
				decode(lie)
			}
		}); cost > 64<<10 {
			t.Errorf("%s: lies of 5 bytes cost %d bytes", name, cost)
		}
	}
}

// TestNestedArraysEndAtTheBound is the input that overflows the stack of a
// recursive decoder: two million arrays, each in the other.
func TestNestedArraysEndAtTheBound(t *testing.T) {
	nested := bytes.Repeat([]byte{0x91}, 2<<20)
	maps := bytes.Repeat([]byte{0x81, 0x01}, 1<<20)
	inputs := [][]byte{nested, maps, append([]byte{0x9f}, nested...), append([]byte{0x93, 0xa1, '/', 0x05}, nested...)}
	for name, decode := range decoders() {
		for _, hostile := range inputs {
			require.Error(t, decode(hostile), name)
		}
	}

	known := AppendCheck(nil, "/a", 7)[1:]
	body := func(depth int) []byte { // the body itself is the first
		return append(append(append([]byte{0x93}, known...), bytes.Repeat([]byte{0x91}, depth-1)...), 0x05)
	}
	var w WriteOp
	require.NoError(t, DecodeWrite(OpCheck, body(maxDepth), &w))
	require.ErrorContains(t, DecodeWrite(OpCheck, body(maxDepth+1), &w), "nested too deep")
}

// TestMemoryIsBoundedByTheInput fills the largest frame with the smallest
// elements of each kind.
func TestMemoryIsBoundedByTheInput(t *testing.T) {
	const size = 1 << 20
	fill := func(element []byte) []byte {
		n := (size - 16) / len(element)
		return append(appendArray([]byte{0x91}, n), bytes.Repeat(element, n)...)
	}
	for _, c := range []struct {
		decoder string
		element []byte
	}{
		{"request multiRead", []byte{0x92, byte(OpGet), 0x91, 0xa1, '/'}},
		{"request resume", []byte{0x92, 0xa1, '/', 1}},
		{"multi", []byte{0x92, byte(OpCheck), 0x91, 0xa0}},
		{"validate multi", []byte{0x92, byte(OpCheck), 0x91, 0xa0}},
		{"validate create", []byte{0x93, 1, 0xa0, 0xa0}},
		{"reply children", []byte{0xa0}},
		{"reply ephemerals", []byte{0xa0}},
		{"reply multi", []byte{0x93, byte(OpCheck), 0, 0x90}},
		{"reply getACL", []byte{0x93, 1, 0xa0, 0xa0}},
		{"reply whoAmI", []byte{0x92, 0xa0, 0xa0}},
		{"hello", []byte{0x92, 0xa0, 0xa0}},
	} {
		decode, body := decoders()[c.decoder], fill(c.element)
		cost := allocated(func() { decode(body) })
		if cost > 24*size {
			t.Errorf("%s: %d bytes cost %d", c.decoder, len(body), cost)
		}
	}
}

func TestAsManyOperationsAsTheDecoderTakes(t *testing.T) {
	multi := func(n int) []byte {
		ops := make([]WriteOp, n)
		for i := range ops {
			ops[i] = WriteOp{Op: OpCheck, Path: "/"}
		}
		return AppendMulti(nil, ops)
	}
	got, _, err := DecodeMulti(multi(maxMultiOps), nil)
	require.NoError(t, err)
	require.Len(t, got, maxMultiOps)
	_, _, err = DecodeMulti(multi(maxMultiOps+1), got)
	require.ErrorContains(t, err, "too many elements")

	ids := make([]znode.Identity, maxIdentities+1)
	_, err = DecodeIdentities(AppendIdentities(nil, ids[1:]), nil)
	require.NoError(t, err)
	_, err = DecodeIdentities(AppendIdentities(nil, ids), nil)
	require.ErrorContains(t, err, "too many elements")
}
