package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/client/clienttest"
	"github.com/lycaon-io/lycaon/cmd/lycaon/internal/target"
)

// sampleTree is a directory with everything an import can take.
func sampleTree(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "sample")
	for name, data := range map[string]string{
		"plain":             "hello\n",
		"empty":             "",
		"bytes":             "\x00\xff\r\n",
		"large":             strings.Repeat("0123456789abcdef", 1<<16), // 1 MiB, as much as a node takes
		"deep/er/still":     "x",
		"both/.lycaon-data": "of the directory",
		"both/child":        "of the child",
		"with blank/ü":      "names are names",
	} {
		file := filepath.Join(dir, name)
		require.NoError(t, os.MkdirAll(filepath.Dir(file), 0o755))
		require.NoError(t, os.WriteFile(file, []byte(data), 0o644))
	}
	require.NoError(t, os.Mkdir(filepath.Join(dir, "no files"), 0o755))
	for i := range 1200 { // more than one transaction holds
		require.NoError(t, os.WriteFile(filepath.Join(dir, "deep", fmt.Sprintf("f%04d", i)), fmt.Append(nil, i), 0o644))
	}
	return dir
}

func TestWhatIsImportedIsExportedByteForByteAlsoAfterAKill(t *testing.T) {
	sample := sampleTree(t)
	s := startServer(t, filepath.Join(t.TempDir(), "data"), "--log-level", "error")
	require.Contains(t, mustShot(t, s.addr, "import", sample, "/made/for/it"), "imported 1213 nodes")
	for i := range 2 {
		out := filepath.Join(t.TempDir(), fmt.Sprint("out", i))
		mustShot(t, s.addr, "export", "/made/for/it", out)
		sameFiles(t, sample, out)
		s.kill()
		s.start()
	}
}

func TestImportIntoWhatExists(t *testing.T) {
	cluster := clienttest.Start(t)
	do := func(args ...string) (string, string, int) {
		return inProcess(nil, append([]string{"-s", cluster.Addrs()[0]}, args...)...)
	}
	dir := t.TempDir()
	file := filepath.Join(dir, "f")
	require.NoError(t, os.WriteFile(file, []byte("one"), 0o644))
	_, errw, code := do("import", dir, "/t")
	require.Zero(t, code, errw)

	require.NoError(t, os.WriteFile(file, []byte("two"), 0o644))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "g"), []byte("new"), 0o644))
	_, errw, code = do("import", dir, "/t")
	require.Equal(t, exitError, code)
	require.Contains(t, errw, "/t")
	require.Contains(t, errw, "--existing")
	get := func(path string) string {
		out, _, _ := do("get", "--raw", path)
		return out
	}
	require.Equal(t, "one", get("/t/f"), "refused, so nothing changed")

	_, errw, code = do("import", "--existing", "keep", dir, "/t")
	require.Zero(t, code, errw)
	require.Equal(t, "one", get("/t/f"))
	require.Equal(t, "new", get("/t/g"))

	_, errw, code = do("import", "--existing", "replace", dir, "/t")
	require.Zero(t, code, errw)
	require.Equal(t, "two", get("/t/f"))

	_, _, code = do("import", "--existing", "perhaps", dir, "/t")
	require.Equal(t, exitUsage, code)
	_, _, code = do("import", filepath.Join(dir, "absent"), "/u")
	require.Equal(t, exitUsage, code)
	_, _, code = do("import", dir, "relative")
	require.Equal(t, exitUsage, code)
}

// Whoever exports may read what ACLs hide from the others of his machine.
func TestWhatIsExportedIsForItsOwnerAlone(t *testing.T) {
	cluster := clienttest.Start(t)
	do := func(args ...string) {
		t.Helper()
		_, errw, code := inProcess(nil, append([]string{"-s", cluster.Addrs()[0]}, args...)...)
		require.Zero(t, code, errw)
	}
	do("create", "-p", "/a/b/c", "data")
	do("set", "/a/b", "of a directory")
	out := t.TempDir()
	dir, document := filepath.Join(out, "dir"), filepath.Join(out, "a.yaml")
	do("export", "/a", dir)
	do("export", "/a", document)
	modes := func() map[string]string {
		modes := map[string]string{}
		require.NoError(t, filepath.WalkDir(out, func(file string, d fs.DirEntry, err error) error {
			if err != nil || file == out {
				return err
			}
			info, err := d.Info()
			modes[file[len(out)+1:]] = info.Mode().String()
			return err
		}))
		return modes
	}
	require.Equal(t, map[string]string{
		"dir": "drwx------", "dir/b": "drwx------", "dir/b/.lycaon-data": "-rw-------", "dir/b/c": "-rw-------", "a.yaml": "-rw-------",
	}, modes())

	// What is there keeps the mode that somebody gave it.
	for _, file := range []string{filepath.Join(dir, "b", "c"), document} {
		require.NoError(t, os.Chmod(file, 0o640))
	}
	do("export", "--replace", "/a", dir)
	do("export", "--replace", "/a", document)
	require.Equal(t, "-rw-r-----", modes()["dir/b/c"])
	require.Equal(t, "-rw-r-----", modes()["a.yaml"])
}

func TestExportRefusesAFullDirectoryAndAnAbsentNode(t *testing.T) {
	cluster := clienttest.Start(t)
	do := func(args ...string) (string, string, int) {
		return inProcess(nil, append([]string{"-s", cluster.Addrs()[0]}, args...)...)
	}
	_, _, code := do("create", "/a", "data")
	require.Zero(t, code)
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "mine"), nil, 0o644))
	_, errw, code := do("export", "/a", dir)
	require.Equal(t, exitUsage, code)
	require.Contains(t, errw, "--replace")
	_, _, code = do("export", "/none", filepath.Join(dir, "new"))
	require.Equal(t, exitNotFound, code)
	require.NoDirExists(t, filepath.Join(dir, "new"))
	_, errw, code = do("export", "--replace", "/", dir)
	require.Zero(t, code, errw)
	require.Contains(t, errw, `skipped "/zookeeper"`)
	require.FileExists(t, filepath.Join(dir, "a"))
	require.FileExists(t, filepath.Join(dir, "mine"))
	require.NoDirExists(t, filepath.Join(dir, "zookeeper"))
}

func TestSkippedFilesAreListed(t *testing.T) {
	cluster := clienttest.Start(t)
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "large"), bytes.Repeat([]byte("x"), 1<<20+1), 0o644))
	require.NoError(t, os.Symlink("/etc/passwd", filepath.Join(dir, "link")))
	out, _, code := inProcess(nil, "-s", cluster.Addrs()[0], "-o", "json", "import", dir, "/t")
	require.Zero(t, code)
	var summary struct {
		Nodes   int
		Skipped []skipped
	}
	require.NoError(t, json.Unmarshal([]byte(out), &summary))
	require.Equal(t, 1, summary.Nodes)
	require.Equal(t, []skipped{
		{Path: "large", Reason: "larger than the 1048576 bytes that a node may hold"},
		{Path: "link", Reason: "symbolic link"},
	}, summary.Skipped)
}

func TestOfManySkippedOfAKindTheFirstAreListed(t *testing.T) {
	cluster := clienttest.Start(t)
	dir := t.TempDir()
	for i := range shownSkips + 2 {
		require.NoError(t, os.Symlink("elsewhere", filepath.Join(dir, fmt.Sprintf("link-%d", i))))
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "z"), bytes.Repeat([]byte("x"), 1<<20+1), 0o644))
	listed := func(args ...string) []string {
		_, errw, code := inProcess(nil, append([]string{"-s", cluster.Addrs()[0], "import", "--existing", "keep", dir, "/t"}, args...)...)
		require.Zero(t, code, errw)
		return strings.Split(strings.TrimSpace(errw), "\n")
	}
	require.Equal(t, []string{
		`skipped "link-0": symbolic link`, `skipped "link-1": symbolic link`, `skipped "link-2": symbolic link`,
		`skipped "z": larger than the 1048576 bytes that a node may hold`,
		`skipped 2 more: symbolic link (-v lists them)`,
	}, listed())
	all := listed("-v")
	require.Len(t, all, shownSkips+3)
	require.Contains(t, all, `skipped "link-4": symbolic link`)
}

// TestRestoreDrill saves a running server's state and makes a new server from
// it, with everything that export would lose.
func TestRestoreDrill(t *testing.T) {
	dir := t.TempDir()
	s := startServer(t, filepath.Join(dir, "data"), "--log-level", "error")
	ann := []string{"--auth", "digest:ann:secret"}
	mustShot(t, s.addr, "create", "/jobs")
	for range 3 {
		mustShot(t, s.addr, "create", "-s", "/jobs/j-", "work")
	}
	mustShot(t, s.addr, "delete", "/jobs/j-0000000002")
	mustShot(t, s.addr, append(ann, "create", "/private", "mine", "auth::cdrwa")...)
	mustShot(t, s.addr, "set", "/jobs", "changed")

	backup := filepath.Join(dir, "backup.lycaon")
	_, errw, code := oneShot(t, s.addr, "snapshot", "save", backup)
	require.Equal(t, exitAuth, code, errw)
	require.Contains(t, errw, "admin")
	require.NoFileExists(t, backup)
	saved := mustShot(t, s.addr, "--admin-token", filepath.Join(s.dir, "admin.token"), "snapshot", "save", backup)
	inspected := mustShot(t, s.addr, "snapshot", "inspect", backup)
	_, facts, _ := strings.Cut(saved, ": ")
	require.Contains(t, inspected, facts)
	before := mustShot(t, s.addr, append(ann, "ls", "-R", "/")...)
	s.kill()

	restored := filepath.Join(dir, "restored")
	require.Contains(t, mustShot(t, s.addr, "snapshot", "restore", backup, "--data-dir", restored), facts)
	_, errw, code = oneShot(t, s.addr, "snapshot", "restore", backup, "--data-dir", restored)
	require.NotZero(t, code, "restoring into a full directory")
	require.Contains(t, errw, restored)
	r := startServer(t, restored, "--log-level", "error")
	require.Equal(t, before, mustShot(t, r.addr, append(ann, "ls", "-R", "/")...))
	require.Equal(t, "changed\n", mustShot(t, r.addr, "get", "/jobs"))
	require.Equal(t, "Created /jobs/j-0000000003\n", mustShot(t, r.addr, "create", "-s", "/jobs/j-"), "the counter came along")
	_, _, code = oneShot(t, r.addr, "get", "/private")
	require.Equal(t, exitAuth, code, "the ACL came along")
	require.Equal(t, "mine\n", mustShot(t, r.addr, append(ann, "get", "/private")...))

	damaged, err := os.ReadFile(backup)
	require.NoError(t, err)
	damaged[len(damaged)/2] ^= 1
	require.NoError(t, os.WriteFile(backup, damaged, 0o600))
	for _, args := range [][]string{{"snapshot", "inspect", backup}, {"snapshot", "restore", backup, "--data-dir", filepath.Join(dir, "never")}} {
		_, errw, code := oneShot(t, r.addr, args...)
		require.Equal(t, exitDamaged, code, errw)
		require.Contains(t, errw, backup)
	}
	require.NoDirExists(t, filepath.Join(dir, "never"))
}

func TestAFailedImportCountsWhatIsThere(t *testing.T) {
	cluster := clienttest.Start(t)
	dir := t.TempDir()
	for i := range target.MaxOps + 10 {
		require.NoError(t, os.WriteFile(filepath.Join(dir, fmt.Sprintf("f%04d", i)), nil, 0o644))
	}
	do := func(args ...string) (string, string, int) {
		return inProcess(nil, append([]string{"-s", cluster.Addrs()[0]}, args...)...)
	}
	last := fmt.Sprintf("f%04d", target.MaxOps+9)
	_, errw, code := do("create", "/"+last)
	require.Zero(t, code, errw)
	_, errw, code = do("import", dir, "/")
	require.Equal(t, exitError, code)
	require.Contains(t, errw, fmt.Sprintf("after %d nodes: import /%s: node already exists: --existing keep or replace goes on", target.MaxOps, last))
	_, errw, code = do("import", dir, "/")
	require.Equal(t, exitError, code)
	require.Contains(t, errw, "after 0 nodes")
}
