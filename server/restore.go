package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/hashicorp/raft"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/server/raftlog"
	"github.com/lycaon-io/lycaon/server/state"
)

// InspectSnapshot verifies a saved state and tells what is in it. It builds
// what a server would, so that none refuses later what was accepted here.
func InspectSnapshot(file string) (state.Info, error) {
	_, info, err := readSaved(file)
	return info, err
}

func readSaved(file string) (*state.Machine, state.Info, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, state.Info{}, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	defer f.Close()
	m, info, err := state.ReadImage(f)
	if err != nil {
		return nil, info, fmt.Errorf("%w: %s: %w", ErrDamaged, file, err)
	}
	return m, info, nil
}

// A restored state stands in the log where a first entry would. The term it
// starts in is none that a first start has, which begins without a snapshot.
const (
	restoredIndex = 1
	restoredTerm  = 1
	startTerm     = 2
)

// Where the zxids of a restored state go on. Its clients may have seen what came after the
// backup, and what came after an earlier restore, of this backup or of another. What is above
// all of that, as far as the clocks are right, is the time.
const (
	zxidsSince = 1_767_225_600     // 2026, in seconds since 1970
	zxidsBits  = 24                // 2^24 changes a second are more than a cluster can make
	maxSeconds = 1 << 33           // whatever a clock says
	leastLeap  = 2 * protocol.Leap // and whatever it does not say
	mostSaved  = 1 << 61           // clients leave who tells one of 2^62
)

// restoredZxid is that of a state of zxid saved which is restored now.
func restoredZxid(saved uint64, now time.Time) uint64 {
	seconds := min(max(now.Unix()-zxidsSince, 0), maxSeconds)
	return max(saved+leastLeap, uint64(seconds)<<zxidsBits)
}

// stable keys of raft.
var currentTermKey = []byte("CurrentTerm")

// RestoreSnapshot verifies a saved state and makes from it cfg.DataDir, the
// data directory of a new cluster of one server, and tells what was saved. Its zxids
// go on above those that clients of a former cluster may have seen, so that these are
// welcome, hear that their watches have a gap, and get higher fencing tokens. The
// directory must be absent or empty, and appears whole or not at all.
func RestoreSnapshot(ctx context.Context, file string, cfg Config) (state.Info, error) {
	if err := cfg.Validate(); err != nil {
		return state.Info{}, err
	}
	cfg = cfg.withPeerAddr() // raft refuses every change of members beside one without an address
	m, info, err := readSaved(file)
	if err != nil {
		return info, err
	}
	if info.Zxid > mostSaved {
		return info, fmt.Errorf("%w: %s: no cluster comes to a zxid of %d", ErrDamaged, file, info.Zxid)
	}
	m.Leap(restoredZxid(info.Zxid, time.Now()))
	entries, err := os.ReadDir(cfg.DataDir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return info, unwritable(cfg.DataDir, err)
	}
	if len(entries) > 0 {
		return info, fmt.Errorf("%w: %s is not empty, and a restore wants a new one", ErrForeignData, cfg.DataDir)
	}
	parent, name := filepath.Split(filepath.Clean(cfg.DataDir))
	if err := os.MkdirAll(filepath.Clean(parent), 0o700); err != nil {
		return info, unwritable(parent, err)
	}
	building, err := os.MkdirTemp(filepath.Clean(parent), name+".restoring-")
	if err != nil {
		return info, unwritable(parent, err)
	}
	if err := build(ctx, building, m.Freeze(), cfg); err != nil {
		return info, errors.Join(storageError(err), os.RemoveAll(building))
	}
	if err := appear(building, cfg.DataDir); err != nil {
		return info, errors.Join(unwritable(cfg.DataDir, err), os.RemoveAll(building))
	}
	return info, nil
}

// appear gives a finished directory its name. The one that has it is empty, or
// it stays.
func appear(building, name string) error {
	if err := syncDir(building); err != nil {
		return err
	}
	if err := os.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Rename(building, name); err != nil {
		return err
	}
	return syncDir(filepath.Dir(name))
}

// build makes the directory: identity, a snapshot, and a log that begins
// after it.
func build(ctx context.Context, dir string, image *state.Image, cfg Config) error {
	d, err := openDataDir(dir, cfg.ID, origin{})
	if err != nil {
		return err
	}
	defer d.close()
	if err := saveAsSnapshot(ctx, d.join(snapshotsName), image, cfg); err != nil {
		return err
	}
	store, err := raftlog.Open(raftlog.Options{Dir: d.join(logName), Logger: cfg.Logger})
	if err != nil {
		return err
	}
	return errors.Join(store.SetUint64(currentTermKey, startTerm), store.Close(), d.noteLog())
}

func saveAsSnapshot(ctx context.Context, dir string, image *state.Image, cfg Config) error {
	log := cfg.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	snaps, err := openSnapshots(dir, log, nil)
	if err != nil {
		return err
	}
	defer snaps.Close()
	alone := raft.Configuration{Servers: []raft.Server{{
		Suffrage: raft.Voter, ID: raft.ServerID(strconv.FormatUint(cfg.ID, 10)), Address: raft.ServerAddress(cfg.PeerAddr),
	}}}
	sink, err := snaps.Create(raft.SnapshotVersionMax, restoredIndex, restoredTerm, alone, restoredIndex, nil)
	if err != nil {
		return err
	}
	if err := state.WriteImage(stoppingWriter{ctx, sink}, image, ctx.Err); err != nil {
		return errors.Join(err, sink.Cancel())
	}
	return sink.Close()
}

// stopping is a reader that ends with its context.
type stopping struct {
	ctx context.Context
	r   io.Reader
}

func (s stopping) Read(b []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	return s.r.Read(b)
}

type stoppingWriter struct {
	ctx context.Context
	w   io.Writer
}

func (s stoppingWriter) Write(b []byte) (int, error) {
	if err := s.ctx.Err(); err != nil {
		return 0, err
	}
	return s.w.Write(b)
}
