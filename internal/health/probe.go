package health

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/flotilla-nix/flotilla/internal/fleet"
	"github.com/flotilla-nix/flotilla/internal/process"
)

const (
	maxBody = 1 << 20
	// settled is how long units must have been active without a restart.
	settled = 2 * time.Second
)

// tryHTTP asks once. With Via "host" it connects to the host's own address and
// sends the URL's name as Host and SNI, so that a host is checked before DNS or
// a load balancer points to it.
func tryHTTP(ctx context.Context, check fleet.HTTPCheck, address string) error {
	u, err := url.Parse(check.URL)
	if err != nil {
		return fmt.Errorf("bad URL: %w", err)
	}
	transport := &http.Transport{DisableKeepAlives: true, Proxy: nil}
	if check.Via != "dns" {
		port := u.Port()
		if port == "" {
			port = map[string]string{"http": "80", "https": "443"}[u.Scheme]
		}
		transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, network, net.JoinHostPort(address, port))
		}
	}
	client := &http.Client{
		Transport: transport,
		// The answer itself is checked, not where it leads.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, check.URL, nil)
	if err != nil {
		return fmt.Errorf("bad request: %w", err)
	}
	request.Header.Set("User-Agent", "flotilla-health")
	response, err := client.Do(request)
	if err != nil {
		var wrapped *url.Error
		if errors.As(err, &wrapped) {
			err = wrapped.Err // the URL is in the check's name
		}
		return err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxBody))
	if err != nil {
		return fmt.Errorf("the answer broke off: %w", err)
	}
	if response.StatusCode != check.Status {
		return fmt.Errorf("status %d, want %d: %s", response.StatusCode, check.Status, firstLine(body))
	}
	if check.Body != "" && !strings.Contains(string(body), check.Body) {
		return fmt.Errorf("status %d, but the body does not contain %q: %s", response.StatusCode, check.Body, firstLine(body))
	}
	return nil
}

func firstLine(body []byte) string {
	line, _, _ := strings.Cut(strings.TrimSpace(string(body)), "\n")
	return strings.ToValidUTF8(line, "?")
}

func tryTCP(ctx context.Context, port int, address string) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "tcp", net.JoinHostPort(address, strconv.Itoa(port)))
	if err != nil {
		return err
	}
	return conn.Close()
}

func tryCommand(ctx context.Context, argv []string, session Session) error {
	result, err := session.Run(ctx, nil, argv...)
	var failed *process.Error
	if errors.As(err, &failed) && failed.ExitCode >= 0 {
		tail := strings.TrimSpace(failed.Tail + "\n" + string(result.Stdout))
		return fmt.Errorf("exit code %d: %s", failed.ExitCode, tail)
	}
	return err
}

// tryUnits wants each unit active, and not restarted while it looks: a service
// that dies and is restarted at once looks active most of the time.
func tryUnits(ctx context.Context, units []string, session Session) error {
	before, err := restarts(ctx, units, session)
	if err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(settled):
	}
	after, err := restarts(ctx, units, session)
	if err != nil {
		return err
	}
	for i, unit := range units {
		if before[i] != after[i] {
			return fmt.Errorf("%s restarts again and again (%s restarts)%s", unit, after[i], journal(ctx, unit, session))
		}
	}
	return nil
}

// restarts gives each unit's restart count; one that is not active is an error.
func restarts(ctx context.Context, units []string, session Session) ([]string, error) {
	counts := make([]string, 0, len(units))
	for _, unit := range units {
		result, err := session.Run(ctx, nil, "systemctl", "show", "--property=LoadState,ActiveState,SubState,NRestarts", "--", unit)
		if err != nil {
			return nil, fmt.Errorf("cannot ask for %s: %w", unit, err)
		}
		p := map[string]string{}
		for line := range strings.Lines(string(result.Stdout)) {
			if key, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
				p[key] = value
			}
		}
		if p["LoadState"] == "not-found" {
			return nil, fmt.Errorf("%s is not there", unit)
		}
		if p["ActiveState"] != "active" {
			return nil, fmt.Errorf("%s is %s (%s)%s", unit, p["ActiveState"], p["SubState"], journal(ctx, unit, session))
		}
		counts = append(counts, p["NRestarts"])
	}
	return counts, nil
}

// journal gives a unit's last lines, or nothing.
func journal(ctx context.Context, unit string, session Session) string {
	result, err := session.Run(ctx, nil, "journalctl", "--no-pager", "--quiet", "--output=cat", "--lines=5", "--unit="+unit)
	if err != nil {
		return ""
	}
	text := strings.TrimSpace(string(result.Stdout))
	if text == "" {
		return ""
	}
	return ":\n" + text
}
