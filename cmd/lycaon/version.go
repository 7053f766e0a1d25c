package main

import (
	"fmt"
	"runtime/debug"
)

// version is the module's version, or of a local build the commit it was made
// from.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "lycaon (unknown build)"
	}
	text := "lycaon " + info.Main.Version
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && info.Main.Version == "(devel)" {
			text += " " + s.Value
		}
	}
	return fmt.Sprintf("%s %s", text, info.GoVersion)
}
