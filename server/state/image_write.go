package state

import (
	"encoding/binary"
	"fmt"
	"io"
	"iter"

	"github.com/lycaon-io/lycaon/session"
	"github.com/lycaon-io/lycaon/znode"
)

// WriteImage writes img to w, after a check that memory still holds what was
// frozen: a state that changed by itself is never written. The check calls pace
// as Scrub does; what follows is paced by w, which gets a block at a time.
func WriteImage(w io.Writer, img *Image, pace func() error) error {
	if err := img.Scrub(pace); err != nil {
		return err
	}
	x := imageWriter{blockWriter: blockWriter{w: w}}
	if err := x.write(img); err != nil {
		return fmt.Errorf("write the image of zxid %d: %w", img.zxid, err)
	}
	return nil
}

type imageWriter struct {
	blockWriter
	nodes nodeWriter
}

func (x *imageWriter) write(img *Image) error {
	if err := x.header(); err != nil {
		return err
	}
	if err := x.meta(img); err != nil {
		return err
	}
	nodes, err := records(x, sectionNodes, img.tree.All(), func(r znode.Record) { x.buf = x.nodes.append(x.buf, &r) })
	if err != nil {
		return err
	}
	sessions, err := records(x, sectionSessions, img.sessions.All(), func(r *session.Record) { x.buf = appendSession(x.buf, r) })
	if err != nil {
		return err
	}
	ended, err := records(x, sectionEnded, img.sessions.AllEnded(), func(e session.Ended) { x.buf = appendEnded(x.buf, &e) })
	if err != nil {
		return err
	}
	return x.footer(nodes, sessions, ended, img.digest)
}

// records writes a section in as many blocks as it takes, none if it is empty.
func records[R any](x *imageWriter, s section, all iter.Seq[R], add func(R)) (count uint64, err error) {
	x.open(s)
	for r := range all {
		add(r)
		x.records++
		count++
		if x.full() {
			if err := x.end(); err != nil {
				return 0, err
			}
			x.open(s)
		}
	}
	if x.records == 0 {
		return count, nil
	}
	return count, x.end()
}

func (x *imageWriter) open(s section) {
	x.begin(s)
	x.nodes.reset()
}

func (x *imageWriter) meta(img *Image) error {
	x.begin(sectionMeta)
	x.records = 1
	ended := 0
	for range img.sessions.AllEnded() {
		ended++
	}
	for _, v := range [...]uint64{
		img.zxid, uint64(img.clockMs), uint64(img.tree.Len()), uint64(img.sessions.Len()), uint64(ended),
	} {
		x.buf = binary.AppendUvarint(x.buf, v)
	}
	return x.end()
}

func (x *imageWriter) footer(nodes, sessions, ended, digest uint64) error {
	x.begin(sectionFooter)
	x.records = 1
	for _, v := range [...]uint64{nodes, sessions, ended, digest, uint64(x.bytes)} {
		x.buf = binary.BigEndian.AppendUint64(x.buf, v)
	}
	x.buf = binary.BigEndian.AppendUint32(x.buf, x.crc)
	return x.end()
}
