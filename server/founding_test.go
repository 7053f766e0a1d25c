package server

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAClusterIsNamedByItsListInAnyOrder(t *testing.T) {
	name := func(list string) string {
		members, err := founders(list)
		require.NoError(t, err)
		return clusterOf(members)
	}
	one := name("1=a:1,2=b:2,3=c:3")
	require.Len(t, one, 26)
	require.Equal(t, one, name(" 3=c:3 ,1=a:1, 2=b:2"))
	require.NotEqual(t, one, name("1=a:1,2=b:2,3=c:4"))
	require.NotEqual(t, one, name("1=a:1,2=b:2"))
}

func TestThePeerPortIsWhereTheListSaysUnlessTold(t *testing.T) {
	c := Config{ID: 2, InitialCluster: "1=a:1,2=b:2"}
	require.Equal(t, "b:2", c.withPeerAddr().PeerAddr)
	require.Equal(t, "b:2", c.advertisedPeer())
	c.PeerAddr = "0.0.0.0:7"
	require.Equal(t, "0.0.0.0:7", c.withPeerAddr().PeerAddr)
	require.Equal(t, "b:2", c.advertisedPeer())
	alone := Config{ID: 1}
	require.Equal(t, defaultPeerAddr, alone.withPeerAddr().PeerAddr)
	require.Empty(t, alone.advertisedPeer(), "wherever it listens")
}

// open makes or opens a directory and closes it again.
func openAndClose(t *testing.T, path string, from origin) meta {
	t.Helper()
	d, err := openDataDir(path, 1, from)
	require.NoError(t, err)
	require.NoError(t, d.close())
	return d.meta
}

func foundedBy(t *testing.T, list string) origin {
	t.Helper()
	members, err := founders(list)
	require.NoError(t, err)
	return origin{founders: members}
}

func TestADirectoryOfBeforeDataIdsGetsOne(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	made := openAndClose(t, dir, origin{})
	require.NotEmpty(t, made.DataID)
	old := map[string]any{"format": 1, "serverId": 1, "clusterId": made.ClusterID}
	raw, err := json.Marshal(old)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, metaName), raw, 0o600))
	given := openAndClose(t, dir, origin{})
	require.Equal(t, made.ClusterID, given.ClusterID)
	require.NotEmpty(t, given.DataID)
	require.NotEqual(t, made.DataID, given.DataID)
	require.Equal(t, given, openAndClose(t, dir, origin{}), "made once")
}

func TestADirectoryOfAnotherClusterIsRefused(t *testing.T) {
	list, other := foundedBy(t, "1=a:1,2=b:2,3=c:3"), foundedBy(t, "1=a:1,2=b:2,3=d:3")
	joins := origin{doors: []string{"a:1"}}
	for name, c := range map[string]struct{ made, asked origin }{
		"founded by another list":      {list, other},
		"founded by this server alone": {origin{}, list},
		"joined":                       {joins, list},
		"alone, asked to join":         {origin{}, joins},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "data")
			openAndClose(t, dir, c.made)
			before := fingerprint(t, dir)
			_, err := openDataDir(dir, 1, c.asked)
			require.ErrorIs(t, err, ErrForeignData)
			require.Equal(t, before, fingerprint(t, dir))
			require.Equal(t, openAndClose(t, dir, c.made), openAndClose(t, dir, origin{}), "without the list it is as it was")
		})
	}
}

func TestAFounderMayAskToBeTakenInByItsOwnCluster(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	made := openAndClose(t, dir, foundedBy(t, "1=a:1,2=b:2,3=c:3"))
	require.True(t, made.together())
	require.Equal(t, made, openAndClose(t, dir, origin{doors: []string{"b:2"}}))
}

func TestAServerThatJoinsLearnsItsClusterOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "data")
	d, err := openDataDir(dir, 1, origin{doors: []string{"a:1"}})
	require.NoError(t, err)
	require.Empty(t, d.meta.ClusterID)
	require.NoError(t, d.enterCluster("PACK"))
	require.NoError(t, d.enterCluster("PACK"))
	require.ErrorIs(t, d.enterCluster("HERD"), ErrForeignData)
	require.NoError(t, d.close())
	require.Equal(t, "PACK", openAndClose(t, dir, origin{doors: []string{"a:1"}}).ClusterID)
}
