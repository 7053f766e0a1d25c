package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"github.com/lycaon-io/lycaon/client"
)

// visit calls f for every node from root on that may be read. It goes on beside
// those that may not, and tells of them in the end.
func (e *env) visit(ctx context.Context, root string, f func(*client.Node) error, opts ...client.WalkOption) error {
	c, err := e.reader(ctx)
	if err != nil {
		return err
	}
	var first error
	hidden := 0
	for node, err := range c.Walk(ctx, root, opts...) {
		switch {
		case errors.Is(err, client.ErrNoAuth):
			first = cmp.Or(first, err)
			hidden++
		case err != nil:
			return err
		default:
			if err := f(node); err != nil {
				return err
			}
		}
	}
	if hidden > 1 {
		return fmt.Errorf("%d nodes could not be looked at, the first: %w", hidden, first)
	}
	return first
}

const hiddenHelp = `
Nodes that may not be read are passed over; their number is told at the end, and
the exit code is 5 then.`

func newFind(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "find PATH [GLOB]",
		Short: "List the nodes below a node whose names match",
		Long: `Print the path of each node from PATH on whose name matches GLOB, one a line, parents
first; without GLOB of all. In GLOB * stands for any characters, ? for one, [a-z] for
one of these, and a backslash takes the next as it is. With a slash in it GLOB is
matched against all of the path below PATH, where * and ? stand for no slash.
` + hiddenHelp,
		Example: "  find / '*.conf'\n  find /app 'instances/*'",
		GroupID: groupTree,
		Args:    rangeArgs(1, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			match, err := nameMatcher(args)
			if err != nil {
				return err
			}
			found := []string{}
			err = e.visit(cmd.Context(), args[0], func(n *client.Node) error {
				switch {
				case !match(n.Path):
					return nil
				case e.out.structured():
					found = append(found, n.Path)
					return nil
				}
				return e.out.line("%s", n.Path)
			}, client.KeysOnly())
			return e.printFound(found, err)
		},
	}
}

// nameMatcher makes a test of paths out of the arguments of find.
func nameMatcher(args []string) (func(string) bool, error) {
	if len(args) < 2 {
		return func(string) bool { return true }, nil
	}
	root, glob := args[0], args[1]
	if _, err := path.Match(glob, ""); err != nil {
		return nil, usageError{fmt.Errorf("glob %q: %w", glob, err)}
	}
	return func(node string) bool {
		subject := path.Base(node)
		if strings.Contains(glob, "/") {
			subject = relative(root, node)
		}
		ok, _ := path.Match(glob, subject)
		return ok
	}, nil
}

// relative is the path of a node below root, "" of root itself.
func relative(root, node string) string {
	return strings.TrimPrefix(strings.TrimPrefix(node, strings.TrimSuffix(root, "/")), "/")
}

// printFound prints what was gathered for JSON, as one value, beside the error that
// ended the gathering.
func (e *env) printFound(found any, err error) error {
	if !e.out.structured() || err != nil && !errors.Is(err, client.ErrNoAuth) {
		return err
	}
	return cmp.Or(e.out.value(found), err)
}

// match is one that grep found.
type match struct {
	Path   string `json:"path"`
	Line   int    `json:"line,omitempty"` // from 1
	Text   string `json:"text,omitempty"`
	Binary bool   `json:"binary,omitempty"` // somewhere in data that is not UTF-8
}

func newGrep(e *env) *cobra.Command {
	var ignoreCase, pathsOnly bool
	cmd := &cobra.Command{
		Use:   "grep RE PATH",
		Short: "Search the data of the nodes below a node",
		Long: `Print each line of data, from PATH on, in which the regular expression RE (of Go: RE2)
matches, behind the path of its node. Of data that is not UTF-8 it is only told that
it matches. The exit code is 1 if nothing does.
` + hiddenHelp,
		Example: "  grep -i timeout /app\n  grep -l '^jdbc:' /",
		GroupID: groupTree,
		Args:    exactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			re, err := compile(args[0], ignoreCase)
			if err != nil {
				return err
			}
			found := []match{}
			matched := false
			err = e.visit(cmd.Context(), args[1], func(n *client.Node) error {
				matches := matchesIn(n, re)
				matched = matched || len(matches) > 0
				if e.out.structured() && !pathsOnly {
					found = append(found, matches...)
					return nil
				}
				if pathsOnly && len(matches) > 0 {
					matches = []match{{Path: n.Path}}
				}
				if e.out.structured() {
					found = append(found, matches...)
					return nil
				}
				return e.printMatches(matches, pathsOnly)
			})
			if err := e.printFound(found, err); err != nil {
				return err
			}
			if !matched {
				return errQuiet
			}
			return nil
		},
	}
	cmd.Flags().BoolVarP(&ignoreCase, "ignore-case", "i", false, "upper and lower case are the same")
	cmd.Flags().BoolVarP(&pathsOnly, "paths-only", "l", false, "print the paths of the nodes alone")
	return cmd
}

func compile(expr string, ignoreCase bool) (*regexp.Regexp, error) {
	if ignoreCase {
		expr = "(?i)" + expr
	}
	re, err := regexp.Compile(expr)
	if err != nil {
		return nil, usageError{err}
	}
	return re, nil
}

func matchesIn(n *client.Node, re *regexp.Regexp) []match {
	if !utf8.Valid(n.Data) {
		if re.Match(n.Data) {
			return []match{{Path: n.Path, Binary: true}}
		}
		return nil
	}
	var found []match
	number := 0
	for line := range strings.Lines(string(n.Data)) {
		number++
		if line = strings.TrimRight(line, "\r\n"); re.MatchString(line) {
			found = append(found, match{Path: n.Path, Line: number, Text: line})
		}
	}
	return found
}

func (e *env) printMatches(matches []match, pathsOnly bool) error {
	for _, m := range matches {
		text := m.Path + ":" + m.Text
		switch {
		case pathsOnly:
			text = m.Path
		case m.Binary:
			text = m.Path + ": binary data matches"
		}
		if err := e.out.line("%s", text); err != nil {
			return err
		}
	}
	return nil
}

// usage is what a subtree takes.
type usage struct {
	Path  string `json:"path"`
	Nodes int    `json:"nodes"`
	Bytes int64  `json:"bytes"`
}

func newDu(e *env) *cobra.Command {
	var sortBySize bool
	cmd := &cobra.Command{
		Use:   "du [PATH]",
		Short: "Tell what the trees below a node take",
		Long: `Print for each child of PATH how many nodes it is, itself and all below it, and how
many bytes of data they hold; in the last line the same of PATH. The nodes are read
one page after another while others may write; count is quicker.
` + hiddenHelp,
		Example: "  du -S /",
		GroupID: groupTree,
		Args:    maxArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			uses, err := e.usages(cmd.Context(), e.pathOrHere(args, 0))
			if err != nil && !errors.Is(err, client.ErrNoAuth) || len(uses) == 0 {
				return err
			}
			if children := uses[:len(uses)-1]; sortBySize {
				slices.SortStableFunc(children, func(a, b usage) int { return cmp.Compare(b.Bytes, a.Bytes) })
			}
			return cmp.Or(e.printUsages(uses), err)
		},
	}
	cmd.Flags().BoolVarP(&sortBySize, "size", "S", false, "those with the most bytes first")
	return cmd
}

// usages are those of the children of root in order, and of root itself.
func (e *env) usages(ctx context.Context, root string) ([]usage, error) {
	var uses []usage
	total := usage{Path: root}
	err := e.visit(ctx, root, func(n *client.Node) error {
		total.Nodes++
		total.Bytes += int64(n.Stat.DataLength)
		rel := relative(root, n.Path)
		if rel == "" {
			return nil
		}
		name, _, below := strings.Cut(rel, "/")
		if !below {
			uses = append(uses, usage{Path: n.Path})
		}
		last := len(uses) - 1
		if last < 0 || relative(root, uses[last].Path) != name {
			return nil // of a child that may not be read, whose own are not reached
		}
		uses[last].Nodes++
		uses[last].Bytes += int64(n.Stat.DataLength)
		return nil
	}, client.KeysOnly())
	if total.Nodes == 0 {
		return nil, err
	}
	return append(uses, total), err
}

func (e *env) printUsages(uses []usage) error {
	if e.out.structured() {
		return e.out.value(uses)
	}
	for _, u := range uses {
		number, unit, _ := strings.Cut(counted(u.Nodes, "node"), " ")
		if err := e.out.line("%8s %-5s %12d B  %s", number, unit, u.Bytes, u.Path); err != nil {
			return err
		}
	}
	return nil
}
