// Package recipes builds locks, elections, queues and the like out of a
// client's nodes and watches. What is granted is a Held, which ends by itself
// the moment it may be lost and puts a guard on the writes made under it. The
// package keeps no state beside the tree, where other programs find it in
// Curator's layout, but which attempts of a client are under way; docs/RECIPES.md tells layouts, fairness and limits. Every
// type may be used from any goroutine, and no goroutine outlives the client.
package recipes
