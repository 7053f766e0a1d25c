package raftlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/lycaon-io/lycaon/server/internal/mutant"
)

// The tail guard is a second record, independent of Badger, of what was last made durable. Badger opens without an
// error after damage to its write-ahead file and silently drops what follows; a store behind its guard is refused.
//
// Two slots lie 4 KiB apart, so that no torn or zeroed block takes both, and are written in turn:
//
//	 0  magic "LYG" and version 1
//	 4  zero
//	 8  store id   16 bytes
//	24  sequence   uint64
//	32  last index uint64
//	40  last term  uint64
//	48  current term uint64
//	56  stableSum  uint32  covers the vote
//	60  crc        uint32  CRC-32C over the 60 bytes before
//
// A slot is written after the commit is durable and without fsync, so the guard may lag but never lead.
const (
	guardFile    = "guard"
	guardSlotLen = 64
	guardStride  = 4096
	guardLen     = 2 * guardStride
	guardVersion = 1
)

var errGuardSlot = errors.New("no valid slot")

type guardSlot struct {
	id        storeID
	seq       uint64
	last      uint64
	lastTerm  uint64
	term      uint64
	stableSum uint32
}

func slotOf(s *state) guardSlot {
	return guardSlot{id: s.id, seq: s.seq, last: s.last, lastTerm: s.lastTerm, term: s.term, stableSum: s.stableSum}
}

func (g *guardSlot) encode(b *[guardSlotLen]byte) {
	*b = [guardSlotLen]byte{'L', 'Y', 'G', guardVersion}
	copy(b[8:], g.id[:])
	binary.BigEndian.PutUint64(b[24:], g.seq)
	binary.BigEndian.PutUint64(b[32:], g.last)
	binary.BigEndian.PutUint64(b[40:], g.lastTerm)
	binary.BigEndian.PutUint64(b[48:], g.term)
	binary.BigEndian.PutUint32(b[56:], g.stableSum)
	binary.BigEndian.PutUint32(b[60:], crc32.Checksum(b[:60], castagnoli))
}

func decodeGuardSlot(b []byte) (g guardSlot, ok bool) {
	if len(b) < guardSlotLen || string(b[:4]) != "LYG"+string(rune(guardVersion)) ||
		binary.BigEndian.Uint32(b[60:]) != crc32.Checksum(b[:60], castagnoli) {
		return g, false
	}
	copy(g.id[:], b[8:])
	g.seq = binary.BigEndian.Uint64(b[24:])
	g.last = binary.BigEndian.Uint64(b[32:])
	g.lastTerm = binary.BigEndian.Uint64(b[40:])
	g.term = binary.BigEndian.Uint64(b[48:])
	g.stableSum = binary.BigEndian.Uint32(b[56:])
	return g, true
}

// decodeGuard returns the newest valid slot. One bad slot is survivable: a crash during its write leaves the other.
func decodeGuard(b []byte) (guardSlot, error) {
	var best guardSlot
	found := false
	for off := 0; off < guardLen && off <= len(b); off += guardStride {
		if g, ok := decodeGuardSlot(b[off:]); ok && (!found || g.seq > best.seq) {
			best, found = g, true
		}
	}
	if !found {
		return best, errGuardSlot
	}
	return best, nil
}

func readGuard(dir string) (guardSlot, error) {
	path := filepath.Join(dir, guardFile)
	b, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return guardSlot{}, behind(path, "the tail guard is missing")
	}
	if err != nil {
		return guardSlot{}, fmt.Errorf("raftlog: read tail guard: %w", err)
	}
	g, err := decodeGuard(b)
	if err != nil {
		return guardSlot{}, behind(path, "the tail guard has %w", err)
	}
	return g, nil
}

// tailGuard is the open guard file of a running store; the store's write lock covers it.
type tailGuard struct {
	file *os.File
	slot int64 // written next
	buf  [guardSlotLen]byte
}

// openGuard creates the file if it must, with all its blocks, so that a later write cannot meet a full disk.
func openGuard(dir string, s *state) (*tailGuard, error) {
	file, err := os.OpenFile(filepath.Join(dir, guardFile), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("raftlog: open tail guard: %w", err)
	}
	g := &tailGuard{file: file}
	if err := g.prepare(s); err != nil {
		file.Close()
		return nil, fmt.Errorf("raftlog: prepare tail guard: %w", err)
	}
	return g, nil
}

// prepare writes one slot, syncs it, and only then the other, so that a valid newest slot exists at every instant.
func (g *tailGuard) prepare(s *state) error {
	if err := g.file.Chmod(0o600); err != nil {
		return err
	}
	b := make([]byte, guardLen)
	n, err := g.file.ReadAt(b, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if n < guardLen {
		if _, err := g.file.WriteAt(make([]byte, guardLen-n), int64(n)); err != nil {
			return err
		}
	}
	first, okFirst := decodeGuardSlot(b)
	second, okSecond := decodeGuardSlot(b[guardStride:])
	if okFirst && (!okSecond || first.seq >= second.seq) {
		g.slot = 1
	}
	for range 2 {
		if err := g.write(s); err != nil {
			return err
		}
		if err := g.file.Sync(); err != nil {
			return err
		}
	}
	return nil
}

func (g *tailGuard) write(s *state) error {
	slot := slotOf(s)
	slot.encode(&g.buf)
	_, err := g.file.WriteAt(g.buf[:], g.slot*guardStride)
	g.slot ^= 1
	return err
}

func (g *tailGuard) sync() error { return g.file.Sync() }

// checkGuard compares what the store holds with what the guard saw. Sequences decide: an equal one must agree in every
// field, a lower one means that durable transactions are gone.
func checkGuard(dir string, g guardSlot, s *state, hint string) error {
	path := filepath.Join(dir, guardFile)
	if g.id != s.id {
		return behind(path, "the tail guard belongs to another store (%x, not %x)", g.id, s.id)
	}
	if mutant.On(mutant.NoTailGuard) || s.seq > g.seq || (s.seq == g.seq && slotOf(s) == g) {
		return nil
	}
	if s.seq == g.seq {
		return behind(path, "the log store disagrees with the guard: store at index %d term %d, vote and term %d, sum %08x; guard at index %d term %d, term %d, sum %08x",
			s.last, s.lastTerm, s.term, s.stableSum, g.last, g.lastTerm, g.term, g.stableSum)
	}
	return behind(path, "%d durable transactions are lost: the log store %s ends at index %d (term %d, current term %d), the guard saw index %d (term %d, current term %d)%s%s",
		g.seq-s.seq, dir, s.last, s.lastTerm, s.term, g.last, g.lastTerm, g.term, lostEntries(g, s), hint)
}

func lostEntries(g guardSlot, s *state) string {
	if g.last > s.last {
		return fmt.Sprintf("; entries %d to %d are gone", s.last+1, g.last)
	}
	return "; entries or votes written since are gone"
}
