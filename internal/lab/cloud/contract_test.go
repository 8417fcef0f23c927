package cloud_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/hetznercloud/hcloud-go/v2/hcloud"

	"github.com/flotilla-nix/flotilla/internal/lab/cloud"
)

// The contract suite says what clients may rely on, one file per resource: the
// fields of an object and their types, the status and code of each refusal, and
// how each action begins and ends. It looks at the wire; what the provider's own
// client makes of it is asserted beside it.

// object is a JSON object of an answer.
type object = map[string]any

// call makes a request that must answer with a JSON object, or with nothing.
func (f *fixture) call(method, path, body string) (int, object) {
	f.t.Helper()
	answer, text := f.raw(method, "/v1"+path, body)
	if got := answer.Header.Get("Content-Type"); got != "application/json" {
		f.t.Fatalf("%s %s: Content-Type %q", method, path, got)
	}
	if text == "" {
		return answer.StatusCode, nil
	}
	dec := json.NewDecoder(strings.NewReader(text))
	dec.UseNumber()
	var o object
	if err := dec.Decode(&o); err != nil {
		f.t.Fatalf("%s %s: %v in %s", method, path, err, text)
	}
	return answer.StatusCode, o
}

// want makes a request that must succeed with a status.
func (f *fixture) want(status int, method, path, body string) object {
	f.t.Helper()
	got, o := f.call(method, path, body)
	if got != status {
		f.t.Fatalf("%s %s %s: HTTP %d %v, want %d", method, path, body, got, o, status)
	}
	return o
}

// part walks down an answer by keys and indexes: "firewall.rules.0.port".
func part(o any, path string) any {
	for _, key := range strings.Split(path, ".") {
		switch v := o.(type) {
		case object:
			o = v[key]
		case []any:
			i, err := strconv.Atoi(key)
			if err != nil || i >= len(v) {
				return nil
			}
			o = v[i]
		default:
			return nil
		}
	}
	return o
}

func has(o any, path string) bool {
	parent, key, nested := path, path, false
	if i := strings.LastIndex(path, "."); i >= 0 {
		parent, key, nested = path[:i], path[i+1:], true
	}
	if nested {
		o = part(o, parent)
	}
	switch v := o.(type) {
	case object:
		_, ok := v[key]
		return ok
	case []any:
		i, err := strconv.Atoi(key)
		return err == nil && i < len(v)
	}
	return false
}

func id(o any, path string) int64 {
	n, ok := part(o, path).(json.Number)
	if !ok {
		return 0
	}
	i, err := n.Int64()
	if err != nil {
		return 0
	}
	return i
}

// shape holds an object to the types of its fields: int, number, string, bool,
// list, object, time, null, or some of them with | between. A field that is not
// there is wrong, whatever its type.
func (f *fixture) shape(o any, want map[string]string) {
	f.t.Helper()
	for path, types := range want {
		if !has(o, path) {
			f.t.Errorf("%s is missing in %v", path, o)
			continue
		}
		if got := kindOf(part(o, path)); !strings.Contains("|"+types+"|", "|"+got+"|") && (got != "time" || !strings.Contains(types, "string")) &&
			(got != "int" || !strings.Contains(types, "number")) {
			f.t.Errorf("%s is %v (%s), want %s", path, part(o, path), got, types)
		}
	}
}

func kindOf(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return "bool"
	case string:
		if _, err := time.Parse(time.RFC3339, v); err == nil {
			return "time"
		}
		return "string"
	case json.Number:
		if _, err := v.Int64(); err == nil {
			return "int"
		}
		return "number"
	case []any:
		return "list"
	default:
		return "object"
	}
}

// refusal is a request that must fail, and how.
type refusal struct {
	name         string
	method, path string
	body         string
	status       int
	code         string
	field        string // of details.fields, with invalid_input
}

func (f *fixture) refuses(table []refusal) {
	f.t.Helper()
	for _, r := range table {
		status, o := f.call(r.method, r.path, r.body)
		if status != r.status || part(o, "error.code") != r.code {
			f.t.Errorf("%s: HTTP %d %v, want %d %s", r.name, status, o, r.status, r.code)
			continue
		}
		if message, ok := part(o, "error.message").(string); !ok || message == "" || !has(o, "error.details") {
			f.t.Errorf("%s: the error has no message or no details: %v", r.name, o)
		}
		if r.field != "" && (part(o, "error.details.fields.0.name") != r.field || kindOf(part(o, "error.details.fields.0.messages.0")) != "string") {
			f.t.Errorf("%s: details are %v, want field %s", r.name, part(o, "error.details"), r.field)
		}
	}
}

func actionShape(prefix string) map[string]string {
	shape := map[string]string{}
	for field, kind := range map[string]string{
		"id": "int", "command": "string", "status": "string", "progress": "int", "started": "time", "finished": "time|null",
		"resources": "list", "resources.0.id": "int", "resources.0.type": "string", "error": "object|null",
	} {
		shape[prefix+field] = kind
	}
	return shape
}

// settle waits for the actions of an answer to a create or an action call.
func (f *fixture) settle(o object) object {
	f.t.Helper()
	var actions []*hcloud.Action
	add := func(a any) {
		if n := id(a, "id"); n != 0 {
			actions = append(actions, &hcloud.Action{ID: n, Status: hcloud.ActionStatusRunning})
		}
	}
	add(o["action"])
	for _, key := range []string{"actions", "next_actions"} {
		if list, ok := o[key].([]any); ok {
			for _, a := range list {
				add(a)
			}
		}
	}
	f.wait(actions...)
	return o
}

// deed is an action call on a resource that can be made in the state that
// prepare brings about.
type deed struct {
	call    string // below /{resource}/{id}/actions
	body    func(w *world) string
	prepare func(w *world)
	command string
	many    bool // it answers with `actions`, not with `action`
	also    []string
	after   func(w *world) // looks at what has become of it
}

// world is what the deeds of a test are done to.
type world struct {
	*fixture
	path  string // of the resource that the deed is done to
	named map[string]int64
}

// make creates something, waits for it and notes its id under the name of its
// resource, or under as.
func (w *world) make(resource, as, body string) object {
	w.t.Helper()
	o := w.settle(w.want(http.StatusCreated, "POST", "/"+resource, body))
	w.named[as] = id(o, strings.TrimSuffix(resource, "s")+".id")
	return o
}

// do calls an action of something and waits for it.
func (w *world) do(path, body string) {
	w.t.Helper()
	w.settle(w.want(http.StatusCreated, "POST", path, body))
}

func (w *world) at(resource, as string) string { return fmt.Sprintf("/%s/%d", resource, w.named[as]) }

func (w *world) get(path string) object {
	w.t.Helper()
	return w.want(http.StatusOK, "GET", path, "")
}

// is compares a part of what a GET answers, written as JSON.
func (w *world) is(path, field, want string) {
	w.t.Helper()
	data, err := json.Marshal(part(w.get(path), field))
	w.must(err)
	if string(data) != want {
		w.t.Errorf("%s: %s is %s, want %s", path, field, data, want)
	}
}

const longEnough = 150 * time.Millisecond // to be seen while it runs

// deeds does each deed in a lab of its own, where resource is made by create:
// it begins as a running action, keeps other actions off, can be found by every
// way there is, and ends with its effect.
func deeds(t *testing.T, resource, busyCode string, create func(w *world), table []deed) {
	t.Helper()
	for _, d := range table {
		t.Run(d.call+" "+d.command, func(t *testing.T) {
			t.Parallel()
			w := &world{fixture: start(t, cloud.Options{ActionLatency: longEnough}), named: map[string]int64{}}
			create(w)
			if d.prepare != nil {
				d.prepare(w)
			}
			w.path = w.at(resource, resource)
			body := ""
			if d.body != nil {
				body = d.body(w)
			}
			o := w.want(http.StatusCreated, "POST", w.path+"/actions/"+d.call, body)
			prefix := "action."
			if d.many {
				prefix = "actions.0."
			}
			w.shape(o, actionShape(prefix))
			action := id(o, prefix+"id")
			w.checkRunning(o, prefix, d, resource)
			status, refused := w.call("POST", w.path+"/actions/"+d.call, body)
			if part(refused, "error.code") != busyCode {
				t.Errorf("a second call meanwhile: HTTP %d %v, want %s", status, refused, busyCode)
			}
			for _, path := range []string{"/actions/%d", w.path + "/actions/%d", "/" + resource + "/actions/%d"} {
				if got := w.get(fmt.Sprintf(path, action)); id(got, "action.id") != action {
					t.Errorf("%s: %v", path, got)
				}
			}
			w.settle(o)
			done := w.get(fmt.Sprintf("/actions/%d", action))
			if part(done, "action.status") != "success" || id(done, "action.progress") != 100 || kindOf(part(done, "action.finished")) != "time" || part(done, "action.error") != nil {
				t.Errorf("ended action: %v", done)
			}
			if d.after != nil {
				d.after(w)
			}
		})
	}
}

func (w *world) checkRunning(o object, prefix string, d deed, resource string) {
	w.t.Helper()
	if part(o, prefix+"command") != d.command || part(o, prefix+"status") != "running" || part(o, prefix+"finished") != nil || part(o, prefix+"error") != nil {
		w.t.Errorf("begun action: %v, want %s", o, d.command)
	}
	about, _ := part(o, prefix+"resources").([]any)
	for _, want := range append([]string{strings.TrimSuffix(resource, "s")}, d.also...) {
		found := false
		for _, r := range about {
			found = found || part(r, "type") == want
		}
		if !found {
			w.t.Errorf("%s is about %v, not about a %s", d.command, about, want)
		}
	}
}

// failing makes the next action fail, and asserts that nothing came of it.
func (f *fixture) failing(path string, call func() object) {
	f.t.Helper()
	f.inject(cloud.Fault{Method: "POST", Path: path, Action: true, Code: "action_failed", Message: "as injected"})
	o := call()
	action := id(o, "action.id")
	if action == 0 {
		action = id(o, "actions.0.id")
	}
	err := f.Action.WaitFor(f.ctx, &hcloud.Action{ID: action, Status: hcloud.ActionStatusRunning})
	if err == nil || !strings.Contains(err.Error(), "as injected") {
		f.t.Errorf("%s: the action ended with %v", path, err)
	}
}
