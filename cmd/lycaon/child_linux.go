package main

import "syscall"

// endWithParent kills a child when this process dies, however it does: what it
// held is soon somebody else's.
func endWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGKILL }
