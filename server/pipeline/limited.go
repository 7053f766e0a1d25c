package pipeline

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/server/state"
)

const quotaPrefix = "/zookeeper/quota/"

// mayLimit tells how many quotas a write may make, and counts them as made; or refuses it
// since there would be too many. It is asked before the log: apply knows no bound, so that
// a log runs everywhere as it did before there was one. What others have under way is not
// known. A write whose xid was seen already goes to the log, as refuse has it.
func (l *Lane) mayLimit(r *protocol.Request) (made int, refusal *protocol.Message) {
	asked := limitedBy(r)
	if len(asked) == 0 {
		return 0, nil
	}
	culprit, bounded := -1, r.Unkept || !l.mayHaveRun(r.Xid)
	l.core.View(func(m *state.Machine) {
		asked = slices.DeleteFunc(asked, func(q limited) bool { return m.Tree().HasQuota(q.path) })
		made = len(asked)
		room := maxQuotas - m.Tree().NumQuotas() - (int(l.core.limits.Add(int64(made))) - made)
		if room = max(room, 0); bounded && made > room {
			culprit = asked[room].step
		}
	})
	if culprit < 0 {
		return made, nil
	}
	l.core.unlimit(made)
	return 0, refuseToLimit(r, culprit)
}

// unlimit takes back what mayLimit counted, when it is in the tree or will not be.
func (c *Core) unlimit(made int) {
	if made > 0 {
		c.limits.Add(-int64(made))
	}
}

// limited is a path that an operation of a write may give a quota.
type limited struct {
	step int
	path string // part of the body
}

func limitedBy(r *protocol.Request) (all []limited) {
	switch {
	case r.Op == protocol.OpCreate && strings.HasPrefix(protocol.PathOf(r.Op, r.Body), quotaPrefix):
	case r.Op == protocol.OpMulti && bytes.Contains(r.Body, []byte(quotaPrefix)):
	default:
		return nil
	}
	step := 0
	for w := range protocol.Writes(r.Op, r.Body) {
		if w.Op == protocol.OpCreate {
			for path := range w.Create.Limited() {
				all = append(all, limited{step, path})
			}
		}
		step++
	}
	return all
}

// refuseToLimit answers as if the operation had failed when it ran.
func refuseToLimit(r *protocol.Request, culprit int) *protocol.Message {
	m := refused(r, protocol.TooManyQuotas, fmt.Sprintf("there may be %d quotas", maxQuotas))
	switch {
	case r.Op != protocol.OpMulti:
	case protocol.IsBriefMulti(r.Body):
		m.More.Results, m.More.Count = []protocol.Message{{Op: protocol.OpCreate, Code: m.Code}}, int64(culprit)
	default:
		for w := range protocol.Writes(r.Op, r.Body) {
			result := protocol.Message{Op: w.Op}
			switch step := len(m.More.Results); {
			case step == culprit:
				result.Code = m.Code
			case step > culprit:
				result.Code = protocol.RuntimeInconsistency
			}
			m.More.Results = append(m.More.Results, result)
		}
	}
	return m
}
