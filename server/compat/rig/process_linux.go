package rig

import "syscall"

// endWithParent has the kernel kill a child of ours with the thread that started it.
func endWithParent(attr *syscall.SysProcAttr) { attr.Pdeathsig = syscall.SIGKILL }
