package pipeline

const (
	// recentMarks covers a tenth of a second at the highest rate of writes: a
	// server that answers at once is never behind it.
	recentMarks = 8192
	// Every coarseStep-th mark is kept far longer, so that servers whose
	// distance is larger than the recent ones still have marks in common.
	coarseStep  = 1024
	coarseMarks = 1024
)

// marks remembers what the digest was right after each of the newest
// transactions that took a zxid. Between two of them the clock and the kept
// answers of writes that failed move the digest on, so a digest read at any
// other moment is not comparable; right after the same transaction it is equal
// on every server that applied the same log.
type marks struct {
	floor  uint64 // of the image or the empty machine below: its digest may be of a later moment
	newest uint64
	recent [recentMarks]uint64 // by zxid
	coarse [coarseMarks]uint64 // by zxid / coarseStep
}

func (m *marks) reset(zxid uint64) { m.floor, m.newest = zxid, zxid }

func (m *marks) add(zxid, digest uint64) {
	m.newest = zxid
	m.recent[zxid%recentMarks] = digest
	if zxid%coarseStep == 0 {
		m.coarse[zxid/coarseStep%coarseMarks] = digest
	}
}

func (m *marks) at(zxid uint64) (digest uint64, ok bool) {
	switch {
	case zxid <= m.floor || zxid > m.newest:
		return 0, false
	case m.newest-zxid < recentMarks:
		return m.recent[zxid%recentMarks], true
	case zxid%coarseStep == 0 && (m.newest-zxid)/coarseStep < coarseMarks-1:
		return m.coarse[zxid/coarseStep%coarseMarks], true
	}
	return 0, false
}

// Mark returns the newest zxid applied here and the digest of the state right
// after the transaction that took it: servers that applied the same log have
// the same. It is 0, 0 while nothing has been applied since the start or since
// the last image.
func (c *Core) Mark() (zxid, digest uint64) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	digest, ok := c.marks.at(c.marks.newest)
	if !ok {
		return 0, 0
	}
	return c.marks.newest, digest
}

// MarkAt returns the digest right after the transaction that took zxid. It is
// known of the last 8,192, and of the multiples of 1,024 among the last
// million.
func (c *Core) MarkAt(zxid uint64) (digest uint64, ok bool) {
	c.mu.RLock()
	defer c.mu.RUnlock()
	return c.marks.at(zxid)
}
