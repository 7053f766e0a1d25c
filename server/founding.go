package server

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// founder is a member of the cluster as it begins.
type founder struct {
	id   uint64
	addr string // of its peer port, as the others dial it
}

// maxFounders bounds the list; more voters than a handful only slow each other.
const maxFounders = 31

// founders reads "1=H:P,2=H:P" in the order of the ids. An empty list is none.
func founders(list string) ([]founder, error) {
	if list == "" {
		return nil, nil
	}
	var all []founder
	for entry := range strings.SplitSeq(list, ",") {
		f, err := readFounder(strings.TrimSpace(entry))
		if err != nil {
			return nil, err
		}
		for _, other := range all {
			if other.id == f.id {
				return nil, fmt.Errorf("server %d is listed twice", f.id)
			}
			if other.addr == f.addr {
				return nil, fmt.Errorf("servers %d and %d have the same address %s", other.id, f.id, f.addr)
			}
		}
		all = append(all, f)
	}
	if len(all) > maxFounders {
		return nil, fmt.Errorf("%d members: want at most %d", len(all), maxFounders)
	}
	slices.SortFunc(all, func(a, b founder) int { return cmp.Compare(a.id, b.id) })
	return all, nil
}

func readFounder(entry string) (founder, error) {
	id, addr, ok := strings.Cut(entry, "=")
	n, err := strconv.ParseUint(strings.TrimSpace(id), 10, 64)
	if !ok || err != nil {
		return founder{}, fmt.Errorf("member %q: want ID=HOST:PORT", entry)
	}
	if n < 1 || n > maxServerID {
		return founder{}, fmt.Errorf("member %q: want an id of 1 to %d", entry, maxServerID)
	}
	addr = strings.TrimSpace(addr)
	if err := checkReachable(addr); err != nil {
		return founder{}, fmt.Errorf("member %q: %w", entry, err)
	}
	return founder{n, addr}, nil
}

// checkReachable wants an address that others can dial.
func checkReachable(addr string) error {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return fmt.Errorf("want HOST:PORT")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return fmt.Errorf("port %q is not 1 to 65535", port)
	}
	if unspecified(host) {
		return fmt.Errorf("host %q is no address that another server can dial", host)
	}
	return nil
}

// unspecified tells a host that means every address of this machine.
func unspecified(host string) bool {
	if host == "" {
		return true
	}
	ip, err := netip.ParseAddr(host)
	return err == nil && ip.IsUnspecified()
}

// clusterOf names the cluster that these members found. It is the same on each
// of them before they have spoken to each other.
func clusterOf(members []founder) string {
	h := sha256.New()
	for _, m := range members {
		fmt.Fprintf(h, "%d=%s\n", m.id, m.addr)
	}
	const bytes = 16 // 26 letters, as in the name of a cluster that one server founds
	return base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(h.Sum(nil)[:bytes])
}

// members is the list of InitialCluster, empty for a server that begins alone.
func (c *Config) members() ([]founder, error) {
	all, err := founders(c.InitialCluster)
	if err != nil {
		return nil, fmt.Errorf("initial-cluster %q: %w", c.InitialCluster, err)
	}
	return all, nil
}

// own is this server's entry in the list, "" without one.
func own(members []founder, id uint64) string {
	for _, m := range members {
		if m.id == id {
			return m.addr
		}
	}
	return ""
}

// doors lists the peer addresses of Join.
func (c *Config) doors() ([]string, error) {
	if c.Join == "" {
		return nil, nil
	}
	var all []string
	for addr := range strings.SplitSeq(c.Join, ",") {
		addr = strings.TrimSpace(addr)
		if err := checkReachable(addr); err != nil {
			return nil, fmt.Errorf("join %q: address %q: %w", c.Join, addr, err)
		}
		all = append(all, addr)
	}
	return all, nil
}

// checkCluster wants a list that names this server, under the address that it
// gives of itself.
func (c *Config) checkCluster() error {
	members, err := c.members()
	if err != nil {
		return err
	}
	if _, err := c.doors(); err != nil {
		return err
	}
	named := own(members, c.ID)
	switch {
	case len(members) > 0 && named == "":
		return fmt.Errorf("initial-cluster %q does not name this server, id %d", c.InitialCluster, c.ID)
	case len(members) > 0 && c.Join != "":
		return fmt.Errorf("initial-cluster and join exclude each other: one founds a cluster, the other enters one")
	case named != "" && c.AdvertisePeerAddr != "" && named != c.AdvertisePeerAddr:
		return fmt.Errorf("initial-cluster %q gives this server another address than advertise-peer-addr, %s", c.InitialCluster, c.AdvertisePeerAddr)
	}
	return nil
}

// withPeerAddr fills in where to listen for the other servers, if nothing is
// said: where they were told to dial, else as at the last start.
func (c Config) withPeerAddr() Config {
	if c.PeerAddr != "" {
		return c
	}
	members, _ := c.members()
	if c.PeerAddr = own(members, c.ID); c.PeerAddr != "" {
		return c
	}
	c.PeerAddr = defaultPeerAddr
	if last, err := readMeta(c.DataDir); err == nil && last.ServerID == c.ID && last.PeerAddr != "" {
		c.PeerAddr, c.AdvertisePeerAddr = last.PeerAddr, cmp.Or(c.AdvertisePeerAddr, last.AdvertisePeerAddr)
	}
	return c
}

// advertisedPeer is where the other servers dial this one: "" for wherever it
// listens.
func (c *Config) advertisedPeer() string {
	if c.AdvertisePeerAddr != "" {
		return c.AdvertisePeerAddr
	}
	members, err := c.members()
	if err != nil {
		return ""
	}
	return own(members, c.ID)
}

// origin is where a server's cluster comes from, as its settings have it.
type origin struct {
	founders []founder // several found a cluster together
	doors    []string  // peer addresses at which to ask to be taken in
}

func (o origin) joins() bool { return len(o.doors) > 0 }

func (o origin) several() bool { return len(o.founders) > 1 }

// cluster is the id of the cluster at the first start: that of the list, which
// all founders know, else one of its own. Who joins is told later.
func (o origin) cluster() string {
	switch {
	case o.several():
		return clusterOf(o.founders)
	case o.joins():
		return ""
	}
	return rand.Text()
}

// check refuses a directory of another cluster than the settings name.
func (o origin) check(path string, m meta) error {
	switch {
	case o.several() && m.ClusterID == "":
		return fmt.Errorf("%w: %s was made to join a cluster, not to found one; give join instead of initial-cluster, or a new directory", ErrForeignData, path)
	case o.several() && m.ClusterID != clusterOf(o.founders):
		return fmt.Errorf("%w: %s is of cluster %s, which was not founded by this initial-cluster; leave it out for a server that has its cluster, and give one that has none an empty directory", ErrForeignData, path, m.ClusterID)
	case o.joins() && !m.together():
		return fmt.Errorf("%w: %s is of cluster %s, which it was not made to join; join wants a new directory", ErrForeignData, path, m.ClusterID)
	}
	return nil
}

// origin is what these settings, which have been validated, say of the cluster.
func (c *Config) origin() origin {
	members, _ := c.members()
	doors, _ := c.doors()
	return origin{founders: members, doors: doors}
}
