package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/lycaon-io/lycaon/client"
)

// zooError is a failure as ZooKeeper's shell tells it.
type zooError struct {
	text string
	code int
}

func (e zooError) Error() string { return e.text }

const (
	zooFailed   = 1
	zooNotFound = 127
)

func zooErrorf(format string, args ...any) error {
	return zooError{text: fmt.Sprintf(format, args...), code: zooFailed}
}

// misused says how the word is used.
func (w *zooWord) misused() error { return zooErrorf("%s %s", w.name, w.usage) }

func commonsError(name, format string, args ...any) error {
	return zooErrorf("org.apache.commons.cli.%sException: %s", name, fmt.Sprintf(format, args...))
}

// unknownZooWord is the list of what there is, and that this word is not in it.
func unknownZooWord(name string) error {
	var b strings.Builder
	b.WriteString("ZooKeeper -server host:port -client-configuration properties-file cmd args\n")
	for _, w := range zooWords {
		fmt.Fprintf(&b, "\t%s %s\n", w.name, w.usage)
	}
	fmt.Fprintf(&b, "Command not found: Command not found %s", name)
	return zooError{text: b.String(), code: zooNotFound}
}

// zooTexts are what ZooKeeper's shell says, with the path behind it.
var zooTexts = []struct {
	err  error
	text string
}{
	{client.ErrNoNode, "Node does not exist: "},
	{client.ErrNodeExists, "Node already exists: "},
	{client.ErrNotEmpty, "Node not empty: "},
	{client.ErrNoChildrenForEphemerals, "Ephemerals cannot have children: "},
	{client.ErrBadVersion, "version No is not valid : "},
	{client.ErrNoAuth, "Insufficient permission : "},
	{client.ErrInvalidACL, "Acl is not valid : "},
	{client.ErrBadArguments, "Arguments are not valid : "},
	{client.ErrReadOnly, "Not a read-only call: "},
	{client.ErrQuota, "Quota has exceeded : "},
	{errNoWatch, "KeeperErrorCode = No such watcher for "},
	{client.ErrSessionExpired, "KeeperErrorCode = Session expired for "},
	{client.ErrDisconnected, "KeeperErrorCode = ConnectionLoss for "},
}

// failure puts an error of our command into ZooKeeper's words.
func (w *zooWord) failure(err error, line zooLine) error {
	path := ""
	if w.path > 0 && len(line.args) >= w.path {
		path = line.args[w.path-1]
	}
	quota := (*quotaOnLineError)(nil)
	switch {
	case err == nil, errors.As(err, new(zooError)):
		return err
	case w.name == "setquota" && errors.Is(err, client.ErrNoNode):
		return zooErrorf("%s does not exist.", path)
	case errors.As(err, &quota):
		return zooErrorf("%s has a %s %s which has a quota", quota.path, quota.kin(), quota.other)
	case w.name == "deleteall" && !errors.Is(err, client.ErrNoNode):
		return zooErrorf("Failed to delete some node(s) in the subtree!")
	}
	for _, t := range zooTexts {
		if call := (*client.Error)(nil); errors.Is(err, t.err) {
			if w.path > 0 && errors.As(err, &call) && strings.HasPrefix(call.Path, "/") {
				path = call.Path
			}
			if w.name == "create" && t.err == client.ErrInvalidACL { // it says so twice
				return zooErrorf("KeeperErrorCode = InvalidACL for %s\n%s%s", path, t.text, path)
			}
			return zooErrorf("%s%s", t.text, path)
		}
	}
	return zooErrorf("%s", describe(err))
}
