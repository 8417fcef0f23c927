package terraform_test

import (
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/flotilla-nix/flotilla/internal/config"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/terraform"
)

// standIn is what an import puts in place of IDs and addresses that only the
// provider knows. It must never reach a fleet.
var standIn = regexp.MustCompile(`77370[0-9]{11}|fd77:370:`)

// What one import may take. The machine may be busy, so the time is generous.
const (
	maxTime   = 20 * time.Second
	maxMemory = 2 << 30 // allocated in all, not at once
)

func FuzzImport(f *testing.F) {
	seeds := 0
	dirs, err := filepath.Glob("testdata/*")
	if err != nil {
		f.Fatal(err)
	}
	for _, dir := range dirs {
		files, err := filepath.Glob(filepath.Join(dir, "*.tf"))
		if err != nil {
			f.Fatal(err)
		}
		var main strings.Builder
		for _, file := range files {
			main.WriteString(read(f, file))
		}
		if main.Len() == 0 {
			continue
		}
		modules, err := filepath.Glob(filepath.Join(dir, "modules", "*", "main.tf"))
		if err != nil {
			f.Fatal(err)
		}
		module := ""
		if len(modules) > 0 {
			module = read(f, modules[0])
		}
		f.Add(main.String(), module, optional(filepath.Join(dir, "terraform.tfvars")), optional(filepath.Join(dir, "terraform.tfstate")))
		seeds++
	}
	for _, main := range hostile() {
		f.Add(main, "output \"x\" { value = 1 }", "", `{"version": 4, "resources": []}`)
		seeds++
	}
	if seeds < 40 {
		f.Fatalf("only %d seeds", seeds)
	}
	f.Fuzz(func(t *testing.T, main, module, vars, state string) {
		dir := t.TempDir()
		write(t, filepath.Join(dir, "main.tf"), main)
		write(t, filepath.Join(dir, "m", "main.tf"), module)
		write(t, filepath.Join(dir, "terraform.tfvars"), vars)
		options := terraform.Options{Fleet: "fuzz"}
		if state != "" {
			options.State = filepath.Join(dir, "terraform.tfstate")
			write(t, options.State, state)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		start := time.Now()
		got, err := terraform.Read(t.Context(), dir, options)
		if took := time.Since(start); took > maxTime {
			t.Errorf("took %s", took)
		}
		runtime.ReadMemStats(&after)
		if used := after.TotalAlloc - before.TotalAlloc; used > maxMemory {
			t.Errorf("allocated %d MiB", used>>20)
		}
		if err != nil {
			if text := problem.Text(err); strings.Contains(text, "cannot be evaluated\n") {
				t.Errorf("a panic: %s", text)
			}
			return
		}
		for _, g := range got.Gaps {
			if strings.ContainsFunc(g.String(), unicode.IsControl) {
				t.Errorf("a gap with control characters: %q", g)
			}
		}
		text, err := config.Format(got.Fleet)
		if err != nil {
			t.Fatalf("what was imported cannot be written: %v", err)
		}
		if found := standIn.FindString(string(text)); found != "" && !strings.Contains(main+module+vars+state, found[:5]) {
			t.Errorf("%s is not the user's", found)
		}
	})
}

// hostile are configurations that are small and ask for much.
func hostile() []string {
	doubled := "locals {\n  a0 = \"xxxxxxxxxxxxxxxx\"\n"
	for _, n := range []string{"0 1", "1 2", "2 3", "3 4", "4 5", "5 6"} {
		from, to, _ := strings.Cut(n, " ")
		doubled += "  a" + to + " = \"" + strings.Repeat("${local.a"+from+"}", 40) + "\"\n"
	}
	doubled += "}\n"
	key := func(expr string) string {
		return "resource \"hcloud_ssh_key\" \"k\" {\n  name = \"k\"\n  public_key = " + expr + "\n}\n"
	}
	return []string{
		doubled + key("local.a6"),
		key("[for a in range(1000) : [for b in range(1000) : [for c in range(1000) : a + b + c]]]"),
		key("[for a in range(1000) : [for b in range(1000) : [for c in range(1000) : \"x\" if false]]]"),
		key(`format("%999999999d", 1)`), key(`format("%.999999999f", 1)`), key(`format("%*d", 999999999, 1)`),
		key(`replace("` + strings.Repeat("a", 1000) + `", "", "` + strings.Repeat("b", 1000) + `")`),
		key(`replace("aaa", "/a|/", "` + strings.Repeat("b", 1000) + `")`),
		key("jsonencode(setproduct(range(1000), range(1000), range(1000)))"),
		key("1e999999999"), key("\"${1e99999 * 1e99999}\""), key("pow(10, 1e308)"), key("\"${pow(10, 300) * pow(10, 300)}\""),
		key("[for a in [1e900 * 1e300] : [for b in [a * a] : [for c in [b * b] : \"${c * c}\"]]]"),
		key(strings.Repeat("(", 10_000) + "1" + strings.Repeat(")", 10_000)),
		key(strings.Repeat("-", 10_000) + "1"), key(strings.Repeat("!", 10_000) + "true"), key("1" + strings.Repeat("+1", 20_000)),
		key("a" + strings.Repeat("[*]", 10_000)), key("a" + strings.Repeat(".b", 10_000)), key("[1]" + strings.Repeat("[0]", 10_000)),
		key(strings.Repeat("true ? 1 : ", 5_000) + "1"), key(strings.Repeat(`"${`, 2_000) + "1" + strings.Repeat(`}"`, 2_000)),
		key(`file("/dev/zero")`), key(`file("/proc/self/mem")`), key(`templatefile("main.tf", {})`), key(`yamldecode("&a [*a,*a]")`),
		key(`yamldecode("a: &a [x,x]\nb: &b [*a,*a]\nc: &c [*b,*b]\nd: [*c,*c]")`), key(`jsondecode("` + strings.Repeat("[", 5_000) + `")`),
		key(`indent(99999999, "a\nb\nc")`), key(`cidrsubnets("10.0.0.0/8", 300, -1)`), key(`cidrhost("::/0", 1e38)`), key(`parseint("zz", 36)`),
		key(`substr("abc", -1e18, 1e18)`), key(`slice([1], 0, 1e18)`), key(`range(1e18)`), key(`chunklist([1], 0)`), key(`element([], 1e30)`),
		"locals {\n  a = local.b\n  b = [for x in local.a : x]\n}\n" + key("local.a"),
		"module \"a\" {\n  source = \"./m\"\n  count = 1000\n}\n", "module \"a\" {\n  source = \"./m\"\n  for_each = toset([for i in range(900) : tostring(i)])\n}\noutput \"o\" { value = module.a }\n",
		"resource \"hcloud_server\" \"s\" {\n  count = 1000\n  name = \"s${count.index}\"\n  server_type = \"cx22\"\n  image = \"debian-12\"\n  location = \"nbg1\"\n  ssh_keys = [\"k\"]\n  labels = { for s in range(20) : \"l${s}\" => s }\n}\n",
		"resource \"hcloud_firewall\" \"f\" {\n  name = \"f\"\n  dynamic \"rule\" {\n    for_each = range(1000)\n    content {\n      direction = \"in\"\n      dynamic \"rule\" {\n        for_each = range(1000)\n        content {}\n      }\n    }\n  }\n}\n",
		"resource \"hcloud_ssh_key\" \"k\" {\n  name = \"a\\nb\\u2028# x\"\n  public_key = \"\\u0000\"\n}\n",
		"resource \"hcloud_server\" \"a\" {\n  name = hcloud_server.b.name\n}\nresource \"hcloud_server\" \"b\" {\n  name = hcloud_server.a.name\n}\n",
	}
}

func read(f *testing.F, file string) string {
	f.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		f.Fatal(err)
	}
	return string(text)
}

func optional(file string) string {
	text, _ := os.ReadFile(file)
	return string(text)
}

func write(t *testing.T, file, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
