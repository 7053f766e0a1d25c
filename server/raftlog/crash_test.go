package raftlog

import (
	"bufio"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/hashicorp/raft"
	"github.com/stretchr/testify/require"
)

// The crash test runs this test binary again as a child that writes until it is killed with -9 at a random moment. The
// child announces each operation before it begins and acknowledges it after; the parent knows so the one or two states
// that the store may be in, and reopens it to see.
const (
	crashDirEnv    = "LYCAON_CRASH_DIR"
	crashSeedEnv   = "LYCAON_CRASH_SEED"
	crashRoundsEnv = "LYCAON_CRASH_ROUNDS"

	crashModeEnv = "LYCAON_CRASH_MODE"

	crashRounds         = 100
	snapshotCrashRounds = 20
	// crashMaxLife counts from the moment the child is ready, and in one round of five from its start, which falls into
	// its recovery.
	crashMaxLife = 60 * time.Millisecond
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDirEnv); dir != "" {
		crashChildren[os.Getenv(crashModeEnv)](dir)
	}
	os.Exit(m.Run())
}

// A child never returns.
var crashChildren = map[string]func(dir string){
	"":         crashChild,
	"snapshot": snapshotChild,
	"eio":      eioChild,
	"full":     fullChild,
}

func crashCommand(dir, mode string, seed uint64, wrapper ...string) *exec.Cmd {
	args := append(wrapper, os.Args[0])
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Env = append(os.Environ(), crashDirEnv+"="+dir, crashModeEnv+"="+mode, crashSeedEnv+"="+strconv.FormatUint(seed, 10))
	return cmd
}

func crashRoundsOf(short int) int {
	if n, err := strconv.Atoi(os.Getenv(crashRoundsEnv)); err == nil {
		return n
	}
	return short
}

// logState is what the child and the parent agree on. Entry i has the term it was written in, kept in terms.
type logState struct {
	First, Last, Term, Vote uint64
	terms                   map[uint64]uint64
}

// crashOp is one line of the child: "begin" or "end", then kind and two numbers.
type crashOp struct {
	kind string
	a, b uint64
}

func (o crashOp) apply(s *logState) {
	switch o.kind {
	case "append":
		if s.Last == 0 {
			s.First = o.a
		}
		for i := o.a; i <= o.b; i++ {
			s.terms[i] = s.Term
		}
		s.Last = o.b
	case "prefix":
		s.First = o.b + 1
	case "suffix":
		s.Last = o.a - 1
	case "term":
		s.Term = o.a
	case "vote":
		s.Vote = o.a
	}
}

func (o crashOp) run(st *Store, term uint64) error {
	switch o.kind {
	case "append":
		return st.StoreLogs(crashLogs(o.a, o.b, term))
	case "prefix", "suffix":
		return st.DeleteRange(o.a, o.b)
	case "vote":
		return st.SetUint64([]byte("LastVoteCand"), o.a)
	}
	return st.SetUint64([]byte(keyCurrentTerm), o.a)
}

// crashLogs have sizes that reach over chunks and transactions now and then.
func crashLogs(from, to, term uint64) []*raft.Log {
	var logs []*raft.Log
	for i := from; i <= to; i++ {
		size := int(i * 37 % 900)
		if i%1009 == 0 {
			size = 800 << 10
		}
		logs = append(logs, testLog(i, term, size))
	}
	return logs
}

// crashOptions make generations so small that many begin and end.
func crashOptions(dir string) Options { return Options{Dir: dir, memTableBytes: 1 << 20} }

func crashChild(dir string) {
	seed, _ := strconv.ParseUint(os.Getenv(crashSeedEnv), 10, 64)
	st, err := Open(crashOptions(dir))
	if err != nil {
		fmt.Println("fail", err)
		os.Exit(1)
	}
	first, _ := st.FirstIndex()
	last, _ := st.LastIndex()
	term, err := st.GetUint64([]byte(keyCurrentTerm))
	if err != nil && err.Error() != "not found" {
		fmt.Println("fail", err)
		os.Exit(1)
	}
	fmt.Println("ready")
	s := &logState{First: first, Last: last, Term: term, terms: map[uint64]uint64{}}
	for r := rand.New(rand.NewPCG(seed, 0)); ; {
		op := nextCrashOp(r, s)
		fmt.Println("begin", op.kind, op.a, op.b)
		if err := op.run(st, s.Term); err != nil {
			fmt.Println("fail", err)
			os.Exit(1)
		}
		op.apply(s)
		fmt.Println("end", op.kind, op.a, op.b)
	}
}

func nextCrashOp(r *rand.Rand, s *logState) crashOp {
	switch n := r.IntN(20); {
	case n == 0:
		return crashOp{"term", s.Term + 1, 0}
	case n == 4:
		return crashOp{"vote", r.Uint64N(5), 0}
	case n <= 2 && s.Last > s.First:
		return crashOp{"prefix", s.First, s.First + r.Uint64N(s.Last-s.First)}
	case n == 3 && s.Last > s.First:
		return crashOp{"suffix", s.First + 1 + r.Uint64N(s.Last-s.First), s.Last}
	}
	return crashOp{"append", s.Last + 1, s.Last + 1 + r.Uint64N(64)}
}

func TestKill9LosesNothingAcknowledged(t *testing.T) {
	rounds := crashRoundsOf(crashRounds)
	if testing.Short() {
		rounds = 10
	}
	seed := uint64(time.Now().UnixNano())
	if v, err := strconv.ParseUint(os.Getenv(crashSeedEnv), 10, 64); err == nil {
		seed = v
	}
	t.Logf("%s=%d", crashSeedEnv, seed)
	r := rand.New(rand.NewPCG(seed, 1))
	dir := filepath.Join(t.TempDir(), "s")
	known := &logState{terms: map[uint64]uint64{}}
	acked, torn := 0, 0
	for round := range rounds {
		ops, pending := runCrashChild(t, dir, r.Uint64(), time.Duration(r.Int64N(int64(crashMaxLife))), r.IntN(5) == 0)
		require.False(t, t.Failed(), "round %d", round)
		for _, op := range ops {
			op.apply(known)
		}
		acked += len(ops)
		if requireCrashState(t, dir, known, pending, round) {
			torn++
		}
	}
	t.Logf("%d kills, %d acknowledged operations, %d times the one in flight had taken effect", rounds, acked, torn)
}

// runCrashChild returns the acknowledged operations and the one in flight when the child died, if any.
func runCrashChild(t *testing.T, dir string, seed uint64, life time.Duration, fromStart bool) (ops []crashOp, pending *crashOp) {
	t.Helper()
	cmd := crashCommand(dir, "", seed)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	kill := func() { _ = cmd.Process.Kill() }
	var timer *time.Timer
	if fromStart {
		timer = time.AfterFunc(life, kill)
	}
	for lines := bufio.NewReader(out); ; {
		line, err := lines.ReadString('\n')
		if err != nil {
			break // dead; a line without its end was never said
		}
		var word string
		var op crashOp
		switch _, _ = fmt.Sscan(line, &word, &op.kind, &op.a, &op.b); word {
		case "ready":
			if !fromStart {
				timer = time.AfterFunc(life, kill)
			}
		case "begin":
			pending = &op
		case "end":
			ops, pending = append(ops, op), nil
		default:
			kill()
			t.Errorf("child: %s", line)
		}
	}
	_ = cmd.Wait()
	if timer == nil {
		t.Fatal("the child died before it was killed")
	}
	timer.Stop()
	return ops, pending
}

// requireCrashState opens the store and compares; it reports whether the operation in flight had taken effect.
func requireCrashState(t *testing.T, dir string, known *logState, pending *crashOp, round int) bool {
	t.Helper()
	s, err := Open(crashOptions(dir))
	require.NoError(t, err, "round %d", round)
	defer func() { require.NoError(t, s.Close()) }()
	v := s.view.Load()
	tookEffect := false
	if pending != nil {
		tookEffect = pendingTookEffect(known, pending, s)
	}
	require.Equal(t, known.First, v.first, "first, round %d, in flight %v", round, pending)
	require.Equal(t, known.Last, v.last, "last, round %d, in flight %v", round, pending)
	require.Equal(t, known.Vote, crashVote(s), "vote, round %d, in flight %v", round, pending)
	require.Equal(t, known.Term, v.term, "term, round %d, in flight %v", round, pending)
	for i := v.first; i <= v.last && i != 0; i++ {
		var got raft.Log
		require.NoError(t, s.GetLog(i, &got))
		requireSame(t, crashLogs(i, i, known.terms[i])[0], &got)
	}
	return tookEffect
}

// pendingTookEffect brings known up to an unacknowledged operation that is there all the same, or, for an append in
// several transactions, to the prefix of it that is.
func pendingTookEffect(known *logState, op *crashOp, s *Store) bool {
	v := s.view.Load()
	there := false
	switch op.kind {
	case "append":
		if there = v.last > known.Last && v.last <= op.b; there {
			crashOp{"append", op.a, v.last}.apply(known)
		}
		return there
	case "prefix":
		there = v.first == op.b+1
	case "suffix":
		there = v.last == op.a-1
	case "term":
		there = v.term == op.a
	case "vote":
		there = crashVote(s) == op.a
	}
	if there {
		op.apply(known)
	}
	return there
}

func crashVote(s *Store) uint64 {
	vote, _ := s.GetUint64([]byte("LastVoteCand"))
	return vote
}
