package raftlog

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// adviseRandom tells the kernel not to read ahead in the files mapped from dir that Badger writes to. Read-ahead builds large
// folios in the page cache and msync then writes whole folios: about 15 times the bytes of the log.
// It returns how many mappings it found; a mapping that vanishes meanwhile is harmless, the advice is only a hint.
func adviseRandom(dir string) (found int) {
	dir, err := filepath.EvalSymlinks(dir) // the kernel names files without symbolic links
	if err != nil {
		return 0
	}
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return 0
	}
	for line := range bytes.Lines(maps) {
		start, end, path, ok := parseMapping(string(bytes.TrimSuffix(line, []byte("\n"))))
		if !ok || filepath.Dir(path) != dir || !slices.Contains([]string{".mem", ".vlog"}, filepath.Ext(path)) {
			continue
		}
		if _, _, errno := syscall.Syscall(syscall.SYS_MADVISE, start, end-start, syscall.MADV_RANDOM); errno == 0 {
			found++
		}
	}
	return found
}

// hugePages asks for memory, which nobody has touched, in large pages: where the host of a virtual machine gives it slowly, the
// first touch of each small one costs a write more than all else.
func hugePages(memory []byte) {
	_ = syscall.Madvise(memory, syscall.MADV_HUGEPAGE) // or it comes in small ones
}

// dropPages gives memory back that was mapped in place of a file: it is zero when it is touched again.
func dropPages(memory []byte) {
	_ = syscall.Madvise(memory, syscall.MADV_DONTNEED) // or it is resident until it is unmapped
}

// parseMapping reads "start-end perms offset dev inode   path".
func parseMapping(line string) (start, end uintptr, path string, ok bool) {
	slash := strings.IndexByte(line, '/')
	bounds, _, _ := strings.Cut(line, " ")
	from, to, cut := strings.Cut(bounds, "-")
	if slash < 0 || !cut {
		return 0, 0, "", false
	}
	a, err1 := strconv.ParseUint(from, 16, 64)
	b, err2 := strconv.ParseUint(to, 16, 64)
	return uintptr(a), uintptr(b), line[slash:], err1 == nil && err2 == nil && b > a
}
