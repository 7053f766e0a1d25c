package server

import (
	"errors"
	"fmt"
	"strings"

	"github.com/lycaon-io/lycaon/server/raftlog"
	"github.com/lycaon-io/lycaon/server/replicate"
	"github.com/lycaon-io/lycaon/server/state"
)

// Why a server does not start or go on. Each has an exit code of its own.
var (
	ErrConfig      = errors.New("configuration")
	ErrPortInUse   = errors.New("address is in use")
	ErrUnwritable  = errors.New("data directory cannot be written")
	ErrLocked      = errors.New("data directory is in use by another process")
	ErrForeignData = errors.New("data directory is not of this server")
	ErrNewerFormat = errors.New("data directory was written by a newer version")
	ErrDamaged     = errors.New("damaged data")
	ErrDiskFull    = errors.New("disk is full")
	ErrRemoved     = errors.New("this server was removed from its cluster")
	ErrRefused     = errors.New("the cluster does not admit this server")
)

// storageErrors maps what the store says to what an operator is told.
var storageErrors = []struct{ from, to error }{
	{raftlog.ErrLocked, ErrLocked},
	{raftlog.ErrNewerFormat, ErrNewerFormat},
	{raftlog.ErrDiskFull, ErrDiskFull},
	{raftlog.ErrBehindGuard, ErrDamaged},
	{raftlog.ErrCorrupt, ErrDamaged},
	{raftlog.ErrSnapshotGap, ErrDamaged},
	{replicate.ErrNoLog, ErrDamaged},
	{replicate.ErrNoOthers, ErrConfig},
	{replicate.ErrBeyondRepair, ErrDamaged},
	{replicate.ErrNoSource, ErrDamaged},
	{state.ErrUnknownFormat, ErrNewerFormat},
	{state.ErrCorrupt, ErrDamaged},
}

// storageError gives an error the kind that has an exit code. What the node says
// of its cluster is said once: its own words are the kind's.
func storageError(err error) error {
	for _, row := range []struct{ from, to error }{{replicate.ErrRemoved, ErrRemoved}, {replicate.ErrRefused, ErrRefused}} {
		if errors.Is(err, row.from) {
			return fmt.Errorf("%w%s", row.to, strings.TrimPrefix(err.Error(), row.from.Error()))
		}
	}
	for _, row := range storageErrors {
		if errors.Is(err, row.from) {
			return fmt.Errorf("%w: %w", row.to, err)
		}
	}
	if raftlog.FullDisk(err) {
		return fmt.Errorf("%w: %w", ErrDiskFull, err)
	}
	return err
}
