package main

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lycaon-io/lycaon/client"
)

func newDiff(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "diff A B",
		Short: "Compare two trees",
		Long: `Compare the nodes A and B and all below them, and print a line for each difference, with
the path below A and B, . for themselves:

  < PATH           is below A alone
  > PATH           is below B alone
  ! PATH: WHAT     on both sides, with another data, kind or ACL

The exit code is 0 if there is none and 1 if there are some. The nodes are read one
after another while others may write.`,
		Example: "  diff /app/config /app/config.old\n  diff /blue /green -o json",
		GroupID: groupTree,
		Args:    exactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			d := differ{env: e, a: args[0], b: args[1], found: []difference{}}
			if err := d.compare(cmd.Context()); err != nil {
				return err
			}
			if e.out.structured() {
				if err := e.out.value(d.found); err != nil {
					return err
				}
			}
			if d.count > 0 {
				return errQuiet
			}
			return nil
		},
	}
}

// difference is one line of diff.
type difference struct {
	Path string `json:"path"` // relative
	What string `json:"what"` // onlyA, onlyB, data, kind or acl
	text string
}

// differ compares two trees side by side, as they are walked. It holds up to a
// page of pairs until their ACLs are read.
type differ struct {
	env   *env
	c     *client.Client
	a, b  string
	held  []pair
	found []difference // for JSON
	count int
}

// pair is what is known of one relative path.
type pair struct {
	rel   string
	known []difference
	both  bool
}

func (d *differ) compare(ctx context.Context) (err error) {
	if d.c, err = d.env.reader(ctx); err != nil {
		return err
	}
	nextA, stopA := iter.Pull2(d.c.Walk(ctx, d.a))
	defer stopA()
	nextB, stopB := iter.Pull2(d.c.Walk(ctx, d.b))
	defer stopB()
	left, right := side{root: d.a, next: nextA}, side{root: d.b, next: nextB}
	for {
		left.fill()
		right.fill()
		if err := cmp.Or(left.err, right.err); err != nil {
			return err
		}
		if left.over && right.over {
			return d.flush(ctx)
		}
		if err := d.put(ctx, d.step(&left, &right)); err != nil {
			return err
		}
	}
}

// side is one of the walks, and the node it has come to.
type side struct {
	root string
	next func() (*client.Node, error, bool)
	node *client.Node
	err  error
	over bool
}

// fill goes on to the next node if the one before was taken.
func (s *side) fill() {
	if s.node == nil && !s.over {
		n, err, ok := s.next()
		s.node, s.err, s.over = n, err, !ok
	}
}

func (s *side) rel() string { return relative(s.root, s.node.Path) }

// step takes the node that comes first in the order of walks, or both.
func (d *differ) step(left, right *side) pair {
	order := 0
	switch {
	case right.over:
		order = -1
	case left.over:
		order = 1
	default:
		order = slices.Compare(strings.Split(left.rel(), "/"), strings.Split(right.rel(), "/"))
	}
	switch {
	case order < 0:
		p := pair{rel: left.rel(), known: []difference{{What: "onlyA"}}}
		left.node = nil
		return p
	case order > 0:
		p := pair{rel: right.rel(), known: []difference{{What: "onlyB"}}}
		right.node = nil
		return p
	}
	p := pair{rel: left.rel(), both: true}
	a, b := left.node, right.node
	left.node, right.node = nil, nil
	if !bytes.Equal(a.Data, b.Data) || (a.Data == nil) != (b.Data == nil) {
		p.known = append(p.known, difference{What: "data", text: dataSize(a) + ", " + dataSize(b)})
	}
	if a.Stat.Kind != b.Stat.Kind || a.Stat.TTLMs != b.Stat.TTLMs {
		p.known = append(p.known, difference{What: "kind", text: kindText(a.Stat) + ", " + kindText(b.Stat)})
	}
	return p
}

func dataSize(n *client.Node) string {
	if n.Data == nil {
		return "null"
	}
	return fmt.Sprintf("%d B", len(n.Data))
}

func kindText(s client.Stat) string {
	if s.TTLMs != 0 {
		return fmt.Sprintf("%s %s", kindNames[s.Kind], msDuration(s.TTLMs))
	}
	return kindNames[s.Kind]
}

func (d *differ) put(ctx context.Context, p pair) error {
	d.held = append(d.held, p)
	if len(d.held) < aclPage {
		return nil
	}
	return d.flush(ctx)
}

// flush reads the ACLs of the pairs that are held and tells what differs.
func (d *differ) flush(ctx context.Context) error {
	var reads []client.ReadOp
	for _, p := range d.held {
		if p.both {
			reads = append(reads, client.ReadACL(below(d.a, p.rel)), client.ReadACL(below(d.b, p.rel)))
		}
	}
	var acls []client.ReadResult
	if len(reads) > 0 {
		var err error
		if acls, err = d.c.MultiRead(ctx, reads); err != nil {
			return err
		}
	}
	for _, p := range d.held {
		if p.both {
			a, b := acls[0], acls[1]
			acls = acls[2:]
			if err := cmp.Or(a.Err, b.Err); err != nil {
				return err
			}
			if !slices.Equal(a.ACL, b.ACL) {
				p.known = append(p.known, difference{What: "acl", text: aclText(a.ACL) + "; " + aclText(b.ACL)})
			}
		}
		if err := d.tell(p); err != nil {
			return err
		}
	}
	d.held = d.held[:0]
	return nil
}

func (d *differ) tell(p pair) error {
	d.count += len(p.known)
	for _, f := range p.known {
		f.Path = cmp.Or(p.rel, ".")
		if d.env.out.structured() {
			d.found = append(d.found, f)
			continue
		}
		if err := d.env.out.line("%s", f.line()); err != nil {
			return err
		}
	}
	return nil
}

func (f difference) line() string {
	switch f.What {
	case "onlyA":
		return "< " + f.Path
	case "onlyB":
		return "> " + f.Path
	}
	return fmt.Sprintf("! %s: %s: %s", f.Path, f.What, f.text)
}
