package hetzner

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/hetznercloud/hcloud-go/v2/hcloud"

	"github.com/flotilla-nix/flotilla/internal/fleet"
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

// What the last deploys published comes back as it was written, as far as a
// label can hold it.
func TestPublishedLabels(t *testing.T) {
	at := time.Date(2026, 11, 20, 14, 3, 5, 0, time.UTC)
	long := "ada (some-organisation/a-repository-with-a-long-name run 12345678901 attempt 2)"
	for _, p := range []fleet.Published{
		{},
		{
			HostKey: strings.Repeat("a", 52), NextHostKey: strings.Repeat("b", 52), SystemHash: strings.Repeat("c", 32), Commit: strings.Repeat("d", 40), Held: true, HeldSince: at, HeldBy: "ada@laptop",
			FailedSystem: strings.Repeat("e", 32), FailedCommit: strings.Repeat("f", 40), FailedAt: at.Add(time.Hour), FailedWhy: "nginx.service failed",
		},
	} {
		labels := publish(map[string]string{"env": "live"}, p)
		if ok, err := hcloud.ValidateResourceLabels(anything(labels)); !ok {
			t.Errorf("%v: %v", labels, err)
		}
		if got := published(labels); got != p || labels["env"] != "live" {
			t.Errorf("%+v comes back as %+v", p, got)
		}
	}
	labels := publish(nil, fleet.Published{HeldBy: long, FailedWhy: "a\n\tb \x00\xff " + strings.Repeat("ü", 100)})
	if ok, err := hcloud.ValidateResourceLabels(anything(labels)); !ok {
		t.Errorf("%v: %v", labels, err)
	}
	got := published(labels)
	if !strings.HasPrefix(long, got.HeldBy) || !strings.HasPrefix(got.HeldBy, "ada (some-organisation/a-repository") {
		t.Errorf("by %q", got.HeldBy)
	}
	if !strings.HasPrefix(got.FailedWhy, "a b \x00? ü") {
		t.Errorf("why %q", got.FailedWhy)
	}
	if got := published(map[string]string{labelHeldSince: "yesterday"}); !got.HeldSince.IsZero() {
		t.Errorf("since %s", got.HeldSince)
	}
	if empty := publish(labels, fleet.Published{}); len(empty) != 0 {
		t.Errorf("left over: %v", empty)
	}
}

func anything(labels map[string]string) map[string]any {
	out := map[string]any{}
	for k, v := range labels {
		out[k] = v
	}
	return out
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
		if clipped := clipLabel(text); strings.HasPrefix(clipped, hashMarker) || len(clipped) > maxLabel {
			t.Fatalf("clipLabel(%q) = %q", text, clipped)
		} else if ok, err := hcloud.ValidateResourceLabels(map[string]any{labelHeldBy: clipped}); !ok {
			t.Fatalf("clipLabel(%q) = %q: %v", text, clipped, err)
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
		if !regexp.MustCompile("`flotilla/" + regexp.QuoteMeta(name) + "(`|\\.?…`)").Match(readme) {
			t.Errorf("README.md does not name the label flotilla/%s", name)
		}
	}
}
