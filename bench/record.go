package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"
)

// figures are what was measured, by name. The unit is in the name.
type figures map[string]float64

// The files of results, where no other name is given.
const (
	peersFile = "results.json"
	scaleFile = "scale.json"
)

// The figures there are.
const (
	rate       = "per_s"
	p50Ms      = "p50_ms"
	p95Ms      = "p95_ms"
	p99Ms      = "p99_ms"
	cpuPerK    = "cpu_s_per_1000" // of all servers
	rssMiB     = "rss_mib"        // of the largest server
	firstMiB   = "first_rss_mib"  // before the scene
	liveMiB    = "live_mib"       // of one server after a collection: its heap and the stacks of Go
	firstLive  = "first_live_mib" // before the scene
	refusals   = "errors"
	seconds    = "s"
	cpuS       = "cpu_s" // of all servers: what a restart takes, or a snapshot beside the load
	leaderS    = "client_at_leader_s"
	nodeBytes  = "rss_bytes_a_node"
	nodeAnon   = "anonymous_bytes_a_node"
	quietP99Ms = "quiet_p99_ms"
	snapshotS  = "snapshot_s"
	startMiBs  = "start_read_mib_a_s"    // what a server that starts had the disk read
	fileMiBs   = "snapshot_read_mib_a_s" // its snapshot, by a program that only reads it
	fileS      = "snapshot_read_s"
	diskS      = "disk_s" // that a disk takes for what a start had it read

	loadPerK  = "load_cpu_s_per_1000" // of the program that asks
	perSync   = "writes_a_sync"       // of the leader's log
	liveBytes = "live_bytes_each"     // of the heap and the stacks of Go, after a collection

	idlePercent    = "percent_of_a_core_a_server"
	busiestPercent = "percent_of_a_core_busiest"
)

// cell is one run of one scene on one entrant.
type cell struct {
	Servers int       `json:"servers"`
	Scene   string    `json:"scene"`
	Entrant string    `json:"entrant"`
	Run     int       `json:"run"`
	At      time.Time `json:"at"`
	Load    string    `json:"load"` // of the machine before it, as in /proc/loadavg
	Figures figures   `json:"figures,omitempty"`
	Error   string    `json:"error,omitempty"`
}

type cellKey struct {
	servers        int
	scene, entrant string
	run            int
}

func (c *cell) key() cellKey { return cellKey{c.Servers, c.Scene, c.Entrant, c.Run} }

// results are cells in a file, a line each, to which a later run adds what is
// missing. A line with what they were measured on comes before those of each run.
type results struct {
	file   *os.File
	Abouts []about
	Cells  []cell
	done   map[cellKey]bool // without an error
	about  *about           // of this run, until there is a cell of it
}

// line is one of the file: one or the other.
type line struct {
	About *about `json:"about,omitempty"`
	Cell  *cell  `json:"cell,omitempty"`
}

// openResults reads what is there and makes room for more.
func openResults(name string) (*results, error) {
	file, err := os.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	r, err := readResults(file)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", name, err), file.Close())
	}
	r.file = file
	return r, nil
}

func loadResults(name string) (*results, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	r, err := readResults(file)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return r, nil
}

const maxLine = 1 << 20

func readResults(from *os.File) (*results, error) {
	r := &results{done: map[cellKey]bool{}}
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, maxLine)
	for n := 1; lines.Scan(); n++ {
		var l line
		if err := json.Unmarshal(lines.Bytes(), &l); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		if l.About != nil {
			r.Abouts = append(r.Abouts, *l.About)
		}
		if l.Cell != nil {
			r.keep(*l.Cell)
		}
	}
	return r, lines.Err()
}

// keep takes a cell in place of an earlier one of its kind.
func (r *results) keep(c cell) {
	r.Cells = slices.DeleteFunc(r.Cells, func(old cell) bool { return old.key() == c.key() })
	r.Cells = append(r.Cells, c)
	r.done[c.key()] = c.Error == ""
}

func (r *results) join(o *results) {
	r.Abouts = append(r.Abouts, o.Abouts...)
	for _, c := range o.Cells {
		r.keep(c)
	}
}

func (r *results) has(servers int, scene, entrant string, run int) bool {
	return r.done[cellKey{servers, scene, entrant, run}]
}

func (r *results) begin(a about) { r.about = &a }

// introduce writes what a run is measured on before its first cell.
func (r *results) introduce() error {
	if r.about == nil {
		return nil
	}
	a := r.about
	r.about = nil
	r.Abouts = append(r.Abouts, *a)
	return r.write(line{About: a})
}

// newCell is what a run gave just now, or why it gave nothing.
func newCell(servers int, scene, entrant string, run int, f figures, failed error) cell {
	c := cell{Servers: servers, Scene: scene, Entrant: entrant, Run: run, At: time.Now().UTC(), Load: loadAverage(), Figures: f}
	if failed != nil {
		c.Error, c.Figures = brief(failed), nil
	}
	return c
}

// add keeps a cell, in the file at once.
func (r *results) add(c cell) error {
	if err := r.introduce(); err != nil {
		return err
	}
	r.keep(c)
	return r.write(line{Cell: &c})
}

// brief is the first of what went wrong: a thousand clients say it a thousand times.
func brief(err error) string {
	first, rest, more := strings.Cut(err.Error(), "\n")
	if more {
		first += fmt.Sprintf(" (and %d more)", 1+strings.Count(rest, "\n"))
	}
	return first
}

func (r *results) write(l line) error {
	raw, err := json.Marshal(l)
	if err != nil {
		return err
	}
	_, err = r.file.Write(append(raw, '\n'))
	return err
}

// tellCell shows what a cell gave, and when the last one is expected.
func tellCell(c *cell, end time.Time) {
	fmt.Fprintf(os.Stderr, "%s  ends %s  load %-6s %d x %-20s run %d  %-48s", c.At.Format("15:04:05"), end.UTC().Format("15:04"), c.Load, c.Servers, c.Entrant, c.Run, c.Scene)
	for _, name := range sortedNames(c.Figures) {
		fmt.Fprintf(os.Stderr, "  %s %.4g", name, c.Figures[name])
	}
	if c.Error != "" {
		fmt.Fprint(os.Stderr, "  FAILED: ", c.Error)
	}
	fmt.Fprintln(os.Stderr)
}
