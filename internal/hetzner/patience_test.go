package hetzner

import (
	"context"
	"net/http"
	"strings"
	"testing"
)

// Who waits for minutes is told why, once for all requests, and never of a
// request that is soon answered.
func TestWaitingIsTold(t *testing.T) {
	failing := 0
	c := client(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if failing > 0 {
			failing--
			w.WriteHeader(http.StatusServiceUnavailable)
			_, _ = w.Write([]byte(`{"error":{"code":"maintenance","message":"back soon"}}`))
			return
		}
		_, _ = w.Write([]byte(`{"network":{"id":1,"ip_range":"10.0.0.0/16"}}`))
	})
	var told []string
	c.patience.say = func(text string) { told = append(told, text) }
	for _, failing = range []int{tellAfter - 1, tellAfter + 2, tellAfter} {
		if _, err := c.network(context.Background(), "looking at the network", 1); err != nil {
			t.Fatal(err)
		}
	}
	if len(told) != 1 || !strings.Contains(told[0], "is in maintenance; looking at the network is tried again") {
		t.Errorf("told: %q", told)
	}
}
