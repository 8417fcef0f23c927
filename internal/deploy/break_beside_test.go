package deploy

import (
	"testing"

	"github.com/flotilla-nix/flotilla/internal/problem"
)

// What is no part of a host's system is held against reviews as well, although
// the system is the deployed one: whence its keys come, who may read them, and
// how the host is reached.
func TestWhatIsBesideTheSystemIsReviewed(t *testing.T) {
	r := newRig(t, false)
	const key = `deployment.keys.token = { keyCommand = [ "pass" "show" "token" ]; `
	web := func(web string) map[string]string { return map[string]string{"hive.nix": hive(web, "")} }
	first := r.commit(web(key + `};`))
	r.publish("web", first)
	r.publish("db", first)
	for change, want := range map[string]string{
		key + `permissions = "0666"; };`:                                              "host web: update (deployment key token permissions) [access]",
		key + `uploadAt = "post-activation"; };`:                                      "host web: update (deployment key token uploadAt) [access]",
		`deployment.keys.token.keyFile = "/proc/self/environ";`:                       "host web: update (deployment key token from, deployment key token source) [access]",
		key + `}; deployment.privilegeEscalationCommand = [ "sh" "-c" "evil" "--" ];`: "host web: update (set deployment.privilegeEscalationCommand = sh -c evil --)",
		key + `}; deployment.targetHost = "evil.example";`:                            "host web: update (set deployment.targetHost = evil.example)",
	} {
		r.git("reset", "-q", "--hard", first)
		seen := r.plan(web(change))
		if result, err := r.review(Options{Reviews: saw()}); problem.CodeOf(err) != problem.Refused || texts(result.Unreviewed) != want {
			t.Errorf("%s\npasses unseen: %v\n%s", change, err, texts(result.Unreviewed))
		}
		if result, err := r.review(Options{Reviews: saw(seen...)}); err != nil {
			t.Errorf("%s\nwas shown as %s\n%v\n%s", change, texts(seen), err, texts(result.Unreviewed))
		}
	}
	r.commit(web(key + `};`))
	if result, err := r.review(Options{Reviews: saw()}); err != nil {
		t.Errorf("as it is deployed: %v\n%s", err, texts(result.Unreviewed))
	}
}
