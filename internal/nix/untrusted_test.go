package nix

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/flotilla-nix/flotilla/internal/problem"
)

const secretWord = "hunter2secret"

// What a pull request may try, and what it gets: an empty answer or an error
// that does not hold the secret.
func TestUntrustedSeesNothing(t *testing.T) {
	t.Setenv("FLOTILLA_TEST_TOKEN", secretWord)
	t.Setenv("NIX_CONFIG", "access-tokens = github.com="+secretWord)
	outside := t.TempDir()
	secret := filepath.Join(outside, "secret.nix")
	if err := os.WriteFile(secret, []byte(secretWord+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		expression string
		want       string // of the host's text; "" if evaluation must fail
	}{
		"environment":            {`"<${builtins.getEnv "FLOTILLA_TEST_TOKEN"}>"`, "<>"},
		"nix's settings":         {`"<${builtins.getEnv "NIX_CONFIG"}>"`, "<>"},
		"home":                   {`"<${builtins.getEnv "HOME"}>"`, "<>"},
		"file outside":           {`builtins.readFile ` + secret, ""},
		"dots":                   {`builtins.readFile (./. + "/../../../../../../.." + "` + secret + `")`, ""},
		"link":                   {`builtins.readFile ./link.nix`, ""},
		"import quotes":          {`import ` + secret, ""},
		"import of a link":       {`import ./link.nix`, ""},
		"copied to the store":    {`"${` + secret + `}"`, ""},
		"link as source":         {`"${./folder}" + builtins.readFile (./folder + "/link.nix")`, ""},
		"folder":                 {`toString (builtins.attrNames (builtins.readDir /proc/self))`, ""},
		"own environment":        {`builtins.readFile /proc/self/environ`, ""},
		"parent's environment":   {`builtins.readFile (builtins.fetchurl "file:///proc/self/environ")`, ""},
		"fetched file":           {`builtins.readFile (builtins.fetchurl "file://` + secret + `")`, ""},
		"fetched git":            {`toString (builtins.fetchGit { url = "file://` + outside + `"; })`, ""},
		"network":                {`builtins.readFile (builtins.fetchurl "http://127.0.0.1:1/")`, ""},
		"existence":              {`if builtins.pathExists ` + secret + ` then "there" else "not there"`, "not there"},
		"imported derivation":    {`builtins.readFile pkgs.hello`, ""},
		"derivation's own fetch": {`builtins.readFile (derivation { name = "x"; builder = "builtin:fetchurl"; system = "builtin"; url = "file://` + secret + `"; outputHashMode = "flat"; outputHashAlgo = "sha256"; outputHash = "0000000000000000000000000000000000000000000000000000"; })`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			s := hive(t, `{ web = { pkgs, ... }: { environment.etc.x.text = `+c.expression+`; }; }`)
			if err := os.Mkdir(filepath.Join(s.Dir, "folder"), 0o755); err != nil {
				t.Fatal(err)
			}
			for _, link := range []string{"link.nix", "folder/link.nix"} {
				if err := os.Symlink(secret, filepath.Join(s.Dir, link)); err != nil {
					t.Fatal(err)
				}
			}
			got := evaluator(t, Options{}).Evaluate(t.Context(), s, []string{"web"}, nil)["web"]
			if got.Err != nil {
				text := problem.Text(got.Err)
				if c.want != "" {
					t.Errorf("want %q, got an error:\n%s", c.want, text)
				}
				if strings.Contains(text, secretWord) {
					t.Errorf("the error quotes the secret:\n%s", text)
				}
				return
			}
			text := etc(t, got.System, "x")
			if text != c.want || c.want == "" {
				t.Errorf("got %q, want %q", text, c.want)
			}
		})
	}
}

// Files that a tree names for review are read by us, not by Nix: links must
// not lead out there either.
func TestReadingForReviewStaysInside(t *testing.T) {
	outside := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(outside, []byte(secretWord), 0o644); err != nil {
		t.Fatal(err)
	}
	s := hive(t, `{ web = { environment.etc.x.source = ./link; users.users.a.openssh.authorizedKeys.keyFiles = [ ./link /etc/hostname ]; }; }`)
	if err := os.Symlink(outside, filepath.Join(s.Dir, "link")); err != nil {
		t.Fatal(err)
	}
	o, err := evaluator(t, Options{}).open(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	defer o.close()
	if text, ok := o.text("link"); ok {
		t.Errorf("read %q through a link", text)
	}
	if text, ok := o.absolute(outside); ok {
		t.Errorf("read %q outside", text)
	}
}

// A trusted evaluation gets what Nix needs, and not the caller's secrets.
func TestTrustedEnvironment(t *testing.T) {
	t.Setenv("FLOTILLA_TEST_TOKEN", secretWord)
	t.Setenv("HCLOUD_TOKEN", secretWord)
	t.Setenv("NIX_CONFIG", builderConfig)
	s := hive(t, `{ web = { environment.etc.x.text = "${builtins.getEnv "FLOTILLA_TEST_TOKEN"}${builtins.getEnv "HCLOUD_TOKEN"}|${builtins.getEnv "NIX_CONFIG"}"; }; }`)
	s.Trusted = true
	if got := etc(t, system(t, s, "web"), "x"); got != "|"+builderConfig {
		t.Errorf("the hive sees %q", got)
	}
}

// Facts that a tree claims to have read by printing what eval.nix prints.
func TestTracesAreNotBelieved(t *testing.T) {
	s := hive(t, `{ web = { environment.etc.x.text = builtins.trace "flotilla-AAAAAAAAAAAAAAAAAAAAAAAAAA db" "x"; }; }`)
	if got := system(t, s, "web").ReadServers; got != nil {
		t.Errorf("read %q", got)
	}
}

func TestOutputIsBounded(t *testing.T) {
	l := &limited{max: 10}
	if _, err := l.Write([]byte("12345")); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Write([]byte("678901")); err == nil || !l.over || l.String() != "12345" {
		t.Errorf("took %q, %v", l.String(), err)
	}
}
