package differential

import (
	"fmt"
	"strings"
)

// names are few, so that requests meet.
var names = []string{"a", "b", "c"}

const (
	maxDepth    = 3
	numbersSeen = 12 // sequence numbers that are guessed at
)

// path names something: what is there, what may be, what cannot.
func (g *generator) path() string {
	switch g.weighted([]int{45, 36, 12, 3, 2, 2}) {
	case 0:
		return g.existing()
	case 1:
		return g.any()
	case 2:
		return g.existing() + "/" + pick(g, names)
	case 3:
		return "$"
	case 4:
		return pick(g, malformed)
	}
	return fmt.Sprintf("%s/s-%010d", g.any(), g.rng.IntN(numbersSeen))
}

// below is a path that is not the root of all, which other episodes change.
func (g *generator) below() string {
	if path := g.path(); path != "" {
		return path
	}
	return "$"
}

// proper is a path that a node can have.
func (g *generator) proper() string {
	for {
		if path := g.path(); !breaksRule(path) {
			return path
		}
	}
}

func (g *generator) existing() string {
	if len(g.m.paths) == 0 {
		return "$"
	}
	return pick(g, g.m.paths)
}

func (g *generator) any() string {
	path := "$"
	for range 1 + g.rng.IntN(maxDepth) {
		path += "/" + pick(g, names)
	}
	return path
}

// prefix is the path of a sequential create, which may end with a slash.
func (g *generator) prefix() string {
	switch g.rng.IntN(4) {
	case 0:
		return g.any()
	case 1:
		return g.existing() + "/"
	case 2:
		return g.path()
	}
	return g.existing() + "/s-"
}

// malformed paths break a rule, or look as if they did.
var malformed = []string{
	"", "a", "//", "$/", "$//a", "$/.", "$/..", "$/./a", "$/a/../b", "$/a\x00", "$/a\x00b", "$/a\x1f", "$/a\u007f",
	"$/\ufffe", "$/\uf000", "$/\ue000", "$/a ", "$/...", "$/日本", "$/a/", "$/.a",
	strings.Repeat("/", 5),
}

func (g *generator) data() []byte {
	switch g.weighted([]int{15, 10, 60, 13, 2}) {
	case 0:
		return nil
	case 1:
		return []byte{}
	case 2:
		return fmt.Appendf(nil, "d%d", g.rng.IntN(1000))
	case 3:
		return []byte(strings.Repeat("0123456789", 1+g.rng.IntN(100)))
	}
	return []byte(strings.Repeat("x", 40_000))
}

// secrets are what the client of each slot proves.
var secrets = [slots]string{"alice:secret", "bob:builder", "", superSecret}

var users = []string{"alice:secret", "bob:builder", "carol:gone"}

// acl is mostly one that leaves the tree usable.
func (g *generator) acl() []aclEntry {
	switch g.weighted([]int{62, 12, 14, 6, 6}) {
	case 0:
		return openACL
	case 1:
		return []aclEntry{{permAll, "auth", ""}}
	case 2:
		return g.entries()
	case 3:
		return []aclEntry{{int32(g.rng.IntN(permAll + 1)), "world", "anyone"}}
	}
	return pick(g, oddACLs)
}

func (g *generator) entries() []aclEntry {
	var acl []aclEntry
	for range 1 + g.rng.IntN(3) {
		e := aclEntry{int32(g.rng.IntN(permAll + 1)), "world", "anyone"}
		switch g.rng.IntN(4) {
		case 0:
			e.Scheme, e.ID = "digest", digestID(pick(g, users))
		case 1:
			e.Scheme, e.ID = "ip", pick(g, []string{"127.0.0.1", "127.0.0.0/8", "10.1.2.3", "10.0.0.0/8"})
		case 2:
			e.Scheme, e.ID = "auth", pick(g, []string{"", "ignored"})
		}
		acl = append(acl, e)
	}
	return acl
}

// oddACLs are refused, or are stored otherwise than they were given.
var oddACLs = [][]aclEntry{
	nil,
	{},
	{{permAll, "world", "nobody"}},
	{{permAll, "foo", "bar"}},
	{{permAll, "", ""}},
	{{permAll, "digest", "alice"}},
	{{permAll, "digest", "a:b:c"}},
	{{permAll, "digest", ""}},
	{{permAll, "ip", "999.0.0.1"}},
	{{permAll, "ip", "127.0.0.1/33"}},
	{{permAll, "ip", "127.0.0.1/0"}},
	{{permAll, "ip", "localhost"}},
	{{permAll, "super", "super"}},
	{{permAll, "sasl", "bob"}},
	{{0, "world", "anyone"}},
	{{permAll, "world", "anyone"}, {permAll, "world", "anyone"}},
	{{permRead, "world", "anyone"}, {permWrite, "world", "anyone"}, {permRead, "world", "anyone"}},
	{{permAll, "auth", ""}, {permAll, "auth", ""}, {permRead, "world", "anyone"}},
}
