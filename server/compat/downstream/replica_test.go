package downstream

import (
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/lycaon-io/lycaon/server/compat/rig"
)

const (
	clickHouse  = "/usr/sbin/clickhouse-server"
	sessionMs   = 4000
	queryWithin = 30 * time.Second
	answerBytes = 1 << 20
)

// replica is a ClickHouse server.
type replica struct {
	*program
	base   string
	client http.Client
}

// openReplicas starts two servers and waits until they answer.
func (r *run) openReplicas() (all []*replica) {
	ports := rig.Ports(r, 6)
	for i := range 2 {
		own := ports[3*i:]
		p := r.add(fmt.Sprintf("r%d", i+1), "clickhouse")
		config := r.configure(p, "clickhouse.xml", map[string]any{
			"HTTP": own[0], "TCP": own[1], "Interserver": own[2], "Dir": p.home, "Name": p.name,
			"Servers": r.servers(), "SessionMs": sessionMs, "Replicas": []int{ports[1], ports[4]},
		})
		r.configure(p, "users.xml", nil)
		p.Command = []string{clickHouse, "--config-file=" + config}
		r.start(p)
		all = append(all, &replica{program: p, base: "http://127.0.0.1:" + strconv.Itoa(own[0]), client: http.Client{
			Timeout:   queryWithin,
			Transport: &http.Transport{DisableKeepAlives: true}, // ClickHouse does not stop before its connections
		}})
	}
	for _, c := range all {
		r.await(c.name+" answers", func() error { return c.says("1", "SELECT 1") })
	}
	return all
}

// query returns the answer without its last line break. Settings are as in an address, "" for none.
func (r *replica) query(statement, settings string) (string, error) {
	res, err := r.client.Post(r.base+"/?"+settings, "text/plain", strings.NewReader(statement))
	if err != nil {
		return "", err
	}
	defer res.Body.Close()
	raw, err := io.ReadAll(io.LimitReader(res.Body, answerBytes))
	if err != nil {
		return "", err
	}
	answer := strings.TrimRight(string(raw), "\n")
	if res.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s: %.100s: %s", r.name, statement, answer)
	}
	return answer, nil
}

// says is nil if the answer is the one that is wanted, with commas between its columns.
func (r *replica) says(want, statement string) error {
	got, err := r.query(statement, "")
	if err != nil {
		return err
	}
	if got = strings.ReplaceAll(got, "\t", ","); got != want {
		return fmt.Errorf("%s: %.200s: %q instead of %q", r.name, statement, got, want)
	}
	return nil
}

func (r *replica) writable() error {
	return r.says("0", "SELECT is_readonly FROM system.replicas WHERE table = 'events'")
}

func (r *replica) insert(block []uint64, settings string) error {
	_, err := r.query("INSERT INTO events (id, name, square) VALUES "+values(block), settings)
	return err
}
