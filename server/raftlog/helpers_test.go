package raftlog

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"github.com/stretchr/testify/require"
)

const testMemTable = 4 << 20

func testOptions(dir string) Options { return Options{Dir: dir, memTableBytes: testMemTable} }

func openStore(t testing.TB, dir string) *Store {
	t.Helper()
	s, err := Open(testOptions(dir))
	require.NoError(t, err)
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// payload is a function of index and term, so that every check knows what an entry must hold.
func payload(index, term uint64, size int) []byte {
	r := rand.New(rand.NewPCG(index, term))
	b := make([]byte, size)
	for at := 0; at < size; at += 8 {
		var word [8]byte
		binary.LittleEndian.PutUint64(word[:], r.Uint64())
		copy(b[at:], word[:])
	}
	return b
}

func testLog(index, term uint64, size int) *raft.Log {
	return &raft.Log{
		Index: index, Term: term, Type: raft.LogCommand,
		Data:       payload(index, term, size),
		Extensions: []byte(fmt.Sprintf("x%d", index)),
		AppendedAt: time.Unix(1700000000+int64(index), 5),
	}
}

func testLogs(from, to, term uint64, size int) []*raft.Log {
	var logs []*raft.Log
	for i := from; i <= to; i++ {
		logs = append(logs, testLog(i, term, size))
	}
	return logs
}

func requireSame(t testing.TB, want, got *raft.Log) {
	t.Helper()
	require.Equal(t, want.Index, got.Index)
	require.Equal(t, want.Term, got.Term)
	require.Equal(t, want.Type, got.Type)
	require.True(t, bytes.Equal(want.Data, got.Data), "data of entry %d", want.Index)
	require.True(t, bytes.Equal(want.Extensions, got.Extensions), "extensions of entry %d", want.Index)
	require.True(t, want.AppendedAt.Equal(got.AppendedAt), "time of entry %d", want.Index)
}

func requireRange(t testing.TB, s *Store, first, last uint64) {
	t.Helper()
	f, err := s.FirstIndex()
	require.NoError(t, err)
	l, err := s.LastIndex()
	require.NoError(t, err)
	require.Equal(t, []uint64{first, last}, []uint64{f, l})
	if first == 0 {
		return
	}
	for i := first; i <= last; i++ {
		var got raft.Log
		require.NoError(t, s.GetLog(i, &got))
		require.Equal(t, i, got.Index)
	}
}

func testLogger(t testing.TB) *slog.Logger {
	return slog.New(slog.NewTextHandler(t.Output(), nil))
}
