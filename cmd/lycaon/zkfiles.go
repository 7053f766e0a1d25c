package main

import (
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"

	"github.com/lycaon-io/lycaon/cmd/lycaon/internal/zkfile"
)

// zkFiles is what a snapshot and its logs say.
type zkFiles struct {
	tree    *zkfile.Tree
	applied int    // transactions
	newest  string // of the snapshots beside
	notices []string
}

var (
	snapshotName = regexp.MustCompile(`^snapshot\.([0-9a-f]{1,16})(\.gz|\.snappy)?$`)
	logName      = regexp.MustCompile(`^log\.([0-9a-f]{1,16})$`)
)

// readZooKeeper makes the tree of a snapshot and the logs.
func readZooKeeper(z *zkImport) (*zkFiles, error) {
	zxid, ok := zxidOf(z.snapshot)
	if !ok {
		return nil, usageError{fmt.Errorf("%s: the name of a snapshot is snapshot.HEX, the transaction that it was begun at", z.snapshot)}
	}
	files := &zkFiles{notices: []string{}}
	logs, err := files.findLogs(z.logs, z.incomplete)
	if err != nil {
		return nil, err
	}
	err = reading(z.snapshot, func(file *os.File) (err error) {
		files.tree, err = zkfile.ReadSnapshot(file, zxid)
		return err
	})
	if err != nil {
		return nil, err
	}
	if z.incomplete {
		files.tree.Lenient()
	}
	files.lookBeside(z.snapshot)
	for i, log := range logs {
		if log.tooOld(logs[i+1:], zxid) {
			continue
		}
		if err := files.replay(log.path); err != nil {
			return nil, files.incomplete(err)
		}
	}
	if at, _ := zxidOf(files.newest); at > files.tree.Zxid() {
		files.notices = append(files.notices, fmt.Sprintf("%s lies beside the snapshot and is newer than what is imported", files.newest))
	}
	if beside := unnamedLog(z); beside != "" {
		files.notices = append(files.notices, fmt.Sprintf("%s lies beside the snapshot and is not read; --zk-log %s would apply what was written after it", beside, filepath.Dir(beside)))
	}
	if err := files.tree.Complete(); err != nil {
		return nil, files.incomplete(fmt.Errorf("%s: it was written while ZooKeeper went on, and %w", z.snapshot, err))
	}
	return files, nil
}

// zxidOf is the transaction that a snapshot was begun at, which its name says.
func zxidOf(snapshot string) (zxid int64, ok bool) { return zxidIn(snapshotName, snapshot) }

func zxidIn(names *regexp.Regexp, path string) (zxid int64, ok bool) {
	name := names.FindStringSubmatch(filepath.Base(path))
	if name == nil {
		return 0, false
	}
	zxid, err := strconv.ParseInt(name[1], 16, 64)
	return zxid, err == nil
}

// lookBeside tells the tree of the snapshots in the directory of its own.
func (f *zkFiles) lookBeside(snapshot string) {
	entries, _ := os.ReadDir(filepath.Dir(snapshot)) // its own was read: what cannot be listed is not told of
	most := int64(-1)
	for _, e := range entries {
		zxid, ok := zxidOf(e.Name())
		if !ok {
			continue
		}
		f.tree.Reached(zxid)
		if zxid > most {
			most, f.newest = zxid, filepath.Join(filepath.Dir(snapshot), e.Name())
		}
	}
}

func (f *zkFiles) replay(path string) error {
	return reading(path, func(file *os.File) error {
		done, err := f.tree.Replay(file)
		f.applied += done.Applied
		f.tellTorn(path, done.Torn)
		return err
	})
}

func (f *zkFiles) tellTorn(path, torn string) {
	if torn != "" {
		f.notices = append(f.notices, fmt.Sprintf("%s: %s; it ends there", path, torn))
	}
}

// zkLog is a log and the first transaction in it.
type zkLog struct {
	path  string
	first int64
}

// tooOld tells whether another log of the same directory, so of the same server,
// begins before the first transaction that is needed. Those of another server
// may end anywhere.
func (l zkLog) tooOld(later []zkLog, snapshot int64) bool {
	return slices.ContainsFunc(later, func(next zkLog) bool {
		return l.first < next.first && next.first <= snapshot+1 && filepath.Dir(l.path) == filepath.Dir(next.path)
	})
}

// findLogs lists the logs that are named, and those in directories that are
// named, in the order of their transactions. Those without any are left out. A
// damaged one whose name does not tell its first is the last, or an error if not lenient.
func (f *zkFiles) findLogs(named []string, lenient bool) (logs []zkLog, err error) {
	var paths []string
	for _, path := range named {
		info, err := os.Stat(path)
		if err != nil {
			return nil, usageError{err}
		}
		if !info.IsDir() {
			paths = append(paths, path)
			continue
		}
		found, err := logsIn(path)
		if err != nil {
			return nil, usageError{err}
		}
		paths = append(paths, found...)
	}
	for _, path := range paths {
		err := reading(path, func(file *os.File) error {
			first, torn, err := zkfile.FirstZxid(file)
			if errors.Is(err, zkfile.ErrDamaged) { // which is told when it is replayed, if it is not too old for that
				if at, ok := zxidIn(logName, path); ok {
					first, err = max(1, at), nil
				} else if lenient {
					first, err = math.MaxInt64, nil
				}
			}
			if first > 0 {
				logs = append(logs, zkLog{path, first})
			}
			f.tellTorn(path, torn)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	slices.SortStableFunc(logs, func(a, b zkLog) int { return int(min(1, max(-1, a.first-b.first))) })
	return logs, nil
}

// unnamedLog is a log in the directory of the snapshot where none was named,
// the last by name, or "".
func unnamedLog(z *zkImport) string {
	if len(z.logs) > 0 {
		return ""
	}
	found, err := logsIn(filepath.Dir(z.snapshot))
	if err != nil {
		return ""
	}
	return found[len(found)-1]
}

// logsIn lists the logs of a directory, or of the version-2 in it, where
// ZooKeeper keeps them.
func logsIn(dir string) (paths []string, err error) {
	for _, at := range []string{dir, filepath.Join(dir, "version-2")} {
		entries, err := os.ReadDir(at)
		if err != nil && at == dir {
			return nil, err
		}
		for _, e := range entries {
			if logName.MatchString(e.Name()) {
				paths = append(paths, filepath.Join(at, e.Name()))
			}
		}
	}
	if len(paths) == 0 {
		return nil, fmt.Errorf("%s: no log.HEX is in it", dir)
	}
	return paths, nil
}

// reading opens a file for read, and puts its name before the error.
func reading(path string, read func(*os.File) error) error {
	file, err := os.Open(path)
	if err != nil {
		return usageError{err}
	}
	defer file.Close()
	if err := read(file); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

// incomplete tells the ways on where transactions are missing.
func (f *zkFiles) incomplete(err error) error {
	missing := (*zkfile.MissingError)(nil)
	if !errors.As(err, &missing) {
		return err
	}
	begin := ""
	if at, _ := zxidOf(f.newest); at > missing.After {
		begin = fmt.Sprintf(" begin with %s,", f.newest)
	}
	return fmt.Errorf("%w: name their logs with --zk-log,%s or --zk-incomplete goes on without", err, begin)
}
