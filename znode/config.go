package znode

import "strconv"

// The data of /zookeeper/config are the servers of the cluster, a line each, and
// a last one with the number of the transaction that said so, as a version that
// rises with every change. Its ACL keeps clients from writing it; what a
// superuser writes there all the same stays until the leader looks.

// ConfigData is what the node holds once a transaction has named the members,
// whose text ends with a line's end, or is empty for nobody.
func ConfigData(members string, zxid uint64) string {
	if members == "" {
		return ""
	}
	return members + "version=" + strconv.FormatUint(zxid, 16)
}

// Configure names the members, if they are others than the node has. It asks
// for no permission.
func (t *Tree) Configure(members string) {
	t.txn.mustBeOpen()
	n := t.index.get(configPath)
	if string(n.data) != ConfigData(members, n.mzxid) {
		t.replaceData(n, []byte(ConfigData(members, t.txn.zxid)))
	}
}
