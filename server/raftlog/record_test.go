package raftlog

import (
	"bytes"
	"encoding/hex"
	"flag"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"github.com/stretchr/testify/require"
)

var rewrite = flag.Bool("rewrite", false, "rewrite the golden files")

func goldenState() state {
	return state{id: storeID{1, 2, 3}, seq: 9, first: 4, last: 8, lastTerm: 3, startPos: 100, endPos: 900, compacted: 3, term: 5, oldest: 6, lastSum: 0xa1b2c3d4, stableSum: 7}
}

func goldenMeta() *snapshotMeta {
	return &snapshotMeta{StateSum: 0x01020304, SnapshotMeta: raft.SnapshotMeta{
		Version: 1, ID: "3-200-1700000000000", Index: 200, Term: 3, Configuration: testConfiguration, ConfigurationIndex: 4, Size: 12345,
	}}
}

// The golden file holds every format on disk in hex; a difference means that existing stores cannot be read.
func TestFormatsOnDiskAreTheGoldenOnes(t *testing.T) {
	var b strings.Builder
	put := func(name string, bytes []byte) { fmt.Fprintf(&b, "%s\n%s", name, hex.Dump(bytes)) }
	key := entryKey(0x0102030405060708, 0)
	l := &raft.Log{Index: 0x0102030405060708, Term: 9, Type: raft.LogConfiguration, Data: []byte("data"), Extensions: []byte("ext"), AppendedAt: time.Unix(1700000000, 42)}
	record, _ := appendRecord(nil, key, l, 1, 77, 0xcafebabe)
	put("entry key", key)
	put("record", record)
	zero, _ := appendRecord(nil, entryKey(1, 0), &raft.Log{Index: 1}, 1, 0, 0)
	put("record of a zero entry", zero)
	s := goldenState()
	put("state", s.encode())
	put("stable", encodeStable([]byte("LastVoteCand"), []byte("node-1")))
	slot, buf := slotOf(&s), [guardSlotLen]byte{}
	slot.encode(&buf)
	put("guard slot", buf[:])
	put("format", format{version: formatVersion, phase: phaseReady, id: s.id}.encode())
	meta, err := encodeSnapshotMeta(goldenMeta())
	require.NoError(t, err)
	put("snapshot meta", meta)
	put("newest", encodeNewest("3-200-1700000000000"))

	path := filepath.Join("testdata", "formats.golden")
	if *rewrite {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(path, []byte(b.String()), 0o644))
	}
	want, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, string(want), b.String())
}

func TestRecordsRoundTrip(t *testing.T) {
	for _, l := range []*raft.Log{
		{Index: 1},
		{Index: math.MaxUint64, Term: math.MaxUint64, Type: 255, AppendedAt: time.Unix(-5, 999999999)},
		{Index: 2, Data: []byte{}, Extensions: []byte("only extensions")},
		testLog(3, 4, 1000),
	} {
		key := entryKey(l.Index, 0)
		record, sum := appendRecord(nil, key, l, 1, 5, 6)
		h, err := checkRecord(key, record)
		require.NoError(t, err)
		require.Equal(t, sum, h.sum)
		require.EqualValues(t, 5, h.position)
		require.EqualValues(t, 6, h.prev)
		var got raft.Log
		fillLog(&h, record, &got)
		requireSame(t, l, &got)
		require.Equal(t, l.AppendedAt.IsZero(), got.AppendedAt.IsZero())
		_, err = checkRecord(entryKey(l.Index-1, 0), record)
		require.Error(t, err)
	}
}

func TestEveryFlippedBitOfARecordIsFound(t *testing.T) {
	key := entryKey(7, 0)
	record, _ := appendRecord(nil, key, testLog(7, 1, 30), 1, 5, 6)
	for bit := range len(record) * 8 {
		bad := bytes.Clone(record)
		bad[bit/8] ^= 1 << (bit % 8)
		_, err := checkRecord(key, bad)
		require.Error(t, err, "bit %d", bit)
	}
	s := goldenState()
	enc := s.encode()
	for bit := range len(enc) * 8 {
		enc[bit/8] ^= 1 << (bit % 8)
		_, err := decodeState(enc)
		require.Error(t, err, "bit %d of the state", bit)
		enc[bit/8] ^= 1 << (bit % 8)
	}
	got, err := decodeState(enc)
	require.NoError(t, err)
	require.Equal(t, s, got)
}

func FuzzRecord(f *testing.F) {
	key := entryKey(7, 0)
	record, _ := appendRecord(nil, key, testLog(7, 1, 30), 1, 5, 6)
	f.Add(record)
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		h, err := checkRecord(key, b)
		if err != nil {
			return
		}
		var l raft.Log
		fillLog(&h, b, &l)
		again, _ := appendRecord(nil, key, &l, h.chunks, h.position, h.prev)
		if h.nanos < 1e9 && !bytes.Equal(again, b) {
			t.Fatalf("%x decodes and encodes to %x", b, again)
		}
	})
}

func FuzzGuard(f *testing.F) {
	s := goldenState()
	slot, buf := slotOf(&s), [guardSlotLen]byte{}
	slot.encode(&buf)
	f.Add(buf[:], []byte{})
	f.Add([]byte{1}, buf[:])
	f.Fuzz(func(t *testing.T, first, second []byte) {
		file := make([]byte, guardLen)
		copy(file, first[:min(len(first), guardStride)])
		copy(file[guardStride:], second)
		g, err := decodeGuard(file[:guardStride+len(second)%guardStride])
		if err != nil {
			return
		}
		var again [guardSlotLen]byte
		g.encode(&again)
		if back, ok := decodeGuardSlot(again[:]); !ok || back != g {
			t.Fatalf("%+v does not round trip", g)
		}
	})
}

func FuzzState(f *testing.F) {
	s := goldenState()
	f.Add(s.encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		if s, err := decodeState(b); err == nil && s.first > s.last {
			t.Fatalf("accepted %+v", s)
		}
		_, _ = decodeStable([]byte("k"), b)
		_, _ = decodeFormat(b)
	})
}

func FuzzSnapshotMeta(f *testing.F) {
	meta, err := encodeSnapshotMeta(goldenMeta())
	require.NoError(f, err)
	f.Add(meta)
	f.Add([]byte("lycaon-snapshot 1 00000000\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := decodeSnapshotMeta(b)
		if err != nil {
			return
		}
		again, err := encodeSnapshotMeta(m)
		require.NoError(t, err)
		back, err := decodeSnapshotMeta(again)
		require.NoError(t, err)
		require.Equal(t, m, back)
	})
}

func FuzzWriteAheadFile(f *testing.F) {
	f.Add(make([]byte, 100))
	f.Add(bytes.Repeat([]byte{0x40, 0, 9, 96, 0, 's'}, 40))
	f.Fuzz(func(t *testing.T, b []byte) {
		scan := walScan{validEnd: walHeaderLen}
		if len(b) > walHeaderLen {
			scan.read(b)
		}
		if scan.validEnd > int64(max(len(b), walHeaderLen)) {
			t.Fatalf("ends at %d of %d", scan.validEnd, len(b))
		}
	})
}
