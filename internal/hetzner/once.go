package hetzner

import (
	"context"
	"sync"

	"github.com/hetznercloud/hcloud-go/v2/hcloud"
)

// sold is what the provider sells, as far as it was asked for.
type sold struct {
	types     once[[]*hcloud.ServerType]
	balancers once[[]*hcloud.LoadBalancerType]
	locations once[[]*hcloud.Location]
	prices    once[*prices]

	mu     sync.Mutex
	images map[imageKey]*once[*hcloud.Image]
}

// imageKey is what an image is found by.
type imageKey struct {
	image        string // name or label selector
	architecture hcloud.Architecture
}

func (s *sold) image(image string, architecture hcloud.Architecture) *once[*hcloud.Image] {
	s.mu.Lock()
	defer s.mu.Unlock()
	key := imageKey{image, architecture}
	if s.images == nil {
		s.images = map[imageKey]*once[*hcloud.Image]{}
	}
	if s.images[key] == nil {
		s.images[key] = &once[*hcloud.Image]{}
	}
	return s.images[key]
}

// once holds an answer that is asked for once; one that failed is asked for
// again. Those who come meanwhile wait for it.
type once[T any] struct {
	mu    sync.Mutex
	known bool
	value T
}

func (o *once[T]) get(ctx context.Context, ask func(context.Context) (T, error)) (T, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if !o.known {
		value, err := ask(ctx)
		if err != nil {
			return value, err
		}
		o.known, o.value = true, value
	}
	return o.value, nil
}
