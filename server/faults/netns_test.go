package faults

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

// network puts each server into a network namespace of its own, joined by a bridge on which this process has an address too. Rules of nft in
// those namespaces drop packets between servers; clients always get through, also to a server that is cut off.
type network struct {
	name  string // of the bridge and, with -ID, of the namespaces
	base  string // first three bytes of the addresses
	ids   []uint64
	added bool
}

const (
	netPrefix    = "lyf"
	commandLimit = 10 * time.Second
)

var errNoNetwork = errors.New("no network namespaces")

// networkPossible tells why there can be no namespaces here, "" if there can.
var networkPossible = sync.OnceValue(func() string {
	if os.Geteuid() != 0 {
		return "not root"
	}
	for _, tool := range []string{"ip", "nft", "nsenter"} {
		if _, err := exec.LookPath(tool); err != nil {
			return tool + " is not installed"
		}
	}
	sweepNetworks()
	probe := fmt.Sprintf("%s%d-probe", netPrefix, os.Getpid())
	if err := run("ip", "netns", "add", probe); err != nil {
		return err.Error()
	}
	defer run("ip", "netns", "del", probe)
	if err := feed("table inet faults {\n}\n", "nsenter", "--net=/run/netns/"+probe, "nft", "-f", "-"); err != nil {
		return err.Error()
	}
	return ""
})

// sweepNetworks removes what a run that was killed has left.
func sweepNetworks() {
	names, _ := os.ReadDir("/run/netns")
	for _, n := range names {
		if pid := pidOf(n.Name(), netPrefix); pid != 0 && !alive(pid) {
			_ = run("ip", "netns", "del", n.Name())
			_ = run("ip", "link", "del", fmt.Sprintf("%s%d", netPrefix, pid))
		}
	}
}

func run(name string, args ...string) error { return feed("", name, args...) }

// feed runs a command that gets input, within its time.
func feed(input, name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Stdin = strings.NewReader(input)
	cmd.WaitDelay = commandLimit
	timer := time.AfterFunc(commandLimit, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	out, err := cmd.CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, out)
	}
	return nil
}

// openNetwork makes the namespaces. The addresses are of the range for benchmarks, 198.18.0.0/15.
func openNetwork(ids []uint64) (*network, error) {
	if why := networkPossible(); why != "" {
		return nil, fmt.Errorf("%w: %s", errNoNetwork, why)
	}
	pid := os.Getpid()
	n := &network{name: fmt.Sprintf("%s%d", netPrefix, pid), base: fmt.Sprintf("198.%d.%d", 18+pid/256%2, pid%256), ids: ids, added: true}
	steps := [][]string{
		{"ip", "link", "add", n.name, "type", "bridge"},
		{"ip", "addr", "add", n.base + ".254/24", "dev", n.name},
		{"ip", "link", "set", n.name, "up"},
	}
	for _, id := range ids {
		ns, out, in := n.namespace(id), fmt.Sprintf("v%d-%d", pid, id), "eth0"
		inside := func(args ...string) []string { return append([]string{"ip", "-n", ns}, args...) }
		steps = append(steps,
			[]string{"ip", "netns", "add", ns},
			[]string{"ip", "link", "add", out, "type", "veth", "peer", "name", in, "netns", ns},
			[]string{"ip", "link", "set", out, "master", n.name, "up"},
			inside("addr", "add", n.host(id)+"/24", "dev", in),
			inside("link", "set", in, "up"),
			inside("link", "set", "lo", "up"),
		)
	}
	for _, s := range steps {
		if err := run(s[0], s[1:]...); err != nil {
			return nil, errors.Join(err, n.close())
		}
	}
	return n, nil
}

func (n *network) namespace(id uint64) string { return fmt.Sprintf("%s-%d", n.name, id) }

func (n *network) host(id uint64) string { return fmt.Sprintf("%s.%d", n.base, id) }

// enter begins the command line of what runs in the namespace of a server.
func (n *network) enter(id uint64) []string {
	return []string{"nsenter", "--net=/run/netns/" + n.namespace(id)}
}

// cut drops, at one server, what comes from some others and what goes to some others.
func (n *network) cut(id uint64, from, to []uint64) error {
	var rules strings.Builder
	rules.WriteString("table inet faults\ndelete table inet faults\ntable inet faults {\n")
	n.chain(&rules, "input", "saddr", from)
	n.chain(&rules, "output", "daddr", to)
	rules.WriteString("}\n")
	enter := n.enter(id)
	return feed(rules.String(), enter[0], append(enter[1:], "nft", "-f", "-")...)
}

func (n *network) chain(rules *strings.Builder, hook, field string, ids []uint64) {
	fmt.Fprintf(rules, "chain %s {\ntype filter hook %s priority 0\n", hook, hook)
	for _, id := range ids {
		fmt.Fprintf(rules, "ip %s %s drop\n", field, n.host(id))
	}
	rules.WriteString("}\n")
}

// heal lets everything through again.
func (n *network) heal() error {
	var failed error
	for _, id := range n.ids {
		failed = errors.Join(failed, n.cut(id, nil, nil))
	}
	return failed
}

func (n *network) close() error {
	if !n.added {
		return nil
	}
	n.added = false
	var failed error
	for _, id := range n.ids {
		if _, err := os.Stat("/run/netns/" + n.namespace(id)); err == nil {
			failed = errors.Join(failed, run("ip", "netns", "del", n.namespace(id))) // with its half of the pair, and so the other
		}
	}
	return errors.Join(failed, run("ip", "link", "del", n.name))
}
