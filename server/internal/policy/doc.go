// Package policy holds the rules of the house as tests: which package may
// import which, which are pure, and what no line may do. It has no code.
package policy
