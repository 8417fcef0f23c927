package fleet

import (
	"slices"
	"strings"
	"testing"
)

var hosts = map[string][]string{
	"web-1": {"web", "canary"}, "web-2": {"web"}, "db": {"data", "region/eu 1"}, "builder": nil,
}

func TestSelect(t *testing.T) {
	for _, c := range []struct {
		in   string
		want string
	}{
		{"web-1", "web-1"},
		{"web-*", "web-1 web-2"},
		{"@web", "web-1 web-2"},
		{"@web,db", "db web-1 web-2"},
		{"@web,!@canary", "web-2"},
		{"!web-1", "builder db web-2"},
		{"*", "builder db web-1 web-2"},
		{"@*a*", "db web-1"},
		{"@none", ""},
		{" db , web-1 ", "db web-1"},
		{"web-?", "web-1 web-2"},
		{"web-[12]", "web-1 web-2"},
		{"web-[!1]", "web-2"},
		{"[a-d]*", "builder db"},
		{"!web-[!1]", "builder db web-1"},
		{"@region/*", "db"},
		{"@*eu*", "db"},
		{"@region/eu 1", "db"},
		{"*b*-*,!*2", "web-1"},
		{"**", "builder db web-1 web-2"},
	} {
		sel, err := ParseSelector(c.in)
		if err != nil {
			t.Errorf("%q: %v", c.in, err)
			continue
		}
		got, err := sel.Select(hosts)
		if err != nil || strings.Join(got, " ") != c.want {
			t.Errorf("%q selects %v (%v), want %q", c.in, got, err, c.want)
		}
	}
	all, err := Selector{}.Select(hosts)
	if err != nil || len(all) != 4 {
		t.Errorf("the zero selector selects %v, %v", all, err)
	}
}

func TestParseSelectorRefuses(t *testing.T) {
	for _, s := range []string{"", ",", "web,,db", "!", "@", "!@", "a b", "web-[", "web-[]", "web-[!]", "!!a", "a!b", "@a@b", "@web @db", "web db"} {
		if sel, err := ParseSelector(s); err == nil {
			t.Errorf("ParseSelector(%q) = %v, want an error", s, sel)
		}
	}
	sel, err := ParseSelector("wbe-1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := sel.Select(hosts); err == nil {
		t.Error("an exact name that no host has was taken")
	}
}

func TestRank(t *testing.T) {
	ranks := map[string]int{"web-1": 3, "@web": 2, "web-*": 1, "*": 0, "web-1,@web": 2, "!web-1": 0, "web-1,!@old": 3, "web-*,!web-1": 1, "*,!db": 0}
	for s, want := range ranks {
		sel, err := ParseSelector(s)
		if err != nil || sel.Rank() != want {
			t.Errorf("rank of %q is %d (%v), want %d", s, sel.Rank(), err, want)
		}
	}
}

func FuzzParseSelector(f *testing.F) {
	for _, s := range []string{"web-1", "@web,!db", "web-[a-c]?", "!*"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		sel, err := ParseSelector(s)
		if err != nil {
			return
		}
		again, err := ParseSelector(sel.String())
		if err != nil {
			t.Fatalf("%q prints as %q, which does not parse: %v", s, sel, err)
		}
		var a, b []string
		for name, tags := range hosts {
			if sel.Match(name, tags) {
				a = append(a, name)
			}
			if again.Match(name, tags) {
				b = append(b, name)
			}
		}
		slices.Sort(a)
		slices.Sort(b)
		if !slices.Equal(a, b) {
			t.Errorf("%q selects %v, printed and parsed again %v", s, a, b)
		}
	})
}

// A host of which only the name is known may be selected by its tags, but not
// when its name is excluded.
func TestMayMatch(t *testing.T) {
	for text, want := range map[string]bool{
		"web": true, "db": false, "w*": true, "@any": true, "db,@any": true, "@any,!web": false, "!web": false, "!w*": false, "!db": true, "!@any": true, "@a,!@b": true, "db,!@a": false, "*": true,
	} {
		s, err := ParseSelector(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := s.MayMatch("web"); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
	if !(Selector{}).MayMatch("web") {
		t.Error("the zero value")
	}
}
