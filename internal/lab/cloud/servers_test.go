package cloud_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/hetznercloud/hcloud-go/v2/hcloud"

	"github.com/flotilla-nix/flotilla/internal/lab/cloud"
)

func TestServerLife(t *testing.T) {
	f := start(t, cloud.Options{ActionLatency: 30 * time.Millisecond})
	key, _, err := f.SSHKey.Create(f.ctx, hcloud.SSHKeyCreateOpts{Name: "me", PublicKey: publicKey(t, 1)})
	f.must(err)
	opts := createOpts("web")
	opts.SSHKeys, opts.Labels = []*hcloud.SSHKey{key}, map[string]string{"env": "prod"}
	result, _, err := f.Server.Create(f.ctx, opts)
	f.must(err)
	s := result.Server
	if s.Status != hcloud.ServerStatusInitializing || !s.Locked || result.RootPassword != "" || s.PublicNet.IPv4.IP.String() != "198.18.0.10" ||
		s.Labels["env"] != "prod" || s.ServerType.Name != "cx22" || s.Image.Name != "debian-13" || s.Location.Name != "nbg1" || s.PrimaryDiskSize != 40 {
		t.Errorf("new server: %+v", s)
	}
	if result.Action.Command != "create_server" || len(result.NextActions) != 1 || result.NextActions[0].Command != "start_server" ||
		result.Action.Status != hcloud.ActionStatusRunning || result.Action.Resources[0].ID != s.ID {
		t.Errorf("actions: %+v, next %+v", result.Action, result.NextActions)
	}
	_, _, err = f.Server.Poweroff(f.ctx, s)
	f.wantCode(err, hcloud.ErrorCodeLocked)
	_, _, err = f.Server.DeleteWithResult(f.ctx, s)
	f.wantCode(err, hcloud.ErrorCodeLocked)
	_, _, err = f.Server.Create(f.ctx, createOpts("web"))
	f.wantCode(err, hcloud.ErrorCodeUniquenessError)
	f.wait(result.Action, result.NextActions[0])
	f.status(s, hcloud.ServerStatusRunning)

	for _, step := range []struct {
		call  func(context.Context, *hcloud.Server) (*hcloud.Action, *hcloud.Response, error)
		after hcloud.ServerStatus
	}{
		{f.Server.Poweroff, hcloud.ServerStatusOff},
		{f.Server.Poweroff, hcloud.ServerStatusOff},
		{f.Server.Reboot, hcloud.ServerStatusOff},
		{f.Server.Poweron, hcloud.ServerStatusRunning},
		{f.Server.Poweron, hcloud.ServerStatusRunning},
		{f.Server.Reboot, hcloud.ServerStatusRunning},
		{f.Server.Reset, hcloud.ServerStatusRunning},
		{f.Server.Shutdown, hcloud.ServerStatusOff},
	} {
		action, _, err := step.call(f.ctx, s)
		f.must(err)
		f.wait(action)
		f.becomes(s, step.after)
	}
	rebuilt, _, err := f.Server.RebuildWithResult(f.ctx, s, hcloud.ServerRebuildOpts{Image: &hcloud.Image{ID: cloud.ImageNixOS}})
	f.must(err)
	f.status(s, hcloud.ServerStatusRebuilding)
	f.wait(rebuilt.Action)
	if now := f.status(s, hcloud.ServerStatusRunning); now.Image.ID != cloud.ImageNixOS || now.Image.Name != "" || !now.PublicNet.IPv4.IP.Equal(s.PublicNet.IPv4.IP) {
		t.Errorf("rebuilt server: %+v", now)
	}
	changed, _, err := f.Server.Update(f.ctx, s, hcloud.ServerUpdateOpts{Name: "www", Labels: map[string]string{"flotilla/fleet": "acme"}})
	f.must(err)
	if changed.Name != "www" || len(changed.Labels) != 1 {
		t.Errorf("updated server: %+v", changed)
	}
	gone, _, err := f.Server.DeleteWithResult(f.ctx, s)
	f.must(err)
	f.status(s, hcloud.ServerStatusDeleting)
	_, _, err = f.Server.Create(f.ctx, createOpts("www"))
	f.wantCode(err, hcloud.ErrorCodeUniquenessError)
	f.wait(gone.Action)
	if found, _, err := f.Server.GetByID(f.ctx, s.ID); err != nil || found != nil {
		t.Errorf("the deleted server is read as %+v, %v", found, err)
	}
	if next := f.server("www"); !next.PublicNet.IPv4.IP.Equal(s.PublicNet.IPv4.IP) {
		t.Errorf("the next server got %s, though %s is free", next.PublicNet.IPv4.IP, s.PublicNet.IPv4.IP)
	}
}

func (f *fixture) status(s *hcloud.Server, want hcloud.ServerStatus) *hcloud.Server {
	f.t.Helper()
	now, _, err := f.Server.GetByID(f.ctx, s.ID)
	f.must(err)
	if now == nil || now.Status != want {
		f.t.Fatalf("server is %+v, want status %s", now, want)
	}
	return now
}

// becomes waits until a server has a status: a shutdown's action ends before it.
func (f *fixture) becomes(s *hcloud.Server, want hcloud.ServerStatus) {
	f.t.Helper()
	for begun := time.Now(); time.Since(begun) < 5*time.Second; time.Sleep(5 * time.Millisecond) {
		if now, _, err := f.Server.GetByID(f.ctx, s.ID); err == nil && now != nil && now.Status == want {
			return
		}
	}
	f.status(s, want)
}

func TestReferencesByNumberStringOrName(t *testing.T) {
	f := start(t, cloud.Options{})
	for i, body := range []string{
		`{"name":"a","server_type":104,"image":310557660,"location":"2"}`,
		`{"name":"b","server_type":"104","image":"debian-13","location":2}`,
		`{"name":"c","server_type":"cx22","image":"310557660","location":"nbg1"}`,
		`{"name":"d","server_type":"cx22","image":"debian-13"}`,
	} {
		answer, text := f.raw(http.MethodPost, "/v1/servers", body)
		if answer.StatusCode != http.StatusCreated || !strings.Contains(text, `"name":"cx22"`) || !strings.Contains(text, `"name":"nbg1"`) {
			t.Errorf("%d: %s %s", i, answer.Status, text)
		}
	}
	servers, err := f.Server.AllWithOpts(f.ctx, hcloud.ServerListOpts{Sort: []string{"name:desc"}})
	f.must(err)
	var names []string
	for _, s := range servers {
		names = append(names, s.Name)
	}
	if strings.Join(names, "") != "dcba" {
		t.Errorf("servers are %v", names)
	}
}

func TestServersThatAreRefused(t *testing.T) {
	f := start(t, cloud.Options{})
	network, _, err := f.Network.Create(f.ctx, hcloud.NetworkCreateOpts{Name: "empty", IPRange: cidr(t, "10.0.0.0/16")})
	f.must(err)
	good := func(change func(*hcloud.ServerCreateOpts)) hcloud.ServerCreateOpts {
		o := createOpts("web")
		change(&o)
		return o
	}
	for name, c := range map[string]struct {
		opts hcloud.ServerCreateOpts
		code hcloud.ErrorCode
	}{
		"name":         {good(func(o *hcloud.ServerCreateOpts) { o.Name = "a_b" }), hcloud.ErrorCodeInvalidInput},
		"type":         {good(func(o *hcloud.ServerCreateOpts) { o.ServerType.Name = "cx999" }), hcloud.ErrorCodeInvalidInput},
		"image":        {good(func(o *hcloud.ServerCreateOpts) { o.Image.Name = "windows" }), hcloud.ErrorCodeInvalidInput},
		"architecture": {good(func(o *hcloud.ServerCreateOpts) { o.ServerType.Name = "cax11" }), hcloud.ErrorCodeInvalidInput},
		"location":     {good(func(o *hcloud.ServerCreateOpts) { o.Location.Name = "moon" }), hcloud.ErrorCodeInvalidInput},
		"ssh key":      {good(func(o *hcloud.ServerCreateOpts) { o.SSHKeys = []*hcloud.SSHKey{{ID: 5}} }), hcloud.ErrorCodeInvalidInput},
		"label":        {good(func(o *hcloud.ServerCreateOpts) { o.Labels = map[string]string{"a": "b/c"} }), hcloud.ErrorCodeInvalidInput},
		"user data":    {good(func(o *hcloud.ServerCreateOpts) { o.UserData = strings.Repeat("x", 32<<10+1) }), hcloud.ErrorCodeInvalidInput},
		"no subnet":    {good(func(o *hcloud.ServerCreateOpts) { o.Networks = []*hcloud.Network{network} }), hcloud.ErrorCodeNoSubnetAvailable},
		"network":      {good(func(o *hcloud.ServerCreateOpts) { o.Networks = []*hcloud.Network{{ID: 7}} }), hcloud.ErrorCodeInvalidInput},
		"group":        {good(func(o *hcloud.ServerCreateOpts) { o.PlacementGroup = &hcloud.PlacementGroup{ID: 7} }), hcloud.ErrorCodeInvalidInput},
		"volume":       {good(func(o *hcloud.ServerCreateOpts) { o.Volumes = []*hcloud.Volume{{ID: 7}} }), hcloud.ErrorCodeInvalidInput},
		"no net": {good(func(o *hcloud.ServerCreateOpts) {
			o.PublicNet = &hcloud.ServerCreatePublicNet{EnableIPv4: false, EnableIPv6: false}
		}), hcloud.ErrorCodeInvalidInput},
	} {
		if _, _, err := f.Server.Create(f.ctx, c.opts); !hcloud.IsError(err, c.code) {
			t.Errorf("%s: %v, want %s", name, err, c.code)
		}
	}
	if servers, err := f.Server.All(f.ctx); err != nil || len(servers) != 0 {
		t.Errorf("something was created after all: %v, %v", servers, err)
	}
}

func TestUserDataIsNeverReturned(t *testing.T) {
	f := start(t, cloud.Options{})
	opts := createOpts("web")
	opts.UserData = "#cloud-config\n# " + strings.Repeat("s", 32<<10-16-1) + "\n"
	if len(opts.UserData) != 32<<10 {
		opts.UserData += strings.Repeat("\n", 32<<10-len(opts.UserData)) // exactly the limit
	}
	result, _, err := f.Server.Create(f.ctx, opts)
	f.must(err)
	f.wait(append(result.NextActions, result.Action)...)
	_, body := f.raw(http.MethodGet, "/v1/servers", "")
	if strings.Contains(body, "ssss") || strings.Contains(body, "user_data") || !strings.Contains(body, `"name":"web"`) {
		t.Errorf("list of servers: %s", body)
	}
}

func TestServerWithoutSSHKeyGetsAPassword(t *testing.T) {
	f := start(t, cloud.Options{})
	result, _, err := f.Server.Create(f.ctx, createOpts("web"))
	f.must(err)
	if len(result.RootPassword) != 20 {
		t.Errorf("root password %q", result.RootPassword)
	}
}

func TestServersBySelectorStatusAndName(t *testing.T) {
	f := start(t, cloud.Options{})
	for name, labels := range map[string]map[string]string{"a": {"env": "prod"}, "b": {"env": "test"}, "c": {}} {
		opts := createOpts(name)
		opts.Labels, opts.StartAfterCreate = labels, hcloud.Ptr(name != "c")
		result, _, err := f.Server.Create(f.ctx, opts)
		f.must(err)
		f.wait(append(result.NextActions, result.Action)...)
	}
	for _, c := range []struct {
		opts hcloud.ServerListOpts
		want string
	}{
		{hcloud.ServerListOpts{ListOpts: hcloud.ListOpts{LabelSelector: "env=prod"}}, "a"},
		{hcloud.ServerListOpts{ListOpts: hcloud.ListOpts{LabelSelector: "env"}}, "ab"},
		{hcloud.ServerListOpts{ListOpts: hcloud.ListOpts{LabelSelector: "env notin (prod)"}}, "bc"},
		{hcloud.ServerListOpts{Status: []hcloud.ServerStatus{hcloud.ServerStatusOff}}, "c"},
		{hcloud.ServerListOpts{Status: []hcloud.ServerStatus{hcloud.ServerStatusOff, hcloud.ServerStatusRunning}}, "abc"},
		{hcloud.ServerListOpts{Name: "b"}, "b"},
		{hcloud.ServerListOpts{Name: "z"}, ""},
	} {
		c.opts.Sort = []string{"name"}
		servers, err := f.Server.AllWithOpts(f.ctx, c.opts)
		f.must(err)
		got := ""
		for _, s := range servers {
			got += s.Name
		}
		if got != c.want {
			t.Errorf("%+v gives %q, want %q", c.opts, got, c.want)
		}
	}
	_, err := f.Server.AllWithOpts(f.ctx, hcloud.ServerListOpts{ListOpts: hcloud.ListOpts{LabelSelector: "a b"}})
	f.wantCode(err, hcloud.ErrorCodeInvalidInput)
}

func TestProtection(t *testing.T) {
	f := start(t, cloud.Options{})
	s := f.server("web")
	action, _, err := f.Server.ChangeProtection(f.ctx, s, hcloud.ServerChangeProtectionOpts{Delete: hcloud.Ptr(true), Rebuild: hcloud.Ptr(true)})
	f.must(err)
	f.wait(action)
	_, _, err = f.Server.DeleteWithResult(f.ctx, s)
	f.wantCode(err, hcloud.ErrorCodeProtected)
	_, _, err = f.Server.RebuildWithResult(f.ctx, s, hcloud.ServerRebuildOpts{Image: &hcloud.Image{Name: "debian-13"}})
	f.wantCode(err, hcloud.ErrorCodeProtected)
	_, _, err = f.Server.ChangeProtection(f.ctx, s, hcloud.ServerChangeProtectionOpts{Delete: hcloud.Ptr(false)})
	f.wantCode(err, hcloud.ErrorCodeInvalidInput)
}

func TestActionLists(t *testing.T) {
	f := start(t, cloud.Options{})
	var all []*hcloud.Action
	for range 30 { // more than the 25 ids that the client asks for at once
		s := f.server("s" + strings.Repeat("x", len(all)/2))
		actions, err := f.Action.AllWithOpts(f.ctx, hcloud.ActionListOpts{ID: []int64{s.ID}})
		if f.must(err); len(actions) != 0 {
			t.Fatalf("an id of a server gives actions %v", actions)
		}
		own, err := f.Server.Action.AllFor(f.ctx, s, hcloud.ActionListOpts{})
		if f.must(err); len(own) != 2 || own[0].Command != "create_server" || own[1].Command != "start_server" || own[1].Finished.IsZero() || own[1].Progress != 100 {
			t.Fatalf("actions of %s: %+v", s.Name, own)
		}
		all = append(all, own...)
	}
	f.wait(all...)
	one, _, err := f.Action.GetByID(f.ctx, all[7].ID)
	if f.must(err); one == nil || one.ID != all[7].ID {
		t.Errorf("action by id: %+v", one)
	}
	some, err := f.Action.AllWithOpts(f.ctx, hcloud.ActionListOpts{ID: []int64{all[3].ID, 5, all[1].ID}, Sort: []string{"status", "id"}})
	if f.must(err); len(some) != 2 || some[0].ID != all[1].ID || some[1].ID != all[3].ID {
		t.Errorf("actions by ids, one of them unknown: %+v", some)
	}
	if answer, body := f.raw(http.MethodGet, "/v1/actions", ""); answer.StatusCode != http.StatusGone || !strings.Contains(body, "deprecated_api_endpoint") {
		t.Errorf("all actions: %s %s", answer.Status, body)
	}
	running, err := f.Server.Action.All(f.ctx, hcloud.ActionListOpts{Status: []hcloud.ActionStatus{hcloud.ActionStatusRunning}})
	if f.must(err); len(running) != 0 {
		t.Errorf("running actions: %+v", running)
	}
	everything, err := f.Server.Action.All(f.ctx, hcloud.ActionListOpts{})
	if f.must(err); len(everything) != 60 {
		t.Errorf("%d actions of servers, want 60", len(everything))
	}
}

// broken is machines whose calls fail when told to, and that notes them.
type broken struct {
	cloud.None
	mu    sync.Mutex
	fail  string
	calls []string
	power cloud.Power
}

func (b *broken) call(name string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.calls = append(b.calls, name)
	if b.fail == name {
		return errors.New(name + " went wrong")
	}
	return nil
}

func (b *broken) Create(_ context.Context, m cloud.Machine) error {
	return b.call("create " + m.Name + " " + m.OS + " " + m.IPv4.String())
}
func (b *broken) Start(context.Context, int64) error    { return b.call("start") }
func (b *broken) PowerOff(context.Context, int64) error { return b.call("poweroff") }
func (b *broken) Remove(context.Context, int64) error   { return b.call("remove") }
func (b *broken) SetPrivate(_ context.Context, _ int64, a []netip.Prefix) error {
	var all []string
	for _, p := range a {
		all = append(all, p.String())
	}
	return b.call("private " + strings.Join(all, " "))
}
func (b *broken) Power(context.Context, int64) (cloud.Power, error) { return b.power, nil }

func TestMachinesThatFail(t *testing.T) {
	m := &broken{fail: "create web debian 198.18.0.10"}
	f := start(t, cloud.Options{Machines: m})
	result, _, err := f.Server.Create(f.ctx, createOpts("web"))
	f.must(err)
	for _, action := range append(result.NextActions, result.Action) {
		if err := f.Action.WaitFor(f.ctx, action); err == nil || !strings.Contains(err.Error(), "went wrong") {
			t.Errorf("%s ended with %v", action.Command, err)
		}
	}
	f.status(result.Server, hcloud.ServerStatusOff)
	m.mu.Lock()
	m.fail = "start"
	m.mu.Unlock()
	action, _, err := f.Server.Poweron(f.ctx, result.Server)
	f.must(err)
	if err := f.Action.WaitFor(f.ctx, action); err == nil {
		t.Error("a start that failed is reported as success")
	}
	f.status(result.Server, hcloud.ServerStatusOff)
	if want := []string{"create web debian 198.18.0.10", "start"}; !slices.Equal(m.calls, want) {
		t.Errorf("calls were %q, want %q: nothing is started that was not created", m.calls, want)
	}
}

func TestRestart(t *testing.T) {
	file := filepath.Join(t.TempDir(), "objects.json")
	m := &broken{power: cloud.PowerOn}
	f := start(t, cloud.Options{StateFile: file, Machines: m})
	s := f.server("web")
	_, _, err := f.Server.Update(f.ctx, s, hcloud.ServerUpdateOpts{Labels: map[string]string{"a": "b"}})
	f.must(err)

	again := start(t, cloud.Options{StateFile: file, Machines: m})
	now := again.status(s, hcloud.ServerStatusRunning)
	if now.Labels["a"] != "b" || !now.PublicNet.IPv4.IP.Equal(s.PublicNet.IPv4.IP) {
		t.Errorf("after a restart: %+v", now)
	}
	if next := again.server("db"); next.ID <= s.ID || next.PublicNet.IPv4.IP.Equal(s.PublicNet.IPv4.IP) {
		t.Errorf("the next server is %+v", next)
	}
	m.power = cloud.PowerOff // the machine went down while nobody served
	third := start(t, cloud.Options{StateFile: file, Machines: m})
	third.status(s, hcloud.ServerStatusOff)
	third.api.Observe(s.ID, true)
	third.status(s, hcloud.ServerStatusRunning)
}

func TestActionCutOffByARestart(t *testing.T) {
	file := filepath.Join(t.TempDir(), "objects.json")
	f := start(t, cloud.Options{StateFile: file, ActionLatency: time.Second})
	result, _, err := f.Server.Create(f.ctx, createOpts("web"))
	f.must(err)
	again := start(t, cloud.Options{StateFile: file})
	if err := again.Action.WaitFor(again.ctx, result.Action); err == nil || !strings.Contains(err.Error(), "stopped while the action ran") {
		t.Errorf("the action ended with %v", err)
	}
	again.status(result.Server, hcloud.ServerStatusOff)
}

func cidr(t *testing.T, text string) *net.IPNet {
	t.Helper()
	_, n, err := net.ParseCIDR(text)
	if err != nil {
		t.Fatal(err)
	}
	return n
}
