package main

import (
	"fmt"
	"slices"
	"time"
)

// How much is done in each scene, whoever serves.
const (
	churners, churns  = 32, 60
	watchers, changes = 1000, 15
	children          = 10_000
	listers, lists    = 8, 200
	fan               = 1000 // nodes in a directory of create
)

func toldSessions(begin time.Time) string {
	return fmt.Sprintf("%.0f/s: open, ephemeral node, close, by %d clients", churners*churns/time.Since(begin).Seconds(), churners)
}

func toldWatchers(took []time.Duration) string {
	slices.Sort(took)
	return fmt.Sprintf("%.1f ms until the last of %d watchers is told, median of %d", took[len(took)/2].Seconds()*1e3, watchers, changes)
}

func toldListing(begin time.Time) string {
	return fmt.Sprintf("%.0f/s: %d children, by %d clients", listers*lists/time.Since(begin).Seconds(), children, listers)
}

func (s *stage) toldCreate(begin time.Time) string {
	return fmt.Sprintf("%.0f/s: %d nodes of 100 bytes", float64(s.nodes)/time.Since(begin).Seconds(), s.nodes)
}

func directory(d int) string { return fmt.Sprintf("/fill/directory-%06d", d) }

func leaf(i int) string { return fmt.Sprintf("%s/node-%08d", directory(i/fan), i) }

func child(i int) string { return fmt.Sprintf("/many/child-%06d", i) }
