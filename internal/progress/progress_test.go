package progress

import (
	"errors"
	"testing"
)

func TestDo(t *testing.T) {
	var got []string
	r := For(Func(func(e Event) { got = append(got, string(e.Kind)+" "+string(e.Step)+" "+e.Host+" "+e.Text) }), "web-1")
	boom := errors.New("boom")
	if err := r.Do(Push, func() error { return boom }); !errors.Is(err, boom) {
		t.Errorf("got %v", err)
	}
	if err := r.Do(Commit, func() error { return nil }); err != nil {
		t.Error(err)
	}
	want := []string{"begin push web-1 ", "fail push web-1 boom", "begin commit web-1 ", "end commit web-1 "}
	if len(got) != len(want) {
		t.Fatalf("got %q", got)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("event %d is %q, want %q", i, got[i], want[i])
		}
	}
}
