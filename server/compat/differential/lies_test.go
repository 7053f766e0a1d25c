package differential

import (
	"bytes"
	"encoding/binary"
	"slices"
	"testing"

	"github.com/lycaon-io/lycaon/protocol/jute"
	"github.com/stretchr/testify/require"
)

// Offsets in the frame of a reply.
const (
	atZxid   = 4
	atErr    = 12
	atRecord = 16
	ofStat   = 68 // bytes
)

// Offsets in a stat.
const (
	inStatMtime   = 24
	inStatVersion = 32
	inStatOwner   = 44
	inStatPzxid   = 60
)

func errOf(frame []byte) int32 { return int32(binary.BigEndian.Uint32(frame[atErr:])) }

func isEvent(frame []byte) bool {
	return int32(binary.BigEndian.Uint32(frame)) == jute.XidEvent
}

// justStat is the stat of a reply that is nothing else, as that to exists.
func justStat(frame []byte) []byte {
	if isEvent(frame) || errOf(frame) != 0 || len(frame) != atRecord+ofStat {
		return nil
	}
	return frame[atRecord:]
}

// raise adds n to the number of size bytes at p.
func raise(p []byte, size int, n int64) {
	if size == 4 {
		binary.BigEndian.PutUint32(p, binary.BigEndian.Uint32(p)+uint32(n))
		return
	}
	binary.BigEndian.PutUint64(p, binary.BigEndian.Uint64(p)+uint64(n))
}

// lies change what a server said; each returns nil where it does not apply.
var lies = []struct {
	name string
	tell func(frame []byte) [][]byte
}{
	{"an error is another", func(frame []byte) [][]byte {
		if isEvent(frame) || errOf(frame) != -110 {
			return nil
		}
		raise(frame[atErr:], 4, -1)
		return [][]byte{frame}
	}},
	{"an error is a success", func(frame []byte) [][]byte {
		if isEvent(frame) || errOf(frame) == 0 {
			return nil
		}
		raise(frame[atErr:], 4, int64(-errOf(frame)))
		return [][]byte{frame}
	}},
	{"the version of a stat is one more", changeStat(inStatVersion, 4, func([]byte) bool { return true })},
	{"the pzxid of a stat is one more", changeStat(inStatPzxid, 8, func([]byte) bool { return true })},
	{"the owner of an ephemeral is another", changeStat(inStatOwner, 8, func(stat []byte) bool {
		return binary.BigEndian.Uint64(stat[inStatOwner:]) != 0
	})},
	{"a plain node has an owner", changeStat(inStatOwner, 8, func(stat []byte) bool {
		return binary.BigEndian.Uint64(stat[inStatOwner:]) == 0
	})},
	{"a node was modified before it was made", changeStat(inStatMtime, 8, func(stat []byte) bool {
		raise(stat[inStatMtime:], 8, -1_000_000)
		return true
	})},
	{"empty data is null", func(frame []byte) [][]byte {
		if isEvent(frame) || errOf(frame) != 0 || len(frame) != atRecord+4+ofStat || !bytes.Equal(frame[atRecord:atRecord+4], make([]byte, 4)) {
			return nil
		}
		raise(frame[atRecord:], 4, -1)
		return [][]byte{frame}
	}},
	{"a sequence number is one more", func(frame []byte) [][]byte {
		at := bytes.LastIndexByte(frame, '/')
		if isEvent(frame) || errOf(frame) != 0 || at < 0 || !bytes.HasPrefix(frame[at:], []byte("/s-00000")) || len(frame) != at+len("/s-")+10 {
			return nil
		}
		raise(frame[len(frame)-4:], 4, 1)
		return [][]byte{frame}
	}},
	{"the zxid of a reply is an old one", func(frame []byte) [][]byte {
		if isEvent(frame) || binary.BigEndian.Uint64(frame[atZxid:]) < 100 {
			return nil
		}
		binary.BigEndian.PutUint64(frame[atZxid:], 1)
		return [][]byte{frame}
	}},
	{"an event is lost", onEvent(func([]byte) [][]byte { return [][]byte{} })},
	{"an event comes twice", onEvent(func(frame []byte) [][]byte { return [][]byte{frame, slices.Clone(frame)} })},
	{"an event is of another kind", onEvent(func(frame []byte) [][]byte {
		raise(frame[atRecord:], 4, 1)
		return [][]byte{frame}
	})},
	{"a record has a byte too many", func(frame []byte) [][]byte {
		if justStat(frame) == nil {
			return nil
		}
		return [][]byte{append(frame, 0)}
	}},
}

func changeStat(at, size int, where func(stat []byte) bool) func(frame []byte) [][]byte {
	return func(frame []byte) [][]byte {
		stat := justStat(frame)
		if stat == nil || !where(stat) {
			return nil
		}
		raise(stat[at:], size, 1)
		return [][]byte{frame}
	}
}

func onEvent(change func(frame []byte) [][]byte) func(frame []byte) [][]byte {
	return func(frame []byte) [][]byte {
		if !isEvent(frame) {
			return nil
		}
		return change(frame)
	}
}

const truths = 200 // frames before the lie

// once makes a tamper of a lie that is told once, and says whether it was.
func once(told *bool, tell func(frame []byte) [][]byte) func(frame []byte) [][]byte {
	heard := 0
	return func(frame []byte) [][]byte {
		if heard++; heard > truths && !*told {
			if changed := tell(frame); changed != nil {
				*told = true
				return changed
			}
		}
		return [][]byte{frame}
	}
}

// late puts the first event behind the reply that follows it.
func late(told *bool) func(frame []byte) [][]byte {
	var held []byte
	return func(frame []byte) [][]byte {
		switch {
		case isEvent(frame) && !*told && held == nil:
			held = frame
			return nil
		case held != nil && !isEvent(frame):
			*told = true
			out := [][]byte{frame, held}
			held = nil
			return out
		}
		return [][]byte{frame}
	}
}

// Both sides are one server here, so that nothing but the lie can differ.
func TestDifferentialSeesALie(t *testing.T) {
	one := zookeeper(t, 1)
	p := &pair{zk: one.Addrs, ly: one.Addrs, apart: true}
	play := func(t *testing.T, tamper func(frame []byte) [][]byte) *difference {
		p.tamper = tamper
		out, err := p.run(func(m *mirror) source { return newGenerator(1, m, episodeOps) })
		require.NoError(t, err)
		return out.diff
	}
	require.Nil(t, play(t, nil), "without a lie")
	for _, lie := range lies {
		t.Run(lie.name, func(t *testing.T) {
			told := false
			diff := play(t, once(&told, lie.tell))
			require.True(t, told, "the lie applies to nothing that is said")
			require.NotNil(t, diff)
		})
	}
	t.Run("an event comes behind the reply that shows the change", func(t *testing.T) {
		told := false
		diff := play(t, late(&told))
		require.True(t, told)
		require.NotNil(t, diff)
	})
}
