package machine

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Watch reports starts and stops that others cause until ctx ends: a guest that
// reboots, a hand that kills.
func (d *Docker) Watch(ctx context.Context, seen func(server int64, running bool)) error {
	cmd := exec.CommandContext(ctx, "docker", "events", //nolint:gosec // words, no shell
		"--filter", "label="+Label+"="+d.lab, "--filter", "event=start", "--filter", "event=die",
		"--format", `{{.Action}} {{index .Actor.Attributes "`+serverLabel+`"}}`)
	cmd.Stdout = &eventLines{seen: seen}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 5 * time.Second
	// The client must not outlive a lab that was killed. The kernel ties that to
	// the thread that started it, so the thread stays with this call.
	cmd.SysProcAttr = withParent()
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	if err := cmd.Run(); err != nil && ctx.Err() == nil {
		return fmt.Errorf("watch machines: %w", err)
	}
	return nil
}

type eventLines struct {
	part []byte
	seen func(int64, bool)
}

// Write implements io.Writer: it takes "start 100001" and "die 100001" lines.
func (e *eventLines) Write(p []byte) (int, error) {
	e.part = append(e.part, p...)
	for {
		line, rest, found := bytes.Cut(e.part, []byte("\n"))
		if !found {
			return len(p), nil
		}
		e.part = rest
		action, server, _ := strings.Cut(string(line), " ")
		if id, err := strconv.ParseInt(server, 10, 64); err == nil {
			e.seen(id, action == "start")
		}
	}
}
