package main

import (
	"flag"
	"fmt"
)

// flagsOf are those of one command, whose help begins with the text.
func flagsOf(command, help string) *flag.FlagSet {
	f := flag.NewFlagSet(command, flag.ExitOnError)
	f.Usage = func() {
		fmt.Fprint(f.Output(), help)
		f.PrintDefaults()
	}
	return f
}

// parse refuses whatever is no flag: a run of hours would begin that was not asked for.
func parse(f *flag.FlagSet, args []string) error {
	f.Parse(args) // which ends the program if a flag is wrong
	if f.NArg() > 0 {
		return fmt.Errorf("%q is no flag: -h tells what there is", f.Arg(0))
	}
	return nil
}

// unlessGiven sets flags that the command line does not.
func unlessGiven(f *flag.FlagSet, values map[string]string) {
	given := map[string]bool{}
	f.Visit(func(f *flag.Flag) { given[f.Name] = true })
	for name, value := range values {
		if !given[name] {
			f.Set(name, value)
		}
	}
}
