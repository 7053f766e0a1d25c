// Package recipes tries the recipes with servers and holders that are processes,
// which are killed, paused and cut off. Everybody tells a witness what they do, who
// keeps a resource outside of the cluster and writes all of it down; the checkers read
// that afterwards.
package recipes
