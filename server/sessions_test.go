package server

import (
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/protocol"
)

func TestSessionsOfAllServersAreToldByEach(t *testing.T) {
	p := running(t, 3)
	at := map[uint64]*client.Client{}
	for _, id := range p.ids() {
		c, err := client.Open(t.Context(), p.addrs(id), client.WithOnlyGivenServers(), client.WithSessionTimeout(20*time.Second))
		require.NoError(t, err)
		t.Cleanup(c.Abandon)
		at[id] = c
	}
	_, err := at[2].Create(t.Context(), "/mine", nil, client.Ephemeral())
	require.NoError(t, err)
	w, err := at[2].Watch(t.Context(), "/mine")
	require.NoError(t, err)
	defer w.Close()
	p.sameState()

	for _, asked := range p.ids() {
		admin := p.admin(asked)
		page := p.sessions(admin, client.SessionQuery{})
		require.False(t, page.More)
		held := map[uint64]protocol.LiveSession{}
		for _, s := range page.Sessions {
			held[s.ServerID] = s
		}
		for id, c := range at {
			require.EqualValues(t, c.Session().ID(), held[id].ID, "server %d asked for what %d holds", asked, id)
			require.EqualValues(t, 20_000, held[id].TimeoutMs)
			require.Contains(t, held[id].ClientAddr, "127.0.0.1:")
			require.Equal(t, id == 2, held[id].Ephemerals == 1)
			require.Equal(t, id == 2, held[id].Watches == 1)
		}
		first, err := admin.Sessions(t.Context(), client.SessionQuery{Limit: 2})
		require.NoError(t, err)
		require.True(t, first.More)
		rest, err := admin.Sessions(t.Context(), client.SessionQuery{After: first.Sessions[1].ID, Limit: 2})
		require.NoError(t, err)
		require.False(t, rest.More)
		require.Equal(t, ids(page), append(ids(first), ids(rest)...))
		one := p.sessions(admin, client.SessionQuery{Session: uint64(at[2].Session().ID())})
		require.Len(t, one.Sessions, 1)
		require.EqualValues(t, 2, one.Sessions[0].ServerID)
		require.Equal(t, []string{"/mine"}, one.Sessions[0].Paths)
		none, err := admin.Sessions(t.Context(), client.SessionQuery{Session: 1 << 40})
		require.NoError(t, err)
		require.Equal(t, &client.SessionPage{}, none)
	}
	own, err := at[3].Sessions(t.Context(), client.SessionQuery{Session: uint64(at[3].Session().ID())})
	require.NoError(t, err)
	require.EqualValues(t, 3, own.Sessions[0].ServerID)
	_, err = at[3].Sessions(t.Context(), client.SessionQuery{Session: uint64(at[2].Session().ID())})
	require.ErrorIs(t, err, client.ErrNoAuth)

	p.stop(3)
	page := p.sessions(p.admin(1), client.SessionQuery{Session: uint64(at[3].Session().ID())}, 3)
	require.Zero(t, page.Sessions[0].ServerID)
	require.Empty(t, page.Sessions[0].ClientAddr)
}

// sessions asks a server until all members but the silent ones were in time with
// their answers, as a machine that stands still for a second does not let them be.
func (p *fleet) sessions(c *client.Client, q client.SessionQuery, silent ...uint64) (page *client.SessionPage) {
	p.t.Helper()
	p.eventually("all that run have answered", func() bool {
		var err error
		page, err = c.Sessions(p.t.Context(), q)
		require.NoError(p.t, err)
		return slices.Equal(page.Silent, silent)
	})
	return page
}

func ids(page *client.SessionPage) (ids []uint64) {
	for _, s := range page.Sessions {
		ids = append(ids, s.ID)
	}
	return ids
}

func TestTheNewestConnectionOfASessionCounts(t *testing.T) {
	page := &protocol.SessionPage{Sessions: []protocol.LiveSession{{ID: 7, Generation: 3}, {ID: 9, Generation: 1}}}
	place(page, 1, []heldSession{{Session: 7, Generation: 2, Addr: "old"}, {Session: 8, Generation: 9, Addr: "nobody's"}})
	require.Equal(t, []uint64{7, 9}, elsewhere(page), "whose end its server has not heard of")
	place(page, 2, []heldSession{{Session: 7, Generation: 3, Addr: "known"}})
	place(page, 3, []heldSession{{Session: 7, Generation: 4, Addr: "newer than the state that was asked"}})
	place(page, 1, []heldSession{{Session: 7, Generation: 3, Addr: "known"}})
	require.EqualValues(t, 3, page.Sessions[0].ServerID)
	require.EqualValues(t, 4, page.Sessions[0].Generation)
	require.Equal(t, []uint64{9}, elsewhere(page))
}
