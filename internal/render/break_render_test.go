package render

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/storepath"
)

// traps mean something to somebody only where several of them meet, or are long.
func traps() map[string]string {
	return map[string]string{
		"fences":      "```\n````\n~~~~\n`````diff\n</details>\n<!-- --> ```",
		"end of all":  "--> --!> ]]> */ </summary></details></details></code></pre></sub></table></div></body></html>",
		"script":      "<script>alert(1)</script><svg/onload=alert(1)><style>*{display:none}</style><iframe src=//x>",
		"mentions":    "@acme/everyone @acme-team (#1) acme/fleet#12 acme/fleet@0123abc GH-1 security@acme.example",
		"commands":    "::set-output name=a::b\n::add-mask::e\n##[set-env name=PATH]x\n ::stop-commands::t\n\u00a0::error::x\n\v::error::y\u0085::error::z",
		"escapes":     "\x1b[2J\x1b[1;1H\x1b]52;c;aGk=\x07\x1bPq\x1b\\\x1b[?1049h\u009b2J\x1b_x\x1b\\\x90q\x9c\x1bc",
		"directions":  "a\u202eb\u202d\u2066c\u2067d\u2068e\u2069f\u200e\u200f\u061c",
		"zero width":  "a\u200bb\u200cc\u200dd\u2060e\ufefff\u00adg\u180eh\U000e0041i\U000e007f",
		"fillers":     "mallory\u3164 root\u115f\u1160 x\uffa0y \u2800 z\u034f w\u17b4\u17b5 v\U000e0100",
		"mermaid":     "\"]; click m0 href \"javascript:alert(1)\" %%{init: {'theme':'dark'}}%% #quot; end subgraph x[\"`md`\"] :::cls & <br/>",
		"table":       strings.Repeat("|", 300) + "\n|---|---|\n" + strings.Repeat(`\|`, 100),
		"quotes":      strings.Repeat("> ", 200) + "[!CAUTION]",
		"ticks":       strings.Repeat("`", 999) + " x " + strings.Repeat("` ", 300),
		"brackets":    strings.Repeat("[", 500) + strings.Repeat("](x)", 200),
		"long word":   strings.Repeat("a", 5000),
		"long line":   strings.Repeat("word &amp; <b> ", 500),
		"many lines":  strings.Repeat("x\r\n\r", 500),
		"not UTF-8":   "\xff\xfe\xed\xa0\x80\xf4\x90\x80\x80\xc0\xaf",
		"combined":    "Z" + strings.Repeat("\u0300\u0316", 300),
		"entities":    "&lt;script&gt; &#x40;acme &#0; &commat;acme &NewLine;::error::x",
		"math":        "$`\\href{javascript:alert(1)}{x}`$ $$\\unicode{x202e}$$ ```math",
		"front":       "---\ntitle: x\n---\n# h\n=====",
		"refs":        "[x]: https://evil.example\n[^1]: note\n![][x] <https://evil.example> [x][x]",
		"ssh comment": "ssh-ed25519 SHA256:abc mallory <!--\n--> removed",
	}
}

func TestTrapsAreInert(t *testing.T) {
	for name, s := range traps() {
		t.Run(name, func(t *testing.T) {
			for _, which := range []string{"pending-held", "replaced-server", "services"} {
				var p plans.Plan
				load(t, "testdata/"+which+"/plan.json", &p)
				poison(reflect.ValueOf(&p).Elem(), s, false)
				renderPlan(t, p)
			}
			for _, which := range []string{"health-rolled-back", "unreviewed"} {
				var r plans.Result
				load(t, "testdata/"+which+"/result.json", &r)
				poison(reflect.ValueOf(&r).Elem(), s, false)
				renderResult(t, r)
			}
			renderRest(t, s, "x "+s)
		})
	}
}

// What nobody sees must be shown, or two names look the same that are not.
func TestNothingIsInvisible(t *testing.T) {
	for _, r := range traps()["zero width"] + traps()["fillers"] + traps()["directions"] {
		if r < 0x80 {
			continue
		}
		if got := oneLine("mallory" + string(r) + "x"); !strings.Contains(got, fmt.Sprintf("⟨U+%04X⟩", r)) {
			t.Errorf("%U is not seen in %q", r, got)
		}
	}
}

// The largest fleet that anybody has stays within every budget, whole in its
// structure, and takes no longer than people wait.
func TestThousandsOfHosts(t *testing.T) {
	const count = 3_000
	var p plans.Plan
	load(t, "testdata/one-line/plan.json", &p)
	base := p.This.Hosts[0]
	p.This.Hosts = nil
	r := plans.Result{Version: plans.Version, Command: "deploy", Fleet: "acme"}
	for i := range count {
		h := base
		h.Name = fmt.Sprintf("host-%05d", i)
		h.Units = []plans.Unit{{Name: fmt.Sprintf("own-%d.service", i), Effect: plans.EffectRestart, Certainty: plans.Will, Why: "ExecStart changed"}}
		h.Users = []plans.User{{Name: fmt.Sprintf("user-%d", i), Action: plans.Create, KeysAdded: []string{"ssh-ed25519 SHA256:abc @acme/x"}}}
		h.Risks = []plans.Risk{plans.RiskAccess}
		h.New, _ = storepath.Parse(fmt.Sprintf("/nix/store/%032d-nixos", i))
		p.This.Hosts = append(p.This.Hosts, h)
		r.Hosts = append(r.Hosts, plans.HostResult{Host: h.Name, Outcome: fleet.RolledBack, Reason: fmt.Sprintf("own-%d.service failed", i)})
	}
	began := time.Now()
	const size = 65_000
	for what, md := range map[string]string{"plan": PlanMarkdown(p, Budget{Bytes: size}), "comment": ResultComment(r, Budget{Bytes: size})} {
		if len(md) > size || !utf8.ValidString(md) || !strings.Contains(md, "3,000") && !strings.Contains(md, "3000") {
			t.Errorf("%s: %d bytes for %d: %.500s", what, len(md), size, md)
		}
		checkMarkdown(t, md)
	}
	if took := time.Since(began); took > 30*time.Second {
		t.Errorf("it takes %s", took)
	}
	packed := plans.PackDigests(plans.Digests(p.This), 60_000)
	if len(packed) > 60_000 {
		t.Errorf("digests of %d bytes", len(packed))
	}
}
