package rig

import (
	"bytes"
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// quickStart makes a JVM that lives for seconds start soon.
var quickStart = []string{"-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto"}

const jars = "/usr/share/java"

func jar(name string) string { return filepath.Join(jars, name+".jar") }

// Needs skips the test, and says what to install, if path is not there.
func Needs(t testing.TB, path, what, debian string) {
	t.Helper()
	if _, err := os.Stat(path); err != nil {
		t.Skipf("SKIPPED: no %s (Debian package %s)", what, debian)
	}
}

// Tool finds a program in PATH, or skips the test.
func Tool(t testing.TB, name, what, debian string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Skipf("SKIPPED: no %s (Debian package %s)", what, debian)
	}
	return path
}

// javaLibraries are what programs of Java may use; what these need they name themselves.
var javaLibraries = []struct{ jar, debian string }{
	{"zookeeper", "libzookeeper-java"},
	{"zookeeper-jute", "libzookeeper-java"},
	{"zookeeper-recipes-lock", "libzookeeper-java"},
	{"zookeeper-recipes-queue", "libzookeeper-java"},
	{"zookeeper-recipes-election", "libzookeeper-java"},
	{"curator-client", "libcurator-client-java"},
	{"curator-framework", "libcurator-framework-java"},
	{"curator-recipes", "libcurator-recipes-java"},
	{"curator-x-discovery", "libcurator-discovery-java"},
	{"netty-codec", "libnetty-java"}, // these zookeeper.jar forgets to name: TLS wants them
	{"netty-resolver", "libnetty-java"},
	{"slf4j-simple", "libslf4j-java"},
}

var classes sync.Map // directory of sources -> func() (string, error)

// Java compiles the sources under dir, once for all tests of the binary, and
// returns the class path to run them with. It skips the test without a compiler
// or a library.
func Java(t testing.TB, dir string) string {
	t.Helper()
	javac := Tool(t, "javac", "Java compiler", "default-jdk-headless")
	path := make([]string, 0, len(javaLibraries)+1)
	for _, l := range javaLibraries {
		Needs(t, jar(l.jar), l.jar+".jar", l.debian)
		path = append(path, jar(l.jar))
	}
	abs, err := filepath.Abs(dir)
	if err != nil {
		t.Fatal(err)
	}
	libraries := strings.Join(path, ":")
	compile, _ := classes.LoadOrStore(abs, sync.OnceValues(func() (string, error) { return compileJava(javac, libraries, abs) }))
	out, err := compile.(func() (string, error))()
	if err != nil {
		t.Fatal(err)
	}
	return out + ":" + libraries
}

func compileJava(javac, libraries, dir string) (string, error) {
	out, err := BuildDir("java")
	if err != nil {
		return "", err
	}
	line := []string{"-J-XX:+UseSerialGC", "-J-XX:TieredStopAtLevel=1", "-nowarn", "-proc:none", "-d", out, "-cp", libraries}
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && filepath.Ext(path) == ".java" {
			line = append(line, path)
		}
		return err
	})
	if err != nil {
		return "", err
	}
	if said, err := exec.Command(javac, line...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("javac %s: %w\n%s", dir, err, said)
	}
	return out, nil
}

// JavaCommand is the command line that runs the class main with a class path of Java.
// Its libraries log warnings to its standard error.
func JavaCommand(classPath, main string, args ...string) []string {
	line := append([]string{"java"}, quickStart...)
	line = append(line, "-Xmx256m", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "-cp", classPath, main)
	return append(line, args...)
}

// Run runs a command until it ends or ctx does, which kills it and the processes
// that it has started, and returns all that it wrote. The error is that of os/exec,
// or the cause of the end of ctx.
func Run(t testing.TB, ctx context.Context, command ...string) (string, error) {
	t.Helper()
	cmd := exec.Command(command[0], command[1:]...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.WaitDelay = stopWithin // a grandchild elsewhere may hold our pipe open
	if err := spawn(cmd, nil); err != nil {
		t.Fatalf("%s: %v", command[0], err)
	}
	stop := context.AfterFunc(ctx, func() { _ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) })
	err := cmd.Wait()
	if !stop() {
		err = fmt.Errorf("%s: %w", filepath.Base(command[0]), context.Cause(ctx))
	}
	return out.String(), err
}
