package replicate

import (
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/znode"
)

func exceeded(path string) znode.Quota {
	return znode.Quota{Path: path, Limits: znode.Limits{Count: 1, Bytes: -1, CountHard: -1, BytesHard: -1}, Count: 2}
}

func TestAnExceededQuotaIsWarnedOfOnceAMinute(t *testing.T) {
	var w quotaWarner
	start := time.Unix(0, 0)
	fine := exceeded("/fine")
	fine.Count = 1
	all := []znode.Quota{exceeded("/a"), fine}
	require.Equal(t, []string{"/a"}, paths(w.due(all, start)))
	require.Empty(t, w.due(all, start.Add(quotaRest-1)))
	require.Equal(t, []string{"/a"}, paths(w.due(all, start.Add(quotaRest))))
	require.Empty(t, w.due([]znode.Quota{fine}, start.Add(quotaRest+1)))
	require.Equal(t, []string{"/a"}, paths(w.due(all, start.Add(quotaRest+2))), "exceeded anew")
	require.Len(t, w.warned, 1)
}

func TestManyExceededQuotasTakeTurns(t *testing.T) {
	var w quotaWarner
	var all []znode.Quota
	for i := range 10 * maxQuotaWarnings {
		all = append(all, exceeded(fmt.Sprintf("/q%04d", i)))
	}
	seen := map[string]bool{}
	now := time.Unix(0, 0)
	for range 10 {
		now = now.Add(quotaInterval)
		due := w.due(all, now)
		require.Len(t, due, maxQuotaWarnings)
		for _, q := range due {
			require.False(t, seen[q.Path], q.Path)
			seen[q.Path] = true
		}
	}
	require.Len(t, seen, len(all))
}

func paths(all []znode.Quota) (paths []string) {
	for _, q := range all {
		paths = append(paths, q.Path)
	}
	return paths
}

func TestALeaderWarnsOfExceededQuotas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDisk()
		var log lockedText
		n := New(Config{ID: 1, Address: "127.0.0.1:2888", Logger: slog.New(slog.NewTextHandler(&log, nil))}, d.logs, d.snaps)
		r := newReplica()
		r.observer, r.log = n, n
		require.NoError(t, n.Open(r))
		<-n.Ready()
		id := r.session(t, time.Hour)
		for i, op := range []znode.CreateOp{
			{Path: "/zookeeper/quota/a/zookeeper_limits", Data: []byte("count=1,bytes=-1"), Parents: true},
			{Path: "/a/b", Parents: true},
		} {
			op.ACL = znode.OpenACL
			r.send(write(id, 1, uint64(i+1), protocol.OpCreate, protocol.AppendCreate(nil, &op)))
		}
		time.Sleep(2*quotaRest + 2*quotaInterval)
		synctest.Wait()
		text := log.String()
		require.Equal(t, 3, strings.Count(text, "a quota is exceeded"), text)
		require.Contains(t, text, `msg="a quota is exceeded" path=/a limit=count bound=1 figure=2`)
		stop(t, n)
	})
}

// lockedText is a log that is read while it is written.
type lockedText struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lockedText) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lockedText) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}
