package nix

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode"
)

func TestHarmless(t *testing.T) {
	for in, want := range map[string]string{
		"plain\ttext\n":                    "plain\ttext\n",
		"\x1b[31;1mred\x1b[0m":             "red",
		"\x1b]0;title\x07text":             "text",
		"\x1b]8;;http://x\x1b\\link":       "link",
		"a\r\n::error::b\rc":               "a\n: :error::b\nc",
		"  ::add-mask::x":                  "  : :add-mask::x",
		"##[group]x":                       "# #[group]x",
		"a::b ##[x]":                       "a::b ##[x]",
		"\u202eevil\u202c \u200bx":         "evil x",
		"bad \xff byte":                    "bad \uFFFD byte",
		"\u2028::set-output name=a::b\x00": "\n: :set-output name=a::b",
	} {
		if got := harmless(in); got != want {
			t.Errorf("harmless(%q) = %q, want %q", in, got, want)
		}
	}
}

func FuzzHarmless(f *testing.F) {
	for _, s := range []string{"::error::x", "\x1b[", "\x1b\x1b[31m[0m", "\u200b::x", " \r::x", "\x1b]::x", "##[", ":\x1b[m:x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got := harmless(s)
		for line := range strings.SplitSeq(got, "\n") {
			trimmed := strings.TrimSpace(line)
			if strings.HasPrefix(trimmed, "::") || strings.HasPrefix(trimmed, "##[") {
				t.Errorf("harmless(%q) leaves the command %q", s, line)
			}
		}
		for _, r := range got {
			if r != '\n' && r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Cf, r)) {
				t.Errorf("harmless(%q) leaves %q", s, r)
			}
		}
	})
}

func TestClip(t *testing.T) {
	if got := clip("a\nb\nc", 2, 100); got != "a\nb\n…" {
		t.Errorf("got %q", got)
	}
	if got := clip("ää", 1, 3); got != "ä…" {
		t.Errorf("got %q", got)
	}
}

func TestWorkers(t *testing.T) {
	for _, c := range []struct {
		cores        int
		memory, each int64
		want         int
	}{{4, 0, 0, 4}, {4, 64 << 30, 0, 4}, {4, 3 << 30, 0, 2}, {4, 1 << 20, 0, 1}, {4, 3 << 30, 1 << 30, 3}, {4, 3 << 30, 8 << 30, 1}} {
		if got := workers(c.cores, c.memory, c.each); got != c.want {
			t.Errorf("workers(%d, %d, %d) = %d, want %d", c.cores, c.memory, c.each, got, c.want)
		}
	}
}

func TestFreeMemory(t *testing.T) {
	const v2, v1 = "sys/fs/cgroup/", "sys/fs/cgroup/memory/"
	machine := "MemTotal: 9 kB\nMemAvailable:    2048 kB\n"
	for name, c := range map[string]struct {
		files map[string]string
		want  int64
	}{
		"nothing":    {nil, 0},
		"machine":    {map[string]string{"proc/meminfo": machine}, 2 << 20},
		"no limit":   {map[string]string{"proc/meminfo": machine, v2 + "memory.max": "max\n", v2 + "memory.current": "5\n"}, 2 << 20},
		"container":  {map[string]string{"proc/meminfo": machine, v2 + "memory.max": "1000\n", v2 + "memory.current": "500\n", v2 + "memory.stat": "anon 1\ninactive_file 200\n"}, 700},
		"older":      {map[string]string{"proc/meminfo": machine, v1 + "memory.limit_in_bytes": "1000", v1 + "memory.usage_in_bytes": "500", v1 + "memory.stat": "total_inactive_file 100\n"}, 600},
		"older, max": {map[string]string{"proc/meminfo": machine, v1 + "memory.limit_in_bytes": "9223372036854771712", v1 + "memory.usage_in_bytes": "500"}, 2 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			if got := freeMemory(repo(t, c.files).Dir); got != c.want {
				t.Errorf("free memory is %d, want %d", got, c.want)
			}
		})
	}
}

func TestSearchPath(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(dir, link); err != nil {
		t.Fatal(err)
	}
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		t.Fatal(err)
	}
	got := localEntries("nixpkgs=" + link + ":x=https://example.org/y.tar.gz:" + link + ":flake:nixpkgs:z=channel:nixos-25.11:/gone")
	want := []string{"nixpkgs=" + real, real, "/gone"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}
