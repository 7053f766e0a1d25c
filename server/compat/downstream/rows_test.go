package downstream

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/stretchr/testify/require"
)

// rows is a client that writes row after row to whoever is the primary, and what it was told.
type rows struct {
	d     *database
	where string
	stop  chan struct{}
	wg    sync.WaitGroup

	mu   sync.Mutex // guards the rest
	told []told
	errs []string
}

// told is a row that PostgreSQL has said is written.
type told struct {
	id, port int
	at       time.Time
}

func (d *database) write() *rows {
	_, err := d.primary().query("CREATE TABLE told (id bigint PRIMARY KEY)")
	require.NoError(d, err)
	hosts, ports := make([]string, len(d.members)), make([]string, len(d.members))
	for i, m := range d.members {
		hosts[i], ports[i] = "127.0.0.1", strconv.Itoa(m.port)
	}
	w := &rows{d: d, stop: make(chan struct{}), where: fmt.Sprintf("host=%s port=%s target_session_attrs=read-write",
		strings.Join(hosts, ","), strings.Join(ports, ","))}
	w.wg.Go(w.run)
	return w
}

func (w *rows) run() {
	tick := time.NewTicker(writeEvery)
	defer tick.Stop()
	for id := 1; ; id++ {
		select {
		case <-w.stop:
			return
		case <-tick.C:
		}
		answer, err := psql(w.where, fmt.Sprintf("INSERT INTO told VALUES (%d) RETURNING inet_server_port()", id))
		port, notPort := strconv.Atoi(answer)
		if err == nil {
			err = notPort
		}
		w.mu.Lock()
		if err == nil {
			w.told = append(w.told, told{id, port, time.Now()})
		} else {
			w.errs = append(w.errs, err.Error())
		}
		w.mu.Unlock()
	}
}

func (w *rows) end() {
	close(w.stop)
	w.wg.Wait()
}

// after are the rows that were taken since a moment.
func (w *rows) after(at time.Time) []told {
	w.mu.Lock()
	defer w.mu.Unlock()
	from, _ := slices.BinarySearchFunc(w.told, at, func(r told, t time.Time) int { return r.at.Compare(t) })
	return slices.Clone(w.told[from:])
}

func (w *rows) failed() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.errs)
}

// flow waits until some more rows are taken, wherever; flowAt, by the member at a port.
func (w *rows) flow() { w.d.Helper(); w.flowAt(0) }
func (w *rows) flowAt(port int) {
	w.d.Helper()
	began := time.Now()
	w.d.await(fmt.Sprintf("writes to the primary (port %d)", port), func() error {
		taken := w.after(began)
		n := len(slices.DeleteFunc(slices.Clone(taken), func(r told) bool { return port != 0 && r.port != port }))
		if n >= flowing {
			return nil
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		return fmt.Errorf("%d of %d rows taken; %s", n, len(taken), last(w.errs))
	})
}

// gap is the longest time without a row around a moment.
func (w *rows) gap(at time.Time) time.Duration {
	var taken []time.Time
	for _, r := range w.after(w.d.began) {
		taken = append(taken, r.at)
	}
	return longestGap(taken, at)
}
