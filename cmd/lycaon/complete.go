package main

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"github.com/lycaon-io/lycaon/client"
)

// completer completes the word before the cursor: the first to a command,
// one that begins with / to a path, one that begins with - to a flag.
type completer struct{ env *env }

const (
	completeWithin = 2 * time.Second // a Tab must not hang on a lost server
	completeMost   = 200
)

// Do returns what may follow the typed part of the word, and that part's
// length.
func (c *completer) Do(line []rune, pos int) ([][]rune, int) {
	words, last := scanWords(string(line[:pos]))
	word := last.text
	var found []string
	switch {
	case len(words) == 0:
		found = c.commands(word)
	case strings.HasPrefix(word, "-"):
		found = c.flags(words[0], word)
	case strings.HasPrefix(word, "/"):
		found = c.paths(word)
		for i, f := range found {
			found[i] = word + escapeIn(last.quote, strings.TrimPrefix(f, word))
		}
	}
	var rest [][]rune
	for _, f := range found {
		rest = append(rest, []rune(strings.TrimPrefix(f, word)))
	}
	return rest, len([]rune(word))
}

func (c *completer) commands(prefix string) []string {
	var found []string
	for _, cmd := range newShellRoot(c.env).Commands() {
		if strings.HasPrefix(cmd.Name(), prefix) {
			found = append(found, cmd.Name()+" ")
		}
	}
	if strings.HasPrefix("help", prefix) {
		found = append(found, "help ")
	}
	slices.Sort(found)
	return slices.Compact(found)
}

func (c *completer) flags(name, prefix string) []string {
	cmd, _, err := newShellRoot(c.env).Find([]string{name})
	if err != nil {
		return nil
	}
	var found []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if flag := "--" + f.Name; strings.HasPrefix(flag, prefix) {
			found = append(found, flag+" ")
		}
	})
	return found
}

func (c *completer) paths(prefix string) []string {
	ctx, cancel := context.WithTimeout(context.Background(), completeWithin)
	defer cancel()
	conn, err := c.env.session(ctx)
	if err != nil {
		return nil
	}
	cut := strings.LastIndexByte(prefix, '/')
	parent, typed := prefix[:cut], prefix[cut+1:]
	if parent == "" {
		parent = "/"
	}
	var found []string
	if st, err := conn.Exists(ctx, prefix); typed != "" && err == nil && st != nil {
		found = append(found, prefix)
	}
	names, err := conn.Children(ctx, parent, client.Limit(completeMost), client.After(typed))
	if err != nil {
		return found
	}
	for _, name := range names {
		if !strings.HasPrefix(name, typed) {
			break
		}
		found = append(found, prefix[:cut+1]+name)
	}
	return found
}
