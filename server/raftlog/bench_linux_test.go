package raftlog

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/hashicorp/raft"
	"github.com/stretchr/testify/require"
)

const benchEntryBytes = 1200

// BenchmarkStoreLogs appends batches beside a bare file that appends and syncs the same bytes in the same run; the
// ratio of the two is the figure, since the disk drifts.
func BenchmarkStoreLogs(b *testing.B) {
	for _, n := range []int{1, 64, 256} {
		b.Run(fmt.Sprintf("file/%dx1.2K", n), func(b *testing.B) { benchFile(b, n) })
		b.Run(fmt.Sprintf("store/%dx1.2K", n), func(b *testing.B) { benchStore(b, n) })
	}
}

func benchFile(b *testing.B, n int) {
	file, err := os.Create(filepath.Join(b.TempDir(), "file"))
	require.NoError(b, err)
	defer file.Close()
	data := payload(1, 1, n*(benchEntryBytes+recordHeaderLen))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := file.Write(data); err != nil {
			b.Fatal(err)
		}
		if err := syscall.Fdatasync(int(file.Fd())); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "entries/s")
}

func benchStore(b *testing.B, n int) {
	s, err := Open(Options{Dir: b.TempDir()})
	require.NoError(b, err)
	defer s.Close()
	data := payload(1, 1, benchEntryBytes)
	logs := make([]*raft.Log, n)
	for i := range logs {
		logs[i] = &raft.Log{Term: 1, Data: data}
	}
	next := uint64(1)
	b.ReportAllocs()
	for b.Loop() {
		for _, l := range logs {
			l.Index = next
			next++
		}
		if err := s.StoreLogs(logs); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n)*float64(b.N)/b.Elapsed().Seconds(), "entries/s")
}

func BenchmarkReads(b *testing.B) {
	s, err := Open(Options{Dir: b.TempDir()})
	require.NoError(b, err)
	defer s.Close()
	fill(b, s, 10_000, benchEntryBytes)
	b.Run("FirstIndex", func(b *testing.B) {
		for b.Loop() {
			_, _ = s.FirstIndex()
		}
	})
	b.Run("GetLog", func(b *testing.B) {
		b.ReportAllocs()
		var l raft.Log
		for i := uint64(0); b.Loop(); i++ {
			if err := s.GetLog(1+i%10_000, &l); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("BytesSince", func(b *testing.B) {
		for i := uint64(0); b.Loop(); i++ {
			_, _ = s.BytesSince(i % 10_000)
		}
	})
}

func BenchmarkRecord(b *testing.B) {
	l := testLog(7, 1, benchEntryBytes)
	key := entryKey(7, 0)
	buf := make([]byte, 0, 4096)
	b.Run("encode", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			buf, _ = appendRecord(buf[:0], key, l, 1, 0, 0)
		}
	})
	record, _ := appendRecord(nil, key, l, 1, 0, 0)
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		var out raft.Log
		for b.Loop() {
			h, err := checkRecord(key, record)
			if err != nil {
				b.Fatal(err)
			}
			fillLog(&h, record, &out)
		}
	})
}
