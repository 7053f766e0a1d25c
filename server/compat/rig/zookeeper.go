package rig

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// ZooKeeper starts Debian's ZooKeeper with n servers, 1 or 3, or skips the test if it is not installed.
func ZooKeeper(t testing.TB, n int, opts Options) *Ensemble {
	t.Helper()
	Needs(t, "/usr/share/zookeeper/bin/zkServer.sh", "ZooKeeper server", "zookeeper")
	Needs(t, jar("zookeeper"), "ZooKeeper server", "libzookeeper-java")
	Needs(t, jar("slf4j-simple"), "ZooKeeper server's log", "libslf4j-java")
	java := Tool(t, "java", "Java", "default-jre-headless")

	root, all := t.TempDir(), Ports(t, 3*n)
	clients, peers, elections := all[:n], all[n:2*n], all[2*n:]
	e := &Ensemble{Addrs: locals(clients), t: t}
	for i := range n {
		dir := filepath.Join(root, strconv.Itoa(i+1))
		lines := append(zooConfig(dir, clients[i], opts), members(peers, elections)...)
		write(t, filepath.Join(dir, "zoo.cfg"), strings.Join(lines, "\n")+"\n")
		write(t, filepath.Join(dir, "data", "myid"), strconv.Itoa(i+1)+"\n")
		e.servers = append(e.servers, &server{index: i, Process: Process{
			Command: zooCommand(java, dir, opts), Dir: dir, Log: filepath.Join(dir, "log"),
		}})
	}
	e.serving = func(i int) bool { return mode(e.Addrs[i]) != "" }
	e.leads = func(i int) bool { m := mode(e.Addrs[i]); return m == "leader" || m == "standalone" }
	e.begin()
	return e
}

// mode is what srvr calls the server; "" if it does not serve.
func mode(addr string) string {
	answer, err := FourLetter(addr, "srvr")
	if err != nil {
		return ""
	}
	_, rest, _ := strings.Cut(answer, "\nMode: ")
	name, _, _ := strings.Cut(rest, "\n")
	return name
}

func zooConfig(dir string, port int, opts Options) []string {
	tick := opts.TickMs
	if tick == 0 {
		tick = 500
	}
	lines := []string{
		fmt.Sprintf("tickTime=%d", tick),
		"initLimit=40", // in ticks
		"syncLimit=10",
		"dataDir=" + filepath.Join(dir, "data"),
		fmt.Sprintf("clientPort=%d", port),
		"clientPortAddress=127.0.0.1",
		"4lw.commands.whitelist=*",
		"admin.enableServer=false",
		"maxClientCnxns=0",
		fmt.Sprintf("enforceQuota=%t", opts.EnforceQuota),
	}
	return append(lines, opts.Config...)
}

// members lists the servers for zoo.cfg; a single one is named nowhere and runs standalone.
func members(peers, elections []int) (lines []string) {
	for i := range peers {
		if len(peers) > 1 {
			lines = append(lines, fmt.Sprintf("server.%d=127.0.0.1:%d:%d", i+1, peers[i], elections[i]))
		}
	}
	return lines
}

func zooCommand(java, dir string, opts Options) []string {
	line := append([]string{java}, quickStart...)
	line = append(line,
		"-Xmx256m",
		"-Dorg.slf4j.simpleLogger.defaultLogLevel=info",
		"-Dorg.slf4j.simpleLogger.showDateTime=true",
		"-Dzookeeper.extendedTypesEnabled=true", // TTLs
		"-Dznode.container.checkIntervalMs=500",
		"-Dzookeeper.preAllocSize=1024", // KiB of each log file
	)
	if opts.SuperDigest != "" {
		line = append(line, "-Dzookeeper.DigestAuthenticationProvider.superDigest="+opts.SuperDigest)
	}
	line = append(line, opts.JVM...)
	return append(line, "-cp", jar("zookeeper")+":"+jar("netty-codec")+":"+jar("slf4j-simple"),
		"org.apache.zookeeper.server.quorum.QuorumPeerMain", filepath.Join(dir, "zoo.cfg"))
}

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
