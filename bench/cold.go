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
	if err := forget(); err != nil {
		return nil, err
	}
	took, err := v.rise(ctx)
	if err != nil {
		return nil, err
	}
	f := figures{seconds: took.Seconds()}
	if read > 0 {
		f[fileS], f[fileMiBs] = alone, float64(read)/(1<<20)/alone
	}
	all, err := v.members[0].process.diskRead()
	if err == nil {
		f[startMiBs] = float64(all) / (1 << 20) / took.Seconds()
	}
	return f, err
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
