package state

import "github.com/lycaon-io/lycaon/protocol"

// Prefetch has the memory that these transactions will need brought to the
// processor, as far as that can be told from the first path of a write. It changes
// nothing; the caller's lock for reading is enough.
func (m *Machine) Prefetch(txns []Txn) {
	if m.tree.Len() < m.prefetchFrom {
		return
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
	m.tree.Prefetch(paths)
}
