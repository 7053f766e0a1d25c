package state

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"testing"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/znode"
	"github.com/stretchr/testify/require"
)

// Whatever an entry holds, it is refused as a whole or applied alike by two
// machines, one of which has been through an image; nothing panics.
func FuzzApply(f *testing.F) {
	f.Add(sampleBatch())
	entry := AppendBatchHeader(nil, 1)
	entry = AppendTxn(entry, &Txn{Kind: TxnOpen, PasswordHash: [32]byte{1}, TimeoutMs: 1})
	for i, w := range []protocol.WriteOp{create("/a", "x"), ephemeral("/e"), set("/a", "y"), check("/a", 1), remove("/a")} {
		entry = AppendTxn(entry, &Txn{
			Kind: TxnWrite, Session: 1, Generation: 1, Seq: uint64(i + 1), Xid: uint64(i + 1), Op: w.Op,
			IDs: plainIDs, Body: protocol.AppendWrite(nil, &w),
		})
	}
	multi := protocol.AppendMulti(nil, []protocol.WriteOp{create("/m", ""), set("/m", "z"), check("/none", 0)})
	entry = AppendTxn(entry, &Txn{Kind: TxnWrite, Session: 1, Generation: 1, Seq: 6, Xid: 6, Op: protocol.OpMulti, IDs: plainIDs, Body: multi})
	entry = AppendTxn(entry, &Txn{Kind: TxnAttach, Session: 1, PasswordHash: [32]byte{1}, Attempt: 1, TimeoutMs: 1, Ack: 3})
	entry = AppendTxn(entry, &Txn{Kind: TxnReap, Path: "/a", Mzxid: 2, Pzxid: 2})
	entry = AppendTxn(entry, &Txn{Kind: TxnExpire, Session: 1, Generation: 2, Cause: "late"})
	f.Add(entry)
	f.Fuzz(func(t *testing.T, entry []byte) {
		if _, err := DecodeBatch(entry); err != nil {
			return
		}
		a, b := New(), New()
		for range 2 {
			applyEntry(t, a, entry)
			applyEntry(t, b, entry)
			require.Equal(t, a.Digest(), b.Digest())
			require.NoError(t, a.Freeze().Scrub(nil))
			var err error
			b, _, err = ReadImage(bytes.NewReader(imageOf(t, b)))
			require.NoError(t, err)
			require.Equal(t, a.Digest(), b.Digest())
		}
	})
}

// A client's body is bytes of anybody's choice.
func FuzzBody(f *testing.F) {
	for _, w := range []protocol.WriteOp{create("/a", "x"), set("/a", "y"), check("/a", 1), remove("/a"), {Op: protocol.OpSetACL, Path: "/a", ACL: open}} {
		f.Add(byte(w.Op), []byte(plainIDs), protocol.AppendWrite(nil, &w))
	}
	f.Add(byte(protocol.OpMulti), []byte{0x90}, protocol.AppendMulti(nil, []protocol.WriteOp{create("/m", ""), remove("/m")}))
	f.Add(byte(protocol.OpCloseSession), []byte{0x90}, protocol.AppendCloseSession(nil))
	f.Fuzz(func(t *testing.T, op byte, ids, body []byte) {
		b := newBench(t)
		b.done(create("/a", ""))
		b.ids = ids
		txn := b.next(protocol.Op(op), body)
		before := b.m.Zxid()
		out := b.apply(txn)
		require.Equal(t, Applied, out.Verdict)
		rose := b.m.Zxid() - before
		require.True(t, rose == 0 || rose == 1 && out.Answer.Code == protocol.OK)
		if !out.Ended {
			require.Equal(t, rose == 1, len(b.effects) > 0)
			b.attach(1)
			again := *txn
			again.Generation, again.Seq = b.gen, 1
			kept := b.m.Apply(&again, 1, &b.out)
			require.Equal(t, Repeated, b.out.Verdict)
			require.Empty(t, kept)
		}
		require.NoError(t, b.m.Freeze().Scrub(nil))
	})
}

// An image of anybody's choice, with its checksums put right so that what lies
// behind them is met too, is refused or makes a machine that works.
func FuzzImage(f *testing.F) {
	f.Add(imageOf(f, New()))
	f.Add(imageOf(f, sampleMachine(f).m))
	large := newBench(f)
	for i := range 4 {
		large.done(create(fmt.Sprintf("/x%d", i), string(make([]byte, blockBytes/2))))
	}
	f.Add(imageOf(f, large.m)) // several blocks
	f.Add(manyBlocks(2, func(nodes []znode.Record) { nodes[6], nodes[7] = nodes[7], nodes[6] }))
	f.Fuzz(func(t *testing.T, image []byte) {
		repair(image)
		info, verifyErr := VerifyImage(bytes.NewReader(image))
		m, readInfo, err := ReadImage(bytes.NewReader(image))
		if err != nil {
			return
		}
		require.NoError(t, verifyErr)
		require.Equal(t, readInfo, info)
		var out protocol.Message
		m.Read(&znode.Actor{}, &protocol.Read{Op: protocol.OpChildren, Path: "/"}, &out)
		again, _, err := ReadImage(bytes.NewReader(imageOf(t, m)))
		require.NoError(t, err)
		require.Equal(t, m.Digest(), again.Digest())
	})
}

// repair sets right every checksum that it finds the place of.
func repair(image []byte) {
	for at := imageHeaderLen; at+blockHeaderLen <= len(image); {
		size := int(binary.BigEndian.Uint32(image[at+5:]))
		end := at + blockHeaderLen + size
		if size > len(image) || end > len(image) {
			return
		}
		head, payload := image[at:at+blockHeaderLen], image[at+blockHeaderLen:end]
		if section(head[0]) == sectionFooter && size == footerLen {
			binary.BigEndian.PutUint64(payload[4*8:], uint64(at))
			binary.BigEndian.PutUint32(payload[5*8:], crc32.Checksum(image[:at], castagnoli))
		}
		binary.BigEndian.PutUint32(head[9:], blockCRC(head, payload))
		at = end
	}
}
