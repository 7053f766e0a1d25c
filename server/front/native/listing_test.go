package native_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/client"
)

func TestAListingLargerThanAFrameComesInPages(t *testing.T) {
	s := start(t)
	ctx := t.Context()
	c := s.open()
	_, err := c.Create(ctx, "/d", nil)
	require.NoError(t, err)
	const n, each = 6000, 500
	long := strings.Repeat("n", 300)
	for i := 0; i < n; i += each {
		var ops []client.Op
		for j := i; j < i+each; j++ {
			ops = append(ops, client.OpCreate(fmt.Sprintf("/d/%s%05d", long, j), nil))
		}
		_, err := c.Multi(ctx, ops...)
		require.NoError(t, err)
	}
	names, err := c.Children(ctx, "/d")
	require.NoError(t, err)
	require.Len(t, names, n)
	for i, name := range names {
		require.Equal(t, fmt.Sprintf("%s%05d", long, i), name)
	}
	some, err := c.Children(ctx, "/d", client.After(names[99]), client.Limit(5000))
	require.NoError(t, err)
	require.Equal(t, names[100:5100], some)
	walked := 0
	for _, err := range c.Walk(ctx, "/d") {
		require.NoError(t, err)
		walked++
	}
	require.Equal(t, n+1, walked)
}
