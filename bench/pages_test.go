package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const docs = "../docs"

// The pages that are made of results are those that the results beside them give:
// after a change of the report `make bench-report` writes them anew.
func TestThePagesAreWhatTheirResultsGive(t *testing.T) {
	dir := t.TempDir()
	folder := filepath.Join(dir, "performance")
	require.NoError(t, os.Mkdir(folder, 0o700))
	page := filepath.Join(dir, "PERFORMANCE.md")
	require.NoError(t, os.WriteFile(page, []byte(contents(docs+"/PERFORMANCE.md")), 0o600))
	require.NoError(t, playReport(t.Context(), []string{"-page", page, "-plots", folder, docs + "/performance/results.json", docs + "/performance/scale.json"}))
	made, err := filepath.Glob(folder + "/*")
	require.NoError(t, err)
	require.Contains(t, made, filepath.Join(folder, everythingFile))
	for _, file := range append(made, page) {
		name, err := filepath.Rel(dir, file)
		require.NoError(t, err)
		require.Equal(t, contents(filepath.Join(docs, name)), contents(file), name)
	}
}

var (
	links    = regexp.MustCompile(`\]\(([^)\s]*)\)`)
	headings = regexp.MustCompile(`(?m)^#+ (.*)$`)
	unlinked = regexp.MustCompile("[^a-z0-9 _-]")
)

// anchors are what the headings of a page are linked by.
func anchors(page string) map[string]bool {
	all := map[string]bool{}
	for _, h := range headings.FindAllStringSubmatch(page, -1) {
		all[strings.ReplaceAll(unlinked.ReplaceAllString(strings.ToLower(h[1]), ""), " ", "-")] = true
	}
	return all
}

func TestTheLinksOfThePagesLeadSomewhere(t *testing.T) {
	var pages []string
	for _, of := range []string{"*.md", docs + "/*.md", docs + "/performance/*.md", "../*.md"} {
		found, err := filepath.Glob(of)
		require.NoError(t, err)
		pages = append(pages, found...)
	}
	require.Greater(t, len(pages), 10)
	for _, page := range pages {
		for _, link := range links.FindAllStringSubmatch(contents(page), -1) {
			path, anchor, _ := strings.Cut(link[1], "#")
			if strings.Contains(path, ":") {
				continue // elsewhere
			}
			to := page
			if path != "" {
				to = filepath.Join(filepath.Dir(page), path)
			}
			require.FileExists(t, strings.TrimSuffix(to, "/"), "%s: %s", page, link[1])
			if anchor != "" {
				require.True(t, anchors(contents(to))[anchor], "%s: %s", page, link[1])
			}
		}
	}
}
