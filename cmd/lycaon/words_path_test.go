package main

import (
	"io"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"
)

func TestAPathIsTakenFromTheCurrentNode(t *testing.T) {
	for _, test := range []struct {
		says, cwd, typed, want string
		slash                  bool
	}{
		{says: "a name is below it", cwd: "/app", typed: "a/b", want: "/app/a/b"},
		{says: "a name is below the root", cwd: "/", typed: "a", want: "/a"},
		{says: "a slash begins anew", cwd: "/app", typed: "/b", want: "/b"},
		{says: "a dot is it", cwd: "/app", typed: ".", want: "/app"},
		{says: "nothing is it", cwd: "/app", typed: "", want: "/app"},
		{says: "two dots are above it", cwd: "/app/a", typed: "..", want: "/app"},
		{says: "above the root is the root", cwd: "/app", typed: "../../..", want: "/"},
		{says: "dots in the middle", cwd: "/app", typed: "./a/../b", want: "/app/b"},
		{says: "dots behind a slash", cwd: "/app", typed: "/a/../b/.", want: "/b"},
		{says: "names may begin with dots", cwd: "/app", typed: ".a/..b", want: "/app/.a/..b"},
		{says: "a slash at the end says nothing", cwd: "/app", typed: "a/", want: "/app/a"},
		{says: "but where a number comes behind it", cwd: "/app", typed: "a/", slash: true, want: "/app/a/"},
		{says: "and there a name is one", cwd: "/app", typed: "a", slash: true, want: "/app/a"},
		{says: "the number may come right here", cwd: "/app", typed: "./", slash: true, want: "/app/"},
		{says: "the root is itself", cwd: "/app", typed: "/", want: "/"},
		{says: "what no path may have stays for the server to refuse", cwd: "/app", typed: "a//b", want: "/app/a//b"},
	} {
		e := &env{shell: true, cwd: test.cwd}
		got, err := e.path(test.typed, test.slash)
		require.NoError(t, err, test.says)
		require.Equal(t, test.want, got, test.says)
	}
	outside := &env{cwd: "/"}
	got, err := outside.path("/a/../b/", false)
	require.NoError(t, err)
	require.Equal(t, "/a/../b", got, "outside the shell the server refuses it")
	_, err = outside.path("app", false)
	require.EqualError(t, err, `path "app": outside the shell paths begin with /`)
	require.Equal(t, exitUsage, exitCode(err))
}

// commandsOf yields every command that does something, of the program or of
// the shell.
func commandsOf(cmd *cobra.Command, visit func(*cobra.Command)) {
	for _, sub := range cmd.Commands() {
		commandsOf(sub, visit)
	}
	if cmd.HasParent() && cmd.Runnable() {
		visit(cmd)
	}
}

// Flags are not looked through for paths. The first that takes one has to be.
func TestNoFlagTakesAPathThatCouldBeRelative(t *testing.T) {
	commandsOf(newShellRoot(newEnv(strings.NewReader(""), io.Discard, io.Discard, noEnv)), func(cmd *cobra.Command) {
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			name, _ := pflag.UnquoteUsage(f)
			require.False(t, pathNames[name], "%s --%s", cmd.CommandPath(), f.Name)
		})
	})
}

func TestEveryWordOfAUsageLineIsKnown(t *testing.T) {
	e := newEnv(strings.NewReader(""), io.Discard, io.Discard, noEnv)
	for _, root := range []*cobra.Command{newRoot(e), newShellRoot(e)} {
		commandsOf(root, func(cmd *cobra.Command) {
			for _, form := range usageForms(cmd) {
				args, _ := readUsage(cmd, form)
				for _, a := range args {
					known := a.choices != nil || pathNames[a.name] || localNames[a.name] || otherNames[a.name]
					require.True(t, known, "%s: what is %s? arguments.go lists the names of paths, files and others", cmd.Use, a.name)
				}
			}
		})
	}
}

// A command that takes a path gets it absolute, whatever was typed: nobody has
// to remember to resolve it.
func TestEveryPathOfEveryCommandMayBeRelativeInTheShell(t *testing.T) {
	paths := 0
	e := newEnv(strings.NewReader(""), io.Discard, io.Discard, noEnv)
	e.shell, e.cwd = true, "/here"
	commandsOf(newShellRoot(e), func(cmd *cobra.Command) {
		var typed, want []string
		for _, a := range arguments(cmd) {
			typed = append(typed, "x")
			want = append(want, "x")
			if pathNames[a.name] {
				want[len(want)-1] = "/here/x"
				paths++
			}
		}
		_ = cmd.Args(cmd, typed) // some want flags besides
		require.Equal(t, want, typed, cmd.Use)
	})
	require.Greater(t, paths, 30)
}

func TestOfSeveralFormsTheTypedFlagTellsWhichArgumentsThereAre(t *testing.T) {
	e := newEnv(strings.NewReader(""), io.Discard, io.Discard, noEnv)
	names := func(cmd *cobra.Command) (names []string) {
		for _, a := range arguments(cmd) {
			names = append(names, a.name)
		}
		return names
	}
	require.Equal(t, []string{"FILE", "PATH"}, names(newImport(e)))
	cmd := newImport(e)
	require.NoError(t, cmd.Flags().Set("zk-snapshot", "snapshot.1"))
	require.Equal(t, []string{"PATH"}, names(cmd))
	require.Equal(t, []string{"PATH", "VALUE", "CMD", "ARGS"}, names(newElect(e)))
	require.Equal(t, []string{"PATH"}, names(newSetQuota(e)), "VALUE is that of the flag")
	require.Equal(t, "ARGS", argumentAt(newElect(e), 7).name)
	require.Equal(t, argument{}, argumentAt(newGet(e), 1))
}
