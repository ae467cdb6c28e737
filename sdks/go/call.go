package joytoken

import (
	"context"
	"time"
)

// CallOptions are settings of single calls: put them on the context with WithCall.
type CallOptions struct {
	// IdempotencyKey is sent instead of a random one: 1 to 255 visible ASCII characters. A loop uses it for its first
	// request and appends :2, :3, … for the following ones, so that a repeated loop replays.
	IdempotencyKey string
	// Headers are added to the request; they replace those of WithHeader.
	Headers map[string]string
	// Run names the agent's run that the call belongs to.
	Run *Run
	// Timeout replaces the client's: 0 leaves it, less than 0 is no bound but the context's.
	Timeout time.Duration
	// MaxRetries replaces the client's; nil leaves it.
	MaxRetries *int
	// OnDisconnect says what the gateway does with an idempotent request whose caller hangs up; empty: OnDisconnectStop
	// for streams, and nothing is said for other calls, which the gateway then finishes.
	OnDisconnect OnDisconnect
}

// OnDisconnect is what becomes of a call whose caller hangs up.
type OnDisconnect string

const (
	// OnDisconnectStop ends the call at the provider at once; nothing is kept for a replay.
	OnDisconnectStop OnDisconnect = "stop"
	// OnDisconnectFinish reads the answer to its end and keeps it for a replay under the same Idempotency-Key.
	OnDisconnectFinish OnDisconnect = "finish"
)

// Run names the piece of work that calls belong to, so that the gateway can hold it to a budget and show it as a whole.
// Every text is visible ASCII without spaces, 1 to 128 characters; empty ones are not sent.
type Run struct {
	ID string
	// ParentID is the run that began this one.
	ParentID string
	// Workflow names the kind of work.
	Workflow string
	// Step says which call of the run this is, such as "3".
	Step string
	// Budget is how many credits the run may spend, as a decimal text; heard with the run's first request.
	Budget string
}

type callKey struct{}

// WithCall puts options on a context, for the calls that are made with it. Options that are there already stay, where
// these leave a field empty; headers are merged.
func WithCall(ctx context.Context, options CallOptions) context.Context {
	before := callOptions(ctx)
	if options.IdempotencyKey == "" {
		options.IdempotencyKey = before.IdempotencyKey
	}
	if options.Run == nil {
		options.Run = before.Run
	}
	if options.Timeout == 0 {
		options.Timeout = before.Timeout
	}
	if options.MaxRetries == nil {
		options.MaxRetries = before.MaxRetries
	}
	if options.OnDisconnect == "" {
		options.OnDisconnect = before.OnDisconnect
	}
	headers := make(map[string]string, len(before.Headers)+len(options.Headers))
	for _, source := range []map[string]string{before.Headers, options.Headers} {
		for name, value := range source {
			headers[name] = value
		}
	}
	options.Headers = headers
	return context.WithValue(ctx, callKey{}, options)
}

func callOptions(ctx context.Context) CallOptions {
	options, _ := ctx.Value(callKey{}).(CallOptions)
	return options
}
