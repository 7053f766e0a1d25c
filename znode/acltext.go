package znode

import (
	"crypto/sha1"
	"encoding/base64"
	"fmt"
	"strings"
)

const permLetters = "rwcda" // in the order of the bits

// ParseACL reads the text form of an ACL, "scheme:id:perms[,...]", with perms
// out of cdrwa. The last ':' of an entry starts its perms, so that ids may
// hold ':'; only those of x509 may hold ',', since subjects do. The error wraps
// ErrInvalidACL. What it returns still has to pass NormalizeACL.
func ParseACL(text string) (ACL, error) {
	var acl ACL
	for more := true; more; {
		var part string
		if len(acl) == MaxACLEntries {
			return nil, fmt.Errorf("%w: more than %d entries", ErrInvalidACL, MaxACLEntries)
		}
		part, text, more = cutEntry(text)
		e, err := parseEntry(part)
		if err != nil {
			return nil, err
		}
		acl = append(acl, e)
	}
	return acl, nil
}

// cutEntry cuts the first entry from text at a ','; that of x509 at the first
// ',' behind letters of permissions.
func cutEntry(text string) (entry, rest string, more bool) {
	subject := strings.HasPrefix(text, SchemeX509+":")
	for i := range len(text) {
		if text[i] == ',' && (!subject || endsInPerms(text[:i])) {
			return text[:i], text[i+1:], true
		}
	}
	return text, "", false
}

func endsInPerms(entry string) bool {
	last := strings.LastIndexByte(entry, ':')
	return last > len(SchemeX509) && strings.Trim(entry[last+1:], permLetters) == ""
}

func parseEntry(text string) (Entry, error) {
	scheme, rest, ok := strings.Cut(text, ":")
	last := strings.LastIndexByte(rest, ':')
	if !ok || scheme == "" || last < 0 {
		return Entry{}, fmt.Errorf("%w: %q is not scheme:id:perms", ErrInvalidACL, text)
	}
	perms, err := parsePerms(rest[last+1:])
	if err != nil {
		return Entry{}, fmt.Errorf("%w in %q", err, text)
	}
	return Entry{Perms: perms, Scheme: scheme, ID: rest[:last]}, nil
}

func parsePerms(letters string) (p Perm, err error) {
	for _, letter := range letters {
		bit := strings.IndexRune(permLetters, letter)
		if bit < 0 {
			return 0, fmt.Errorf("%w: permission %q is none of cdrwa", ErrInvalidACL, letter)
		}
		p |= 1 << bit
	}
	return p, nil
}

// FormatACL is the inverse of ParseACL.
func FormatACL(acl ACL) string {
	var b strings.Builder
	for i, e := range acl {
		if i > 0 {
			b.WriteByte(',')
		}
		b.WriteString(e.Scheme)
		b.WriteByte(':')
		b.WriteString(e.ID)
		b.WriteByte(':')
		b.WriteString(e.Perms.String())
	}
	return b.String()
}

// String returns the letters of p in the order cdrwa.
func (p Perm) String() string {
	var b strings.Builder
	for _, letter := range "cdrwa" {
		if p&(1<<strings.IndexRune(permLetters, letter)) != 0 {
			b.WriteRune(letter)
		}
	}
	return b.String()
}

// DigestID returns the id of SchemeDigest that a user with this password
// proves: user:base64(SHA-1("user:password")), as ZooKeeper has it.
func DigestID(user, password string) string {
	sum := sha1.Sum([]byte(user + ":" + password))
	return user + ":" + base64.StdEncoding.EncodeToString(sum[:])
}
