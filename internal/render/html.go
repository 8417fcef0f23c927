package render

import (
	"cmp"
	"crypto/sha256"
	_ "embed" // the page and its style
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
	"slices"
	"strings"

	"github.com/flotilla-nix/flotilla/internal/plans"
)

var (
	//go:embed page/plan.html
	pageSource string
	//go:embed page/style.css
	pageStyle string
)

// PlanHTML writes the whole plan as one page that needs nothing else: no
// script, nothing from elsewhere, and a policy in it that allows neither.
// Nothing is left out, however large the plan is.
func PlanHTML(w io.Writer, p plans.Plan) error {
	t, err := template.New("plan").Funcs(template.FuncMap{
		"line":   func(s string) string { return cut(oneLine(s), 2*maxName) },
		"text":   func(s string) string { return strings.Join(splitClean(s), "\n") },
		"commit": shortCommit,
		"names":  allNames,
		"merged": mergeGaps,
	}).Parse(pageSource)
	if err != nil {
		return fmt.Errorf("the plan's page: %w", err)
	}
	if err := t.Execute(w, newPage(p)); err != nil {
		return fmt.Errorf("write the plan as HTML: %w", err)
	}
	return nil
}

// page is what the template shows; all text in it is on one line and clean.
type page struct {
	Plan             plans.Plan
	Style            template.CSS // our own
	StyleHash        string
	Headline, Lead   string
	Pending, Effects string
	Held             []string
	Complete         bool
	Ways             []pageWay
	Risks            []pageRisk
	Stages           []string
	Parts            []pagePart
	Waves            []pageWave
}

type (
	pageRisk struct{ Label, What string }
	pageWay  struct {
		Hosts      []string
		Verb, Text string
	}
	pagePart struct {
		Title, Intro, Price string
		Resources           []pageResource
		Hosts               []pageHost
	}
	pageResource struct {
		Class, Sign, Kind, Names string
		What                     []string
	}
	pageHost struct {
		Class, Sign, Names, Verb string
		Facts                    []pageFact
		Files                    []pageFile
	}
	pageFact struct{ Name, Text string }
	pageFile struct {
		Sign, Name, Hosts, Note string
		Lines                   []pageText
	}
	pageText struct{ Class, Text string }
	pageWave struct {
		Title string
		Chips []pageText
	}
)

func newPage(p plans.Plan) page {
	style := strings.TrimSpace(pageStyle)
	sum := sha256.Sum256([]byte(style))
	out := page{
		Plan: p, Style: template.CSS(style), //nolint:gosec // a constant of this package
		StyleHash: "sha256-" + base64.StdEncoding.EncodeToString(sum[:]),
		Headline:  Headline(p), Lead: cmp.Or(headline(p.This), Headline(p)), Held: heldNames(p), Pending: headline(p.Pending), Effects: effects(p.This, p.Pending), Complete: complete(p),
		Waves: pageWaves(p),
	}
	for _, way := range waysIn(p.This, p.Pending) {
		out.Ways = append(out.Ways, pageWay{Hosts: way.Hosts, Verb: way.verb(), Text: way.Text})
	}
	for i, part := range []plans.Part{p.This, p.Pending} {
		for _, l := range riskLines(part) {
			out.Risks = append(out.Risks, newPageRisk(l, i == 1))
		}
	}
	if all := stages(p); len(all) > 1 {
		for _, s := range all {
			out.Stages = append(out.Stages, stageText(s))
		}
	}
	out.Parts = append(out.Parts, newPagePart("This change", "", p.This))
	if p.This.Empty() {
		out.Parts[0].Intro = "It alters neither infrastructure nor systems."
	}
	if !p.Pending.Empty() {
		out.Parts = append(out.Parts, newPagePart("Also pending", "Merged before this change and not deployed yet.", p.Pending))
	}
	return out
}

func stageText(s stage) string {
	text := oneLine(s.Text)
	if s.Wave != "" {
		text += " " + cut(oneLine(s.Wave), maxName) + ":"
	}
	return strings.TrimSpace(text+" "+allNames(s.Hosts)) + s.After
}

func newPageRisk(l riskLine, pending bool) pageRisk {
	what := make([]string, 0, len(l.What))
	for _, i := range l.What {
		what = append(what, i.text())
	}
	text := strings.Join(what, ", ")
	if len(l.Hosts) > 0 {
		text += " on " + allNames(l.Hosts)
	}
	if pending {
		text += " (also pending)"
	}
	return pageRisk{oneLine(l.Label), text}
}

func newPagePart(title, intro string, p plans.Part) pagePart {
	out := pagePart{Title: title, Intro: intro, Price: partPrice(p.Resources, p.Cost)}
	for _, g := range groupResources(p.Resources) {
		out.Resources = append(out.Resources, newPageResource(g))
	}
	for _, g := range groupHosts(p.Hosts) {
		out.Hosts = append(out.Hosts, newPageHost(g))
	}
	return out
}

func newPageResource(g resourceGroup) pageResource {
	out := pageResource{Class: actionClass(g.Action), Sign: symbol(g.Action), Kind: kindWords(g.Kind, len(g.Names)), Names: allNames(g.Names)}
	if !changes(g.Resource) {
		out.Sign = ""
	}
	if f := fate(g.Resource); f != "" {
		out.What = append(out.What, f)
	}
	if len(g.Lost) > 0 {
		out.What = append(out.What, "lost: "+words(g.Lost))
	}
	for _, a := range g.Attributes {
		text := attributeText(g.Action, a)
		if each := g.Each[a.Name]; each != nil {
			text = named(g.Names, each, 0, func(s string) string { return cut(oneLine(s), maxName) })
		}
		if g.Action != plans.Destroy {
			out.What = append(out.What, cut(oneLine(a.Name), maxName)+" "+text)
		}
	}
	for _, l := range textLines(g.Note) {
		out.What = append(out.What, oneLine(l))
	}
	return out
}

// actionClass is a class of the style, never a text from outside.
func actionClass(a plans.Action) string {
	switch a {
	case plans.Create, plans.Update, plans.Rebuild, plans.Replace, plans.Destroy:
		return string(a)
	default:
		return "update"
	}
}

func newPageHost(g group) pageHost {
	h := g.Host
	out := pageHost{Class: actionClass(h.Action), Sign: symbol(h.Action), Names: allNames(g.Names), Verb: hostVerb(h, len(g.Names)), Facts: hostFacts(h)}
	for _, f := range g.Files {
		file := pageFile{Sign: symbol(f.Action), Name: fileName(f.File, func(s string) string { return cut(oneLine(s), maxName) }), Hosts: allNames(f.Hosts)}
		switch {
		case f.Diff != "":
			file.Lines = diffLines(f.Diff)
		case f.Action != plans.Destroy:
			file.Note = "text not known before the build"
		}
		out.Files = append(out.Files, file)
	}
	return out
}

func hostFacts(h plans.Host) []pageFact {
	var out []pageFact
	add := func(name, text string) {
		if text != "" {
			out = append(out, pageFact{oneLine(name), text})
		}
	}
	for _, n := range h.Notes {
		add("note", oneLine(n))
	}
	data, rest := byData(h.Items)
	for _, i := range slices.Concat(data, rest) {
		add(string(i.Kind), strings.TrimSpace(itemLine(i, oneLine, oneLine)+" "+oneLine(i.Data)))
	}
	for _, u := range h.Users {
		add("user", userText(u))
	}
	add("opens", words(ports(h.Ports, true)))
	add("closes", words(ports(h.Ports, false)))
	add("needs a reboot", oneLine(h.Reboot))
	for _, u := range unitGroups(h.Units) {
		add(u.Verb, unitsText(u, h.Action))
	}
	add("packages", packagesText(h.Packages))
	for _, a := range h.Settings {
		add("setting", cut(oneLine(a.Name), maxName)+" "+attributeText(plans.Update, a))
	}
	if len(out) == 0 && len(h.Files) == 0 && h.Action != plans.Destroy {
		add("changes", "in nothing that a review would name")
	}
	return out
}

func diffLines(diff string) []pageText {
	lines := splitClean(diffBody(diff))
	out := make([]pageText, 0, len(lines))
	for _, l := range lines {
		t := pageText{Text: l}
		switch {
		case strings.HasPrefix(l, "+"):
			t.Class = "a"
		case strings.HasPrefix(l, "-"):
			t.Class = "d"
		case strings.HasPrefix(l, "@@"):
			t.Class = "h"
		}
		out = append(out, t)
	}
	return out
}

// pageWaves is the picture of the fleet as far as a page without scripts can
// have one.
func pageWaves(p plans.Plan) []pageWave {
	if p.Topology == nil {
		return nil
	}
	marks := marks(p)
	d := drawing{topology: *p.Topology}
	byWave := map[int][]int{}
	all := machines(*p.Topology, marks[plans.KindServer])
	for i, m := range all {
		byWave[m.Wave] = append(byWave[m.Wave], i)
	}
	var out []pageWave
	for _, wave := range d.order(byWave) {
		w := pageWave{Title: oneLine(d.title(wave))}
		for _, i := range byWave[wave] {
			m := all[i]
			parts := []string{m.Name, m.ServerType, m.Location, strings.Join(m.Networks, ", "), string(m.mark)}
			parts = slices.DeleteFunc(parts, func(s string) bool { return s == "" })
			w.Chips = append(w.Chips, pageText{cmp.Or(m.mark.class(), "same"), words(parts)})
		}
		out = append(out, w)
	}
	return out
}

// allNames lists names, each of them.
func allNames(all []string) string {
	clean := make([]string, 0, len(all))
	for _, s := range all {
		clean = append(clean, cut(oneLine(s), maxName))
	}
	return strings.Join(clean, ", ")
}
