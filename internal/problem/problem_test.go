package problem

import (
	"errors"
	"fmt"
	"testing"
)

func TestText(t *testing.T) {
	err := errors.Join(
		&Problem{
			Summary: `unknown key "sever_type"`,
			At:      Position{File: "flotilla.yaml", Line: 7, Column: 5},
			Source:  "7 |     sever_type: cx22\n      ^",
			Hints:   []string{`Did you mean "server_type"?`},
		},
		fmt.Errorf("host web-1: %w", &Problem{Summary: "cannot connect", Cause: errors.New("connection refused"), Code: Unknown}),
		errors.New("plain"),
	)
	want := `error: flotilla.yaml:7:5: unknown key "sever_type"
  | 7 |     sever_type: cx22
  |       ^
hint: Did you mean "server_type"?

error: host web-1: cannot connect
  because: connection refused

error: plain
`
	if got := Text(err); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
	if got := CodeOf(err); got != Unknown {
		t.Errorf("code %d, want %d", got, Unknown)
	}
}

func TestCodeOf(t *testing.T) {
	refused := &Problem{Summary: "locked", Code: Refused}
	for _, c := range []struct {
		err  error
		want Code
	}{
		{nil, OK},
		{errors.New("x"), Failed},
		{&Problem{Summary: "x"}, Failed},
		{fmt.Errorf("a: %w", refused), Refused},
		{errors.Join(refused, &Problem{Code: NotDeployed}), NotDeployed},
		{errors.Join(&Problem{Code: Cancelled}, &Problem{Code: NotDeployed}, &Problem{Code: Unknown}), Unknown},
	} {
		if got := CodeOf(c.err); got != c.want {
			t.Errorf("CodeOf(%v) = %d, want %d", c.err, got, c.want)
		}
	}
}
