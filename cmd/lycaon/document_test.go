package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/client/clienttest"
	"github.com/lycaon-io/lycaon/znode"
)

// motley plants a tree with everything that a node may be, ephemeral nodes
// apart.
func motley(t *testing.T, c *client.Client, root string) {
	t.Helper()
	_, err := c.Create(t.Context(), root, nil)
	require.NoError(t, err)
	for name, n := range map[string]struct {
		data []byte
		opts []client.CreateOption
	}{
		"text":                     {data: []byte("plain")},
		"null":                     {},
		"empty":                    {data: []byte{}},
		"bytes":                    {data: []byte{0, 0xff, '\n'}},
		"config":                   {data: []byte("a: 1\nb:\n  - x\n")},
		"config/below":             {data: []byte("  leading\n\ttabs \n\n")},
		"crlf":                     {data: []byte("a\r\nb\r\n\x85\u2028")},
		"number":                   {data: []byte("007")},
		"word":                     {data: []byte("null")},
		"odd: name #1":             {data: []byte("- x")},
		"<<":                       {data: []byte("~")},
		"'quoted' \"name\"":        {data: []byte("'\"")},
		"über":                     {data: []byte("鍵\n😀")},
		"container":                {opts: []client.CreateOption{client.Container()}},
		"container/child":          {data: []byte("x")},
		"fleeting":                 {data: []byte("x"), opts: []client.CreateOption{client.TTL(90 * time.Minute)}},
		"guarded":                  {data: []byte("x"), opts: []client.CreateOption{client.WithACL(client.ACL{{Perms: znode.Read, Scheme: "world", ID: "anyone"}, {Perms: znode.AllPerms, Scheme: "ip", ID: "127.0.0.1"}})}},
		strings.Repeat("long", 99): {data: []byte(strings.Repeat("lines\n", 1000))},
		"full":                     {data: bytes.Repeat([]byte{'x', 0xfe}, 300<<10)},
	} {
		_, err := c.Create(t.Context(), root+"/"+name, n.data, append(n.opts, client.Parents(), client.IfAbsent())...)
		require.NoError(t, err, name)
		if n.data != nil { // a child may have come first
			_, err = c.Set(t.Context(), root+"/"+name, n.data)
			require.NoError(t, err, name)
		}
	}
}

func TestAnExportedDocumentIsImportedAsItWas(t *testing.T) {
	t.Parallel()
	cluster := clienttest.Start(t)
	c := cluster.Client(t)
	motley(t, c, "/app")
	_, err := c.Create(t.Context(), "/app/live", nil, client.Ephemeral())
	require.NoError(t, err)
	shell := func(in string, args ...string) (string, string) {
		out, errw, code := inProcess(strings.NewReader(in), append([]string{"-s", cluster.Addrs()[0]}, args...)...)
		require.Zero(t, code, "%v: %s", args, errw)
		return out, errw
	}
	dir := t.TempDir()
	for name, args := range map[string][]string{
		"yaml": {"app.yaml"}, "json": {"app.json"}, "named": {"app.txt", "-f", "yaml"}, "streamed": nil, "streamed-json": {"-f", "json"},
	} {
		file := "-"
		if len(args) > 0 && args[0] != "-f" {
			args[0] = filepath.Join(dir, args[0])
			file = args[0]
		}
		in, errw := shell("", append([]string{"export", "/app"}, args...)...)
		require.Contains(t, errw, `skipped "/app/live": ephemeral`, name)
		if name == "streamed-json" {
			var all map[string]any
			require.NoError(t, json.Unmarshal([]byte(in), &all))
			require.Len(t, all, 20)
		}
		format := []string{}
		if name == "named" {
			format = args[1:]
		}
		out, _ := shell(in, append([]string{"import", file, "/copies/" + name}, format...)...)
		require.Contains(t, out, "imported 20 nodes", name)
		out, _, code := inProcess(nil, "-s", cluster.Addrs()[0], "diff", "/app", "/copies/"+name)
		require.Equal(t, exitError, code)
		require.Equal(t, "< live\n", out, name)
	}

	doc := filepath.Join(dir, "app.yaml")
	text, err := os.ReadFile(doc)
	require.NoError(t, err)
	require.Contains(t, string(text), "/app/config: |\n  a: 1\n  b:\n    - x\n")
	require.Contains(t, string(text), "/app/text: plain\n")
	require.Contains(t, string(text), "/app/null: {data: null}\n")
	out, _ := shell("", "plan", doc)
	require.Equal(t, "to do: 0 create, 0 set, 0 setAcl, 0 delete; 20 nodes are right\n", out)
	shell("", "export", "--replace", "/app/config", doc)
	shell("", "deleteall", "/app", "--yes")
	shell("", "create", "/app")
	out, _ = shell("", "import", doc)
	require.Contains(t, out, "imported 2 nodes")
}

func TestWhatDocumentsCannotSayIsRefused(t *testing.T) {
	t.Parallel()
	cluster := clienttest.Start(t)
	c := cluster.Client(t)
	_, err := c.Create(t.Context(), "/a", []byte("x"))
	require.NoError(t, err)
	_, err = c.Create(t.Context(), "/secret", nil, client.WithACL(client.ACL{{Perms: znode.Read, Scheme: "world", ID: "anyone"}, {Perms: znode.AllPerms, Scheme: "digest", ID: "u:aGFzaGhhc2hoYXNoaGFzaGhhc2g="}}))
	require.NoError(t, err)
	file := planFile(t, "/a: y")
	for name, c := range map[string]struct {
		args []string
		in   string
		want string
		code int
	}{
		"a form of no name":         {[]string{"export", "/a", "-f", "xml"}, "", `--format "xml": want dir, yaml or json`, exitUsage},
		"a directory on output":     {[]string{"export", "/a", "-f", "dir"}, "", "--format dir wants a directory", exitUsage},
		"a file that is there":      {[]string{"export", "/a", file}, "", "--replace writes over it", exitUsage},
		"a node that is not":        {[]string{"export", "/none"}, "", "node does not exist", exitNotFound},
		"hidden hashes":             {[]string{"export", "/secret"}, "", "the hashes in the ACL of /secret are hidden from you", exitAuth},
		"a file of no known ending": {[]string{"import", os.Args[0], "/x"}, "", "is no directory, and its ending tells no form: --format yaml or json does", exitUsage},
		"a directory and no path":   {[]string{"import", t.TempDir()}, "", "wants the PATH to put it at", exitUsage},
		"two trees to one path":     {[]string{"import", "-", "/to"}, "/b: x\n/c: y\n", "it has several trees, at /b and /c", exitUsage},
		"a node that is there":      {[]string{"import", "-"}, "/a: x\n", "--existing keep or replace goes on", exitError},
		"an ephemeral node":         {[]string{"plan", "-"}, "/b: {kind: ephemeral}\n", `-:1: kind: "ephemeral": want persistent, container or ttl`, exitUsage},
		"a TTL without a time":      {[]string{"plan", "-"}, "/b: {kind: ttl}\n", "-:1: /b: kind: ttl and ttl: TIME go together", exitUsage},
		"a time without a TTL":      {[]string{"plan", "-"}, `{"/b":` + "\n" + `{"ttl": "1m"}}`, "-:2: /b: kind: ttl and ttl: TIME go together", exitUsage},
		"a time that is none":       {[]string{"plan", "-"}, "/b: {kind: ttl, ttl: 0s}\n", "-:1: ttl: 0s is not within 1ms to", exitUsage},
		"another kind":              {[]string{"plan", "-"}, "/a: {kind: container}\n", "/a: it is persistent and shall be container: no node changes its kind", exitError},
		"JSON cut short":            {[]string{"plan", "-"}, `{"/a": "x"`, "-: yaml:", exitUsage},
		"JSON of no object":         {[]string{"plan", "-"}, `["/a"]`, "-:1: want a mapping of paths to nodes", exitUsage},
	} {
		_, errw, code := inProcess(strings.NewReader(c.in), append([]string{"-s", cluster.Addrs()[0]}, c.args...)...)
		require.Contains(t, errw, c.want, name)
		require.Equal(t, c.code, code, name)
	}
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, "/a: y", string(text))
}

// The longest paths are longer than what YAML takes as a key in JSON's clothes.
func TestDocumentsHoldTheLongestPaths(t *testing.T) {
	path := "/" + strings.Repeat(`"`, znode.MaxPathBytes-1)
	for _, asJSON := range []bool{false, true} {
		requireSurvives(t, path, &twig{data: []byte("x"), acl: znode.OpenACL}, asJSON)
	}
}

func requireSurvives(t *testing.T, path string, n *twig, asJSON bool) {
	t.Helper()
	var text bytes.Buffer
	doc := treeDocument{w: &text, json: asJSON}
	require.NoError(t, doc.write(path, n))
	require.NoError(t, doc.end())
	wishes, err := readPlan("-", &text)
	require.NoError(t, err)
	require.Len(t, wishes, 1)
	w := wishes[0]
	require.Equal(t, path, w.path)
	require.True(t, w.hasData)
	require.Equal(t, n.data == nil, w.data == nil)
	require.Equal(t, string(n.data), string(w.data))
}

func FuzzANodeSurvivesItsDocument(f *testing.F) {
	for _, s := range []string{"", "x", "\n", " a\n b", "\x00\xff", "a\r\n", "\ufeff", "? x", "{}", "\t\n \n", "#", "---\n", "\u0085\u2028", "<<", "=", "!!binary x"} {
		f.Add(s, s)
	}
	f.Fuzz(func(t *testing.T, name, data string) {
		path := "/" + name
		if znode.ValidatePath(path) != nil || len(data) > 1<<12 || !utf8.ValidString(name) {
			path = "/name"
		}
		for _, asJSON := range []bool{false, true} {
			requireSurvives(t, path, &twig{data: []byte(data), acl: znode.OpenACL}, asJSON)
			requireSurvives(t, path, &twig{data: []byte(data), acl: znode.ACL{{Perms: znode.Read, Scheme: "world", ID: "anyone"}}}, asJSON)
			requireSurvives(t, path, &twig{acl: znode.OpenACL}, asJSON)
		}
	})
}

func TestAnImportThatReplacesKeepsDataThatItDoesNotName(t *testing.T) {
	t.Parallel()
	cluster := clienttest.Start(t)
	c := cluster.Client(t)
	for _, n := range []string{"/app", "/app/shut", "/app/null"} {
		_, err := c.Create(t.Context(), n, []byte("kept"))
		require.NoError(t, err)
	}
	doc := strings.NewReader("/app: {children: {shut: {acl: 'world:anyone:ra'}, null: {data: null}, new: {}}}")
	_, errw, code := inProcess(doc, "-s", cluster.Addrs()[0], "import", "--existing", "replace", "-")
	require.Zero(t, code, errw)
	for path, want := range map[string]string{"/app": "kept", "/app/shut": "kept", "/app/null": "", "/app/new": ""} {
		n, err := c.Get(t.Context(), path)
		require.NoError(t, err)
		require.Equal(t, want, string(n.Data), path)
	}
}
