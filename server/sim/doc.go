// Package sim has tests alone: several Cores over a fake ordered log, with
// clients that follow the native protocol's rules, moved step by step by one
// seeded random source. Nothing in it waits, so that a seed is the whole
// story: LYCAON_SIM_SEED repeats one, LYCAON_SIM_SEEDS and LYCAON_SIM_STEPS
// say how many and how long. With the build tag mutants it also shows that
// each rule of the product is needed, by switching it off in the real code.
package sim
