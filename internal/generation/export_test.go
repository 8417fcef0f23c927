package generation

import "time"

// Hasten shortens the times that are no policy, for tests.
func (h *Host) Hasten() {
	h.limits.redial = 200 * time.Millisecond
	h.limits.stop = 3 * time.Second
	h.limits.margin = 3 * time.Second
	h.limits.stable = 700 * time.Millisecond
	h.limits.call = 20 * time.Second
	h.limits.comeback = 40 * time.Second
}

// Script is what is sent to hosts.
func Script() string { return script() }
