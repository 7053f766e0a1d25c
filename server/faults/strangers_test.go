package faults

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"

	"github.com/lycaon-io/lycaon/client"
)

// strangersRoom is where they write.
const strangersRoom = "/strange"

// strangers do what the actors do not: one is a client of ZooKeeper, one writes under guards, one raises sequence numbers. Their calls are not in
// the history, but what the servers made of them is compared with the model, and by digest, and what was acknowledged has to be there.
type strangers struct {
	t    *testing.T
	ctx  context.Context
	stop context.CancelFunc
	wg   sync.WaitGroup

	mu   sync.Mutex
	made map[string][]string // by whom -> names below their room
}

func beginStrangers(t *testing.T, addrs []string) *strangers {
	s := &strangers{t: t, made: map[string][]string{}}
	s.ctx, s.stop = context.WithCancel(context.Background())
	for _, write := range []func(addrs []string) error{s.zookeeper, s.guard, s.raise} {
		s.wg.Go(func() {
			if err := write(addrs); err != nil {
				s.t.Errorf("a stranger failed: %v", err)
			}
		})
	}
	return s
}

func (s *strangers) end() {
	s.stop()
	s.wg.Wait()
}

func (s *strangers) acknowledged(who, path string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.made[who] = append(s.made[who], nameOf(path))
}

// goesOn paces, and tells whether there is more to do.
func (s *strangers) goesOn() bool {
	select {
	case <-time.After(thinkTime):
		return true
	case <-s.ctx.Done():
		return false
	}
}

// check looks for what was acknowledged, on each server.
func (s *strangers) check(h *history) {
	for _, who := range []string{"zookeeper", "guard", "raise"} {
		if len(s.made[who]) < 10 {
			s.t.Errorf("the stranger %s has made %d nodes: the run is void", who, len(s.made[who]))
		}
		lists := h.finals(strangersRoom)
		if len(lists) != h.About.Servers {
			s.t.Errorf("%d of %d servers told at the end what strangers made", len(lists), h.About.Servers)
		}
		for i, list := range lists {
			for _, name := range s.made[who] {
				if _, there := slices.BinarySearch(list.Names, name); !there {
					s.t.Errorf("%s of the stranger %s is missing on the %d. server, and its create was acknowledged", name, who, i+1)
				}
			}
		}
	}
}

type quietLog struct{}

func (quietLog) Printf(string, ...any) {}

// zookeeper creates numbered nodes and sets them. A connection that was lost leaves it in doubt; an answer of the tree is always good news.
func (s *strangers) zookeeper(addrs []string) error {
	expired := make(chan struct{}, 1)
	c, _, err := zk.Connect(addrs, 2*loadTimeout, zk.WithLogger(quietLog{}), zk.WithEventCallback(func(e zk.Event) {
		if e.State == zk.StateExpired {
			select {
			case expired <- struct{}{}:
			default:
			}
		}
	}))
	if err != nil {
		return err
	}
	defer c.Close()
	bad := []error{zk.ErrBadArguments, zk.ErrAPIError, zk.ErrNoNode, zk.ErrNodeExists, zk.ErrBadVersion, zk.ErrNoAuth, zk.ErrInvalidACL}
	for n := 0; s.goesOn(); n++ {
		path, err := c.Create(strangersRoom+"/z-", []byte("z"), zk.FlagSequence, zk.WorldACL(zk.PermAll))
		if err == nil {
			s.acknowledged("zookeeper", path)
			_, err = c.Set(path, fmt.Append(nil, n), 0)
		}
		if slices.ContainsFunc(bad, func(b error) bool { return errors.Is(err, b) }) {
			return fmt.Errorf("a client of ZooKeeper was told %w", err)
		}
	}
	if len(expired) > 0 {
		return errors.New("the session of ZooKeeper's client was lost")
	}
	return nil
}

// native opens a session for a stranger.
func (s *strangers) native(addrs []string, do func(ctx context.Context, c *client.Client) error, opts ...client.Option) error {
	ctx, cancel := context.WithTimeout(context.Background(), callWithin)
	defer cancel()
	c, err := client.Open(ctx, addrs, append(opts, client.WithSessionTimeout(loadTimeout))...)
	if err != nil {
		return err
	}
	defer c.Abandon()
	for err == nil && s.goesOn() {
		err = func() error {
			ctx, cancel := context.WithTimeout(context.Background(), callWithin)
			defer cancel()
			return do(ctx, c)
		}()
	}
	return err
}

// guard holds a node for a while, and what it writes afterwards is refused.
func (s *strangers) guard(addrs []string) error {
	return s.native(addrs, func(ctx context.Context, c *client.Client) error {
		held, err := c.Create(ctx, strangersRoom+"/held", nil)
		if err != nil {
			return err
		}
		guarded := client.WithGuard(ctx, client.NewGuard(held.Path, held.Stat.Czxid))
		for range 3 {
			n, err := c.Create(guarded, strangersRoom+"/g-", nil, client.Sequential())
			if err != nil {
				return err
			}
			s.acknowledged("guard", n.Path)
		}
		if err := c.Delete(ctx, held.Path); err != nil {
			return err
		}
		if _, err := c.Create(guarded, strangersRoom+"/late", nil); !errors.Is(err, client.ErrFenced) {
			return fmt.Errorf("a write whose guard is gone was answered %v", err)
		}
		return nil
	})
}

// raise skips sequence numbers as the copy of a tree does.
func (s *strangers) raise(addrs []string) error {
	most := int64(0)
	return s.native(addrs, func(ctx context.Context, c *client.Client) error {
		n, err := c.Create(ctx, strangersRoom+"/r-", nil, client.Sequential())
		if err != nil {
			return err
		}
		s.acknowledged("raise", n.Path)
		var number int64
		if _, err := fmt.Sscanf(strings.TrimPrefix(nameOf(n.Path), "r-"), "%d", &number); err != nil {
			return err
		}
		if number < most {
			return fmt.Errorf("%s was made after its numbers had been raised to %d", n.Path, most)
		}
		most = number + 100
		return c.RaiseSequence(ctx, strangersRoom, most)
	}, client.WithCredentials(client.Digest("super", superPassword)))
}
