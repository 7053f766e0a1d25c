package protocol

import (
	"fmt"
	"strings"

	"github.com/lycaon-io/lycaon/znode"
)

// ValidateWrite is what the server that holds the connection runs before a
// write goes into the log: the whole body decodes, and nothing in it breaks a
// rule that can be told without the tree. With a code other than OK the detail
// names the input and the rule.
func ValidateWrite(op Op, body []byte, lim Limits) (Code, string) {
	err := validateWrite(op, body, lim)
	if err == nil {
		return OK, ""
	}
	return CodeOf(err), err.Error()
}

func validateWrite(op Op, body []byte, lim Limits) error {
	if op == OpMulti {
		return validateMulti(body, lim)
	}
	var w WriteOp
	if err := DecodeWrite(op, body, &w); err != nil {
		return fmt.Errorf("%v: %w", op, err)
	}
	if err := w.Validate(lim); err != nil {
		return fmt.Errorf("%v: %w", op, err)
	}
	return nil
}

func validateMulti(body []byte, lim Limits) error {
	m := readMulti(body)
	if m.left > int(lim.MaxMultiOps) {
		return fmt.Errorf("multi: %w: %d operations, at most %d are allowed", znode.ErrTooLarge, m.left, lim.MaxMultiOps)
	}
	var w WriteOp
	answer, made := AnswerBytes, 0
	for i := 0; m.left > 0; i++ {
		m.next(&w)
		err := m.d.err
		if err == nil {
			err = w.Validate(lim)
		}
		if err != nil {
			return fmt.Errorf("multi: operation %d: %v: %w", i, w.Op, err)
		}
		answer += w.ResultBytes()
		made += w.makes()
	}
	brief, err := m.end()
	switch {
	case err != nil:
		return fmt.Errorf("multi: %w", err)
	case made > maxMade:
		return fmt.Errorf("multi: %w: it may create %d nodes, missing parents among them, at most %d are allowed", znode.ErrTooLarge, made, maxMade)
	case !brief && answer > int(lim.MaxOutcomeBytes):
		return fmt.Errorf("multi: %w: its answer may take %d bytes, a session keeps at most %d; a brief answer would do", znode.ErrTooLarge, answer, lim.MaxOutcomeBytes)
	}
	return nil
}

// makes returns the most nodes that w creates.
func (w *WriteOp) makes() int {
	switch {
	case w.Op != OpCreate:
		return 0
	case w.Create.Parents:
		return strings.Count(w.Create.Path, "/")
	}
	return 1
}

// Validate is ValidateWrite for one write that is decoded: its form has passed.
func (w *WriteOp) Validate(lim Limits) error {
	switch w.Op {
	case OpCloseSession:
		return nil
	case OpCreate:
		return validateCreate(&w.Create, lim)
	case OpSet:
		if err := validateData(w.Data, lim); err != nil {
			return err
		}
	case OpRaiseSequence:
		if w.AtLeast < 0 || w.AtLeast > znode.MaxCreated {
			return fmt.Errorf("%w: a count of %d children is not within 0 to 2^61", znode.ErrBadArguments, w.AtLeast)
		}
	case OpSetACL:
		if err := znode.ValidatePath(w.Path); err != nil {
			return err
		}
		return validateACL(w.ACL)
	}
	return znode.ValidatePath(w.Path)
}

func validateCreate(c *znode.CreateOp, lim Limits) error {
	if err := validateCreatePath(c); err != nil {
		return err
	}
	if err := validateData(c.Data, lim); err != nil {
		return err
	}
	if err := validateKind(c); err != nil {
		return err
	}
	return validateACL(c.ACL)
}

// validateCreatePath knows that digits will follow the path of a sequential
// node, which makes a name of "/a/" and "/a/.." too.
func validateCreatePath(c *znode.CreateOp) error {
	err := znode.ValidatePath(c.Path)
	if err != nil && c.Sequential && znode.ValidatePath(c.Path+"0") == nil {
		return nil
	}
	return err
}

// validateKind refuses the combinations that ZooKeeper has no flag for.
func validateKind(c *znode.CreateOp) error {
	switch {
	case c.Kind > znode.TTL:
		return badCreate(c, fmt.Sprintf("%d is no kind of node", c.Kind))
	case c.Kind == znode.Container && c.Sequential:
		return badCreate(c, "a container cannot be sequential")
	case c.Sequential && c.IfAbsent:
		return badCreate(c, "a sequential node is always absent: if-absent makes no sense")
	case c.Kind == znode.TTL && (c.TTLMs < 1 || c.TTLMs > znode.MaxTTLMs):
		return badCreate(c, fmt.Sprintf("a TTL of %d ms is not within 1 to %d", c.TTLMs, int64(znode.MaxTTLMs)))
	case c.Kind != znode.TTL && c.TTLMs != 0:
		return badCreate(c, "only a TTL node takes a TTL")
	}
	return nil
}

func badCreate(c *znode.CreateOp, rule string) error {
	return fmt.Errorf("%w: path %q: %s", znode.ErrBadArguments, c.Path, rule)
}

func validateData(data []byte, lim Limits) error {
	if len(data) > int(lim.MaxData) {
		return fmt.Errorf("%w: data of %d bytes, at most %d are allowed", znode.ErrTooLarge, len(data), lim.MaxData)
	}
	return nil
}

// someUser stands for whoever the connection has proved to be, so that the
// form of an ACL can be checked before that is known.
var someUser = znode.NewActor(0, []znode.Identity{{Scheme: znode.SchemeDigest, ID: "user:hash"}})

func validateACL(acl znode.ACL) error {
	_, err := znode.NormalizeACL(acl, &someUser)
	return err
}

// ValidateRead checks a decoded read against the limits of this server.
func ValidateRead(r *Read, lim Limits) (Code, string) {
	if len(r.Reads) > int(lim.MaxMultiOps) {
		return TooLarge, fmt.Sprintf("%v: %v: %d reads, at most %d are allowed", r.Op, znode.ErrTooLarge, len(r.Reads), lim.MaxMultiOps)
	}
	return OK, ""
}
