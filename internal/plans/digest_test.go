package plans

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDigestsOfAPlan(t *testing.T) {
	part := Part{
		Resources: []Resource{
			{Kind: KindServer, Name: "db", Action: Update, Risks: []Risk{RiskPowerOff}, Attributes: []Attribute{
				{Name: "server_type", Old: "cx22", New: "cx32", Known: true, Powers: true},
				{Name: "networks.private", Known: false},
				{Name: "firewalls", Old: "web", Known: true},
				{Name: "labels.env", Old: "prod", Known: true},
				{Name: "dns_ptr.203.0.113.7", New: "db.example.com", Known: true},
				{Name: "status", Old: "off", New: "running", Known: true},
			}},
			{Kind: KindServer, Name: "old", Action: Destroy, Risks: []Risk{RiskDestroy, RiskData}, Lost: []string{"IPv4 203.0.113.9"}, Attributes: []Attribute{{Name: "ipv4", Old: "203.0.113.9", Known: true}}},
			{Kind: KindVolume, Name: "data", Action: Update, Note: "counts at creation only"},
		},
		Hosts: []Host{
			{
				Name: "web-1", Action: Update, Risks: []Risk{RiskAccess, RiskPort, RiskReboot, RiskStop},
				Units: []Unit{
					{Name: "nginx.service", Effect: EffectRestart, Why: "ExecStart changed"}, {Name: "old.service", Effect: EffectStop},
					{Name: "a.service", Effect: EffectSkip}, {Name: "b.service", Effect: EffectNothing},
				},
				Packages: []Package{{Name: "curl", Old: "1", New: "2"}},
				Ports:    []Port{{Protocol: "tcp", Port: "443", Opened: true}, {Interface: "wg0", Protocol: "udp", Port: "53"}},
				Users: []User{
					{Name: "mallory", Action: Create, KeysAdded: []string{"ssh-ed25519 SHA256:abc mallory@home"}, Changes: []string{"group wheel added"}},
					{Name: "nginx", Action: Create, System: true},
					{Name: "ada", Action: Update, KeysRemoved: []string{"ssh-ed25519 SHA256:old"}, Changes: []string{
						"uid 1000 → 1001", "primary group users → staff", "kind system user → normal user",
						"shell /nix/store/00000000000000000000000000000000-bash-5/bin/bash → /nix/store/11111111111111111111111111111111-zsh-5/bin/zsh",
					}},
				},
				Files:  []File{{Path: "motd", Action: Update}, {Path: "sudoers", Action: Update}, {Path: "ssh/x", Unit: "a.service", Action: Update}},
				Reboot: "kernel 6.1 → 6.6",
				Settings: []Attribute{
					{Name: "services.openssh.settings.PermitRootLogin", Old: "no", New: "yes", Known: true},
					{Name: "services.openssh.listenAddresses", New: "203.0.113.7:22, 0.0.0.0:22, [2001:db8::1]:22, [::]:22", Known: true},
					{Name: "deployment.targetHost", New: "192.0.2.4", Known: true},
				},
				Items: []Item{
					{Kind: ItemContainer, Name: "app", Action: Update, Changes: []Attribute{{Name: "image", Old: "app:1", New: "app:2"}}},
					{Kind: ItemDatabase, Name: "PostgreSQL", Action: Update, Data: "starts empty", Changes: []Attribute{{Name: "version"}}},
					{Kind: ItemSecret, Name: "token", Action: Update, Note: "its encrypted file changed"},
					{Kind: ItemMount, Name: "/srv", Action: Destroy, Data: "no longer mounted"},
				},
				Lockout: []string{"the SSH daemon is off"}, SSHMoves: []string{"port 22 → 2222"},
			},
			{Name: "gone", Action: Destroy},
		},
	}
	want := []Digest{
		{Subject: "host/gone", Action: Destroy, What: []string{}, Risks: []Risk{}},
		{Subject: "host/web-1", Action: Update, Risks: []Risk{RiskAccess, RiskPort, RiskReboot, RiskStop}, What: []string{
			"close udp 53 on wg0", "container app image", "data of database PostgreSQL", "data of file system /srv", "database PostgreSQL version",
			"file sudoers", "file system /srv removed", "lock the deploy out", "move the way in", "open tcp 443", "reboot", "restart nginx.service",
			"secret token changed",
			"set deployment.targetHost = ADDRESS", "set services.openssh.listenAddresses = ADDRESS:22, 0.0.0.0:22, [ADDRESS]:22, [::]:22",
			"set services.openssh.settings.PermitRootLogin = yes", "stop old.service",
			"user ada key ssh-ed25519 SHA256:old removed", "user ada kind normal user", "user ada primary group staff", "user ada shell zsh", "user ada uid 1001",
			"user mallory created", "user mallory group wheel added", "user mallory key ssh-ed25519 SHA256:abc mallory@home added", "user mallory kind normal user",
			"user nginx created",
		}},
		{Subject: "server/db", Action: Update, Risks: []Risk{RiskPowerOff}, What: []string{
			"set dns_ptr = db.example.com", "set networks.private", "set server_type = cx32", "take web from firewalls", "unset labels.env",
		}},
		{Subject: "server/old", Action: Destroy, What: []string{}, Risks: []Risk{RiskDestroy, RiskData}},
	}
	got := Digests(part)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	for _, d := range got {
		if text := d.String(); strings.Contains(text, "/nix/store") || strings.Contains(text, "203.0.113.") || strings.Contains(text, "\n") {
			t.Errorf("it holds what must not be in it: %s", text)
		}
	}
}

func change(subject string, action Action, risks []Risk, what ...string) Digest {
	return Digest{Subject: subject, Action: action, Risks: risks, What: what}
}

func TestUnreviewed(t *testing.T) {
	risks := func(r ...Risk) []Risk { return r }
	one := func(d Digest) []Digest { return []Digest{d} }
	web := change("host/web-1", Update, risks(RiskPort), "restart nginx.service", "open tcp 443")
	for name, c := range map[string]struct {
		seen  []Digest
		would Digest
		left  string // "" for nothing
	}{
		"the very same":              {one(web), web, ""},
		"less of it":                 {one(web), change("host/web-1", Update, nil, "restart nginx.service"), ""},
		"packages alone":             {one(web), change("host/web-1", Update, nil), ""},
		"packages of another":        {one(web), change("host/web-2", Update, nil), "host web-2: update"},
		"nothing was seen":           {nil, web, "host web-1: update (open tcp 443, restart nginx.service) [port opened]"},
		"mallory":                    {one(web), change("host/web-1", Update, risks(RiskAccess), "user mallory created", "user mallory group wheel added"), "host web-1: update (user mallory created, user mallory group wheel added) [access]"},
		"mallory beside it":          {one(web), change("host/web-1", Update, risks(RiskAccess, RiskPort), "open tcp 443", "user mallory created"), "host web-1: update (user mallory created) [access]"},
		"another port":               {one(web), change("host/web-1", Update, risks(RiskPort), "open tcp 443", "open tcp 22"), "host web-1: update (open tcp 22) [port opened]"},
		"another unit":               {one(web), change("host/web-1", Update, nil, "restart postgresql.service"), "host web-1: update (restart postgresql.service)"},
		"a risk without a name":      {one(web), change("host/web-1", Update, risks(RiskData)), "host web-1: update [data]"},
		"starts what restarts":       {one(web), change("host/web-1", Update, nil, "start nginx.service"), ""},
		"reloads what restarts":      {one(web), change("host/web-1", Update, nil, "reload nginx.service"), ""},
		"stops what restarts":        {one(web), change("host/web-1", Update, risks(RiskStop), "stop nginx.service"), "host web-1: update (stop nginx.service) [unit stopped]"},
		"restarts what stops":        {one(change("host/a", Update, risks(RiskStop), "stop a.service")), change("host/a", Update, nil, "restart a.service"), ""},
		"starts what stops":          {one(change("host/a", Update, risks(RiskStop), "stop a.service")), change("host/a", Update, nil, "start a.service"), "host a: update (start a.service)"},
		"restarts what starts":       {one(change("host/a", Update, nil, "start a.service")), change("host/a", Update, nil, "restart a.service"), "host a: update (restart a.service)"},
		"a new host":                 {one(web), change("host/web-1", Create, nil), "host web-1: create"},
		"a host that was new":        {one(change("host/a", Create, nil)), change("host/a", Update, nil), ""},
		"what the other key is":      {one(change("host/a", Update, risks(RiskAccess), "user root key A added")), change("host/a", Update, risks(RiskAccess), "user root key B added"), "host a: update (user root key B added) [access]"},
		"a user who loses":           {one(change("host/a", Update, risks(RiskAccess), "user ada removed")), change("host/a", Update, risks(RiskAccess), "user ada key A removed", "user ada group wheel removed"), ""},
		"a user who was made anew":   {one(change("host/a", Update, risks(RiskAccess), "user ada removed", "user ada created")), change("host/a", Update, risks(RiskAccess), "user ada uid 1001", "user ada shell sh"), ""},
		"a user who only went":       {one(change("host/a", Update, risks(RiskAccess), "user ada removed")), change("host/a", Update, risks(RiskAccess), "user ada uid 1001"), "host a: update (user ada uid 1001) [access]"},
		"a user who gains":           {one(change("host/a", Update, risks(RiskAccess), "user ada removed", "user ada created")), change("host/a", Update, risks(RiskAccess), "user ada key A added", "user ada group wheel added", "user ada kind normal user"), "host a: update (user ada group wheel added, user ada key A added, user ada kind normal user) [access]"},
		"two requests together":      {[]Digest{web, change("host/web-1", Update, risks(RiskAccess), "user ada created")}, change("host/web-1", Update, risks(RiskAccess, RiskPort), "open tcp 443", "user ada created"), ""},
		"update seen as replace":     {one(change("server/db", Replace, risks(RiskReplace, RiskData), "set server_type = cx32")), change("server/db", Update, risks(RiskPowerOff), "set server_type = cx32"), ""},
		"replace seen as update":     {one(change("server/db", Update, risks(RiskPowerOff), "set server_type = cx32")), change("server/db", Replace, risks(RiskReplace, RiskData), "set server_type = cx32"), "server db: replace (set server_type = cx32) [replace, data]"},
		"rebuild seen as replace":    {one(change("server/db", Replace, risks(RiskReplace, RiskData))), change("server/db", Rebuild, risks(RiskData)), ""},
		"replace seen as rebuild":    {one(change("server/db", Rebuild, risks(RiskData))), change("server/db", Replace, risks(RiskReplace, RiskData)), "server db: replace [replace, data]"},
		"replace seen as destroy":    {one(change("server/db", Destroy, risks(RiskDestroy, RiskData))), change("server/db", Replace, risks(RiskReplace, RiskData)), ""},
		"destroy seen as replace":    {one(change("server/db", Replace, risks(RiskReplace, RiskData))), change("server/db", Destroy, risks(RiskDestroy, RiskData)), "server db: destroy [destroy, data]"},
		"create seen as replace":     {one(change("server/db", Replace, risks(RiskReplace, RiskData))), change("server/db", Create, nil), ""},
		"create seen as update":      {one(change("server/db", Update, nil)), change("server/db", Create, nil), "server db: create"},
		"update seen as create":      {one(change("server/db", Create, nil, "set labels.a = b")), change("server/db", Update, nil, "set labels.a = b"), ""},
		"another value":              {one(change("server/db", Update, nil, "set server_type = cx32")), change("server/db", Update, nil, "set server_type = cx52"), "server db: update (set server_type = cx52)"},
		"a value that nobody knew":   {one(change("server/db", Update, nil, "set ip")), change("server/db", Update, nil, "set ip = 10.0.0.2"), ""},
		"a value that is not known":  {one(change("server/db", Update, nil, "set ip = 10.0.0.2")), change("server/db", Update, nil, "set ip"), "server db: update (set ip)"},
		"a value like another name":  {one(change("server/db", Update, nil, "set ip")), change("server/db", Update, nil, "set ip_range = 10.0.0.0/8"), "server db: update (set ip_range = 10.0.0.0/8)"},
		"access by replace":          {one(change("server/db", Replace, risks(RiskReplace, RiskData))), change("server/db", Update, risks(RiskAccess)), "server db: update [access]"},
		"a resource's risk stays":    {one(change("firewall/web", Update, risks(RiskPort), "set rules = tcp 443")), change("firewall/web", Update, risks(RiskPort), "set rules = tcp 443", "set rules = tcp 22"), "firewall web: update (set rules = tcp 22) [port opened]"},
		"an action nobody knows":     {one(change("server/db", Destroy, nil)), change("server/db", "melt", nil), "server db: melt"},
		"a risk nobody knows":        {one(change("server/db", Destroy, risks(RiskDestroy))), change("server/db", Update, risks("fire")), "server db: update [fire]"},
		"reboot seen as a power-off": {one(change("host/a", Update, risks(RiskPowerOff), "reboot")), change("host/a", Update, risks(RiskReboot), "reboot"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			var got []string
			for _, d := range Unreviewed([]Digest{c.would}, c.seen) {
				got = append(got, d.String())
			}
			if text := strings.Join(got, "; "); text != c.left {
				t.Errorf("got  %s\nwant %s", text, c.left)
			}
		})
	}
	if Unreviewed(nil, []Digest{web}) != nil {
		t.Error("no change is not fine")
	}
}

// What many hosts share is written once: the header of a comment has little room.
func TestPackedSize(t *testing.T) {
	var list []Digest
	for host := range 60 {
		d := Digest{Subject: fmt.Sprintf("host/web-%d", host), Action: Update, Risks: []Risk{RiskAccess, RiskReboot}}
		for unit := range 150 {
			d.What = append(d.What, fmt.Sprintf("restart some-rather-long-name-%d.service", unit))
		}
		for own := range 3 {
			d.What = append(d.What, fmt.Sprintf("restart app-%d-%d.service", host, own))
		}
		list = append(list, d)
	}
	packed := PackDigests(list, 1<<20)
	if len(packed) > 16<<10 {
		t.Errorf("60 hosts take %d bytes", len(packed))
	}
	got, err := UnpackDigests(packed)
	if err != nil || len(Unreviewed(list, got)) != 0 || len(Unreviewed(got, list)) != 0 {
		t.Errorf("not what was packed: %v", err)
	}
	list[59].Risks = nil // what has no risk goes first
	small := PackDigests(list, len(packed)/2)
	got, err = UnpackDigests(small)
	if err != nil || len(small) > len(packed)/2 || len(got) == 0 || len(got) >= 60 {
		t.Fatalf("%d bytes, %d digests, %v", len(small), len(got), err)
	}
	if slices.ContainsFunc(got, func(d Digest) bool { return d.Subject == "host/web-59" }) || len(Unreviewed(got, list)) != 0 {
		t.Errorf("what was left out is not what has no risk, or something was added")
	}
	if none, err := UnpackDigests(PackDigests(list, 0)); err != nil || len(none) != 0 {
		t.Errorf("without room: %v, %v", none, err)
	}
}

func TestUnpackRefuses(t *testing.T) {
	for _, text := range []string{
		``, `null`, `{}`, `[]`, `{"v":2,"s":[],"g":[]}`, `{"v":1,"s":["nothing"],"g":[]}`, `{"v":1,"s":["melt host/a"],"g":[]}`,
		`{"v":1,"s":["update host/a"],"g":[{"on":"1"}]}`, `{"v":1,"s":["update host/a"],"g":[{"on":"-1"}]}`, `{"v":1,"s":["update host/a"],"g":[{"on":"0,0"}]}`,
		`{"v":1,"s":["update host/a","update host/b"],"g":[{"on":"1-0"}]}`, `{"v":1,"s":["update host/a"],"g":[{"on":""}]}`,
	} {
		if got, err := UnpackDigests([]byte(text)); err == nil {
			t.Errorf("%s: read as %v", text, got)
		}
	}
}

// FuzzDigests makes digests of arbitrary bytes and holds the rule's promises
// against them.
func FuzzDigests(f *testing.F) {
	f.Add("update host/web-1\nopen tcp 443\nrestart nginx.service", uint16(0x18), uint8(1))
	f.Add("destroy server/db\n", uint16(0x3), uint8(0))
	f.Add("create host/a\nuser a created\nset x = y\nset x", uint16(0xff), uint8(2))
	f.Add("replace server/ü\n…\n\x00<!-- -->", uint16(0x0), uint8(9))
	f.Fuzz(func(t *testing.T, text string, risks uint16, split uint8) {
		text = strings.ToValidUTF8(text[:min(len(text), 4096)], "?")
		var would []Digest
		for i, line := range strings.Split(text, "\n\n") {
			words := strings.Split(line, "\n")
			action, subject, _ := strings.Cut(words[0], " ")
			if !slices.Contains([]Action{Create, Update, Rebuild, Replace, Destroy}, Action(action)) {
				action = string(Update)
			}
			d := Digest{Subject: subject, Action: Action(action), What: words[1:]}
			for bit, r := range riskOrder {
				if risks>>(uint(bit)+uint(i))&1 == 1 {
					d.Risks = append(d.Risks, r)
				}
			}
			would = append(would, d)
		}
		packed := PackDigests(would, 1<<20)
		back, err := UnpackDigests(packed)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(normal(would), back); diff != "" {
			t.Fatalf("another one came back (-want +got):\n%s", diff)
		}
		if again := PackDigests(back, 1<<20); string(again) != string(packed) {
			t.Fatalf("packed twice:\n%s\n%s", packed, again)
		}
		if left := Unreviewed(would, back); len(left) != 0 {
			t.Fatalf("what was seen counts as not reviewed: %v", left)
		}
		// A part of what was seen is never unreviewed.
		some := slices.Clone(would[:int(split)%(len(would)+1)])
		for i := range some {
			some[i].What = some[i].What[:int(split)%(len(some[i].What)+1)]
			some[i].Risks = some[i].Risks[:int(split)%(len(some[i].Risks)+1)]
		}
		if left := Unreviewed(some, would); len(left) != 0 {
			t.Fatalf("a part counts as not reviewed: %v", left)
		}
		// Something more always is.
		more := slices.Clone(would)
		more[0].What = slices.Concat(more[0].What, []string{"user mallory group wheel added by nobody"})
		more[0].Risks = slices.Concat(more[0].Risks, []Risk{"of another kind"})
		left := Unreviewed(more, would)
		if len(left) != 1 || len(left[0].What) != 1 || !slices.Contains(left[0].Risks, "of another kind") {
			t.Fatalf("what was added: %v", left)
		}
	})
}

func FuzzUnpackDigests(f *testing.F) {
	f.Add([]byte(`{"v":1,"s":["update host/a","destroy server/b"],"g":[{"on":"0-1","r":["data"],"w":["open tcp 1"]}]}`))
	f.Add([]byte(`{"v":1,"s":["update host/a"],"g":[{"on":"0,0"}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		list, err := UnpackDigests(text)
		if err != nil {
			return
		}
		again, err := UnpackDigests(PackDigests(list, 1<<30))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(list, again); diff != "" {
			t.Fatalf("(-want +got):\n%s", diff)
		}
	})
}
