package main

import (
	"fmt"
	"strconv"
	"strings"
)

// What ZooKeeper's shell refuses before it asks a server.

// zooPath says what ZooKeeper's client says of a path that no node can have.
func zooPath(path string) error {
	switch {
	case path == "":
		return zooErrorf("Path length must be > 0")
	case path[0] != '/':
		return zooErrorf("Path must start with / character")
	case path == "/":
		return nil
	case strings.HasSuffix(path, "/"):
		return zooErrorf("Path must not end with / character")
	}
	end := 0 // of the name
	for _, name := range strings.Split(path[1:], "/") {
		end += 1 + len(name)
		switch name {
		case "":
			return zooErrorf("Invalid path string %q caused by empty node name specified @%d", path, end)
		case ".", "..":
			return zooErrorf("Invalid path string %q caused by relative paths not allowed @%d", path, end-1)
		}
	}
	return nil
}

func refuseMode(line zooLine) error {
	if mode := line.value("m"); mode != "" && watchModes[mode] == "" {
		return line.word.misused()
	}
	return nil
}

// mostTTLMs is what ZooKeeper can keep of a TTL.
const mostTTLMs = 1<<40 - 1

func refuseCreate(line zooLine) error {
	switch {
	case line.has("c") && (line.has("e") || line.has("s")):
		return zooErrorf("-c cannot be combined with -s or -e. Containers cannot be ephemeral or sequential.")
	case line.has("t") && line.has("e"):
		return zooErrorf("TTLs cannot be used with Ephemeral znodes")
	case line.has("t") && line.has("c"):
		return zooErrorf("TTLs cannot be used with Container znodes")
	case line.has("t"):
		ttl, err := strconv.ParseInt(line.value("t"), 10, 64)
		if err != nil {
			return zooErrorf("-t argument must be a long value")
		}
		if ttl <= 0 || ttl > mostTTLMs {
			return zooErrorf("ttl must be positive and cannot be larger than: %d", int64(mostTTLMs))
		}
	}
	if len(line.args) < 3 {
		return nil
	}
	return refuseACL(line.args[2], "KeeperErrorCode = InvalidACL\nAcl is not valid : null")
}

func refuseSetACL(line zooLine) error {
	if len(line.args) < 2 {
		return nil
	}
	return refuseACL(line.args[1], "Acl is not valid : null")
}

// refuseACL says what is wrong with the form of an ACL, and then the error that
// ZooKeeper's client makes of it.
func refuseACL(text, then string) error {
	var wrong []string
	for entry := range strings.SplitSeq(text, ",") {
		first, last := strings.IndexByte(entry, ':'), strings.LastIndexByte(entry, ':')
		if first == last { // neither of them, or one
			wrong = append(wrong, entry+" does not have the form scheme:id:perm")
			continue
		}
		for _, perm := range entry[last+1:] {
			if !strings.ContainsRune("cdrwa", perm) {
				wrong = append(wrong, fmt.Sprintf("Unknown perm type: %c", perm))
			}
		}
	}
	if wrong == nil {
		return nil
	}
	return zooErrorf("%s\n%s", strings.Join(wrong, "\n"), then)
}

func refuseBatch(line zooLine) error {
	if size := line.value("b"); size != "" {
		if _, err := strconv.ParseInt(size, 10, 32); err != nil {
			return zooErrorf("-b argument must be an int value")
		}
	}
	return nil
}

func helpOfLs(line zooLine) error {
	if line.has("?") {
		return zooErrorf("usage: ls [options] path\n -?   help\n -R   recurse\n -s   stat\n -w   watch\nls %s", line.word.usage)
	}
	return nil
}

func refuseReconfig(line zooLine) error {
	whole, steps := line.has("file") || line.has("members"), line.has("add") || line.has("remove")
	switch {
	case !whole && !steps:
		return line.word.misused()
	case line.has("v"):
		if _, err := strconv.ParseInt(line.value("v"), 16, 64); err != nil {
			return zooErrorf("-v must be followed by a long (configuration version)")
		}
	}
	switch {
	case whole && steps:
		return zooErrorf("Can't use -file or -members together with -add or -remove (mixing incremental and non-incremental modes is not allowed)")
	case line.has("file") && line.has("members"):
		return zooErrorf("Can't use -file and -members together (conflicting non-incremental modes)")
	}
	return nil
}

func refuseQuota(line zooLine) error {
	if len(line.flags) == 0 {
		return commonsError("MissingOption", "Missing required option: [-n num soft quota, -b bytes soft quota, -N num hard quota, -B bytes hard quota]")
	}
	if len(line.args) == 0 {
		return line.word.misused()
	}
	for _, f := range line.flags {
		value, err := strconv.ParseInt(f.value, 10, 64)
		switch {
		case f.name == "o" || f.name == "output":
		case err != nil:
			return zooErrorf("NumberFormatException happens when parsing the option value")
		case value <= 0 && strings.Contains("nN", f.name):
			return zooErrorf("the num quota must be greater than zero")
		case value < 0:
			return zooErrorf("the bytes quota must be greater than or equal to zero")
		}
	}
	if path := line.args[0]; path == quotaNodes || strings.HasPrefix(path, quotaNodes+"/") {
		return zooErrorf("cannot set a quota under the path: %s", quotaNodes)
	}
	return nil
}
