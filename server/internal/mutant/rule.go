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
	PassWaiting: "write passes a waiting read",
}

func (r Rule) String() string { return names[r] }
