// Command bench measures a Lycaon server over TCP beside a floor: a bare loop
// that speaks the same frames from a map and syncs a file once a group, with
// no tree, no session and no consensus. Both run as processes of their own, in
// turn, under the same load from this one; the figure to read is the ratio,
// since the machine's speed drifts.
package main
