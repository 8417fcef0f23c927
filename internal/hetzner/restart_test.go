package hetzner

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/secret"
)

// lazy is an API with one server, which it does not start by itself.
type lazy struct {
	status string // of the server
	create string // how the actions of its order end
	asked  []string
}

func (l *lazy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	l.asked = append(l.asked, r.Method+" "+r.URL.Path)
	server := fmt.Sprintf(`"server":{"id":1,"name":"web-1","status":%q,"labels":{"flotilla/fleet":"acme"},"server_type":{"id":2,"name":"cx32"}}`, l.status)
	action := func(id int, ending string) string {
		return fmt.Sprintf(`{"id":%d,"status":%q,"error":{"code":"locked","message":"server is locked"}}`, id, ending)
	}
	switch what := r.Method + " " + r.URL.Path; {
	case strings.HasSuffix(what, "/actions/poweron"):
		l.status = "running"
		_, _ = fmt.Fprintf(w, `{"action":%s}`, action(8, "success"))
	case strings.Contains(what, "POST /servers/1/actions"):
		_, _ = fmt.Fprintf(w, `{"action":%s}`, action(9, "success"))
	case what == "POST /servers":
		_, _ = fmt.Fprintf(w, `{%s,"action":%s,"next_actions":[%s]}`, server, action(6, "success"), action(7, l.create))
	case what == "GET /servers/1":
		_, _ = fmt.Fprintf(w, `{%s}`, server)
	case what == "GET /server_types":
		_, _ = fmt.Fprint(w, `{"server_types":[{"id":2,"name":"cx32","architecture":"x86"}]}`)
	case what == "GET /images":
		_, _ = fmt.Fprint(w, `{"images":[{"id":3,"name":"debian-13","type":"system"}]}`)
	default:
		w.WriteHeader(http.StatusNotFound)
		_, _ = fmt.Fprint(w, `{"error":{"code":"not_found","message":"no such thing"}}`)
	}
}

// A server that the API does not start after a change of its type is started.
func TestChangeOfTypeWithoutARestart(t *testing.T) {
	api := &lazy{status: "off"}
	c := client(t, api.ServeHTTP)
	c.restart = 20 * time.Millisecond
	if err := c.ChangeType(context.Background(), 1, "cx32", true); err != nil {
		t.Fatal(err)
	}
	if api.status != "running" {
		t.Errorf("the server is %s after %v", api.status, api.asked)
	}
}

// A new server whose start met another action is started after all.
func TestOrderWhoseStartMetAnother(t *testing.T) {
	for ending, starts := range map[string]int{"error": 1, "success": 0} {
		api := &lazy{status: "off", create: ending}
		c := client(t, api.ServeHTTP)
		made, err := c.CreateServer(context.Background(), fleet.ServerOrder{Name: "web-1", Server: fleet.Server{ServerType: "cx32", Image: "debian-13"}}, secret.New(""))
		if err != nil || made.Status != "running" {
			t.Errorf("%s: %+v, %v", ending, made, err)
		}
		if got := strings.Count(strings.Join(api.asked, "\n"), "poweron"); got != starts {
			t.Errorf("%s: %d starts, want %d", ending, got, starts)
		}
	}
}

// A new name that costs a firewall its rules does not leave it without them.
func TestRulesSurviveANewName(t *testing.T) {
	const rules = `[{"direction":"in","protocol":"icmp","source_ips":["0.0.0.0/0"],"destination_ips":[]}]`
	set := ""
	c := client(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		switch r.Method + " " + r.URL.Path {
		case "GET /firewalls/1":
			_, _ = fmt.Fprintf(w, `{"firewall":{"id":1,"name":"old","labels":{"flotilla/fleet":"acme"},"rules":%s}}`, rules)
		case "PUT /firewalls/1":
			_, _ = fmt.Fprint(w, `{"firewall":{"id":1,"name":"new","labels":{"flotilla/fleet":"acme"},"rules":[]}}`)
		case "POST /firewalls/1/actions/set_rules":
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			set = string(body)
			_, _ = fmt.Fprint(w, `{"actions":[{"id":2,"status":"success"}]}`)
		}
	})
	if err := c.Rename(context.Background(), plans.KindFirewall, 1, "new"); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(set, `"icmp"`) || !strings.Contains(set, "0.0.0.0/0") {
		t.Errorf("rules set to %q", set)
	}
}
