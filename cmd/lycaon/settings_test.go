package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/client"
)

func settingsFlags() *pflag.FlagSet {
	flags := pflag.NewFlagSet("serve", pflag.ContinueOnError)
	flags.String("config", "", "")
	flags.String("data-dir", "default", "")
	flags.Duration("tick", 0, "")
	flags.Uint64("id", 0, "")
	return flags
}

func noEnv(string) string { return "" }

func yamlFile(t *testing.T, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "lycaon.yaml")
	require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
	return file
}

func TestFlagBeatsEnvironmentBeatsFileBeatsDefault(t *testing.T) {
	file := yamlFile(t, "data-dir: file\ntick: 1s\nid: 3\n")
	env := map[string]string{"LYCAON_DATA_DIR": "env", "LYCAON_ID": "2"}
	flags := settingsFlags()
	require.NoError(t, flags.Parse([]string{"--id=1"}))
	require.NoError(t, applySettings(flags, func(k string) string { return env[k] }, file))
	for name, want := range map[string]string{"id": "1", "data-dir": "env", "tick": "1s"} {
		require.Equal(t, want, flags.Lookup(name).Value.String(), name)
	}
	require.Equal(t, "", flags.Lookup("config").Value.String())
}

func TestWhatMayBeRepeatedHasALineOfItsVariableEach(t *testing.T) {
	var given contact
	flags := pflag.NewFlagSet("", pflag.ContinueOnError)
	given.addFlags(flags)
	from := contact{server: "h:1/app", timeout: time.Second, sessionTimeout: time.Minute, useTLS: true, auth: []string{"digest:a:b c", "digest:d:e"},
		ca: "/ca.pem", cert: "/cert.pem", key: "/key.pem", adminToken: "/token", guards: []string{"/a b@1", "/@@0x2"}}
	env := map[string]string{}
	for _, v := range from.environ() {
		name, value, _ := strings.Cut(v, "=")
		env[name] = value
	}
	require.NoError(t, applyEnv(flags, func(k string) string { return env[k] }))
	given.output = ""
	require.Equal(t, from, given, "what is handed to a command arrives")
}

func TestAGuardIsAPathAndATransaction(t *testing.T) {
	for text, want := range map[string]client.Guard{
		"/l@7": client.NewGuard("/l", 7), "/a@b@0x10": client.NewGuard("/a@b", 16), "/with blank@1": client.NewGuard("/with blank", 1),
	} {
		g, err := parseGuard(text)
		require.NoError(t, err, text)
		require.Equal(t, want, g, text)
	}
	for _, text := range []string{"", "/l", "/l@", "/l@x", "@7", "l@7", "/l/@7", "/l@-1"} {
		_, err := parseGuard(text)
		require.ErrorContains(t, err, "guard", text)
	}
	_, errw, code := inProcess(nil, "--guard", "/l", "ls", "/")
	require.Equal(t, exitUsage, code, errw)
}

func TestASettingThatCannotBeTakenNamesItsPlaceAndTheRule(t *testing.T) {
	for name, c := range map[string]struct{ file, want string }{
		"unknown key":    {"id: 1\ndatadir: x\n", `lycaon.yaml:2: unknown key "datadir"; known keys: data-dir id tick`},
		"config in file": {"config: other.yaml\n", `unknown key "config"`},
		"bad value":      {"tick: soon\n", "lycaon.yaml:1: tick \"soon\": want a time"},
		"nested":         {"tick: {a: b}\n", "lycaon.yaml:1: tick wants a single value"},
		"given twice":    {"tick: 1s\nid: 1\ntick: 2s\n", `lycaon.yaml:3: tick is given twice`},
		"two documents":  {"tick: 1s\n---\nid: 1\n", "lycaon.yaml: want one document"},
		"no mapping":     {"- a\n", "lycaon.yaml:1: want lines of the form key: value"},
	} {
		err := applySettings(settingsFlags(), noEnv, yamlFile(t, c.file))
		require.ErrorContains(t, err, c.want, name)
		require.Equal(t, exitUsage, exitCode(err), name)
	}
	err := applySettings(settingsFlags(), func(k string) string {
		if k == "LYCAON_TICK" {
			return "soon"
		}
		return ""
	}, "")
	require.ErrorContains(t, err, `LYCAON_TICK="soon"`)
	require.Error(t, applySettings(settingsFlags(), noEnv, filepath.Join(t.TempDir(), "absent")))
}

func TestServersHaveAPort(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{"a:1": {"a:1"}, "a:1,[::1]:2/app": {"a:1", "[::1]:2"}, "a": nil, "a:1,": nil, "": nil, "a:": nil, "a:0": nil, "a:99999": nil, "a:zk": nil} {
		got, _, err := (&contact{server: text}).hosts()
		require.Equal(t, want, got, text)
		require.Equal(t, want == nil, exitCode(err) == exitUsage, text)
	}
	for _, zoo := range []contact{{compat: true}, {output: "compat"}} {
		zoo.server = "a,b:1/app"
		got, chroot, err := zoo.hosts()
		require.NoError(t, err)
		require.Equal(t, []string{"a:2181", "b:1"}, got, "ZooKeeper's shell knows its port")
		require.Equal(t, "app", chroot)
	}
}

func TestAWrongSettingIsNamedWithItsRuleWhereverItStands(t *testing.T) {
	t.Parallel()
	file := yamlFile(t, "id: 1\ninsecure-peers: ja\n")
	for _, c := range []struct {
		args, variable, want string
	}{
		{"ls /", "LYCAON_TIMEOUT=soon", `LYCAON_TIMEOUT="soon": want a time such as 10s or 1m30s`},
		{"serve", "LYCAON_ID=one", `LYCAON_ID="one": want a number, 0 or more`},
		{"serve", "LYCAON_LOG_LEVEL=loud", `configuration: log-level "loud": want debug, info, warn or error`},
		{"serve --log-format xml", "", `configuration: log-format "xml": want text or json`},
		{"serve --config " + file, "", file + `:2: insecure-peers "ja": want true or false`},
		{"serve --insecure-peers=ja", "", `--insecure-peers "ja": want true or false; see lycaon serve --help`},
		{"--timeout 0s ls /", "", `--timeout 0s: want more than 0`},
		{"ls /", "LYCAON_SESSION_TIMEOUT=0s", `--session-timeout 0s: want at least 1ms`},
		{"serve --log-format xml", "LYCAON_SESSION_TIMEOUT=0s", `configuration: log-format "xml": want text or json`}, // it opens no session
		{"--cert a.pem ls /", "", `--cert and --key go together`},
		{"ls -o xml /", "", `--output "xml": want text, json, yaml, table or compat; see lycaon ls --help`},
	} {
		var errw strings.Builder
		code := run(strings.Fields(c.args), nil, io.Discard, &errw, func(name string) string {
			set, value, _ := strings.Cut(c.variable, "=")
			return map[string]string{set: value}[name]
		})
		require.Equal(t, exitUsage, code)
		require.Equal(t, "lycaon: "+c.want+"\n", errw.String())
	}
}
