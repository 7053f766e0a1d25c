package digestmd5

import (
	"crypto/subtle"
	"encoding/base64"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/lycaon-io/lycaon/protocol"
)

// What every ZooKeeper client says whatever its server is called: the Java
// client and kazoo name no host in the digest-uri but this realm.
const (
	realm     = "zk-sasl-md5"
	digestURI = "zookeeper/zk-sasl-md5"
)

// The protection offered and the count of a nonce that serves once.
const (
	qop        = "auth"
	nonceCount = "00000001"
)

// nonceBytes make 40 characters of base64, ZooKeeper's own length.
const nonceBytes = 30

// step is what a Server waits for.
type step int

const (
	awaitStart step = iota
	awaitResponse
	finished
)

// Server is one exchange: an empty token, the challenge, the client's response
// and the answer to it. Its nonce serves one response, right or wrong; the
// next exchange is another Server's.
type Server struct {
	users  Users
	random io.Reader
	realm  string
	uri    string

	step  step
	nonce string
}

// New returns the server's side of one exchange. random must be fit for
// secrets: who can tell a nonce beforehand can replay a response.
func New(users Users, random io.Reader) *Server {
	return &Server{users: users, random: random, realm: realm, uri: digestURI}
}

// Next takes the client's token and returns what to answer. After done the
// client has proved to be user. An error wraps protocol.ErrAuthFailed, says to
// an operator why, and ends the exchange; the client should not be told.
func (s *Server) Next(token []byte) (answer []byte, user string, done bool, err error) {
	now := s.step
	s.step = finished
	switch now {
	case awaitStart:
		answer, err = s.challenge(token)
		return answer, "", false, err
	case awaitResponse:
		answer, user, err = s.respond(token)
		return answer, user, err == nil, err
	default:
		return nil, "", false, denied("a token after the end of the exchange")
	}
}

// challenge is worded as ZooKeeper words it. It leaves out the qop, which is
// auth then.
func (s *Server) challenge(token []byte) ([]byte, error) {
	if len(token) != 0 {
		return nil, denied("the first token has %d bytes, it must be empty", len(token))
	}
	var raw [nonceBytes]byte
	if _, err := io.ReadFull(s.random, raw[:]); err != nil {
		return nil, fmt.Errorf("%w: no nonce for DIGEST-MD5: %w", protocol.ErrAuthFailed, err)
	}
	s.nonce = base64.StdEncoding.EncodeToString(raw[:])
	s.step = awaitResponse
	return fmt.Appendf(nil, `realm="%s",nonce="%s",charset=utf-8,algorithm=md5-sess`, s.realm, s.nonce), nil
}

func (s *Server) respond(token []byte) ([]byte, string, error) {
	r, err := s.parseResponse(token)
	if err != nil {
		return nil, "", err
	}
	// An unknown name costs the same hashes as a known one.
	secret, known := s.users[r.user]
	for _, key := range keys(r.user, s.realm, secret) {
		matches := subtle.ConstantTimeCompare([]byte(r.proof), []byte(r.expected(key, "AUTHENTICATE")))
		if matches == 1 && known {
			return []byte("rspauth=" + r.expected(key, "")), r.user, nil
		}
	}
	return nil, "", denied("user %q with this password is not known", shortened(r.user))
}

// response is a client's response whose every field is what it must be, save
// the proof.
type response struct {
	user, nonce, cnonce, uri string
	authzid                  string // "" when absent
	proof                    string
}

func (s *Server) parseResponse(token []byte) (*response, error) {
	fields, err := parseDirectives(token)
	if err != nil {
		return nil, err
	}
	for _, want := range []struct{ name, value string }{
		{"realm", s.realm}, {"nonce", s.nonce}, {"nc", nonceCount}, {"qop", qop},
	} {
		if got, ok := fields[want.name]; !ok || got != want.value {
			return nil, denied("%s is %q, it must be %q", want.name, shortened(got), want.value)
		}
	}
	r := &response{
		user: fields["username"], nonce: s.nonce, cnonce: fields["cnonce"], uri: fields["digest-uri"],
		authzid: fields["authzid"], proof: fields["response"],
	}
	_, acts := fields["authzid"]
	charset, named := fields["charset"]
	switch {
	case r.user == "" || !utf8.ValidString(r.user):
		return nil, denied("username is %q, it must be a name in UTF-8", shortened(r.user))
	case acts && r.authzid != r.user:
		return nil, denied("user %q would act as %q", shortened(r.user), shortened(r.authzid))
	case r.cnonce == "":
		return nil, denied("there is no cnonce")
	case !strings.EqualFold(r.uri, s.uri):
		return nil, denied("digest-uri is %q, it must be %q", shortened(r.uri), s.uri)
	case named && !strings.EqualFold(charset, "utf-8"):
		return nil, denied("charset is %q, it must be utf-8", shortened(charset))
	case r.proof == "":
		return nil, denied("there is no response")
	}
	return r, nil
}

func denied(format string, args ...any) error {
	return fmt.Errorf("%w: DIGEST-MD5: %s", protocol.ErrAuthFailed, fmt.Sprintf(format, args...))
}

// shortened keeps a hostile field from filling a log.
func shortened(field string) string { return field[:min(len(field), 64)] }
