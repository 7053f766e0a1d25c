package main

import (
	"flag"
	"fmt"
)

// flagsOf are those of one command, whose help begins with the text.
func flagsOf(command, help string) *flag.FlagSet {
	f := flag.NewFlagSet(command, flag.ContinueOnError)
	f.Usage = func() {
		fmt.Fprint(f.Output(), help)
		f.PrintDefaults()
	}
	return f
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
