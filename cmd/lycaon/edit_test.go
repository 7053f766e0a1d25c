//go:build linux

package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/client/clienttest"
)

func TestEditWritesWhatTheEditorLeaves(t *testing.T) {
	t.Parallel()
	cluster := clienttest.Start(t)
	c := cluster.Client(t)
	_, err := c.Create(t.Context(), "/app.yaml", []byte("one"))
	require.NoError(t, err)
	dir := t.TempDir()
	// A person who reads, waits until somebody lets him, and writes what he is told.
	editor := dir + "/editor"
	require.NoError(t, os.WriteFile(editor, []byte(`#!/bin/sh
stat -c 'mode %a' "$1"
case "$1" in *.yaml) [ -t 0 ] && [ -t 1 ] && echo at a terminal;; esac
printf 'it says '; cat "$1"; echo
read go
[ -z "$go" ] || echo "$go" > "$1"
`), 0o700))
	term := atPrompt(t, cluster, "VISUAL="+editor, "TMPDIR="+dir)
	edits := func(write string) {
		term.types("edit app.yaml" + keyEnter)
		term.shows("mode 600")
		term.shows("at a terminal")
		term.shows("it says ")
		term.types(write + "\n")
	}
	edits("two")
	term.shows("/ 1] ")
	node, err := c.Get(t.Context(), "/app.yaml")
	require.NoError(t, err)
	require.Equal(t, "two", string(node.Data), "the line end is the editor's")

	edits("")
	term.shows("/app.yaml is as it was")
	term.shows("/ 2] ")
	edits("two")
	term.shows("/app.yaml is as it was")
	term.shows("/ 3] ")
	again, err := c.Get(t.Context(), "/app.yaml")
	require.NoError(t, err)
	require.Equal(t, node.Stat, again.Stat)

	term.types("edit app.yaml" + keyEnter)
	term.shows("it says two")
	_, err = c.Set(t.Context(), "/app.yaml", []byte("theirs"))
	require.NoError(t, err)
	term.types("mine\n")
	term.shows("somebody changed it meanwhile, nothing was done")
	term.shows("; your text is in " + dir)
	term.shows("/ 4] ")
	node, err = c.Get(t.Context(), "/app.yaml")
	require.NoError(t, err)
	require.Equal(t, "theirs", string(node.Data))
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	require.Len(t, entries, 2, "the editor, and the one file that was kept")
	kept, err := os.ReadFile(dir + "/" + entries[1].Name())
	require.NoError(t, err)
	require.Equal(t, "mine\n", string(kept))
	term.types("edit /none" + keyEnter)
	term.shows("edit /none: node does not exist")
}

func TestAnEditDoesNotReplaceANodeThatWasMadeAgain(t *testing.T) {
	t.Parallel()
	cluster := clienttest.Start(t)
	c, ctx, dir := cluster.Client(t), t.Context(), t.TempDir()
	_, err := c.Create(ctx, "/conf", []byte("one"))
	require.NoError(t, err)
	variables := map[string]string{"EDITOR": fmt.Sprintf(`d='%s'; e() { touch "$d/open"; until [ -e "$d/go" ]; do sleep 0.02; done; echo mine > "$1"; }; e`, dir)}
	var errw bytes.Buffer
	code := make(chan int, 1)
	go func() {
		code <- run([]string{"-s", cluster.Addrs()[0], "edit", "/conf"}, nil, io.Discard, &errw, func(name string) string { return variables[name] })
	}()
	require.Eventually(t, func() bool { _, err := os.Stat(dir + "/open"); return err == nil }, waitLong, 10*time.Millisecond)
	require.NoError(t, c.Delete(ctx, "/conf"))
	_, err = c.Create(ctx, "/conf", []byte("theirs"))
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(dir+"/go", nil, 0o600))
	require.Equal(t, exitVersion, <-code)
	require.Contains(t, errw.String(), "somebody changed it meanwhile, nothing was done (check: the guard of the write is no more); your text is in ")
	node, err := c.Get(ctx, "/conf")
	require.NoError(t, err)
	require.Equal(t, "theirs", string(node.Data))
	_, kept, _ := strings.Cut(strings.TrimSpace(errw.String()), "your text is in ")
	require.NoError(t, os.Remove(kept))
}
