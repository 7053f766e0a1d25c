// Package testcert makes certificate authorities and certificates for tests of
// TLS: of servers, of clients of the same authority, expired ones. It is not
// for production, where an operator's authority signs. A test makes its own
// authority; methods may be called from its goroutine alone.
package testcert
