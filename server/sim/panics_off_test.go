//go:build !mutants

package sim

// A panic of the product is a bug to be seen where it happened.
const catchPanics = false
