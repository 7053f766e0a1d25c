package digestmd5

import (
	"crypto/md5"
	"encoding/hex"

	"github.com/lycaon-io/lycaon/protocol"
)

// keys are the forms of H(username:realm:password) that clients use. RFC 2831
// wants each part in ISO 8859-1 where it can be written so, as Java does;
// pure-sasl hashes UTF-8. In ASCII the two are the same.
func keys(user, realm string, secret protocol.Secret) [2][md5.Size]byte {
	join := func(part func(string) string) [md5.Size]byte {
		return md5.Sum([]byte(part(user) + ":" + part(realm) + ":" + part(string(secret))))
	}
	return [2][md5.Size]byte{join(latin1), join(func(s string) string { return s })}
}

// latin1 returns s in ISO 8859-1, or as it is if a character has no place
// there.
func latin1(s string) string {
	b := make([]byte, 0, len(s))
	for _, r := range s {
		if r > 0xff {
			return s
		}
		b = append(b, byte(r))
	}
	return string(b)
}

// expected is the response-value of RFC 2831, section 2.1.2.1: of the client
// with the method AUTHENTICATE, of the server with none.
func (r *response) expected(key [md5.Size]byte, method string) string {
	a1 := string(key[:]) + ":" + r.nonce + ":" + r.cnonce
	if r.authzid != "" {
		a1 += ":" + r.authzid
	}
	a2 := method + ":" + r.uri
	return hexMD5(hexMD5(a1) + ":" + r.nonce + ":" + nonceCount + ":" + r.cnonce + ":" + qop + ":" + hexMD5(a2))
}

func hexMD5(s string) string {
	sum := md5.Sum([]byte(s))
	return hex.EncodeToString(sum[:])
}
