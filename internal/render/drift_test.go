package render

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"testing"

	"github.com/flotilla-nix/flotilla/internal/plans"
)

func TestDriftGolden(t *testing.T) {
	for _, file := range cases(t, "drift.json") {
		dir := filepath.Dir(file)
		t.Run(filepath.Base(dir), func(t *testing.T) {
			var d plans.Drift
			load(t, file, &d)
			d.Conclude()
			var b bytes.Buffer
			if err := DriftJSON(&b, d); err != nil {
				t.Fatal(err)
			}
			golden(t, file, b.Bytes())
			golden(t, filepath.Join(dir, "drift.md"), []byte("Title: "+DriftTitle(d)+"\n\n"+DriftMarkdown(d, Budget{})))
			b.Reset()
			if err := DriftText(&b, d, Options{}); err != nil {
				t.Fatal(err)
			}
			golden(t, filepath.Join(dir, "drift.txt"), b.Bytes())
		})
	}
}

// A commit that is merged changes nothing in the issue.
func TestDriftMarkdownIsStable(t *testing.T) {
	d := plans.Drift{Fleet: "acme", Hosts: []plans.HostDrift{{Host: "web", Findings: []string{"It runs another system."}}}}
	d.Conclude()
	before := DriftMarkdown(d, Budget{})
	d.Revision, d.Deployed = plans.Revision{Commit: strings.Repeat("1", 40)}, plans.Revision{Commit: strings.Repeat("2", 40)}
	d.Conclude()
	if after := DriftMarkdown(d, Budget{}); after != before {
		t.Errorf("was\n%s\nis\n%s", before, after)
	}
}

// However much drifted, it fits, and the totals are there.
func TestDriftFits(t *testing.T) {
	d := plans.Drift{Fleet: "acme"}
	for i := range 3000 {
		d.Hosts = append(d.Hosts, plans.HostDrift{Host: fmt.Sprintf("web-%d", i), Findings: []string{strings.Repeat("It runs odd things. ", 20)}})
		d.Missing = append(d.Missing, plans.Gap{Subject: fmt.Sprintf("db-%d", i), Text: strings.Repeat("no answer ", 20)})
	}
	d.Conclude()
	for _, limit := range []int{4000, 20_000, CommentBytes} {
		text := DriftMarkdown(d, Budget{Bytes: limit})
		if len(text) > limit || !strings.Contains(text, "3000 hosts not as deployed; 3000 could not be looked at.") {
			t.Errorf("%d bytes for %d:\n%.300s", len(text), limit, text)
		}
	}
}
