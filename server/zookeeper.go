package server

import (
	"io/fs"
	"net"
	"path/filepath"
	"strconv"

	"github.com/lycaon-io/lycaon/server/front/zk"
	"github.com/lycaon-io/lycaon/server/front/zk/digestmd5"
)

// zooKeeper makes the protocol of ZooKeeper's clients.
func (s *Server) zooKeeper() (*zk.ZooKeeper, error) {
	words, err := zk.ParseWords(s.cfg.FourLetterWords)
	if err != nil {
		return nil, err
	}
	cfg := zk.Config{
		Status: s.Status, Members: s.Members, ChangeMember: s.ChangeMember,
		Words: words, Settings: s.zooKeeperSettings(), DataDir: s.dataDirBytes,
	}
	if s.cfg.SASLUsers != "" {
		if cfg.Users, err = digestmd5.OpenFile(s.cfg.SASLUsers, s.log); err != nil {
			return nil, err
		}
	}
	return zk.New(cfg), nil
}

// zooKeeperSettings are ours under the names that ZooKeeper has for them.
func (s *Server) zooKeeperSettings() []zk.Setting {
	_, port, _ := net.SplitHostPort(s.clients.Addr().String())
	secure := "-1"
	if s.cfg.ClientCert != "" {
		secure = port // TLS is on the same port
	}
	perClient := s.mostClients // of one address are no more either
	if most := s.cfg.MaxConnectionsPerIP; most > 0 && (most < perClient || perClient == 0) {
		perClient = most
	}
	return []zk.Setting{
		{Key: "clientPort", Value: port},
		{Key: "secureClientPort", Value: secure},
		{Key: "dataDir", Value: s.dir.path},
		{Key: "dataLogDir", Value: s.dir.path},
		{Key: "tickTime", Value: strconv.FormatInt(s.cfg.Tick.Milliseconds(), 10)},
		{Key: "maxClientCnxns", Value: strconv.Itoa(perClient)},
		{Key: "minSessionTimeout", Value: strconv.FormatInt(s.cfg.MinSessionTimeout.Milliseconds(), 10)},
		{Key: "maxSessionTimeout", Value: strconv.FormatInt(s.cfg.MaxSessionTimeout.Milliseconds(), 10)},
		{Key: "serverId", Value: strconv.FormatUint(s.cfg.ID, 10)},
	}
}

func (s *Server) dataDirBytes() (bytes int64) {
	filepath.WalkDir(s.dir.path, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return nil // what went meanwhile does not count
		}
		if info, err := entry.Info(); err == nil {
			bytes += info.Size()
		}
		return nil
	})
	return bytes
}
