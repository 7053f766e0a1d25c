//go:build linux

package main

import (
	"os"
	"os/exec"
	"testing"

	"github.com/stretchr/testify/require"
)

// completing is a shell that has lycaon in its PATH and knows the server.
func completing(t *testing.T, addr string, argv ...string) *exec.Cmd {
	t.Helper()
	if _, err := exec.LookPath(argv[0]); err != nil {
		t.Skipf("SKIPPED COMPLETION: no %s here", argv[0])
	}
	dir := t.TempDir()
	self, err := os.Executable()
	require.NoError(t, err)
	require.NoError(t, os.Symlink(self, dir+"/lycaon"))
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir = dir
	// Each Tab is a process, in which the race detector would sleep for a second.
	cmd.Env = append(os.Environ(), "GORACE=atexit_sleep_ms=0", asLycaon+"=1", "LYCAON_SERVER="+addr, "PATH="+dir+":"+os.Getenv("PATH"), "PS1=ready> ", "HOME="+dir)
	return cmd
}

func TestTabInBashAndZsh(t *testing.T) {
	cluster := grown(t)
	addr := cluster.Addrs()[0]
	const bashCompletion = "/usr/share/bash-completion/bash_completion"
	for _, shell := range []struct {
		name  string
		argv  []string
		setUp string
		needs string
	}{
		{name: "bash", argv: []string{"bash", "--norc", "--noprofile", "-i"}, setUp: "source <(lycaon completion bash)"},
		{name: "bash with bash-completion", argv: []string{"bash", "--norc", "--noprofile", "-i"}, needs: bashCompletion,
			setUp: "source " + bashCompletion + "; source <(lycaon completion bash)"},
		{name: "zsh", argv: []string{"zsh", "-f", "-i"}, setUp: "autoload -U compinit; compinit -u -D; source <(lycaon completion zsh)"},
	} {
		t.Run(shell.name, func(t *testing.T) {
			t.Parallel()
			if shell.needs != "" {
				if _, err := os.Stat(shell.needs); err != nil {
					t.Skip("SKIPPED COMPLETION: no bash-completion here")
				}
			}
			term := startTerminal(t, completing(t, addr, shell.argv...))
			term.shows("ready> ")
			term.types(shell.setUp + "; echo the script is r''ead" + keyEnter)
			term.shows("the script is read")
			term.shows("ready> ")
			for typed, more := range map[string]string{
				"lycaon whoa":                                 "mi",         // a command
				"lycaon member prom":                          "ote",        // one of a command's
				"lycaon get /app/c":                           "onfig/",     // a path
				"lycaon get /app/tw":                          `o\ words`,   // that wants to be escaped
				"lycaon get --ra":                             "w",          // a flag
				"lycaon get /leaf -o ya":                      "ml",         // a flag's value
				"lycaon --timeout 30s -s " + addr + " get /l": "eaf",        // behind a colon
				"lycaon setAcl /leaf wor":                     "ld:anyone:", // with one in it
			} {
				term.types(typed + keyTab)
				term.shows(more)
				term.types(keyCtrlU + "echo line cle''ared" + keyEnter)
				term.shows("line cleared")
				term.shows("ready> ")
			}
			term.types("lycaon -s 127.0.0.1:1 --timeout 100ms get /l" + keyTab + "ost") // quiet when nobody answers
			term.shows("get /l")
			term.shows("ost")
			require.NotContains(t, term.screen.String(), "refused")
		})
	}
}

func TestTabInFish(t *testing.T) {
	cluster := grown(t)
	for typed, want := range map[string]string{
		"lycaon whoa":            "whoami\tList the identities of this connection\n",
		"lycaon get /app/c":      "/app/config/\n",
		"lycaon get /app/tw":     "/app/two words\n",
		"lycaon get --ra":        "--raw\tprint the bytes alone, without a line end\n",
		"lycaon get /leaf -o ya": "yaml\n",
	} {
		cmd := completing(t, cluster.Addrs()[0], "fish", "--no-config", "-c",
			"lycaon completion fish | source; complete --do-complete "+`"`+typed+`"`)
		out, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", out)
		require.Contains(t, string(out), want, typed)
	}
}
