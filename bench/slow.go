package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// A start from a disk that is slower than this machine's.

// slowDisk is what a volume of a cloud gives unless more is paid for (AWS: gp3), in MiB a second.
const slowDisk = 125

func slowScene(n int) string { return fmt.Sprintf("a disk of %d MiB/s, %s", slowDisk, coldScene(n)) }

// restartSlow is restartCold with a disk that gives slowDisk. What that disk takes for
// what the start had it read stands beside.
func (v *venue) restartSlow(ctx context.Context) (_ figures, err error) {
	v.slay()
	group, err := slowReads(v.dir)
	if err != nil {
		return nil, err
	}
	defer func() {
		v.slay()
		err = errors.Join(err, group.leave(), group.end())
	}()
	if err := forget(); err != nil {
		return nil, err
	}
	if err := group.enter(); err != nil { // as does what is started then
		return nil, err
	}
	f, err := v.rise(ctx)
	if err != nil {
		return nil, err
	}
	read, err := v.members[0].process.diskRead()
	f[diskS] = float64(read) / (slowDisk << 20)
	return f, err
}

// controlGroup is a group of processes that share a bound, of either version of Linux's
// control groups. This program is in another one otherwise.
type controlGroup struct{ dir, ours string }

// slowReads makes a group that reads no more than slowDisk from the disk of a folder. It
// takes root, and control groups that can be written.
func slowReads(folder string) (*controlGroup, error) {
	disk, err := diskOf(folder)
	if err != nil {
		return nil, err
	}
	parent, controller, limit, text := "/sys/fs/cgroup/blkio", "blkio", "blkio.throttle.read_bps_device", "%s %d"
	if _, err := os.Stat(parent); errors.Is(err, os.ErrNotExist) { // version 2
		parent, controller, limit, text = "/sys/fs/cgroup", "", "io.max", "%s rbps=%d"
		if err := os.WriteFile(filepath.Join(parent, "cgroup.subtree_control"), []byte("+io"), 0); err != nil {
			return nil, err
		}
	}
	ours, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return nil, err
	}
	g := &controlGroup{
		dir:  filepath.Join(parent, "lycaon-bench-"+strconv.Itoa(os.Getpid())),
		ours: filepath.Join(parent, groupIn(string(ours), controller)),
	}
	if err := os.Mkdir(g.dir, 0o755); err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(g.dir, limit), fmt.Appendf(nil, text, disk, slowDisk<<20), 0); err != nil {
		return nil, errors.Join(err, g.end())
	}
	return g, nil
}

// canSlow tells whether slowReads succeeds.
func canSlow(folder string) bool {
	g, err := slowReads(folder)
	return err == nil && g.end() == nil
}

func (g *controlGroup) enter() error { return joinGroup(g.dir) }

func (g *controlGroup) leave() error { return joinGroup(g.ours) }

// groupIn is the group of a process in a hierarchy, of /proc/PID/cgroup; controller is
// empty in version 2.
func groupIn(groups, controller string) string {
	for l := range strings.Lines(groups) {
		if f := strings.SplitN(strings.TrimSpace(l), ":", 3); len(f) == 3 && f[1] == controller {
			return f[2]
		}
	}
	return "/"
}

// end is for a group whose processes have ended.
func (g *controlGroup) end() error { return os.Remove(g.dir) }

func joinGroup(dir string) error {
	return os.WriteFile(filepath.Join(dir, "cgroup.procs"), []byte(strconv.Itoa(os.Getpid())), 0)
}

// diskOf names the disk that a folder is on, "MAJOR:MINOR", the whole one if it is on a
// part of it.
func diskOf(folder string) (string, error) {
	var at unix.Stat_t
	if err := unix.Stat(folder, &at); err != nil {
		return "", &os.PathError{Op: "stat", Path: folder, Err: err}
	}
	disk, err := filepath.EvalSymlinks(fmt.Sprintf("/sys/dev/block/%d:%d", unix.Major(at.Dev), unix.Minor(at.Dev)))
	if err != nil {
		return "", err
	}
	if _, err := os.Stat(filepath.Join(disk, "partition")); err == nil {
		disk = filepath.Dir(disk)
	}
	name, err := os.ReadFile(filepath.Join(disk, "dev"))
	return strings.TrimSpace(string(name)), err
}
