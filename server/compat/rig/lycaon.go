package rig

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

var built struct {
	sync.Mutex
	dir string // holds all that was compiled; Main removes it
}

// Main runs the tests and removes what was compiled for them:
//
//	func TestMain(m *testing.M) { rig.Main(m) }
func Main(m *testing.M) {
	code := m.Run()
	built.Lock()
	defer built.Unlock()
	if built.dir != "" {
		os.RemoveAll(built.dir)
	}
	os.Exit(code)
}

// BuildDir is a new directory for something compiled.
func BuildDir(name string) (string, error) {
	built.Lock()
	defer built.Unlock()
	if built.dir == "" {
		dir, err := os.MkdirTemp("", "lycaon-compat-*")
		if err != nil {
			return "", err
		}
		built.dir = dir
	}
	return os.MkdirTemp(built.dir, name+"-*")
}

// program compiles the server, unless LYCAON_BINARY names one.
var program = sync.OnceValues(func() (string, error) {
	if path := os.Getenv("LYCAON_BINARY"); path != "" {
		return filepath.Abs(path)
	}
	dir, err := BuildDir("lycaon")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "lycaon")
	out, err := exec.Command("go", "build", "-o", path, "github.com/lycaon-io/lycaon/cmd/lycaon").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("go build: %w: %s", err, out)
	}
	return path, nil
})

// Lycaon starts n servers of this repository, 1 or 3.
func Lycaon(t testing.TB, n int, opts Options) *Ensemble {
	t.Helper()
	binary, err := program()
	if err != nil {
		t.Fatal(err)
	}
	root, all := t.TempDir(), Ports(t, 2*n)
	clients, peers := locals(all[:n]), locals(all[n:])
	var cluster []string
	for i, addr := range peers {
		cluster = append(cluster, fmt.Sprintf("%d=%s", i+1, addr))
	}
	e := &Ensemble{Addrs: clients, t: t}
	for i := range n {
		line := []string{binary, "serve", "--id", strconv.Itoa(i + 1), "--data-dir", "data",
			"--initial-cluster", strings.Join(cluster, ","), "--client-addr", clients[i], "--http-addr", "off"}
		if opts.SuperDigest != "" {
			line = append(line, "--super-digest", opts.SuperDigest)
		}
		dir := filepath.Join(root, strconv.Itoa(i+1))
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		e.servers = append(e.servers, &server{index: i, Process: Process{
			Command: append(line, opts.Flags...), Dir: dir, Log: filepath.Join(dir, "log"),
		}})
	}
	e.serving = func(i int) bool { return memberAt(binary, e.Addrs[i], i).Ready }
	e.leads = func(i int) bool { return memberAt(binary, e.Addrs[i], i).Role == "leader" }
	e.begin()
	return e
}

// member is what lycaon status says of one server.
type member struct {
	ID    int    `json:"id"`
	Role  string `json:"role"`
	Ready bool   `json:"ready"`
}

const statusWithin = 5 * time.Second

// memberAt asks the server at addr about itself; the zero member if it does not answer.
func memberAt(binary, addr string, index int) member {
	ctx, cancel := context.WithTimeout(context.Background(), statusWithin)
	defer cancel()
	out, err := exec.CommandContext(ctx, binary, "-s", addr, "--timeout", "2s", "status", "-o", "json").Output()
	if err != nil {
		return member{}
	}
	var status struct{ Members []member }
	if err := json.Unmarshal(out, &status); err != nil {
		return member{}
	}
	for _, m := range status.Members {
		if m.ID == index+1 {
			return m
		}
	}
	return member{}
}
