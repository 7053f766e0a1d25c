package recipes_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/server/compat/rig"
)

// orderVar has what a child is to do; the test binary with it is one.
const orderVar = "LYCAON_RECIPES_CHILD"

// order makes a process a stubborn holder.
type order struct {
	Name, Recipe, Lock string
	Servers            []string
	Socket             string // of the witness
}

const (
	childSession = time.Second
	sideSession  = time.Minute // outlives every pause
)

func childFails(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}

// runChild holds until it is killed, or the witness goes.
func runChild(text string) error {
	var o order
	if err := json.Unmarshal([]byte(text), &o); err != nil {
		return err
	}
	r, err := recipeOf(o.Recipe)
	if err != nil {
		return err
	}
	witness, err := dialWitness(o.Socket)
	if err != nil {
		return err
	}
	ctx := context.Background()
	var side, c *client.Client
	aside := func() *client.Client { return alive(&side, o.Servers, sideSession) }
	h := &holder{recipe: r, name: fmt.Sprintf("%s/%d", o.Name, os.Getpid()), lock: o.Lock, to: witness, bare: true}
	for {
		if t, err := h.take(ctx, ctx, alive(&c, o.Servers, childSession), r.ways[0]); err == nil {
			t.insist(c, aside)
			t.giveBack(ctx, c)
			t.tell(event{What: done})
		}
	}
}

// alive opens a client anew if its session is lost.
func alive(c **client.Client, servers []string, session time.Duration) *client.Client {
	for *c == nil || (*c).Session().Context().Err() != nil {
		if next, err := client.Open(context.Background(), servers, client.WithSessionTimeout(session)); err == nil {
			*c = next
		} // else there is no server just now, and Open has waited
	}
	return *c
}

// child is a stubborn holder in a process of its own, as the test sees it.
type child struct {
	order
	process *rig.Process
	turns   atomic.Int64 // pauses and kills
	pauses  int          // for who has waited for its actor
	kills   int
}

func newChild(o order, dir string) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	p := &rig.Process{Command: []string{self}, Dir: dir, Log: filepath.Join(dir, o.Name+".log"), Env: []string{orderVar + "=" + string(text)}}
	return &child{order: o, process: p}, nil
}

// trouble lets the child get a grant and strikes it: it is paused until somebody else
// has written who was granted the same, and goes on then; or it is killed.
func (c *child) trouble(ctx context.Context, w *witness, kill bool) error {
	from := w.now()
	if c.process.Ended() {
		if err := c.process.Start(); err != nil {
			return err
		}
	}
	name := fmt.Sprintf("%s/%d#", c.Name, c.process.Pid())
	mine, ok := w.await(ctx, from, func(e event) bool { return e.What == granted && strings.HasPrefix(e.Grant, name) })
	if !ok {
		return context.Cause(ctx)
	}
	if kill {
		c.process.Kill()
		c.kills++
	} else {
		c.process.Signal(syscall.SIGSTOP)
		defer c.process.Signal(syscall.SIGCONT)
	}
	var other event
	_, ok = w.await(ctx, from, func(e event) bool {
		if e.What == granted && e.Lock == mine.Lock && e.Token > mine.Token {
			other = e
		}
		return e.What == wrote && e.Bare && e.Grant == other.Grant && other.Token > 0
	})
	if !ok || kill {
		return context.Cause(ctx)
	}
	c.process.Signal(syscall.SIGCONT)
	if _, ok = w.await(ctx, from, func(e event) bool { return e.What == done && e.Grant == mine.Grant }); !ok {
		return context.Cause(ctx)
	}
	c.pauses++
	return nil
}
