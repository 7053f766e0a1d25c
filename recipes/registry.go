package recipes

import (
	"context"
	"encoding/json"
	"fmt"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/lycaon-io/lycaon/client"
)

// Registry is which instances of which services are there. It answers from memory,
// and while no server can be reached, and after the session's end, with what it knew
// last. Its nodes are those of Curator's service discovery.
type Registry struct {
	c     Client
	conf  config
	root  string
	cache *Cache
}

// Instance is one of a service. Its JSON is that of Curator's ServiceInstance.
type Instance struct {
	Service    string          `json:"name"`
	ID         string          `json:"id"` // unlike that of any other; Register makes one up if it is empty
	Address    string          `json:"address"`
	Port       int             `json:"port,omitempty"`
	Payload    json.RawMessage `json:"payload,omitempty"`
	Registered int64           `json:"registrationTimeUTC"` // milliseconds since 1970; set by Register
	Type       string          `json:"serviceType"`         // DYNAMIC; set by Register
	Disabled   bool            `json:"-"`                   // registered, but not to be used
}

// enabled is the other way round in Curator, and true if it is missing.
type enabled struct {
	Enabled *bool `json:"enabled,omitempty"`
}

// NewRegistry begins to learn what is below root, until Close or the end of the
// session. The context bounds this call alone.
func NewRegistry(ctx context.Context, c Client, root string, opts ...Option) (*Registry, error) {
	k, err := NewCache(ctx, c, root)
	if err != nil {
		return nil, err
	}
	return &Registry{c, newConfig(opts), root, k}, nil
}

// Close ends the learning. What is registered stays.
func (r *Registry) Close() { r.cache.Close() }

// Err says why the registry learns nothing more, nil while it does.
func (r *Registry) Err() error { return r.cache.Err() }

// Register makes an instance known until Release or the end of the session. An ID
// that is taken is waited for, like a name of a Group.
func (r *Registry) Register(ctx context.Context, in Instance) (*Held, error) {
	if in.ID == "" {
		in.ID = newUUID()
	}
	for _, name := range []string{in.Service, in.ID} {
		if name == "" || strings.Contains(name, "/") {
			return nil, fmt.Errorf("%w: instance %q of service %q", client.ErrBadArguments, in.ID, in.Service)
		}
	}
	in.Registered, in.Type = time.Now().UnixMilli(), "DYNAMIC"
	data, err := encodeInstance(in)
	if err != nil {
		return nil, wrap("register", r.root, err)
	}
	g := &Group{r.c, r.conf, join(r.root, in.Service)}
	return g.Join(ctx, in.ID, data)
}

func encodeInstance(in Instance) ([]byte, error) {
	type plain Instance
	on := !in.Disabled
	return json.Marshal(struct {
		plain
		enabled
	}{plain(in), enabled{&on}})
}

// decodeInstance returns false for what is no instance: it is not ours, and must
// not keep the others from being found.
func decodeInstance(n *client.Node) (Instance, bool) {
	var in Instance
	var on enabled
	if json.Unmarshal(n.Data, &in) != nil || json.Unmarshal(n.Data, &on) != nil || in.ID != base(n.Path) {
		return Instance{}, false
	}
	in.Disabled = on.Enabled != nil && !*on.Enabled
	return in, true
}

// Lookup returns the instances of a service that are not disabled, sorted by ID. It
// waits until the registry has read the state once, and asks no server after that.
func (r *Registry) Lookup(ctx context.Context, service string) ([]Instance, error) {
	if err := r.cache.WaitSynced(ctx); err != nil {
		return nil, wrap("look up "+service, r.root, err)
	}
	return r.instances(service), nil
}

func (r *Registry) instances(service string) (found []Instance) {
	for _, n := range r.cache.Children(join(r.root, service)) {
		if in, ok := decodeInstance(n); ok && !in.Disabled {
			found = append(found, in)
		}
	}
	return found
}

// Watch yields the instances that Lookup would return, and then each change of them.
// An error is the last thing it yields: of ctx, or of the session; the instances
// told before are still the last ones known.
func (r *Registry) Watch(ctx context.Context, service string) iter.Seq2[[]Instance, error] {
	return func(yield func([]Instance, error) bool) {
		var last []Instance
		told := false
		err := r.cache.follow(ctx, func() bool {
			now := r.instances(service)
			if told && slices.EqualFunc(last, now, sameInstance) {
				return true
			}
			last, told = now, true
			return yield(now, nil)
		})
		if err != nil {
			yield(nil, wrap("watch "+service, r.root, err))
		}
	}
}

func sameInstance(a, b Instance) bool {
	return a.ID == b.ID && a.Address == b.Address && a.Port == b.Port && a.Registered == b.Registered &&
		string(a.Payload) == string(b.Payload)
}
