package toolkit

import (
	"context"
	"fmt"
	"time"

	"joytoken.example/sdk-go/agent"
)

// Middleware wraps what a tool does.
type Middleware func(name string, next agent.ToolExecuteFunc) agent.ToolExecuteFunc

// Timeout ends a tool that takes too long: its context ends, and the model is told. A tool that does not heed its context
// goes on in the background, and what it returns then is dropped. 0 or less is no bound.
func Timeout(limit time.Duration) Middleware {
	return func(name string, next agent.ToolExecuteFunc) agent.ToolExecuteFunc {
		if limit <= 0 {
			return next
		}
		return func(ctx context.Context, input any, execution agent.ToolExecutionContext) (any, error) {
			bounded, cancel := context.WithTimeout(ctx, limit)
			defer cancel()
			done := make(chan outcome, 1)
			go func() { done <- outcomeOf(bounded, next, input, execution) }()
			select {
			case came := <-done:
				if came.err != nil && ctx.Err() == nil && bounded.Err() != nil {
					return nil, timedOut(name, limit)
				}
				return came.result, came.err
			case <-bounded.Done():
				if ctx.Err() != nil {
					return nil, ctx.Err()
				}
				return nil, timedOut(name, limit)
			}
		}
	}
}

func timedOut(name string, limit time.Duration) error {
	return fmt.Errorf("tool %q timed out after %dms", name, limit.Milliseconds())
}

type outcome struct {
	result any
	err    error
}

func outcomeOf(
	ctx context.Context, next agent.ToolExecuteFunc, input any, execution agent.ToolExecutionContext,
) (came outcome) {
	defer func() {
		if thrown := recover(); thrown != nil {
			came = outcome{err: fmt.Errorf("tool panicked: %v", thrown)}
		}
	}()
	came.result, came.err = next(ctx, input, execution)
	return came
}

// Audit tells each call to a log, once it has ended; err is nil where it succeeded. Tools that run at once tell it at
// once.
func Audit(log func(name string, input any, err error)) Middleware {
	return func(name string, next agent.ToolExecuteFunc) agent.ToolExecuteFunc {
		return func(ctx context.Context, input any, execution agent.ToolExecutionContext) (any, error) {
			result, err := next(ctx, input, execution)
			if log != nil {
				log(name, input, err)
			}
			return result, err
		}
	}
}
