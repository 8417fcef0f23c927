package cloud

import (
	"math"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// bucket is the rate limit: it holds size requests and refills by size/3600
// per second.
type bucket struct {
	mu   sync.Mutex
	size float64
	left float64
	last time.Time
	now  func() time.Time
}

func newBucket(size int, now func() time.Time) *bucket {
	return &bucket{size: float64(size), left: float64(size), last: now(), now: now}
}

// leave sets how many requests are left.
func (b *bucket) leave(requests int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.left, b.last = math.Max(0, math.Min(b.size, float64(requests))), b.now()
}

// take takes one request out and writes the headers; false: there was none.
func (b *bucket) take(h http.Header) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	perSecond := b.size / time.Hour.Seconds()
	b.left = math.Min(b.size, b.left+now.Sub(b.last).Seconds()*perSecond)
	b.last = now
	ok := b.left >= 1
	if ok {
		b.left--
	}
	full := now.Add(time.Duration((b.size - b.left) / perSecond * float64(time.Second)))
	h.Set("RateLimit-Limit", strconv.Itoa(int(b.size)))
	h.Set("RateLimit-Remaining", strconv.Itoa(int(b.left)))
	h.Set("RateLimit-Reset", strconv.FormatInt(full.Unix(), 10))
	return ok
}
