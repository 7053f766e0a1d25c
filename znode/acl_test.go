package znode

import (
	"fmt"
	"math/rand"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAllows(t *testing.T) {
	ann, ip := Identity{SchemeDigest, "ann:h"}, func(s string) Identity { return Identity{SchemeIP, s} }
	entry := func(scheme, id string) ACL { return ACL{{Read | Create, scheme, id}} }
	for _, c := range []struct {
		name string
		acl  ACL
		p    Perm
		ids  []Identity
		want bool
	}{
		{"the world reads", ReadACL, Read, nil, true},
		{"the world does not write", ReadACL, Write, nil, false},
		{"one of two is enough", ReadACL, Read | Admin, nil, true},
		{"a user", entry(SchemeDigest, "ann:h"), Create, []Identity{ip("1.2.3.4"), ann}, true},
		{"another user", entry(SchemeDigest, "ann:other"), Create, []Identity{ann}, false},
		{"an id of another scheme", entry(SchemeIP, "1.2.3.4"), Read, []Identity{{SchemeDigest, "1.2.3.4"}}, false},
		{"an address", entry(SchemeIP, "1.2.3.4"), Read, []Identity{ip("1.2.3.4")}, true},
		{"another address", entry(SchemeIP, "1.2.3.4"), Read, []Identity{ip("1.2.3.5")}, false},
		{"a network", entry(SchemeIP, "10.0.0.0/8"), Read, []Identity{ip("10.255.0.1")}, true},
		{"a network given by a host in it", entry(SchemeIP, "10.1.2.3/8"), Read, []Identity{ip("10.255.0.1")}, true},
		{"outside the network", entry(SchemeIP, "10.0.0.0/8"), Read, []Identity{ip("11.0.0.1")}, false},
		{"an address in IPv6 form", entry(SchemeIP, "10.0.0.0/8"), Read, []Identity{ip("::ffff:10.0.0.1")}, true},
		{"an entry in IPv6 form", entry(SchemeIP, "::ffff:10.0.0.1"), Read, []Identity{ip("10.0.0.1")}, true},
		{"IPv6", entry(SchemeIP, "2001:db8::/32"), Read, []Identity{ip("2001:db8:1::9")}, true},
		{"IPv6 of a link", entry(SchemeIP, "fe80::/10"), Read, []Identity{ip("fe80::1%eth0")}, true},
		{"IPv6 written otherwise", entry(SchemeIP, "0:0::1"), Read, []Identity{ip("::1")}, true},
		{"no address at all", entry(SchemeIP, "::/0"), Read, []Identity{ip("nonsense")}, false},
		{"a SASL user", entry(SchemeSASL, "ann@REALM"), Read, []Identity{{SchemeSASL, "ann@REALM"}}, true},
		{"another SASL user", entry(SchemeSASL, "ann@REALM"), Read, []Identity{{SchemeSASL, "bob@REALM"}}, false},
		{"a certificate", entry(SchemeX509, "CN=ann,O=a"), Create, []Identity{{SchemeX509, "CN=ann,O=a"}}, true},
		{"a SASL user named like a certificate", entry(SchemeX509, "CN=ann"), Read, []Identity{{SchemeSASL, "CN=ann"}}, false},
		{"super", entry(SchemeDigest, "x:y"), AllPerms, []Identity{ann, {SchemeSuper, ""}}, true},
		{"nobody", nil, Read, []Identity{ann}, false},
	} {
		require.Equal(t, c.want, c.acl.Allows(c.p, &Actor{IDs: c.ids}), c.name)
	}
}

// plainlyAllows compares every entry with every identity.
func plainlyAllows(acl ACL, p Perm, ids []Identity) bool {
	for _, e := range acl {
		for _, id := range append(ids, Identity{}) {
			addr, _ := netip.ParseAddr(id.ID)
			network, ok := parseIPID(e.ID)
			within := ok && e.Scheme == SchemeIP && id.Scheme == SchemeIP && network.Contains(addr.Unmap().WithZone(""))
			if e.Perms&p != 0 && (e.Scheme == SchemeWorld || e.Scheme == id.Scheme && e.ID == id.ID || within) {
				return true
			}
		}
	}
	return slices.ContainsFunc(ids, func(id Identity) bool { return id.Scheme == SchemeSuper })
}

// Few identities and many, networks parsed before and not, are the same to all.
func TestAnActorIsAllowedWhatItsIdentitiesAre(t *testing.T) {
	rng, allowed, refused := rand.New(rand.NewSource(1)), 0, 0
	someID := func(scheme string) string {
		switch scheme {
		case SchemeIP:
			return []string{"10.0.0.1", "10.0.0.2", "::1", "::ffff:10.0.0.1", "fe80::1%eth0", "nonsense"}[rng.Intn(6)]
		case SchemeDigest:
			return fmt.Sprintf("u%d:h", rng.Intn(100))
		}
		return fmt.Sprint("u", rng.Intn(100))
	}
	for range 20_000 {
		var acl ACL
		for range rng.Intn(5) {
			e := Entry{Perms: Perm(rng.Intn(int(AllPerms) + 1)), Scheme: []string{SchemeDigest, SchemeSASL, SchemeX509, SchemeIP}[rng.Intn(4)]}
			if e.ID = someID(e.Scheme); e.Scheme == SchemeIP && rng.Intn(2) == 0 {
				e.ID = []string{"10.0.0.0/31", "10.0.0.0/8", "::/0", "fe80::/10", "1.0.0.0/8", "nonsense/8"}[rng.Intn(6)]
			}
			if rng.Intn(40) == 0 {
				e.Scheme, e.ID = SchemeWorld, anyone
			}
			acl = append(acl, e)
		}
		var ids []Identity
		for range rng.Intn(12) {
			id := Identity{Scheme: []string{SchemeDigest, SchemeSASL, SchemeX509, SchemeIP}[rng.Intn(4)]}
			if id.ID = someID(id.Scheme); rng.Intn(200) == 0 {
				id.Scheme = SchemeSuper
			}
			ids = append(ids, id)
		}
		who, shared, p := NewActor(1, ids), new(aclSet).share(acl), Perm(1<<rng.Intn(5))
		want := plainlyAllows(acl, p, ids)
		require.Equal(t, want, acl.Allows(p, &Actor{IDs: ids}), "%v %v %v", acl, p, ids)
		require.Equal(t, want, acl.Allows(p, &who), "%v %v %v", acl, p, ids)
		require.Equal(t, want, shared.allows(p, &who), "%v %v %v", acl, p, ids)
		if want {
			allowed++
		} else {
			refused++
		}
	}
	require.Greater(t, min(allowed, refused), 2000)
}

func TestNormalizeACL(t *testing.T) {
	ids := []Identity{
		{SchemeIP, "1.2.3.4"}, {SchemeDigest, "ann:h"}, {SchemeSuper, ""}, {SchemeDigest, "bob:h"},
		{SchemeSASL, "ann"}, {SchemeX509, "CN=ann,O=a"}, {SchemeSASL, ""}, {SchemeX509, strings.Repeat("x", MaxACLIDBytes+1)},
	}
	got, err := NormalizeACL(ACL{
		{Read, SchemeWorld, "anyone"}, {AllPerms, SchemeAuth, ""}, {Read, SchemeWorld, "anyone"}, {AllPerms, SchemeDigest, "ann:h"}, {Admin, SchemeDigest, "ann:h"},
	}, &Actor{IDs: ids})
	require.NoError(t, err)
	require.Equal(t, ACL{
		{Read, SchemeWorld, "anyone"}, {AllPerms, SchemeDigest, "ann:h"}, {AllPerms, SchemeDigest, "bob:h"},
		{AllPerms, SchemeSASL, "ann"}, {AllPerms, SchemeX509, "CN=ann,O=a"}, {Admin, SchemeDigest, "ann:h"},
	}, got)

	got, err = NormalizeACL(ACL{
		{Read, SchemeDigest, "bob:h"}, {Read, SchemeAuth, ""}, {Write, SchemeAuth, "x"}, {Read, SchemeAuth, "y"}, {Write, SchemeDigest, "ann:h"},
	}, &Actor{IDs: []Identity{{SchemeDigest, "ann:h"}, {SchemeDigest, "bob:h"}, {SchemeDigest, "ann:h"}}})
	require.NoError(t, err)
	require.Equal(t, ACL{
		{Read, SchemeDigest, "bob:h"}, {Read, SchemeDigest, "ann:h"}, {Write, SchemeDigest, "ann:h"}, {Write, SchemeDigest, "bob:h"},
	}, got, "each once, in the order in which they first come")

	plain := ACL{{Read, SchemeIP, "10.0.0.0/8"}, {0, SchemeWorld, "anyone"}, {Read, SchemeSASL, "ann"}, {Read, SchemeX509, "CN=ann"}}
	got, err = NormalizeACL(plain, new(Actor))
	require.NoError(t, err)
	require.Same(t, &plain[0], &got[0], "nothing to change, nothing copied")

	many := make(ACL, MaxACLEntries)
	for i := range many {
		many[i] = Entry{Read, SchemeDigest, fmt.Sprintf("u%d:h", i)}
	}
	_, err = NormalizeACL(many, new(Actor))
	require.NoError(t, err)
	most := append(ACL{{Read, SchemeAuth, ""}}, many[1:]...)
	for name, bad := range map[string]ACL{
		"absent":              nil,
		"empty":               {},
		"auth without a user": {{Read, SchemeAuth, ""}},
		"unknown scheme":      {{Read, "kerberos", "x"}},
		"super":               {{Read, SchemeSuper, ""}},
		"no scheme":           {{Read, "", ""}},
		"world of someone":    {{Read, SchemeWorld, "someone"}},
		"digest without hash": {{Read, SchemeDigest, "ann"}},
		"digest, empty hash":  {{Read, SchemeDigest, "ann:"}},
		"digest of three":     {{Read, SchemeDigest, "ann:h:x"}},
		"SASL of nobody":      {{Read, SchemeSASL, ""}},
		"no subject":          {{Read, SchemeX509, ""}},
		"no address":          {{Read, SchemeIP, "10.0.0"}},
		"too many bits":       {{Read, SchemeIP, "10.0.0.0/33"}},
		"a network of mapped": {{Read, SchemeIP, "::ffff:10.0.0.0/104"}},
		"a link":              {{Read, SchemeIP, "fe80::1%eth0"}},
		"unknown permission":  {{32, SchemeWorld, "anyone"}},
		"too long":            {{Read, SchemeDigest, "u:" + strings.Repeat("x", MaxACLIDBytes)}},
		"too many":            append(many, Entry{Read, SchemeWorld, "anyone"}),
	} {
		_, err := NormalizeACL(bad, &Actor{IDs: []Identity{{SchemeIP, "1.2.3.4"}, {SchemeSuper, ""}}})
		require.ErrorIs(t, err, ErrInvalidACL, name)
	}
	_, err = NormalizeACL(most, &Actor{IDs: ids})
	require.ErrorIs(t, err, ErrInvalidACL, "too many once auth has become two users")
}

// A scheme or an id may be as long as a frame, and each byte of it four in quotes.
func TestAnInvalidACLIsToldInFewWords(t *testing.T) {
	for _, bad := range []Entry{
		{Read, strings.Repeat("\x00", 1<<20), "x"},
		{Read, SchemeWorld, strings.Repeat("\x00", MaxACLIDBytes)},
		{Read, strings.Repeat("\x00", 1<<20), strings.Repeat("\x00", MaxACLIDBytes)},
	} {
		_, err := NormalizeACL(ACL{bad}, new(Actor))
		require.ErrorIs(t, err, ErrInvalidACL)
		require.Less(t, len(err.Error()), 1024)
	}
	_, err := NormalizeACL(ACL{{Read, "kerberos", "ann@REALM"}}, new(Actor))
	require.EqualError(t, err, ErrInvalidACL.Error()+`: id "ann@REALM" does not suit scheme "kerberos": the schemes are world, auth, digest, ip, sasl and x509`)
}

func TestGetACLHidesHashesFromThoseWhoMayNotChangeThem(t *testing.T) {
	tree := New()
	acl := ACL{{AllPerms, SchemeDigest, "ann:h"}, {Read, SchemeWorld, "anyone"}, {Admin, SchemeDigest, "u:x1"}}
	create(t, tree, 1, user, &CreateOp{Path: "/a", ACL: acl})
	got, _, err := tree.ACL(nobody, "/a")
	require.NoError(t, err)
	require.Equal(t, ACL{{AllPerms, SchemeDigest, "ann:x"}, {Read, SchemeWorld, "anyone"}, {Admin, SchemeDigest, "u:x"}}, got)
	got, _, err = tree.ACL(user, "/a")
	require.NoError(t, err)
	require.Equal(t, acl, got)
	create(t, tree, 2, user, &CreateOp{Path: "/b", ACL: acl[2:]})
	_, _, err = tree.ACL(nobody, "/b")
	require.ErrorIs(t, err, ErrNoAuth)
	_, _, err = tree.ACL(user, "/b")
	require.NoError(t, err, "ADMIN is enough")
	_, err = tree.Exists(user, "/b")
	require.ErrorIs(t, err, ErrNoAuth, "exists wants READ of a node that is there")
}

func TestACLText(t *testing.T) {
	for text, want := range map[string]ACL{
		"world:anyone:cdrwa":                       OpenACL,
		"world:anyone:r":                           ReadACL,
		"auth::cdrwa":                              CreatorACL,
		"digest:ann:h=:crw,ip:10.0.0.0/8:r":        {{Create | Read | Write, SchemeDigest, "ann:h="}, {Read, SchemeIP, "10.0.0.0/8"}},
		"ip:2001:db8::/32:da":                      {{Delete | Admin, SchemeIP, "2001:db8::/32"}},
		"world:anyone:":                            {{0, SchemeWorld, "anyone"}},
		"x509:CN=ann,OU=a:b,O=c:r,world:anyone:r":  {{Read, SchemeX509, "CN=ann,OU=a:b,O=c"}, {Read, SchemeWorld, "anyone"}},
		"sasl:ann@REALM:cd,x509:CN=ann:rw":         {{Create | Delete, SchemeSASL, "ann@REALM"}, {Read | Write, SchemeX509, "CN=ann"}},
		"digest:super:D/InIHSb7yEEbrWz8b9l71Rj=:a": {{Admin, SchemeDigest, "super:D/InIHSb7yEEbrWz8b9l71Rj="}},
	} {
		acl, err := ParseACL(text)
		require.NoError(t, err, text)
		require.Equal(t, want, acl, text)
		require.Equal(t, text, FormatACL(acl))
	}
	acl, err := ParseACL("world:anyone:awrdc")
	require.NoError(t, err)
	require.Equal(t, OpenACL, acl, "in any order")
	for _, text := range []string{"", "world", "world:anyone", ":anyone:r", "world:anyone:rx", "world:anyone:r,", "x509:CN=ann,O=a", "x509:CN=ann,world:anyone:x", strings.Repeat("world:anyone:r,", MaxACLEntries) + "world:anyone:r"} {
		_, err := ParseACL(text)
		require.ErrorIs(t, err, ErrInvalidACL, text)
	}
}

func TestDigestID(t *testing.T) {
	require.Equal(t, "super:D/InIHSb7yEEbrWz8b9l71RjZJU=", DigestID("super", "test"))
}

func FuzzParseACL(f *testing.F) {
	for _, text := range []string{"world:anyone:cdrwa", "digest:a:b:r,ip:::1:w", "auth::", "a:b", "x:y:z", "x509:CN=a,O=b:r,sasl:c:w", "x509:,:,:r"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		acl, err := ParseACL(text)
		if err != nil {
			require.ErrorIs(t, err, ErrInvalidACL)
			return
		}
		again, err := ParseACL(FormatACL(acl))
		require.NoError(t, err)
		require.Equal(t, acl, again)
		ids := []Identity{{SchemeDigest, "u:h"}, {SchemeIP, "10.1.1.1"}}
		normal, err := NormalizeACL(acl, &Actor{IDs: ids})
		if err != nil {
			require.ErrorIs(t, err, ErrInvalidACL)
			return
		}
		twice, err := NormalizeACL(normal, new(Actor))
		require.NoError(t, err, "what is stored is valid without its author")
		require.Equal(t, normal, twice)
		for p := Read; p <= AllPerms; p <<= 1 {
			require.True(t, normal.Allows(p, &Actor{IDs: []Identity{{SchemeSuper, ""}}}))
			normal.Allows(p, &Actor{IDs: ids})
		}
	})
}
