package cloud_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hetznercloud/hcloud-go/v2/hcloud"

	"github.com/flotilla-nix/flotilla/internal/lab/cloud"
)

func TestEveryListAnswers(t *testing.T) {
	f := start(t, cloud.Options{})
	for root, count := range map[string]int{
		"locations": 6, "server_types": 11, "images": 2, "isos": 0, "firewalls": 0, "floating_ips": 0, "certificates": 0, "load_balancers": 0,
		"load_balancer_types": 3, "volumes": 0, "primary_ips": 0, "placement_groups": 0, "zones": 0, "storage_boxes": 0, "ssh_keys": 0,
		"networks": 0, "servers": 0, "servers/actions": 0, "networks/actions": 0,
	} {
		answer, body := f.raw(http.MethodGet, "/v1/"+root, "")
		if answer.StatusCode != http.StatusOK || answer.Header.Get("Content-Type") != "application/json" || answer.Header.Get("X-Correlation-Id") == "" {
			t.Errorf("%s: %s %v", root, answer.Status, answer.Header)
		}
		var list map[string]json.RawMessage
		f.must(json.Unmarshal([]byte(body), &list))
		var items []any
		key := root[strings.LastIndex(root, "/")+1:]
		if err := json.Unmarshal(list[key], &items); err != nil || items == nil || len(items) != count {
			t.Errorf("%s: %d items (%v), want %d: %s", root, len(items), err, count, list[key])
		}
		if !strings.Contains(string(list["meta"]), `"next_page":null`) {
			t.Errorf("%s: meta is %s", root, list["meta"])
		}
	}
}

func TestPricing(t *testing.T) {
	f := start(t, cloud.Options{})
	p, _, err := f.Pricing.Get(f.ctx)
	f.must(err)
	if p.ServerBackup.Percentage != "20.0000000000" || len(p.ServerTypes) != 11 || len(p.PrimaryIPs) != 2 || len(p.LoadBalancerTypes) != 3 {
		t.Errorf("pricing: %+v", p)
	}
}

func TestTokens(t *testing.T) {
	f := start(t, cloud.Options{ReadOnlyToken: "reader"})
	for _, wrong := range []string{"", "wrong"} {
		_, err := f.client(wrong).Server.All(f.ctx)
		f.wantCode(err, hcloud.ErrorCodeUnauthorized)
	}
	answer, err := http.Get(f.url + "/v1/servers")
	f.must(err)
	f.must(answer.Body.Close())
	if answer.StatusCode != http.StatusUnauthorized || answer.Header.Get("Content-Type") != "application/json" {
		t.Errorf("without a header: %s, %s", answer.Status, answer.Header.Get("Content-Type"))
	}
	reader := f.client("reader")
	if _, err := reader.Server.All(f.ctx); err != nil {
		t.Errorf("the read-only token cannot read: %v", err)
	}
	_, _, err = reader.PlacementGroup.Create(f.ctx, hcloud.PlacementGroupCreateOpts{Name: "lock", Type: hcloud.PlacementGroupTypeSpread})
	f.wantCode(err, hcloud.ErrorCodeForbidden)
}

func TestUnknownPathsAreJSON(t *testing.T) {
	f := start(t, cloud.Options{})
	for _, path := range []string{
		"GET /", "GET /v1", "GET /v1/", "GET /v1/nothing", "GET /v1/servers/1", "GET /v1/servers/x", "PATCH /v1/servers", "POST /v1/servers/1/actions/fly",
		"GET /v1/servers/1/2/3/4", "DELETE /v1/locations/1", "POST /v1/floating_ips", "GET /v1/actions/5", "GET /_lab/nothing", "GET /v1/pricing/1",
	} {
		method, target, _ := strings.Cut(path, " ")
		answer, body := f.raw(method, target, "")
		if answer.StatusCode != http.StatusNotFound || !strings.Contains(body, `"code":"not_found"`) {
			t.Errorf("%s: %s %s", path, answer.Status, body)
		}
	}
}

func TestBadBodies(t *testing.T) {
	f := start(t, cloud.Options{})
	for body, want := range map[string]string{
		`{`:                    "json_error",
		`{"name":"a"} {}`:      "json_error",
		`{"name":5}`:           "invalid_input",
		`{"name":"","type":1}`: "invalid_input",
	} {
		answer, text := f.raw(http.MethodPost, "/v1/placement_groups", body)
		if answer.StatusCode < 400 || !strings.Contains(text, `"code":"`+want+`"`) {
			t.Errorf("%s: %s %s, want %s", body, answer.Status, text, want)
		}
	}
}

func TestPaging(t *testing.T) {
	f := start(t, cloud.Options{})
	for i := range 60 {
		f.network(fmt.Sprintf("g%02d", 59-i), "10.0.0.0/16")
	}
	all, err := f.Network.All(f.ctx)
	f.must(err)
	if len(all) != 60 {
		t.Errorf("All gives %d, want 60", len(all))
	}
	for query, want := range map[string]struct {
		count, perPage, next, previous, last int
		first                                string
	}{
		"":                                    {25, 25, 2, 0, 3, "g59"},
		"?page=3":                             {10, 25, 0, 2, 3, "g09"},
		"?page=2&per_page=50":                 {10, 50, 0, 1, 2, "g09"},
		"?per_page=500":                       {50, 50, 2, 0, 2, "g59"},
		"?page=9":                             {0, 25, 0, 8, 3, ""},
		"?sort=name":                          {25, 25, 2, 0, 3, "g00"},
		"?sort=name:desc&per_page=1":          {1, 1, 2, 0, 60, "g59"},
		"?sort=id:desc&per_page=1":            {1, 1, 2, 0, 60, "g00"},
		"?sort=created:desc&sort=id:desc":     {25, 25, 2, 0, 3, "g00"},
		"?name=g07":                           {1, 25, 0, 0, 1, "g07"},
		"?name=g07&label_selector=absent%3Dx": {0, 25, 0, 0, 1, ""},
	} {
		_, body := f.raw(http.MethodGet, "/v1/networks"+query, "")
		var list struct {
			Networks []struct{ Name string }
			Meta     struct {
				Pagination struct {
					PerPage  int `json:"per_page"`
					Next     int `json:"next_page"`
					Previous int `json:"previous_page"`
					Last     int `json:"last_page"`
				}
			}
		}
		f.must(json.Unmarshal([]byte(body), &list))
		p := list.Meta.Pagination
		first := ""
		if len(list.Networks) > 0 {
			first = list.Networks[0].Name
		}
		if len(list.Networks) != want.count || p.PerPage != want.perPage || p.Next != want.next || p.Previous != want.previous || p.Last != want.last || first != want.first {
			t.Errorf("%q: %d items from %q, %+v, want %+v", query, len(list.Networks), first, p, want)
		}
	}
	for _, query := range []string{"?page=0", "?page=x", "?per_page=-1", "?sort=size", "?sort=id:up", "?label_selector=a%20b"} {
		if answer, body := f.raw(http.MethodGet, "/v1/networks"+query, ""); answer.StatusCode != http.StatusUnprocessableEntity {
			t.Errorf("%s: %s %s", query, answer.Status, body)
		}
	}
}

func TestRateLimit(t *testing.T) {
	var mu sync.Mutex
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	clock := func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	f := start(t, cloud.Options{RateLimit: 3600, Now: clock})
	header := func(h http.Header, name string) int64 {
		n, err := strconv.ParseInt(h.Get("RateLimit-"+name), 10, 64)
		f.must(err)
		return n
	}
	answer, _ := f.raw(http.MethodGet, "/v1/locations", "")
	if l, r, s := header(answer.Header, "Limit"), header(answer.Header, "Remaining"), header(answer.Header, "Reset"); l != 3600 || r != 3599 || s != now.Unix()+1 {
		t.Errorf("after one request: limit %d, remaining %d, reset %d (now %d)", l, r, s, now.Unix())
	}
	small := start(t, cloud.Options{RateLimit: 2, Now: clock})
	for range 2 {
		if answer, _ := small.raw(http.MethodGet, "/v1/locations", ""); answer.StatusCode != http.StatusOK {
			t.Fatalf("within the limit: %s", answer.Status)
		}
	}
	answer, body := small.raw(http.MethodGet, "/v1/locations", "")
	if answer.StatusCode != http.StatusTooManyRequests || !strings.Contains(body, "rate_limit_exceeded") || header(answer.Header, "Remaining") != 0 {
		t.Errorf("over the limit: %s %s", answer.Status, body)
	}
	mu.Lock()
	now = now.Add(30 * time.Minute)
	mu.Unlock()
	if answer, _ := small.raw(http.MethodGet, "/v1/locations", ""); answer.StatusCode != http.StatusOK {
		t.Errorf("after half an hour one request has come back, got %s", answer.Status)
	}
}

func TestRequestLog(t *testing.T) {
	var log bytes.Buffer
	f := start(t, cloud.Options{RequestLog: &log})
	_, err := f.Server.AllWithOpts(f.ctx, hcloud.ServerListOpts{ListOpts: hcloud.ListOpts{LabelSelector: "a=b"}})
	f.must(err)
	f.raw(http.MethodDelete, "/v1/servers/7", "")
	f.http.Close() // so that nothing writes any more
	want := "GET /v1/servers?label_selector=a%3Db&page=1&per_page=50\nDELETE /v1/servers/7\n"
	if log.String() != want {
		t.Errorf("log is\n%swant\n%s", log.String(), want)
	}
}

func TestFaults(t *testing.T) {
	f := start(t, cloud.Options{})
	create := func(name string) error {
		_, _, err := f.PlacementGroup.Create(f.ctx, hcloud.PlacementGroupCreateOpts{Name: name, Type: hcloud.PlacementGroupTypeSpread})
		return err
	}
	f.inject(cloud.Fault{Method: "POST", Path: "^/placement_groups$", Status: 423, Code: "locked", Times: 2})
	if _, err := f.PlacementGroup.All(f.ctx); err != nil {
		t.Errorf("another method is hit: %v", err)
	}
	f.wantCode(create("a"), hcloud.ErrorCodeLocked)
	f.wantCode(create("a"), hcloud.ErrorCodeLocked)
	f.must(create("a"))

	f.inject(cloud.Fault{Method: "POST", Path: "^/placement_groups$", Status: 409, Code: "conflict", Times: 2})
	f.must(create("retried by the library")) // which repeats what conflicts

	// The answer is lost after the work was done, so the repetition finds the name taken.
	f.inject(cloud.Fault{Method: "POST", Path: "^/placement_groups$", Status: 504, Code: "timeout", After: true})
	f.wantCode(create("b"), hcloud.ErrorCodeUniquenessError)

	f.inject(cloud.Fault{Path: "^/servers$", Delay: cloud.Duration{Duration: 60 * time.Millisecond}})
	begun := time.Now()
	_, err := f.Server.All(f.ctx)
	if f.must(err); time.Since(begun) < 60*time.Millisecond {
		t.Errorf("the delayed request took %s", time.Since(begun))
	}

	f.inject(cloud.Fault{Method: "POST", Path: "^/servers$", Action: true, Code: "resource_unavailable", Message: "no place"})
	result, _, err := f.Server.Create(f.ctx, createOpts("web"))
	f.must(err)
	if err := f.Action.WaitFor(f.ctx, result.Action); err == nil || !strings.Contains(err.Error(), "no place") {
		t.Errorf("the action ended with %v", err)
	}

	f.inject(cloud.Fault{Path: "x", Status: 500, Code: "server_error", Times: 7})
	if _, body := f.raw(http.MethodGet, "/_lab/faults", ""); !strings.Contains(body, `"times":7`) {
		t.Errorf("faults are %s", body)
	}
	f.raw(http.MethodDelete, "/_lab/faults", "")
	if _, body := f.raw(http.MethodGet, "/_lab/faults", ""); !strings.Contains(body, `"faults":[]`) {
		t.Errorf("faults are %s", body)
	}
	for _, bad := range []string{`{"path":"("}`, `{"path":"x","status":200,"code":"a"}`, `{"path":"x","status":500}`, `{"path":"x","delay":5}`, `{"path":"x","after":true}`} {
		if answer, _ := f.raw(http.MethodPost, "/_lab/faults", bad); answer.StatusCode < 400 {
			t.Errorf("%s is accepted", bad)
		}
	}
}
