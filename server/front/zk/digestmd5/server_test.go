package digestmd5

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/lycaon-io/lycaon/protocol"
)

var known = Users{
	"bob":   protocol.Secret("bobsecret"),
	"zoë":   protocol.Secret(`pä"ss\w`),
	`b"o\b`: protocol.Secret(`x"y\z`),
	"日本":    protocol.Secret("ひみつ"),
}

// challenged returns a server that has sent the nonce.
func challenged(t *testing.T, nonce string) *Server {
	t.Helper()
	raw, err := base64.StdEncoding.DecodeString(nonce)
	require.NoError(t, err)
	s := New(known, bytes.NewReader(raw))
	answer, user, done, err := s.Next(nil)
	require.NoError(t, err)
	require.Equal(t, `realm="zk-sasl-md5",nonce="`+nonce+`",charset=utf-8,algorithm=md5-sess`, string(answer))
	require.Empty(t, user)
	require.False(t, done)
	return s
}

// What clients said to a ZooKeeper 3.8.0, and what it answered. Where rspauth
// is empty it did not know the user, whose password is ours here.
var captured = []struct {
	name, user, nonce, response, rspauth string
}{
	{
		name: "kazoo", user: "bob", nonce: "WlaWr8DEXPHGtcuA0wWmCUkClvxBjr7FA84tiuiV",
		response: `qop=auth,realm="zk-sasl-md5",username="bob",nonce="WlaWr8DEXPHGtcuA0wWmCUkClvxBjr7FA84tiuiV",cnonce="3557239230786178",nc=00000001,digest-uri="zookeeper/zk-sasl-md5",response=613a291c1de1c4263c0ad99eede2dd43`,
		rspauth:  "c833a5ef5bf6a039b3dbf7cb55f71b06",
	},
	{
		name: "kazoo with quotes and backslashes", user: `b"o\b`, nonce: "H2nYFdl4LRNwdpe7juTCxBtAdKB7lecwLXB0/2t/",
		response: `qop=auth,realm="zk-sasl-md5",username="b\"o\\b",nonce="H2nYFdl4LRNwdpe7juTCxBtAdKB7lecwLXB0/2t/",cnonce="6407039858649556",nc=00000001,digest-uri="zookeeper/zk-sasl-md5",response=a5276196fd3ac643d74d19c7cc9438a9`,
	},
	{
		name: "kazoo, which hashes letters of Latin 1 in UTF-8", user: "zoë", nonce: "0gkz2Iu8UsNh2bqjAlv9ACkV9gslnU5k0/DVGis6",
		response: `qop=auth,realm="zk-sasl-md5",username="zoë",nonce="0gkz2Iu8UsNh2bqjAlv9ACkV9gslnU5k0/DVGis6",cnonce="6202254199550036",nc=00000001,digest-uri="zookeeper/zk-sasl-md5",response=dbe6b12e1b87e9d7fc71d24723ab345a`,
	},
	{
		name: "Java", user: "bob", nonce: "lOTMgm8TXb4cUVu0P/SPZO5C+1a23nuglcj/1gly",
		response: `charset=utf-8,username="bob",realm="zk-sasl-md5",nonce="lOTMgm8TXb4cUVu0P/SPZO5C+1a23nuglcj/1gly",nc=00000001,cnonce="Cnz8RW3DE6/EqKkV6QEocqZUy/JH8IURzN9nFT6n",digest-uri="zookeeper/zk-sasl-md5",maxbuf=65536,response=6afe7f830e946d3691294bdc3221a810,qop=auth,authzid="bob"`,
		rspauth:  "d4728479cb3852465969897a7f733e0d",
	},
	{
		name: "Java, which hashes letters of Latin 1 in Latin 1", user: "zoë", nonce: "pMcwSlxKI/eSqUl3d3Ag1sMfc++1tRVPJAv3m0Sv",
		response: `charset=utf-8,username="zoë",realm="zk-sasl-md5",nonce="pMcwSlxKI/eSqUl3d3Ag1sMfc++1tRVPJAv3m0Sv",nc=00000001,cnonce="KHFif5AQKZ6D+usW/bQOBGcGRv+frtaH/nOpPY/q",digest-uri="zookeeper/zk-sasl-md5",maxbuf=65536,response=32d117953e98c58dd01fb9756f17bbd5,qop=auth,authzid="zoë"`,
		rspauth:  "f70fb19ad15e5b5d39097e5a1fef0799",
	},
}

func TestRealClientsProveWhoTheyAre(t *testing.T) {
	t.Parallel()
	for _, c := range captured {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			answer, user, done, err := challenged(t, c.nonce).Next([]byte(c.response))
			require.NoError(t, err)
			require.True(t, done)
			require.Equal(t, c.user, user)
			require.Regexp(t, "^rspauth=[0-9a-f]{32}$", string(answer))
			if c.rspauth != "" {
				require.Equal(t, "rspauth="+c.rspauth, string(answer))
			}
		})
	}
}

func TestTheExampleOfTheRFCHolds(t *testing.T) {
	t.Parallel()
	s := New(Users{"chris": protocol.Secret("secret")}, nil)
	s.realm, s.uri, s.nonce, s.step = "elwood.innosoft.com", "imap/elwood.innosoft.com", "OA6MG9tEQGm2hh", awaitResponse
	answer, user, done, err := s.Next([]byte(`charset=utf-8,username="chris",realm="elwood.innosoft.com",nonce="OA6MG9tEQGm2hh",nc=00000001,cnonce="OA6MHXh6VqTrRk",digest-uri="imap/elwood.innosoft.com",response=d388dad90d4bbd760a152321f2143af7,qop=auth`))
	require.NoError(t, err)
	require.True(t, done)
	require.Equal(t, "chris", user)
	require.Equal(t, "rspauth=ea40f60335c427b5527b84dbabcdfffd", string(answer))
}

func TestAResponseThatDiffersInAnythingIsDenied(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ name, old, new, why string }{
		{"another proof", "response=6afe", "response=6aff", `user "bob" with this password is not known`},
		{"a proof in capitals", "response=6afe7f830e946d3691294bdc3221a810", "response=6AFE7F830E946D3691294BDC3221A810", "not known"},
		{"a proof cut short", "response=6afe7f830e946d3691294bdc3221a810", "response=6afe", "not known"},
		{"no proof", "response=6afe7f830e946d3691294bdc3221a810,", "", "there is no response"},
		{"another user", `username="bob",`, `username="eve",`, `user "eve" would act as "bob"`},
		{"an unknown user", "bob", "eve", `user "eve" with this password is not known`},
		{"no user", `username="bob",`, "", `username is "", it must be a name in UTF-8`},
		{"a user that is no UTF-8", `username="bob"`, "username=\"b\xffb\"", "it must be a name in UTF-8"},
		{"a wish to act as another", `authzid="bob"`, `authzid="super"`, `user "bob" would act as "super"`},
		{"a wish to act as nobody", `authzid="bob"`, `authzid=""`, `user "bob" would act as ""`},
		{"another realm", `realm="zk-sasl-md5"`, `realm="example.com"`, `realm is "example.com", it must be "zk-sasl-md5"`},
		{"no realm", `realm="zk-sasl-md5",`, "", `realm is "", it must be "zk-sasl-md5"`},
		{"another nonce", `nonce="lOTM`, `nonce="lOTN`, "it must be \"lOTM"},
		{"no nonce", `nonce="lOTMgm8TXb4cUVu0P/SPZO5C+1a23nuglcj/1gly",`, "", "nonce is \"\""},
		{"a nonce used again", "nc=00000001", "nc=00000002", `nc is "00000002", it must be "00000001"`},
		{"no count of the nonce", "nc=00000001,", "", `nc is "", it must be "00000001"`},
		{"an empty cnonce", `cnonce="Cnz8RW3DE6/EqKkV6QEocqZUy/JH8IURzN9nFT6n"`, `cnonce=""`, "there is no cnonce"},
		{"another service", `digest-uri="zookeeper/`, `digest-uri="imap/`, `digest-uri is "imap/zk-sasl-md5", it must be "zookeeper/zk-sasl-md5"`},
		{"another host", `/zk-sasl-md5"`, `/localhost"`, `digest-uri is "zookeeper/localhost"`},
		{"no digest-uri", `digest-uri="zookeeper/zk-sasl-md5",`, "", `digest-uri is ""`},
		{"another protection", "qop=auth", "qop=auth-int", `qop is "auth-int", it must be "auth"`},
		{"no protection named", "qop=auth,", "", `qop is "", it must be "auth"`},
		{"another charset", "charset=utf-8", "charset=iso-8859-1", `charset is "iso-8859-1", it must be utf-8`},
		{"a field twice", "maxbuf=65536", `USERNAME="bob"`, "username comes twice"},
		{"an unknown field twice", "maxbuf=65536", "maxbuf=1,Maxbuf=2", "maxbuf comes twice"},
		{"an open quote", `authzid="bob"`, `authzid="bob`, "the token breaks at byte"},
		{"a backslash at the end", `authzid="bob"`, `authzid="bob\`, "the token breaks at byte"},
		{"a name without a value", "maxbuf=65536", "maxbuf", "the token breaks at byte"},
		{"a value that is no token", "maxbuf=65536", "maxbuf=(1)", "the token breaks at byte"},
		{"an empty element", "maxbuf=65536", "", "the token breaks at byte"},
		{"words after a value", "maxbuf=65536", "maxbuf=1 2", "the token breaks at byte"},
		{"too many fields", "maxbuf=65536", manyFields(), "more than 32 fields"},
		{"too many bytes", "maxbuf=65536", `x="` + strings.Repeat("y", 4096) + `"`, "at most 4096 are allowed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			java := captured[3]
			token := strings.ReplaceAll(java.response, c.old, c.new)
			require.NotEqual(t, java.response, token)
			s := challenged(t, java.nonce)
			answer, user, done, err := s.Next([]byte(token))
			require.ErrorIs(t, err, protocol.ErrAuthFailed)
			require.ErrorContains(t, err, c.why)
			require.NotContains(t, err.Error(), "bobsecret")
			require.Empty(t, answer)
			require.Empty(t, user)
			require.False(t, done)

			_, _, done, err = s.Next([]byte(java.response))
			require.ErrorContains(t, err, "a token after the end of the exchange", "a nonce serves one response")
			require.False(t, done)
		})
	}
}

func manyFields() string {
	names := make([]string, maxDirectives)
	for i := range names {
		names[i] = fmt.Sprintf("x%d=1", i)
	}
	return strings.Join(names, ",")
}

func TestSpacesAndCapitalsOfFieldsDoNotMatter(t *testing.T) {
	t.Parallel()
	c := captured[0]
	token := strings.NewReplacer(",", " ,\r\n\t", "=auth", " = \"auth\"", "realm", "REALM").Replace(c.response)
	_, user, done, err := challenged(t, c.nonce).Next([]byte(" " + token + " "))
	require.NoError(t, err)
	require.True(t, done)
	require.Equal(t, "bob", user)
}

func TestAnAnswerIsGivenOnce(t *testing.T) {
	t.Parallel()
	s := challenged(t, captured[0].nonce)
	_, _, done, err := s.Next([]byte(captured[0].response))
	require.NoError(t, err)
	require.True(t, done)
	_, _, done, err = s.Next([]byte(captured[0].response))
	require.ErrorIs(t, err, protocol.ErrAuthFailed)
	require.False(t, done)
}

func TestAResponseBeforeTheChallengeIsDenied(t *testing.T) {
	t.Parallel()
	raw, err := base64.StdEncoding.DecodeString(captured[0].nonce)
	require.NoError(t, err)
	_, _, done, err := New(known, bytes.NewReader(raw)).Next([]byte(captured[0].response))
	require.ErrorContains(t, err, "it must be empty")
	require.False(t, done)
}

func TestWithoutRandomnessThereIsNoChallenge(t *testing.T) {
	t.Parallel()
	broken := errors.New("no entropy")
	answer, _, done, err := New(known, iotest.ErrReader(broken)).Next(nil)
	require.ErrorIs(t, err, broken)
	require.ErrorIs(t, err, protocol.ErrAuthFailed)
	require.Empty(t, answer)
	require.False(t, done)
}

// An attacker who knows no password but the empty one of nobody.
func TestTheEmptyPasswordOfAnUnknownUserProvesNothing(t *testing.T) {
	t.Parallel()
	s := challenged(t, captured[0].nonce)
	r := &response{user: "eve", nonce: s.nonce, cnonce: "c", uri: digestURI}
	token := `username="eve",realm="zk-sasl-md5",nonce="` + s.nonce + `",cnonce="c",nc=00000001,qop=auth,digest-uri="zookeeper/zk-sasl-md5",response=` +
		r.expected(keys("eve", realm, nil)[0], "AUTHENTICATE")
	_, _, done, err := s.Next([]byte(token))
	require.ErrorContains(t, err, `user "eve" with this password is not known`)
	require.False(t, done)
}

func FuzzResponse(f *testing.F) {
	for _, c := range captured {
		f.Add([]byte(c.response))
	}
	f.Add([]byte(`a="\"\\",b=c , D = "e"`))
	f.Fuzz(func(t *testing.T, token []byte) {
		s := challenged(t, captured[3].nonce)
		answer, user, done, err := s.Next(token)
		require.Equal(t, err == nil, done)
		require.Equal(t, done, len(answer) > 0)
		if done {
			require.Contains(t, known, user)
		}
	})
}
