package digestmd5

import (
	"bytes"
	"strings"
)

// Bounds of a response: the longest sensible one has a name and its authzid
// of znode.MaxACLIDBytes each, quoted.
const (
	maxTokenBytes = 4 << 10
	maxDirectives = 32
)

// parseDirectives reads `name=value, name="quoted \" value"`. Names are
// returned in lower case; each may come once, known or not: of two values
// another reader might take the other.
func parseDirectives(token []byte) (map[string]string, error) {
	if len(token) > maxTokenBytes {
		return nil, denied("a token of %d bytes, at most %d are allowed", len(token), maxTokenBytes)
	}
	fields := map[string]string{}
	for rest := token; ; {
		name, value, after, ok := directive(rest)
		if !ok {
			return nil, denied("the token breaks at byte %d: it must be name=value pairs with commas between", len(token)-len(rest))
		}
		if _, twice := fields[name]; twice {
			return nil, denied("%s comes twice", shortened(name))
		}
		if len(fields) == maxDirectives {
			return nil, denied("more than %d fields", maxDirectives)
		}
		fields[name] = value
		if len(after) == 0 {
			return fields, nil
		}
		rest = after[1:] // the comma
	}
}

// directive takes one pair off b. What follows is empty or begins with a comma.
func directive(b []byte) (name, value string, after []byte, ok bool) {
	b = trimSpace(b)
	n := tokenLen(b)
	name, b = strings.ToLower(string(b[:n])), trimSpace(b[n:])
	if n == 0 || len(b) == 0 || b[0] != '=' {
		return "", "", nil, false
	}
	if b = trimSpace(b[1:]); len(b) > 0 && b[0] == '"' {
		value, b, ok = quoted(b[1:])
	} else {
		n = tokenLen(b)
		value, b, ok = string(b[:n]), b[n:], n > 0
	}
	b = trimSpace(b)
	return name, value, b, ok && (len(b) == 0 || b[0] == ',')
}

// quoted takes a quoted string off b, whose opening quote is gone already. A
// backslash lets the next byte stand for itself.
func quoted(b []byte) (value string, after []byte, ok bool) {
	var out []byte
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '"':
			return string(out), b[i+1:], true
		case '\\':
			if i++; i == len(b) {
				return "", nil, false
			}
		}
		out = append(out, b[i])
	}
	return "", nil, false
}

// tokenLen counts the characters of a token (RFC 2616) at the start of b.
func tokenLen(b []byte) int {
	n := bytes.IndexFunc(b, func(r rune) bool {
		return r <= ' ' || r >= 0x7f || strings.ContainsRune(`()<>@,;:\"/[]?={}`, r)
	})
	if n < 0 {
		return len(b)
	}
	return n
}

func trimSpace(b []byte) []byte { return bytes.TrimLeft(b, " \t\r\n") }
