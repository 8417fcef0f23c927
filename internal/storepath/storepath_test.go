package storepath

import (
	"encoding/json"
	"strings"
	"testing"
)

const good = "/nix/store/0123456789abcdfghijklmnpqrsvwxyz-nixos-system-web-1-25.11"

func TestParse(t *testing.T) {
	p, err := Parse(good)
	if err != nil {
		t.Fatal(err)
	}
	if p.String() != good || p.Name() != "nixos-system-web-1-25.11" || p.Hash() != "0123456789abcdfghijklmnpqrsvwxyz" {
		t.Errorf("got %q, name %q, hash %q", p, p.Name(), p.Hash())
	}
}

func TestParseRefuses(t *testing.T) {
	hash := "0123456789abcdfghijklmnpqrsvwxyz"
	for _, s := range []string{
		"", "/", "web-1", "/nix/store/", "/nix/store/" + hash, "/nix/store/" + hash + "-",
		"/nix/store/" + hash + "Xname", "/nix/store/" + hash + "-a/b", "/nix/store/" + hash + "-a b",
		"/nix/store/" + hash + "-$(reboot)", "/nix/store/" + hash + "-..", "/nix/store/" + hash + "-.",
		"/gnu/store/" + hash + "-a", "/nix/store/../store/" + hash + "-a",
		"/nix/store/" + strings.Replace(hash, "0", "e", 1) + "-a",
		"/nix/store/" + hash + "-" + strings.Repeat("a", 212),
		good + "\n", " " + good,
	} {
		if p, err := Parse(s); err == nil {
			t.Errorf("Parse(%q) = %q, want an error", s, p)
		}
	}
}

func TestJSON(t *testing.T) {
	var v struct{ A, B Path }
	if err := json.Unmarshal([]byte(`{"A":"`+good+`","B":""}`), &v); err != nil {
		t.Fatal(err)
	}
	if v.A.String() != good || !v.B.IsZero() {
		t.Errorf("got %+v", v)
	}
	if err := json.Unmarshal([]byte(`{"A":"/etc/passwd"}`), &v); err == nil {
		t.Error("a path outside the store was taken")
	}
}

func FuzzParse(f *testing.F) {
	f.Add(good)
	f.Add("/nix/store/0123456789abcdfghijklmnpqrsvwxyz-a/../../etc")
	f.Fuzz(func(t *testing.T, s string) {
		p, err := Parse(s)
		if err != nil {
			return
		}
		if p.String() != s || strings.Count(s, "/") != 3 || strings.ContainsAny(s, " \n$`'\"\\;&|<>(){}*") {
			t.Errorf("Parse(%q) let it through as %q", s, p)
		}
	})
}
