package joytoken

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"strings"
	"time"
)

const (
	retryBase     = 500 * time.Millisecond
	retryDelayMax = 8 * time.Second
)

// sleeper waits, or ends early with the context's error.
type sleeper func(ctx context.Context, delay time.Duration) error

func sleepFor(ctx context.Context, delay time.Duration) error {
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// retryable says whether another attempt can help, and costs nothing that was paid already. A call that carries an
// Idempotency-Key can always be sent again; a stream only where no answer can have begun.
func retryable(ctx context.Context, err error, stream bool) bool {
	var apiErr *APIError
	if ctx.Err() != nil || !errors.As(err, &apiErr) {
		return false
	}
	switch {
	case apiErr.StatusCode == http.StatusTooManyRequests, apiErr.StatusCode >= 500 && apiErr.StatusCode <= 599:
		return true
	case apiErr.StatusCode == http.StatusConflict:
		return apiErr.Reason == "idempotency_in_progress"
	case apiErr.StatusCode != 0:
		return false
	}
	if apiErr.final {
		return false
	}
	return !stream || neverSent(apiErr.cause)
}

// neverSent says whether the connection itself could not be made.
func neverSent(err error) bool {
	var opErr *net.OpError
	return errors.As(err, &opErr) && opErr.Op == "dial"
}

// retryDelay is what the answer asks for, else full jitter; at most 8 seconds. Attempt is 0-based.
func retryDelay(attempt int, header http.Header, now time.Time) time.Duration {
	if delay, ok := retryAfter(header.Get("Retry-After"), now); ok {
		return min(delay, retryDelayMax)
	}
	ceiling := retryDelayMax
	if attempt < 4 {
		ceiling = retryBase << attempt
	}
	return time.Duration(rand.Int64N(int64(ceiling) + 1))
}

// retryAfter reads whole seconds or an HTTP date.
func retryAfter(value string, now time.Time) (time.Duration, bool) {
	value = strings.TrimSpace(value)
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second, true
	} else if errors.Is(err, strconv.ErrRange) && !strings.HasPrefix(value, "-") {
		return retryDelayMax, true
	}
	if date, err := http.ParseTime(value); err == nil {
		return max(date.Sub(now), 0), true
	}
	return 0, false
}
