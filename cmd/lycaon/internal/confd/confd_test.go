package confd

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/client/clienttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const long = 30 * time.Second // for what comes when it comes

// rig is a Runner with real files, commands and servers.
type rig struct {
	t       *testing.T
	dir     string
	cluster *clienttest.Cluster
	c       *client.Client // of the test itself
	cfg     Config

	mu   sync.Mutex
	own  *client.Client // of the runner
	told []string
}

func newRig(t *testing.T, opts ...clienttest.Option) *rig {
	t.Helper()
	r := &rig{t: t, dir: t.TempDir(), cluster: clienttest.Start(t, opts...)}
	r.c = r.cluster.Client(t)
	r.cfg = Config{
		WaitMin: 5 * time.Millisecond, WaitMax: 100 * time.Millisecond,
		Open: r.open, Run: r.run, Getenv: func(name string) string { return map[string]string{"HOST": "h1"}[name] },
		Tell: func(text string) {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.told = append(r.told, text)
		},
	}
	t.Cleanup(func() {
		if r.own != nil {
			r.own.Abandon()
		}
	})
	return r
}

func (r *rig) open(ctx context.Context) (*client.Client, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.own != nil {
		if r.own.Session().Context().Err() == nil {
			return r.own, nil
		}
		r.own.Abandon()
		r.own = nil
	}
	ctx, cancel := context.WithTimeout(ctx, long)
	defer cancel()
	var err error
	r.own, err = client.Open(ctx, r.cluster.Addrs())
	return r.own, err
}

func (r *rig) run(ctx context.Context, command string, environ []string) error {
	cmd := exec.CommandContext(ctx, "sh", "-c", command)
	cmd.Dir, cmd.Env = r.dir, append(os.Environ(), environ...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%w: %s", err, out)
	}
	return nil
}

func (r *rig) file(name string) string { return filepath.Join(r.dir, name) }

func (r *rig) write(name, text string) string {
	r.t.Helper()
	require.NoError(r.t, os.WriteFile(r.file(name), []byte(text), 0o600))
	return r.file(name)
}

// template adds one that makes the file name.
func (r *rig) template(name, text, reload string) {
	r.t.Helper()
	r.cfg.Templates = append(r.cfg.Templates, Template{Source: r.write(name+".tmpl", text), Target: r.file(name), Reload: reload})
}

func (r *rig) runner() *Runner {
	r.t.Helper()
	runner, err := New(r.cfg)
	require.NoError(r.t, err)
	return runner
}

// start runs it until the test ends, and checks that it ends well.
func (r *rig) start() {
	r.t.Helper()
	runner := r.runner()
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- runner.Run(ctx) }()
	r.t.Cleanup(func() {
		stop()
		require.NoError(r.t, <-ended)
	})
}

func (r *rig) set(path, data string) {
	r.t.Helper()
	_, err := r.c.Create(r.t.Context(), path, []byte(data), client.Parents())
	if errors.Is(err, client.ErrNodeExists) {
		_, err = r.c.Set(r.t.Context(), path, []byte(data))
	}
	require.NoError(r.t, err)
}

func (r *rig) content(name string) string {
	text, err := os.ReadFile(r.file(name))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		r.t.Error(err)
	}
	return string(text)
}

func (r *rig) becomes(name, want string) {
	r.t.Helper()
	require.Eventually(r.t, func() bool { return r.content(name) == want }, long, 2*time.Millisecond,
		"%s: want %q", name, want)
}

// tells waits until something was told that contains part.
func (r *rig) tells(part string) {
	r.t.Helper()
	require.Eventually(r.t, func() bool { return r.count(part) > 0 }, long, 2*time.Millisecond, "told: %q", part)
}

func (r *rig) count(part string) (n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, text := range r.told {
		n += strings.Count(text, part)
	}
	return n
}

func TestWhatTemplatesCanDo(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	for path, data := range map[string]string{
		"/app/port": "80", "/app/empty": "", "/app/json": `{"a": {"b": [1, "x"]}}`, "/app/b64": "aGk=",
		"/web/n1/addr": "10.0.0.1", "/web/n2/addr": "10.0.0.2", "/web/n2/deep/er": "x", "/other/n3/addr": "no",
	} {
		r.set(path, data)
	}
	for template, want := range map[string]string{
		`{{getv "/app/port"}} {{getv "/app/port" "1"}} {{getv "/app/none" "1"}} [{{getv "/app/empty" "1"}}]`:                    "80 80 1 []",
		`{{with get "/web/n1/addr"}}{{.Path}} {{.Name}} {{.Value}}{{end}}`:                                                      "/web/n1/addr addr 10.0.0.1",
		`{{exists "/app"}} {{exists "/none"}}`:                                                                                  "true false",
		`{{ls "/web"}} {{ls "/none"}} {{range ls "/app"}}<{{.}}>{{end}}`:                                                        "[n1 n2] [] <b64><empty><json><port>",
		`{{range gets "/web/*/addr"}}{{.Path}}={{.Value}} {{end}}{{range gets "/none/*"}}x{{end}}`:                              "/web/n1/addr=10.0.0.1 /web/n2/addr=10.0.0.2 ",
		`{{join (getvs "/*/n[12]/addr") ","}}`:                                                                                  "10.0.0.1,10.0.0.2",
		`{{range tree "/web"}}{{.Rel}};{{end}}{{range tree "/none"}}x{{end}}`:                                                   "n1;n1/addr;n2;n2/addr;n2/deep;n2/deep/er;",
		`{{with json (getv "/app/json")}}{{.a.b}} {{join .a.b "-"}} {{toJSON .}}{{end}}`:                                        `[1 x] 1-x {"a":{"b":[1,"x"]}}`,
		`{{with yaml "a: [1, 2]"}}{{.a}} {{toYAML .}}{{end}}`:                                                                   "[1 2] a:\n    - 1\n    - 2",
		`{{getv "/app/b64" | base64Decode}} {{base64Encode "hi"}}`:                                                              "hi aGk=",
		`{{env "HOST"}} {{getenv "NONE" "else"}} {{env "NONE"}}.`:                                                               "h1 else .",
		`{{split "a,b" ","}} {{lines "a\nb\n"}} {{sort (split "b,a" ",")}} {{reverse (split "a,b" ",")}}`:                       "[a b] [a b] [a b] [b a]",
		`{{trim " x "}}{{trimPrefix "abc" "a"}}{{trimSuffix "abc" "c"}}{{replace "aa" "a" "b"}}`:                                "xbcabbb",
		`{{toUpper "a"}}{{toLower "B"}}{{contains "abc" "b"}}{{hasPrefix "abc" "a"}}{{hasSuffix "abc" "a"}}`:                    "Abtruetruefalse",
		`{{indent 2 "a\nb"}} {{quote "a\"b"}} {{base "/a/b"}} {{dir "/a/b"}} {{default "d" ""}}{{default "d" "x"}}`:             "a\n  b \"a\\\"b\" b /a dx",
		`{{add 1 2}} {{sub 1 2}} {{mul 2 3}} {{div 7 2}} {{mod 7 2}} {{seq 2 4}} {{seq 2 1}} {{atoi "7"}} {{parseBool "true"}}`: "3 -1 6 3 1 [2 3 4] [] 7 true",
		`{{with map "k" 1 "l" (list 1 2)}}{{.k}} {{.l}}{{end}}`:                                                                 "1 [1 2]",
	} {
		r.cfg.Templates = nil
		r.template("file", template, "")
		shown := ""
		require.NoError(t, r.runner().Preview(t.Context(), func(file string, content []byte) error {
			require.Equal(t, r.file("file"), file)
			shown = string(content)
			return nil
		}), template)
		require.Equal(t, want, shown, template)
		require.NoFileExists(t, r.file("file"))
	}
	r.set("/app/big", strings.Repeat("x", 1<<20))
	for template, want := range map[string]string{
		`x{{getv "/app/none"}}`:                            `file.tmpl:1:3: executing "file.tmpl" at <getv "/app/none">: error calling getv: get /app/none: node does not exist`,
		`{{getv "relative"}}`:                              "does not start with a slash",
		`{{gets "relative/*"}}`:                            `pattern "relative/*": want a path`,
		`{{gets "/a/["}}`:                                  `pattern "/a/[": want a path`,
		`{{json (getv "/app/b64")}}`:                       "error calling json: invalid character",
		`{{(json (getv "/app/json")).x}}`:                  `map has no entry for key "x"`,
		`{{fail "not yet"}}`:                               "error calling fail: not yet",
		`{{div 1 0}}`:                                      "want a divisor above 0",
		`{{seq 0 1000000}}`:                                "more than 1000000 numbers",
		`{{seq -9223372036854775807 9223372036854775807}}`: "more than 1000000 numbers",
		`{{indent 1001 ""}}`:                               "1001 blanks are not within 0 to 1000",
		`{{map "a"}}`:                                      "a name without a value",
		`{{map 1 2}}`:                                      "1 is no name",
		`{{join "a" "b"}}`:                                 "string is no list",
		`{{range seq 1 18}}{{getv "/app/big"}}{{end}}`:     "it makes more than 16777216 bytes",
	} {
		r.cfg.Templates = nil
		r.template("file", template, "")
		require.ErrorContains(t, r.runner().Preview(t.Context(), nil), want, template)
	}
}

func TestFilesFollowTheTree(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.set("/app/name", "one")
	r.template("name", `{{getv "/app/name"}}`, "echo name >> log")
	r.template("list", `{{range ls "/nodes"}}{{.}} {{end}}`, "")
	r.template("deep", `{{range gets "/nodes/*/port"}}{{.Value}} {{end}}{{range tree "/deep"}}{{.Rel}}={{.Value}} {{end}}`, "")
	r.template("late", `{{if exists "/late"}}{{getv "/late/key"}}{{else}}none{{end}}`, "")
	r.start()
	r.becomes("name", "one")
	r.becomes("late", "none")
	r.becomes("log", "name\n")

	r.set("/app/name", "two")
	r.becomes("name", "two")
	r.set("/nodes/a/port", "1")
	r.set("/nodes/b/port", "2")
	r.becomes("list", "a b ")
	r.becomes("deep", "1 2 ")
	r.set("/deep/x/y", "z")
	r.becomes("deep", "1 2 x= x/y=z ")
	r.set("/nodes/b/port", "3")
	r.becomes("deep", "1 3 x= x/y=z ")
	require.NoError(t, r.c.Delete(t.Context(), "/nodes", client.Recursive()))
	r.becomes("list", "")
	r.becomes("deep", "x= x/y=z ")
	r.set("/late/key", "there")
	r.becomes("late", "there")
	r.becomes("log", "name\nname\n")
	r.set("/app/name", "two") // what it is already
	r.set("/late/key", "then")
	r.becomes("late", "then")
	require.Equal(t, "name\nname\n", r.content("log"), "nothing is reloaded for the same content")
}

func TestWhatChangesTogetherIsReloadedOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.cfg.Reload = "cat a b >> log"
	r.set("/a", "1")
	r.set("/b", "1")
	r.template("a", `{{getv "/a"}}`, "")
	r.template("b", `{{getv "/b"}};`, "")
	r.start()
	r.becomes("log", "11;")
	for _, data := range []string{"2", "3"} {
		_, err := r.c.Commit(t.Context(), client.OpSet("/a", []byte(data)), client.OpSet("/b", []byte(data)))
		require.NoError(t, err)
		r.becomes("b", data+";")
		require.Eventually(t, func() bool { return strings.HasSuffix(r.content("log"), data+data+";") }, long, time.Millisecond)
	}
	require.Equal(t, "11;22;33;", r.content("log"))
}

func TestAMissingNodeKeepsTheFileThatThereIs(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.write("file", "old")
	r.template("file", `{{getv "/a"}}{{getv "/b"}}`, "")
	r.template("beside", `{{getv "/c" "x"}}`, "")
	r.start()
	r.becomes("beside", "x")
	r.tells("/file: template: file.tmpl:1:2: executing \"file.tmpl\" at <getv \"/a\">: error calling getv: get /a: node does not exist")
	r.set("/a", "1")
	r.tells("get /b: node does not exist")
	require.Equal(t, "old", r.content("file"))
	r.set("/b", "2")
	r.becomes("file", "12")
	r.tells("all files are as they should be again")
	require.NoError(t, r.c.Delete(t.Context(), "/a"))
	require.Eventually(t, func() bool { return r.count("get /a: node does not exist") == 2 }, long, time.Millisecond)
	require.Equal(t, "12", r.content("file"))
}

func TestAContentThatFailsTheCheckIsNotPutInPlace(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.cfg.Check = `! grep bad "$LYCAON_NEW" && echo "$LYCAON_TARGET" >> checked`
	r.set("/a", "good")
	r.template("file", `{{getv "/a"}}`, "echo reloaded >> log")
	r.start()
	r.becomes("log", "reloaded\n")
	require.Equal(t, r.file("file")+"\n", r.content("checked"))
	r.set("/a", "bad")
	r.tells("/file: it stays as it is: check: ! grep bad")
	require.Equal(t, "good", r.content("file"))
	r.set("/a", "better")
	r.becomes("file", "better")
	r.becomes("log", "reloaded\nreloaded\n")
	entries, err := filepath.Glob(r.dir + "/.*")
	require.NoError(t, err)
	require.Empty(t, entries, "nothing is left of what failed")
}

func TestAReloadThatFailsIsRunAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.set("/a", "1")
	r.template("file", `{{getv "/a"}}`, "test -e up && echo reloaded >> log")
	r.start()
	r.tells("reload: test -e up && echo reloaded >> log: exit status 1")
	require.Equal(t, "1", r.content("file"))
	r.write("up", "")
	r.becomes("log", "reloaded\n")
	r.tells("all files are as they should be again")
}

func TestItGoesOnAfterTheServersWereAway(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.set("/a", "1")
	r.template("file", `{{getv "/a"}}`, "echo reloaded >> log")
	r.start()
	r.becomes("log", "reloaded\n")

	r.cluster.Stop(1)
	require.Equal(t, "1", r.content("file"))
	r.cluster.Restart(1)
	r.set("/a", "2")
	r.becomes("file", "2")

	for _, data := range []string{"3", "4"} {
		r.mu.Lock()
		id := r.own.Session().ID()
		r.mu.Unlock()
		r.cluster.ExpireSession(id)
		r.set("/a", data)
		r.becomes("file", data)
	}
	r.becomes("log", strings.Repeat("reloaded\n", 4))
}

func TestOnceTellsWhatIsWrong(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.set("/a", "1")
	r.template("file", `{{getv "/a"}}`, "false")
	require.ErrorContains(t, r.runner().Once(t.Context()), "reload: false: exit status 1")
	require.NoError(t, r.runner().Once(t.Context()), "the file is right")
	r.cfg.Check = "false"
	require.NoError(t, r.runner().Once(t.Context()), "so there is nothing to check")
	r.set("/a", "2")
	require.ErrorContains(t, r.runner().Once(t.Context()), "check: false: exit status 1")
	require.NoError(t, r.c.Delete(t.Context(), "/a"))
	require.ErrorIs(t, r.runner().Once(t.Context()), client.ErrNoNode)
	require.Equal(t, "1", r.content("file"))

	r.set("/a", "3")
	r.cfg.Check = ""
	r.cfg.Templates[0].Target = r.file("no/such/folder")
	require.ErrorIs(t, r.runner().Once(t.Context()), os.ErrNotExist)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, r.runner().Once(ended), context.Canceled)
	require.NoError(t, r.runner().Run(ended))
}

func TestAFileKeepsItsModeUnlessToldOtherwise(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	r.set("/a", "1")
	mode := func(name string) os.FileMode {
		info, err := os.Stat(r.file(name))
		require.NoError(t, err)
		return info.Mode()
	}
	r.template("new", `{{getv "/a"}}`, "")
	r.template("old", `{{getv "/a"}}`, "echo reloaded >> log")
	require.NoError(t, os.Chmod(r.write("old", ""), 0o604))
	require.NoError(t, r.runner().Once(t.Context()))
	require.NoError(t, os.WriteFile(r.file("like"), nil, 0o644))
	require.Equal(t, mode("like"), mode("new"), "less the umask")
	require.Equal(t, os.FileMode(0o604), mode("old"))
	r.cfg.Mode = 0o640
	require.NoError(t, r.runner().Once(t.Context()))
	require.Equal(t, os.FileMode(0o640), mode("old"))
	require.Equal(t, "reloaded\n", r.content("log"), "a mode is no content")
	require.NoError(t, os.Remove(r.file("new")))
	require.NoError(t, r.runner().Once(t.Context()))
	require.Equal(t, os.FileMode(0o640), mode("new"))
}

func TestATemplateThatDoesNotParseIsRefused(t *testing.T) {
	r := &rig{t: t, dir: t.TempDir()}
	for text, want := range map[string]string{"{{nothing}}": `function "nothing" not defined`, "{{if}}": "missing value for if"} {
		r.cfg.Templates = nil
		r.template("file", text, "")
		_, err := New(r.cfg)
		require.ErrorContains(t, err, want)
	}
	_, err := New(Config{Templates: []Template{{Source: r.file("none")}}})
	require.ErrorIs(t, err, os.ErrNotExist)
	for text, want := range map[string]Template{
		"t:f":             {Source: "t", Target: "f"},
		"t:f:":            {Source: "t", Target: "f"},
		"t:f:a b:c 'd:e'": {Source: "t", Target: "f", Reload: "a b:c 'd:e'"},
		"t":               {}, "t:": {}, ":f": {}, "": {},
	} {
		got, err := ParseTemplate(text)
		require.Equal(t, want, got, text)
		require.Equal(t, want == (Template{}), err != nil, text)
	}
}
