package main

import (
	"bytes"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/client/clienttest"
)

// grown makes a tree to complete in.
func grown(t *testing.T) *clienttest.Cluster {
	cluster := clienttest.Start(t)
	c := cluster.Client(t)
	for _, path := range []string{"/app/config/db", "/app/config/web", "/app/two words", "/app/it's", "/apple", "/leaf", "/app/na\u202eme", "/app/config/w\u202eb", "/lea\u200df"} {
		_, err := c.Create(t.Context(), path, nil, client.Parents())
		require.NoError(t, err)
	}
	return cluster
}

func TestTabInTheShell(t *testing.T) {
	cluster := grown(t)
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(dir+"/value.json", nil, 0o600))
	require.NoError(t, os.Mkdir(dir+"/value.d", 0o700))
	require.NoError(t, os.WriteFile(dir+"/value.\u202e", nil, 0o600))
	var said bytes.Buffer
	e := newEnv(strings.NewReader(""), io.Discard, io.Discard, noEnv)
	e.shell, e.cwd = true, "/app"
	e.target = contact{server: cluster.Addrs()[0], timeout: time.Minute, sessionTimeout: time.Minute, auth: []string{"digest:super:test", "digest:ann:secret"}}
	t.Cleanup(e.close)
	_, err := e.session(t.Context())
	require.NoError(t, err)
	tab := &completer{env: e, tell: &said}

	for typed, want := range map[string][]string{
		"del":                          {"delete", "deleteall", "delquota"},
		"whoa":                         {"whoami "},
		"nothing":                      nil,
		"member pro":                   {"member promote "},
		"member remove ":               {"member remove 1 "},
		"help transfer-l":              {"help transfer-leader "},
		"help member d":                {"help member demote "},
		"get /":                        {"get /app", "get /apple", "get /leaf", "get /zookeeper"},
		"get /app":                     {"get /app", "get /apple"},
		"get /app/c":                   {"get /app/config/"},
		"get /l":                       {"get /leaf"},
		"get /none":                    nil,
		"get /none/x":                  nil,
		"get c":                        {"get config/"},
		"get config/":                  {"get config/db", "get config/web"},
		"get ../l":                     {"get ../leaf"},
		"get ..":                       {"get ../"},
		"get ":                         {"get config", "get it\\'s", "get two\\ words"},
		"get /app/tw":                  {`get /app/two\ words`},
		"get '/app/tw":                 {"get '/app/two words"},
		`get "/app/it`:                 {`get "/app/it's`},
		`get /app/it`:                  {`get /app/it\'s`},
		`get '/app/i`:                  {`get '/app/it'\''s`},
		"get -s /app/c":                {"get -s /app/config/"},
		"get /app/config -o y":         {"get /app/config -o yaml "},
		"get -o j":                     {"get -o json "},
		"get --output=j":               {"get --output=json "},
		"get /leaf -o 'ya":             {"get /leaf -o 'yaml' "},
		"get --st":                     {"get --stat "},
		"import --existing r":          {"import --existing replace "},
		"import " + dir + "/value.":    {"import " + dir + "/value.d/", "import " + dir + "/value.json"},
		"import " + dir + " /app/c":    {"import " + dir + " /app/config/"},
		"set /a @" + dir + "/value.j":  {"set /a @" + dir + "/value.json"},
		"set /a valu":                  nil,
		"cp /l":                        {"cp /leaf"},
		"cp /leaf /app/c":              {"cp /leaf /app/config/"},
		"get /leaf /l":                 nil,
		"setAcl /leaf ":                {"setAcl /leaf world:anyone:", "setAcl /leaf auth::", "setAcl /leaf digest:", "setAcl /leaf ip:", "setAcl /leaf x509:", "setAcl /leaf sasl:"},
		"setAcl /leaf wor":             {"setAcl /leaf world:anyone:"},
		"setAcl /leaf world:anyone:cd": {"setAcl /leaf world:anyone:cdr", "setAcl /leaf world:anyone:cdw", "setAcl /leaf world:anyone:cda"},
		"setAcl /leaf auth::":          {"setAcl /leaf auth::c", "setAcl /leaf auth::d", "setAcl /leaf auth::r", "setAcl /leaf auth::w", "setAcl /leaf auth::a"},
		"setAcl /leaf auth::cdrwa,ip":  {"setAcl /leaf auth::cdrwa,ip:"},
		"setAcl /leaf digest:ann":      {"setAcl /leaf digest:ann:7RJfAeIvrl4zdj6sS2fXrQHDvHM=:"},
		"create /x data ip:":           {"create /x data ip:127.0.0.1:"},
		"addauth d":                    {"addauth digest "},
		"session 0x1":                  {"session 0x1 "},
		"printwatches o":               {"printwatches on", "printwatches off"},
	} {
		require.Equal(t, want, tabs(tab, typed), "%q", typed)
	}

	require.Nil(t, tabs(tab, "create -"), "flags are described instead")
	require.Contains(t, said.String(), "--ephemeral, -e   delete it when the session ends\n")
	require.Contains(t, said.String(), "--ttl, -t         delete it when it is without children and unchanged for TIME: 10m, or milliseconds\n")

	cluster.Stop()
	require.Eventually(t, func() bool { return e.conn.Session().State() != client.Connected }, time.Minute, time.Millisecond)
	require.Nil(t, tabs(tab, "get /"), "without a connection there is nothing to offer, at once")
	require.Equal(t, []string{"whoami "}, tabs(tab, "whoa"))
}

// tabs are the lines that Tab offers to go on to.
func tabs(tab *completer, typed string) (lines []string) {
	rest, _ := tab.Do([]rune(typed), len([]rune(typed)))
	for _, r := range rest {
		lines = append(lines, typed+string(r))
	}
	return lines
}

func TestWhatTabOffersToScripts(t *testing.T) {
	cluster := grown(t)
	ask := func(words ...string) ([]string, string) {
		out, _, code := inProcess(nil, append([]string{cobra.ShellCompNoDescRequestCmd}, words...)...)
		require.Zero(t, code)
		lines := strings.Split(strings.TrimSpace(out), "\n")
		return lines[:len(lines)-1], lines[len(lines)-1]
	}
	addr := cluster.Addrs()[0]
	for _, name := range []string{"$(touch x)1", "$(touch x)2", "`touch x`", "(touch x)", "a;touch x", "a>x", "a b"} {
		_, err := cluster.Client(t).Create(t.Context(), "/apple/"+name, nil)
		require.NoError(t, err)
	}
	for _, test := range []struct {
		typed []string
		want  []string
	}{
		{[]string{"-s", addr, "get", "/apple/"}, []string{"/apple/a b"}}, // the next Tab would run the others
		{[]string{"-s", addr, "get", "/app/c"}, []string{"/app/config/"}},
		{[]string{"-s", addr, "get", ""}, []string{"/app", "/apple", "/leaf", "/zookeeper"}},
		{[]string{"-s", addr, "get", "ap"}, nil}, // relative
		{[]string{"-s", addr + "/app", "get", "/"}, []string{"/config", "/it's", "/two words"}},
		{[]string{"-s", addr, "member", "demote", ""}, []string{"1"}},
		{[]string{"-s", addr, "get", "--timeout"}, nil},
		{[]string{"--time"}, []string{"--timeout"}},
		{[]string{"-o", ""}, []string{"text", "json", "yaml", "table", "compat"}},
		{[]string{"get", "-o", "t"}, []string{"text", "table"}},
		{[]string{"serve", "--log-level", "d"}, []string{"debug"}},
		{[]string{"snapshot", "in"}, []string{"inspect"}},
		{[]string{"snapshot", "inspect", "x"}, nil},
		{[]string{"help", "snapshot", "in"}, []string{"inspect"}},
		{[]string{"completion", ""}, []string{"bash", "zsh", "fish"}},
		{[]string{"-s", "127.0.0.1:1", "--timeout", "100ms", "get", "/"}, nil}, // nobody there
		{[]string{"--ca", "/none", "get", "/"}, nil},
	} {
		found, _ := ask(test.typed...)
		require.ElementsMatch(t, test.want, found, "%q", test.typed)
	}
	_, directive := ask("snapshot", "inspect", "x")
	require.Equal(t, ":0", directive, "the shell knows its files")
	_, directive = ask("-s", addr, "get", "/app/c")
	require.Equal(t, ":6", directive, "no blank behind a path, and no files")
}
