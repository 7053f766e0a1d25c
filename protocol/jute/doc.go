// Package jute holds ZooKeeper's client protocol: the records that go over the
// wire, both ways, and what they become as Lycaon's own requests and answers. It
// opens no socket and keeps no state; what a session, a watch or an order is, the
// rooms around it know. Every decoder takes hostile bytes and allocates in
// proportion to them at most. All functions may be called from any goroutine; who
// owns the memory of a result is said at each decoder.
//
// The server's half is DecodeConnectRequest, DecodeHeader, DecodeRequest, Refusal,
// AppendReply and AppendEvent; the client's is AppendConnectRequest, AppendCall,
// DecodeConnectResponse, DecodeAnswer and DecodeEvent.
//
// The format is that of zookeeper.jute and of the server of Apache ZooKeeper 3.8,
// whose answers are recorded in testdata.
package jute
