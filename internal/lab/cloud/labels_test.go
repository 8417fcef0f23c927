package cloud

import (
	"strings"
	"testing"
)

func TestLabelSyntax(t *testing.T) {
	long := strings.Repeat("a", 63)
	for _, good := range []map[string]string{
		nil, {"a": ""}, {"a": "b"}, {"flotilla/system": "abc"}, {"A.b-c_d": "1.2-3_4"}, {"example.com/x": "y"}, {long: long},
		{strings.Repeat("a.", 126) + "a/k": "v"},
	} {
		if err := checkLabels(good); err != nil {
			t.Errorf("%v: %v", good, err)
		}
	}
	for _, bad := range []map[string]string{
		{"": "a"}, {"-a": ""}, {"a-": ""}, {"a b": ""}, {"a/b/c": ""}, {"/a": ""}, {"a/": ""}, {"_x.com/a": ""}, {"a": "https://x"}, {"a": "-b"}, {"a": "b "},
		{"a": "a=b"}, {"a": "a/b"}, {"a": "a+b"}, {"a": long + "a"}, {long + "a": ""}, {"hetzner.cloud/a": "b"}, {strings.Repeat("a.", 127) + "a/k": "v"},
	} {
		if err := checkLabels(bad); err == nil {
			t.Errorf("%v is accepted", bad)
		}
	}
}

func TestSelectors(t *testing.T) {
	labels := map[string]map[string]string{
		"web": {"env": "prod", "tier": "front"}, "db": {"env": "prod", "tier": "back"}, "test": {"env": "test"}, "bare": {}, "empty": {"env": ""},
	}
	order := []string{"web", "db", "test", "bare", "empty"}
	for selector, want := range map[string]string{
		"":                            "web db test bare empty",
		"env":                         "web db test empty",
		"!env":                        "bare",
		"env=prod":                    "web db",
		"env==prod":                   "web db",
		"env=":                        "empty",
		"env!=prod":                   "test bare empty",
		"env in (prod,test)":          "web db test",
		"env in (prod, test),tier":    "web db",
		"env notin (prod)":            "test bare empty",
		"env=prod,tier!=back":         "web",
		" env = prod , tier = front ": "web",
		"tier,!nothing":               "web db",
		"example.com/x=1":             "",
	} {
		chosen, err := selectLabels(selector)
		if err != nil {
			t.Errorf("%q: %v", selector, err)
			continue
		}
		var got []string
		for _, name := range order {
			if chosen(labels[name]) {
				got = append(got, name)
			}
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q selects %v, want %s", selector, got, want)
		}
	}
	for _, bad := range []string{"a b", ",a", "a,", "a=b c", "=", "a in b", "a in (b", "a in (b c)", "-a", "!", "a=-", "a notin", "a=b,,c", "a==b=c"} {
		if _, err := selectLabels(bad); err == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}

func FuzzSelector(f *testing.F) {
	for _, seed := range []string{"", "env=prod", "a in (b,c),!d", "k!=v", "k notin ()", "((", "a=b,", "é=ü"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, selector string) {
		chosen, err := selectLabels(selector)
		if err != nil {
			return
		}
		chosen(nil)
		// A term in front must narrow the choice, never widen it.
		narrowed, err := selectLabels("absent-label," + selector)
		if strings.TrimSpace(selector) == "" {
			return
		}
		if err != nil {
			t.Fatalf("%q is a selector, but not behind another term: %v", selector, err)
		}
		if narrowed(map[string]string{}) {
			t.Fatalf("absent-label,%s selects an object without labels", selector)
		}
	})
}
