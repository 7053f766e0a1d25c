package raftlog

import (
	"errors"
	"fmt"
	"slices"
	"syscall"
)

var (
	// ErrLocked: another process has the directory open.
	ErrLocked = errors.New("raftlog: directory is in use by another process")
	// ErrNewerFormat: the files were written by a newer version; nothing was touched.
	ErrNewerFormat = errors.New("raftlog: files have a newer format than this program knows")
	// ErrBehindGuard: the store holds less than its tail guard says was durable, or the guard is missing or foreign.
	ErrBehindGuard = errors.New("raftlog: store does not match its tail guard")
	// ErrCorrupt: acknowledged data is damaged. It is never reported to raft as a missing entry, since raft would take
	// that for "compacted" and go on.
	ErrCorrupt = errors.New("raftlog: acknowledged data is damaged")
	// ErrClosed: the store or snapshot directory was closed.
	ErrClosed = errors.New("raftlog: closed")
	// ErrNotContiguous: entries do not continue the log; nothing was written.
	ErrNotContiguous = errors.New("raftlog: entries do not continue the log")
	// ErrHole: a range strictly inside the log cannot be deleted; nothing was written.
	ErrHole = errors.New("raftlog: deleting inside the log would leave a hole")
	// ErrTooLarge: an entry, key or value is above its limit; nothing was written.
	ErrTooLarge = errors.New("raftlog: above a size limit")
	// ErrDiskFull: free space is below the hard mark.
	ErrDiskFull = errors.New("raftlog: free disk space is below the hard mark")
	// ErrSnapshotGap: no valid snapshot reaches the first entry of the log.
	ErrSnapshotGap = errors.New("raftlog: no valid snapshot bridges to the log")
	// ErrNoSnapshot: the snapshot asked for does not exist.
	ErrNoSnapshot = errors.New("raftlog: no such snapshot")

	// errNotFound carries the one text that raft accepts for an absent stable key.
	errNotFound = errors.New("not found")
)

// repairStore is the end of every refusal. Starting with an empty log under the old identity could vote twice in one
// term, hence the insistence.
const repairStore = "repair: stop this server and keep a copy of the directory; then remove it and let the server join as a new member" +
	" under a new id, or, for a cluster of one, restore from a saved snapshot; never start the old id with an empty directory"

const repairSnapshot = "repair: put back an intact copy of the snapshot, or remove this server's whole data directory and let it join" +
	" as a new member under a new id; for a cluster of one, restore from a saved snapshot"

func corrupt(file, format string, args ...any) error {
	return fmt.Errorf("%w: %s: %w; %s", ErrCorrupt, file, fmt.Errorf(format, args...), repairStore)
}

func behind(file, format string, args ...any) error {
	return fmt.Errorf("%w: %s: %w; %s", ErrBehindGuard, file, fmt.Errorf(format, args...), repairStore)
}

// What the system has no more of, which is no damage.
var (
	noRoom      = []syscall.Errno{syscall.ENOSPC, syscall.EDQUOT}
	noResources = []syscall.Errno{syscall.EMFILE, syscall.ENFILE, syscall.ENOMEM}
)

// FullDisk tells whether the disk refused to take what was written, or would take no more of this user.
func FullDisk(err error) bool { return isOneOf(err, noRoom) }

func lacksResources(err error) bool { return isOneOf(err, noResources) }

func isOneOf(err error, lacks []syscall.Errno) bool {
	return slices.ContainsFunc(lacks, func(lack syscall.Errno) bool { return errors.Is(err, lack) })
}
