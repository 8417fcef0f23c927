package health

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/process"
)

// local runs commands on this machine.
type local struct{}

func (local) Run(ctx context.Context, stdin io.Reader, argv ...string) (process.Result, error) {
	return process.Run(ctx, process.Command{Program: argv[0], Args: argv[1:], Stdin: stdin})
}

// systemd answers systemctl show with one text after the other.
type systemd struct {
	mu      sync.Mutex
	answers []string
}

func (s *systemd) Run(_ context.Context, _ io.Reader, argv ...string) (process.Result, error) {
	if argv[0] == "journalctl" {
		return process.Result{Stdout: []byte("nginx: [emerg] no such file\n")}, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	answer := s.answers[0]
	if len(s.answers) > 1 {
		s.answers = s.answers[1:]
	}
	return process.Result{Stdout: []byte(answer)}, nil
}

func server(t *testing.T, handler http.HandlerFunc) (url, address string) {
	t.Helper()
	s := httptest.NewServer(handler)
	t.Cleanup(s.Close)
	host, port, err := net.SplitHostPort(s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return "http://www.example.com:" + port + "/healthz", host
}

func one(t *testing.T, check fleet.Check, target Target) (plans.CheckResult, error) {
	t.Helper()
	results, err := Wait(t.Context(), []fleet.Check{check}, target, nil)
	if len(results) != 1 {
		t.Fatalf("results %+v", results)
	}
	return results[0], err
}

func TestHTTP(t *testing.T) {
	url, address := server(t, func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.Host, "www.example.com:") {
			http.Error(w, "wrong host "+r.Host, http.StatusMisdirectedRequest)
			return
		}
		fmt.Fprint(w, "all is well")
	})
	for _, c := range []struct {
		name    string
		check   fleet.HTTPCheck
		healthy bool
		detail  string
	}{
		{"well", fleet.HTTPCheck{URL: url, Status: 200, Body: "is well"}, true, ""},
		{"other status", fleet.HTTPCheck{URL: url, Status: 204}, false, "status 200, want 204: all is well"},
		{"other body", fleet.HTTPCheck{URL: url, Status: 200, Body: "ready"}, false, `does not contain "ready"`},
		{"nobody listens", fleet.HTTPCheck{URL: "http://www.example.com:1/", Status: 200}, false, "refused"},
	} {
		t.Run(c.name, func(t *testing.T) {
			result, err := one(t, fleet.Check{HTTP: &c.check, Within: time.Second}, Target{Address: address})
			if result.Healthy != c.healthy || (err == nil) != c.healthy || !strings.Contains(result.Detail, c.detail) {
				t.Errorf("got %+v, %v", result, err)
			}
			if !c.healthy && problem.CodeOf(err) != problem.NotDeployed {
				t.Errorf("code %d", problem.CodeOf(err))
			}
		})
	}
}

// A certificate for another name is not healthy, and nothing switches that off.
func TestHTTPSVerifies(t *testing.T) {
	s := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "ok") }))
	defer s.Close()
	host, port, err := net.SplitHostPort(s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	result, err := one(t, fleet.Check{HTTP: &fleet.HTTPCheck{URL: "https://www.example.org:" + port, Status: 200}, Within: time.Second}, Target{Address: host})
	if err == nil || !strings.Contains(result.Detail, "certificate") {
		t.Errorf("got %+v, %v", result, err)
	}
}

func TestRedirectIsNotFollowed(t *testing.T) {
	url, address := server(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "http://192.0.2.1/", http.StatusFound)
	})
	if result, err := one(t, fleet.Check{HTTP: &fleet.HTTPCheck{URL: url, Status: 302}, Within: time.Second}, Target{Address: address}); err != nil {
		t.Errorf("got %+v, %v", result, err)
	}
}

func TestRetriesUntilItHolds(t *testing.T) {
	var calls atomic.Int32
	url, address := server(t, func(w http.ResponseWriter, _ *http.Request) {
		if calls.Add(1) < 3 {
			w.WriteHeader(http.StatusBadGateway)
		}
	})
	var reported atomic.Int32
	_, err := Wait(t.Context(), []fleet.Check{{HTTP: &fleet.HTTPCheck{URL: url, Status: 200}, Within: 5 * time.Second}}, Target{Address: address},
		func(plans.CheckResult) { reported.Add(1) })
	if err != nil || calls.Load() != 4 || reported.Load() != 2 {
		t.Errorf("%v after %d calls, %d reports", err, calls.Load(), reported.Load())
	}
}

// One that held once and fails at the end is not healthy.
func TestMustHoldAtTheEnd(t *testing.T) {
	var calls atomic.Int32
	url, address := server(t, func(w http.ResponseWriter, _ *http.Request) {
		if calls.Add(1) > 1 {
			w.WriteHeader(http.StatusBadGateway)
		}
	})
	if result, err := one(t, fleet.Check{HTTP: &fleet.HTTPCheck{URL: url, Status: 200}, Within: 5 * time.Second}, Target{Address: address}); err == nil {
		t.Errorf("got %+v", result)
	}
}

func TestTCPAndCommand(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	port := listener.Addr().(*net.TCPAddr).Port
	target := Target{Address: "127.0.0.1", Session: local{}}
	if _, err := one(t, fleet.Check{TCP: &fleet.TCPCheck{Port: port}, Within: time.Second}, target); err != nil {
		t.Error(err)
	}
	if _, err := one(t, fleet.Check{TCP: &fleet.TCPCheck{Port: 1}, Within: time.Second}, target); err == nil {
		t.Error("a closed port is healthy")
	}
	if _, err := one(t, fleet.Check{Command: &fleet.CommandCheck{Argv: []string{"/bin/true"}}, Within: time.Second}, target); err != nil {
		t.Error(err)
	}
	result, err := one(t, fleet.Check{Command: &fleet.CommandCheck{Argv: []string{"/bin/sh", "-c", "echo not ready >&2; exit 3"}}, Within: time.Second}, target)
	if err == nil || result.Detail != "exit code 3: not ready" {
		t.Errorf("got %+v, %v", result, err)
	}
}

func TestUnits(t *testing.T) {
	show := func(state string, restarts int) string {
		return fmt.Sprintf("LoadState=loaded\nActiveState=%s\nSubState=x\nNRestarts=%d\n", state, restarts)
	}
	for _, c := range []struct {
		name    string
		answers []string
		detail  string
	}{
		{"active", []string{show("active", 4)}, ""},
		{"failed", []string{show("failed", 0)}, "nginx.service is failed (x):\nnginx: [emerg] no such file"},
		{"missing", []string{"LoadState=not-found\n"}, "is not there"},
		{"in a loop", []string{show("active", 1), show("active", 2), show("active", 3), show("active", 4), show("active", 5), show("active", 6)}, "restarts again and again"},
	} {
		t.Run(c.name, func(t *testing.T) {
			result, err := one(t, fleet.Check{Units: &fleet.UnitsCheck{Active: []string{"nginx.service"}}, Within: time.Second}, Target{Session: &systemd{answers: c.answers}})
			if (err == nil) != (c.detail == "") || !strings.Contains(result.Detail, c.detail) {
				t.Errorf("got %+v, %v", result, err)
			}
		})
	}
}

func TestCancel(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(100*time.Millisecond, cancel)
	start := time.Now()
	_, err := Wait(ctx, []fleet.Check{{Command: &fleet.CommandCheck{Argv: []string{"/bin/sleep", "60"}}, Within: time.Minute}}, Target{Session: local{}}, nil)
	if !errors.Is(err, context.Canceled) || time.Since(start) > 5*time.Second {
		t.Errorf("got %v after %s", err, time.Since(start))
	}
}
