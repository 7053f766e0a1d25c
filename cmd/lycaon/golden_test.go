package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"
)

// withoutGolden are the commands whose output is not an answer, and where it is
// tested instead.
var withoutGolden = map[string]string{
	"bench":             "figures: bench_test.go",
	"edit":              "an editor: edit_test.go",
	"serve":             "its log: serve_test.go",
	"shell":             "a terminal: terminal_test.go",
	"help":              "shell.script",
	"migrate zookeeper": "a second cluster: migrate_test.go",
}

// Every command has been seen to answer in the form for people, in the one for
// programs, and in that of ZooKeeper's shell.
func TestEveryCommandHasGoldenOutputs(t *testing.T) {
	seen := goldenCommands(t)
	var missing []string
	eachCommand(newRoot(newEnv(nil, nil, nil, os.Getenv)), func(cmd *cobra.Command, name string) {
		if withoutGolden[name] != "" || strings.HasPrefix(name, "completion") {
			return
		}
		for _, f := range []form{formText, formJSON, formCompat} {
			if !seen[golden{name, f}] {
				missing = append(missing, string(f)+": "+name)
			}
		}
	})
	require.Empty(t, missing, "no script of testdata runs these")
}

func TestEveryCommandHasAnExample(t *testing.T) {
	var missing []string
	for _, root := range []*cobra.Command{newRoot(newEnv(nil, nil, nil, os.Getenv)), newShellRoot(newEnv(nil, nil, nil, os.Getenv))} {
		eachCommand(root, func(cmd *cobra.Command, name string) {
			if cmd.Example == "" && !strings.HasPrefix(name, "completion ") {
				missing = append(missing, name)
			}
		})
	}
	require.Empty(t, missing)
}

func TestHelpIsNoWiderThanAScreen(t *testing.T) {
	wide := []string{}
	for _, root := range []*cobra.Command{newRoot(newEnv(nil, nil, nil, noEnv)), newShellRoot(newEnv(nil, nil, nil, noEnv))} {
		eachCommand(root, func(cmd *cobra.Command, name string) {
			if strings.HasPrefix(name, "completion ") { // of cobra
				return
			}
			var help strings.Builder
			cmd.SetOut(&help)
			require.NoError(t, cmd.Help())
			for line := range strings.Lines(help.String()) {
				if len(line) > helpColumns+1 {
					wide = append(wide, name+": "+line)
				}
			}
		})
	}
	require.Empty(t, wide)
}

func TestTheShellKnowsTheWordsThatAreForOutside(t *testing.T) {
	e := newEnv(nil, nil, nil, noEnv)
	inside := words("help")
	for _, cmd := range newShellRoot(e).Commands() {
		inside[cmd.Name()] = true
	}
	outside := map[string]bool{}
	for _, cmd := range newRoot(e).Commands() {
		if !inside[cmd.Name()] {
			outside[cmd.Name()] = true
		}
	}
	require.Equal(t, programOnly, outside)
}

func TestWhyAndSessionsTakeASession(t *testing.T) {
	cmd, _, err := newRoot(newEnv(nil, nil, nil, noEnv)).Find([]string{"why"})
	require.NoError(t, err)
	require.Equal(t, "SESSION", argumentAt(cmd, 0).name, "Tab would offer the numbers of servers")
	after, _, err := cmd.Root().Find([]string{"sessions"})
	require.NoError(t, err)
	name, _ := pflag.UnquoteUsage(after.Flags().Lookup("after"))
	require.Equal(t, "SESSION", name)
}

type golden struct {
	command string
	form    form
}

// eachCommand calls f with each command that does something, and its words.
func eachCommand(cmd *cobra.Command, f func(cmd *cobra.Command, name string)) {
	for _, sub := range cmd.Commands() {
		if sub.Runnable() && !sub.HasSubCommands() {
			_, name, _ := strings.Cut(sub.CommandPath(), " ")
			f(sub, name)
		}
		eachCommand(sub, f)
	}
}

func goldenCommands(t *testing.T) map[golden]bool {
	files, err := filepath.Glob("testdata/*.script")
	require.NoError(t, err)
	more, err := filepath.Glob("testdata/cluster/*.script")
	require.NoError(t, err)
	seen := map[golden]bool{}
	for _, file := range slices.Concat(files, more) {
		script, err := os.ReadFile(file)
		require.NoError(t, err)
		for line := range strings.Lines(string(script)) {
			if text, isCommand := strings.CutPrefix(line, "$ "); isCommand {
				command, input, _ := strings.Cut(text, " << ")
				see(seen, command, strings.Split(strings.TrimSpace(input), ";"))
			}
		}
	}
	return seen
}

// see notes a command line and its form, and what a shell is told.
func see(seen map[golden]bool, command string, input []string) {
	e := newEnv(nil, nil, nil, os.Getenv)
	name, ok := found(e, newRoot(e), command)
	if !ok {
		return
	}
	seen[golden{name, e.out.form}] = true
	if name != "shell" {
		return
	}
	for _, line := range input {
		in := newEnv(nil, nil, nil, os.Getenv)
		newRoot(in) // and its flags
		in.settled, in.out.form = true, e.out.form
		if name, ok := found(in, newShellRoot(in), line); ok {
			seen[golden{name, in.out.form}] = true
		}
	}
}

// found is the command that a line runs, if it can be read.
func found(e *env, root *cobra.Command, line string) (name string, ok bool) {
	words, err := splitWords(strings.TrimSpace(line))
	if err != nil {
		return "", false
	}
	cmd, rest, err := root.Traverse(words)
	if err != nil || cmd == root || cmd.ParseFlags(rest) != nil || e.settle() != nil {
		return "", false
	}
	return strings.TrimSpace(strings.TrimPrefix(cmd.CommandPath(), root.CommandPath())), true
}
