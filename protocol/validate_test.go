package protocol

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/znode"
)

func TestSampleWritesAreValid(t *testing.T) {
	for _, w := range writeSamples() {
		code, detail := ValidateWrite(w.Op, AppendWrite(nil, &w), DefaultLimits())
		require.Equal(t, OK, code, detail)
	}
	code, detail := ValidateWrite(OpMulti, AppendMulti(nil, writeSamples()), DefaultLimits())
	require.Equal(t, OK, code, detail)
	code, detail = ValidateWrite(OpCloseSession, AppendCloseSession(nil), DefaultLimits())
	require.Equal(t, OK, code, detail)
	for _, atLeast := range []int64{0, znode.MaxCreated} {
		code, detail = ValidateWrite(OpRaiseSequence, AppendRaiseSequence(nil, "/a", atLeast), DefaultLimits())
		require.Equal(t, OK, code, detail)
	}
}

func TestAWriteThatBreaksARuleIsRefusedWithInputAndRule(t *testing.T) {
	lim := DefaultLimits()
	create := func(c znode.CreateOp) WriteOp {
		if c.Path == "" {
			c.Path = "/a"
		}
		if c.ACL == nil {
			c.ACL = znode.OpenACL
		}
		return WriteOp{Op: OpCreate, Create: c}
	}
	entry := func(e znode.Entry) znode.ACL { return znode.ACL{e} }
	for _, c := range []struct {
		name string
		w    WriteOp
		want Code
		say  []string // parts of the detail
	}{
		{"the longest data passes", WriteOp{Op: OpSet, Path: "/a", Data: make([]byte, lim.MaxData)}, OK, nil},
		{"a byte more does not", WriteOp{Op: OpSet, Path: "/a", Data: make([]byte, lim.MaxData+1)}, TooLarge, []string{"set", "1048577", "1048576"}},
		{"nor in a create", create(znode.CreateOp{Data: make([]byte, lim.MaxData+1)}), TooLarge, []string{"create", "1048577", "1048576"}},
		{"the longest path passes", WriteOp{Op: OpDelete, Path: "/" + strings.Repeat("n", znode.MaxPathBytes-1)}, OK, nil},
		{"a byte more does not", WriteOp{Op: OpDelete, Path: "/" + strings.Repeat("n", znode.MaxPathBytes)}, BadArguments, []string{"delete", "1024"}},
		{"no slash", WriteOp{Op: OpSet, Path: "a"}, BadArguments, []string{`"a"`, "'/'"}},
		{"an empty path", WriteOp{Op: OpCheck}, BadArguments, []string{"empty"}},
		{"a relative name", WriteOp{Op: OpSetACL, Path: "/a/../b", ACL: znode.OpenACL}, BadArguments, []string{`"/a/../b"`, "relative"}},
		{"a NUL", create(znode.CreateOp{Path: "/a\x00"}), BadArguments, []string{"NUL"}},
		{"an ending slash", create(znode.CreateOp{Path: "/a/"}), BadArguments, []string{`"/a/"`}},
		{"which a sequence number follows", create(znode.CreateOp{Path: "/a/", Sequential: true}), OK, nil},
		{"a dot that a number follows", create(znode.CreateOp{Path: "/a/.", Sequential: true}), OK, nil},
		{"a broken path stays broken", create(znode.CreateOp{Path: "/a//", Sequential: true}), BadArguments, []string{`"/a//"`}},
		{"a container has no number", create(znode.CreateOp{Kind: znode.Container, Sequential: true}), BadArguments, []string{`"/a"`, "container"}},
		{"an ephemeral has", create(znode.CreateOp{Kind: znode.Ephemeral, Sequential: true}), OK, nil},
		{"a TTL node has", create(znode.CreateOp{Kind: znode.TTL, Sequential: true, TTLMs: 1}), OK, nil},
		{"no TTL", create(znode.CreateOp{Kind: znode.TTL}), BadArguments, []string{"TTL of 0 ms"}},
		{"a TTL below zero", create(znode.CreateOp{Kind: znode.TTL, TTLMs: -1}), BadArguments, []string{"TTL of -1 ms"}},
		{"the longest TTL", create(znode.CreateOp{Kind: znode.TTL, TTLMs: znode.MaxTTLMs}), OK, nil},
		{"a longer one", create(znode.CreateOp{Kind: znode.TTL, TTLMs: znode.MaxTTLMs + 1}), BadArguments, []string{"1099511627776"}},
		{"a TTL of another kind", create(znode.CreateOp{TTLMs: 5}), BadArguments, []string{"only a TTL node"}},
		{"no such kind", create(znode.CreateOp{Kind: 4}), BadArguments, []string{"4 is no kind"}},
		{"sequential and absent", create(znode.CreateOp{Sequential: true, IfAbsent: true}), BadArguments, []string{"if-absent"}},
		{"no ACL", create(znode.CreateOp{ACL: znode.ACL{}}), InvalidACL, []string{"empty"}},
		{"no ACL to set", WriteOp{Op: OpSetACL, Path: "/a"}, InvalidACL, []string{"setACL", "empty"}},
		{"a broken path before it", WriteOp{Op: OpSetACL, Path: "/a/"}, BadArguments, []string{"setACL", `"/a/"`}},
		{"as many entries as may be", create(znode.CreateOp{ACL: manyEntries(znode.MaxACLEntries)}), OK, nil},
		{"one more", create(znode.CreateOp{ACL: manyEntries(znode.MaxACLEntries + 1)}), InvalidACL, []string{"65", "64"}},
		{"unknown permissions", create(znode.CreateOp{ACL: entry(znode.Entry{Perms: 32, Scheme: "world", ID: "anyone"})}), InvalidACL, []string{"0x20"}},
		{"an unknown scheme", create(znode.CreateOp{ACL: entry(znode.Entry{Perms: 1, Scheme: "host", ID: "h"})}), InvalidACL, []string{`"host"`}},
		{"a digest without a hash", create(znode.CreateOp{ACL: entry(znode.Entry{Perms: 1, Scheme: "digest", ID: "ann"})}), InvalidACL, []string{`"ann"`}},
		{"auth, whoever that is", create(znode.CreateOp{ACL: znode.CreatorACL}), OK, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, detail := ValidateWrite(c.w.Op, AppendWrite(nil, &c.w), lim)
			require.Equal(t, c.want, code, detail)
			require.Equal(t, c.want == OK, detail == "")
			for _, part := range c.say {
				require.Contains(t, detail, part)
			}
			inner, detail := ValidateWrite(OpMulti, AppendMulti(nil, []WriteOp{{Op: OpCheck, Path: "/first"}, c.w}), lim)
			require.Equal(t, c.want, inner, detail)
			if c.want != OK {
				require.Contains(t, detail, "multi: operation 1: "+c.w.Op.String())
			}
		})
	}
}

func TestARaiseOfTheSequenceThatBreaksARuleIsRefused(t *testing.T) {
	for _, c := range []struct {
		name string
		w    WriteOp
		say  string
	}{
		{"below nothing", WriteOp{Path: "/a", AtLeast: -1}, "a count of -1 children"},
		{"more than there may be", WriteOp{Path: "/a", AtLeast: znode.MaxCreated + 1}, "2^61"},
		{"a broken path", WriteOp{Path: "/a/"}, `"/a/"`},
	} {
		c.w.Op = OpRaiseSequence
		code, detail := ValidateWrite(c.w.Op, AppendWrite(nil, &c.w), DefaultLimits())
		require.Equal(t, BadArguments, code, c.name)
		require.Contains(t, detail, c.say, c.name)
	}
	code, detail := ValidateWrite(OpMulti, AppendMulti(nil, []WriteOp{{Op: OpRaiseSequence, Path: "/a"}}), DefaultLimits())
	require.Equal(t, BadArguments, code)
	require.Contains(t, detail, "raiseSequence in a multi")
}

func manyEntries(n int) znode.ACL {
	return bytesToACL(bytes.Repeat([]byte{1}, n))
}

func bytesToACL(perms []byte) (acl znode.ACL) {
	for _, p := range perms {
		acl = append(acl, znode.Entry{Perms: znode.Perm(p), Scheme: znode.SchemeWorld, ID: "anyone"})
	}
	return acl
}

func TestAMultiIsBoundedInOperations(t *testing.T) {
	lim := DefaultLimits()
	ops := make([]WriteOp, lim.MaxMultiOps+1)
	for i := range ops {
		ops[i] = WriteOp{Op: OpCheck, Path: "/a"}
	}
	code, detail := ValidateWrite(OpMulti, AppendBriefMulti(nil, ops[:lim.MaxMultiOps]), lim)
	require.Equal(t, OK, code, detail)
	code, detail = ValidateWrite(OpMulti, AppendBriefMulti(nil, ops), lim)
	require.Equal(t, TooLarge, code)
	require.Equal(t, "multi: too large: 20001 operations, at most 20000 are allowed", detail)

	reads := make([]Read, lim.MaxMultiOps+1)
	code, _ = ValidateRead(&Read{Op: OpMultiRead, Reads: reads[1:]}, lim)
	require.Equal(t, OK, code)
	code, detail = ValidateRead(&Read{Op: OpMultiRead, Reads: reads}, lim)
	require.Equal(t, TooLarge, code)
	require.Contains(t, detail, "20001")
}

func TestAMultiIsBoundedByItsAnswer(t *testing.T) {
	lim := DefaultLimits()
	ops := make([]WriteOp, 1366) // 64 + 192 * 1365 is within 256 KiB
	for i := range ops {
		ops[i] = WriteOp{Op: OpCheck, Path: "/a"}
	}
	code, detail := ValidateWrite(OpMulti, AppendMulti(nil, ops[1:]), lim)
	require.Equal(t, OK, code, detail)
	code, detail = ValidateWrite(OpMulti, AppendMulti(nil, ops), lim)
	require.Equal(t, TooLarge, code)
	require.Equal(t, "multi: too large: its answer may take 262336 bytes, a session keeps at most 262144; a brief answer would do", detail)
}

func TestAMultiIsBoundedByTheNodesThatItMakes(t *testing.T) {
	deep := WriteOp{Op: OpCreate, Create: znode.CreateOp{Path: strings.Repeat("/d", 128), ACL: znode.OpenACL, Parents: true}}
	ops := slices.Repeat([]WriteOp{deep}, 1001)
	code, detail := ValidateWrite(OpMulti, AppendBriefMulti(nil, ops[1:]), DefaultLimits())
	require.Equal(t, OK, code, detail)
	code, detail = ValidateWrite(OpMulti, AppendBriefMulti(nil, ops), DefaultLimits())
	require.Equal(t, TooLarge, code)
	require.Equal(t, "multi: too large: it may create 128128 nodes, missing parents among them, at most 128000 are allowed", detail)
}

func TestABodyThatDoesNotDecodeIsRefused(t *testing.T) {
	check := AppendCheck(nil, "/a", 1)
	multiOf := func(op Op, body []byte) []byte {
		b := appendArray(appendArray(appendArray(nil, 1), 1), 2)
		return append(appendUint(b, uint64(op)), body...)
	}
	for _, c := range []struct {
		name string
		op   Op
		body []byte
		want Code
	}{
		{"nothing", OpCreate, nil, Marshalling},
		{"no fields", OpCreate, []byte{0x90}, Marshalling},
		{"not an array", OpCreate, []byte{0x01}, Marshalling},
		{"bytes after the end", OpCheck, append(check[:len(check):len(check)], 0), Marshalling},
		{"an early end", OpCheck, check[:len(check)-1], Marshalling},
		{"a path that is a number", OpDelete, []byte{0x91, 0x01}, Marshalling},
		{"a path that is data", OpDelete, []byte{0x91, mpBin8, 1, '/'}, Marshalling},
		{"a path that is not UTF-8", OpDelete, []byte{0x91, 0xa2, '/', 0xff}, Marshalling},
		{"a version that is a boolean", OpDelete, []byte{0x92, 0xa2, '/', 'a', mpTrue}, Marshalling},
		{"a flag that is a number", OpDelete, []byte{0x93, 0xa2, '/', 'a', 0, 1}, Marshalling},
		{"an unknown create flag", OpCreate, createWithFlags(16), Unimplemented},
		{"the known ones", OpCreate, createWithFlags(createParents | createIfAbsent), OK},
		{"a multi in a multi", OpMulti, multiOf(OpMulti, []byte{0x90}), BadArguments},
		{"a closeSession in a multi", OpMulti, multiOf(OpCloseSession, []byte{0x90}), BadArguments},
		{"a get in a multi", OpMulti, multiOf(OpGet, []byte{0x91, 0xa1, '/'}), BadArguments},
		{"a check in a multi", OpMulti, multiOf(OpCheck, check), OK},
		{"a multi without its list", OpMulti, []byte{0x90}, Marshalling},
		{"a read", OpGet, []byte{0x91, 0xa1, '/'}, Unimplemented},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, detail := ValidateWrite(c.op, c.body, DefaultLimits())
			require.Equal(t, c.want, code, detail)
			require.True(t, code == OK || strings.HasPrefix(detail, c.op.String()+": "), detail)
		})
	}
}

func createWithFlags(flags uint64) []byte {
	b := appendStr(appendArray(nil, 5), "/a")
	b = appendACL(appendBin(b, nil), znode.OpenACL)
	return appendUint(append(b, 0), flags)
}

// TestMissingFieldsTakeTheirDefaults is what an older client relies on, and
// unknown ones at the end what a newer one does.
func TestMissingFieldsTakeTheirDefaults(t *testing.T) {
	var w WriteOp
	require.NoError(t, DecodeWrite(OpSet, []byte{0x91, 0xa2, '/', 'a'}, &w))
	require.Equal(t, WriteOp{Op: OpSet, Path: "/a", Version: znode.AnyVersion}, withoutMemory(w))
	require.NoError(t, DecodeWrite(OpCreate, []byte{0x91, 0xa2, '/', 'a'}, &w))
	require.Equal(t, "/a", w.Create.Path)
	require.Nil(t, w.Create.Data)

	frame := make([]byte, requestHeaderBytes)
	frame[0] = byte(OpChildren)
	var r Request
	require.NoError(t, DecodeRequest(append(frame, 0x91, 0xa2, '/', 'a'), &r))
	require.Equal(t, Read{Op: OpChildren, Path: "/a"}, r.Read)

	welcome := welcomeSamples()[0]
	welcome.HighXid = 0
	older := AppendWelcome(nil, &welcome)[lengthBytes:]
	older[0]-- // fields
	got, err := DecodeWelcome(older[:len(older)-1])
	require.NoError(t, err)
	require.Equal(t, welcome, got)
}

func TestUnknownFieldsAtTheEndAreSkipped(t *testing.T) {
	extra := []byte{
		0x01, 0xe0, 0xc0, 0xc2, 0xc3, // numbers, null, booleans
		0xa1, 'x', 0xd9, 1, 'x', 0xda, 0, 1, 'x', 0xdb, 0, 0, 0, 1, 'x', // strings
		0xc4, 1, 9, 0xc5, 0, 1, 9, 0xc6, 0, 0, 0, 1, 9, // data
		0xcc, 1, 0xcd, 1, 1, 0xce, 1, 1, 1, 1, 0xcf, 1, 1, 1, 1, 1, 1, 1, 1, // unsigned
		0xd0, 1, 0xd1, 1, 1, 0xd2, 1, 1, 1, 1, 0xd3, 1, 1, 1, 1, 1, 1, 1, 1, // signed
		0xca, 1, 1, 1, 1, 0xcb, 1, 1, 1, 1, 1, 1, 1, 1, // floating
		0x92, 0x91, 0x90, 0x00, // arrays
		0xdc, 0, 1, 0xdd, 0, 0, 0, 1, 0x05,
		0x81, 0x01, 0x80, // maps
		0xde, 0, 1, 1, 0xdf, 0, 0, 0, 1, 1, 1,
	}
	const values = 5 + 4 + 3 + 4 + 4 + 2 + 1 + 1 + 1 + 1
	known := AppendCheck(nil, "/a", 7)[1:]
	body := append(append(appendArray(nil, 2+values), known...), extra...)
	var w WriteOp
	require.NoError(t, DecodeWrite(OpCheck, body, &w))
	require.Equal(t, WriteOp{Op: OpCheck, Path: "/a", Version: 7}, withoutMemory(w))

	for cut := range extra { // no shorter one ends the body
		require.ErrorIs(t, DecodeWrite(OpCheck, body[:len(body)-1-cut], &w), ErrMarshalling)
	}
	for _, mark := range []byte{0xc1, 0xc7, 0xc8, 0xc9, 0xd4, 0xd5, 0xd6, 0xd7, 0xd8} { // extensions
		body := append(append(appendArray(nil, 3), known...), mark, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)
		err := DecodeWrite(OpCheck, body, &w)
		require.ErrorIs(t, err, ErrMarshalling)
		require.ErrorContains(t, err, "a type that the protocol does not use")
	}
}
