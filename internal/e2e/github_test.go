//go:build integration

package e2e

import (
	"testing"
)

// permissions are those of the example workflows' jobs, and of a fork's, which
// GitHub makes read-only whatever the workflow says.
func permissions() map[string]map[string]string {
	return map[string]map[string]string{
		"plan":   {"contents": "read", "pull_requests": "write", "statuses": "write", "deployments": "read"},
		"deploy": {"contents": "read", "pull_requests": "write", "deployments": "write", "actions": "read", "issues": "write"},
		"fork":   {"contents": "read", "pull_requests": "read", "statuses": "read", "deployments": "read"},
	}
}

// The action in its image, as jobs of one repository in order: what people see
// at GitHub, and what the hosts run.
func TestGitHub(t *testing.T) {
	t.Parallel()
	r := newRig(t, "e2e-github", func(r *rig) {
		r.replace(t, "flotilla.yaml", "activation_timeout: 2m", "activation_timeout: 20s\n  confirm_timeout: 10s")
	})
	w := &runner{hub: newHub(t, r, permissions()), image: buildImage(t)}
	step := func(name string, run func(t *testing.T)) {
		if !t.Run(name, func(t *testing.T) { run(t); w.sound(t) }) {
			t.FailNow() // what comes after stands on it
		}
	}

	var topic *pull
	step("the image", func(t *testing.T) { theImage(t, w.image) })
	step("a pull request without a network", func(t *testing.T) {
		topic = w.open(t, "Greet from a pull request", "", func() { r.greet(t, "From a pull request.") })
		w.alone(t, topic)
	})
	step("first line", func(t *testing.T) { w.starts(t, w.onPull(topic, "opened")) })
}
