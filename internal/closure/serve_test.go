package closure

import (
	"bytes"
	"encoding/hex"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/flotilla-nix/flotilla/internal/storepath"
)

const somePath = "/nix/store/ab3li50xq0nl4q5lxdyinb8w8y13my9s-f"

// hello is a server's greeting.
func hello(version uint64) *request {
	q := &request{}
	q.number(magicServer)
	q.number(version)
	return q
}

func with(q *request, fill func(q *request)) []byte {
	fill(q)
	return q.Bytes()
}

// hostile are answers to QueryValidPaths of one path that must be refused.
var hostile = map[string]struct {
	answer []byte
	says   string
}{
	"nothing":           {nil, "ended before"},
	"greeting cut":      {hello(0x207).Bytes()[:12], "ended before"},
	"shell noise":       {[]byte("Welcome to NixOS!\nLast login: never\n"), "Welcome to NixOS!"},
	"too old":           {hello(0x204).Bytes(), "version 2.4"},
	"another major":     {hello(0x307).Bytes(), "version 3.7"},
	"answer cut":        {with(hello(0x207), func(q *request) { q.number(1) }), "ended before"},
	"too many paths":    {with(hello(0x207), func(q *request) { q.number(1 << 60) }), "more than the 1 allowed"},
	"endless string":    {with(hello(0x207), func(q *request) { q.number(1); q.number(1 << 62) }), "more than the"},
	"largest number":    {with(hello(0x207), func(q *request) { q.number(1); q.number(1<<64 - 1) }), "more than the"},
	"not a path":        {with(hello(0x207), func(q *request) { q.number(1); q.text("/etc/passwd") }), "does not start with"},
	"path below a path": {with(hello(0x207), func(q *request) { q.number(1); q.text(somePath + "/bin/../..") }), "not allowed"},
	"a path not asked":  {with(hello(0x207), func(q *request) { q.number(1); q.text("/nix/store/00000000000000000000000000000000-g") }), "not asked for"},
	"padding not zero": {with(hello(0x207), func(q *request) {
		q.number(1)
		q.text(somePath)
		q.Bytes()[q.Len()-1] = 1
	}), "padding"},
}

func TestHostileAnswers(t *testing.T) {
	path := parse(t, somePath)
	for name, c := range hostile {
		t.Run(name, func(t *testing.T) {
			s := newSession(&scriptedStream{Reader: bytes.NewReader(c.answer)})
			_, err := s.validPaths([]storepath.Path{path})
			if err == nil || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want something with %q", err, c.says)
			}
		})
	}
	good := with(hello(0x207), func(q *request) { q.number(1); q.text(somePath) })
	valid, err := newSession(&scriptedStream{Reader: bytes.NewReader(good)}).validPaths([]storepath.Path{path})
	if err != nil || !valid[path] {
		t.Errorf("%v, %v", valid, err)
	}
	var noise *NoiseError
	_, err = newSession(&scriptedStream{Reader: strings.NewReader("Hello there, how are you?")}).validPaths([]storepath.Path{path})
	if !errors.As(err, &noise) || !strings.Contains(string(noise.Text), "how are you") {
		t.Errorf("got %v", err)
	}
}

// A host that confirms paths which it does not have is caught.
func TestLyingHost(t *testing.T) {
	source := newStore(t)
	root := source.addSystem(t, 3, 20)
	// Greeting, no valid path; as an upload: greeting, three times done; asked again: no valid path.
	answer := with(hello(0x207), func(q *request) { q.number(0); q.number(0) })
	upload := with(hello(0x207), func(q *request) { q.number(1); q.number(1); q.number(1) })
	transfer, err := newPusher(t, source, Options{}).Plan(within(t, time.Minute), scripted(answer), root)
	if err != nil {
		t.Fatal(err)
	}
	transfer.host = scripted(upload)
	_, err = transfer.Send(within(t, time.Minute), rootedNowhere, nil)
	var at *PathError
	if !errors.As(err, &at) || !strings.Contains(err.Error(), "does not have it") {
		t.Errorf("got %v", err)
	}
	transfer, err = newPusher(t, source, Options{}).Plan(within(t, time.Minute), scripted(answer), root)
	if err != nil {
		t.Fatal(err)
	}
	transfer.host = scripted(with(hello(0x207), func(q *request) { q.number(7) }))
	if _, err = transfer.Send(within(t, time.Minute), rootedNowhere, nil); !errors.As(err, &at) || !strings.Contains(err.Error(), "answered 7") {
		t.Errorf("got %v", err)
	}
}

func TestParseHash(t *testing.T) {
	got, err := parseHash("sha256:1xmr8jicvzszfzpz46g37mlpvbzjl2wpwvl2b05psipssyp1sm8h")
	if err != nil || hex.EncodeToString(got[:2]) == "0000" {
		t.Errorf("%x, %v", got, err)
	}
	for _, bad := range []string{"", "sha256:", "sha1:abc", "1xmr8jicvzszfzpz46g37mlpvbzjl2wpwvl2b05psipssyp1sm8h", "sha256:zzzz", "sha256:" + strings.Repeat("e", 52)} {
		if _, err := parseHash(bad); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestOrder(t *testing.T) {
	p := func(n string) storepath.Path { return parse(t, "/nix/store/"+strings.Repeat(n, 32)+"-"+n) }
	a, b, c, d := p("a"), p("b"), p("c"), p("d")
	infos := map[storepath.Path]info{
		a: {path: a, refs: []storepath.Path{a, c, b}}, b: {path: b, refs: []storepath.Path{d}},
		c: {path: c, refs: []storepath.Path{d, b}}, d: {path: d},
	}
	sorted, err := order(a, infos)
	if err != nil {
		t.Fatal(err)
	}
	var names string
	for _, i := range sorted {
		names += i.path.Name()
	}
	if names != "dbca" {
		t.Errorf("order %s, want dbca", names)
	}
	infos[d] = info{path: d, refs: []storepath.Path{c}}
	if _, err := order(a, infos); err == nil {
		t.Error("a circle was taken")
	}
	delete(infos, d)
	if _, err := order(a, infos); err == nil {
		t.Error("a missing reference was taken")
	}
}

// FuzzAnswers feeds a hostile host's bytes to every decoder: none may panic,
// hang, or hold more memory than the input and the bounds account for.
func FuzzAnswers(f *testing.F) {
	for _, c := range hostile {
		f.Add(c.answer)
	}
	f.Add(with(hello(0x207), func(q *request) { q.number(1); q.text(somePath) }))
	f.Add(with(hello(0x208), func(q *request) {
		q.text(somePath)
		q.text("")
		q.texts([]string{somePath})
		q.number(120)
		q.number(120)
		q.text("sha256:1xmr8jicvzszfzpz46g37mlpvbzjl2wpwvl2b05psipssyp1sm8h")
		q.text("")
		q.texts([]string{"cache-1:c2ln"})
		q.text("")
	}))
	path, err := storepath.Parse(somePath)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, answer []byte) {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		open := func() *session { return newSession(&scriptedStream{Reader: bytes.NewReader(answer)}) }
		asked := []storepath.Path{path}
		if valid, err := open().validPaths(asked); err == nil && len(valid) > 1 {
			t.Errorf("%d valid paths of one", len(valid))
		}
		if paths, err := open().queryClosure(path); err == nil && len(paths)*16 > len(answer) {
			t.Errorf("%d paths out of %d bytes", len(paths), len(answer))
		}
		infos, err := open().pathInfos(asked)
		if err == nil {
			if len(infos) > 1 {
				t.Errorf("%d infos of one path", len(infos))
			}
			for p, i := range infos {
				if p != i.path || i.size <= 0 {
					t.Errorf("info of %s: %+v", p, i)
				}
			}
		}
		// What was read as an info is written as a request that reads the same.
		for _, i := range infos {
			d := reader{bytes.NewReader(addRequest(i).Bytes())}
			if n, err := d.number(); err != nil || n != cmdAddToStoreNar {
				t.Fatal(n, err)
			}
			if name, err := d.text(); err != nil || name != i.path.String() {
				t.Fatal(name, err)
			}
		}
		runtime.ReadMemStats(&after)
		if grown := after.TotalAlloc - before.TotalAlloc; grown > uint64(len(answer))*200+(2<<20) {
			t.Errorf("%d bytes were allocated for %d bytes of input", grown, len(answer))
		}
	})
}
