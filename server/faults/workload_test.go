package faults

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

const (
	loadTimeout = 4 * time.Second // of sessions
	thinkTime   = 6 * time.Millisecond

	hopRarely    = 100 // rounds between two changes of the server
	hopWithin    = 4 * time.Millisecond
	registerOps  = 150 // on one path, before the group goes on to the next
	registerPool = 3   // actors on one path
	registers    = 2   // groups
	pairTotal    = 1000
	batchSize    = 4
	watched      = 8 // nodes that come and go below /w
)

// rooms are the parents that the workloads need.
var rooms = []string{"/reg", "/set", "/seq", "/counter", "/batch", "/pair", "/eph", "/w", "/queue", strangersRoom}

// prepare makes what the workloads begin with.
func (l *load) prepare(ctx context.Context) error {
	l.actors++
	a := &actor{id: l.actors, load: l, timeout: loadTimeout}
	if !a.open(ctx) {
		return errors.New("no session to prepare with")
	}
	defer a.leave()
	for _, path := range rooms {
		if _, err := a.write(step{Kind: "create", Path: path, Version: -1}); err != nil {
			return err
		}
	}
	for _, path := range []string{"/counter/c", "/pair/a", "/pair/b"} {
		value := 0
		if path != "/counter/c" {
			value = pairTotal / 2
		}
		if _, err := a.write(step{Kind: "create", Path: path, Data: l.word(strconv.Itoa(value))}); err != nil {
			return err
		}
	}
	return nil
}

// begin starts every workload.
func (l *load) begin(ctx context.Context) {
	for g := range registers {
		done := new(atomic.Int64)
		for range registerPool {
			var version int64
			l.launch(ctx, loadTimeout, paced(func(a *actor) error {
				return a.register(fmt.Sprintf("/reg/%d-%d", g, done.Add(1)/registerOps), &version)
			}))
		}
	}
	l.launch(ctx, loadTimeout, paced((*actor).addToSet))
	l.launch(ctx, loadTimeout, paced((*actor).sequence))
	l.launch(ctx, loadTimeout, paced((*actor).increment))
	l.launch(ctx, loadTimeout, paced((*actor).increment))
	l.launch(ctx, loadTimeout, paced((*actor).batch))
	l.launch(ctx, loadTimeout, paced((*actor).transfer))
	l.launch(ctx, loadTimeout, paced((*actor).sum))
	l.launch(ctx, loadTimeout, paced((*actor).produce))
	l.launch(ctx, loadTimeout, paced((*actor).consume))
	for range 2 {
		l.launch(ctx, loadTimeout, paced((*actor).stir))
		l.launch(ctx, loadTimeout, watchAndHop)
		l.launch(ctx, loadTimeout, hold)
	}
}

// paced goes on after every error: it is written down, and what it means is for the checkers. The loss of the session ends the rounds by itself.
// Now and then the connection is cut amid a round, so that what is under way has to be sent again elsewhere.
func paced(round func(*actor) error) func(context.Context, *actor) error {
	return func(ctx context.Context, a *actor) error {
		defer a.think(ctx, thinkTime)
		if line := a.line; a.rng.IntN(hopRarely) == 0 {
			time.AfterFunc(time.Duration(a.rng.Int64N(int64(hopWithin))), func() { line.hop(len(a.load.addrs) > 1) })
		}
		_ = round(a)
		return nil
	}
}

// register reads and writes one node by versions that may be old.
func (a *actor) register(path string, version *int64) error {
	var o *op
	var err error
	expect := *version
	if a.rng.IntN(8) == 0 {
		expect = -1
	}
	switch a.rng.IntN(20) {
	case 0, 1, 2, 3, 4:
		o, err = a.read(true, step{Kind: "get", Path: path})
	case 5, 6:
		o, err = a.read(true, step{Kind: "exists", Path: path})
	case 7, 8, 9:
		o, err = a.read(false, step{Kind: "get", Path: path})
	case 10, 11, 12:
		o, err = a.write(step{Kind: "create", Path: path, Data: a.load.word("r")})
	case 13, 14:
		o, err = a.write(step{Kind: "delete", Path: path, Version: expect})
	default:
		o, err = a.write(step{Kind: "set", Path: path, Data: a.load.word("r"), Version: expect})
	}
	if err == nil && len(o.Answers) == 1 && o.Answers[0].Error == "" {
		*version = o.Answers[0].Version
	}
	return err
}

func (a *actor) addToSet() error {
	word := a.load.word("s")
	_, err := a.write(step{Kind: "create", Path: "/set/" + word, Data: word + strings.Repeat(".", a.load.padding)})
	return err
}

// sequence makes numbered nodes and takes some away again, whose numbers must not come back.
func (a *actor) sequence() error {
	o, err := a.write(step{Kind: "create", Path: "/seq/n-", Data: a.load.word("n"), Sequential: true})
	if err != nil || a.rng.IntN(3) != 0 {
		return err
	}
	_, err = a.write(step{Kind: "delete", Path: o.Answers[0].Path, Version: -1})
	return err
}

// increment counts by compare and swap.
func (a *actor) increment() error {
	const path = "/counter/c"
	o, err := a.read(false, step{Kind: "get", Path: path})
	if err != nil {
		return err
	}
	next := a.load.word(strconv.Itoa(valueOf(o.Answers[0].Data) + 1))
	_, err = a.write(step{Kind: "set", Path: path, Data: next, Version: o.Answers[0].Version})
	return err
}

// valueOf is the number before the command's id.
func valueOf(data string) int {
	number, _, _ := strings.Cut(data, "#")
	n, err := strconv.Atoi(number)
	if err != nil {
		return -1
	}
	return n
}

// batch makes several nodes at once, or none: one of the operations may be made to fail.
func (a *actor) batch() error {
	word := a.load.word("b")
	var steps []step
	for i := range batchSize {
		steps = append(steps, step{Kind: "create", Path: fmt.Sprintf("/batch/%s-%d", word, i), Data: a.load.word("b")})
	}
	if a.rng.IntN(4) == 0 {
		steps = append(steps, step{Kind: "check", Path: "/batch", Version: 77})
	}
	_, err := a.write(steps...)
	return err
}

// transfer moves an amount between two nodes, whose sum stays.
func (a *actor) transfer() error {
	o, err := a.read(a.rng.IntN(2) == 0, step{Kind: "get", Path: "/pair/a"}, step{Kind: "get", Path: "/pair/b"})
	if err != nil {
		return err
	}
	from, to := o.Answers[0], o.Answers[1]
	amount := a.rng.IntN(21) - 10
	_, err = a.write(
		step{Kind: "set", Path: "/pair/a", Data: a.load.word(strconv.Itoa(valueOf(from.Data) - amount)), Version: from.Version},
		step{Kind: "set", Path: "/pair/b", Data: a.load.word(strconv.Itoa(valueOf(to.Data) + amount)), Version: to.Version},
	)
	return err
}

func (a *actor) sum() error {
	_, err := a.read(a.rng.IntN(4) == 0, step{Kind: "get", Path: "/pair/a"}, step{Kind: "get", Path: "/pair/b"})
	return err
}

func (a *actor) produce() error {
	_, err := a.write(step{Kind: "create", Path: "/queue/q-", Data: a.load.word("q"), Sequential: true})
	return err
}

// consume takes the first element, and now and then tries to take one twice.
func (a *actor) consume() error {
	o, err := a.read(false, step{Kind: "children", Path: "/queue"})
	if err != nil || len(o.Answers[0].Names) == 0 {
		return err
	}
	for _, name := range o.Answers[0].Names[:min(3, len(o.Answers[0].Names))] {
		if _, err = a.write(step{Kind: "delete", Path: "/queue/" + name, Version: -1}); err != nil {
			return err
		}
	}
	return nil
}

// stir changes what watchers look at.
func (a *actor) stir() error {
	path := fmt.Sprintf("/w/%d", a.rng.IntN(watched))
	var err error
	switch a.rng.IntN(6) {
	case 0:
		_, err = a.write(step{Kind: "create", Path: path, Data: a.load.word("w")})
	case 1:
		_, err = a.write(
			step{Kind: "create", Path: path, Data: a.load.word("w")}, step{Kind: "set", Path: path, Data: a.load.word("w")})
	case 2:
		_, err = a.write(
			step{Kind: "delete", Path: path, Version: -1}, step{Kind: "create", Path: path, Data: a.load.word("w")})
	case 3:
		_, err = a.write(step{Kind: "delete", Path: path, Version: -1})
	default:
		_, err = a.write(step{Kind: "set", Path: path, Data: a.load.word("w"), Version: -1})
	}
	return err
}

// hold has an ephemeral node for as long as its session, whose end is sometimes silent.
func hold(ctx context.Context, a *actor) error {
	path := fmt.Sprintf("/eph/%s", a.load.word("e"))
	if _, err := a.write(step{Kind: "create", Path: path, Data: a.load.word("e"), Ephemeral: true}); err != nil {
		return nil
	}
	life := time.Now().Add(2*time.Second + time.Duration(a.rng.IntN(4000))*time.Millisecond)
	for time.Now().Before(life) && ctx.Err() == nil && !a.lost() {
		a.think(ctx, 200*time.Millisecond)
		if _, err := a.read(a.rng.IntN(2) == 0, step{Kind: "exists", Path: path}); err != nil {
			return nil
		}
	}
	if ctx.Err() == nil && a.rng.IntN(2) == 0 {
		a.vanish()
	}
	return errNextSession
}

var errNextSession = errors.New("the session has served")
