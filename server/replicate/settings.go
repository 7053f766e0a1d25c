package replicate

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"strconv"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/raft"

	"github.com/lycaon-io/lycaon/server/internal/logadapter"
)

// ErrSettings says that raft would not run as its safety here wants.
var ErrSettings = errors.New("replicate: raft settings")

const (
	heartbeatTimeout = 300 * time.Millisecond
	electionTimeout  = 300 * time.Millisecond
	leaderLease      = 250 * time.Millisecond // of liveness alone: no read goes by it
	commitTimeout    = 50 * time.Millisecond
	maxAppendEntries = 64
	// never is for raft's own snapshot timer: ours go by bytes.
	never = 10 * 365 * 24 * time.Hour
)

// normal is what raft warns of without need: of its elections, and several
// times a second of each server that does not answer. Who leads, and that a
// server went out of reach, is said once, by us.
var normal = []string{
	"heartbeat timeout reached, starting election", "Election timeout reached, restarting election",
	"rejecting pre-vote request since we have a leader", "rejecting vote request since we have a leader",
	"failed to get previous log", "appendEntries rejected, sending older logs", // a follower comes back
	"failed to heartbeat to", "failed to appendEntries to", "failed to contact",
	"failed to make requestVote RPC", "failed to install snapshot", "failed to send snapshot to",
	"failed to decode incoming command", "failed to flush response", "failed to accept connection", // connections end
}

func raftLogger(logger *slog.Logger) hclog.Logger { return logadapter.New(logger, "raft", normal...) }

// raftConfig is how raft runs here; see DESIGN.md for the reasons.
func raftConfig(id uint64, logger *slog.Logger) *raft.Config {
	c := raft.DefaultConfig()
	c.LocalID = raft.ServerID(strconv.FormatUint(id, 10))
	c.HeartbeatTimeout = heartbeatTimeout
	c.ElectionTimeout = electionTimeout
	c.LeaderLeaseTimeout = leaderLease
	c.CommitTimeout = commitTimeout
	c.MaxAppendEntries = maxAppendEntries
	c.BatchApplyCh = true
	c.ShutdownOnRemove = false
	c.TrailingLogs = maxTrailingLogs
	c.SnapshotInterval = never
	c.SnapshotThreshold = math.MaxUint64
	c.PreVoteDisabled = false
	c.NoLegacyTelemetry = true
	c.RestoreCommittedLogs = false
	c.Logger = raftLogger(logger)
	return c
}

// assertSettings refuses settings that are known to lose data, availability
// or bounds, whoever changed them: our own code or a newer raft's defaults.
func assertSettings(c *raft.Config, logs raft.LogStore, trans raft.Transport) error {
	monotonic, ok := logs.(raft.MonotonicLogStore)
	_, preVote := trans.(raft.WithPreVote)
	_, pipelined := trans.AppendEntriesPipeline("", "")
	for _, rule := range []struct {
		kept bool
		name string
	}{
		{!c.RestoreCommittedLogs, "RestoreCommittedLogs must be off: it can hang a start and lose the configuration"},
		{!c.PreVoteDisabled && preVote, "pre-vote must be on: a healed server must not depose the leader"},
		{errors.Is(pipelined, raft.ErrPipelineReplicationNotSupported), "one append in flight: a pipeline can leave a follower without entries for ever"},
		{c.NoLegacyTelemetry, "NoLegacyTelemetry must be on: one metric a peer otherwise"},
		{c.BatchApplyCh, "BatchApplyCh must be on: proposing must not wait for raft's main loop"},
		{c.MaxAppendEntries > maxAbandoned*maxBatchesInFlight, "MaxAppendEntries must exceed what can be under way: proposing must not block"},
		{!c.NoSnapshotRestoreOnStart, "NoSnapshotRestoreOnStart must be off: the machine starts empty"},
		{c.LeaderLeaseTimeout < c.HeartbeatTimeout, "LeaderLeaseTimeout must be below the heartbeat timeout: a cut-off leader goes before the next one comes"},
		{c.TrailingLogs >= minTrailingLogs, "TrailingLogs must exceed four times what can be uncommitted"},
		{c.SnapshotThreshold == math.MaxUint64, "SnapshotThreshold must be off: snapshots go by bytes"},
		{ok && monotonic.IsMonotonic(), "the log store must be monotonic: a snapshot past a tail must empty it"},
	} {
		if !rule.kept {
			return fmt.Errorf("%w: %s", ErrSettings, rule.name)
		}
	}
	return nil
}
