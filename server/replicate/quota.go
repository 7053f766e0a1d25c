package replicate

import (
	"slices"
	"time"

	"github.com/lycaon-io/lycaon/server/state"
	"github.com/lycaon-io/lycaon/znode"
)

// quotaWarner tells the log of quotas that are exceeded, each now and then.
type quotaWarner struct {
	looked time.Time
	warned map[string]time.Time // of those that were exceeded at the last look
	next   string               // those above it come first, so that each has its turn
}

// warnOfQuotas is called with every tick of a leader.
func (d *duties) warnOfQuotas(now time.Time) {
	w := &d.quotas
	if !d.leads() || now.Sub(w.looked) < quotaInterval {
		return
	}
	w.looked = now
	var all []znode.Quota
	d.machine.View(func(m *state.Machine) { all = m.Tree().Quotas() })
	slices.SortFunc(all, znode.Quota.ComparePaths)
	for _, q := range w.due(all, now) {
		limit, bound, figure := q.Exceeded()
		d.log.Warn("a quota is exceeded", "path", q.Path, "limit", limit, "bound", bound, "figure", figure)
	}
}

// due returns the quotas to warn of, at most maxQuotaWarnings. all is in the
// order of the paths.
func (w *quotaWarner) due(all []znode.Quota, now time.Time) (due []znode.Quota) {
	warned := map[string]time.Time{}
	var before []znode.Quota
	for _, q := range all {
		if limit, _, _ := q.Exceeded(); limit == "" {
			continue
		}
		if last, ok := w.warned[q.Path]; ok {
			warned[q.Path] = last
			if now.Sub(last) < quotaRest {
				continue
			}
		}
		if q.Path <= w.next {
			before = append(before, q)
		} else {
			due = append(due, q)
		}
	}
	due = append(due, before...)
	due = due[:min(len(due), maxQuotaWarnings)]
	for _, q := range due {
		warned[q.Path], w.next = now, q.Path
	}
	w.warned = warned
	return due
}
