package config

import (
	"os"
	"testing"

	"github.com/flotilla-nix/flotilla/internal/problem"
)

func TestFormatFull(t *testing.T) {
	data, err := os.ReadFile("testdata/full.yaml")
	if err != nil {
		t.Fatal(err)
	}
	want, err := Parse("full.yaml", data)
	if err != nil {
		t.Fatal(problem.Text(err))
	}
	text, err := Format(want)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("\n%s", text)
	got, err := Parse("again.yaml", text)
	if err != nil {
		t.Fatalf("%s\n%s", problem.Text(err), text)
	}
	if d := diff(want, got); d != "" {
		t.Errorf("(-want +got)\n%s\n%s", d, text)
	}
}
