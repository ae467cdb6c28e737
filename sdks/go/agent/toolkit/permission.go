package toolkit

import (
	"context"
	"fmt"

	"joytoken.example/sdk-go/agent"
)

// PermissionMode says whether tools run.
type PermissionMode int

const (
	// PermissionAuto lets tools run.
	PermissionAuto PermissionMode = iota
	// PermissionAsk asks before each call.
	PermissionAsk
	// PermissionDeny lets no tool run.
	PermissionDeny
)

// Permission is a mode, and who is asked in PermissionAsk.
type Permission struct {
	Mode PermissionMode
	Ask  PermissionFunc
}

// PermissionRequest is what they are asked.
type PermissionRequest struct {
	ToolName string
	Input    any
	// Step is the number of the model's answer that asked for the call, 1-based.
	Step int
}

// PermissionFunc decides on a call. An error, or a panic, refuses.
type PermissionFunc func(ctx context.Context, request PermissionRequest) (bool, error)

func (p Permission) around(name string, next agent.ToolExecuteFunc) agent.ToolExecuteFunc {
	return func(ctx context.Context, input any, execution agent.ToolExecutionContext) (any, error) {
		request := PermissionRequest{ToolName: name, Input: input, Step: execution.Step}
		if err := p.check(ctx, request); err != nil {
			return nil, err
		}
		return next(ctx, input, execution)
	}
}

func (p Permission) check(ctx context.Context, request PermissionRequest) error {
	switch p.Mode {
	case PermissionAuto:
		return nil
	case PermissionAsk:
	default:
		return fmt.Errorf("tool %q denied by permission policy", request.ToolName)
	}
	if p.Ask == nil {
		return fmt.Errorf("tool %q requires approval but no permission handler is configured", request.ToolName)
	}
	allowed, err := p.ask(ctx, request)
	if err != nil {
		return fmt.Errorf("tool %q permission check failed: %w", request.ToolName, err)
	}
	if !allowed {
		return fmt.Errorf("tool %q rejected by permission handler", request.ToolName)
	}
	return nil
}

func (p Permission) ask(ctx context.Context, request PermissionRequest) (allowed bool, err error) {
	defer func() {
		if thrown := recover(); thrown != nil {
			allowed, err = false, fmt.Errorf("panicked: %v", thrown)
		}
	}()
	return p.Ask(ctx, request)
}
