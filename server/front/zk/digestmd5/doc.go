// Package digestmd5 is the server's side of SASL DIGEST-MD5 (RFC 2831) as
// ZooKeeper's clients speak it, and the file of users it asks. It proves a name
// and gives it no rights, opens no socket, and takes its randomness as an
// argument. A Server belongs to one connection and is called by one goroutine;
// a File may be used from any.
package digestmd5
