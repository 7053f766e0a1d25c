package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"sync/atomic"
	"time"
)

const zkGetChildren = 8

// ask sends one request and awaits its answer.
func (p *zkPipe) ask(op uint32, body []byte) error {
	p.request(op, body, 1)
	return errors.Join(p.flush(), p.receive())
}

func dialZKPipe(addr string) (*zkPipe, error) {
	p, err := dialZK(addr)
	if err != nil {
		return nil, err
	}
	return p.(*zkPipe), nil
}

func zkSessions(s *stage) (string, error) {
	begin := time.Now()
	err := eachOf(churners, func(i int) error {
		for range churns {
			p, err := dialZKPipe(s.at(i))
			if err != nil {
				return err
			}
			if err := p.ask(zkCreate, p.zkSession.create(fmt.Sprintf("/e%d", i), nil, zkEphemeral)); err != nil {
				return err
			}
			p.Close()
		}
		return nil
	})
	return toldSessions(begin), err
}

// zkWatchers sets every watch anew after each change, outside the time taken:
// it is told once.
func zkWatchers(s *stage) (string, error) {
	writer, err := dialZKPipe(s.at(0))
	if err != nil {
		return "", err
	}
	defer writer.Close()
	if err := writer.ask(zkCreate, writer.zkSession.create("/watched", nil, 0)); err != nil {
		return "", err
	}
	watch := append(zkString(nil, "/watched"), 1)
	pipes := make([]*zkPipe, watchers)
	if err := eachOf(watchers, func(i int) (err error) {
		pipes[i], err = dialZKPipe(s.at(i))
		return err
	}); err != nil {
		return "", err
	}
	var took []time.Duration
	for range changes {
		if err := eachOf(watchers, func(i int) error { return pipes[i].ask(zkExists, watch) }); err != nil {
			return "", err
		}
		told := make(chan error, watchers)
		for _, p := range pipes {
			go func() { told <- p.event() }()
		}
		begin := time.Now()
		set := binary.BigEndian.AppendUint32(zkBytes(zkString(nil, "/watched"), []byte("changed")), ^uint32(0))
		if err := writer.ask(zkSetData, set); err != nil {
			return "", err
		}
		for range watchers {
			if err := <-told; err != nil {
				return "", err
			}
		}
		took = append(took, time.Since(begin))
	}
	return toldWatchers(took), eachOf(watchers, func(i int) error { return pipes[i].Close() })
}

// event reads one frame, which no request asked for.
func (p *zkPipe) event() error {
	var head [4]byte
	if _, err := io.ReadFull(p.in, head[:]); err != nil {
		return err
	}
	_, err := p.in.Discard(int(binary.BigEndian.Uint32(head[:])))
	return err
}

func zkListing(s *stage) (string, error) {
	p, err := dialZKPipe(s.at(0))
	if err != nil {
		return "", err
	}
	defer p.Close()
	if err := p.ask(zkCreate, p.zkSession.create("/many", nil, 0)); err != nil {
		return "", err
	}
	if err := zkFill(s, children, child, nil); err != nil {
		return "", err
	}
	begin := time.Now()
	err = eachOf(listers, func(i int) error {
		p, err := dialZKPipe(s.at(i))
		if err != nil {
			return err
		}
		defer p.Close()
		for range lists {
			if err := p.ask(zkGetChildren, append(zkString(nil, "/many"), 0)); err != nil {
				return err
			}
		}
		return nil
	})
	return toldListing(begin), err
}

func zkCreation(s *stage) (string, error) {
	p, err := dialZKPipe(s.at(0))
	if err != nil {
		return "", err
	}
	defer p.Close()
	if err := p.ask(zkCreate, p.zkSession.create("/fill", nil, 0)); err != nil {
		return "", err
	}
	for d := range (s.nodes + fan - 1) / fan {
		if err := p.ask(zkCreate, p.zkSession.create(directory(d), nil, 0)); err != nil {
			return "", err
		}
	}
	begin := time.Now()
	err = zkFill(s, s.nodes, leaf, make([]byte, 100))
	return s.toldCreate(begin), err
}

// zkFill creates count nodes, pipelined on 32 connections.
func zkFill(s *stage, count int, path func(i int) string, data []byte) error {
	const conns, depth = 32, 32
	var next atomic.Int64
	return eachOf(conns, func(i int) error {
		p, err := dialZKPipe(s.at(i))
		if err != nil {
			return err
		}
		defer p.Close()
		for done := false; !done || p.acks < p.sent; {
			for !done && p.sent-p.acks < depth {
				i := int(next.Add(1)) - 1
				if done = i >= count; !done {
					p.create(path(i), data)
				}
			}
			if err := p.flush(); err != nil {
				return err
			}
			for first := true; p.acks < p.sent && (first || p.buffered()); first = false {
				if err := p.receive(); err != nil {
					return err
				}
			}
		}
		return nil
	})
}
