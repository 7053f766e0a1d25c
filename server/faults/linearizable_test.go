package faults

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/anishathalye/porcupine"
)

// porcupineLimit bounds the search of one path.
const porcupineLimit = 20 * time.Second

// register is one znode as a client sees it that trusts no zxid.
type register struct {
	exists  bool
	data    string
	version int64
}

// registerModel lets an operation whose outcome is unknown have happened, or not.
var registerModel = porcupine.NondeterministicModel{
	Init: func() []any { return []any{register{}} },
	Step: func(state, input, output any) []any {
		r, o := state.(register), input.(*op)
		if o.Outcome == unknown {
			after, _ := r.run(&o.Steps[0])
			return []any{r, after}
		}
		after, answer := r.run(&o.Steps[0])
		if answer == output.(string) {
			return []any{after}
		}
		return nil
	},
	Equal: func(a, b any) bool { return a == b },
	DescribeOperation: func(input, output any) string {
		s := input.(*op).Steps[0]
		return fmt.Sprintf("%s v%d %s: %v", s.Kind, s.Version, s.Data, output)
	},
}

// run is what a znode without children does.
func (r register) run(s *step) (register, string) {
	switch {
	case s.Kind == "create" && r.exists:
		return r, "NodeExists"
	case s.Kind == "create":
		return register{exists: true, data: s.Data}, "ok"
	case !r.exists:
		return r, "NoNode"
	case s.Kind == "get":
		return r, fmt.Sprintf("%s v%d", r.data, r.version)
	case s.Kind == "exists":
		return r, fmt.Sprintf("v%d", r.version)
	case s.Version >= 0 && s.Version != r.version:
		return r, "BadVersion"
	case s.Kind == "delete":
		return register{}, "ok"
	}
	return register{exists: true, data: s.Data, version: r.version + 1}, fmt.Sprintf("v%d", r.version+1)
}

// said is what the client was told, in the words of run.
func (o *op) said() string {
	if o.Outcome != ok {
		return o.Error
	}
	a := &o.Answers[0]
	switch {
	case a.Error != "":
		return a.Error
	case o.Steps[0].Kind == "get":
		return fmt.Sprintf("%s v%d", a.Data, a.Version)
	case o.Steps[0].Kind == "exists" || o.Steps[0].Kind == "set":
		return fmt.Sprintf("v%d", a.Version)
	}
	return "ok"
}

// machineErrors are the errors that are answers of the tree: others say that the tree was not asked.
var machineErrors = []string{"NoNode", "NodeExists", "BadVersion", "NotEmpty"}

// checkLinearizable is C1. Local reads promise less and stay out.
func checkLinearizable(h *history, _ *timeline) (found findings) {
	paths := map[string][]porcupine.Operation{}
	for i := range h.Ops {
		o := &h.Ops[i]
		if len(o.Steps) != 1 || !strings.HasPrefix(o.Steps[0].Path, "/reg/") || o.Call == "read" && !o.Linearizable {
			continue
		}
		if o.Outcome == unknown && !o.writes() || o.Outcome == fail && !slices.Contains(machineErrors, o.Error) {
			continue
		}
		output := ""
		if o.Outcome != unknown {
			output = o.said()
		}
		path := o.Steps[0].Path
		paths[path] = append(paths[path], porcupine.Operation{ClientId: o.Process, Input: o, Call: o.Invoke, Output: output, Return: o.Return})
	}
	model := registerModel.ToModel()
	for path, ops := range paths {
		result, info := porcupine.CheckOperationsVerbose(model, ops, porcupineLimit)
		if result == porcupine.Ok {
			continue
		}
		found.add("%s with %d operations: %s; %s", path, len(ops), result, visualize(h, model, info, path))
	}
	return found
}

// visualize saves the picture of what is not linearizable.
func visualize(h *history, model porcupine.Model, info porcupine.LinearizationInfo, path string) string {
	file := filepath.Join(h.dir, "linearizable"+strings.ReplaceAll(path, "/", "-")+".html")
	out, err := os.Create(file)
	if err != nil {
		return err.Error()
	}
	defer out.Close()
	if err := porcupine.Visualize(model, info, out); err != nil {
		return err.Error()
	}
	return "see " + file
}
