package raftlog

import (
	"bufio"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"os"
	"path/filepath"
	"time"

	"github.com/hashicorp/raft"
)

// Create begins a snapshot in a directory that nobody sees before the sink is closed.
func (s *Snapshots) Create(version raft.SnapshotVersion, index, term uint64, configuration raft.Configuration,
	configurationIndex uint64, _ raft.Transport) (raft.SnapshotSink, error) {
	if version != 1 {
		return nil, fmt.Errorf("raftlog: unsupported snapshot version %d", version)
	}
	if s.opt.Disk != nil {
		if level, err := s.opt.Disk.Check(); err == nil && level == DiskHard {
			return nil, fmt.Errorf("%w: %s", ErrDiskFull, s.opt.Dir)
		}
	}
	started := time.Now()
	id, tmp, err := s.reserveID(term, index, started)
	if err != nil {
		return nil, fmt.Errorf("raftlog: create snapshot: %w", err)
	}
	file, err := os.OpenFile(filepath.Join(tmp, stateFile), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err == nil {
		err = file.Chmod(0o600)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("raftlog: create snapshot: %w", err), os.RemoveAll(tmp))
	}
	s.stats.inProgress.Add(1)
	return &snapshotSink{
		store: s, dir: tmp, file: file, started: started,
		out: bufio.NewWriterSize(file, snapshotBufBytes),
		sum: crc32.New(castagnoli),
		meta: snapshotMeta{SnapshotMeta: raft.SnapshotMeta{
			Version: version, ID: id, Index: index, Term: term,
			Configuration: configuration, ConfigurationIndex: configurationIndex,
		}},
	}, nil
}

// reserveID steps past a name taken in the same millisecond.
func (s *Snapshots) reserveID(term, index uint64, now time.Time) (id, tmp string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return "", "", ErrClosed
	}
	for millis := now.UnixMilli(); ; millis++ {
		id = snapshotName{term: term, index: index, millis: millis}.String()
		if _, err := os.Lstat(filepath.Join(s.opt.Dir, id)); err == nil {
			continue
		}
		tmp = filepath.Join(s.opt.Dir, id+snapshotTmpSuffix)
		err := os.Mkdir(tmp, 0o700)
		if errors.Is(err, os.ErrExist) {
			continue
		}
		if err == nil {
			err = os.Chmod(tmp, 0o700)
		}
		return id, tmp, err
	}
}

// snapshotSink is used by one goroutine, as raft does.
type snapshotSink struct {
	store   *Snapshots
	dir     string
	file    *os.File
	out     *bufio.Writer
	sum     hash.Hash32
	meta    snapshotMeta
	started time.Time
	clean   int64        // bytes that the kernel has given to the disk
	pace    func() error // may be nil
	failed  error
	ended   bool
}

func (k *snapshotSink) ID() string { return k.meta.ID }

// SetPace has Close call pace for every piece that it reads back, to pause it or, by an error, to end it.
func (k *snapshotSink) SetPace(pace func() error) { k.pace = pace }

func (k *snapshotSink) Write(b []byte) (int, error) {
	if k.ended {
		return 0, ErrClosed
	}
	n, err := k.out.Write(b)
	k.sum.Write(b[:n])
	k.meta.Size += int64(n)
	if err == nil {
		err = k.writeBack()
	}
	if err != nil {
		k.failed = err
	}
	return n, err
}

// writeBack has the disk write what has come so far, a piece at a time: a sync of the log waits for what lies before it
// in the disk's queue, and the whole snapshot at once would be hundreds of megabytes. Its error is the only news of a
// write that failed; the sync in Close need not tell of it again.
func (k *snapshotSink) writeBack() error {
	written := k.meta.Size - int64(k.out.Buffered())
	if written-k.clean < snapshotPieceBytes {
		return nil
	}
	err := writeRange(k.file, k.clean, written-k.clean)
	k.clean = written
	return err
}

// Cancel removes everything, on a full disk too. After Close it does nothing.
func (k *snapshotSink) Cancel() error {
	if k.ended {
		return nil
	}
	k.end()
	k.store.stats.failed.Add(1)
	_ = k.file.Close()
	return os.RemoveAll(k.dir)
}

func (k *snapshotSink) end() {
	k.ended = true
	k.store.stats.inProgress.Add(-1)
}

// Close makes the snapshot durable, reads it back, verifies it and lets it be seen. A snapshot that fails in any of
// these is removed.
func (k *snapshotSink) Close() error {
	if k.ended {
		return nil
	}
	k.end()
	if err := k.finish(); err != nil {
		k.store.stats.failed.Add(1)
		return errors.Join(fmt.Errorf("raftlog: snapshot %s: %w", k.meta.ID, err), os.RemoveAll(k.dir))
	}
	k.store.finished(k)
	return nil
}

func (k *snapshotSink) finish() error {
	err := errors.Join(k.failed, k.out.Flush(), k.file.Sync())
	if err == nil {
		dropCache(k.file)
	}
	if err = errors.Join(err, k.file.Close()); err != nil {
		return err
	}
	k.meta.StateSum = k.sum.Sum32()
	b, err := encodeSnapshotMeta(&k.meta)
	if err != nil {
		return err
	}
	if err := writeFileDurably(k.dir, metaFile, b); err != nil {
		return err
	}
	m, err := decodeSnapshotMeta(b)
	if err != nil {
		return err
	}
	if err := k.store.verify(k.dir, m, k.store.opt.Verify, k.pace); err != nil {
		return fmt.Errorf("read back: %w", err)
	}
	gone, err := k.store.publish(k.meta.ID, k.dir)
	return errors.Join(err, removeInPieces(k.pace, gone...))
}

// publish renames the verified snapshot into sight. The note of the newest comes after, so that it never names one
// that does not exist, and before older ones go. Those are for the caller to remove, without the lock.
func (s *Snapshots) publish(id, tmp string) (gone []string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, ErrClosed
	}
	if err := os.Rename(tmp, filepath.Join(s.opt.Dir, id)); err != nil {
		return nil, err
	}
	if err := s.syncDir(s.opt.Dir); err != nil {
		return nil, err
	}
	s.verified[id] = true
	if err := s.writeNewestLocked(); err != nil {
		return nil, err
	}
	return s.reapLocked()
}

// reapLocked keeps the newest; a directory is renamed before it is emptied, so that half of one is never seen, and not
// emptied before the renames are durable, so that none comes back under its name. If they cannot be made so, the next
// call tries again.
func (s *Snapshots) reapLocked() (gone []string, err error) {
	names, err := s.names()
	if err != nil {
		return nil, err
	}
	for _, n := range names[min(len(names), snapshotsKept):] {
		from := filepath.Join(s.opt.Dir, n.id)
		if err := os.Rename(from, from+snapshotTmpSuffix); err != nil {
			return nil, err
		}
		delete(s.verified, n.id)
		s.reaped = append(s.reaped, n.id)
	}
	if len(s.reaped) == 0 {
		return nil, nil
	}
	if err := s.syncDir(s.opt.Dir); err != nil {
		return nil, err
	}
	return s.takeReapedLocked()
}

// takeReapedLocked hands out what to remove. What is being read goes at once: its reader has the file as it was.
func (s *Snapshots) takeReapedLocked() (gone []string, err error) {
	for ; len(s.reaped) > 0; s.reaped = s.reaped[1:] {
		id := s.reaped[0]
		tmp := filepath.Join(s.opt.Dir, id+snapshotTmpSuffix)
		if s.readers[id] == 0 {
			gone = append(gone, tmp)
		} else if err := os.RemoveAll(tmp); err != nil {
			return gone, err
		}
	}
	return gone, nil
}

func (s *Snapshots) finished(k *snapshotSink) {
	took := time.Since(k.started)
	s.stats.taken.Add(1)
	s.stats.lastIndex.Store(k.meta.Index)
	s.stats.lastBytes.Store(k.meta.Size)
	s.stats.lastNanos.Store(int64(took))
	if s.opt.Observe != nil {
		s.opt.Observe(took, k.meta.Size)
	}
}
