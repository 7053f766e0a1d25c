package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

func openRoot(t *testing.T, dir string) *os.Root {
	t.Helper()
	root, err := os.OpenRoot(dir)
	require.NoError(t, err)
	t.Cleanup(func() { root.Close() })
	return root
}

func readAll(t *testing.T, dir string, maxData int) ([]treeNode, []skipped) {
	t.Helper()
	r := &treeReader{root: openRoot(t, dir), maxData: maxData, prefix: "/"}
	var nodes []treeNode
	require.NoError(t, r.read(func(n treeNode) error {
		nodes = append(nodes, n)
		return nil
	}))
	return nodes, r.skips
}

func TestEveryTreeSurvivesTheFormOfFiles(t *testing.T) {
	long := strings.Repeat("n", 300)
	tree := []treeNode{
		{path: "", data: []byte("of the root")},
		{path: ".lycaon-data"},
		{path: ".lycaon-odd", data: []byte("reserved"), leaf: true},
		{path: "both", data: []byte("data and children")},
		{path: "both/child", data: []byte{0, 0xff}, leaf: true},
		{path: "empty", data: []byte{}, leaf: true},
		{path: "emptyboth", data: []byte{}},
		{path: "emptyboth/c"},
		{path: long, data: []byte("long"), leaf: true},
		{path: "null"},
		{path: "über name %41", data: []byte("x"), leaf: true},
	}
	dir := t.TempDir()
	w := newTreeWriter(openRoot(t, dir), false)
	for _, n := range tree {
		require.NoError(t, w.write(n), n.path)
	}
	got, skips := readAll(t, dir, 1<<20)
	require.Empty(t, skips)
	require.ElementsMatch(t, tree, got)
}

func TestAFileThatGetsAChildBecomesADirectory(t *testing.T) {
	dir := t.TempDir()
	w := newTreeWriter(openRoot(t, dir), false)
	require.NoError(t, w.write(treeNode{path: ""}))
	require.NoError(t, w.write(treeNode{path: "a", data: []byte("leaf"), leaf: true}))
	require.NoError(t, w.write(treeNode{path: "a/b", data: []byte("late"), leaf: true}))
	got, _ := readAll(t, dir, 100)
	require.Equal(t, []treeNode{{path: ""}, {path: "a", data: []byte("leaf")}, {path: "a/b", data: []byte("late"), leaf: true}}, got)
}

func TestWhatIsNoTreeOfFilesIsSkippedWithAReason(t *testing.T) {
	dir := t.TempDir()
	write := func(name, data string) {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(data), 0o600))
	}
	write("kept", "1234")
	write("large", "12345")
	write("bad\xffutf8", "x")
	write("control\x01", "x")
	write(".lycaon-other", "x")
	write(".lycaon-n-0123", "x")
	require.NoError(t, os.Symlink("kept", filepath.Join(dir, "link")))
	require.NoError(t, syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600))

	nodes, skips := readAll(t, dir, 4)
	require.Equal(t, []treeNode{{path: ""}, {path: "kept", data: []byte("1234"), leaf: true}}, nodes)
	reasons := map[string]string{}
	for _, s := range skips {
		reasons[s.Path] = s.Reason
	}
	require.Len(t, reasons, 7)
	require.Contains(t, reasons["large"], "larger than the 4 bytes")
	require.Contains(t, reasons["bad\xffutf8"], "no node may have this path")
	require.Contains(t, reasons["control\x01"], "no node may have this path")
	require.Contains(t, reasons[".lycaon-other"], "reserved")
	require.Contains(t, reasons[".lycaon-n-0123"], "missing")
	require.Equal(t, "symbolic link", reasons["link"])
	require.Contains(t, reasons["pipe"], "neither a file nor a directory")
}

// A pipe would hold an import for ever, and a link lead out of the tree.
func TestReservedNamesThatAreNoFilesAreSkipped(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"a", "b"} {
		require.NoError(t, os.Mkdir(filepath.Join(dir, name), 0o755))
	}
	require.NoError(t, syscall.Mkfifo(filepath.Join(dir, "a", dataName), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "secret"), []byte("x"), 0o644))
	require.NoError(t, os.Symlink("../secret", filepath.Join(dir, "b", dataName)))
	require.NoError(t, os.WriteFile(filepath.Join(dir, hashPrefix+"1"), nil, 0o644))
	require.NoError(t, syscall.Mkfifo(filepath.Join(dir, hashPrefix+"1"+nameSuffix), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, hashPrefix+"2"), nil, 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, hashPrefix+"2"+nameSuffix), []byte("p/q"), 0o644))

	nodes, skips := readAll(t, dir, 100)
	require.Equal(t, []treeNode{{}, {path: "a"}, {path: "b"}, {path: "secret", data: []byte("x"), leaf: true}}, nodes)
	why := map[string]string{}
	for _, s := range skips {
		why[s.Path] = s.Reason
	}
	require.Contains(t, why["a/"+dataName], "not a regular file")
	require.Contains(t, why["b/"+dataName], "not a regular file")
	require.Contains(t, why[hashPrefix+"1"], nameSuffix)
	require.Contains(t, why[hashPrefix+"2"], "slash")
	require.Len(t, skips, 4)
}

func TestExportWritesOverNothingUnlessTold(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "a"), []byte("mine"), 0o600))
	n := treeNode{path: "a", data: []byte("theirs"), leaf: true}
	require.ErrorIs(t, newTreeWriter(openRoot(t, dir), false).write(n), os.ErrExist)
	require.NoError(t, newTreeWriter(openRoot(t, dir), true).write(n))
	data, err := os.ReadFile(filepath.Join(dir, "a"))
	require.NoError(t, err)
	require.Equal(t, "theirs", string(data))
}

func TestExportStaysBelowItsDirectory(t *testing.T) {
	outside, dir := t.TempDir(), t.TempDir()
	require.NoError(t, os.Symlink(outside, filepath.Join(dir, "out")))
	err := newTreeWriter(openRoot(t, dir), true).write(treeNode{path: "out/x", data: []byte("x"), leaf: true})
	require.Error(t, err)
	entries, err := os.ReadDir(outside)
	require.NoError(t, err)
	require.Empty(t, entries)
}
