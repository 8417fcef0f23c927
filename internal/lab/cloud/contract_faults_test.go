package cloud_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/hetznercloud/hcloud-go/v2/hcloud"

	"github.com/flotilla-nix/flotilla/internal/lab/cloud"
)

const aGroup = `{"name":"group","type":"spread"}`

// Each code comes with the provider's HTTP status, as often as asked for, and
// leaves everything as it was.
func TestContractFaultCodes(t *testing.T) {
	w := newWorld(t, cloud.Options{})
	for code, status := range map[string]int{
		"unauthorized": 401, "forbidden": 403, "not_found": 404, "json_error": 400, "invalid_input": 422, "uniqueness_error": 409, "conflict": 409,
		"locked": 423, "resource_locked": 423, "protected": 403, "resource_limit_exceeded": 403, "resource_unavailable": 412, "placement_error": 422,
		"service_error": 422, "unsupported_error": 422, "maintenance": 503, "unavailable": 503, "server_error": 500, "unknown_error": 500,
		"bad_gateway": 502, "timeout": 504, "rate_limit_exceeded": 429,
	} {
		w.inject(cloud.Fault{Method: "POST", Path: "^/placement_groups$", Code: code, Times: 2})
		for range 2 {
			w.refuses([]refusal{{code, "POST", "/placement_groups", aGroup, status, code, ""}})
		}
	}
	if answer, body := w.raw(http.MethodGet, "/_lab/faults", ""); answer.StatusCode != http.StatusOK || body != `{"faults":[]}` {
		t.Errorf("what is used up is still there: %s", body)
	}
	w.make("placement_groups", "group", aGroup)
	w.inject(cloud.Fault{Path: "x", Code: "no_such_code", Status: 418})
	for _, bad := range []string{
		`{"path":"x"}`, `{"path":"x","code":"no_such_code"}`, `{"path":"x","times":-2,"code":"locked"}`, `{"path":"x","action":true,"code":"a","drop":true}`,
		`{"path":"x","delay":"-1s"}`, `{"path":"x","after":true,"delay":"1s"}`,
	} {
		if answer, body := w.raw(http.MethodPost, "/_lab/faults", bad); answer.StatusCode < 400 {
			t.Errorf("%s is accepted: %s", bad, body)
		}
	}
}

// An answer that is lost: the client cannot know whether the work was done.
func TestContractLostAnswers(t *testing.T) {
	w := newWorld(t, cloud.Options{})
	create := func() error {
		_, _, err := w.PlacementGroup.Create(w.ctx, hcloud.PlacementGroupCreateOpts{Name: "group", Type: hcloud.PlacementGroupTypeSpread})
		return err
	}
	exists := func() bool {
		group, _, err := w.PlacementGroup.GetByName(w.ctx, "group")
		w.must(err)
		return group != nil
	}
	lost := func() {
		t.Helper()
		err := create()
		if answered := new(hcloud.Error); err == nil || errors.As(err, answered) {
			t.Fatalf("an answer that was dropped came as %v", err)
		}
	}
	w.inject(cloud.Fault{Method: "POST", Drop: true})
	if lost(); exists() {
		t.Error("a request that was dropped was carried out")
	}
	w.inject(cloud.Fault{Method: "POST", Drop: true, After: true})
	if lost(); !exists() {
		t.Error("a request whose answer was dropped was not carried out")
	}
	w.wantCode(create(), hcloud.ErrorCodeUniquenessError)
	// 5xx after the work: the library repeats a bad gateway, and no server error.
	for _, code := range []hcloud.ErrorCode{hcloud.ErrorCodeServerError, hcloud.ErrorCodeUnknownError} {
		name := "after_" + string(code)
		w.inject(cloud.Fault{Method: "POST", Code: string(code), After: true})
		_, _, err := w.PlacementGroup.Create(w.ctx, hcloud.PlacementGroupCreateOpts{Name: name, Type: hcloud.PlacementGroupTypeSpread})
		w.wantCode(err, code)
		if group, _, err := w.PlacementGroup.GetByName(w.ctx, name); err != nil || group == nil {
			t.Errorf("%s: %v, %v", name, group, err)
		}
	}
}

// A delay that holds for all requests adds to what else goes wrong, and stays.
func TestContractSlowRequests(t *testing.T) {
	const slow = 30 * time.Millisecond
	w := newWorld(t, cloud.Options{})
	w.inject(cloud.Fault{Times: cloud.Always, Delay: cloud.Duration{Duration: slow}})
	w.inject(cloud.Fault{Method: "POST", Path: "^/placement_groups$", Code: "locked", Delay: cloud.Duration{Duration: slow}})
	timed := func(least time.Duration, call func()) {
		t.Helper()
		begun := time.Now()
		if call(); time.Since(begun) < least {
			t.Errorf("it took %s, want %s", time.Since(begun), least)
		}
	}
	timed(2*slow, func() {
		w.refuses([]refusal{{"locked", "POST", "/placement_groups", aGroup, 423, "locked", ""}})
	})
	timed(slow, func() { w.make("placement_groups", "group", aGroup) })
	begun := time.Now()
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			if _, _, err := w.PlacementGroup.List(w.ctx, hcloud.PlacementGroupListOpts{}); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if took := time.Since(begun); took < slow || took > 8*slow {
		t.Errorf("8 requests at a time took %s, want about %s", took, slow)
	}
	w.api.Recover()
	if _, body := w.raw(http.MethodGet, "/_lab/faults", ""); body != `{"faults":[]}` {
		t.Errorf("after Recover: %s", body)
	}
}

func TestContractRateLimit(t *testing.T) {
	w := newWorld(t, cloud.Options{})
	remaining := func(h http.Header) int {
		n, err := strconv.Atoi(h.Get("RateLimit-Remaining"))
		w.must(err)
		return n
	}
	w.inject(cloud.Fault{Code: "rate_limit_exceeded"})
	answer, _ := w.raw(http.MethodGet, "/v1/servers", "")
	if answer.StatusCode != http.StatusTooManyRequests || remaining(answer.Header) != 0 || answer.Header.Get("RateLimit-Limit") != "3600" {
		t.Errorf("injected: %s %v", answer.Status, answer.Header)
	}
	if answer, _ := w.raw(http.MethodGet, "/v1/servers", ""); answer.StatusCode != http.StatusOK || remaining(answer.Header) < 3000 {
		t.Errorf("the bucket is as full as before: %s %v", answer.Status, answer.Header)
	}
	if answer, body := w.raw(http.MethodPut, "/_lab/limit", `{"remaining":1}`); answer.StatusCode != http.StatusNoContent {
		t.Fatalf("limit: %s %s", answer.Status, body)
	}
	if answer, _ := w.raw(http.MethodGet, "/v1/servers", ""); answer.StatusCode != http.StatusOK || remaining(answer.Header) != 0 {
		t.Errorf("the last one: %s %v", answer.Status, answer.Header)
	}
	answer, _ = w.raw(http.MethodGet, "/v1/servers", "")
	reset, err := strconv.ParseInt(answer.Header.Get("RateLimit-Reset"), 10, 64)
	w.must(err)
	if left := time.Until(time.Unix(reset, 0)); answer.StatusCode != http.StatusTooManyRequests || left < 55*time.Minute || left > 61*time.Minute {
		t.Errorf("none left: %s, full again in %s", answer.Status, left)
	}
}

func TestContractRequestCounts(t *testing.T) {
	w := newWorld(t, cloud.Options{ReadOnlyToken: "reader"})
	group := id(w.make("placement_groups", "group", aGroup), "placement_group.id")
	w.raw(http.MethodDelete, "/_lab/requests", "")
	for range 3 {
		w.get("/placement_groups?name=group")
	}
	w.get(fmt.Sprintf("/placement_groups/%d", group))
	w.want(http.StatusNoContent, "DELETE", fmt.Sprintf("/placement_groups/%d", group), "")
	w.call("POST", "/servers/77/actions/poweron", "")
	w.inject(cloud.Fault{Code: "locked"})
	w.call("GET", "/servers", "")
	_, _, err := w.client("reader").PlacementGroup.Create(w.ctx, hcloud.PlacementGroupCreateOpts{Name: "x", Type: hcloud.PlacementGroupTypeSpread})
	w.wantCode(err, hcloud.ErrorCodeForbidden)
	_, err = w.client("wrong").Server.All(w.ctx)
	w.wantCode(err, hcloud.ErrorCodeUnauthorized)

	want := cloud.Counts{
		"GET /placement_groups": 3, "GET /placement_groups/{id}": 1, "DELETE /placement_groups/{id}": 1, "POST /servers/{id}/actions/poweron": 1,
		"GET /servers": 1, "POST /placement_groups": 1, // nobody's requests do not count
	}
	if got := w.api.Requests(); !reflect.DeepEqual(got, want) {
		t.Errorf("counts are %v, want %v", got, want)
	}
	var read struct {
		Total    int
		Requests cloud.Counts
	}
	_, body := w.raw(http.MethodGet, "/_lab/requests", "")
	w.must(json.Unmarshal([]byte(body), &read))
	if read.Total != 8 || !reflect.DeepEqual(read.Requests, want) {
		t.Errorf("on the wire: %s", body)
	}
	w.raw(http.MethodDelete, "/_lab/requests", "")
	if n := w.api.Requests().Total(); n != 0 {
		t.Errorf("after the reset there are %d", n)
	}
}
