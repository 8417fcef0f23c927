package closure

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/flotilla-nix/flotilla/internal/storepath"
)

// queryLimit is how long a host may take to say what it has.
const queryLimit = 5 * time.Minute

// Transfer is what one host lacks of one closure. It holds a session on the
// host that keeps the paths which are there from being collected, so Send or
// Close must be called.
type Transfer struct {
	Root  storepath.Path
	Total int   // paths of the closure
	Paths int   // paths that are missing on the host
	NAR   int64 // size of the missing ones as NARs, bytes: about what they will take on its disk

	pusher   *Pusher
	host     Opener
	programs programs
	closure  []info
	missing  []info
	session  *session // the plain one, with the lock
	wire     *counter
	cancel   context.CancelCauseFunc
}

// Plan asks a host which paths of root's closure it lacks. The Transfer lives
// on when ctx ends.
func (p *Pusher) Plan(ctx context.Context, host Opener, root storepath.Path) (*Transfer, error) {
	known, err := p.closure(ctx, root)
	if err != nil {
		return nil, err
	}
	// The session must outlive ctx, which may be one of this step alone.
	lasting, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	stop := obey(ctx, cancel, queryLimit, "the host did not say which paths it has")
	defer stop()
	t := &Transfer{Root: root, Total: len(known), pusher: p, host: host, closure: known, wire: &counter{}, cancel: cancel}
	if err := t.ask(lasting); err != nil {
		if cause := context.Cause(lasting); cause != nil {
			err = cause
		}
		t.Close()
		return nil, fmt.Errorf("ask which paths are missing: %w", err)
	}
	return t, nil
}

func (t *Transfer) ask(ctx context.Context) error {
	var err error
	if t.programs, err = findPrograms(ctx, t.host); err != nil {
		return err
	}
	stream, err := t.host.Open(ctx, t.programs.store, "--serve", "--write")
	if err != nil {
		return err
	}
	t.session = newSession(t.wire.count(stream))
	valid, err := t.session.validPaths(pathsOf(t.closure))
	if err != nil {
		return err
	}
	for _, i := range t.closure {
		if !valid[i.path] {
			t.missing = append(t.missing, i)
			t.NAR += i.size
		}
	}
	t.Paths = len(t.missing)
	return nil
}

// Close gives the transfer up; paths without a root may be collected from then
// on. It may be called more than once.
func (t *Transfer) Close() {
	t.cancel(errors.New("the transfer was closed"))
	if t.session != nil {
		_ = t.session.stream.Close()
	}
}

func pathsOf(infos []info) []storepath.Path {
	paths := make([]storepath.Path, len(infos))
	for k, i := range infos {
		paths[k] = i.path
	}
	return paths
}

// obey cancels when ctx ends or the time is over, until stop is called.
func obey(ctx context.Context, cancel context.CancelCauseFunc, limit time.Duration, why string) (stop func()) {
	detach := context.AfterFunc(ctx, func() { cancel(context.Cause(ctx)) })
	timer := time.AfterFunc(limit, func() { cancel(fmt.Errorf("%s within %v", why, limit)) })
	return func() {
		detach()
		timer.Stop()
	}
}

// programs are what a host has, by absolute path or plain name.
type programs struct {
	store string // nix-store
	zstd  string // "": none
}

// probe looks for programs where NixOS and Nix's installer put them, then in
// PATH, which a login without a terminal may have short.
const probe = `echo flotilla-probe
for p in nix-store zstd; do
  for d in /run/current-system/sw/bin /nix/var/nix/profiles/default/bin; do
    if [ -x "$d/$p" ]; then echo "flotilla-found $p $d/$p"; continue 2; fi
  done
  f=$(command -v "$p") && echo "flotilla-found $p $f"
done
exit 0`

// findPrograms asks a host for its programs. A host on which only one command
// may be run does not answer; it gets what such hosts run.
func findPrograms(ctx context.Context, host Opener) (programs, error) {
	stream, err := host.Open(ctx, "sh", "-c", probe)
	if err != nil {
		return programs{}, err
	}
	defer stream.Close() //nolint:errcheck // the answer is in
	_ = stream.CloseWrite()
	answer, err := io.ReadAll(io.LimitReader(stream, 64<<10))
	if err != nil {
		return programs{}, err
	}
	var found programs
	answered := false
	for line := range strings.Lines(string(answer)) {
		line = strings.TrimSpace(line)
		answered = answered || line == "flotilla-probe"
		name, file, _ := strings.Cut(strings.TrimPrefix(line, "flotilla-found "), " ")
		switch {
		case !strings.HasPrefix(line, "flotilla-found ") || !strings.HasPrefix(file, "/"):
		case name == "nix-store":
			found.store = file
		case name == "zstd":
			found.zstd = file
		}
	}
	if !answered {
		return programs{store: "nix-store"}, nil
	}
	if found.store == "" {
		return programs{}, errors.New("there is no nix-store on the host")
	}
	return found, nil
}
