package lab

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// processID names a process for longer than its number: numbers come again,
// number and start time together do not.
type processID struct {
	PID   int    `json:"pid"`
	Start string `json:"start"` // clock ticks after boot, field 22 of /proc/PID/stat
}

// identify gives the identity of a process that runs.
func identify(pid int) (processID, error) {
	start, _, err := processStat(pid)
	if err != nil {
		return processID{}, fmt.Errorf("process %d: %w", pid, err)
	}
	return processID{PID: pid, Start: start}, nil
}

func processStat(pid int) (start, state string, err error) {
	data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return "", "", err
	}
	// The second field is the name in brackets and may hold blanks.
	fields := strings.Fields(string(data[strings.LastIndexByte(string(data), ')')+1:]))
	if len(fields) < 20 {
		return "", "", errors.New("/proc stat has too few fields")
	}
	return fields[19], fields[0], nil
}

// alive tells whether that very process still runs.
func (p processID) alive() bool {
	if p.PID == 0 {
		return false
	}
	start, state, err := processStat(p.PID)
	return err == nil && start == p.Start && state != "Z"
}

// stop ends the process: SIGTERM, and SIGKILL when it does not go in time.
func (p processID) stop(ctx context.Context, patience time.Duration) error {
	if !p.alive() {
		return nil
	}
	for _, s := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		if err := syscall.Kill(p.PID, s); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("stop process %d: %w", p.PID, err)
		}
		gone, err := until(ctx, patience, func() bool { return !p.alive() })
		if gone || err != nil {
			return err
		}
	}
	return fmt.Errorf("process %d does not end", p.PID)
}

// until polls a condition; false: it did not come true in time.
func until(ctx context.Context, limit time.Duration, condition func() bool) (bool, error) {
	deadline := time.Now().Add(limit)
	for !condition() {
		if time.Now().After(deadline) {
			return false, nil
		}
		select {
		case <-ctx.Done():
			return false, context.Cause(ctx)
		case <-time.After(50 * time.Millisecond):
		}
	}
	return true, nil
}

// detach starts a program that outlives this one, in a session of its own, with
// its output in a file.
func detach(logFile, program string, args ...string) (processID, error) {
	log, err := os.OpenFile(logFile, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600) //nolint:gosec // the lab's own file
	if err != nil {
		return processID{}, fmt.Errorf("log of %s: %w", program, err)
	}
	defer func() { _ = log.Close() }()
	cmd := exec.Command(program, args...) //nolint:gosec,noctx // the program is ours or dockerd, and it must outlive every context
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return processID{}, fmt.Errorf("start %s: %w", program, err)
	}
	id, err := identify(cmd.Process.Pid)
	go func() { _ = cmd.Wait() }() // so that it is no zombie while this process lives
	return id, err
}

// logTail gives the last lines of a log.
func logTail(file string, lines int) string {
	data, err := os.ReadFile(file) //nolint:gosec // the lab's own file
	if err != nil {
		return ""
	}
	all := strings.Split(strings.TrimSpace(string(data)), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}
