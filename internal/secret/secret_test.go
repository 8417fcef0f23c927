package secret

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestNeverPrints(t *testing.T) {
	const value = "hunter2-token"
	s := New(value)
	type holder struct{ Token String }
	type closed struct{ token String } // fmt calls no method of an unexported field
	var out strings.Builder
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T"} {
		fmt.Fprintf(&out, verb+" "+verb+" "+verb+"\n", s, &holder{Token: s}, &closed{token: s})
	}
	j, err := json.Marshal(map[string]any{"a": s, "b": holder{s}})
	if err != nil {
		t.Fatal(err)
	}
	out.Write(j)
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "token", s, "h", holder{s})
	slog.New(slog.NewJSONHandler(&log, nil)).Info("x", "token", s, "h", holder{s})
	out.Write(log.Bytes())
	for _, leak := range []string{value, fmt.Sprintf("%x", value), fmt.Sprintf("%X", value)} {
		if strings.Contains(out.String(), leak) {
			t.Errorf("value leaked as %q:\n%s", leak, out.String())
		}
	}
	if s.Reveal() != value || s.IsZero() || !(String{}).IsZero() {
		t.Error("Reveal or IsZero is wrong")
	}
}
