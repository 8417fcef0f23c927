package provision

import (
	"bytes"
	"crypto/sha256"
	"encoding/base32"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/goccy/go-yaml"
	"golang.org/x/crypto/ssh"

	"github.com/flotilla-nix/flotilla/internal/lab/cloudinit"
	"github.com/flotilla-nix/flotilla/internal/secret"
)

var update = flag.Bool("update", false, "write the golden files")

func TestCloudConfigGolden(t *testing.T) {
	key := hostKey{
		private: secret.New("-----BEGIN OPENSSH PRIVATE KEY-----\nbm90IGEga2V5: # 'x'\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n"),
		public:  "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHmdrBZ3DCQ1qv6xmYPs1ZXvBfk0BQMnQtzqTHIlyWmc flotilla-first-contact",
	}
	const golden = "testdata/cloud-config.golden"
	got := key.cloudConfig().Reveal()
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("cloud-config:\n%s\nwant:\n%s", got, want)
	}
}

// What cloud-init reads out of the user data is a key pair, and its
// fingerprint is the one that goes to the label.
func TestCloudConfigHoldsTheKey(t *testing.T) {
	key, err := newHostKey()
	if err != nil {
		t.Fatal(err)
	}
	text := key.cloudConfig().Reveal()
	if !strings.HasPrefix(text, "#cloud-config\n") || len(text) > 32*1024 {
		t.Errorf("no user data for cloud-init: %q", text)
	}
	var config struct {
		Keys map[string]string `yaml:"ssh_keys"`
	}
	if err := yaml.NewDecoder(strings.NewReader(text), yaml.Strict()).Decode(&config); err != nil {
		t.Fatal(err)
	}
	if len(config.Keys) != 2 {
		t.Errorf("keys %v", config.Keys)
	}
	signer, err := ssh.ParsePrivateKey([]byte(config.Keys["ed25519_private"]))
	if err != nil {
		t.Fatal(err)
	}
	public, _, _, _, err := ssh.ParseAuthorizedKey([]byte(config.Keys["ed25519_public"]))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(public.Marshal(), signer.PublicKey().Marshal()) {
		t.Error("the two keys are no pair")
	}
	sum := sha256.Sum256(public.Marshal())
	if want := strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:])); key.fingerprint != want || len(want) != 52 {
		t.Errorf("fingerprint %q, want %q", key.fingerprint, want)
	}
	understood, err := cloudinit.Parse(text)
	if err != nil || len(understood.Notes) > 0 || understood.HostKeys["ed25519_private"] != key.private.Reveal() {
		t.Errorf("the lab's cloud-init: %v, notes %q", err, understood.Notes)
	}
	other, err := newHostKey()
	if err != nil || other.fingerprint == key.fingerprint {
		t.Errorf("two servers have the same key: %v", err)
	}
}

// OpenSSH itself takes the private key and finds the same public key in it.
func TestOpenSSHTakesTheKey(t *testing.T) {
	key, err := newHostKey()
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ssh_host_ed25519_key")
	if err := os.WriteFile(file, []byte(key.private.Reveal()), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), "ssh-keygen", "-y", "-f", file).CombinedOutput()
	if err != nil || strings.TrimSpace(string(out)) != key.public {
		t.Errorf("ssh-keygen: %v, %q, want %q", err, out, key.public)
	}
}
