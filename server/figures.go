package server

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// figure is one number of a reading under its name for monitoring.
type figure struct {
	name, help string
	kind       prometheus.ValueType
	value      func(r *reading) float64
}

func count[N ~uint64 | ~int64 | ~int](name, help string, value func(r *reading) N) figure {
	return figure{name + "_total", help, prometheus.CounterValue, func(r *reading) float64 { return float64(value(r)) }}
}

func gauge[N ~uint64 | ~int64 | ~int | ~float64](name, help string, value func(r *reading) N) figure {
	return figure{name, help, prometheus.GaugeValue, func(r *reading) float64 { return float64(value(r)) }}
}

func flag(name, help string, value func(r *reading) bool) figure {
	return gauge(name, help, func(r *reading) int {
		if value(r) {
			return 1
		}
		return 0
	})
}

// age of what began at since, 0 for what did not.
func age(since time.Time) float64 {
	if since.IsZero() {
		return 0
	}
	return time.Since(since).Seconds()
}

// startFigures are told from the first moment on.
var startFigures = []figure{
	flag("starting", "1 while this server opens its data: of its own figures only lycaon_ready is told beside that.", func(r *reading) bool { return r.starting }),
	flag("ready", "1 while this server may be sent clients.", func(r *reading) bool { return r.ready }),
}

var treeFigures = []figure{
	gauge("zxid", "Newest transaction applied here.", func(r *reading) uint64 { return r.core.Zxid }),
	gauge("znodes", "Nodes of the tree.", func(r *reading) float64 { return r.nodes }),
	gauge("data_bytes", "Bytes of all nodes' data.", func(r *reading) float64 { return r.dataBytes }),
	gauge("quotas", "Subtrees with limits under /zookeeper/quota.", func(r *reading) int { return r.quotas }),
	gauge("quotas_exceeded", "Subtrees that exceed a limit of theirs.", func(r *reading) int { return r.quotasExceeded }),
	gauge("sessions", "Sessions of the cluster.", func(r *reading) int { return r.core.Sessions }),
	gauge("tracked_sessions", "Sessions whose deadline this server keeps, as the leader.", func(r *reading) int { return r.node.TrackedSessions }),
	count("sessions_expired", "Sessions this server ended since they were silent.", func(r *reading) uint64 { return r.node.Expired }),
	count("nodes_reaped", "Containers and TTL nodes this server proposed to delete.", func(r *reading) uint64 { return r.node.Reaped }),
	count("stalls", "Times this server stood still and gave sessions the time back.", func(r *reading) uint64 { return r.node.Stalls }),
}

var pipelineFigures = []figure{
	gauge("lanes", "Connections with a session.", func(r *reading) int { return r.core.Lanes }),
	gauge("guests", "Connections without a session.", func(r *reading) int { return r.core.Guests }),
	gauge("requests_in_lanes", "Requests not yet completed.", func(r *reading) int64 { return r.core.Requests }),
	gauge("requests_parked", "Reads that wait behind a write or for the log.", func(r *reading) int64 { return r.core.Parked }),
	gauge("lane_bytes", "Bytes of requests not yet completed.", func(r *reading) int64 { return r.core.LaneBytes }),
	gauge("lane_bytes_max", "Bound of lycaon_lane_bytes.", func(r *reading) int64 { return r.core.MaxLaneBytes }),
	gauge("arrivals", "Opens and attaches under way.", func(r *reading) int { return r.core.Arrivals }),
	gauge("watches", "Watches held here.", func(r *reading) int { return r.core.Watches }),
	gauge("ring_effects", "Recent changes kept for watches that resume.", func(r *reading) int { return r.core.RingEffects }),
	gauge("ring_bytes", "Bytes of the recent changes kept for watches that resume.", func(r *reading) int { return r.core.RingBytes }),
	gauge("ring_floor_zxid", "Watches that resume from here on miss nothing.", func(r *reading) uint64 { return r.core.RingFloor }),
	gauge("outcome_bytes", "Memory of the answers of writes that sessions have not acknowledged, the same on every server.", func(r *reading) int64 { return r.core.Kept }),
	gauge("outcome_bytes_session_max", "Bound of one session's part of lycaon_outcome_bytes, which is lower the more all have.", func(r *reading) int { return r.core.KeepLimit }),
	count("outcomes_refused", "Writes refused since the session kept as many unacknowledged answers as any may while all together keep many.", func(r *reading) uint64 { return r.core.KeepsRefused }),
	count("transactions", "Transactions applied, of any kind.", func(r *reading) uint64 { return r.core.Txns }),
	count("noops", "No-ops sent for linearizable reads and sync.", func(r *reading) uint64 { return r.core.Noops }),
	flag("noop_under_way", "1 while linearizable reads or a sync wait for a no-op.", func(r *reading) bool { return r.core.NoopInFlight }),
	count("writes_resent", "Writes given to the log again.", func(r *reading) uint64 { return r.core.Resent }),
	count("writes_resent_bytes", "Bytes of writes given to the log again.", func(r *reading) uint64 { return r.core.ResentBytes }),
	count("writes_duplicate", "Copies of writes in the log that were skipped.", func(r *reading) uint64 { return r.core.Duplicates }),
	count("writes_gap", "Writes in the log that came before an earlier one and were skipped.", func(r *reading) uint64 { return r.core.Gaps }),
	count("writes_fenced", "Writes in the log of a connection that its session had left.", func(r *reading) uint64 { return r.core.Fenced }),
	count("writes_repeated", "Writes answered by the outcome kept.", func(r *reading) uint64 { return r.core.Repeated }),
	count("lanes_fenced", "Connections closed since their session moved on.", func(r *reading) uint64 { return r.core.FencedLanes }),
	count("connections_cut_off", "Connections closed since the leader was out of reach.", func(r *reading) uint64 { return r.core.CutOff }),
	count("lanes_broken", "Connections closed since two used one generation.", func(r *reading) uint64 { return r.core.Broken }),
	count("lane_full", "Times a reader waited at the bound of its lane.", func(r *reading) uint64 { return r.core.LaneFull }),
	count("server_full", "Times a reader waited at the bound of all lanes.", func(r *reading) uint64 { return r.core.ServerFull }),
	count("quota_refusals", "Writes refused by a quota, or since there were as many quotas as there may be, of clients of this server.", func(r *reading) uint64 { return r.core.QuotaRefused }),
	count("watches_refused", "Watches refused at a bound.", func(r *reading) uint64 { return r.core.WatchesRefused }),
	count("sessions_refused", "Sessions refused at their bound.", func(r *reading) uint64 { return r.core.SessionsRefused }),
	count("arrivals_refused", "Opens, attaches and guests for which there was no room.", func(r *reading) uint64 { return r.core.ArrivalsRefused }),
	count("writes_refused", "Writes refused while the disk is short of space.", func(r *reading) uint64 { return r.core.WritesRefused }),
	count("identities_refused", "Identities beyond the bound of a connection.", func(r *reading) uint64 { return r.core.IdentitiesRefused }),
}

var frontFigures = []figure{
	gauge("connections", "Client connections.", func(r *reading) int { return r.front.Connections }),
	gauge("outbox_bytes", "Bytes that wait for slow clients.", func(r *reading) int64 { return r.front.OutboxBytes }),
	gauge("outbox_bytes_max", "Bound of one connection's outbox.", func(r *reading) int64 { return r.front.MaxOutboxBytes }),
	count("connections_accepted", "Client connections accepted.", func(r *reading) uint64 { return r.front.Accepted }),
	count("connections_refused", "Client connections beyond a bound.", func(r *reading) uint64 { return r.front.ConnectionsRefused }),
	count("accept_errors", "Failures to accept a client connection.", func(r *reading) uint64 { return r.front.AcceptErrors }),
	count("handshakes_failed", "Connections without a hello that was taken.", func(r *reading) uint64 { return r.front.HandshakesFailed }),
	count("connections_foreign", "Client connections that spoke another protocol.", func(r *reading) uint64 { return r.front.Foreign }),
	count("auth_failures", "Credentials refused.", func(r *reading) uint64 { return r.front.AuthFailures }),
	count("slow_consumers", "Connections closed at the bound of their outbox, or of all outboxes.", func(r *reading) uint64 { return r.front.SlowConsumers }),
	count("idle_connections", "Connections closed for their silence.", func(r *reading) uint64 { return r.front.Idle }),
	count("requests_not_ready", "Sessions and reads refused while this server was not ready.", func(r *reading) uint64 { return r.front.NotServing }),
	count("connection_panics", "Panics contained in one connection.", func(r *reading) uint64 { return r.front.Panics }),
	count("requests", "Requests read.", func(r *reading) uint64 { return r.front.Requests }),
	count("requests_bad", "Requests that did not decode or validate.", func(r *reading) uint64 { return r.front.BadRequests }),
	count("requests_too_large", "Frames from clients beyond the limit.", func(r *reading) uint64 { return r.front.TooLarge }),
	count("backups", "Images sent to clients.", func(r *reading) uint64 { return r.backups }),
	count("received_bytes", "Bytes read from clients.", func(r *reading) uint64 { return r.front.BytesIn }),
	count("sent_bytes", "Bytes written to clients.", func(r *reading) uint64 { return r.front.BytesOut }),
	count("messages_sent", "Replies and events written.", func(r *reading) uint64 { return r.front.MessagesOut }),
	count("socket_writes", "System calls that wrote replies and events.", func(r *reading) uint64 { return r.front.Writes }),
	gauge("http_connections", "Connections to the pages for operators.", func(r *reading) int64 { return r.web.Connections }),
	gauge("http_connections_max", "Bound of lycaon_http_connections.", func(r *reading) int64 { return r.web.MaxConnections }),
	count("http_connections_refused", "Connections to the pages for operators beyond their bound.", func(r *reading) uint64 { return r.web.ConnectionsRefused }),
	count("http_requests", "Requests for the pages for operators.", func(r *reading) uint64 { return r.web.Requests }),
	count("http_scrapes", "Requests for the metrics.", func(r *reading) uint64 { return r.web.Scrapes }),
	count("http_profiles", "Requests for a profile.", func(r *reading) uint64 { return r.web.Profiles }),
	count("http_refused", "Requests for the pages for operators refused: by a foreign name, a method that changes, or for another site.",
		func(r *reading) uint64 { return r.web.ForeignHosts + r.web.MethodsRefused + r.web.CrossSite }),
}

var peerFigures = []figure{
	gauge("peer_handshakes", "Connections of other servers that have not yet shown who they are.", func(r *reading) int { return r.peers.Handshakes }),
	count("peer_connections_refused", "Connections to the peer port that were refused.", func(r *reading) uint64 { return sum(r.peers.Refused) }),
	count("peer_calls", "Questions of other servers answered.", func(r *reading) uint64 { return r.peers.Calls }),
	count("peer_panics", "Panics contained in what another server had sent.", func(r *reading) uint64 { return r.peers.Panics }),
	gauge("peer_certificate_seconds", "Time until the certificate for the other servers ends, 0 without one.", func(r *reading) float64 { return left(r.peers.CertificateExpires) }),
	count("peer_certificate_reloads_failed", "Changes of the certificate files for the other servers that could not be used.", func(r *reading) uint64 { return r.peers.ReloadsFailed }),
}

func sum(counts map[string]uint64) (n uint64) {
	for _, c := range counts {
		n += c
	}
	return n
}

// left is how long it is until then, 0 for never.
func left(then time.Time) float64 {
	if then.IsZero() {
		return 0
	}
	return time.Until(then).Seconds()
}

var raftFigures = []figure{
	flag("leading", "1 while this server leads.", func(r *reading) bool { return r.node.Leading }),
	count("leaderships", "Times this server became leader.", func(r *reading) uint64 { return r.node.Leaderships }),
	gauge("raft_term", "Current term.", func(r *reading) uint64 { return r.node.Term }),
	gauge("raft_last_index", "Newest entry of the log.", func(r *reading) uint64 { return r.node.LastIndex }),
	gauge("raft_commit_index", "Newest entry that a quorum has.", func(r *reading) uint64 { return r.node.CommitIndex }),
	gauge("raft_applied_index", "Newest entry of transactions that the machine has applied.", func(r *reading) uint64 { return r.node.Applied }),
	gauge("raft_lag_entries", "Entries committed, as far as this server knows, and not applied here.", func(r *reading) uint64 { return r.node.Lag }),
	count("leader_changes", "Times another server began to lead.", func(r *reading) uint64 { return r.node.LeaderChanges }),
	gauge("followers_unreachable", "Members that have not answered this server for a second, while this server leads.", func(r *reading) int { return r.node.Unreachable }),
	gauge("followers_behind_entries", "Entries that the member farthest behind is missing, while this server leads.", func(r *reading) uint64 { return most(r.node.Followers) }),
	count("snapshots_sent", "Snapshots sent to members that were too far behind.", func(r *reading) uint64 { return r.node.SnapshotsSent }),
	count("early_answers", "Messages to members that need not be sent: the member had been sent the same entries while the leader wrote.", func(r *reading) uint64 { return r.node.EarlyAnswers }),
	gauge("log_write_under_way_seconds", "Age of the oldest write to the log under way, 0 without one.", func(r *reading) float64 { return r.node.LogWrite.Seconds() }),
	count("messages_withheld", "Messages to followers held back since a write to the log hung: another server is to lead.", func(r *reading) uint64 { return r.node.Withheld }),
	count("raft_rebuilds", "Times raft and the machine started anew without a restart.", func(r *reading) uint64 { return r.node.Rebuilds }),
	count("early_elections", "Elections begun since the connections of the leader broke.", func(r *reading) uint64 { return r.node.EarlyStands }),
	count("member_changes", "Changes of the membership that this server made as the leader.", func(r *reading) uint64 { return r.node.MemberChanges }),
	count("leader_transfers_failed", "Leadership that was not handed over in time.", func(r *reading) uint64 { return r.node.TransfersFailed }),
	gauge("raft_trailing_logs", "Entries kept behind a snapshot.", func(r *reading) uint64 { return r.node.TrailingLogs }),
	count("entries_applied", "Log entries applied.", func(r *reading) uint64 { return r.node.Entries }),
	count("entry_bytes_applied", "Bytes of the log entries applied.", func(r *reading) uint64 { return r.node.EntryBytes }),
	count("resends", "Times the lanes were asked to send again.", func(r *reading) uint64 { return r.node.Resends }),
	count("snapshots", "Snapshots taken.", func(r *reading) uint64 { return r.node.Snapshots }),
	count("snapshot_errors", "Snapshots that failed.", func(r *reading) uint64 { return r.node.SnapshotErrors }),
	count("images_installed", "Images put in place of the machine.", func(r *reading) uint64 { return r.node.Restores }),
	flag("snapshot_running", "1 while a snapshot is written.", func(r *reading) bool { return r.node.Snapshotting }),
	gauge("snapshot_seconds", "Duration of the last snapshot of this run.", func(r *reading) float64 { return r.node.SnapshotTook.Seconds() }),
	gauge("log_bytes_since_snapshot", "What the next snapshot makes superfluous, overhead included.", func(r *reading) int64 { return r.node.LogBytesSinceSnapshot }),
}

var streamFigures = []figure{
	gauge("leader_contact_seconds", "Age of the newest sign of life that the leader has acknowledged to this server, about 0 at the leader.", func(r *reading) float64 { return r.node.Streams.Contact.Seconds() }),
	flag("forward_open", "1 while this server has a stream for writes to the leader.", func(r *reading) bool { return r.node.Streams.Outbox.Open }),
	gauge("forward_queue_bytes", "Bytes of writes that wait to be sent to the leader.", func(r *reading) int { return r.node.Streams.Outbox.QueuedBytes }),
	gauge("forward_queue_bytes_max", "Bound of lycaon_forward_queue_bytes.", func(r *reading) int { return r.node.Streams.Outbox.MaxQueuedBytes }),
	count("forward_streams", "Streams for writes opened to a leader.", func(r *reading) uint64 { return r.node.Streams.Outbox.Streams }),
	count("forward_transactions", "Transactions sent to the leader.", func(r *reading) uint64 { return r.node.Streams.Outbox.Txns }),
	count("forward_bytes", "Bytes of transactions sent to the leader.", func(r *reading) uint64 { return r.node.Streams.Outbox.Bytes }),
	count("forward_frames", "Frames of transactions sent to the leader.", func(r *reading) uint64 { return r.node.Streams.Outbox.Frames }),
	count("forward_unled", "Transactions dropped while there was no stream to a leader; they come again.", func(r *reading) uint64 { return r.node.Streams.Outbox.Unled }),
	count("forward_overflowed", "Transactions dropped at the bound of the queue to the leader; they come again.", func(r *reading) uint64 { return r.node.Streams.Outbox.Overflowed }),
	count("forward_doubts", "Times the leader asked this server to send everything again.", func(r *reading) uint64 { return r.node.Streams.Outbox.Doubts }),
	gauge("followers_forwarding", "Followers with a stream for writes to this server, while this server leads.", func(r *reading) int { return r.node.Streams.Followers }),
	count("follower_streams", "Streams for writes or signs of life that followers have opened here.", func(r *reading) uint64 { return r.node.Streams.Accepted }),
	count("follower_streams_garbled", "Streams of followers closed for what came over the stream.", func(r *reading) uint64 { return r.node.Streams.Garbled }),
	count("follower_doubts", "Times a follower was asked to send everything again.", func(r *reading) uint64 { return r.node.Streams.Doubts }),
	count("commit_notices", "Notices of a commit sent to followers.", func(r *reading) uint64 { return r.node.Streams.Notices }),
}

var guardFigures = []figure{
	count("scrubs", "Times the digest of the whole state was computed anew.", func(r *reading) uint64 { return r.node.Guard.Scrubs }),
	gauge("scrub_seconds", "Work of the last computation of the whole digest.", func(r *reading) float64 { return r.node.Guard.ScrubTook.Seconds() }),
	count("state_damaged", "Times the state in the memory of this server was found wrong.", func(r *reading) uint64 { return r.node.Guard.Damages }),
	count("replica_differences", "Times this server found, as the leader, that servers differ.", func(r *reading) uint64 { return r.node.Guard.Differences }),
	count("state_rebuilds", "Times the state was built anew from a snapshot and the log.", func(r *reading) uint64 { return r.node.Guard.Rebuilt }),
	gauge("state_rebuild_seconds", "Duration of the last building of the state, without the catching up.", func(r *reading) float64 { return r.node.Guard.RebuildTook.Seconds() }),
	flag("state_condemned", "1 while the state of this server is known to be wrong, and clients are not served.", func(r *reading) bool { return r.node.Guard.Condemned != nil }),
	flag("writes_halted", "1 while writes are halted since servers differ and no majority agrees.", func(r *reading) bool { return r.node.Guard.Halted }),
	count("images_fetched", "Snapshots taken from another server, since no own one would do.", func(r *reading) uint64 { return r.node.Guard.Fetched }),
	count("images_given", "Snapshots given to another server that had none.", func(r *reading) uint64 { return r.node.Guard.Given }),
}

// most is the largest of the values.
func most(values map[uint64]uint64) (m uint64) {
	for _, v := range values {
		m = max(m, v)
	}
	return m
}

var proposerFigures = []figure{
	flag("proposing", "1 while writes have a way to the log.", func(r *reading) bool { return r.node.Proposer.Proposing }),
	gauge("proposer_queue_bytes", "Bytes that wait for a place among the batches under way.", func(r *reading) int { return r.node.Proposer.QueuedBytes }),
	gauge("proposer_queue_bytes_max", "Bound of lycaon_proposer_queue_bytes.", func(r *reading) int { return r.node.Proposer.MaxQueuedBytes }),
	gauge("batches_under_way", "Batches given to raft and not yet applied.", func(r *reading) int { return r.node.Proposer.InFlight }),
	gauge("batch_oldest_seconds", "Age of the oldest batch under way, 0 without one.", func(r *reading) float64 { return r.node.Proposer.OldestFlight.Seconds() }),
	gauge("sequencer_sessions", "Sessions whose proposed writes are remembered.", func(r *reading) int { return r.node.Proposer.SequencerSize }),
	count("batches", "Batches given to raft.", func(r *reading) uint64 { return r.node.Proposer.Batches }),
	count("batch_bytes", "Bytes of batches given to raft.", func(r *reading) uint64 { return r.node.Proposer.Bytes }),
	count("proposer_doubled", "Copies of writes kept out of the log.", func(r *reading) uint64 { return r.node.Proposer.Doubled }),
	count("proposer_early", "Writes kept out of the log since an earlier one was missing.", func(r *reading) uint64 { return r.node.Proposer.Early }),
	count("proposer_outdated", "Writes kept out of the log since their session had moved on.", func(r *reading) uint64 { return r.node.Proposer.Outdated }),
	count("proposer_unled", "Transactions dropped while this server did not propose; they come again.", func(r *reading) uint64 { return r.node.Proposer.Unled }),
	count("proposer_overflowed", "Transactions dropped at the bound of the queue; they come again.", func(r *reading) uint64 { return r.node.Proposer.Overflowed }),
	count("proposer_forwarded", "Transactions that came from followers.", func(r *reading) uint64 { return r.node.Proposer.Forwarded }),
	count("proposer_late", "Transactions of followers' streams that had ended; they come again.", func(r *reading) uint64 { return r.node.Proposer.Late }),
	count("proposer_halted", "Writes put off while writes were halted; they come again.", func(r *reading) uint64 { return r.node.Proposer.Halted }),
	count("batches_refused", "Batches that raft did not take.", func(r *reading) uint64 { return r.node.Proposer.Refused }),
	count("batches_unknown", "Batches whose outcome raft could not tell.", func(r *reading) uint64 { return r.node.Proposer.Unknown }),
	count("batches_abandoned", "Batches given up at their deadline.", func(r *reading) uint64 { return r.node.Proposer.Abandoned }),
	count("batches_overdue", "Looks that found a batch past its deadline.", func(r *reading) uint64 { return r.node.Overdue }),
}

var storeFigures = []figure{
	gauge("store_first_index", "Oldest entry of the log.", func(r *reading) uint64 { return r.store.FirstIndex }),
	gauge("store_compacted_index", "Newest entry that was removed behind a snapshot.", func(r *reading) uint64 { return r.store.CompactedTo }),
	gauge("store_log_bytes", "Bytes of the log.", func(r *reading) uint64 { return r.store.LogBytes }),
	count("store_entries", "Entries appended.", func(r *reading) uint64 { return r.store.Entries }),
	count("store_syncs", "Durable writes.", func(r *reading) uint64 { return r.store.Syncs }),
	gauge("store_generations", "Generations of the log, each a directory of its own.", func(r *reading) int { return r.store.Generations }),
	gauge("store_unsettled_generations", "Generations of the log that are sealed and in memory.", func(r *reading) int { return r.store.Unsettled }),
	count("store_settle_waits", "Writes that waited for a generation to be written as a table.", func(r *reading) uint64 { return r.store.SettleWaits }),
	count("store_guard_writes", "Writes of the tail guard.", func(r *reading) uint64 { return r.store.GuardWrites }),
	count("store_guard_syncs", "Syncs of the tail guard.", func(r *reading) uint64 { return r.store.GuardSyncs }),
	gauge("store_write_under_way_seconds", "Age of the write that waits for the disk, 0 without one.", func(r *reading) float64 { return age(r.store.WriteInFlightSince) }),
	flag("store_failed", "1 after a write of the store has failed: this server stops.", func(r *reading) bool { return r.store.Failed != nil }),
	gauge("snapshot_file_bytes", "Size of the newest snapshot.", func(r *reading) int64 { return r.snaps.LastBytes }),
	gauge("snapshot_file_index", "Entry at which the newest snapshot ends.", func(r *reading) uint64 { return r.snaps.LastIndex }),
	gauge("snapshot_file_seconds", "From begin to visible, of the newest snapshot of this run.", func(r *reading) float64 { return r.snaps.LastDuration.Seconds() }),
	gauge("snapshot_files_open", "Snapshot files being written.", func(r *reading) int64 { return r.snaps.InProgress }),
	count("snapshot_files", "Snapshot files that became visible.", func(r *reading) uint64 { return r.snaps.Taken }),
	count("snapshot_files_failed", "Snapshot files that were not finished.", func(r *reading) uint64 { return r.snaps.Failed }),
	count("snapshot_files_removed", "Old or unfinished snapshot files that were removed.", func(r *reading) uint64 { return r.snaps.Removed }),
	gauge("disk_free_bytes", "Free space beside the data.", func(r *reading) uint64 { return r.disk.FreeBytes }),
	gauge("disk_soft_bytes", "Free space below which this server does not lead; writes are refused when no majority has more.", func(r *reading) uint64 { return r.disk.SoftBytes }),
	gauge("disk_hard_bytes", "Free space below which the server stops.", func(r *reading) uint64 { return r.disk.HardBytes }),
	count("disk_level_changes", "Changes of the level of free space.", func(r *reading) uint64 { return r.disk.Changes }),
	flag("disk_ballast", "1 while there is a file that can be given up when the disk is full.", func(r *reading) bool { return r.disk.Ballast }),
	flag("disk_check_failed", "1 when the last look at free space failed.", func(r *reading) bool { return r.disk.Err != nil }),
}
