package clients

import (
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
	"github.com/stretchr/testify/require"
)

func goRecipes(t *testing.T, connect string) {
	const workers, rounds = 3, 10
	c := goConnect(t, connect)
	create(t, c, "/compat-go-lock", "0", 0)
	done := make(chan error, workers)
	for range workers {
		mine := goConnect(t, connect)
		fresh(t, mine)
		lock := zk.NewLock(mine.Conn, "/compat-go-lock/lock", open)
		go func() { done <- countUnder(lock, mine, rounds) }()
	}
	for range workers {
		require.NoError(t, <-done)
	}
	fresh(t, c)
	data, _, err := c.Get("/compat-go-lock")
	require.NoError(t, err)
	require.Equal(t, strconv.Itoa(workers*rounds), string(data), "no count is lost")
	lock := zk.NewLock(c.Conn, "/compat-go-lock/lock", open)
	require.ErrorIs(t, lock.Unlock(), zk.ErrNotLocked)
	require.NoError(t, lock.Lock())
	require.ErrorIs(t, lock.Lock(), zk.ErrDeadlock)
}

// countUnder counts in a node, each read and write apart.
func countUnder(lock *zk.Lock, c *goConn, rounds int) error {
	for range rounds {
		if err := lock.Lock(); err != nil {
			return err
		}
		data, _, err := c.Get("/compat-go-lock")
		if err != nil {
			return err
		}
		n, err := strconv.Atoi(string(data))
		if err != nil {
			return err
		}
		if _, err := c.Set("/compat-go-lock", []byte(strconv.Itoa(n+1)), -1); err != nil {
			return err
		}
		if err := lock.Unlock(); err != nil {
			return err
		}
	}
	return nil
}

// pace is the time between the writes of one writer.
const pace = 10 * time.Millisecond

// goLive adds a client for Go to all that live on while servers die.
func goLive(t *testing.T, connect string, all []live) []live {
	const root = "/compat-go-live"
	c, writer := goConnect(t, connect), goConnect(t, connect)
	session := c.SessionID()
	create(t, c, root, "", 0)
	create(t, c, root+"/log", "", 0)
	create(t, c, root+"/eph", "", zk.FlagEphemeral)
	create(t, c, root+"/watched", "", 0)
	_, _, watch, err := c.GetW(root + "/watched")
	require.NoError(t, err)
	fresh(t, writer)

	var over atomic.Bool
	written := make(chan error, 1)
	acked := 0
	go func() {
		var err error
		for err == nil && (!over.Load() || acked < 50) {
			if err = writeOnce(writer, fmt.Sprintf("%s/log/n-%06d", root, acked)); err == nil {
				acked++
			}
			time.Sleep(pace)
		}
		written <- err
	}()
	end := func() (string, error) {
		over.Store(true)
		if err := <-written; err != nil {
			return "FAIL go writes: " + err.Error(), err
		}
		err := errors.Join(survived(c, root, session, acked), heard(writer, root, watch))
		if c.expired() || writer.expired() {
			err = errors.Join(err, errors.New("a session expired"))
		}
		if err != nil {
			return "FAIL go: " + err.Error(), err
		}
		return "ok go: sessions live and nothing is lost\n", nil
	}
	return append(all, live{"go", c.Server(), end})
}

// writeOnce makes a node of a new name; whether a lost try was done shows at the next.
func writeOnce(c *goConn, path string) error {
	tries := 0
	_, err := retry(func() (string, error) { tries++; return c.Create(path, []byte(path), 0, open) })
	if errors.Is(err, zk.ErrNodeExists) && tries > 1 {
		return nil
	}
	return err
}

func survived(c *goConn, root string, session int64, acked int) error {
	if _, err := retry(func() (string, error) { return c.Sync("/") }); err != nil {
		return err
	}
	stat, err := retry(func() (*zk.Stat, error) { _, s, err := c.Exists(root + "/eph"); return s, err })
	if err != nil || stat.EphemeralOwner != session || c.SessionID() != session {
		return fmt.Errorf("session %x is now %x, its node %+v: %w", session, c.SessionID(), stat, err)
	}
	for i := range acked {
		path := fmt.Sprintf("%s/log/n-%06d", root, i)
		data, err := retry(func() ([]byte, error) { d, _, err := c.Get(path); return d, err })
		if err != nil || string(data) != path {
			return fmt.Errorf("acknowledged %s holds %q: %w", path, data, err)
		}
	}
	names, err := retry(func() ([]string, error) { n, _, err := c.Children(root + "/log"); return n, err })
	if err == nil && len(names) != acked {
		err = fmt.Errorf("%d nodes, %d acknowledged", len(names), acked)
	}
	return err
}

func heard(writer *goConn, root string, watch <-chan zk.Event) error {
	if _, err := retry(func() (*zk.Stat, error) { return writer.Set(root+"/watched", []byte("1"), -1) }); err != nil {
		return err
	}
	select {
	case e := <-watch:
		if e.Type != zk.EventNodeDataChanged {
			return fmt.Errorf("the watch says %v", e)
		}
		return nil
	case <-time.After(within):
		return errors.New("the watch is silent")
	}
}
