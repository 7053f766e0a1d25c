package raftlog

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/lycaon-io/lycaon/server/internal/beat"
)

// DiskLevel tells how much free space is left.
type DiskLevel int32

const (
	// DiskOK: enough for everything.
	DiskOK DiskLevel = iota
	// DiskSoft: refuse client writes and give up leadership, keep following.
	DiskSoft
	// DiskHard: exit before a mapped file meets the full disk, which is a fault that nothing can recover.
	DiskHard
)

func (l DiskLevel) String() string {
	switch l {
	case DiskOK:
		return "ok"
	case DiskSoft:
		return "soft"
	case DiskHard:
		return "hard"
	}
	return fmt.Sprintf("DiskLevel(%d)", int32(l))
}

const (
	diskInterval = time.Second
	// diskHardDefault: one more memtable in its write-ahead file and one table of it, at their size limits.
	diskHardDefault = 2 * largestMemTableBytes
	// diskSoftDefault: twice the memtables (two and the active one) and the largest table; snapshots come on top.
	diskSoftDefault = 2 * (3*largestMemTableBytes + largestMemTableBytes)
	ballastBytes    = 64 << 20
	// hysteresis keeps the level from flapping: space must exceed a mark by an eighth to leave its level.
	hysteresisShift = 3
)

// DiskOptions configure a DiskGuard; the zero value of each but Dir is usable.
type DiskOptions struct {
	// Dir lies on the guarded file system and keeps the ballast file.
	Dir    string
	Logger *slog.Logger
	// SnapshotBytes tells the size of the last snapshot; room for two more is part of the soft mark.
	SnapshotBytes func() int64
	// OnChange is called after each change of level, in order, from the checking goroutine. It may call Level and Stats
	// but not Check, Close or CheckStart.
	OnChange func(from, to DiskLevel, free uint64)

	// Tests replace the marks, statfs, the clock, and the size of the ballast file, with a negative one for none.
	softBytes, hardBytes uint64
	freeBytes            func(dir string) (uint64, error)
	tick                 <-chan time.Time
	ballastBytes         int64
}

// DiskGuard watches free space. It recovers by itself when space returns.
type DiskGuard struct {
	opt     DiskOptions
	stop    chan struct{}
	stopped sync.Once
	done    sync.WaitGroup

	checking sync.Mutex // one look at a time, so that changes are told in order; taken before mu
	told     DiskLevel  // what OnChange knows; guarded by checking

	mu      sync.Mutex // guards what follows
	level   DiskLevel
	free    uint64
	changes uint64
	ballast bool // the file is there
	lastErr error
}

// DiskStats is a snapshot of a guard's figures.
type DiskStats struct {
	Level                           DiskLevel
	FreeBytes, SoftBytes, HardBytes uint64
	Changes                         uint64
	Ballast                         bool
	Err                             error // of the last look
}

// OpenDiskGuard looks once, as CheckStart does but without refusing, and then every second until Close.
func OpenDiskGuard(o DiskOptions) (*DiskGuard, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.freeBytes == nil {
		o.freeBytes = freeBytes
	}
	if o.ballastBytes == 0 {
		o.ballastBytes = ballastBytes
	}
	if err := makeDir(o.Dir); err != nil {
		return nil, err
	}
	g := &DiskGuard{opt: o, stop: make(chan struct{})}
	if info, err := os.Stat(g.ballastPath()); err == nil && info.Size() > 0 {
		g.ballast = true
	}
	if err := g.CheckStart(); err != nil && !errors.Is(err, ErrDiskFull) {
		return nil, err
	}
	g.done.Add(1)
	go g.run()
	return g, nil
}

func (g *DiskGuard) run() {
	defer g.done.Done()
	tick := time.NewTimer(beat.Next(diskInterval))
	defer tick.Stop()
	due := g.opt.tick
	if due == nil {
		due = tick.C
	}
	for {
		select {
		case <-g.stop:
			return
		case <-due:
			tick.Reset(beat.Next(diskInterval))
			if _, err := g.Check(); err != nil {
				g.opt.Logger.Warn("cannot tell free disk space", "dir", g.opt.Dir, "error", err)
			}
		}
	}
}

// Close stops looking; the ballast stays for the next start.
func (g *DiskGuard) Close() error {
	g.stopped.Do(func() { close(g.stop) })
	g.done.Wait()
	return nil
}

// Level is the one last seen.
func (g *DiskGuard) Level() DiskLevel {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.level
}

// Stats returns the figures last seen.
func (g *DiskGuard) Stats() DiskStats {
	soft, hard := g.marks()
	g.mu.Lock()
	defer g.mu.Unlock()
	return DiskStats{Level: g.level, FreeBytes: g.free, SoftBytes: soft, HardBytes: hard, Changes: g.changes, Ballast: g.ballast, Err: g.lastErr}
}

func (g *DiskGuard) marks() (soft, hard uint64) {
	soft, hard = g.opt.softBytes, g.opt.hardBytes
	if hard == 0 {
		hard = diskHardDefault
	}
	if soft == 0 {
		soft = diskSoftDefault
		if g.opt.SnapshotBytes != nil {
			soft += 2 * uint64(max(0, g.opt.SnapshotBytes()))
		}
	}
	return max(soft, hard), hard
}

// Check looks now: before a snapshot, and when much was written since the last tick.
func (g *DiskGuard) Check() (DiskLevel, error) {
	g.checking.Lock()
	defer g.checking.Unlock()
	level, err := g.lookLocked()
	if err == nil {
		g.tellLocked(level)
	}
	return level, err
}

func (g *DiskGuard) lookLocked() (DiskLevel, error) {
	soft, hard := g.marks()
	free, err := g.opt.freeBytes(g.opt.Dir)
	level := g.note(free, err, soft, hard)
	if err != nil {
		return level, fmt.Errorf("raftlog: free space of %s: %w", g.opt.Dir, err)
	}
	if level == DiskOK {
		g.keepBallast(free, soft)
	}
	return level, nil
}

func (g *DiskGuard) tellLocked(to DiskLevel) {
	from := g.told
	if g.told = to; from == to {
		return
	}
	free := g.Stats().FreeBytes
	g.opt.Logger.Warn("free disk space changed level", "dir", g.opt.Dir, "from", from.String(), "to", to.String(), "free_bytes", free)
	if g.opt.OnChange != nil {
		g.opt.OnChange(from, to, free)
	}
}

func (g *DiskGuard) note(free uint64, err error, soft, hard uint64) DiskLevel {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.lastErr = err; err != nil {
		return g.level
	}
	from := g.level
	g.free, g.level = free, nextLevel(from, free, soft, hard)
	if from != g.level {
		g.changes++
	}
	return g.level
}

func nextLevel(now DiskLevel, free, soft, hard uint64) DiskLevel {
	switch {
	case free < hard || (now == DiskHard && free < hard+hard>>hysteresisShift):
		return DiskHard
	case free < soft || (now != DiskOK && free < soft+soft>>hysteresisShift):
		return DiskSoft
	}
	return DiskOK
}

// CheckStart refuses below the hard mark, after giving up the ballast: so a disk that filled up does not keep the
// server from starting, and the operator has a running one to make room with. OnChange is told what comes of it only
// if that is no refusal.
func (g *DiskGuard) CheckStart() error {
	g.checking.Lock()
	defer g.checking.Unlock()
	level, err := g.lookLocked()
	if err == nil && level == DiskHard {
		g.giveUpBallast()
		level, err = g.lookLocked()
	}
	if err != nil {
		return err
	}
	if level != DiskHard {
		g.tellLocked(level)
		return nil
	}
	_, hard := g.marks()
	return fmt.Errorf("%w: %s has %d bytes free, needs %d; free some space and start again", ErrDiskFull, g.opt.Dir, g.Stats().FreeBytes, hard)
}

func (g *DiskGuard) giveUpBallast() {
	if err := os.Remove(g.ballastPath()); err == nil {
		g.opt.Logger.Warn("disk is full; gave up the ballast file to start", "file", g.ballastPath())
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ballast = false
	// A fresh look: hysteresis is for a running server.
	g.level = DiskSoft
}

func (g *DiskGuard) ballastPath() string { return filepath.Join(g.opt.Dir, ballastFile) }

// keepBallast lays in the reserve while there is plenty.
func (g *DiskGuard) keepBallast(free, soft uint64) {
	size := g.opt.ballastBytes
	g.mu.Lock()
	skip := g.ballast || size <= 0 || free < soft+soft>>hysteresisShift+2*uint64(size)
	// Once only: where the file system cannot reserve, it never will.
	g.ballast = g.ballast || !skip
	g.mu.Unlock()
	if skip {
		return
	}
	if err := reserveFile(g.ballastPath(), size); err != nil {
		g.opt.Logger.Warn("cannot lay in the ballast file", "file", g.ballastPath(), "error", err)
	}
}

func reserveFile(path string, size int64) error {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(file.Chmod(0o600), reserve(file, size), file.Close())
}
