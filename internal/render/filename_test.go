package render

import (
	"testing"

	"github.com/flotilla-nix/flotilla/internal/plans"
)

func TestFileName(t *testing.T) {
	for want, f := range map[string]plans.File{
		"/etc/ssh/sshd_config":        {Path: "ssh/sshd_config"},
		"nginx.conf of nginx.service": {Path: "nginx.conf", Unit: "nginx.service"},
	} {
		if got := fileName(f, asIs); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}
