package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/pflag"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/recipes"
	"github.com/lycaon-io/lycaon/server"
)

// Exit codes. 0 to 7 are those of client commands, from 10 on those of serve
// and of the commands that work on files.
const (
	exitOK          = 0
	exitError       = 1
	exitUsage       = 2
	exitNotFound    = 3
	exitVersion     = 4
	exitAuth        = 5
	exitSession     = 6
	exitUnavailable = 7

	exitPortInUse   = 10
	exitUnwritable  = 11
	exitLocked      = 12
	exitForeignData = 13
	exitNewerFormat = 14
	exitDamaged     = 15
	exitDiskFull    = 16
	exitRemoved     = 17
	exitRefused     = 18
)

// usageError is a mistake in what was typed.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// exitStatus is the exit code of a command that was run for the user, and is
// passed on without a word.
type exitStatus int

func (s exitStatus) Error() string      { return fmt.Sprintf("the command ended with exit code %d", int(s)) }
func (exitStatus) Is(target error) bool { return target == errQuiet }

// exitCodes maps what went wrong to the code of the process, first match
// first.
var exitCodes = []struct {
	err  error
	code int
}{
	{recipes.ErrLost, exitSession},
	{recipes.ErrEmpty, exitNotFound},
	{errNotConnected, exitSession},
	{errNoWatch, exitNotFound},
	{errConflict, exitVersion},
	{errNoSession, exitNotFound},
	{errNotOwned, exitNotFound},
	{server.ErrConfig, exitUsage},
	{server.ErrPortInUse, exitPortInUse},
	{server.ErrUnwritable, exitUnwritable},
	{server.ErrLocked, exitLocked},
	{server.ErrForeignData, exitForeignData},
	{server.ErrNewerFormat, exitNewerFormat},
	{server.ErrDamaged, exitDamaged},
	{server.ErrDiskFull, exitDiskFull},
	{server.ErrRemoved, exitRemoved},
	{server.ErrRefused, exitRefused},
	{client.ErrBadArguments, exitUsage},
	{client.ErrInvalidACL, exitUsage},
	{client.ErrNoNode, exitNotFound},
	{client.ErrBadVersion, exitVersion},
	{client.ErrNoAuth, exitAuth},
	{client.ErrAuthFailed, exitAuth},
	{client.ErrSessionExpired, exitSession},
	{client.ErrFenced, exitSession},
	{client.ErrDisconnected, exitUnavailable},
	{client.ErrNotReady, exitUnavailable},
	{client.ErrThrottled, exitUnavailable},
	{client.ErrTooManyOutcomes, exitUnavailable},
	{context.DeadlineExceeded, exitUnavailable},
}

func exitCode(err error) int {
	if err == nil {
		return exitOK
	}
	if usage := (usageError{}); errors.As(err, &usage) {
		return exitUsage
	}
	if unparsed := (*pflag.InvalidValueError)(nil); errors.As(err, &unparsed) {
		return exitUsage
	}
	if status := exitStatus(0); errors.As(err, &status) {
		return int(status)
	}
	if zoo := (zooError{}); errors.As(err, &zoo) {
		return zoo.code
	}
	for _, row := range exitCodes {
		if errors.Is(err, row.err) {
			return row.code
		}
	}
	return exitError
}
