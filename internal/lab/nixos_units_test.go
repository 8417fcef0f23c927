package lab

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// TestCompareUnits: when the lab's switch takes two texts of a unit for equal,
// and when it reloads or restarts.
func TestCompareUnits(t *testing.T) {
	tests := []struct{ name, before, after, want string }{
		{"the same", "[Unit]\nAfter=a\n[Service]\nExecStart=/x\n", "[Unit]\nAfter=a\n[Service]\nExecStart=/x\n", "equal"},
		{"order of keys, comments, spaces", "[Service]\nType=exec\nExecStart=/x\n", "# said\n[Service]\nExecStart = /x\n\nType=exec\n", "equal"},
		{"description", "[Unit]\nDescription=a\n", "[Unit]\nDescription=b\n", "equal"},
		{"every ignored key", "[Unit]\nA=1\n", "[Unit]\nA=1\nDescription=b\nDocumentation=c\nOnFailure=d\nOnSuccess=e\nOnFailureJobMode=f\nIgnoreOnIsolate=yes\nStopWhenUnneeded=yes\nRefuseManualStart=yes\nRefuseManualStop=yes\nAllowIsolate=yes\nCollectMode=x\nSourcePath=/y\n", "equal"},
		{"an ignored key elsewhere counts", "[Service]\nDescription=a\n", "[Service]\nDescription=b\n", "restart"},
		{"install", "[Service]\nA=1\n[Install]\nWantedBy=a\n", "[Service]\nA=1\n", "equal"},
		{"a Unit section with a description alone", "[Service]\nA=1\n", "[Unit]\nDescription=a\n[Service]\nA=1\n", "equal"},
		{"a Unit section with more", "[Service]\nA=1\n", "[Unit]\nAfter=a\n[Service]\nA=1\n", "restart"},
		{"a new section", "[Unit]\nA=1\n", "[Unit]\nA=1\n[Service]\nB=1\n", "restart"},
		{"a section gone", "[Unit]\nA=1\n[Service]\nB=1\n", "[Unit]\nA=1\n", "restart"},
		{"a value", "[Service]\nExecStart=/x\n", "[Service]\nExecStart=/y\n", "restart"},
		{"order of a repeated key", "[Service]\nExecStartPre=/a\nExecStartPre=/b\n", "[Service]\nExecStartPre=/b\nExecStartPre=/a\n", "restart"},
		{"an empty value clears", "[Service]\nE=a\nE=\nE=b\n", "[Service]\nE=b\n", "equal"},
		{"reload triggers", "[Unit]\nX-Reload-Triggers=a\n[Service]\nA=1\n", "[Unit]\nX-Reload-Triggers=b\n[Service]\nA=1\n", "reload"},
		{"reload triggers added", "[Service]\nA=1\n[Unit]\n", "[Unit]\nX-Reload-Triggers=b\n[Service]\nA=1\n", "reload"},
		{"reload triggers removed", "[Unit]\nX-Reload-Triggers=a\n[Service]\nA=1\n", "[Unit]\n[Service]\nA=1\n", "equal"},
		{"reload triggers and more", "[Unit]\nX-Reload-Triggers=a\n[Service]\nA=1\n", "[Unit]\nX-Reload-Triggers=b\n[Service]\nA=2\n", "restart"},
		{"restart triggers", "[Unit]\nX-Restart-Triggers=a\n", "[Unit]\nX-Restart-Triggers=b\n", "restart"},
		{"ExecReload changed", "[Service]\nExecReload=/a\n", "[Service]\nExecReload=/b\n", "reload"},
		{"ExecReload added", "[Service]\nA=1\n", "[Service]\nA=1\nExecReload=/b\n", "reload"},
		{"ExecReload removed", "[Service]\nA=1\nExecReload=/b\n", "[Service]\nA=1\n", "equal"},
		{"mount options", "[Mount]\nWhat=a\nOptions=ro\n", "[Mount]\nWhat=a\nOptions=rw\n", "reload"},
		{"mount options and more", "[Mount]\nWhat=a\nOptions=ro\n", "[Mount]\nWhat=b\nOptions=rw\n", "restart"},
		{"a continued line", "[Service]\nExecStart=/x a \\\n b\n", "[Service]\nExecStart=/x a   b\n", "equal"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			for name, text := range map[string]string{"old": tt.before, "new": tt.after} {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			out, err := exec.CommandContext(ctx, "perl", "-I", filepath.FromSlash(treeRoot+"/nixos/modules/system/switch"), "-MUnits=compare_units,parse_unit",
				"-e", "print compare_units(parse_unit($ARGV[0]), parse_unit($ARGV[1]))", filepath.Join(dir, "old"), filepath.Join(dir, "new")).CombinedOutput()
			if err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			if string(out) != tt.want {
				t.Errorf("got %s, want %s", out, tt.want)
			}
		})
	}
}
