package faults

import (
	"flag"
	"testing"
	"time"
)

var replayDir = flag.String("history", "", "check the history saved in this directory")

// TestReplay checks a saved history again.
func TestReplay(t *testing.T) {
	if *replayDir == "" {
		t.Skip("no -history given")
	}
	h, err := loadHistory(*replayDir)
	must(t, err)
	checkAll(t, h)
}

func clusterOf(t *testing.T) plan { return plan{servers: envInt(t, "FAULTS_SERVERS", 3)} }

const (
	pastSession = loadTimeout + 2*time.Second
	small       = 1 << 20 // bytes of log between snapshots, the least that can be set
)

// TestFaultsKills and those below it have a short form, for go test -short, that strikes with less of the same.
func TestFaultsKills(t *testing.T) {
	runScenario(t, "kills", clusterOf(t), func(r *runner) {
		for range rounds(t) {
			r.killLeader()
			r.killTwice()
			r.killAll()
			if testing.Short() {
				continue
			}
			r.killRandom()
			r.killMajority()
			r.killLeader()
		}
	})
}

// TestFaultsKillsAmidSnapshots has so little log between snapshots that servers come back through them.
func TestFaultsKillsAmidSnapshots(t *testing.T) {
	p := clusterOf(t)
	p.snapshotBytes, p.padding = small, 8<<10
	runScenario(t, "kills-snapshots", p, func(r *runner) {
		for range rounds(t) {
			r.killLeader()
			if !testing.Short() {
				r.pauseFollower(pastSession)
				r.killOne("kill -9 follower", r.follower())
				r.killAll()
				r.pauseLeader(pastSession)
			}
		}
	})
}

func TestFaultsPauses(t *testing.T) {
	runScenario(t, "pauses", clusterOf(t), func(r *runner) {
		for range rounds(t) {
			r.pauseLeader(electionTimeout / 2)
			r.pauseLeader(2 * electionTimeout)
			r.pauseLeader(10 * electionTimeout)
			r.pauseLeader(pastSession)
			if testing.Short() {
				continue
			}
			r.pauseFollower(10 * electionTimeout)
			r.pauseFollower(pastSession)
			r.pauseAll(2 * electionTimeout)
		}
	})
}

func TestFaultsPartitions(t *testing.T) {
	p := clusterOf(t)
	if why := networkPossible(); why != "" || p.servers < 3 {
		t.Skipf("SKIPPED FAULT: partitions: %s", why)
	}
	runScenario(t, "partitions", p, func(r *runner) {
		for range rounds(t) {
			r.partition("leader isolated", r.leader(), true, true, 3*time.Second)
			r.partition("leader hears nobody", r.leader(), true, false, 2*time.Second)
			r.partition("nobody hears leader", r.leader(), false, true, 2*time.Second)
			r.partition("follower hears nobody", r.follower(), true, false, 2*time.Second)
			if testing.Short() {
				continue
			}
			r.partition("nobody hears follower", r.follower(), false, true, 3*time.Second)
			r.partition("follower isolated", r.follower(), true, true, pastSession)
			r.bridge(3 * time.Second)
			r.flap("leader flaps", r.leader(), 3*time.Second)
			r.flap("follower flaps", r.follower(), 3*time.Second)
			r.apart(time.Second)
			r.pauseAndPartition(3 * time.Second)
		}
	})
}

func TestFaultsDisks(t *testing.T) {
	runScenario(t, "disks", clusterOf(t), func(r *runner) {
		for range rounds(t) {
			r.disk("slow disk of leader, 50 ms", r.leader(), "delay_enter=50ms", hangGapMs, 2*time.Second)
			r.disk("hung disk of leader", r.leader(), "delay_enter=10s", hangGapMs, 5*time.Second)
			r.brokenDisk("EIO of leader", r.leader())
			if testing.Short() {
				continue
			}
			r.disk("slow disk of follower, 50 ms", r.follower(), "delay_enter=50ms", hangGapMs, 3*time.Second)
			r.disk("hung disk of follower", r.follower(), "delay_enter=10s", hangGapMs, 4*time.Second)
			r.brokenDisk("EIO of follower", r.follower())
			r.killAmidSlowDisk()
		}
	})
}

const (
	diskMegabytes = 1024
	nearlyFull    = 300 << 20 // below the mark at which a server refuses writes
	quiteFull     = 100 << 20 // below the mark at which it ends
)

func TestFaultsFullDisks(t *testing.T) {
	p := clusterOf(t)
	p.disks = map[uint64]string{}
	disks := map[uint64]*smallDisk{}
	for id := range uint64(p.servers) {
		d, err := openSmallDisk(diskMegabytes)
		if err != nil {
			t.Skipf("SKIPPED FAULT: full disks: %v", err)
		}
		t.Cleanup(func() { must(t, d.close()) })
		disks[id+1], p.disks[id+1] = d, d.dir
	}
	runScenario(t, "full-disks", p, func(r *runner) {
		for range rounds(t) {
			s := r.leader()
			r.fullDisk("nearly full disk of leader", s, disks[s.id], nearlyFull, 4*time.Second)
			s = r.leader()
			r.fullDisk("full disk of leader", s, disks[s.id], quiteFull, 4*time.Second)
			if !testing.Short() {
				s = r.follower()
				r.fullDisk("full disk of follower", s, disks[s.id], quiteFull, 4*time.Second)
			}
		}
	})
}

func TestFaultsRollingRestart(t *testing.T) {
	runScenario(t, "rolling-restart", clusterOf(t), func(r *runner) {
		for range rounds(t) {
			r.rollingRestart()
		}
	})
}
