package faults

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestFaultsRollingUpgrade runs the servers of an earlier commit and replaces one after the other by those of today, then takes one of them
// back. No session may be lost on the way, since nobody ever fails. Strangers ask for what programs have learned to apply one after the other.
func TestFaultsRollingUpgrade(t *testing.T) {
	p := clusterOf(t)
	p.binary = oldProgram(t)
	var saved string
	var others *strangers
	runScenario(t, "rolling-upgrade", p, func(r *runner) {
		saved = r.rec.h.dir
		others = beginStrangers(t, r.c.addrs())
		defer others.end()
		for _, s := range r.c.servers {
			must(t, s.runs(p.binary))
		}
		leader := r.leader()
		followers := r.c.followers(leader)
		last := followers[len(followers)-1]
		for _, s := range append(followers[:len(followers)-1], leader) {
			r.exchange("upgrade", s, "")
		}
		// There is a way back until the last server has been upgraded: then what
		// only newer programs know may come into the log.
		if len(r.c.servers) > 2 {
			s := followers[0]
			if s == r.leader() {
				s = leader
			}
			r.exchange("downgrade", s, p.binary)
			r.exchange("upgrade", s, "")
		}
		r.exchange("upgrade", last, "")
	})
	h, err := loadHistory(saved)
	must(t, err)
	others.check(h)
	for _, l := range h.Lives {
		if l.State == "expired" {
			t.Errorf("session %#x of process %d was lost: %s", l.Session, l.Process, l.Cause)
		}
	}
}

// exchange stops a server as an operator would and starts another program in its place.
func (r *runner) exchange(what string, s *server, program string) {
	r.t.Helper()
	role := "follower"
	if s == r.leader() {
		role = "leader"
	}
	r.strike(fault{Name: what + " " + role, Detail: fmt.Sprint("server ", s.id), GapMs: gracefulGapMs}, func() { must(r.t, s.stop()) }, 0, func() {
		s.binary = program
		r.restart(s)
		must(r.t, s.runs(program))
	})
}

// runs tells whether the process is of this program: an exchange of a thing for itself would show nothing.
func (s *server) runs(program string) (err error) {
	if program == "" {
		if program, err = buildOnce(); err != nil {
			return err
		}
	}
	running, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", s.process().pid()))
	if err == nil && running != program {
		err = fmt.Errorf("server %d runs %s instead of %s", s.id, running, program)
	}
	return err
}

// oldProgram builds the program of the commit that testdata/upgrade-from names. Where the history is not at hand there is nothing to
// upgrade from.
func oldProgram(t *testing.T) string {
	t.Helper()
	raw, err := os.ReadFile("testdata/upgrade-from")
	must(t, err)
	commit := strings.Fields(string(raw))[0]
	if out, err := exec.Command("git", "cat-file", "-e", commit+"^{commit}").CombinedOutput(); err != nil {
		t.Skipf("SKIPPED FAULT: rolling upgrade: commit %s is not here; it wants git and a clone with its history (%v: %s)", commit, err, out)
	}
	dir := t.TempDir()
	source, program := filepath.Join(dir, "source.tar"), filepath.Join(dir, "lycaon-old")
	for _, line := range [][]string{
		{"git", "-C", "../..", "archive", "-o", source, commit},
		{"tar", "-x", "-f", source, "-C", dir},
		{"go", "-C", dir, "build", "-trimpath", "-o", program, "./cmd/lycaon"}, // trimmed, so that the next run finds it in the cache
	} {
		if out, err := exec.Command(line[0], line[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", strings.Join(line, " "), err, out)
		}
	}
	return program
}
