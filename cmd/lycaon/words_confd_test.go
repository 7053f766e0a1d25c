package main

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/client/clienttest"
)

func TestConfdOnceSaysByItsExitCodeWhatIsWrong(t *testing.T) {
	t.Parallel()
	cluster := clienttest.Start(t)
	_, err := cluster.Client(t).Create(t.Context(), "/port", []byte("80"))
	require.NoError(t, err)
	dir := t.TempDir()
	template := func(name, text string) string {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600))
		return filepath.Join(dir, name) + ":" + filepath.Join(dir, "out")
	}
	good := template("good", `port {{getv "/port"}}`)
	missing := template("missing", `{{getv "/none"}}`)
	for name, c := range map[string]struct {
		args []string
		code int
		errw string
		out  string
	}{
		"a preview":            {[]string{"--dry-run", good}, exitOK, "", "port 80"},
		"a missing node":       {[]string{"--once", missing}, exitNotFound, "out: template: missing:1:2:", ""},
		"a template of no use": {[]string{"--once", template("broken", "{{")}, exitUsage, "unclosed action", ""},
		"no template":          {[]string{"--once", dir + "/none:" + dir + "/out"}, exitUsage, "no such file", ""},
		"no file":              {[]string{"--once", "template"}, exitUsage, `"template": want TEMPLATE:FILE[:RELOAD]`, ""},
		"no argument":          {[]string{"--once"}, exitUsage, "usage: ", ""},
		"a mode of no kind":    {[]string{"--mode", "rw", good}, exitUsage, `--mode "rw": want an octal number`, ""},
		"a mode of too much":   {[]string{"--mode", "7777", good}, exitUsage, `--mode "7777": want an octal number`, ""},
		"a wait of no length":  {[]string{"--wait", "2s:1s", good}, exitUsage, `--wait "2s:1s": want MIN:MAX`, ""},
		"a check that fails":   {[]string{"--once", "--check", "exit 7", good}, exitError, "check: exit 7: exit code 7", ""},
		"a check that is late": {[]string{"--once", "--check", "exec sleep 60", "--command-timeout", "20ms", good}, exitError, "check: exec sleep 60: it was ended after 20ms", ""},
	} {
		out, errw, code := inProcess(nil, append([]string{"-s", cluster.Addrs()[0], "confd"}, c.args...)...)
		require.Equal(t, c.code, code, "%s: %s", name, errw)
		require.Contains(t, errw, c.errw, name)
		require.Equal(t, c.out, out, name)
		require.NoFileExists(t, filepath.Join(dir, "out"), name)
	}
	_, errw, code := inProcess(nil, "-s", "127.0.0.1:1", "--timeout", "50ms", "confd", "--once", good)
	require.Equal(t, exitUnavailable, code, errw)
	_, errw, code = inProcess(nil, "-s", cluster.Addrs()[0], "confd", "--once", "--mode", "0600", good+":echo reloaded; false")
	require.Equal(t, exitError, code)
	require.Contains(t, errw, "reload: echo reloaded; false: exit code 1")
	text, err := os.ReadFile(filepath.Join(dir, "out"))
	require.NoError(t, err)
	require.Equal(t, "port 80", string(text))
}

func TestConfdRunsUntilItIsToldToEnd(t *testing.T) {
	t.Parallel()
	cluster := clienttest.Start(t)
	c := cluster.Client(t)
	_, err := c.Create(t.Context(), "/a", []byte("1"))
	require.NoError(t, err)
	dir := t.TempDir()
	template, out := filepath.Join(dir, "template"), filepath.Join(dir, "out")
	require.NoError(t, os.WriteFile(template, []byte(`{{getv "/a"}}{{env "LYCAON_TEST_SUFFIX" "."}}`), 0o600))
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		r := begin(t, cluster.Addrs()[0], "confd", "--wait", "1ms", template+":"+out+":echo reloaded $(cat "+out+")")
		if signal == syscall.SIGTERM {
			require.Equal(t, "1.", r.says("reloaded"))
		}
		data := strings.ToLower(signal.String())
		_, err = c.Set(t.Context(), "/a", []byte(data))
		require.NoError(t, err)
		require.Equal(t, data[1:]+".", r.says("reloaded "+data[:1]))
		require.NoError(t, r.cmd.Process.Signal(signal))
		require.Equal(t, exitOK, r.exits(), r.errw.String())
	}
}

func TestConfdEndsItsCommandsWithItself(t *testing.T) {
	t.Parallel()
	cluster := clienttest.Start(t)
	dir := t.TempDir()
	template := filepath.Join(dir, "template")
	require.NoError(t, os.WriteFile(template, []byte("text"), 0o600))
	r := begin(t, cluster.Addrs()[0], "confd", template+":"+dir+"/out:echo began; exec sleep 600")
	r.says("began")
	start := time.Now()
	require.NoError(t, r.cmd.Process.Signal(syscall.SIGTERM))
	require.Equal(t, exitOK, r.exits(), r.errw.String())
	require.Less(t, time.Since(start), 60*time.Second)
}
