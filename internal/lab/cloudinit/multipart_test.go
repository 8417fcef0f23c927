package cloudinit_test

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/flotilla-nix/flotilla/internal/lab/cloudinit"
)

const parts = `MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="b"

--b
Content-Type: text/cloud-config; charset="utf-8"

#cloud-config
hostname: first
ssh_keys:
  ed25519_private: one
--b
Content-Type: text/x-shellscript; charset="utf-8"

#!/bin/sh
echo script
--b
Content-Type: multipart/mixed; boundary="c"

--c
Content-Type: text/plain

#cloud-config
hostname: second
runcmd: [echo it is runcmd]
ssh_keys:
  ed25519_private: two
write_files: [{path: /etc/x, content: x}]
--c
Content-Type: text/x-include-url

#include
--c--
--b--
`

func TestParts(t *testing.T) {
	c, err := cloudinit.Parse(parts)
	if err != nil {
		t.Fatal(err)
	}
	if c.Hostname != "first" || c.HostKeys["ed25519_private"] != "one\n" || len(c.Files) != 1 || c.Files[0].Path != "/etc/x" {
		t.Errorf("%+v", c)
	}
	want := []string{"ssh_keys.ed25519_private is set twice: the first counts", "a part of type text/x-include-url is ignored"}
	if got := strings.Join(c.Notes, "|"); !strings.Contains(got, want[0]) || !strings.Contains(got, want[1]) {
		t.Errorf("notes %q", c.Notes)
	}
	cmd := exec.CommandContext(t.Context(), "sh")
	cmd.Stdin = strings.NewReader(c.Script)
	out, err := cmd.CombinedOutput()
	if err != nil || string(out) != "script\nit is runcmd\n" {
		t.Errorf("the scripts: %v, %q", err, out)
	}
}

func TestPartsThatAreNone(t *testing.T) {
	for _, text := range []string{
		"MIME-Version: 1.0\nContent-Type: multipart/mixed\n\n--b\n", "Content-Type: multipart/mixed; boundary=\"b\"\n\nno part",
		"MIME-Version: 1.0\n\n#cloud-config\n", "Content-Type: text/cloud-config\n\n#cloud-config\n\tx: [",
	} {
		if c, err := cloudinit.Parse(text); err == nil {
			t.Errorf("%q gives %+v", text, c)
		}
	}
}
