package mutant

// Rule is something the product must do and a mutant does not.
type Rule uint8

const (
	None Rule = iota

	// The five rules of docs/ARCHITECTURE.md.
	NoAdmission       // state: a write is taken whatever its sequence
	NoResend          // pipeline: on doubt nothing is sent again
	NoPark            // pipeline: a read overtakes the writes before it
	ReplyBeforeEvents // pipeline: a transaction's answer goes out before its events
	AttachAtOnce      // pipeline: an attach is answered before the log has it
	NoFence           // pipeline: an attach leaves the session's former lane alone
	LocalInput        // pipeline: apply looks at something of this server's own

	// Exactly once.
	NoReplay      // state: a resent write runs again though its outcome is kept
	NoAborted     // state: a resent write runs again though it ran, its outcome gone
	NoPruning     // state: acknowledgements are not heeded
	EagerPruning  // state: an outcome goes before it is acknowledged
	NoAttempt     // state: a delayed attach counts like a new one
	NoGenerations // state: writes of a former connection still run

	// Watches, reads and the rest.
	ResumeFromNow  // pipeline: resumed watches start at the present
	ResumeTwice    // pipeline: resumed watches are told once more what was told
	KeepRingFloor  // pipeline: after an image the ring claims what it has not seen
	KeepOldLanes   // pipeline: an image leaves lanes and watches as they were
	NoProposerSkip // replicate: what was proposed in this term is proposed again
	SharedNoop     // pipeline: a read joins the no-op that is already under way
	PassWaiting    // pipeline: a write overtakes a read that waits for the log
	NoBarrier      // pipeline: a linearizable read does not ask the log
	AnswerAtOnce   // pipeline: a write is acknowledged before the log has it
	DropEvents     // pipeline: one event of a thousand is lost
	SwapEvents     // pipeline: the events of a transaction go out in reverse
	KeepEphemeral  // state: the end of a session leaves one of its ephemerals
	ClosedWrites   // state: a write of a session that has ended runs
	HalfMulti      // state: what a multi did before it failed stays
	ReuseNumbers   // state: a sequence number is that of the children there are
	NoStreamResend // replicate: a new stream to the leader begins with what comes next
	DeafToDoubt    // replicate: a follower does not heed that the leader has lost something
	SilentOverflow // replicate: what a full outbox drops is not asked for again
	endOfSim       // server/sim catches all above, other suites all below

	// Access, and reads.
	NoChildrenACL // state: children are listed without READ
	NoStatACL     // state: exists answers without READ
	NoCheckACL    // state: a multi's check runs without READ
	StaleListing  // state: a kept listing answers whatever has changed since
	NoEventACL    // watch: an event is told without READ

	// Images, and memory.
	AnyOwner // state: an image's ephemerals may be of sessions that it does not hold
	Greedy   // state: an image is read ahead as far as it goes
	GoneStay // front: what ended connections were behind counts on

	// Disk.
	NoSync           // raftlog: a commit is not synced
	DamageIsNotFound // raftlog: a damaged entry counts as compacted
	NoTailGuard      // raftlog: a store behind its guard opens
	AnyFile          // raftlog: a sealed generation is read from its file whatever else holds some of it
	LostIsPassed     // raftlog: a generation that cannot be opened again counts as one without the entry

	// The cluster.
	ServeEarly    // replicate: sessions are served before this server has caught up
	Pipelining    // replicate: entries are sent ahead of their answers
	Unbounded     // replicate: any number of batches is under way
	VerifiedReads // pipeline: a linearizable read asks raft whether this server leads, instead of the log
	NoTrial       // replicate: the leader does not compare the others' marks
	NoScrub       // replicate: nobody recomputes the digest
	StrayTerm     // replicate: raft hears of a term beside its own goroutine
	FallingTerm   // replicate: a heartbeat is answered while raft stores another term
	AnyCommit     // replicate: a commit is taken for one of whatever stands in the follower's log
	BareOutage    // replicate: a new leader adds nothing for what the one before may still vouch for
	EarlyCommit   // replicate: what is sent early is said to be committed
	EarlyAny      // replicate: the answer to an early message answers any other
	EarlyRefused  // replicate: a refusal of an early message counts
	EarlyStale    // replicate: an early answer counts however old it is
	EarlyKept     // replicate: an early answer counts over a snapshot
	HastyWord     // replicate: a word of a commit does not wait for its entry

	numRules
)

var names = [numRules]string{
	None: "none", NoAdmission: "no admission by sequence", NoResend: "no resend", NoPark: "no park",
	ReplyBeforeEvents: "reply before events", AttachAtOnce: "attach beside the log", NoFence: "no fence of the former lane",
	LocalInput: "local input to apply",
	NoReplay:   "no outcome replay", NoAborted: "xid <= highest runs again", NoPruning: "no ack pruning", EagerPruning: "pruning before the ack",
	NoAttempt: "no attempt nonce", NoGenerations: "no generation fence",
	ResumeFromNow: "resume from now", ResumeTwice: "resume one too early", KeepRingFloor: "ring floor kept over an image",
	KeepOldLanes: "lanes kept over an image", NoProposerSkip: "no proposer dedup", SharedNoop: "late read joins the no-op",
	PassWaiting: "write passes a waiting read", NoBarrier: "linearizable reads are local", AnswerAtOnce: "answer before commit",
	DropEvents: "1 of 1,000 events dropped", SwapEvents: "events of a transaction reversed", KeepEphemeral: "one ephemeral kept on close",
	ClosedWrites: "writes of a closed session run", HalfMulti: "half a multi stays", ReuseNumbers: "sequence numbers reused",
	endOfSim: "-", NoChildrenACL: "no ACL on children", NoStatACL: "no ACL on exists", NoCheckACL: "no ACL on a multi's check", StaleListing: "stale listings", NoEventACL: "no ACL on events",
	AnyOwner: "ephemerals of nobody", Greedy: "unbounded reading ahead", GoneStay: "the gone stay in the crowd",
	NoSync: "no sync", DamageIsNotFound: "damage reported as not found", NoTailGuard: "no tail guard",
	AnyFile: "any sealed file counts as whole", LostIsPassed: "a lost generation is passed over",
	ServeEarly: "serve before catch-up", Pipelining: "pipelined appends", Unbounded: "unbounded proposals", VerifiedReads: "reads by VerifyLeader",
	NoTrial: "marks are not compared", NoScrub: "no scrub",
	StrayTerm: "terms beside raft's own goroutine", FallingTerm: "terms fall", AnyCommit: "commits of any entry", BareOutage: "nothing for the leader before",
	EarlyCommit: "early entries are committed", EarlyAny: "early answers to any message", EarlyRefused: "early refusals count",
	EarlyStale: "early answers of any age", EarlyKept: "early answers over a snapshot", HastyWord: "words of commits before their entries",
	NoStreamResend: "no resend over a new stream", DeafToDoubt: "deaf to the leader's doubt", SilentOverflow: "silent overflow of the outbox",
}

func (r Rule) String() string { return names[r] }
