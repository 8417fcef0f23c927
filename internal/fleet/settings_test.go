package fleet

import (
	"strings"
	"testing"
)

func entry(t *testing.T, selector, address, key string, ports ...int) HostSettings {
	t.Helper()
	sel, err := ParseSelector(selector)
	if err != nil {
		t.Fatal(err)
	}
	h := HostSettings{Selector: sel, Address: address, HostKey: key}
	for _, p := range ports {
		h.Health = append(h.Health, Check{TCP: &TCPCheck{Port: p}})
	}
	return h
}

func TestHostSettings(t *testing.T) {
	f := Fleet{Hosts: []HostSettings{
		entry(t, "web-1", "192.0.2.1", "", 1),
		entry(t, "*", "192.0.2.9", "key-all", 4),
		entry(t, "@web", "192.0.2.2", "key-web", 2),
		entry(t, "web-*", "192.0.2.3", "", 3),
		entry(t, "@canary", "", "key-web", 5),
		entry(t, "!web-1,!web-2", "192.0.2.8", "", 6),
	}}
	for _, c := range []struct {
		host, address, key string
		tags               []string
		ports              []int
	}{
		{"web-1", "192.0.2.1", "key-web", []string{"web", "canary"}, []int{4, 3, 2, 5, 1}},
		{"web-2", "192.0.2.2", "key-web", []string{"web"}, []int{4, 3, 2}},
		{"web-2", "192.0.2.3", "key-all", nil, []int{4, 3}},
	} {
		got, err := f.HostSettings(c.host, c.tags)
		if err != nil {
			t.Errorf("%s %v: %v", c.host, c.tags, err)
			continue
		}
		var ports []int
		for _, check := range got.Health {
			ports = append(ports, check.TCP.Port)
		}
		if got.Address != c.address || got.HostKey != c.key || len(ports) != len(c.ports) {
			t.Errorf("%s %v: got %s, %s, %v; want %s, %s, %v", c.host, c.tags, got.Address, got.HostKey, ports, c.address, c.key, c.ports)
			continue
		}
		for i := range ports {
			if ports[i] != c.ports[i] {
				t.Errorf("%s %v: checks in the order %v, want %v", c.host, c.tags, ports, c.ports)
				break
			}
		}
	}
	none, err := Fleet{}.HostSettings("x", nil)
	if err != nil || none.Address != "" || none.Health != nil {
		t.Errorf("without entries: %+v, %v", none, err)
	}
}

// "*" and an exclusion are equally vague, so they may not disagree either.
func TestHostSettingsDisagree(t *testing.T) {
	for _, f := range []Fleet{
		{Hosts: []HostSettings{entry(t, "@web", "192.0.2.1", ""), entry(t, "@eu", "192.0.2.2", "")}},
		{Hosts: []HostSettings{entry(t, "web-*", "", "a"), entry(t, "*-1", "", "b"), entry(t, "*", "192.0.2.2", "c")}},
		{Hosts: []HostSettings{entry(t, "*", "192.0.2.1", ""), entry(t, "!db", "192.0.2.2", "")}},
	} {
		_, err := f.HostSettings("web-1", []string{"web", "eu"})
		if err == nil || !strings.Contains(err.Error(), "host web-1") || !strings.Contains(err.Error(), "equally exact") {
			t.Errorf("got %v, want an error that names the host and the tie", err)
		}
	}
	// A more exact entry decides the tie below it.
	f := Fleet{Hosts: []HostSettings{entry(t, "web-1", "192.0.2.9", ""), entry(t, "@web", "192.0.2.1", ""), entry(t, "@eu", "192.0.2.2", "")}}
	if got, err := f.HostSettings("web-1", []string{"web", "eu"}); err != nil || got.Address != "192.0.2.9" {
		t.Errorf("got %v, %v, want the exact name to decide", got.Address, err)
	}
}
