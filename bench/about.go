package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// about is what cells were measured on, and how.
type about struct {
	At       time.Time         `json:"at"`
	Machine  string            `json:"machine"`
	Disk     string            `json:"disk"`
	Versions map[string]string `json:"versions"`
	Command  string            `json:"command"`
	LengthS  float64           `json:"length_s"`
	Runs     int               `json:"runs"`
	BulkRuns int               `json:"bulk_runs,omitempty"` // of scenes with many nodes, where they are others
	Load     string            `json:"load"`
}

func lookAround(ctx context.Context, c *comparison) (about, error) {
	disk, err := syncSpeed(c.dir)
	if kind := says(ctx, "findmnt", "--noheadings", "--output", "FSTYPE", "--target", c.dir); kind != unknown {
		disk = kind + ", " + disk
	}
	a := about{At: time.Now().UTC(), Machine: machine(), Disk: disk, LengthS: c.length.Seconds(), Runs: c.runs, BulkRuns: c.bulkRuns, Load: loadAverage(),
		Command: command()}
	a.Versions = map[string]string{
		"lycaon":    says(ctx, c.lycaon, "--version") + ", commit " + says(ctx, "git", "describe", "--always", "--dirty"),
		"zookeeper": "Debian " + says(ctx, "dpkg-query", "-W", "-f", "${Version}", "zookeeper") + ", " + says(ctx, "java", "--version"),
		"go":        runtime.Version(),
	}
	if c.etcd != "" {
		a.Versions["etcd"] = strings.TrimPrefix(says(ctx, c.etcd, "--version"), "etcd Version: ")
	}
	if c.consul != "" {
		a.Versions["consul"] = says(ctx, c.consul, "--version")
	}
	return a, err
}

// amount is how often and how long was to be measured.
func (a *about) amount() string {
	if a.Runs == 0 { // older results do not say
		return fmt.Sprintf("runs of %g s", a.LengthS)
	}
	text := fmt.Sprintf("%d run%s of %g s", a.Runs, plural(a.Runs), a.LengthS)
	if a.BulkRuns > 0 {
		text += fmt.Sprintf(", %d of the scenes with 100,000 nodes and more", a.BulkRuns)
	}
	return "asked for: " + text
}

// toldCommand is the variable in which a script says how it was called.
const toldCommand = "BENCH_COMMAND"

// command is how this run was begun.
func command() string {
	if told := os.Getenv(toldCommand); told != "" {
		return withoutFolders(told)
	}
	return "go run . " + withoutFolders(commandLine(os.Args[1:]))
}

// withoutFolders leaves the folders of files out, which are of one machine.
func withoutFolders(command string) string { return folders.ReplaceAllString(command, "$1.../") }

var folders = regexp.MustCompile(`(^|[ "'=])/[^ "']*/`)

// commandLine is how arguments are typed.
func commandLine(args []string) string {
	typed := slices.Clone(args)
	for i, a := range typed {
		if a == "" || strings.ContainsAny(a, " ;") {
			typed[i] = "'" + a + "'"
		}
	}
	return strings.Join(typed, " ")
}

// unknown is what a command says that cannot be run.
const unknown = "unknown"

// says is the first line that a command prints.
func says(ctx context.Context, name string, args ...string) string {
	out, err := exec.CommandContext(ctx, name, args...).Output()
	if err != nil {
		return unknown
	}
	first, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	return first
}

func machine() string {
	return fmt.Sprintf("%d cores of %s, %d GiB, Linux %s", runtime.NumCPU(), fieldOf("/proc/cpuinfo", "model name"),
		statusKiB(contents("/proc/meminfo"), "MemTotal")>>20, strings.TrimSpace(contents("/proc/sys/kernel/osrelease")))
}

func contents(file string) string {
	raw, err := os.ReadFile(file)
	if err != nil {
		return ""
	}
	return string(raw)
}

func fieldOf(file, name string) string {
	for l := range strings.Lines(contents(file)) {
		if key, value, ok := strings.Cut(l, ":"); ok && strings.TrimSpace(key) == name {
			return strings.TrimSpace(value)
		}
	}
	return "an unknown kind"
}

// syncSpeed is what one append of 1 KiB made durable takes in a folder.
func syncSpeed(dir string) (string, error) {
	file, err := os.Create(filepath.Join(dir, "sync"))
	if err != nil {
		return "", err
	}
	defer os.Remove(file.Name())
	defer file.Close()
	var took []time.Duration
	for begin := time.Now(); time.Since(begin) < time.Second; {
		at := time.Now()
		if _, err := file.Write(make([]byte, valueBytes)); err != nil {
			return "", err
		}
		if err := syscall.Fdatasync(int(file.Fd())); err != nil {
			return "", err
		}
		took = append(took, time.Since(at))
	}
	slices.Sort(took)
	return fmt.Sprintf("1 KiB appended and made durable (fdatasync): p50 %.2f ms, p99 %.2f ms, %s/s", ms(took[len(took)/2]), ms(took[rank(len(took), 99)]), number(float64(len(took)))), nil
}
