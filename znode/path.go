package znode

import (
	"strconv"
	"strings"
	"unicode/utf8"
)

const (
	MaxPathBytes = 1024 // of a whole path
	MaxPathDepth = 128  // names in a path

	quotedPathBytes = 128 // of a bad path, shown in its error
)

// ValidatePath tells whether path may name a node: ZooKeeper's rules
// (PathUtils.validatePath) and our bounds. Paths are refused, never changed.
// The error wraps ErrBadArguments and names the path and the rule.
func ValidatePath(path string) error {
	if rule, at := brokenRule(path); rule != "" {
		return newPathError(path, rule, at)
	}
	return nil
}

// Parent returns the path above path; that of the root is the root.
func Parent(path string) string {
	i := strings.LastIndexByte(path, '/')
	if i <= 0 {
		return "/"
	}
	return path[:i]
}

// Base returns the last name of path, "" for the root.
func Base(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }

// Join returns the path of the child name of parent.
func Join(parent, name string) string {
	if parent == "/" {
		return "/" + name
	}
	return parent + "/" + name
}

// Depth returns the number of names in a valid path, 0 for the root.
func Depth(path string) int {
	if path == "/" {
		return 0
	}
	return strings.Count(path, "/")
}

// brokenRule returns the first rule that path breaks and the byte where.
func brokenRule(path string) (rule string, at int) {
	switch {
	case path == "":
		return "is empty", 0
	case path[0] != '/':
		return "does not start with '/'", 0
	case path == "/":
		return "", 0
	case len(path) > MaxPathBytes:
		return "is longer than " + strconv.Itoa(MaxPathBytes) + " bytes", MaxPathBytes
	}
	depth, start := 0, 1
	for i := 1; i <= len(path); {
		for i < len(path) && plain(path[i]) {
			i++
		}
		if i == len(path) || path[i] == '/' {
			if depth++; depth > MaxPathDepth {
				return "is deeper than " + strconv.Itoa(MaxPathDepth) + " names", i
			}
			if rule := brokenNameRule(path[start:i], i == len(path)); rule != "" {
				return rule, start
			}
			i++
			start = i
			continue
		}
		size, rule := character(path[i:])
		if rule != "" {
			return rule, i
		}
		i += size
	}
	return "", 0
}

func brokenNameRule(name string, last bool) string {
	switch {
	case name == "" && last:
		return "ends with '/'"
	case name == "":
		return "has an empty name"
	case name == "." || name == "..":
		return "has the relative name " + strconv.Quote(name)
	}
	return ""
}

// plain tells the characters that most names consist of.
func plain(c byte) bool { return c >= 0x20 && c < 0x7f && c != '/' }

// character returns the bytes of the first character of s and the rule it
// breaks. What ZooKeeper sees as UTF-16 ends at U+FFFF: characters beyond are
// surrogates there, and refused.
func character(s string) (size int, rule string) {
	if s[0] == 0 {
		return 1, "has a NUL character"
	}
	r, size := utf8.DecodeRuneInString(s)
	switch {
	case r == utf8.RuneError && size == 1:
		return 1, "is not valid UTF-8"
	case r <= 0x9f:
		return size, "has a control character"
	case r >= 0xe000 && r <= 0xf8ff:
		return size, "has a private-use character"
	case r >= 0xfff0 && r <= 0xffff:
		return size, "has a special character"
	case r > 0xffff:
		return size, "has a character above U+FFFF"
	}
	return size, ""
}

// pathError says which rule a path breaks.
type pathError struct {
	path string // cut to quotedPathBytes
	cut  bool
	rule string
	at   int
}

func newPathError(path, rule string, at int) *pathError {
	shown := path[:min(len(path), quotedPathBytes)]
	return &pathError{path: strings.Clone(shown), cut: len(shown) < len(path), rule: rule, at: at}
}

func (e *pathError) Error() string {
	s := "path " + strconv.Quote(e.path)
	if e.cut {
		s += "..."
	}
	return s + " " + e.rule + " (at byte " + strconv.Itoa(e.at) + ")"
}

func (e *pathError) Unwrap() error { return ErrBadArguments }
