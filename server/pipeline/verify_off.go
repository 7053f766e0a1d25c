//go:build !mutants

package pipeline

func (c *Core) verified(uint64) bool { return false }
