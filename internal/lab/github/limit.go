package github

import (
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// Limits are the rate limits of a token; 0 stands for GitHub's own number.
type Limits struct {
	PerHour           int // requests; DefaultRateLimit
	PointsPerMinute   int // secondary: a read costs 1, a write 5; 900
	ContentsPerMinute int // secondary: requests that create content; 80
	ContentsPerHour   int // 500
}

func (l *Limits) fill() {
	for _, f := range []struct {
		field *int
		value int
	}{{&l.PerHour, DefaultRateLimit}, {&l.PointsPerMinute, 900}, {&l.ContentsPerMinute, 80}, {&l.ContentsPerHour, 500}} {
		if *f.field <= 0 {
			*f.field = f.value
		}
	}
}

// window counts what came since it began; it begins anew when it is over.
type window struct {
	length time.Duration
	began  time.Time
	used   int
}

// add counts n, or tells when the window ends if that would be too many.
func (w *window) add(now time.Time, n, limit int) (end time.Time, ok bool) {
	if w.began.IsZero() || now.Sub(w.began) >= w.length {
		w.began, w.used = now, 0
	}
	end = w.began.Add(w.length)
	if w.used+n > limit {
		return end, false
	}
	w.used += n
	return end, true
}

// usage is what one token has spent.
type usage struct {
	hour, points, contents, contentsHour window
}

// spend counts a request of a token; the answer is nil unless it is refused.
func (a *API) spend(t Token, method string) (http.Header, *answer) {
	now, limits := a.opt.Now(), a.opt.Limits
	u := a.limits[t.Value]
	if u == nil {
		u = &usage{
			hour: window{length: time.Hour}, points: window{length: time.Minute},
			contents: window{length: time.Minute}, contentsHour: window{length: time.Hour},
		}
		a.limits[t.Value] = u
	}
	reset, ok := u.hour.add(now, 1, limits.PerHour)
	h := http.Header{}
	h.Set("X-RateLimit-Limit", strconv.Itoa(limits.PerHour))
	h.Set("X-RateLimit-Remaining", strconv.Itoa(limits.PerHour-u.hour.used))
	h.Set("X-RateLimit-Used", strconv.Itoa(u.hour.used))
	h.Set("X-RateLimit-Reset", strconv.FormatInt(reset.Unix(), 10))
	h.Set("X-RateLimit-Resource", "core")
	if !ok {
		return h, refusal(http.StatusForbidden, "API rate limit exceeded for installation.")
	}
	points := 1
	if method != http.MethodGet {
		points = 5
	}
	if end, ok := u.points.add(now, points, limits.PointsPerMinute); !ok {
		return h, secondary(end.Sub(now))
	}
	if method != http.MethodPost {
		return h, nil
	}
	if end, ok := u.contents.add(now, 1, limits.ContentsPerMinute); !ok {
		return h, secondary(end.Sub(now))
	}
	if end, ok := u.contentsHour.add(now, 1, limits.ContentsPerHour); !ok {
		return h, secondary(end.Sub(now))
	}
	return h, nil
}

// Throttle leaves a token so many requests in its hour, which ends after d.
func (a *API) Throttle(token string, remaining int, d time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.limits[token] = &usage{
		hour:   window{length: time.Hour, began: a.opt.Now().Add(d - time.Hour), used: a.opt.Limits.PerHour - remaining},
		points: window{length: time.Minute}, contents: window{length: time.Minute}, contentsHour: window{length: time.Hour},
	}
}

const secondaryDocs = "https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api#about-secondary-rate-limits"

// secondary is the answer to too many requests in a short time.
func secondary(wait time.Duration) *answer {
	seconds := max(1, int((wait+time.Second-1)/time.Second))
	a := success(http.StatusForbidden, object{
		"message":           "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.",
		"documentation_url": secondaryDocs, "status": "403",
	})
	a.header.Set("Retry-After", fmt.Sprint(seconds))
	return a
}
