package server

import (
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/lycaon-io/lycaon/server/raftlog"
)

// What lies in a data directory beside what package raftlog keeps there.
const (
	metaName      = "meta.json"
	lockName      = "lock"
	tokenName     = "admin.token"
	logName       = "log"
	snapshotsName = "snapshots"

	dataFormat = 1
	tokenBytes = 32
)

// meta is the identity of a data directory. It is written at the first start,
// before the log is made and after.
type meta struct {
	Format    int    `json:"format"`
	ServerID  uint64 `json:"serverId"`
	ClusterID string `json:"clusterId"`         // "" of a server that joins, until it knows
	DataID    string `json:"dataId,omitempty"`  // of this directory alone: one that was wiped has another
	Joined    bool   `json:"joined,omitempty"`  // made to enter a cluster, not to found one
	Several   bool   `json:"several,omitempty"` // made to found a cluster with others
	Logged    bool   `json:"logged,omitempty"`  // there is a log: one that is missing has been lost

	// The settings of the same names at the last start: who is started without
	// them stays where the others know it.
	PeerAddr          string `json:"peerAddr,omitempty"`
	AdvertisePeerAddr string `json:"advertisePeerAddr,omitempty"`
}

// together tells that the directory was made for one of several servers.
func (m meta) together() bool { return m.Joined || m.Several }

// dataDir is a data directory that this process holds.
type dataDir struct {
	path  string
	lock  *os.File
	meta  meta
	token string // possession of it is the superuser's identity
}

func (d *dataDir) join(name string) string { return filepath.Join(d.path, name) }

// openDataDir takes the directory for this process, and makes it a server's on
// its first start. A directory that is not ours is left as it was found.
func openDataDir(path string, id uint64, from origin) (_ *dataDir, err error) {
	if err := makeDir(path); err != nil {
		return nil, err
	}
	if err := inspectDir(path, id, from); err != nil {
		return nil, err
	}
	d := &dataDir{path: path}
	if d.lock, err = inherit(ErrLocked, func() (*os.File, error) { return lockDir(path) }); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			d.close()
		}
	}()
	// Another process may have made it a server's between the look and the lock.
	if err := inspectDir(path, id, from); err != nil {
		return nil, err
	}
	if d.meta, err = readMeta(path); errors.Is(err, fs.ErrNotExist) {
		d.meta, err = meta{Format: dataFormat, ServerID: id, ClusterID: from.cluster(), Joined: from.joins(), Several: from.several()}, nil
	}
	if err == nil && d.meta.DataID == "" { // new, or of a version that had none
		d.meta.DataID = rand.Text()
		err = writeMeta(path, d.meta)
	}
	if err == nil {
		d.token, err = adminToken(d.join(tokenName))
	}
	if err != nil {
		return nil, unwritable(path, err)
	}
	return d, nil
}

func (d *dataDir) close() error { return d.lock.Close() }

// enterCluster remembers the cluster that has taken this server in.
func (d *dataDir) enterCluster(cluster string) error {
	if d.meta.ClusterID == cluster {
		return nil
	}
	if d.meta.ClusterID != "" {
		return fmt.Errorf("%w: %s is of cluster %s, not of %s", ErrForeignData, d.path, d.meta.ClusterID, cluster)
	}
	d.meta.ClusterID = cluster
	if err := writeMeta(d.path, d.meta); err != nil {
		return unwritable(d.path, err)
	}
	return nil
}

// noteLog remembers that the directory has its log.
func (d *dataDir) noteLog() error {
	if d.meta.Logged {
		return nil
	}
	d.meta.Logged = true
	if err := writeMeta(d.path, d.meta); err != nil {
		return unwritable(d.path, err)
	}
	return nil
}

// notePeer remembers where this server listens for the others, and where they
// dial it.
func (d *dataDir) notePeer(listen, dial string) error {
	if d.meta.PeerAddr == listen && d.meta.AdvertisePeerAddr == dial {
		return nil
	}
	d.meta.PeerAddr, d.meta.AdvertisePeerAddr = listen, dial
	if err := writeMeta(d.path, d.meta); err != nil {
		return unwritable(d.path, err)
	}
	return nil
}

func makeDir(path string) error {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return unwritable(path, err)
	}
	if err := unix.Access(path, unix.W_OK|unix.X_OK); err != nil {
		return unwritable(path, err)
	}
	return nil
}

func unwritable(path string, err error) error {
	if raftlog.FullDisk(err) {
		return fmt.Errorf("%w: %s: %w", ErrDiskFull, path, err)
	}
	return fmt.Errorf("%w: %s: %w", ErrUnwritable, path, err)
}

// inspectDir tells whether a server of this id and origin may use the
// directory.
func inspectDir(path string, id uint64, from origin) error {
	m, err := readMeta(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return inspectNewDir(path)
	case err != nil:
		return fmt.Errorf("%w: %s: %w; it is the identity of the directory: restore a backup into a new one", ErrDamaged, filepath.Join(path, metaName), err)
	case m.Format > dataFormat:
		return fmt.Errorf("%w: %s has format %d, this version knows %d", ErrNewerFormat, path, m.Format, dataFormat)
	case m.ServerID != id:
		return fmt.Errorf("%w: %s is of server %d, this is server %d", ErrForeignData, path, m.ServerID, id)
	case from.check(path, m) != nil:
		return from.check(path, m)
	case m.Logged && !raftlog.Exists(filepath.Join(path, logName)):
		return fmt.Errorf("%w: %s had a log, which is missing; is its disk mounted? else restore a backup into a new directory", ErrDamaged, filepath.Join(path, logName))
	}
	return nil
}

// inspectNewDir wants a directory without an identity to be empty, but for
// what a first start leaves that was cut short.
func inspectNewDir(path string) error {
	entries, err := os.ReadDir(path)
	if err != nil {
		return unwritable(path, err)
	}
	for _, e := range entries {
		switch name := e.Name(); {
		case name == lockName, strings.HasPrefix(name, metaName+".tmp"):
		case name == tokenName, name == logName, name == snapshotsName: // made after the identity
			return fmt.Errorf("%w: %s is missing beside %s; restore a backup into a new directory", ErrDamaged, filepath.Join(path, metaName), filepath.Join(path, name))
		default:
			return fmt.Errorf("%w: %s is not empty and holds no server's data (%s)", ErrForeignData, path, name)
		}
	}
	return nil
}

func lockDir(path string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(path, lockName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, unwritable(path, err)
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		f.Close()
		if errors.Is(err, unix.EWOULDBLOCK) {
			return nil, fmt.Errorf("%w: %s", ErrLocked, path)
		}
		return nil, unwritable(path, err)
	}
	return f, nil
}

func readMeta(path string) (m meta, err error) {
	raw, err := os.ReadFile(filepath.Join(path, metaName))
	if err != nil {
		return m, err
	}
	if err := json.Unmarshal(raw, &m); err != nil {
		return m, err
	}
	// A server that joins knows no cluster yet, but its own data.
	if m.Format < 1 || m.ServerID == 0 || m.ClusterID == "" && m.DataID == "" {
		return m, errors.New("format, serverId and clusterId must be set")
	}
	return m, nil
}

func writeMeta(path string, m meta) error {
	raw, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	return writeFile(filepath.Join(path, metaName), append(raw, '\n'))
}

// writeFile puts a file in place whole and durable, or not at all.
func writeFile(name string, data []byte) error {
	tmp := name + ".tmp"
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(tmp, name)
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp))
	}
	return syncDir(filepath.Dir(name))
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// adminToken reads the secret, made at the first start.
func adminToken(file string) (string, error) {
	raw, err := os.ReadFile(file)
	if err == nil && len(strings.TrimSpace(string(raw))) >= tokenBytes {
		return strings.TrimSpace(string(raw)), nil
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", err
	}
	var secret [tokenBytes]byte
	rand.Read(secret[:])
	token := hex.EncodeToString(secret[:])
	return token, writeFile(file, []byte(token+"\n"))
}
