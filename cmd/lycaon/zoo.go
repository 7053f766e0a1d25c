package main

import (
	"context"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// In the form compat a word of ZooKeeper's shell is taken as that shell takes it:
// its flags are looked for as commons-cli does, what it refuses it refuses in its
// words, and errors have its text and its exit codes. The command itself is ours,
// and prints in that form. Our own words are as ever.

// zooWord is a word of ZooKeeper's shell.
type zooWord struct {
	name, usage string
	flags       string   // letters, those that want a value with : behind them
	long        []string // flags of more than a letter; each wants a value
	least, most int      // arguments
	path        int      // which of them is a path, from 1 on
	alone       bool     // works without a session
	refuse      func(zooLine) error
}

// zooWords are in the order of the list that an unknown word is answered with.
var zooWords = []zooWord{
	{name: "addWatch", usage: "[-m mode] path # optional mode is one of [PERSISTENT, PERSISTENT_RECURSIVE] - default is PERSISTENT_RECURSIVE", flags: "m:", least: 1, most: 1, path: 1, refuse: refuseMode},
	{name: "addauth", usage: "scheme auth", least: 2, most: 2},
	{name: "close"},
	{name: "config", usage: "[-c] [-w] [-s]", flags: "cws"},
	{name: "connect", usage: "host:port", most: 1, alone: true},
	{name: "create", usage: "[-s] [-e] [-c] [-t ttl] path [data] [acl]", flags: "sect:", least: 1, most: 3, path: 1, refuse: refuseCreate},
	{name: "delete", usage: "[-v version] path", flags: "v:", least: 1, most: 1, path: 1},
	{name: "deleteall", usage: "path [-b batch size]", flags: "b:", least: 1, most: 1, path: 1, refuse: refuseBatch},
	{name: "delquota", usage: "[-n|-b|-N|-B] path", flags: "nbNB", least: 1, most: 1, path: 1},
	{name: "get", usage: "[-s] [-w] [-b] [-x] path", flags: "swbx", least: 1, most: 1, path: 1},
	{name: "getAcl", usage: "[-s] path", flags: "s", least: 1, most: 1, path: 1},
	{name: "getAllChildrenNumber", usage: "path", least: 1, most: 1, path: 1},
	{name: "getEphemerals", usage: "path", most: 1, path: 1},
	{name: "history", alone: true},
	{name: "listquota", usage: "path", least: 1, most: 1, path: 1},
	{name: "ls", usage: "[-s] [-w] [-R] path", flags: "swR?", least: 1, most: 1, path: 1, refuse: helpOfLs},
	{name: "printwatches", usage: "on|off", most: 1, alone: true},
	{name: "quit", alone: true},
	{name: "reconfig", usage: "[-s] [-v version] [[-file path] | [-members serverID=host:port1:port2;port3[,...]*]] | [-add serverId=host:port1:port2;port3[,...]]* [-remove serverId[,...]*]",
		flags: "sv:", long: []string{"file", "members", "add", "remove"}, refuse: refuseReconfig},
	{name: "redo", usage: "cmdno", most: 1, alone: true},
	{name: "removewatches", usage: "path [-c|-d|-a] [-l]", flags: "cdpral", least: 1, most: 1, path: 1},
	{name: "set", usage: "[-s] [-v version] [-b] path data", flags: "sv:b", least: 2, most: 2, path: 1},
	{name: "setAcl", usage: "[-s] [-v version] [-R] path acl", flags: "sv:R", least: 2, most: 2, path: 1, refuse: refuseSetACL},
	{name: "setquota", usage: "-n|-b|-N|-B val path", flags: "n:b:N:B:", least: 1, most: 1, path: 1, refuse: refuseQuota},
	{name: "stat", usage: "[-w] path", flags: "w", least: 1, most: 1, path: 1},
	{name: "sync", usage: "path", least: 1, most: 1, path: 1},
	{name: "version"},
	{name: "whoami"},
}

func findZooWord(name string) *zooWord {
	i := slices.IndexFunc(zooWords, func(w zooWord) bool { return w.name == name })
	if i < 0 {
		return nil
	}
	return &zooWords[i]
}

// runZoo runs a line of the shell, or a command line, in the form compat.
func runZoo(ctx context.Context, e *env, words []string) error {
	word := findZooWord(words[0])
	if word == nil {
		if !isOurs(newShellRoot(e), words[0]) {
			return unknownZooWord(words[0])
		}
		return runWords(ctx, e, words)
	}
	if e.closed && !word.alone {
		return e.out.line("Not connected")
	}
	line, err := word.read(words[1:])
	if err != nil {
		return err
	}
	e.literal = true
	defer func() { e.literal = false }()
	err = word.failure(runWords(ctx, e, line.ours()), line)
	if e.closed && word.alone && err == nil { // as it says behind these, too
		return e.out.line("Not connected")
	}
	return err
}

// isOurs tells whether a word is a command of ours, those included that cobra adds
// for completion. help is not: ZooKeeper's shell has no such word.
func isOurs(root *cobra.Command, name string) bool {
	if root.Name() != "" {
		root.InitDefaultCompletionCmd()
	}
	cmd, _, err := root.Find([]string{name})
	return err == nil && cmd.HasParent() && cmd.Name() != "help" || name == cobra.ShellCompRequestCmd || name == cobra.ShellCompNoDescRequestCmd
}

// zooRedo is the earlier line in place of a redo, "" if there is none.
func zooRedo(line, earlier string) (string, error) {
	switch {
	case strings.TrimSpace(line) == "redo":
		return line, nil // which does nothing
	case earlier == "":
		return line, zooErrorf("Command index out of range")
	case isRedo(earlier):
		return line, zooErrorf("No redoing redos")
	}
	return earlier, nil
}

// zooCommandLine is the environment of a command line that is to be taken as
// ZooKeeper's shell takes it, nil for another: that comes back with the options as
// our own, and as a shell without a command. What is wrong with the options is for
// the other way to tell.
func zooCommandLine(e *env, args []string) (*env, []string) {
	zoo := newEnv(e.in, e.out.w, e.errw, e.getenv)
	zoo.flags = pflag.NewFlagSet("", pflag.ContinueOnError)
	zoo.flags.SetInterspersed(false)
	zoo.flags.Usage = func() {}
	zoo.target.addFlags(zoo.flags)
	options := zooOptions(zoo.flags, args)
	if zoo.flags.Parse(options) != nil || zoo.settle() != nil || !zoo.out.compat() {
		return nil, args
	}
	words := zoo.flags.Args()
	switch {
	case len(words) == 0:
		return nil, append(options, "shell")
	case findZooWord(words[0]) == nil && isOurs(newRoot(newEnv(e.in, e.out.w, e.errw, e.getenv)), words[0]):
		return nil, options
	}
	zoo.shell = true // it has a session, and waits for no event
	zoo.history = func() []string { return []string{"null"} }
	return zoo, nil
}

// zooOptions turns the options of ZooKeeper's shell, which stand before the
// command, into ours. It waits for the connection in any case, and -r changes
// nothing: no server without a quorum opens a session.
func zooOptions(flags *pflag.FlagSet, args []string) (options []string) {
	for i := 0; i < len(args); i++ {
		option, unit := args[i], ""
		switch {
		case option == "--" || !strings.HasPrefix(option, "-"):
			return append(options, args[i:]...)
		case option == "-r" || option == "-waitforconnection":
			continue
		case option == "-server":
			option = "--server"
		case option == "-timeout":
			option, unit = "--session-timeout", "ms"
		}
		options = append(options, option)
		if hasValueBehind(flags, option) && i+1 < len(args) {
			i++
			options = append(options, args[i]+unit)
		}
	}
	return options
}

func hasValueBehind(flags *pflag.FlagSet, option string) bool {
	f := flags.Lookup(strings.TrimPrefix(option, "--"))
	if len(option) == 2 {
		f = flags.ShorthandLookup(option[1:])
	}
	return f != nil && f.NoOptDefVal == ""
}
