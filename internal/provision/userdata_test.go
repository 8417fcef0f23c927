package provision

import (
	"strings"
	"testing"

	"github.com/flotilla-nix/flotilla/internal/lab/cloudinit"
)

// What the fleet wants of cloud-init, and the throw-away host key, both reach
// the server, whatever form the fleet's own user data has.
func TestUserDataOfBoth(t *testing.T) {
	key, err := newHostKey()
	if err != nil {
		t.Fatal(err)
	}
	const mime = "Content-Type: multipart/mixed; boundary=\"own\"\n\n--own\nContent-Type: text/cloud-config\n\n#cloud-config\nhostname: mine\n--own--\n"
	for own, want := range map[string]func(cloudinit.Config) bool{
		"":                                 func(c cloudinit.Config) bool { return c.Script == "" },
		"#!/bin/sh\necho own":              func(c cloudinit.Config) bool { return strings.Contains(c.Script, "echo own") },
		"#cloud-config\nhostname: mine\n":  func(c cloudinit.Config) bool { return c.Hostname == "mine" },
		mime:                               func(c cloudinit.Config) bool { return c.Hostname == "mine" },
		"#cloud-boothook\n#!/bin/sh\ntrue": func(c cloudinit.Config) bool { return len(c.Notes) == 1 },
	} {
		data := key.userData(own)
		if strings.Contains(data.String(), "PRIVATE KEY") {
			t.Error("the private key is shown")
		}
		c, err := cloudinit.Parse(data.Reveal())
		if err != nil {
			t.Fatalf("%q: %v\n%s", own, err, data.Reveal())
		}
		if c.HostKeys["ed25519_private"] != key.private.Reveal() || !strings.Contains(c.HostKeys["ed25519_public"], key.public) || !want(c) {
			t.Errorf("%q is understood as %+v", own, c)
		}
		if len(data.Reveal()) > len(own)+ownUserData {
			t.Errorf("Flotilla's part has %d bytes", len(data.Reveal())-len(own))
		}
	}
}

func TestUnfitUserData(t *testing.T) {
	for own, want := range map[string]string{
		"": "", "#!/bin/sh\nssh_keys: no": "", "#cloud-config\nssh_authorized_keys: []\n": "",
		"#cloud-config\nssh_keys:\n  x: y\n":                  "sets ssh_keys",
		"#!/bin/sh\n" + strings.Repeat("x", maxUserData-1000): "31744 is the most",
		"#!/bin/sh\n" + strings.Repeat("x", 31000):            "",
	} {
		got := unfitUserData(own)
		if (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%.20q: %q, want %q", own, got, want)
		}
	}
}
