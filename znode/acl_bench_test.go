package znode

import (
	"fmt"
	"testing"
)

// worstACLs are those that take the longest to look through, and grant nothing but
// by their last entry.
func worstACLs() map[string]ACL {
	acls := map[string]ACL{"open": OpenACL, "creator": {{AllPerms, SchemeDigest, DigestID("ann", "secret")}}}
	for i := range MaxACLEntries {
		acls["digest"] = append(acls["digest"], Entry{Write, SchemeDigest, fmt.Sprintf("user-%04d:%027d=", i+1000, i)})
		acls["read digest"] = append(acls["read digest"], Entry{Read, SchemeDigest, fmt.Sprintf("user-%04d:%027d=", i+1000, i)})
		acls["read ip"] = append(acls["read ip"], Entry{Read, SchemeIP, fmt.Sprintf("10.0.%d.0/24", i)})
		acls["read ip6"] = append(acls["read ip6"], Entry{Read, SchemeIP, fmt.Sprintf("2001:0db8:1111:2222:3333:4444:5555:%04d/128", i)})
	}
	return acls
}

func worstIdentities(n int) []Identity {
	ids := []Identity{{SchemeIP, "192.168.100.100"}}
	for i := range n - 1 {
		ids = append(ids, Identity{SchemeDigest, fmt.Sprintf("user-%04d:%027d=", i, i)})
	}
	return ids
}

func BenchmarkAllows(b *testing.B) {
	for name, acl := range worstACLs() {
		for _, n := range []int{1, 2, 4, 8, 64} {
			who, shared := NewActor(1, worstIdentities(n)), new(aclSet).share(acl)
			b.Run(fmt.Sprintf("%s/identities=%d", name, n), func(b *testing.B) {
				for b.Loop() {
					shared.allows(Read, &who)
				}
			})
		}
	}
}

// A create with an auth entry names every identity of its sender in the ACL.
func BenchmarkNormalizeAuth(b *testing.B) {
	for _, n := range []int{2, 64} {
		who := NewActor(1, worstIdentities(n))
		b.Run(fmt.Sprintf("identities=%d", n), func(b *testing.B) {
			for b.Loop() {
				if _, err := NormalizeACL(CreatorACL, &who); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
