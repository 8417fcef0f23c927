package generation

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/flotilla-nix/flotilla/internal/problem"
	"github.com/flotilla-nix/flotilla/internal/progress"
	"github.com/flotilla-nix/flotilla/internal/secret"
)

// keysTime is what the guard waits longer for while keys are put in place.
const keysTime = 30 * time.Second

// Key is a file with a secret that belongs on the host, outside the store.
type Key struct {
	Name    string
	Path    string // absolute
	User    string // name or number
	Group   string
	Mode    string // octal
	Late    bool   // put there after the activation, not before it
	Content secret.String
}

// What the host's script takes as one word of a line, or as a path at its end.
var (
	ownerForm = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}\$?$`)
	modeForm  = regexp.MustCompile(`^[0-7]{3,4}$`)
	pathForm  = regexp.MustCompile(`^/[^\x00-\x1f\x7f]*[^\x00-\x20\x7f/]$`)
)

// Check refuses what cannot be put on a host.
func (k Key) Check() error {
	wrong := ""
	switch {
	case !pathForm.MatchString(k.Path) || filepath.Clean(k.Path) != k.Path || filepath.Dir(k.Path) == "/":
		wrong = fmt.Sprintf("its path %q is not an absolute one without dots and control characters, in a folder of its own", plain(k.Path))
	case !ownerForm.MatchString(k.User) || !ownerForm.MatchString(k.Group):
		wrong = fmt.Sprintf("its owner %q is no user and group", plain(k.User+":"+k.Group))
	case !modeForm.MatchString(k.Mode):
		wrong = fmt.Sprintf("its permissions %q are not octal digits: 0400", plain(k.Mode))
	default:
		return nil
	}
	return &problem.Problem{Summary: fmt.Sprintf("deployment key %q cannot be put on a host: %s", plain(k.Name), wrong)}
}

// words are a key's place, as the script takes it.
func (k Key) words(when string) []string { return []string{when, k.Mode, k.User, k.Group, k.Path} }

// When a key is put in its place.
const (
	keyEarly = "early"
	keyLate  = "late"
	keySame  = "same" // it is as it should be
)

func (k Key) when() string {
	if k.Late {
		return keyLate
	}
	return keyEarly
}

// sendText takes a key's content on standard input, under its temporary name.
// The file is a new one, whoever may write in that folder.
const sendText = `umask 022; PATH=/run/current-system/sw/bin:/usr/bin:/bin; export PATH; mkdir -p "${1%/*}" && umask 077 && ` +
	`f="${1%/*}/.${1##*/}.flotilla-new" && rm -f "$f" && set -C && cat >"$f" && [ "$(wc -c <"$f")" -eq "$2" ] && sync "$f"`

func sendCommand(k Key) command {
	content := k.Content.Reveal()
	return command{argv: []string{"/bin/sh", "-c", sendText, "sh", k.Path, strconv.Itoa(len(content))}, stdin: content}
}

func keysLookCommand(keys []Key) command {
	var paths []string
	for _, k := range keys {
		paths = append(paths, k.Path)
	}
	return verb("keys_look", paths...)
}

func keysPutCommand(id, when string) command { return stored(id, "keys_put", when) }

// keysNowCommand puts keys in place while the system stays.
func keysNowCommand(keys []Key, changed []string) command {
	var words []string
	for _, k := range keys {
		when := keySame
		if slices.Contains(changed, k.Path) {
			when = k.when()
		}
		words = append(words, k.words(when)...)
	}
	return verb("keys_now", words...)
}

// keysText is the list of a deployment's keys for the script.
func keysText(keys []Key, changed []string) string {
	var text strings.Builder
	for _, k := range keys {
		when := keySame
		if slices.Contains(changed, k.Path) {
			when = k.when()
		}
		text.WriteString(strings.Join(k.words(when), " ") + "\n")
	}
	return text.String()
}

// changedKeys gives the paths of the keys that are not on the host as they
// should be.
func changedKeys(ctx context.Context, w *wire, keys []Key) ([]string, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	out, err := w.run(ctx, keysLookCommand(keys))
	if err != nil {
		return nil, fmt.Errorf("cannot look at the keys: %s", said(err))
	}
	there := map[string][]string{}
	complete := false
	for line := range strings.Lines(out) {
		words := strings.SplitN(strings.TrimRight(line, "\n"), " ", 8)
		complete = words[0] == "end"
		if words[0] == "key" && len(words) == 8 {
			there[words[7]] = words[1:7]
		}
	}
	if !complete {
		return nil, fmt.Errorf("cannot look at the keys: the answer is not complete")
	}
	var changed []string
	for _, k := range keys {
		if !k.is(there[k.Path]) {
			changed = append(changed, k.Path)
		}
	}
	return changed, nil
}

// is tells whether a file with this digest, mode, owner's and group's names
// and numbers is the key.
func (k Key) is(file []string) bool {
	if len(file) != 6 {
		return false
	}
	sum := sha256.Sum256([]byte(k.Content.Reveal()))
	return file[0] == hex.EncodeToString(sum[:]) && strings.TrimLeft(file[1], "0") == strings.TrimLeft(k.Mode, "0") &&
		(k.User == file[2] || k.User == file[3]) && (k.Group == file[4] || k.Group == file[5])
}

// named gives the names of the keys with these paths.
func named(keys []Key, paths []string) []string {
	var names []string
	for _, k := range keys {
		if slices.Contains(paths, k.Path) {
			names = append(names, k.Name)
		}
	}
	return names
}

func checkKeys(keys []Key) error {
	paths := map[string]string{}
	for _, k := range keys {
		if err := k.Check(); err != nil {
			return err
		}
		if other, taken := paths[k.Path]; taken {
			return &problem.Problem{Summary: fmt.Sprintf("deployment keys %q and %q are one file: %s", plain(other), plain(k.Name), plain(k.Path))}
		}
		paths[k.Path] = k.Name
	}
	return nil
}

// PutKeys puts keys on a host whose system stays as it is. It gives the names
// of those that were not there as they should be; the others are not sent.
func (h *Host) PutKeys(ctx context.Context, keys []Key) (put []string, err error) {
	if err := checkKeys(keys); err != nil {
		return nil, err
	}
	w := h.wire()
	defer w.close()
	changed, err := changedKeys(ctx, w, keys)
	if err != nil {
		return nil, &problem.Problem{Summary: h.name + ": " + err.Error()}
	}
	if len(changed) == 0 {
		return nil, nil
	}
	err = h.report.Do(progress.Keys, func() error {
		for _, k := range keys {
			if !slices.Contains(changed, k.Path) {
				continue
			}
			if _, err := w.run(ctx, sendCommand(k)); err != nil {
				return fmt.Errorf("key %s could not be sent: %s", plain(k.Name), said(err))
			}
		}
		if _, err := w.run(ctx, keysNowCommand(keys, changed)); err != nil {
			return fmt.Errorf("the keys could not be put in place: %s", said(err))
		}
		return nil
	})
	if err != nil {
		return nil, &problem.Problem{Summary: h.name + ": " + err.Error()}
	}
	return named(keys, changed), nil
}

// keys sends and places the deployment's keys that are due. Its error is the
// reason to give up; what was placed is put back with the rest.
func (a *attempt) keys(ctx context.Context, when string) error {
	var due []Key
	for _, k := range a.req.Keys {
		if k.when() == when && slices.Contains(a.changed, k.Path) {
			due = append(due, k)
		}
	}
	if len(due) == 0 {
		return nil
	}
	return a.do(progress.Keys, func() error {
		limited, cancel := context.WithTimeout(ctx, keysTime)
		defer cancel()
		for _, k := range due {
			if _, err := a.wire.insist(limited, sendCommand(k)); err != nil {
				return fmt.Errorf("key %s could not be sent: %s", plain(k.Name), said(err))
			}
		}
		if _, err := a.wire.insist(limited, keysPutCommand(a.req.ID, when)); err != nil {
			return fmt.Errorf("the keys could not be put in place: %s", said(err))
		}
		return nil
	})
}

// keysWait is how much longer the guard has to wait for keys of this kind.
func (a *attempt) keysWait(late bool) time.Duration {
	if slices.ContainsFunc(a.req.Keys, func(k Key) bool { return k.Late == late && slices.Contains(a.changed, k.Path) }) {
		return keysTime
	}
	return 0
}
