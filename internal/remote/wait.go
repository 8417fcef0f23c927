package remote

import (
	"context"
	"errors"
	"time"
)

// WaitReachable dials until the host lets us in, and gives the connection.
// report, which may be nil, gets the failure of each try that is followed by
// another. A wrong or unknown host key ends it at once. A refused login is
// tried again for two minutes, because a server on its first boot may answer
// before the keys are in place. When ctx ends, the error is the last failure;
// a ctx without a deadline gets one of 15 minutes.
func WaitReachable(ctx context.Context, t Target, report func(error)) (*Conn, error) {
	return waiter{pause: 2 * time.Second, patience: 2 * time.Minute, limit: 15 * time.Minute}.wait(ctx, t, report)
}

// waiter holds the times of WaitReachable.
type waiter struct {
	pause    time.Duration // between two tries
	patience time.Duration // for hosts that answer and refuse
	limit    time.Duration // for a ctx without a deadline
}

func (w waiter) wait(ctx context.Context, t Target, report func(error)) (*Conn, error) {
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, w.limit)
		defer cancel()
	}
	var last error
	var refusedSince time.Time
	for {
		conn, err := Dial(ctx, t)
		if err == nil {
			return conn, nil
		}
		if ctx.Err() != nil {
			if last != nil {
				return nil, errors.Join(last, err)
			}
			return nil, err
		}
		last = err
		var unreachable *UnreachableError
		var auth *AuthError
		var handshake *HandshakeError
		switch {
		case errors.As(err, &unreachable):
			refusedSince = time.Time{}
		case errors.As(err, &auth), errors.As(err, &handshake):
			if refusedSince.IsZero() {
				refusedSince = time.Now()
			}
			if time.Since(refusedSince) >= w.patience {
				return nil, err
			}
		default:
			return nil, err
		}
		if report != nil {
			report(err)
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(last, context.Cause(ctx))
		case <-time.After(w.pause):
		}
	}
}
