package protocol

// Most bytes that a part of a message takes beside its strings and data.
const (
	markBytes    = 5 // of a string, data or an array
	numberBytes  = 9
	statBytes    = 1 + 13*numberBytes
	messageBytes = lengthBytes + messageHeaderBytes + statBytes + 4*markBytes + numberBytes
)

// What the kept answer of a write takes at most. Every replica computes with
// these: a change of one is a change of the format of the log.
const (
	// AnswerBytes is what every answer takes, and all that one without results
	// does.
	AnswerBytes = 64

	resultBytes   = 192 // of each operation, beside the path of a create
	sequenceBytes = 20  // of the longest sequence number behind it
)

// ResultBytes returns a size that the result of w within an answer never
// exceeds, whatever w finds.
func (w *WriteOp) ResultBytes() int {
	if w.Op == OpCreate {
		return resultBytes + len(w.Create.Path) + sequenceBytes
	}
	return resultBytes
}

// AnswerBound returns a size that the answer of a write, which has been validated,
// never exceeds: what a replica must have room for before it runs the write.
func AnswerBound(op Op, body []byte) int {
	var w WriteOp
	if op != OpMulti {
		if DecodeWrite(op, body, &w) != nil {
			return AnswerBytes
		}
		return AnswerBytes + w.ResultBytes()
	}
	m, n := readMulti(body), AnswerBytes
	for m.left > 0 && m.d.err == nil {
		m.next(&w)
		n += w.ResultBytes()
	}
	if brief, err := m.end(); brief || err != nil {
		return AnswerBytes
	}
	return n
}

// Size returns an upper bound of the bytes of m's frame, in the time of a walk
// over its parts: what an outbox counts.
func (m *Message) Size() int {
	n := messageBytes + len(m.Path) + len(m.Data) + len(m.Body)
	if m.More != nil {
		n += m.More.size()
	}
	return n
}

func (m *More) size() int {
	if m.shared != nil {
		return m.shared.size
	}
	n := 2*markBytes + numberBytes + len(m.Detail)
	for _, name := range m.Names {
		n += markBytes + len(name)
	}
	for i := range m.ACL {
		n += 1 + numberBytes + 2*markBytes + len(m.ACL[i].Scheme) + len(m.ACL[i].ID)
	}
	for i := range m.Results {
		n += numberBytes + m.Results[i].Size()
	}
	for i := range m.Identities {
		n += 1 + 2*markBytes + len(m.Identities[i].Scheme) + len(m.Identities[i].ID)
	}
	if m.Session != nil {
		n += 8*numberBytes + len(m.Session.Cause)
	}
	if m.Status != nil {
		n += m.Status.size()
	}
	if m.Sessions != nil {
		n += m.Sessions.size()
	}
	for i := range m.Members {
		n += m.Members[i].size()
	}
	for i := range m.Cluster {
		c := &m.Cluster[i]
		n += 2*markBytes + c.Member.size() + len(c.Error)
		if c.Status != nil {
			n += c.Status.size()
		}
	}
	return n
}

func (s *Status) size() int {
	return 21*numberBytes + len(s.Role) + len(s.Version) + len(s.Disk)
}

func (m *Member) size() int {
	return numberBytes + 5*markBytes + len(m.Role) + len(m.PeerAddr) + len(m.ClientAddr) + len(m.Version)
}
