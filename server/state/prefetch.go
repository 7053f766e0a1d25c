package state

import "github.com/lycaon-io/lycaon/protocol"

// Prefetch has the memory that these transactions will need brought to the
// processor, as far as that can be told from the first path of a write. It changes
// nothing; the caller's lock for reading is enough. It returns how many nodes it has
// come upon.
func (m *Machine) Prefetch(txns []Txn) (found int) {
	if m.tree.Len() < m.prefetchFrom {
		return 0
	}
	var room [maxPrefetched]string
	paths := room[:0]
	for i := range txns {
		if t := &txns[i]; t.Kind == TxnWrite && len(paths) < cap(paths) {
			if path := protocol.PathOf(t.Op, t.Body); path != "" {
				paths = append(paths, path)
			}
		}
	}
	return m.tree.Prefetch(paths)
}
