package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/pprof/profile"
	"github.com/stretchr/testify/require"
)

// ofCPU is a profile in which one function was seen so often.
func ofCPU(function string, seen int64) *profile.Profile {
	m := &profile.Mapping{ID: 1, File: "/home/somebody/bin/lycaon", BuildID: "of their machine", HasFunctions: true}
	f := &profile.Function{ID: 1, Name: function, StartLine: 10}
	l := &profile.Location{ID: 1, Mapping: m, Line: []profile.Line{{Function: f, Line: 12}}}
	return &profile.Profile{
		SampleType: []*profile.ValueType{{Type: "samples", Unit: "count"}}, PeriodType: &profile.ValueType{Type: "cpu", Unit: "nanoseconds"}, Period: 1,
		Sample: []*profile.Sample{{Location: []*profile.Location{l}, Value: []int64{seen}}}, Mapping: []*profile.Mapping{m},
		Location: []*profile.Location{l}, Function: []*profile.Function{f}, Comments: []string{"of their machine"},
	}
}

func TestTheCompilerGetsOneProfileThatNamesNoMachine(t *testing.T) {
	t.Parallel()
	p := &profiling{compiler: filepath.Join(t.TempDir(), "server.pgo")}
	require.ErrorContains(t, p.forCompiler(), "profiles of 0 scenes")
	require.NoFileExists(t, p.compiler)
	p.cpu = []*profile.Profile{ofCPU("writes", 3), ofCPU("reads", 4)}
	require.NoError(t, p.forCompiler())
	file, err := os.Open(p.compiler)
	require.NoError(t, err)
	defer file.Close()
	got, err := profile.Parse(file)
	require.NoError(t, err)
	seen := map[string]int64{}
	for _, s := range got.Sample {
		seen[s.Location[0].Line[0].Function.Name] += s.Value[0]
	}
	require.Equal(t, map[string]int64{"writes": 3, "reads": 4}, seen)
	require.NotContains(t, got.String(), "somebody")
	require.NotContains(t, got.String(), "their machine")
}
