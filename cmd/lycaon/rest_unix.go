//go:build unix

package main

import (
	"syscall"
	"time"
)

// spending is what the process has used until now.
func spending() (s spent, ok bool) {
	var u syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &u) != nil {
		return spent{}, false
	}
	return spent{cpu: time.Duration(u.Utime.Nano() + u.Stime.Nano()), pages: int64(u.Majflt)}, true
}
