package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/lycaon-io/lycaon/client"
)

// place is where the client of a session is, as far as that may be told and is
// known.
type place struct {
	hidden bool // from who is not the superuser
	silent []uint64
	of     *client.LiveSession // nil if it is hidden or the session has ended
}

func (e *env) place(ctx context.Context, c *client.Client, id client.SessionID) (place, error) {
	if id == 0 {
		return place{}, nil
	}
	page, err := c.Sessions(ctx, client.SessionQuery{Session: uint64(id)})
	switch {
	case errors.Is(err, client.ErrNoAuth), errors.Is(err, client.ErrUnimplemented): // by a server of an older version
		return place{hidden: true}, nil
	case err != nil:
		return place{}, err
	case len(page.Sessions) == 0:
		return place{}, nil
	}
	return place{of: &page.Sessions[0], silent: page.Silent}, nil
}

// info is what SessionInfo would tell, by the same server at the same time; nil
// if it is not known.
func (p place) info() *client.SessionInfo {
	if p.of == nil {
		return nil
	}
	return &client.SessionInfo{ID: p.of.ID, Alive: true, TimeoutMs: p.of.TimeoutMs, Generation: p.of.Generation, Ephemerals: p.of.Ephemerals}
}

// text is the second half of a sentence about a session.
func (p place) text() string {
	switch {
	case p.hidden:
		return "where its client is only the superuser sees"
	case p.of == nil:
		return "it has just ended"
	case p.of.ServerID == 0 && len(p.silent) > 0:
		return fmt.Sprintf("not connected, unless to %s, of which there is no answer", serverNames(p.silent))
	case p.of.ServerID == 0:
		return "not connected"
	}
	return fmt.Sprintf("client %s at server %d", p.of.ClientAddr, p.of.ServerID)
}

func serverNames(ids []uint64) string {
	names := make([]string, len(ids))
	for i, id := range ids {
		names[i] = strconv.FormatUint(id, 10)
	}
	return "server " + strings.Join(names, " and ")
}

// ago words a time that has passed, as exactly as a person wants it.
func ago(ms int64) string {
	return fmt.Sprintf("%s ago", msDuration(ms).Round(time.Second))
}

// placeJSON is what the server that holds a session tells of it.
type placeJSON struct {
	ServerID    uint64 `json:"serverId"`
	ClientAddr  string `json:"clientAddr"`
	ConnectedMs int64  `json:"connectedMs"`
	HeardMs     int64  `json:"heardMs"`
	Watches     int    `json:"watches"`
}

func (p place) value() *placeJSON {
	if p.of == nil || p.of.ServerID == 0 {
		return nil
	}
	return &placeJSON{ServerID: p.of.ServerID, ClientAddr: p.of.ClientAddr, ConnectedMs: p.of.ConnectedMs, HeardMs: p.of.HeardMs, Watches: p.of.Watches}
}

func (p place) paths() []string {
	if p.of == nil {
		return nil
	}
	return p.of.Paths
}
