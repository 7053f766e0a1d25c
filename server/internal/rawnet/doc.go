// Package rawnet reads and writes TCP sockets without telling Go's scheduler of
// each system call. None of these calls can block, so the scheduler has nothing to
// do for them; told of the first one after a rest it wakes its monitor thread, and
// that was a third of the CPU of a server whose clients only ping. Waiting,
// deadlines and closing stay with package net. It also sets from how many bytes on a
// socket wakes who waits for them (Threshold). It does not know what is sent.
package rawnet
