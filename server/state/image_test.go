package state

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/lycaon-io/lycaon/protocol"
	"github.com/lycaon-io/lycaon/session"
	"github.com/lycaon-io/lycaon/znode"
	"github.com/stretchr/testify/require"
)

// sampleMachine has something of everything that an image holds.
func sampleMachine(t testing.TB) *bench {
	b := newBench(t)
	b.stampMs = 1_700_000_000_000
	b.done(create("/a", "hello"))
	b.stampMs += 1500
	b.done(set("/a", "world"))
	owned := create("/a/owned", "")
	owned.Create.ACL = znode.ACL{{Perms: 31, Scheme: "digest", ID: alice.ID}, {Perms: 1, Scheme: "world", ID: "anyone"}}
	b.done(owned)
	null := create("/a/null", "")
	null.Create.Data, null.Create.Sequential = nil, true
	b.done(null)
	container := create("/box", "")
	container.Create.Kind = znode.Container
	b.done(container)
	b.done(create("/box/x", ""))
	b.done(remove("/box/x"))
	mortal := create("/mortal", "t")
	mortal.Create.Kind, mortal.Create.TTLMs = znode.TTL, 60_000
	b.done(mortal)
	b.done(ephemeral("/e"))
	b.write(set("/none", ""))
	b.apply(&Txn{Kind: TxnOpen, PasswordHash: [32]byte{2}, TimeoutMs: 7000, MaxEphemerals: 10})
	b.apply(&Txn{Kind: TxnOpen, PasswordHash: [32]byte{3}, TimeoutMs: 8000})
	b.apply(&Txn{Kind: TxnExpire, Session: b.out.Session, Generation: 1, Cause: "no word for 8 s"})
	return b
}

func imageOf(t testing.TB, m *Machine) []byte {
	var buf bytes.Buffer
	require.NoError(t, WriteImage(&buf, m.Freeze(), nil))
	return buf.Bytes()
}

func TestAnImageGivesBackTheMachine(t *testing.T) {
	b := sampleMachine(t)
	image := imageOf(t, b.m)
	m, info, err := ReadImage(bytes.NewReader(image))
	require.NoError(t, err)
	require.Equal(t, b.m.Digest(), m.Digest())
	require.Equal(t, Info{
		Format: 1, Zxid: b.m.Zxid(), ClockMs: b.m.ClockMs(), Nodes: b.m.Len(), Sessions: 2, Ended: 1,
		Digest: b.m.Digest(), Bytes: int64(len(image)),
	}, info)
	verified, err := VerifyImage(iotest.OneByteReader(bytes.NewReader(image)))
	require.NoError(t, err)
	require.Equal(t, info, verified)
	require.Equal(t, image, imageOf(t, m), "equal states make equal images")

	var of, on Outcome
	again := b.txn(create("/a/null", ""))
	require.Equal(t, b.m.Apply(again, 5, &of), m.Apply(again, 5, &on), "and the same next answer")
	require.Equal(t, of, on)
	require.Equal(t, b.m.Digest(), m.Digest())
}

func TestAMachineThatLeapsChangesNothingButItsZxid(t *testing.T) {
	b := sampleMachine(t)
	image := imageOf(t, b.m)
	leapt, before, err := ReadImage(bytes.NewReader(image))
	require.NoError(t, err)
	const far = 1 << 49
	leapt.Leap(far)
	m, info, err := ReadImage(bytes.NewReader(imageOf(t, leapt)))
	require.NoError(t, err)
	require.EqualValues(t, far, info.Zxid)
	require.EqualValues(t, far, m.Zxid())
	require.NotEqual(t, before.Digest, info.Digest)
	require.Equal(t, b.m.Tree().Digest(), m.Tree().Digest())
	require.Equal(t, b.m.Sessions().Digest(), m.Sessions().Digest())
	require.Equal(t, b.m.ClockMs(), m.ClockMs())

	b.m = m
	b.done(create("/next", ""))
	require.EqualValues(t, far+1, b.m.Zxid())
	require.EqualValues(t, far+1, b.read(protocol.Read{Op: protocol.OpExists, Path: "/next"}).Stat.Czxid)
}

func TestAFrozenMachineStaysAsItWas(t *testing.T) {
	b := sampleMachine(t)
	before := imageOf(t, b.m)
	frozen := b.m.Freeze()
	b.done(set("/a", "later"))
	b.done(remove("/e"))
	b.attach(1)
	var buf bytes.Buffer
	require.NoError(t, WriteImage(&buf, frozen, nil))
	require.True(t, bytes.Equal(before, buf.Bytes()))
	require.Less(t, frozen.Zxid(), b.m.Zxid())
}

func TestAMachineOfSeveralBlocksGoesThroughAnImage(t *testing.T) {
	b := newBench(t)
	for i := range 300 {
		w := b.txn(create(fmt.Sprintf("/n%03d", i), strings.Repeat("x", i*20)))
		w.Xid = 0
		b.apply(w)
	}
	image := imageOf(t, b.m)
	m, info, err := ReadImage(bytes.NewReader(image))
	require.NoError(t, err)
	require.Equal(t, 304, info.Nodes)
	require.Equal(t, b.m.Digest(), m.Digest())
	require.Greater(t, len(blocksOf(image)), 5)
}

// blocksOf returns where each block begins, and the end.
func blocksOf(image []byte) []int {
	at := []int{imageHeaderLen}
	for last := at[0]; last < len(image); {
		last += blockHeaderLen + int(binary.BigEndian.Uint32(image[last+5:]))
		at = append(at, last)
	}
	return at
}

// Whatever byte is changed, and wherever the file is cut, the image is
// refused, and the error names the place.
func TestADamagedImageIsRefused(t *testing.T) {
	image := imageOf(t, sampleMachine(t).m)
	refuse := func(what string, damaged []byte) {
		t.Helper()
		for name, read := range map[string]func(io.Reader) error{
			"read":   func(r io.Reader) error { _, _, err := ReadImage(r); return err },
			"verify": func(r io.Reader) error { _, err := VerifyImage(r); return err },
		} {
			err := read(bytes.NewReader(damaged))
			if !errors.Is(err, ErrCorrupt) && !errors.Is(err, ErrUnknownFormat) {
				t.Fatalf("%s: %s: %v", name, what, err)
			}
		}
	}
	for i := range image {
		for _, bit := range []byte{0x01, 0x80} {
			damaged := bytes.Clone(image)
			damaged[i] ^= bit
			refuse(fmt.Sprintf("bit %x of byte %d flipped", bit, i), damaged)
		}
		refuse(fmt.Sprintf("cut at %d", i), image[:i])
	}
	refuse("extended", append(bytes.Clone(image), 0))
	refuse("doubled", append(bytes.Clone(image), image...))
	at := blocksOf(image)
	for i := range len(at) - 1 {
		without := append(bytes.Clone(image[:at[i]]), image[at[i+1]:]...)
		refuse(fmt.Sprintf("without block %d", i), without)
		twice := append(bytes.Clone(image[:at[i+1]]), image[at[i]:]...)
		refuse(fmt.Sprintf("with block %d twice", i), twice)
	}
}

// Each block is whole by itself: only the checksum of all tells that they
// changed places.
func TestBlocksThatChangedPlacesAreRefused(t *testing.T) {
	b := newBench(t)
	for i := range 20 {
		w := b.txn(create(fmt.Sprintf("/n%02d", i), strings.Repeat("x", 100_000)))
		w.Xid = 0
		b.apply(w)
	}
	image := imageOf(t, b.m)
	at := blocksOf(image)
	swapped := slices.Concat(image[:at[2]], image[at[3]:at[4]], image[at[2]:at[3]], image[at[4]:])
	_, err := VerifyImage(bytes.NewReader(swapped))
	require.ErrorIs(t, err, ErrCorrupt)
	require.ErrorContains(t, err, "the checksum of all before it")
}

func TestTheErrorNamesBlockAndByte(t *testing.T) {
	image := imageOf(t, sampleMachine(t).m)
	at := blocksOf(image)
	image[at[2]+blockHeaderLen] ^= 1
	_, _, err := ReadImage(bytes.NewReader(image))
	require.ErrorContains(t, err, fmt.Sprintf("block 2 (sessions) at byte %d", at[2]))
}

// manyBlocks is an image of which each block behind the first one has three
// records; spoil changes them before.
func manyBlocks(blocks int, spoil func(nodes []znode.Record)) []byte {
	nodes := slices.Collect(New().tree.Freeze().All())
	large := make([]byte, 100_000)
	for i := range 3 * blocks {
		r := znode.Record{Path: fmt.Sprintf("/zookeeper/x%03d", i), Data: large, ACL: znode.OpenACL}
		r.Stat.DataLength = len(large)
		nodes = append(nodes, r)
	}
	spoil(nodes)
	return forge(2, nodes, nil, nil, 0)
}

// Blocks are read ahead of those that are attached; the first fault is told.
func TestOfSeveralFaultsTheFirstIsTold(t *testing.T) {
	image := manyBlocks(4*maxInFlight, func(nodes []znode.Record) { nodes[20], nodes[21] = nodes[21], nodes[20] })
	at := blocksOf(image)
	refused := func(want int, rule string) {
		t.Helper()
		_, _, err := ReadImage(bytes.NewReader(image))
		require.ErrorIs(t, err, ErrCorrupt)
		require.ErrorContains(t, err, fmt.Sprintf("block %d (nodes) at byte %d", want, at[want]))
		require.ErrorContains(t, err, rule)
	}
	refused(6, "behind its siblings")
	malform(image, at, 8)
	refused(6, "behind its siblings")
	image[at[9]+blockHeaderLen+50] ^= 1
	refused(6, "behind its siblings")
	malform(image, at, 5)
	refused(5, "record 0 at byte 0 of the payload is malformed")
	image[at[4]+blockHeaderLen+50] ^= 1
	refused(4, "its checksum")
}

// malform makes the first record of a block malformed, and its checksum right.
func malform(image []byte, at []int, block int) {
	head, payload := image[at[block]:][:blockHeaderLen], image[at[block]+blockHeaderLen:at[block+1]]
	payload[0] = 0x7f // bytes shared with a path before it
	binary.BigEndian.PutUint32(head[9:], blockCRC(head, payload))
}

// Nothing is attached behind a fault that is found in the joining of two blocks,
// however far the reading is ahead.
func TestNothingIsAttachedBehindAFault(t *testing.T) {
	for _, first := range []int{3, 10, 3 * maxInFlight} {
		image := manyBlocks(4*maxInFlight, func(nodes []znode.Record) {
			nodes[4+3*first-1], nodes[4+3*first] = nodes[4+3*first], nodes[4+3*first-1]
		})
		at := blocksOf(image)
		for block := first + 2; block < len(at)-2; block++ {
			malform(image, at, block)
		}
		_, _, err := ReadImage(bytes.NewReader(image))
		require.ErrorContains(t, err, fmt.Sprintf("block %d (nodes) at byte %d", first+1, at[first+1]))
		require.ErrorContains(t, err, "behind its siblings")
	}
}

// Within a run it is found where it is made, between two where they are joined.
func TestAFaultBetweenBlocksNamesItsRecord(t *testing.T) {
	nodes := slices.Collect(New().tree.Freeze().All())
	large := make([]byte, blockBytes)
	for _, name := range []string{"r", "s", "s", "t"} {
		r := znode.Record{Path: "/zookeeper/" + name, Data: large, ACL: znode.OpenACL}
		r.Stat.DataLength = len(large)
		nodes = append(nodes, r)
	}
	image := forge(2, nodes, nil, nil, 0)
	_, _, err := ReadImage(bytes.NewReader(image))
	require.ErrorContains(t, err, fmt.Sprintf("block 3 (nodes) at byte %d", blocksOf(image)[3]))
	require.ErrorContains(t, err, `record 0 at byte 0 of the payload: record "/zookeeper/s"`)
}

func TestAnImageOfALaterVersionIsUnknown(t *testing.T) {
	image := imageOf(t, New())
	image[imageHeaderLen-1]++
	_, err := VerifyImage(bytes.NewReader(image))
	require.ErrorIs(t, err, ErrUnknownFormat)
	_, err = VerifyImage(strings.NewReader("no image at all"))
	require.ErrorIs(t, err, ErrUnknownFormat)
}

func TestAnErrorOfTheDiskIsNotCalledCorruption(t *testing.T) {
	image := imageOf(t, sampleMachine(t).m)
	broken := errors.New("input/output error")
	for _, n := range []int{0, 5, imageHeaderLen + 3, len(image) / 2, len(image)} {
		_, _, err := ReadImage(io.MultiReader(bytes.NewReader(image[:n]), iotest.ErrReader(broken)))
		require.ErrorIs(t, err, broken)
		require.NotErrorIs(t, err, ErrCorrupt)
	}
	err := WriteImage(brokenWriter{broken}, New().Freeze(), nil)
	require.ErrorIs(t, err, broken)
}

type brokenWriter struct{ err error }

func (w brokenWriter) Write([]byte) (int, error) { return 0, w.err }

// forge makes an image whose checksums are right and whose content is not.
func forge(zxid uint64, nodes []znode.Record, sessions []session.Record, ended []session.Ended, digest uint64) []byte {
	var buf bytes.Buffer
	x := imageWriter{blockWriter: blockWriter{w: &buf}}
	x.header()
	x.begin(sectionMeta)
	x.records = 1
	for _, v := range []uint64{zxid, 0, uint64(len(nodes)), uint64(len(sessions)), uint64(len(ended))} {
		x.buf = binary.AppendUvarint(x.buf, v)
	}
	x.end()
	records(&x, sectionNodes, valuesOf(nodes), func(r znode.Record) { x.buf = x.nodes.append(x.buf, &r) })
	records(&x, sectionSessions, valuesOf(sessions), func(r session.Record) { x.buf = appendSession(x.buf, &r) })
	records(&x, sectionEnded, valuesOf(ended), func(e session.Ended) { x.buf = appendEnded(x.buf, &e) })
	x.footer(uint64(len(nodes)), uint64(len(sessions)), uint64(len(ended)), digest)
	return buf.Bytes()
}

func valuesOf[R any](all []R) func(func(R) bool) {
	return func(yield func(R) bool) {
		for _, r := range all {
			if !yield(r) {
				return
			}
		}
	}
}

// forgeWell has the digest of what the image holds.
func forgeWell(zxid uint64, nodes []znode.Record, sessions []session.Record, ended []session.Ended) []byte {
	var tree, table uint64
	for i := range nodes {
		tree += nodes[i].Digest()
	}
	for i := range sessions {
		table += sessions[i].Digest()
	}
	for i := range ended {
		table += ended[i].Digest()
	}
	return forge(zxid, nodes, sessions, ended, digest(zxid, 0, tree, table))
}

func TestAForgedImageIsRefusedByTheRulesOfTheState(t *testing.T) {
	b := newBench(t)
	b.done(ephemeral("/e"))
	b.done(ephemeral("/f"))
	frozen := b.m.Freeze()
	nodes := slices.Collect(frozen.tree.All())
	var sessions []session.Record
	for r := range frozen.sessions.All() {
		sessions = append(sessions, *r)
	}
	fresh := slices.Collect(New().tree.Freeze().All())
	changed := func(path string, change func(s *znode.Stat)) []znode.Record {
		nodes := slices.Clone(nodes)
		change(&nodes[slices.IndexFunc(nodes, func(r znode.Record) bool { return r.Path == path })].Stat)
		return nodes
	}
	strange := changed("/f", func(s *znode.Stat) { s.Owner = 99 })
	later := changed("/e", func(s *znode.Stat) { s.Mzxid = 4 })
	ended := []session.Ended{{ID: 1, Zxid: 2, Cause: "x"}}
	_, _, err := ReadImage(bytes.NewReader(forgeWell(3, nodes, sessions, nil)))
	require.NoError(t, err)
	for what, c := range map[string]struct {
		image []byte
		rule  string
	}{
		"the digest":            {forge(3, nodes, sessions, nil, 1), "its digest is"},
		"a missing system node": {forgeWell(3, nodes[:3], sessions, nil), "its stat says"},
		"a missing session":     {forgeWell(3, nodes, nil, nil), `"/e" belongs to session 1, which is not alive`},
		"another one":           {forgeWell(3, strange, sessions, nil), `"/f" belongs to session 99, which is not alive`},
		"a session twice":       {forgeWell(3, nodes, append(sessions, sessions...), nil), "session 1 after 1"},
		"alive and ended":       {forgeWell(3, nodes, sessions, ended), "ended session 1: a second record"},
		"a node from later":     {forgeWell(3, later, sessions, nil), `"/e" was changed by zxid 4`},
		"children from later":   {forgeWell(1, nodes, sessions, nil), `"/" was changed by zxid 3`},
		"a session from later":  {forgeWell(0, fresh, sessions, nil), "session 1 was opened after zxid 0"},
		"a node twice":          {forgeWell(3, append(nodes, nodes[1]), sessions, nil), "behind its siblings"},
	} {
		_, _, err := ReadImage(bytes.NewReader(c.image))
		require.ErrorIs(t, err, ErrCorrupt, what)
		require.ErrorContains(t, err, c.rule, what)
	}
}

func TestAStateThatChangedByItselfIsNotWritten(t *testing.T) {
	b := sampleMachine(t)
	data := b.read(protocol.Read{Op: protocol.OpGet, Path: "/a"}).Data
	frozen := b.m.Freeze()
	require.NoError(t, frozen.Scrub(nil))
	data[0] ^= 4 // what nobody may do
	require.ErrorIs(t, frozen.Scrub(nil), ErrCorrupt)
	var buf bytes.Buffer
	require.ErrorIs(t, WriteImage(&buf, frozen, nil), ErrCorrupt)
	require.Zero(t, buf.Len())
}

// writerFunc runs before each write.
type writerFunc func(b []byte)

func (f writerFunc) Write(b []byte) (int, error) { f(b); return len(b), nil }

func TestAStateThatChangesWhileItIsWrittenIsFoundByVerify(t *testing.T) {
	b := sampleMachine(t)
	data := b.read(protocol.Read{Op: protocol.OpGet, Path: "/a"}).Data
	var buf bytes.Buffer
	require.NoError(t, WriteImage(writerFunc(func(piece []byte) {
		if buf.Len() == 0 {
			data[0] ^= 4 // behind the scrub, before the nodes
		}
		buf.Write(piece)
	}), b.m.Freeze(), nil))
	_, err := VerifyImage(&buf)
	require.ErrorIs(t, err, ErrCorrupt)
	require.ErrorContains(t, err, "digest")
}

func TestAScrubIsPacedAndCanBeEnded(t *testing.T) {
	b := sampleMachine(t)
	b.done(create("/big", strings.Repeat("x", 3*scrubStepBytes)))
	frozen := b.m.Freeze()
	steps := 0
	require.NoError(t, frozen.Scrub(func() error { steps++; return nil }))
	require.Positive(t, steps)
	ended := errors.New("ended")
	require.ErrorIs(t, frozen.Scrub(func() error { return ended }), ended)
}

func TestGoldenImage(t *testing.T) {
	image := imageOf(t, sampleMachine(t).m)
	var text strings.Builder
	fmt.Fprintf(&text, "# header: magic, version\n%x\n", image[:imageHeaderLen])
	at := blocksOf(image)
	for i := range len(at) - 1 {
		block := image[at[i]:at[i+1]]
		fmt.Fprintf(&text, "\n# block %d (%v) at byte %d: section, records, size, checksum; payload\n%x %x %x %x\n",
			i, section(block[0]), at[i], block[:1], block[1:5], block[5:9], block[9:blockHeaderLen])
		for payload := block[blockHeaderLen:]; len(payload) > 0; payload = payload[min(len(payload), 48):] {
			fmt.Fprintf(&text, "%x\n", payload[:min(len(payload), 48)])
		}
	}
	golden(t, "image.txt", text.String())

	stored := hexOf(t, "image.txt")
	require.Equal(t, image, stored)
	m, _, err := ReadImage(bytes.NewReader(stored))
	require.NoError(t, err)
	golden(t, "image-content.txt", dump(m))
}

// dump is the text of all that a machine holds.
func dump(m *Machine) string {
	var text strings.Builder
	fmt.Fprintf(&text, "zxid %d clock %d digest %016x\n", m.zxid, m.clockMs, m.Digest())
	img := m.Freeze()
	for r := range img.tree.All() {
		fmt.Fprintf(&text, "node %s %q %s %+v sequence %d\n", r.Path, r.Data, znode.FormatACL(r.ACL), r.Stat, r.Sequence)
	}
	for r := range img.sessions.All() {
		fmt.Fprintf(&text, "session %d generation %d attempt %d hash %x.. timeout %d ephemerals %d next %d high %d ack %d\n",
			r.ID, r.Generation, r.Attempt, r.PasswordHash[:2], r.TimeoutMs, r.MaxEphemerals, r.NextSeq, r.HighXid, r.Ack)
		for _, o := range r.Outcomes {
			fmt.Fprintf(&text, "  xid %d zxid %d %v %x\n", o.Xid, o.Zxid, protocol.Code(o.Code), o.Body)
		}
	}
	for e := range img.sessions.AllEnded() {
		fmt.Fprintf(&text, "ended %d at %d: %s\n", e.ID, e.Zxid, e.Cause)
	}
	return text.String()
}

// greedy is a builder that knows how far it was ahead.
type greedy struct {
	*builder
	blocks, bytes int
}

func (g *greedy) nodes(k *block) error {
	err := g.builder.nodes(k)
	g.blocks, g.bytes = max(g.blocks, len(g.flight)), max(g.bytes, g.builder.bytes)
	return err
}

func TestAnImageIsReadAheadWithinBounds(t *testing.T) {
	for name, c := range map[string]struct{ size, blocks, most int }{
		"small blocks": {blockBytes, 3 * maxInFlight, maxInFlight},
		"large blocks": {maxFlightBytes/4 + 1, 10, 3},
		"giant blocks": {maxFlightBytes + 1, 2, 1},
	} {
		t.Run(name, func(t *testing.T) {
			nodes := slices.Collect(New().tree.Freeze().All())
			data := make([]byte, c.size)
			for i := range c.blocks {
				r := znode.Record{Path: fmt.Sprintf("/zookeeper/x%03d", i), Data: data, ACL: znode.OpenACL}
				r.Stat.DataLength = len(data)
				nodes = append(nodes, r)
			}
			g := greedy{builder: newBuilder()}
			x := imageReader{blockReader: newBlockReader(bytes.NewReader(forge(2, nodes, nil, nil, 0)))}
			require.NoError(t, x.read(&g))
			require.NoError(t, g.drain())
			require.Equal(t, c.most, g.blocks)
			require.LessOrEqual(t, g.bytes, max(maxFlightBytes, c.size+1<<10))
			require.Zero(t, g.builder.bytes)
		})
	}
}
