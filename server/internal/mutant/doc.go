// Package mutant switches single rules of the product off, so that
// server/sim can show that its checkers see the difference. A normal build
// compiles every switch to the constant false; only a build with the tag
// mutants can set one. One rule is off at a time, for the whole process.
package mutant
