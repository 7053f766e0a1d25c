package server

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/server/state"
)

// After the backup either so little happens that a few attempts of a client make up
// for it, or so much that it would be refused until its session is over.
func TestWhoHasSeenMoreThanABackupIsWelcomeAfterItsRestore(t *testing.T) {
	for _, writes := range []int{1, 100} {
		t.Run(fmt.Sprint(writes), func(t *testing.T) {
			s := start(t, local(t))
			c := dial(t, s, client.WithSessionTimeout(10*time.Second))
			_, err := c.Create(t.Context(), "/back", []byte("saved"))
			require.NoError(t, err)
			mine, err := c.Create(t.Context(), "/mine", nil, client.Ephemeral())
			require.NoError(t, err)
			file := save(t, s)
			for range writes {
				_, err = c.Set(t.Context(), "/back", []byte("lost"))
				require.NoError(t, err)
			}
			lost, err := c.Create(t.Context(), "/lost", nil)
			require.NoError(t, err)
			watch := func(path string, opts ...client.WatchOption) *client.Watch {
				w, err := c.Watch(t.Context(), path, opts...)
				require.NoError(t, err)
				return w
			}
			staying := watch("/back", client.WithoutResync())
			data := watch("/back", client.Once(), client.Types(client.EventCreated, client.EventChanged, client.EventDeleted))
			names := watch("/", client.Once(), client.Types(client.EventChildrenChanged, client.EventDeleted))
			gone := watch("/lost", client.Once(), client.Types(client.EventCreated, client.EventChanged, client.EventDeleted))

			cfg := local(t)
			cfg.ClientAddr = s.ClientAddr().String()
			stop(t, s)
			_, err = RestoreSnapshot(t.Context(), file, cfg)
			require.NoError(t, err)
			start(t, cfg)

			within, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			_, err = staying.Next(within)
			require.ErrorIs(t, err, client.ErrGap)
			for w, want := range map[*client.Watch]client.EventType{
				data: client.EventChanged, names: client.EventChildrenChanged, gone: client.EventDeleted,
			} {
				e, err := w.Next(within)
				require.NoError(t, err)
				require.Equal(t, want, e.Type, e.Path)
			}
			node, err := c.Get(within, "/back")
			require.NoError(t, err)
			require.Equal(t, "saved", string(node.Data))
			node, err = c.Get(within, "/mine")
			require.NoError(t, err)
			require.EqualValues(t, c.Session().ID(), node.Stat.Owner, "the session is the one it had")
			require.Equal(t, mine.Stat.Czxid, node.Stat.Czxid)
			made, err := c.Create(within, "/lost", nil)
			require.NoError(t, err)
			require.Greater(t, made.Stat.Czxid, lost.Stat.Czxid, "a token is given once")
		})
	}
}

func TestARestoreGoesOnAboveWhateverWasSeen(t *testing.T) {
	first := time.Date(2026, 12, 1, 0, 0, 0, 0, time.UTC)
	const saved, more = 1_000, 1_000_000
	restored := restoredZxid(saved, first)
	for name, tt := range map[string]struct{ seen, restored uint64 }{
		"of the saved cluster, later":  {saved + more, restored},
		"of the first restored one":    {restored + more, restoredZxid(saved, first.Add(5*time.Minute))},
		"and an older backup":          {restored + more, restoredZxid(saved/2, first.Add(5*time.Minute))},
		"and a backup of that":         {restored + more, restoredZxid(restored, first.Add(time.Second))},
		"by a clock that stands":       {saved + more, restoredZxid(saved, time.Time{})},
		"and again":                    {restored + more, restoredZxid(restored, time.Time{})},
		"as much as clients believe":   {mostSaved + more, restoredZxid(mostSaved, first)},
		"by a clock that is far ahead": {saved + more, restoredZxid(saved, first.AddDate(100_000, 0, 0))},
	} {
		require.Greater(t, tt.restored, tt.seen+protocol.Leap, name)
		require.Less(t, tt.restored, uint64(1)<<62, name)
	}
}

func TestABackupOfAnImpossibleZxidIsRefused(t *testing.T) {
	m := state.New()
	m.Leap(mostSaved + 1)
	file := filepath.Join(t.TempDir(), "saved")
	out, err := os.Create(file)
	require.NoError(t, err)
	require.NoError(t, state.WriteImage(out, m.Freeze(), nil))
	require.NoError(t, out.Close())
	cfg := local(t)
	_, err = RestoreSnapshot(t.Context(), file, cfg)
	require.ErrorIs(t, err, ErrDamaged)
	require.NoDirExists(t, cfg.DataDir)
}

func TestARestoreThatIsGivenUpMakesNothing(t *testing.T) {
	file := save(t, start(t, local(t)))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	cfg := local(t)
	_, err := RestoreSnapshot(ctx, file, cfg)
	require.ErrorIs(t, err, context.Canceled)
	left, err := os.ReadDir(filepath.Dir(cfg.DataDir))
	require.NoError(t, err)
	require.Empty(t, left)
}
