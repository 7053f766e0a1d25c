package server

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/client"
	"github.com/lycaon-io/lycaon/server/raftlog"
)

// used returns the configuration of a server that ran and stopped.
func used(t *testing.T) Config {
	t.Helper()
	cfg := local(t)
	s, err := Open(t.Context(), cfg)
	require.NoError(t, err)
	stop(t, s)
	return cfg
}

// refused wants Open to fail with want and to leave the data as it was.
func refused(t *testing.T, cfg Config, want error) {
	t.Helper()
	before := fingerprint(t, filepath.Dir(cfg.DataDir))
	s, err := Open(t.Context(), cfg)
	if err == nil {
		stop(t, s)
	}
	require.ErrorIs(t, err, want)
	require.Equal(t, before, fingerprint(t, filepath.Dir(cfg.DataDir)), "nothing is damaged")
}

func TestAPortInUseIsRefused(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	t.Run("of clients", func(t *testing.T) {
		cfg := used(t)
		cfg.ClientAddr = l.Addr().String()
		refused(t, cfg, ErrPortInUse)
	})
	t.Run("of http, on a first start", func(t *testing.T) {
		cfg := local(t)
		cfg.HTTPAddr = l.Addr().String()
		refused(t, cfg, ErrPortInUse)
		require.NoDirExists(t, cfg.DataDir)
	})
}

func TestADirectoryOfAnotherServerIsRefused(t *testing.T) {
	cfg := used(t)
	cfg.ID = 2
	refused(t, cfg, ErrForeignData)
}

func TestADirectoryOfSomethingElseIsRefused(t *testing.T) {
	cfg := local(t)
	require.NoError(t, os.MkdirAll(cfg.DataDir, 0o755))
	require.NoError(t, os.WriteFile(filepath.Join(cfg.DataDir, "thesis.txt"), []byte("years of work"), 0o644))
	refused(t, cfg, ErrForeignData)
}

func TestADirectoryWithoutItsIdentityIsRefused(t *testing.T) {
	cfg := used(t)
	require.NoError(t, os.Remove(filepath.Join(cfg.DataDir, metaName)))
	refused(t, cfg, ErrDamaged)
}

func TestADirectoryWithADamagedIdentityIsRefused(t *testing.T) {
	for name, content := range map[string]string{"empty": "", "cut": `{"format":1,"ser`, "no id": `{"format":1,"clusterId":"x"}`} {
		t.Run(name, func(t *testing.T) {
			cfg := used(t)
			require.NoError(t, os.WriteFile(filepath.Join(cfg.DataDir, metaName), []byte(content), 0o600))
			refused(t, cfg, ErrDamaged)
		})
	}
}

func TestADirectoryOfANewerVersionIsRefused(t *testing.T) {
	cfg := used(t)
	name := filepath.Join(cfg.DataDir, metaName)
	raw, err := os.ReadFile(name)
	require.NoError(t, err)
	newer := strings.Replace(string(raw), `"format": 1`, `"format": 2`, 1)
	require.NotEqual(t, string(raw), newer)
	require.NoError(t, os.WriteFile(name, []byte(newer), 0o600))
	refused(t, cfg, ErrNewerFormat)
}

func TestADirectoryInUseIsRefused(t *testing.T) {
	cfg := local(t)
	s := start(t, cfg)
	dir := fingerprint(t, filepath.Join(cfg.DataDir, snapshotsName))
	_, err := Open(t.Context(), cfg)
	require.ErrorIs(t, err, ErrLocked)
	require.Equal(t, dir, fingerprint(t, filepath.Join(cfg.DataDir, snapshotsName)))
	require.NoError(t, s.node.Condition(), "and goes on")
}

func TestAnUnwritableDirectoryIsRefused(t *testing.T) {
	cfg := local(t)
	blocker := filepath.Dir(cfg.DataDir)
	cfg.DataDir = filepath.Join(blocker, "file", "data")
	require.NoError(t, os.WriteFile(filepath.Join(blocker, "file"), nil, 0o600))
	s, err := Open(t.Context(), cfg)
	if err == nil {
		stop(t, s)
	}
	require.ErrorIs(t, err, ErrUnwritable)
}

func TestADamagedLogIsRefused(t *testing.T) {
	cfg := used(t)
	guard := ""
	require.NoError(t, filepath.WalkDir(filepath.Join(cfg.DataDir, logName), func(path string, e os.DirEntry, err error) error {
		if err == nil && strings.Contains(e.Name(), "guard") {
			guard = path
		}
		return err
	}))
	require.NotEmpty(t, guard)
	require.NoError(t, os.Remove(guard))
	s, err := Open(t.Context(), cfg)
	if err == nil {
		stop(t, s)
	}
	require.ErrorIs(t, err, ErrDamaged)
	require.ErrorIs(t, err, raftlog.ErrBehindGuard)
	require.ErrorContains(t, err, "repair:")
}

func TestSettingsThatCannotBeAreNamed(t *testing.T) {
	for names, spoil := range map[string]func(*Config){
		"id 0":                                  func(c *Config) { c.ID = 0 },
		"id 255":                                func(c *Config) { c.ID = 255 },
		"data-dir":                              func(c *Config) { c.DataDir = "" },
		"client-addr \"x\"":                     func(c *Config) { c.ClientAddr = "x" },
		"http-addr \"h:99999\"":                 func(c *Config) { c.HTTPAddr = "h:99999" },
		"client-addr and peer-addr are both":    func(c *Config) { c.ClientAddr, c.PeerAddr = "h:1", "h:1" },
		"peer-addr \"x\"":                       func(c *Config) { c.PeerAddr = "x" },
		"advertise-peer-addr":                   func(c *Config) { c.PeerAddr, c.InsecurePeers = ":2888", true },
		"advertise-client-addr \"h:0\": port":   func(c *Config) { c.AdvertiseClientAddr = "h:0" },
		"does not name this server":             func(c *Config) { c.InitialCluster = "2=127.0.0.1:2888" },
		"another address than advertise":        func(c *Config) { c.InitialCluster, c.AdvertisePeerAddr = "1=127.0.0.1:9", "127.0.0.1:8" },
		"want ID=HOST:PORT":                     func(c *Config) { c.InitialCluster = "myself" },
		"\"2=0.0.0.0:1\": host \"0.0.0.0\"":     func(c *Config) { c.InitialCluster = "1=h:1,2=0.0.0.0:1" },
		"server 2 is listed twice":              func(c *Config) { c.InitialCluster = "1=h:1,2=h:2,2=h:3" },
		"servers 1 and 2 have the same address": func(c *Config) { c.InitialCluster = "1=h:1,2=h:1" },
		"want an id of 1 to 254":                func(c *Config) { c.InitialCluster = "1=h:1,300=h:2" },
		"want at most 31":                       func(c *Config) { c.InitialCluster = crowd(32) },
		"exclude each other":                    func(c *Config) { c.InitialCluster, c.Join = "1=h:1", "h:2" },
		"join \"h\"":                            func(c *Config) { c.Join = "h" },
		"peer-cert, peer-key and peer-ca":       func(c *Config) { c.PeerCert = os.Args[0] },
		"/no/ca":                                func(c *Config) { c.PeerCert, c.PeerKey, c.PeerCA = os.Args[0], os.Args[0], "/no/ca" },
		"insecure-peers and peer-cert": func(c *Config) {
			c.PeerCert, c.PeerKey, c.PeerCA, c.InsecurePeers = os.Args[0], os.Args[0], os.Args[0], true
		},
		"min-session-timeout":                     func(c *Config) { c.MinSessionTimeout = 0 },
		"max-session-timeout 1ms":                 func(c *Config) { c.MaxSessionTimeout = 1e6 },
		"tick 0s":                                 func(c *Config) { c.Tick = 0 },
		"tick 1m0.001s: want at most max-session": func(c *Config) { c.Tick = c.MaxSessionTimeout + 1e6 },
		"super-digest":                            func(c *Config) { c.SuperDigest = "super:password" },
		"max-connections -1: want 1 or more, or":  func(c *Config) { c.MaxConnections = -1 },
		"max-connections-per-ip -1: want 1":       func(c *Config) { c.MaxConnectionsPerIP = -1 },
		"snapshot-bytes 5":                        func(c *Config) { c.SnapshotBytes = 5 },
		"client-cert and client-key":              func(c *Config) { c.ClientCert = "x" },
		"client-ca wants client-cert":             func(c *Config) { c.ClientCA = "x" },
		"client-cert /no/cert, client-key /no/k":  func(c *Config) { c.ClientCert, c.ClientKey = "/no/cert", "/no/k" },
	} {
		t.Run(names, func(t *testing.T) {
			cfg := local(t)
			spoil(&cfg)
			_, err := Open(t.Context(), cfg)
			require.ErrorIs(t, err, ErrConfig)
			require.ErrorContains(t, err, names)
			if cfg.DataDir != "" {
				require.NoDirExists(t, cfg.DataDir)
			}
		})
	}
	cfg := local(t)
	cfg.InitialCluster = " 3=[fd00::3]:2888, 1=localhost:2888,2=h:2888"
	cfg.SuperDigest = "super:xQJmxLMiHGwaqBvst5y6rkB6HQs="
	require.NoError(t, cfg.Validate())
}

// crowd is a list of n members.
func crowd(n int) string {
	var list []string
	for id := range n {
		list = append(list, fmt.Sprintf("%d=h:%d", id+1, id+1))
	}
	return strings.Join(list, ",")
}

func TestAStartThatIsGivenUpLeavesNothingRunning(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	cfg := local(t)
	_, err := Open(ctx, cfg)
	if err == nil {
		t.Skip("the start was faster than its end")
	}
	require.ErrorIs(t, err, context.Canceled)
	start(t, cfg)
}

func TestARestoredDirectoryWithoutItsSnapshotIsRefused(t *testing.T) {
	s := start(t, local(t))
	file := save(t, s)
	cfg := local(t)
	_, err := RestoreSnapshot(t.Context(), file, cfg)
	require.NoError(t, err)
	require.NoError(t, os.RemoveAll(filepath.Join(cfg.DataDir, snapshotsName)))
	_, err = Open(t.Context(), cfg)
	require.ErrorIs(t, err, ErrDamaged)
}

// A file whose checksums are right may still not be the state it says it is.
func TestABackupOfAnotherDigestMakesNothing(t *testing.T) {
	file := save(t, start(t, local(t)))
	image, err := os.ReadFile(file)
	require.NoError(t, err)
	const headLen, footerLen, digestAt = 13, 44, 24
	footer := image[len(image)-headLen-footerLen:]
	footer[headLen+digestAt] ^= 1
	table := crc32.MakeTable(crc32.Castagnoli)
	binary.BigEndian.PutUint32(footer[headLen-4:], crc32.Update(crc32.Checksum(footer[:headLen-4], table), table, footer[headLen:]))
	require.NoError(t, os.WriteFile(file, image, 0o600))
	_, err = InspectSnapshot(file)
	require.ErrorIs(t, err, ErrDamaged)
	require.ErrorContains(t, err, "digest")
	cfg := local(t)
	_, err = RestoreSnapshot(t.Context(), file, cfg)
	require.ErrorIs(t, err, ErrDamaged)
	require.NoDirExists(t, cfg.DataDir)
}

// save writes the state of s into a file.
func save(t *testing.T, s *Server) string {
	t.Helper()
	admin, err := client.OpenGuest(t.Context(), []string{s.ClientAddr().String()}, client.WithCredentials(client.AdminToken(s.dir.token)))
	require.NoError(t, err)
	defer admin.Abandon()
	file := filepath.Join(t.TempDir(), "saved")
	out, err := os.Create(file)
	require.NoError(t, err)
	_, err = admin.Snapshot(t.Context(), out)
	require.NoError(t, err)
	require.NoError(t, out.Close())
	return file
}

// A log that is not there is not an empty one: the disk that it lies on may
// not be mounted.
func TestADirectoryWithoutItsLogIsRefused(t *testing.T) {
	for name, lose := range map[string]func(log string) error{
		"missing": os.RemoveAll,
		"empty":   func(log string) error { return errors.Join(os.RemoveAll(log), os.Mkdir(log, 0o700)) },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := used(t)
			require.NoError(t, lose(filepath.Join(cfg.DataDir, logName)))
			refused(t, cfg, ErrDamaged)
		})
	}
}
