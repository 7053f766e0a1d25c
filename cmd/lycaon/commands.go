package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

const (
	groupServer = "server"
	groupTree   = "tree"
	groupOther  = "other"
)

// shellWords are the commands that the shell and the command line share.
func shellWords(e *env) []*cobra.Command {
	words := []*cobra.Command{
		newGet(e), newSet(e), newCreate(e), newDelete(e), newDeleteAll(e), newLs(e), newStat(e),
		newGetACL(e), newSetACL(e), newTree(e), newCount(e), newWatch(e), newImport(e), newExport(e),
		newAddAuth(e), newWhoAmI(e), newSync(e), newEphemerals(e), newSession(e), newVersion(e), newStatus(e),
		newSessions(e), newOwner(e), newWhy(e), newKillSession(e), newMembers(e),
		newQueue(e), newBarrier(e), newCounter(e),
		newMember(e), newTransferLeader(e), newSetQuota(e), newListQuota(e), newDelQuota(e),
		newLock(e), newElect(e), newFind(e), newGrep(e), newDu(e), newCp(e), newMv(e), newDiff(e), newMulti(e), newPlan(e), newApply(e),
		newAddWatch(e), newRemoveWatches(e), newPrintWatches(e), newConfig(e), newReconfig(e), newConnect(e), newClose(e),
		newBench(e),
		newEdit(e), newTouch(e),
	}
	for _, cmd := range words {
		e.addOutputFlag(cmd)
	}
	return words
}

func newVersion(e *env) *cobra.Command {
	return &cobra.Command{
		Use:     "version",
		Short:   "Print the version of this program",
		Example: "  version",
		GroupID: groupOther,
		Args:    exactArgs(0),
		RunE: func(*cobra.Command, []string) error {
			if e.out.structured() {
				return e.out.value(map[string]string{"version": version()})
			}
			if e.out.compat() {
				return e.out.line("ZooKeeper CLI version: %s", version())
			}
			return e.out.line("%s", version())
		},
	}
}

// gather makes cmd a word that wants one of these behind it.
func (e *env) gather(cmd *cobra.Command, subs ...*cobra.Command) *cobra.Command {
	var names []string
	for _, sub := range subs {
		names = append(names, sub.Name())
		e.addOutputFlag(sub)
		cmd.AddCommand(sub)
	}
	wants := names[len(names)-1]
	if others := names[:len(names)-1]; len(others) > 0 {
		wants = strings.Join(others, ", ") + " or " + wants
	}
	cmd.Args = cobra.ArbitraryArgs
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		return usageError{fmt.Errorf("%s wants %s; see %s --help", cmd.Name(), wants, commandName(cmd))}
	}
	return cmd
}
