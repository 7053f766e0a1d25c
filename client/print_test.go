package client

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/znode"
)

func TestWhatAClientReturnsPrintsForPeople(t *testing.T) {
	t.Parallel()
	session := func(id uint64, state State) *Session {
		return &Session{&Client{state: state, sess: sessionState{id: id}}}
	}
	for _, c := range []struct {
		printed any
		want    string
	}{
		{Event{Type: EventDeleted, Path: "/workers/w-0000000001", Zxid: 15565}, "deleted /workers/w-0000000001 zxid 0x3ccd"},
		{&Event{Type: EventChildrenChanged, Path: "/", Zxid: 1}, "children changed / zxid 0x1"},
		{Event{Type: EventPresent, Path: "/a", Zxid: 9, Stat: znode.Stat{Version: 3}}, "present /a zxid 0x9"},
		{Event{}, "event type 0  zxid 0x0"},
		{session(0x3c98, Connected), "session 0x3c98, connected"},
		{session(0x3c98, Expired), "session 0x3c98, expired"},
		{session(0, Disconnected), "session 0x0, disconnected"},
		{NewGuard("/locks/a@b", 4711), "/locks/a@b@4711"},
		{[]Guard{NewGuard("/a", 1), NewGuard("/b", 2)}, "[/a@1 /b@2]"},
	} {
		require.Equal(t, c.want, fmt.Sprint(c.printed))
	}
}
