package main

import (
	"strings"

	"github.com/spf13/cobra"
)

// argument is one place of a command's arguments, as its usage line names it.
type argument struct {
	name     string   // PATH
	choices  []string // of a|b
	repeated bool     // it and all behind it
}

// What names in usage lines stand for. A name that is in none of these lists
// fails a test: the usage line is what decides which arguments are paths, and
// what Tab offers.
var (
	pathNames  = words("PATH FROM TO A B PREFIX")
	localNames = words("FILE DIR CMD ARGS") // of this machine: its own shell knows them best
	otherNames = words("TEMPLATE:FILE SESSION SERVERS DATA VALUE ACL SCHEME VERSION GLOB RE ID ID=HOST:PORT ID[=HOST:PORT] N COMMAND")
)

func words(text string) map[string]bool {
	set := map[string]bool{}
	for _, w := range strings.Fields(text) {
		set[w] = true
	}
	return set
}

// arguments reads the usage line of a command. Of {A | B} it is the part whose
// flag was typed, else the first.
func arguments(cmd *cobra.Command) []argument {
	var chosen []argument
	for i, form := range usageForms(cmd) {
		args, typed := readUsage(cmd, form)
		if i == 0 || typed {
			chosen = args
		}
	}
	return chosen
}

func usageForms(cmd *cobra.Command) []string {
	_, line, _ := strings.Cut(cmd.Use, " ")
	return strings.Split(line, " | ")
}

// readUsage tells the arguments of one form of a command, and whether one of
// the flags in it was typed.
func readUsage(cmd *cobra.Command, line string) (args []argument, typed bool) {
	tokens := strings.Fields(line)
	for i := 0; i < len(tokens); i++ {
		token := strings.TrimLeft(tokens[i], "[{")
		if !strings.Contains(token, "[") { // but not of ID[=HOST:PORT]
			token = strings.TrimRight(token, "]}.")
		}
		switch {
		case token == "--" || token == "options" || token == "flags":
		case strings.HasPrefix(token, "-"):
			takesValue, was := usageFlag(cmd, token)
			typed = typed || was
			if takesValue {
				i++
			}
		default:
			a := argument{name: token, repeated: strings.Contains(tokens[i], "...")}
			if strings.ToLower(token) == token {
				a.choices = strings.Split(token, "|")
			}
			args = append(args, a)
		}
	}
	return args, typed
}

// usageFlag looks up a flag of a usage line, -a|-b for any of these.
func usageFlag(cmd *cobra.Command, token string) (takesValue, typed bool) {
	for name := range strings.SplitSeq(token, "|") {
		name = strings.TrimLeft(name, "-")
		f := cmd.Flags().Lookup(name)
		if f == nil && len(name) == 1 {
			f = cmd.Flags().ShorthandLookup(name)
		}
		if f != nil {
			takesValue = f.NoOptDefVal == ""
			typed = typed || f.Changed
		}
	}
	return takesValue, typed
}

// argumentAt is the argument at place i.
func argumentAt(cmd *cobra.Command, i int) argument {
	args := arguments(cmd)
	switch {
	case i < len(args):
		return args[i]
	case len(args) > 0 && args[len(args)-1].repeated:
		return args[len(args)-1]
	}
	return argument{}
}

// adopt gives every command what all have: its paths are made absolute before
// anything looks at them, Tab completes its arguments, and its errors name it.
func (e *env) adopt(cmd *cobra.Command) {
	for _, sub := range cmd.Commands() {
		e.adopt(sub)
	}
	if cmd.ValidArgsFunction == nil {
		cmd.ValidArgsFunction = e.completeArgument
	}
	check := cmd.Args
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		wrong := e.resolvePaths(cmd, args)
		if check != nil {
			if err := check(cmd, args); err != nil { // the usage comes before what is wrong with one
				return err
			}
		}
		return wrong
	}
	if run := cmd.RunE; run != nil {
		cmd.RunE = func(cmd *cobra.Command, args []string) error {
			return byCommand(strings.TrimPrefix(commandName(cmd), "lycaon "), run(cmd, args))
		}
	}
}
