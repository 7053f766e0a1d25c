package downstream

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/server/compat/rig"
)

const (
	prometheus = "/usr/bin/prometheus"
	nobody     = "nobody"
)

// discovery is a Prometheus that finds what it asks for figures among the members
// of a serverset in the tree. It speaks go-zookeeper.
type discovery struct {
	*run
	prometheus *program
	targets    string // address of its list
	members    map[int]*program
}

func TestPrometheus(t *testing.T) {
	r := begin(t, need{prometheus, "prometheus"}, need{python, "python3"}, need{kazoo, "python3-kazoo"})
	ports := rig.Ports(r, 1)
	d := &discovery{run: r, members: map[int]*program{}, prometheus: r.add("prometheus", nobody),
		targets: fmt.Sprintf("http://127.0.0.1:%d/api/v1/targets?state=active", ports[0])}
	d.join(1)
	d.join(2)
	config := r.configure(d.prometheus, "prometheus.yml", map[string]any{"Servers": r.servers()})
	d.prometheus.Command = []string{prometheus, "--config.file", config, "--storage.tsdb.path", filepath.Join(d.prometheus.home, "data"),
		"--web.listen-address", fmt.Sprintf("127.0.0.1:%d", ports[0])}
	r.start(d.prometheus)
	d.finds("it finds both members", 1, 2)
	d.leaves()
	d.serverDies("the server of Prometheus", d.connected(d.prometheus), 3)
	d.serverDies("the leader", d.ensemble.Leader(), 4)
	d.serverHangs(5)
	d.dies()
}

func (d *discovery) leaves() {
	d.members[2].Signal(syscall.SIGTERM)
	d.finds("a member left", 1)
}

func (d *discovery) dies() {
	d.members[3].Kill()
	d.finds("a member was killed", 1, 4, 5)
}

// serverDies kills a server of the ensemble, and a member joins then.
func (d *discovery) serverDies(which string, victim, joins int) {
	done := d.keeps()
	defer done()
	d.ensemble.Kill9(victim)
	d.join(joins)
	d.finds(fmt.Sprintf("%s was killed (server %d), and a member joined", which, victim), d.joined()...)
	d.ensemble.Restart(victim)
}

func (d *discovery) serverHangs(joins int) {
	done := d.keeps()
	defer done()
	victim := d.connected(d.prometheus)
	d.ensemble.Pause(victim)
	d.join(joins)
	d.finds(fmt.Sprintf("the server of Prometheus hung (server %d), and a member joined", victim), d.joined()...)
	d.ensemble.Resume(victim)
	d.ensemble.Await(victim)
}

// join starts a member, whose port is its number: nobody listens there.
func (d *discovery) join(port int) {
	m := d.add(fmt.Sprintf("member%d", port), nobody)
	m.Command = []string{python, d.configure(m, "member.py", nil), d.ensemble.Connect(), strconv.Itoa(port)}
	d.start(m)
	d.members[port] = m
}

// joined are the members that run.
func (d *discovery) joined() (ports []int) {
	for port, m := range d.members {
		if !m.Ended() {
			ports = append(ports, port)
		}
	}
	slices.Sort(ports)
	return ports
}

// finds waits until Prometheus knows these members and no others.
func (d *discovery) finds(what string, want ...int) {
	d.Helper()
	began := time.Now()
	d.await(what, func() error {
		got, err := d.found()
		if err == nil && !slices.Equal(got, want) {
			err = fmt.Errorf("%d instead of %d", got, want)
		}
		return err
	})
	d.ok("%s: members %d after %v", what, want, since(began))
}

// found are the ports that Prometheus knows of.
func (d *discovery) found() (ports []int, err error) {
	client := http.Client{Timeout: queryWithin}
	res, err := client.Get(d.targets)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	var answer struct {
		Data struct {
			ActiveTargets []struct {
				DiscoveredLabels map[string]string
			}
		}
	}
	if err := json.NewDecoder(io.LimitReader(res.Body, answerBytes)).Decode(&answer); err != nil {
		return nil, err
	}
	for _, t := range answer.Data.ActiveTargets {
		port, err := strconv.Atoi(t.DiscoveredLabels["__meta_serverset_endpoint_port"])
		if err != nil {
			return nil, err
		}
		ports = append(ports, port)
	}
	slices.Sort(ports)
	return ports, nil
}

// keeps watches until it is done that Prometheus forgets none of the members of now.
func (d *discovery) keeps() (done func()) {
	must := d.joined()
	stop := make(chan struct{})
	var wg sync.WaitGroup
	var failed error
	wg.Go(func() {
		for tick := time.NewTicker(pollEvery); ; <-tick.C {
			select {
			case <-stop:
				return
			default:
			}
			got, err := d.found()
			if missing := slices.DeleteFunc(slices.Clone(must), func(p int) bool { return slices.Contains(got, p) }); len(missing) > 0 {
				failed = errors.Join(err, fmt.Errorf("members %d were forgotten", missing))
				return
			}
		}
	})
	return func() {
		close(stop)
		wg.Wait()
		require.NoError(d, failed)
	}
}
