package migrate

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/lycaon-io/lycaon/znode"
)

const (
	quotaPath  = systemPath + "/quota"
	limitsName = "zookeeper_limits"
)

// copyQuotas copies the limits of the tree and of what is in it. They come last,
// so that they are in nobody's way before; those of nodes above the tree are not
// its own.
func (c *Copier) copyQuotas(ctx context.Context) (quotas int, err error) {
	top := quotaPath
	if c.root != "/" {
		top += c.root
	}
	for _, path := range append(pathsTo(top), top) {
		if err := c.copyQuotaNode(ctx, path, false); errors.Is(err, znode.ErrNoNode) {
			return 0, nil // none on the source
		} else if err != nil {
			return 0, err
		}
	}
	return c.copyQuotasBelow(ctx, top)
}

// pathsTo returns the paths between the one that holds all quotas and path.
func pathsTo(path string) (paths []string) {
	for i := len(quotaPath) + 1; i < len(path); i++ {
		if path[i] == '/' {
			paths = append(paths, path[:i])
		}
	}
	return paths
}

// copyQuotasBelow goes as deep as paths do.
func (c *Copier) copyQuotasBelow(ctx context.Context, path string) (quotas int, err error) {
	n, err := c.src.Look(ctx, path, Children)
	if errors.Is(err, znode.ErrNoNode) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	for _, name := range n.Children {
		child, isLimits := znode.Join(path, name), name == limitsName
		if znode.ValidatePath(child) != nil {
			continue // of a node that was not copied either
		}
		if err := c.copyQuotaNode(ctx, child, isLimits); err != nil && !errors.Is(err, znode.ErrNoNode) {
			return quotas, err
		}
		if isLimits {
			quotas++
			continue
		}
		below, err := c.copyQuotasBelow(ctx, child)
		quotas += below
		if err != nil {
			return quotas, err
		}
	}
	return quotas, nil
}

// copyQuotaNode makes the node if it is missing, and sets it if it limits
// something: what else is there, each service knows for itself.
func (c *Copier) copyQuotaNode(ctx context.Context, path string, set bool) error {
	n, err := c.src.Look(ctx, path, Data|ACL)
	if err != nil || path == quotaPath {
		return err
	}
	_, err = c.dst.Apply(ctx, []Change{{Kind: Create, Path: path, Data: n.Data, ACL: n.ACL}})
	if errors.Is(err, znode.ErrNodeExists) {
		if err = nil; set {
			_, err = c.dst.Apply(ctx, []Change{{Kind: SetData, Path: path, Data: n.Data}})
		}
	}
	if err != nil {
		return fmt.Errorf("the quota of %s: %w", strings.TrimPrefix(path, quotaPath), err)
	}
	return nil
}
