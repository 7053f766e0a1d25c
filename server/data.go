package server

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync/atomic"

	"github.com/lycaon-io/lycaon/server/pipeline"
	"github.com/lycaon-io/lycaon/server/raftlog"
	"github.com/lycaon-io/lycaon/server/state"
)

// openData opens the data directory and what lies in it.
func (s *Server) openData() (err error) {
	if s.dir, err = openDataDir(s.cfg.DataDir, s.cfg.ID, s.origin); err != nil {
		return err
	}
	if info, err := os.Stat(s.dir.join(tokenName)); err == nil && info.Mode().Perm()&0o077 != 0 {
		s.log.Warn("others than its owner may read the admin token: chmod 600, and delete it before a start for another one",
			"file", s.dir.join(tokenName), "mode", fmt.Sprintf("%04o", info.Mode().Perm()))
	}
	s.core = pipeline.New(pipeline.Config{Origin: incarnation(), MaxSessions: maxSessions, KeptStepBytes: s.cfg.hooks.kept, Observer: observer{s}})
	if s.cfg.hooks.openLog != nil {
		s.store, s.snaps, err = s.cfg.hooks.openLog()
		return err
	}
	return s.openLog()
}

func (s *Server) openLog() (err error) {
	// The guard and the snapshots ask each other.
	var seen atomic.Pointer[raftlog.Snapshots]
	s.disk, err = raftlog.OpenDiskGuard(raftlog.DiskOptions{
		Dir: s.dir.path, Logger: s.log, OnChange: s.diskChanged,
		SnapshotBytes: func() int64 { return lastSnapshotBytes(seen.Load()) },
	})
	if err != nil {
		return err
	}
	snaps, err := openSnapshots(s.dir.join(snapshotsName), s.log, s.disk)
	if err != nil {
		return err
	}
	s.snaps = snaps
	seen.Store(snaps)
	if err := s.disk.CheckStart(); err != nil {
		return err
	}
	s.ahead.done = make(chan struct{})
	s.wg.Go(func() { s.ahead.load(s.ctx, snaps, s.cfg.Loading) })
	store, err := inherit(raftlog.ErrLocked, func() (*raftlog.Store, error) {
		return raftlog.Open(raftlog.Options{Dir: s.dir.join(logName), Logger: s.log, Fatal: s.fail, Disk: s.disk})
	})
	if err != nil {
		return err
	}
	s.store = store
	s.usable = func() error {
		<-s.ahead.done
		_, err := snaps.Usable(store)
		return err
	}
	return s.dir.noteLog()
}

func lastSnapshotBytes(s *raftlog.Snapshots) int64 {
	if s == nil {
		return 0
	}
	return s.Stats().LastBytes
}

func openSnapshots(dir string, log *slog.Logger, disk *raftlog.DiskGuard) (*raftlog.Snapshots, error) {
	return raftlog.OpenSnapshots(raftlog.SnapshotOptions{
		Dir: dir, Logger: log, Disk: disk,
		Verify: func(r io.Reader) error {
			_, err := state.VerifyImage(r)
			return err
		},
	})
}

// incarnation tells this run of the server from every other: answers to what
// an earlier run had asked for must not be taken for ours.
func incarnation() uint64 {
	var b [8]byte
	rand.Read(b[:])
	return binary.LittleEndian.Uint64(b[:]) | 1
}

// observer is the node, which is made after the core that it observes.
type observer struct{ s *Server }

func (o observer) SessionOpened(id, generation uint64, timeoutMs int64) {
	o.s.node.SessionOpened(id, generation, timeoutMs)
}

func (o observer) SessionEnded(id uint64) { o.s.node.SessionEnded(id) }
