package planner

import (
	"crypto/ed25519"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/ssh"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/storepath"
)

// key gives an authorized_keys line and its description.
func key(t *testing.T, n byte, comment string) (line, described string) {
	t.Helper()
	seed := make([]byte, ed25519.SeedSize)
	seed[0] = n
	pub, err := ssh.NewPublicKey(ed25519.NewKeyFromSeed(seed).Public())
	if err != nil {
		t.Fatal(err)
	}
	line = strings.TrimSpace(string(ssh.MarshalAuthorizedKey(pub))) + " " + comment
	return line, "ssh-ed25519 " + ssh.FingerprintSHA256(pub) + " " + comment
}

func path(t *testing.T, c string, name string) storepath.Path {
	t.Helper()
	p, err := storepath.Parse("/nix/store/" + strings.Repeat(c, 32) + "-" + name)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// healthy is a system into which a deploy can log in.
func healthy(t *testing.T) plans.System {
	t.Helper()
	line, _ := key(t, 1, "deploy")
	return plans.System{
		Host: "web", HostName: "web", StateVersion: "25.11",
		DrvPath: path(t, "0", "nixos-system-web.drv"), OutPath: path(t, "0", "nixos-system-web"),
		Firewall: plans.Firewall{Enabled: true, Ports: plans.FirewallPorts{TCP: []string{"22", "80"}}},
		SSHD:     plans.SSHD{Enabled: true, Ports: []int{22}, Settings: map[string]string{"PermitRootLogin": "prohibit-password"}},
		Users:    map[string]plans.UserFacts{"root": {Keys: []string{line}}},
	}
}

// compare changes a healthy system by edit and gives what the plan tells of it.
func compare(t *testing.T, known Known, edit func(s *plans.System)) plans.Host {
	t.Helper()
	old, new := healthy(t), healthy(t)
	new.OutPath = path(t, "1", "nixos-system-web")
	edit(&new)
	hosts, missing, _ := Compare(evaluations(old), evaluations(new), known)
	if len(hosts) != 1 || len(missing) != 0 {
		t.Fatalf("hosts %+v, missing %+v", hosts, missing)
	}
	return hosts[0]
}

func evaluations(list ...plans.System) map[string]plans.Evaluation {
	m := map[string]plans.Evaluation{}
	for _, s := range list {
		m[s.Host] = plans.Evaluation{System: s}
	}
	return m
}

func TestUnchanged(t *testing.T) {
	s := evaluations(healthy(t))
	if hosts, missing, warnings := Hosts(s, s, nil); hosts != nil || missing != nil || warnings != nil {
		t.Errorf("got %v %v %v", hosts, missing, warnings)
	}
}

func TestPackages(t *testing.T) {
	p := func(list ...string) (packages []plans.InstalledPackage) {
		for _, s := range list {
			name, version, _ := strings.Cut(s, " ")
			packages = append(packages, plans.InstalledPackage{Name: name, Version: version})
		}
		return packages
	}
	got := packages(p("vim 9.0", "git 2.1", "gone 1", "two 1", "two 2", "same 1", "bare"), p("vim 9.1", "git 2.0", "new 3", "two 2", "two 3", "two 3", "same 1", "bare 1"))
	want := []plans.Package{
		{Name: "bare", Old: "installed", New: "1"}, {Name: "git", Old: "2.1", New: "2.0"}, {Name: "gone", Old: "1"}, {Name: "new", New: "3"},
		{Name: "two", Old: "1, 2", New: "2, 3"}, {Name: "vim", Old: "9.0", New: "9.1"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestPorts(t *testing.T) {
	on := func(tcp ...string) plans.Firewall {
		return plans.Firewall{Enabled: true, Ports: plans.FirewallPorts{TCP: tcp}}
	}
	for _, c := range []struct {
		name     string
		old, new plans.Firewall
		want     string
	}{
		{"same", on("80", "22"), on("22", "80", "80"), ""},
		{"opened by number", on("22"), on("22", "443", "80", "8000-9000"), "+80/tcp +443/tcp +8000-9000/tcp"},
		{"closed", on("22", "80"), on("22"), "-80/tcp"},
		{"opened before closed", on("80"), on("443"), "+443/tcp -80/tcp"},
		{"interface and udp", on(), plans.Firewall{Enabled: true, Interfaces: map[string]plans.FirewallPorts{"wg0": {TCP: []string{"all"}, UDP: []string{"53"}}}}, "+wg0:all/tcp +wg0:53/udp"},
		{"switched off", on("22"), plans.Firewall{}, "+all/tcp +all/udp"},
		{"switched on", plans.Firewall{}, on("22"), "-all/tcp -all/udp"},
		{"lists of a firewall that is off", plans.Firewall{}, plans.Firewall{Ports: plans.FirewallPorts{TCP: []string{"1"}}}, ""},
	} {
		var words []string
		for _, p := range ports(c.old, c.new) {
			s := "-"
			if p.Opened {
				s = "+"
			}
			if p.Interface != "" {
				s += p.Interface + ":"
			}
			words = append(words, s+p.Port+"/"+p.Protocol)
		}
		if got := strings.Join(words, " "); got != c.want {
			t.Errorf("%s: got %q, want %q", c.name, got, c.want)
		}
	}
}

func TestSettings(t *testing.T) {
	h := compare(t, Known{}, func(s *plans.System) {
		s.HostName, s.StateVersion = "www", "26.05"
		s.Deployment.Tags = []string{"b", "a"}
		s.Deployment.TargetPort = 22
		s.SSHD.Settings["PasswordAuthentication"] = "yes"
		s.Images = map[string]string{"app": "app:2"}
	})
	want := []plans.Attribute{
		{Name: "networking.hostName", Old: "web", New: "www", Known: true},
		{Name: "system.stateVersion", Old: "25.11", New: "26.05", Known: true},
		{Name: "deployment.targetPort", New: "22", Known: true},
		{Name: "deployment.tags", New: "a, b", Known: true},
		{Name: "services.openssh.settings.PasswordAuthentication", New: "yes", Known: true},
	}
	if diff := cmp.Diff(want, h.Settings); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !slices.Equal(h.Risks, []plans.Risk{plans.RiskData, plans.RiskAccess}) || len(h.Items) != 1 || h.Items[0].Kind != plans.ItemContainer || h.Items[0].Action != plans.Create {
		t.Errorf("risks %v, items %+v", h.Risks, h.Items)
	}
}

func TestReboot(t *testing.T) {
	old := plans.Boot{Kernel: "/nix/store/k1", KernelVersion: "6.12.1", Initrd: "/nix/store/i1", Modules: "/nix/store/m1", Params: []string{"quiet", "loglevel=4"}}
	for _, c := range []struct {
		edit func(b *plans.Boot)
		want string
	}{
		{func(*plans.Boot) {}, ""},
		{func(b *plans.Boot) { b.Kernel, b.KernelVersion = "/nix/store/k2", "6.12.2" }, "kernel 6.12.1 → 6.12.2"},
		{func(b *plans.Boot) { b.Kernel = "/nix/store/k2" }, "kernel (same version, other build)"},
		{func(b *plans.Boot) { b.Initrd, b.Modules = "/nix/store/i2", "/nix/store/m2" }, "kernel modules, initrd"},
		{func(b *plans.Boot) { b.Params = []string{"loglevel=4", "debug"} }, "kernel parameters (+debug -quiet)"},
		{func(b *plans.Boot) { b.Params = []string{"loglevel=4", "quiet"} }, "kernel parameters (order)"},
		{func(b *plans.Boot) { *b = plans.Boot{} }, "kernel, kernel modules, initrd, kernel parameters (-quiet -loglevel=4)"},
	} {
		new := old
		c.edit(&new)
		if got := reboot(old, new); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
	h := compare(t, Known{}, func(s *plans.System) { s.Boot = old })
	if !slices.Equal(h.Risks, []plans.Risk{plans.RiskReboot}) {
		t.Errorf("risks are %v", h.Risks)
	}
}

func TestFiles(t *testing.T) {
	entry := func(text string) plans.EtcEntry { return plans.EtcEntry{Text: &text, Mode: "0644"} }
	source := func(path string) plans.EtcEntry { return plans.EtcEntry{Source: path, Mode: "symlink"} }
	secret := entry("a\n")
	secret.Mode = "0600"
	got := files(map[string]plans.EtcEntry{
		"same": entry("a\n"), "hash": entry("/nix/store/00000000000000000000000000000000-x/y\n"), "text": entry("a\nb\nc\n"), "gone": entry("x\n"),
		"mode": entry("a\n"), "unknown": source("/nix/store/00000000000000000000000000000000-x"), "systemd/system": source("/nix/store/1"), "learned": source("/nix/store/2"),
	}, map[string]plans.EtcEntry{
		"same": entry("a\n"), "hash": entry("/nix/store/11111111111111111111111111111111-x/y\n"), "text": entry("a\nB\nc\n"), "new": entry("y\n"),
		"mode": secret, "unknown": source("/nix/store/11111111111111111111111111111111-x"), "systemd/system": source("/nix/store/2"), "learned": entry("z\n"),
	})
	want := []plans.File{
		{Path: "gone", Action: plans.Destroy, Diff: "@@ -1,1 +0,0 @@\n-x\n"},
		{Path: "learned", Action: plans.Update, Diff: "-mode symlink\n+mode 0644\n"},
		{Path: "mode", Action: plans.Update, Diff: "-mode 0644\n+mode 0600\n"},
		{Path: "new", Action: plans.Create, Diff: "@@ -0,0 +1,1 @@\n+y\n"},
		{Path: "text", Action: plans.Update, Diff: "@@ -1,3 +1,3 @@\n a\n-b\n+B\n c\n"},
		{Path: "unknown", Action: plans.Update},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestGeneratedFiles(t *testing.T) {
	with := func(files map[string]string) plans.UnitText { return plans.UnitText{Enabled: true, Files: files} }
	got := generatedFiles(map[string]plans.UnitText{
		"a.service": with(map[string]string{"a.conf": "x\n", "same": "1", "hash": "/nix/store/00000000000000000000000000000000-x", "gone": "g\n"}),
		"b.service": with(map[string]string{"a.conf": "x\n"}),
		"c.service": with(map[string]string{"c.conf": "c\n"}),
	}, map[string]plans.UnitText{
		"a.service": with(map[string]string{"a.conf": "y\n", "same": "1", "hash": "/nix/store/11111111111111111111111111111111-x"}),
		"b.service": with(map[string]string{"a.conf": "y\n"}),
		"d.service": with(map[string]string{"d.conf": "d\n"}),
	})
	want := []plans.File{
		{Path: "a.conf", Unit: "a.service, b.service", Action: plans.Update, Diff: "@@ -1,1 +1,1 @@\n-x\n+y\n"},
		{Path: "gone", Unit: "a.service", Action: plans.Destroy, Diff: "@@ -1,1 +0,0 @@\n-g\n"},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestDiffsAreBounded(t *testing.T) {
	var long strings.Builder
	for i := range 2000 {
		fmt.Fprintf(&long, "line %d\n", i)
	}
	text := long.String()
	many := map[string]plans.EtcEntry{}
	for i := range 200 {
		many[fmt.Sprintf("f%03d", i)] = plans.EtcEntry{Text: &text}
	}
	total := 0
	list := bounded(files(nil, many))
	for _, f := range list {
		if len(f.Diff) > maxDiffBytes+100 || strings.Count(f.Diff, "\n") > maxDiffLines+1 {
			t.Fatalf("diff of %s has %d bytes", f.Path, len(f.Diff))
		}
		total += len(f.Diff)
	}
	if total > maxDiffTotal+maxDiffBytes || len(list) != 200 || list[199].Diff != "" || !strings.HasSuffix(list[0].Diff, "… cut\n") {
		t.Errorf("%d bytes for %d files", total, len(list))
	}
}

func TestAfterApply(t *testing.T) {
	facts := fleet.Facts{
		"new": {IPv4: "192.0.2.1", IPv6: "2001:db8::1", Private: map[string]string{"net": "198.51.100.7"}},
		"old": {IPv4: "192.0.2.50", Known: true},
	}
	unit := func(text string) func(s *plans.System) {
		return func(s *plans.System) { s.Units = map[string]plans.UnitText{"a.service": u(text)} }
	}
	etc := func(text string) func(s *plans.System) {
		return func(s *plans.System) { s.Etc = map[string]plans.EtcEntry{"a": {Text: &text}} }
	}
	for name, c := range map[string]struct {
		edit func(s *plans.System)
		want bool
	}{
		"none":                   {unit("x"), false},
		"in a unit":              {unit("[Service]\nExecStart=x 192.0.2.1:80"), true},
		"in a file":              {etc("allow 198.51.100.7;"), true},
		"end of a sentence":      {etc("It is 192.0.2.1."), true},
		"IPv6 in brackets":       {etc("http://[2001:db8::1]/"), true},
		"part of a longer one":   {etc("192.0.2.10 1192.0.2.1 192.0.2.1.5"), false},
		"known server's":         {etc("192.0.2.50"), false},
		"read, but not shown":    {func(s *plans.System) { s.ReadServers = []string{"new"} }, true},
		"read of a known server": {func(s *plans.System) { s.ReadServers = []string{"old"} }, false},
	} {
		if got := compare(t, Known{Facts: facts}, c.edit).AfterApply; got != c.want {
			t.Errorf("%s: got %v, want %v", name, got, c.want)
		}
	}
}

func TestCompareHosts(t *testing.T) {
	sys := func(host, c string, warnings ...string) plans.Evaluation {
		s := healthy(t)
		s.Host, s.OutPath, s.Warnings = host, path(t, c, "nixos-system"), warnings
		return plans.Evaluation{System: s}
	}
	bad := plans.Evaluation{Err: &problem.Problem{Summary: "it is broken", At: problem.Position{File: "hive.nix", Line: 3}}}
	risky := sys("z-risky", "1")
	risky.System.Firewall.Enabled = false
	changes, missing, warnings := Hosts(
		map[string]plans.Evaluation{"same": sys("same", "0", "old"), "gone": sys("gone", "0"), "edited": sys("edited", "0", "old"), "was-bad": bad, "bad": bad, "breaks": sys("breaks", "0"), "z-risky": sys("z-risky", "0")},
		map[string]plans.Evaluation{"same": sys("same", "0", "old"), "new": sys("new", "0"), "edited": sys("edited", "1", "old", "fresh"), "was-bad": sys("was-bad", "1"), "bad": bad, "breaks": bad, "z-risky": risky},
		nil)
	var got []string
	for _, h := range changes {
		got = append(got, string(h.Action)+" "+h.Name)
	}
	want := []string{"create new", "update z-risky", "update edited", "destroy gone"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	const text = "error: hive.nix:3: it is broken\n"
	if diff := cmp.Diff([]plans.Gap{{Subject: "bad", Text: text, At: bad.Err.At}, {Subject: "breaks", Text: text, At: bad.Err.At}, {Subject: "was-bad", Text: "before this change: " + text}}, missing); diff != "" {
		t.Errorf("missing (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]plans.Gap{{Subject: "edited", Text: "fresh"}}, warnings); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
}

// A system without review facts is not one without units, users and SSH.
func TestPartialSystems(t *testing.T) {
	whole, partial := healthy(t), plans.System{Host: "web", DrvPath: path(t, "1", "x.drv"), OutPath: path(t, "1", "x"), Partial: "it aborts"}
	whole.Units = map[string]plans.UnitText{"a.service": u(app)}
	for name, c := range map[string]struct{ base, head map[string]plans.Evaluation }{
		"head": {evaluations(whole), evaluations(partial)}, "base": {evaluations(partial), evaluations(whole)}, "new": {nil, evaluations(partial)},
	} {
		hosts, missing, _ := Hosts(c.base, c.head, nil)
		if len(hosts) != 1 || len(missing) != 1 || missing[0].Text != "what changes in the system is not known: it aborts" {
			t.Fatalf("%s: hosts %+v, missing %+v", name, hosts, missing)
		}
		if h := hosts[0]; len(h.Units)+len(h.Users)+len(h.Ports)+len(h.Risks) != 0 || !slices.Equal(h.Notes, []string{unknownContents}) {
			t.Errorf("%s: got %+v", name, h)
		}
	}
}

func TestAssemble(t *testing.T) {
	in := Input{
		Fleet: "acme", Base: plans.Revision{Commit: "a"}, Head: plans.Revision{Commit: "b"},
		Resources: []plans.Resource{{Name: "x", Action: plans.Destroy}, {Name: "y", Action: plans.Create}, {Name: "z", Action: plans.Update}},
	}
	p := Assemble(in)
	if !p.Complete || p.Version != plans.Version || p.This.Resources[0].Name != "y" || p.This.Resources[2].Name != "x" || p.Missing == nil || p.Pending.Hosts == nil {
		t.Errorf("got %+v", p)
	}
	if in.Resources[0].Name != "x" {
		t.Error("the caller's list was sorted")
	}
	in.Missing = []plans.Gap{{Subject: "web", Text: "broken"}}
	if Assemble(in).Complete {
		t.Error("complete with a gap")
	}
}
