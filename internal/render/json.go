package render

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"

	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
)

// PlanJSON writes a plan in its versioned JSON form, indented and stable.
func PlanJSON(w io.Writer, p plans.Plan) error { return writeJSON(w, p) }

// ResultJSON writes a result in its versioned JSON form, indented and stable.
func ResultJSON(w io.Writer, r plans.Result) error { return writeJSON(w, r) }

// AdoptedJSON writes what was taken over, and what differs afterwards.
func AdoptedJSON(w io.Writer, r plans.Result, differs []plans.Resource, cost *plans.Cost) error {
	if differs == nil {
		differs = []plans.Resource{}
	}
	return writeJSON(w, struct {
		plans.Result
		Differs []plans.Resource `json:"differs"`
		Cost    *plans.Cost      `json:"cost"`
	}{r, differs, cost})
}

// FailureJSON writes what a command has to say that ended without a result: the
// error and the exit code.
func FailureJSON(w io.Writer, err error, code problem.Code) error {
	return writeJSON(w, struct {
		Version  string       `json:"version"`
		Failure  string       `json:"failure"`
		ExitCode problem.Code `json:"exit_code"`
	}{plans.Version, problem.Text(err), code})
}

func writeJSON(w io.Writer, v any) error {
	b, err := encodeJSON(v, "  ")
	if err != nil {
		return err
	}
	_, err = w.Write(b)
	return err
}

// encodeJSON is JSON that is safe to print: characters that terminals obey and
// the old form of a job log's commands ("##[") are written as escapes. Both
// stand only in strings, so the value is the same.
func encodeJSON(v any, indent string) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", indent)
	if err := enc.Encode(v); err != nil {
		return nil, fmt.Errorf("write as JSON: %w", err)
	}
	out := bytes.ReplaceAll(b.Bytes(), []byte("##["), []byte(`##\u005b`))
	if !bytes.ContainsFunc(out, awkward) {
		return out, nil
	}
	var safe bytes.Buffer
	for _, r := range string(out) {
		if awkward(r) {
			fmt.Fprintf(&safe, `\u%04x`, r)
		} else {
			safe.WriteRune(r)
		}
	}
	return safe.Bytes(), nil
}

// awkward characters are controls that JSON itself leaves alone, and those
// that change the direction of text.
func awkward(r rune) bool {
	return r >= 0x7f && r <= 0x9f || r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069
}
