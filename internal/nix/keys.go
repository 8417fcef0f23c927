package nix

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/flotilla-nix/flotilla/internal/plans"
	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/secret"
)

// Key is one of a host's deployment.keys. Exactly one of Text, File and Command
// says what it holds.
type Key struct {
	plans.KeyFacts
	Text    secret.String
	File    string   // on this machine
	Command []string // prints the content
}

// Keys gives a host's keys, by name, for those who put them on the host. A tree
// that nobody reviewed has none: its commands and files are its own choice.
func (e *Evaluator) Keys(ctx context.Context, s Source, host string) (map[string]Key, error) {
	if !s.Trusted {
		return nil, &problem.Problem{Summary: fmt.Sprintf("host %s: keys of a change that nobody merged are not read", host), Code: problem.Refused}
	}
	o, err := e.open(ctx, s)
	if err != nil {
		return nil, err
	}
	defer o.close()
	out, err := e.eval(ctx, o, "keys", host)
	if err != nil {
		return nil, o.explain(host, err)
	}
	var written map[string]struct {
		plans.KeyFacts
		UploadAt string   `json:"uploadAt"` // Colmena's spelling
		Text     *string  `json:"text"`
		File     *string  `json:"keyFile"`
		Command  []string `json:"keyCommand"`
	}
	if err := json.Unmarshal(out.json, &written); err != nil {
		// The text may hold a secret: the error's own words may quote it.
		return nil, &problem.Problem{Summary: fmt.Sprintf("host %s: what Nix printed of its keys is not understood", host)}
	}
	keys := map[string]Key{}
	for name, w := range written {
		key := Key{KeyFacts: w.KeyFacts}
		key.UploadAt = w.UploadAt
		sources := 0
		if w.Text != nil {
			key.Text, key.Source = secret.New(*w.Text), "text"
			sources++
		}
		if w.File != nil {
			key.File, key.Source = *w.File, "keyFile"
			sources++
		}
		if w.Command != nil {
			key.Command, key.Source = w.Command, "keyCommand"
			sources++
		}
		if sources != 1 {
			return nil, &problem.Problem{
				Summary: fmt.Sprintf("host %s: deployment.keys.%s has %d sources", host, harmless(name), sources),
				Hints:   []string{"Set exactly one of text, keyFile and keyCommand."},
			}
		}
		keys[name] = key
	}
	return keys, nil
}
