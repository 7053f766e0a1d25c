package downstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/server/compat/rig"
)

const (
	python     = "/usr/bin/python3" // Debian's, which has its packages
	kazoo      = "/usr/lib/python3/dist-packages/kazoo"
	patroni    = "/usr/bin/patroni"
	patronictl = "/usr/bin/patronictl"
	postgres   = "/usr/lib/postgresql/15/bin"
	scope      = "demo"
	ttl        = 8 * time.Second // of the lock; more than loop_wait and twice retry_timeout
)

// database is a PostgreSQL of three members under Patroni, one of them the primary.
type database struct {
	*run
	members []*member
}

// member is a Patroni and the PostgreSQL that it runs.
type member struct {
	*program
	port   int // of PostgreSQL
	config string
}

func (r *run) openDatabase() *database {
	d := &database{run: r}
	ports := rig.Ports(r, 6)
	for i := range 3 {
		p := r.add(fmt.Sprintf("pg%d", i+1), "postgres")
		m := &member{program: p, port: ports[i]}
		m.config = r.configure(p, "patroni.yml", map[string]any{
			"Name": p.name, "REST": ports[3+i], "Postgres": m.port, "Dir": p.home, "Bin": postgres,
			"Servers": r.servers(), "TTL": int(ttl.Seconds()),
		})
		p.Command = []string{patroni, m.config}
		d.members = append(d.members, m)
		r.Cleanup(func() { d.kill(m) })
	}
	return d
}

// kill ends a member at once, PostgreSQL too, which lives on without Patroni.
func (d *database) kill(m *member) {
	m.Kill()
	raw, err := os.ReadFile(filepath.Join(m.home, "data", "postmaster.pid"))
	if err != nil {
		return // none runs
	}
	first, _, _ := strings.Cut(string(raw), "\n")
	pid, err := strconv.Atoi(first)
	if err != nil {
		d.Errorf("%s: postmaster.pid begins with %q", m.name, first)
		return
	}
	// Its other processes end when they miss it.
	_ = syscall.Kill(pid, syscall.SIGKILL)
	if !rig.Poll(soon, func() bool { return !alive(pid) }) {
		d.Errorf("%s: process %d does not end", m.name, pid)
	}
}

// query asks this member's PostgreSQL; columns come apart by |.
func (m *member) query(statement string) (string, error) {
	return psql(fmt.Sprintf("host=127.0.0.1 port=%d", m.port), statement)
}

func (m *member) says(want, statement string) error {
	got, err := m.query(statement)
	if err != nil {
		return err
	}
	if got != want {
		return fmt.Errorf("%s: %s: %q instead of %q", m.name, statement, got, want)
	}
	return nil
}

// psql runs a statement at the first of the servers that will do.
func psql(where, statement string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), queryWithin)
	defer cancel()
	cmd := exec.CommandContext(ctx, postgres+"/psql", "-XAtq", "-v", "ON_ERROR_STOP=1", "-c", statement, where+" user=postgres dbname=postgres connect_timeout=3")
	out, err := cmd.Output()
	var failed *exec.ExitError
	if errors.As(err, &failed) {
		err = fmt.Errorf("%w: %s", err, strings.TrimSpace(string(failed.Stderr)))
	}
	return strings.TrimSpace(string(out)), err
}

// ctl runs patronictl and returns what it says.
func (d *database) ctl(args ...string) string {
	d.Helper()
	ctx, cancel := context.WithTimeout(d.Context(), soon)
	defer cancel()
	out, err := rig.Run(d, ctx, append([]string{patronictl, "-c", d.members[0].config}, args...)...)
	require.NoError(d, err, "patronictl %v: %s", args, out)
	return out
}

// row is what patronictl list says of a member.
type row struct {
	Member, Role, State string
	TL                  int
}

// shown is nil while patronictl cannot tell.
func (d *database) shown() (rows []row) {
	ctx, cancel := context.WithTimeout(d.Context(), soon)
	defer cancel()
	cmd := exec.CommandContext(ctx, patronictl, "-c", d.members[0].config, "list", "-f", "json", scope)
	out, err := cmd.Output()
	if err != nil || json.Unmarshal(out, &rows) != nil {
		return nil
	}
	return rows
}

func (d *database) list() string {
	rows := d.shown()
	parts := make([]string, len(rows))
	for i, r := range rows {
		parts[i] = fmt.Sprintf("%s %s", r.Member, r.Role)
	}
	return strings.Join(parts, ", ")
}

// whole waits until one member leads, the others follow it on its timeline, and
// one of them at least takes each write before the client is told of it.
func (d *database) whole(replicas int) {
	d.Helper()
	var rows []row
	d.await("a whole database", func() error {
		rows = d.shown()
		lead := slices.IndexFunc(rows, func(r row) bool { return r.Role == "Leader" })
		if len(rows) != len(d.members) || lead < 0 {
			return fmt.Errorf("%v", rows)
		}
		follows := 0
		for _, r := range rows {
			if (r.Role == "Replica" || r.Role == "Sync Standby") && r.State == "running" && r.TL == rows[lead].TL {
				follows++
			}
		}
		if follows < replicas || !slices.ContainsFunc(rows, func(r row) bool { return r.Role == "Sync Standby" }) {
			return fmt.Errorf("%v", rows)
		}
		return nil
	})
}

func (d *database) inRole(role string) *member {
	d.Helper()
	var found *member
	d.await("a member that is "+role, func() error {
		rows := d.shown()
		at := slices.IndexFunc(rows, func(r row) bool { return r.Role == role })
		if at < 0 {
			return fmt.Errorf("%v", rows)
		}
		found = d.members[slices.IndexFunc(d.members, func(m *member) bool { return m.name == rows[at].Member })]
		return nil
	})
	return found
}

func (d *database) primary() *member     { d.Helper(); return d.inRole("Leader") }
func (d *database) syncStandby() *member { d.Helper(); return d.inRole("Sync Standby") }

// lock is the node that makes a member the primary.
type lock struct{ holder, session, since string }

func (d *database) lock() (l lock) {
	d.Helper()
	d.await("the lock", func() error {
		ctx, cancel := context.WithTimeout(d.Context(), queryWithin)
		defer cancel()
		out, err := exec.CommandContext(ctx, python, filepath.Join("testdata", "lock.py"), d.ensemble.Connect()).Output()
		if err == nil {
			_, err = fmt.Sscan(string(out), &l.holder, &l.session, &l.since)
		}
		return err
	})
	return l
}
