package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

const reportHelp = `usage: go run . report [flags] FILE...

Makes tables and plots of files of results, of peers and of scale, and puts them into
a page between marks, and what is too long for it into everything.md beside the plots.
Of a cell that is in several files the last one counts.

`

func playReport(_ context.Context, args []string) error {
	f := flagsOf("report", reportHelp)
	page := f.String("page", "", "the page whose marked parts are written anew (default: print them)")
	plots := f.String("plots", "", "the folder for the plots, everything.md and a copy of all results")
	f.Parse(args)
	if f.NArg() == 0 {
		return errors.New("report wants a file of results")
	}
	all := &results{done: map[cellKey]bool{}}
	for _, name := range f.Args() {
		r, err := loadResults(name)
		if err != nil {
			return err
		}
		all.join(r)
	}
	if len(all.Abouts) == 0 {
		return errors.New("there are no results in it")
	}
	return all.report(*page, *plots)
}

// report tells of the comparison and of Lycaon alone, as far as there is
// something of them.
func (r *results) report(page, plots string) error {
	peers, scale := r.split()
	var err error
	if len(peers.Cells) > 0 {
		err = peers.peersReport(page, plots)
	}
	if len(scale.Cells) > 0 {
		err = errors.Join(err, scale.scaleReport(page, plots))
	}
	return err
}

// split divides results into those of the comparison and those of Lycaon alone.
func (r *results) split() (peers, scale *results) {
	peers, scale = &results{}, &results{}
	for _, a := range r.Abouts {
		of := peers
		if hasPrefix(a.Command, scaleCommands) {
			of = scale
		}
		of.Abouts = append(of.Abouts, a)
	}
	for _, c := range r.Cells {
		of := peers
		if c.Entrant == alone {
			of = scale
		}
		of.Cells = append(of.Cells, c)
	}
	return peers, scale
}

// everythingFile is the page of all that peers gave, beside the plots.
const everythingFile = "everything.md"

func (r *results) peersReport(page, folder string) error {
	s := summarizeCells(r.Cells)
	var images []plot
	if folder != "" {
		images = s.plots()
		if err := r.draw(images, folder, peersFile); err != nil {
			return err
		}
	}
	file := filepath.Base(folder) + "/" + peersFile
	for _, p := range []struct{ by, text string }{
		{"bench report, in short", r.short(s)},
		{"bench report, goals", s.goalsMarkdown()},
		{"bench report, tables", s.tablesMarkdown()},
		{"bench report, measured on", r.aboutMarkdown(s, file) + s.failedMarkdown()},
		{"bench report, plots", plotsMarkdown(images, filepath.Base(folder))},
	} {
		if err := writePart(page, p.by, p.text); err != nil {
			return err
		}
	}
	return writePage(folder, everythingFile, r.everything(s))
}

// writePage writes a page that is made whole, or prints it if there is no folder.
func writePage(folder, name, text string) error {
	if folder == "" {
		fmt.Print(text)
		return nil
	}
	return os.WriteFile(filepath.Join(folder, name), []byte(text), 0o644)
}

// draw writes plots, and beside them what they were made of.
func (r *results) draw(images []plot, folder, name string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return err
	}
	for _, p := range images {
		if err := os.WriteFile(filepath.Join(folder, p.file), []byte(p.svg()), 0o644); err != nil {
			return err
		}
	}
	return r.copyTo(filepath.Join(folder, name))
}

// copyTo writes a file of results that holds all of these.
func (r *results) copyTo(name string) error {
	var b strings.Builder
	enc := json.NewEncoder(&b)
	for i := range r.Abouts {
		if err := enc.Encode(line{About: &r.Abouts[i]}); err != nil {
			return err
		}
	}
	for i := range r.Cells {
		if err := enc.Encode(line{Cell: &r.Cells[i]}); err != nil {
			return err
		}
	}
	return os.WriteFile(name, []byte(b.String()), 0o644)
}

// writePart writes the part of a page anew that a command makes, or prints it if
// there is no page.
func writePart(page, by, text string) error {
	if page == "" {
		fmt.Print(text)
		return nil
	}
	old, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	written, err := between(string(old), by, text)
	if err != nil {
		return fmt.Errorf("%s: %w", page, err)
	}
	return os.WriteFile(page, []byte(written), 0o644)
}

// marks are the lines around what a command makes.
func marks(by string) (begin, end string) {
	return "<!-- begin: made by " + by + " -->", "<!-- end: made by " + by + " -->"
}

// between puts text between the two marks of a page.
func between(page, by, text string) (string, error) {
	begin, end := marks(by)
	before, rest, ok := strings.Cut(page, begin)
	_, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		return "", fmt.Errorf("wants the lines %s and %s", begin, end)
	}
	return before + begin + "\n\n" + strings.TrimRight(text, "\n") + "\n\n" + end + after, nil
}
