package protocol

import "github.com/lycaon-io/lycaon/znode"

// Negotiate returns the newest version that both sides speak.
func (h *Hello) Negotiate() (version uint8, ok bool) {
	return Version, h.MinVersion <= Version && Version <= h.MaxVersion
}

// AppendHello appends the frame of h, without the Magic that goes before.
func AppendHello(b []byte, h *Hello) []byte {
	b, start := beginFrame(b)
	b = appendArray(b, 11)
	b = appendUint(b, uint64(h.MinVersion))
	b = appendUint(b, uint64(h.MaxVersion))
	b = appendUint(b, uint64(h.Mode))
	b = appendText(b, h.Client, maxClientBytes)
	b = appendInt(b, h.TimeoutMs)
	b = appendUint(b, h.Session)
	b = appendBin(b, h.Password)
	b = appendUint(b, h.Attempt)
	b = appendUint(b, h.LastZxid)
	b = appendUint(b, h.Ack)
	b = appendArray(b, len(h.Credentials))
	for _, c := range h.Credentials {
		b = appendCredential(b, c)
	}
	return endFrame(b, start)
}

// Fits tells whether h is no more than a server takes of a connection that has
// proved nothing yet.
func (h *Hello) Fits() bool {
	return len(h.Credentials) <= maxCredentials && len(AppendHello(nil, h)) <= lengthBytes+PreHelloMaxFrame
}

// DecodeHello decodes what ReadFrame returned, into memory of its own. Of a
// Hello without a version in common it decodes the versions alone, since what
// follows them may mean something else.
func DecodeHello(frame []byte) (Hello, error) {
	d := newOwnedDecoder(frame)
	t := d.tuple()
	h := Hello{MinVersion: uint8(t.uintUpTo(0xff)), MaxVersion: uint8(t.uintUpTo(0xff))}
	if h.MinVersion > h.MaxVersion {
		d.fail("a least version above the greatest")
	}
	if _, ok := h.Negotiate(); ok {
		t.hello(&h)
	}
	t.end()
	return h, d.done()
}

func (t *tuple) hello(h *Hello) {
	h.Mode = HelloMode(t.uintUpTo(0xff))
	h.Client = t.optStr()
	h.TimeoutMs = t.optNatural()
	h.Session = t.optUint()
	h.Password = t.optBin()
	h.Attempt = t.optUint()
	h.LastZxid = t.optUint()
	h.Ack = t.optUint()
	if t.has() {
		for n := t.d.array(maxCredentials); n > 0 && t.d.err == nil; n-- {
			h.Credentials = append(h.Credentials, t.d.credential())
		}
	}
	switch {
	case h.Mode < HelloOpen || h.Mode > HelloGuest:
		t.d.fail("an unknown mode")
	case len(h.Client) > maxClientBytes:
		t.d.fail("a client name that is too long")
	case len(h.Password) > maxSecretBytes:
		t.d.fail("a password that is too long")
	}
}

func appendCredential(b []byte, c Credential) []byte {
	b = appendArray(b, 2)
	b = appendStr(b, c.Scheme)
	return appendBin(b, c.Data)
}

func (d *decoder) credential() Credential {
	t := d.tuple()
	c := Credential{Scheme: t.str(), Data: t.optBin()}
	t.end()
	return c
}

// AppendWelcome appends the frame of w.
func AppendWelcome(b []byte, w *Welcome) []byte {
	b, start := beginFrame(b)
	b = appendArray(b, 13)
	b = appendUint(b, uint64(w.Version))
	b = appendInt(b, int64(w.Code))
	b = appendText(b, w.Detail, maxDetailBytes)
	b = appendUint(b, w.ServerID)
	b = appendStr(b, w.Server)
	b = appendUint(b, w.Session)
	b = appendBin(b, w.Password)
	b = appendUint(b, w.Generation)
	b = appendInt(b, w.TimeoutMs)
	b = appendUint(b, w.Zxid)
	b = appendLimits(b, &w.Limits)
	b = AppendIdentities(b, w.Identities)
	b = appendUint(b, w.HighXid)
	return endFrame(b, start)
}

// DecodeWelcome decodes what ReadFrame returned, into memory of its own.
func DecodeWelcome(frame []byte) (Welcome, error) {
	d := newOwnedDecoder(frame)
	t := d.tuple()
	w := Welcome{
		Version:    uint8(t.uintUpTo(0xff)),
		Code:       t.code(),
		Detail:     t.optStr(),
		ServerID:   t.optUint(),
		Server:     t.optStr(),
		Session:    t.optUint(),
		Password:   t.optBin(),
		Generation: t.optUint(),
		TimeoutMs:  t.optNatural(),
		Zxid:       t.optUint(),
	}
	if t.has() {
		w.Limits = d.limits()
	}
	if t.has() {
		w.Identities = d.identities([]znode.Identity(nil))
	}
	w.HighXid = t.optUint()
	t.end()
	return w, d.done()
}

func appendLimits(b []byte, l *Limits) []byte {
	fields := l.fields()
	b = appendArray(b, len(fields))
	for _, v := range fields {
		b = appendUint(b, uint64(*v))
	}
	return b
}

// fields returns the limits in the order of the wire.
func (l *Limits) fields() [7]*uint32 {
	return [...]*uint32{
		&l.MaxFrame, &l.MaxData, &l.MaxOutstanding, &l.MaxOutcomes, &l.MaxOutcomeBytes, &l.MaxMultiOps, &l.MaxWatches,
	}
}

func (d *decoder) limits() (l Limits) {
	t := d.tuple()
	for _, v := range l.fields() {
		*v = uint32(t.optUintUpTo(1<<32 - 1))
	}
	t.end()
	return l
}
