package main

import (
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"github.com/lycaon-io/lycaon/client"
)

// watchModes are the names that ZooKeeper has for what addWatch sets.
var watchModes = map[string]watchKind{"PERSISTENT": watchPersistent, "PERSISTENT_RECURSIVE": watchRecursive}

func newAddWatch(e *env) *cobra.Command {
	var mode string
	cmd := &cobra.Command{
		Use:   "addWatch PATH",
		Short: "Tell every change of a node behind the shell's prompt",
		Long: `Tell every change of a node, which need not exist, behind the shell's prompt, until
removewatches or the end of the session: of the node and all below it, or with
-m PERSISTENT of the node and its list of children.`,
		Example: "  addWatch /app\n  addWatch -m PERSISTENT /app/config",
		GroupID: groupTree,
		Args:    exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			kind, known := watchModes[mode]
			if !known {
				return usageError{fmt.Errorf("--mode %q: want PERSISTENT or PERSISTENT_RECURSIVE", mode)}
			}
			if err := e.wantsShell("addWatch is for the shell, with which its watch ends; on its own watch PATH prints the changes"); err != nil {
				return err
			}
			c, err := e.session(cmd.Context())
			if err != nil {
				return err
			}
			w, err := c.Watch(cmd.Context(), args[0], kind.options()...)
			if err != nil {
				return err
			}
			e.stand(w, args[0], kind)
			return nil
		},
	}
	cmd.Flags().StringVarP(&mode, "mode", "m", "PERSISTENT_RECURSIVE", "`MODE`: PERSISTENT, of the node and its list of children, or PERSISTENT_RECURSIVE")
	return cmd
}

func newRemoveWatches(e *env) *cobra.Command {
	var all, local bool
	kinds := []struct {
		kind          watchKind
		letter, about string
		chosen        bool
	}{
		{kind: watchChildren, letter: "c", about: "that of ls -w"},
		{kind: watchData, letter: "d", about: "that of get -w, stat -w and config -w"},
		{kind: watchPersistent, letter: "p", about: "that of addWatch -m PERSISTENT"},
		{kind: watchRecursive, letter: "r", about: "that of addWatch"},
	}
	cmd := &cobra.Command{
		Use:   "removewatches PATH",
		Short: "End the watches of a node that this shell has set",
		Long: `End the watches of a node that this shell has set with -w and addWatch: all of them, or
those of the kinds that are named.`,
		Example: "  removewatches /app\n  removewatches /app -d",
		GroupID: groupTree,
		Args:    exactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var chosen []watchKind
			for _, k := range kinds {
				if k.chosen && !all {
					chosen = append(chosen, k.kind)
				}
			}
			removed := e.watches.remove(func(s *standing) bool {
				return s.path == args[0] && (len(chosen) == 0 || slices.Contains(chosen, s.kind))
			})
			if len(removed) == 0 {
				return &client.Error{Op: "removewatches", Path: args[0], Err: errNoWatch}
			}
			return e.printRemoved(args[0], removed)
		},
	}
	f := cmd.Flags()
	for i, k := range kinds {
		f.BoolVarP(&kinds[i].chosen, string(k.kind), k.letter, false, k.about)
	}
	f.BoolVarP(&all, "all", "a", false, "those of every kind, as without a flag")
	f.BoolVarP(&local, "local", "l", false, "taken as ZooKeeper's shell does; a lost connection is no hindrance here")
	return cmd
}

// errNoWatch is of a node that the shell does not watch.
var errNoWatch = errors.New("this shell has no such watch")

func (e *env) printRemoved(path string, removed []*standing) error {
	kinds := []watchKind{}
	for _, s := range removed {
		kinds = append(kinds, s.kind)
	}
	slices.Sort(kinds)
	if e.out.structured() {
		return e.out.value(map[string]any{"path": path, "removed": kinds})
	}
	if e.out.compat() {
		return e.out.zooRemoved(path, kinds)
	}
	for _, kind := range kinds {
		if err := e.out.line("removed the %s watch of %s", kind, path); err != nil {
			return err
		}
	}
	return nil
}

func newPrintWatches(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "printwatches [on|off]",
		Short: "Say whether the events of watches are printed, or change it",
		Long: `Say whether the events of watches set with -w and addWatch are printed in this shell, or
change it. Those that come while it is off are not told later.`,
		Example: "  printwatches off",
		GroupID: groupTree,
		Args:    maxArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return e.printMuted()
			}
			if args[0] != "on" && args[0] != "off" {
				return usageError{fmt.Errorf("printwatches %s: want on or off", args[0])}
			}
			if err := e.wantsShell("printwatches is for the shell, which prints the changes of what it watches"); err != nil {
				return err
			}
			e.watches.mute(args[0] == "off")
			return nil
		},
	}
}

func (e *env) printMuted() error {
	state := "on"
	if e.watches.isMuted() {
		state = "off"
	}
	if e.out.structured() {
		return e.out.value(map[string]string{"printwatches": state})
	}
	return e.out.line("printwatches is %s", state)
}

func (w *watches) mute(off bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.muted = off
}

func (w *watches) isMuted() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.muted
}
