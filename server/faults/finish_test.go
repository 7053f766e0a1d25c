package faults

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"

	"github.com/hashicorp/raft"

	"github.com/lycaon-io/lycaon/server/raftlog"
)

// finalProcess begins the numbers of those that read everything at the end, one a server.
const finalProcess = 1000

// finalReads asks every server for everything, after the load has ended and the cluster has healed.
func (c *cluster) finalReads() error {
	var failed error
	for _, s := range c.servers {
		failed = errors.Join(failed, c.finalRead(s))
	}
	return failed
}

func (c *cluster) finalRead(s *server) error {
	g := c.guest(s)
	if g == nil {
		return fmt.Errorf("server %d does not answer at the end", s.id)
	}
	ctx, cancel := context.WithTimeout(context.Background(), callWithin)
	defer cancel()
	for _, read := range [][]step{
		{{Kind: "children", Path: "/set"}},
		{{Kind: "children", Path: "/seq"}},
		{{Kind: "children", Path: "/batch"}},
		{{Kind: "children", Path: "/queue"}},
		{{Kind: "children", Path: "/eph"}},
		{{Kind: "children", Path: strangersRoom}},
		{{Kind: "get", Path: "/counter/c"}},
		{{Kind: "get", Path: "/pair/a"}, {Kind: "get", Path: "/pair/b"}},
	} {
		o := op{Process: finalProcess + int(s.id), Call: "read", Linearizable: true, Steps: read, Invoke: c.rec.now()}
		err := readInto(ctx, g, &o)
		o.Return = c.rec.now()
		judge(&o, err)
		c.rec.op(o)
		if err != nil {
			return fmt.Errorf("final read of %s from server %d: %w", read[0].Path, s.id, err)
		}
	}
	return nil
}

// sample notes what the store of a server that is down holds. A server that is killed is looked at before it starts again.
func (c *cluster) sample(s *server) {
	r, err := raftlog.Verify(filepath.Join(s.dir, "log"))
	x := sample{Server: s.id, Boot: s.boot, Term: r.Term, VoteTerm: r.VoteTerm, Vote: r.Vote, First: r.FirstIndex, Last: r.LastIndex}
	if err = errors.Join(append(r.Problems, err)...); err != nil {
		x.Problem = err.Error()
	}
	c.rec.write(record{Sample: &x})
}

// dump writes down the log of a server that is down, and its oldest snapshot.
func (c *cluster) dump(s *server) error {
	err := raftlog.Dump(filepath.Join(s.dir, "log"), 0, math.MaxUint64, func(l *raft.Log) error {
		c.rec.write(record{Entry: &entry{Server: s.id, Index: l.Index, Term: l.Term, Type: uint8(l.Type), Data: bytes.Clone(l.Data)}})
		return nil
	})
	if err != nil {
		return fmt.Errorf("log of server %d: %w", s.id, err)
	}
	snapshots := filepath.Join(s.dir, "snapshots")
	all, err := raftlog.VerifySnapshots(snapshots)
	if err != nil {
		return err
	}
	for _, r := range all {
		name := fmt.Sprintf("image-%d-%d", s.id, r.Index)
		if r.Problem == nil {
			r.Problem = copyFile(filepath.Join(c.rec.h.dir, name), filepath.Join(snapshots, r.ID, "state"))
		}
		if r.Problem != nil {
			return fmt.Errorf("snapshot %s of server %d: %w", r.ID, s.id, r.Problem)
		}
		c.rec.write(record{Image: &image{Index: r.Index, File: name}})
	}
	return nil
}

func copyFile(to, from string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.Create(to)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
