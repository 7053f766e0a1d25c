package downstream

import (
	"fmt"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"text/template"
	"time"

	"github.com/lycaon-io/lycaon/server/compat/rig"
)

const (
	soon      = 3 * time.Minute // for whatever is expected, on a machine whose cores are all busy
	pollEvery = 100 * time.Millisecond
	tailLines = 60 // of each log, when a test has failed
)

func TestMain(m *testing.M) { rig.Main(m) }

// run is one scenario over an ensemble: steps in their order, each said as it is
// done.
type run struct {
	*testing.T
	ensemble *rig.Ensemble
	peer     string // what the ensemble is
	began    time.Time
}

// begin skips the test where it cannot run, and starts the three servers.
func begin(t *testing.T, needed ...need) *run {
	if os.Getenv("LYCAON_DOWNSTREAM") == "" {
		t.Skip("SKIPPED: real systems run by make downstream alone (LYCAON_DOWNSTREAM=1)")
	}
	if os.Geteuid() != 0 {
		t.Skip("SKIPPED: wants root, to run programs as the users of their packages")
	}
	for _, n := range needed {
		if _, err := os.Stat(n.path); err != nil {
			t.Skipf("SKIPPED: no %s (Debian package %s)", n.path, n.debian)
		}
	}
	r := &run{T: t, peer: "lycaon", began: time.Now()}
	start := rig.Lycaon
	if os.Getenv("LYCAON_COMPAT_PEER") == "zookeeper" {
		r.peer, start = "zookeeper", rig.ZooKeeper
	}
	r.ensemble = start(t, 3, rig.Options{})
	r.ok("three servers of %s, server %d leads", r.peer, r.ensemble.Leader())
	return r
}

// need is a file without which a scenario cannot run.
type need struct{ path, debian string }

// ok says that a step is done.
func (r *run) ok(format string, args ...any) {
	fmt.Fprintf(r.Output(), "ok %6.1f s  %s\n", time.Since(r.began).Seconds(), fmt.Sprintf(format, args...))
}

// await asks until ask returns nil, and ends the test if that takes too long.
func (r *run) await(what string, ask func() error) {
	r.Helper()
	var err error
	if !rig.Poll(soon, func() bool { err = ask(); return err == nil }) {
		r.Fatalf("%s: not within %v: %v", what, soon, err)
	}
}

// program is a process with a directory of its own, both of them of a user.
type program struct {
	rig.Process
	name string
	home string
}

// add makes the directory of a program, which ends and goes with the test.
func (r *run) add(name, as string) *program {
	r.Helper()
	home, err := os.MkdirTemp("", "lycaon-downstream-"+name+"-*")
	if err != nil {
		r.Fatal(err)
	}
	p := &program{name: name, home: home}
	p.Dir, p.Log, p.User = home, filepath.Join(home, "log"), as
	p.Env = []string{"HOME=" + home, "TMPDIR=" + home, "LC_ALL=C.UTF-8"}
	r.own(p, home)
	r.Cleanup(func() {
		p.Kill()
		if r.Failed() {
			fmt.Fprintf(r.Output(), "%s, the end of its log:\n%s\n", name, p.Tail(tailLines))
		}
		if err := os.RemoveAll(home); err != nil {
			r.Errorf("%s leaves its directory: %v", name, err)
		}
	})
	return p
}

func (r *run) own(p *program, path string) {
	r.Helper()
	u, err := user.Lookup(p.User)
	if err != nil {
		r.Fatal(err)
	}
	uid, _ := strconv.Atoi(u.Uid) // digits, on the systems that have Debian's packages
	gid, _ := strconv.Atoi(u.Gid)
	if err := os.Chown(path, uid, gid); err != nil {
		r.Fatal(err)
	}
}

// configure writes a file of testdata, filled in, into the program's directory and returns its path.
func (r *run) configure(p *program, name string, data any) string {
	r.Helper()
	text, err := template.ParseFiles(filepath.Join("testdata", name))
	if err != nil {
		r.Fatal(err)
	}
	path := filepath.Join(p.home, name)
	file, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600)
	if err != nil {
		r.Fatal(err)
	}
	defer file.Close()
	if err := text.Execute(file, data); err != nil {
		r.Fatal(err)
	}
	r.own(p, path)
	return path
}

func (r *run) start(p *program) {
	r.Helper()
	if err := p.Start(); err != nil {
		r.Fatalf("%s: %v", p.name, err)
	}
}

// logs is nil if the program's log has the text.
func (p *program) logs(text string) error {
	raw, err := os.ReadFile(p.Log)
	if err == nil && !strings.Contains(string(raw), text) {
		err = fmt.Errorf("%d bytes without it", len(raw))
	}
	return err
}

// ensembleDies kills every server, does what is given, and starts them all again.
func (r *run) ensembleDies(meanwhile func()) {
	r.Helper()
	for i := range r.ensemble.Addrs {
		r.ensemble.Kill9(i)
	}
	meanwhile()
	for i := range r.ensemble.Addrs {
		r.ensemble.Start(i)
	}
	for i := range r.ensemble.Addrs {
		r.ensemble.Await(i)
	}
}

// address is a server as configurations name it.
type address struct{ Host, Port string }

func (r *run) servers() (all []address) {
	for _, addr := range r.ensemble.Addrs {
		host, port, err := net.SplitHostPort(addr)
		if err != nil {
			r.Fatal(err)
		}
		all = append(all, address{host, port})
	}
	return all
}

// connected is the index of the server that a program has a connection to.
func (r *run) connected(p *program) int {
	r.Helper()
	found := -1
	r.await(p.name+" is connected", func() error {
		peers, err := peersOf(p.Pid())
		for _, addr := range peers {
			found = max(found, r.ensemble.At(addr))
		}
		if err == nil && found < 0 {
			err = fmt.Errorf("only to %v", peers)
		}
		return err
	})
	return found
}

const established = "01" // in /proc/net/tcp

// peersOf lists what a process has TCP connections over IPv4 to, as host:port.
func peersOf(pid int) (peers []string, err error) {
	sockets, err := socketsOf(pid)
	if err != nil {
		return nil, err
	}
	raw, err := os.ReadFile("/proc/net/tcp")
	if err != nil {
		return nil, err
	}
	for line := range strings.Lines(string(raw)) {
		// sl, local address, remote address, state, ..., inode is the tenth.
		fields := strings.Fields(line)
		if len(fields) < 10 || fields[3] != established || !slices.Contains(sockets, "socket:["+fields[9]+"]") {
			continue
		}
		var ip uint32 // in the order of bytes of this machine
		var port uint16
		if _, err := fmt.Sscanf(fields[2], "%08X:%04X", &ip, &port); err != nil {
			return nil, fmt.Errorf("/proc/net/tcp: %q: %w", fields[2], err)
		}
		host := net.IPv4(byte(ip), byte(ip>>8), byte(ip>>16), byte(ip>>24)) // little-endian, as amd64 and arm64 are
		peers = append(peers, net.JoinHostPort(host.String(), strconv.Itoa(int(port))))
	}
	return peers, nil
}

func socketsOf(pid int) (sockets []string, err error) {
	dir := fmt.Sprintf("/proc/%d/fd", pid)
	fds, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	for _, fd := range fds {
		// One that is closed meanwhile is none.
		if to, err := os.Readlink(filepath.Join(dir, fd.Name())); err == nil && strings.HasPrefix(to, "socket:") {
			sockets = append(sockets, to)
		}
	}
	return sockets, nil
}

// alive says whether a process is there and not just waiting to be reaped.
func alive(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return false
	}
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && !strings.Contains(string(raw), ") Z ")
}
