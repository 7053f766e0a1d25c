package zkfile

import (
	"bytes"
	"runtime/metrics"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/znode"
)

// allocated is what f allocates, and what others do meanwhile.
func allocated(f func()) uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	before := sample[0].Value.Uint64()
	f()
	metrics.Read(sample)
	return sample[0].Value.Uint64() - before
}

// costly is more than n bytes of input may allocate: a map of a child for each
// 80 bytes of a snapshot, and the buffers of the readers.
func costly(n int) uint64 { return uint64(200*n + 4<<20) }

func FuzzSnapshot(f *testing.F) {
	plain := smallEnded()
	f.Add([]byte(plain))
	f.Add([]byte(plain.digest(6).last(7)))
	f.Add([]byte(plain.last(7)))
	f.Add(snappied(plain))
	w := newWorld(3)
	for range 40 {
		w.step()
	}
	file, _ := w.snapshot()
	f.Add([]byte(file))
	f.Fuzz(func(t *testing.T, file []byte) {
		// What a mutation breaks first is the checksum.
		if n := len(file); n > 13 && string(file[n-5:]) == "\x00\x00\x00\x01/" {
			file = record(bytes.Clone(file[:n-13])).seal()
		}
		var tree *Tree
		var err error
		cost := allocated(func() { tree, err = ReadSnapshot(bytes.NewReader(file), 5) })
		if bytes.HasPrefix(file, gzipMagic) || bytes.HasPrefix(file, snappyMagic) {
			cost = 0 // they may grow
		}
		require.Less(t, cost, costly(len(file)))
		if err != nil {
			return
		}
		_ = tree.Complete()
		for n, err := range tree.Walk() {
			require.NotEmpty(t, n.Path)
			require.True(t, err != nil || len(n.ACL) > 0)
		}
	})
}

func FuzzLog(f *testing.F) {
	w := newWorld(5)
	for range 60 {
		w.step()
	}
	for _, l := range w.logs {
		f.Add([]byte(l.record), true)
		f.Add([]byte(l.reserve()), false)
	}
	f.Add([]byte(beginLog().change(6, change{op: opCreate, path: "/a/x", acl: znode.OpenACL, old: true}).record), true)
	f.Fuzz(func(t *testing.T, file []byte, lenient bool) {
		resum(file)
		tree, err := ReadSnapshot(bytes.NewReader(smallEnded()), 5)
		require.NoError(t, err)
		if lenient {
			tree.Lenient()
		}
		var done Replayed
		cost := allocated(func() { done, err = tree.Replay(bytes.NewReader(file)) })
		require.Less(t, cost, costly(len(file)))
		if err == nil && done.Applied == 0 {
			require.EqualValues(t, 5, tree.Zxid())
		}
		for range tree.Walk() { // no panic
		}
		_, _, _ = FirstZxid(bytes.NewReader(file))
	})
}

// resum makes the checksums of a log's records right, so that mutations come
// further.
func resum(file []byte) {
	for at := logHead; at+recordHead < len(file); {
		in := recordInput(file[at+8:])
		body := in.buffer()
		if in.err != nil || len(body) == 0 {
			return
		}
		copy(file[at:], (&logFile{}).add(body).record[:8])
		at += recordHead + len(body) + 1
	}
}
