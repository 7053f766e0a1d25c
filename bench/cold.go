package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

// A start whose data is not in the page cache, as after the machine's own restart.

const (
	dropCaches = "/proc/sys/vm/drop_caches"
	cleanPages = "3" // and what is kept of folders and names

	wholeReads = 1 << 20 // bytes a call, as dd bs=1M
)

func coldScene(n int) string { return "page cache dropped, " + restartScene(n) }

// canForget tells whether the page cache can be dropped: by root, and not in each container.
func canForget() bool {
	f, err := os.OpenFile(dropCaches, os.O_WRONLY, 0)
	return err == nil && f.Close() == nil
}

// forget drops the page cache of the machine.
func forget() error {
	syscall.Sync() // what is not on disk would stay
	return os.WriteFile(dropCaches, []byte(cleanPages), 0)
}

// restartCold is restart without what the machine remembers. What the server reads
// meanwhile stands beside what a program gets that does nothing but read its snapshot.
func (v *venue) restartCold(ctx context.Context) (figures, error) {
	v.slay()
	if err := forget(); err != nil {
		return nil, err
	}
	begin := time.Now()
	read, err := readNewest(filepath.Join(v.dir, "1", "snapshots"))
	if err != nil {
		return nil, err
	}
	alone := time.Since(begin).Seconds()
	f, err := v.riseFromDisk(ctx, nil)
	if err == nil && read > 0 {
		f[fileS], f[fileMiBs] = alone, float64(read)/(1<<20)/alone
	}
	return f, err
}

// restartFromDisk is restart without what the machine remembers of the servers' data. It
// keeps their programs: of one that others run too, those would keep it.
func (v *venue) restartFromDisk(ctx context.Context) (figures, error) {
	programs := v.programs()
	v.slay()
	return v.riseFromDisk(ctx, programs)
}

// riseFromDisk is rise, with nothing in the page cache but some files.
func (v *venue) riseFromDisk(ctx context.Context, but []string) (figures, error) {
	if err := errors.Join(forget(), remember(but)); err != nil {
		return nil, err
	}
	f, err := v.rise(ctx)
	if err != nil {
		return nil, err
	}
	all, err := v.members[0].process.diskRead()
	f[startMiBs] = float64(all) / (1 << 20) / f[seconds]
	return f, err
}

// programs are what the servers run: the files that they have mapped or open, but for
// what is in the folder of their data.
func (v *venue) programs() []string {
	data, err := filepath.Abs(v.dir)
	if err != nil {
		data = v.dir
	}
	var all []string
	for _, pid := range v.pids() {
		for l := range strings.Lines(contents(fmt.Sprintf("/proc/%d/maps", pid))) {
			if at := strings.IndexByte(l, '/'); at >= 0 {
				all = append(all, strings.TrimSpace(l[at:]))
			}
		}
		open, _ := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid)) // fails for a bad pattern alone
		for _, f := range open {
			if name, err := os.Readlink(f); err == nil {
				all = append(all, name)
			}
		}
	}
	slices.Sort(all)
	return slices.DeleteFunc(slices.Compact(all), func(name string) bool {
		info, err := os.Stat(name)
		return err != nil || !info.Mode().IsRegular() || hasPrefix(name, []string{data + "/", "/proc/", "/sys/"})
	})
}

// remember reads files, so that the machine has them in memory.
func remember(files []string) error {
	for _, name := range files {
		if _, err := readWhole(name); err != nil && !errors.Is(err, os.ErrNotExist) { // which a server keeps for its life
			return err
		}
	}
	return nil
}

// diskRead is what a process had the disk read so far, in bytes.
func (p *process) diskRead() (int64, error) {
	all, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", p.pid()))
	return readBytes(string(all)), err
}

// readBytes is that of /proc/PID/io.
func readBytes(io string) (n int64) {
	for l := range strings.Lines(io) {
		if rest, ok := strings.CutPrefix(l, "read_bytes:"); ok {
			fmt.Sscan(rest, &n)
		}
	}
	return n
}

// readNewest reads the newest snapshot of a folder from its first byte to its last.
func readNewest(folder string) (n int64, err error) {
	all, err := filepath.Glob(filepath.Join(folder, "*", "state"))
	all = slices.DeleteFunc(all, func(name string) bool { return strings.HasSuffix(filepath.Dir(name), ".tmp") }) // not finished
	if err != nil || len(all) == 0 {
		return 0, err
	}
	var newest os.FileInfo
	var name string
	for _, f := range all {
		info, err := os.Stat(f)
		if err != nil {
			return 0, err
		}
		if newest == nil || info.ModTime().After(newest.ModTime()) {
			newest, name = info, f
		}
	}
	return readWhole(name)
}

func readWhole(name string) (n int64, err error) {
	file, err := os.Open(name)
	if err != nil {
		return 0, err
	}
	for buf := make([]byte, wholeReads); err == nil; {
		var got int
		got, err = file.Read(buf)
		n += int64(got)
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return n, errors.Join(err, file.Close())
}
