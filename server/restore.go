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

	"github.com/hashicorp/raft"

	"github.com/lycaon-io/lycaon/server/raftlog"
	"github.com/lycaon-io/lycaon/server/state"
)

// InspectSnapshot verifies a saved state and tells what is in it. It builds
// what a server would, so that none refuses later what was accepted here.
func InspectSnapshot(file string) (state.Info, error) {
	f, err := os.Open(file)
	if err != nil {
		return state.Info{}, fmt.Errorf("%w: %w", ErrConfig, err)
	}
	defer f.Close()
	_, info, err := state.ReadImage(f)
	if err != nil {
		return info, fmt.Errorf("%w: %s: %w", ErrDamaged, file, err)
	}
	return info, nil
}

// A restored state stands in the log where a first entry would. The term it
// starts in is none that a first start has, which begins without a snapshot.
const (
	restoredIndex = 1
	restoredTerm  = 1
	startTerm     = 2
)

// stable keys of raft.
var currentTermKey = []byte("CurrentTerm")

// RestoreSnapshot verifies a saved state and makes from it cfg.DataDir, the
// data directory of a new cluster of one server. The directory must be absent
// or empty, and appears whole or not at all.
func RestoreSnapshot(ctx context.Context, file string, cfg Config) (state.Info, error) {
	if err := cfg.Validate(); err != nil {
		return state.Info{}, err
	}
	cfg = cfg.withPeerAddr() // raft refuses every change of members beside one without an address
	info, err := InspectSnapshot(file)
	if err != nil {
		return info, err
	}
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
	if err := build(ctx, building, file, cfg); err != nil {
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
func build(ctx context.Context, dir, file string, cfg Config) error {
	d, err := openDataDir(dir, cfg.ID, origin{})
	if err != nil {
		return err
	}
	defer d.close()
	if err := saveAsSnapshot(ctx, d.join(snapshotsName), file, cfg); err != nil {
		return err
	}
	store, err := raftlog.Open(raftlog.Options{Dir: d.join(logName), Logger: cfg.Logger})
	if err != nil {
		return err
	}
	return errors.Join(store.SetUint64(currentTermKey, startTerm), store.Close(), d.noteLog())
}

func saveAsSnapshot(ctx context.Context, dir, file string, cfg Config) error {
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
	f, err := os.Open(file)
	if err == nil {
		defer f.Close()
		_, err = io.Copy(sink, stopping{ctx, f})
	}
	if err != nil {
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
