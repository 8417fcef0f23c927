//go:build clients

package cloud_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/flotilla-nix/flotilla/internal/lab/cloud"
)

// These tests run the provider's own programs against the API. `make clients`
// says where they are; without one of them its test fails.

// program is a real client in a directory of its own.
type program struct {
	t    *testing.T
	path string
	dir  string
	env  []string
}

// client finds a program by the variable that holds its path, and sets up what
// every client needs to find the API and nothing else.
func client(f *fixture, variable string) *program {
	f.t.Helper()
	path := os.Getenv(variable)
	if path == "" {
		f.t.Fatalf("%s must hold the path of the program", variable)
	}
	p := &program{t: f.t, path: path, dir: f.t.TempDir()}
	p.env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + p.dir, "HCLOUD_TOKEN=" + token,
		"HCLOUD_ENDPOINT=" + f.url + "/v1", "HETZNER_ENDPOINT=" + f.url + "/v1", // the second API has the Storage Boxes
	}
	certificate, key := certificate(f.t, "site.example")
	p.write("key.pub", publicKey(f.t, 1)+"\n")
	p.write("cert.pem", certificate)
	p.write("key.pem", key)
	return p
}

func (p *program) write(name, text string) {
	p.t.Helper()
	if err := os.WriteFile(filepath.Join(p.dir, name), []byte(text), 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// run gives the exit code and all that the program printed.
func (p *program) run(args ...string) (int, string) {
	p.t.Helper()
	c := exec.CommandContext(p.t.Context(), p.path, args...)
	c.Dir, c.Env, c.WaitDelay = p.dir, p.env, 10*time.Second
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	err := c.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		p.t.Fatalf("%s %s: %v", p.path, strings.Join(args, " "), err)
	}
	return c.ProcessState.ExitCode(), out.String()
}

// leftovers are the resources that stay, in a few words each. The provider does
// not wait for the end of a load balancer's deletion, so this does.
func (f *fixture) leftovers() []string {
	f.t.Helper()
	left := f.there()
	for end := time.Now().Add(5 * time.Second); len(left) > 0 && time.Now().Before(end); left = f.there() {
		time.Sleep(20 * time.Millisecond)
	}
	return left
}

// there are the resources that are there now.
func (f *fixture) there() []string {
	f.t.Helper()
	var left []string
	for _, root := range []string{
		"ssh_keys", "networks", "placement_groups", "firewalls", "volumes", "primary_ips", "servers", "load_balancers", "certificates", "images",
	} {
		_, body := f.raw("GET", "/v1/"+root+"?per_page=50", "")
		var list map[string]json.RawMessage
		f.must(json.Unmarshal([]byte(body), &list))
		var items []struct {
			ID   int64  `json:"id"`
			Type string `json:"type"`
		}
		f.must(json.Unmarshal(list[root], &items))
		for _, i := range items {
			if root != "images" || i.ID < cloud.ImageDeprecated {
				left = append(left, fmt.Sprint(root, " ", i.ID, " ", i.Type))
			}
		}
	}
	return left
}

func TestClientHcloud(t *testing.T) {
	f := start(t, cloud.Options{ActionLatency: 20 * time.Millisecond, RateLimit: 1 << 20})
	hcloud := client(f, "HCLOUD")
	hcloud.env = append(hcloud.env, "HCLOUD_POLL_INTERVAL=10ms", "HCLOUD_CONFIG="+filepath.Join(hcloud.dir, "cli.toml"))
	hcloud.write("rules.json", `[{"direction":"in","protocol":"tcp","port":"22","source_ips":["0.0.0.0/0","::/0"],"destination_ips":[],"description":"ssh"}]`)
	script, err := os.ReadFile("testdata/hcloud.txt")
	f.must(err)
	var last, out string
	commands, asserted := 0, 0
	for i, line := range strings.Split(string(script), "\n") {
		if line == "" || line[0] == '#' || strings.HasPrefix(line, "  ") {
			continue
		}
		mark, text, _ := strings.Cut(line, " ")
		switch mark {
		case "$", "!":
			last = text
			var code int
			code, out = hcloud.run(strings.Fields(text)...)
			if commands++; (code != 0) != (mark == "!") {
				t.Errorf("line %d: hcloud %s: exit code %d\n%s", i+1, text, code, out)
			}
		case ">", "<":
			words := strings.Join(strings.Fields(out), " ")
			if asserted++; strings.Contains(words, text) != (mark == ">") {
				t.Errorf("line %d: the output of hcloud %s does not fit %q:\n%s", i+1, last, line, out)
			}
		default:
			t.Fatalf("line %d: cannot read %q", i+1, line)
		}
	}
	// The snapshot outlives its server; the CLI wants its id.
	images, err := f.Image.All(f.ctx)
	f.must(err)
	for _, image := range images {
		if image.Labels["of"] == "web" {
			if code, out := hcloud.run("image", "delete", big.NewInt(image.ID).String()); code != 0 {
				t.Errorf("image delete: %s", out)
			}
		}
	}
	if left := f.leftovers(); len(left) > 0 {
		t.Errorf("after everything was deleted there are %q", left)
	}
	if code, out := hcloud.run("all", "list"); code != 0 || strings.Contains(out, "www") {
		t.Errorf("all list at the end: exit code %d\n%s", code, out)
	}
	t.Logf("%d commands, %d looks at their output, %d requests", commands, asserted, f.api.Requests().Total())
}

func TestClientTerraform(t *testing.T) {
	f := start(t, cloud.Options{ActionLatency: 50 * time.Millisecond, RateLimit: 1 << 20})
	terraform := client(f, "TERRAFORM")
	provider := client(f, "TERRAFORM_PROVIDER")
	config, err := os.ReadFile("testdata/terraform/main.tf")
	f.must(err)
	terraform.write("main.tf", string(config))
	terraform.write("rc", `provider_installation {
  dev_overrides { "hetznercloud/hcloud" = "`+filepath.Dir(provider.path)+`" }
  direct {}
}
`)
	variables := map[string]string{"public_key": "key.pub", "certificate": "cert.pem", "private_key": "key.pem"}
	for name, file := range variables {
		data, err := os.ReadFile(filepath.Join(terraform.dir, file))
		f.must(err)
		terraform.env = append(terraform.env, "TF_VAR_"+name+"="+string(data))
	}
	terraform.env = append(terraform.env, "TF_CLI_CONFIG_FILE="+filepath.Join(terraform.dir, "rc"), "TF_IN_AUTOMATION=1", "CHECKPOINT_DISABLE=1")

	step := func(round string, wantCode int, args ...string) string {
		t.Helper()
		f.api.ForgetRequests()
		begun := time.Now()
		env := terraform.env
		terraform.env = append(slices.Clone(env), "TF_VAR_round="+round)
		code, out := terraform.run(append(args, "-no-color", "-input=false")...)
		terraform.env = env
		if code != wantCode {
			t.Fatalf("terraform %s, round %s: exit code %d, want %d\n%s", strings.Join(args, " "), round, code, wantCode, out)
		}
		counts := f.api.Requests()
		t.Logf("terraform %s, round %s: exit code %d, %d requests, %d of them polls, %.1f s",
			strings.Join(args, " "), round, code, counts.Total(), counts["GET /actions"], time.Since(begun).Seconds())
		return out
	}
	const nothing, changes = 0, 2
	step("1", nothing, "apply", "-auto-approve")
	step("1", nothing, "plan", "-detailed-exitcode")
	before := f.there()
	plan := step("2", changes, "plan", "-detailed-exitcode")
	if !strings.Contains(plan, "Plan: 0 to add,") || !strings.Contains(plan, " 0 to destroy") {
		t.Errorf("round 2 is not in place only:\n%s", plan)
	}
	step("2", nothing, "apply", "-auto-approve")
	step("2", nothing, "plan", "-detailed-exitcode")
	if lost := gone(before, f.there()); len(lost) > 0 {
		t.Errorf("the update replaced %q", lost)
	}
	step("2", nothing, "destroy", "-auto-approve")
	if left := f.leftovers(); len(left) > 0 {
		t.Errorf("after destroy there are %q", left)
	}
}

// gone is what was there before and is not after.
func gone(before, after []string) []string {
	var missing []string
	for _, b := range before {
		if !slices.Contains(after, b) {
			missing = append(missing, b)
		}
	}
	return missing
}
