package tooldef

import (
	"context"
	"fmt"
)

// FilePermissionRequest asks whether a file may be written.
type FilePermissionRequest struct {
	ToolName string
	Input    any
	// Root is the absolute path of the sandbox's folder.
	Root string
	Step int
}

// FilePermissionFunc decides on it; an error refuses.
type FilePermissionFunc func(ctx context.Context, request FilePermissionRequest) (allow bool, err error)

// ShellPermissionRequest asks whether a command may be run.
type ShellPermissionRequest struct {
	ToolName string
	Input    any
	Command  string
	// WorkingDir is the absolute path of the folder in which it would run.
	WorkingDir string
	Step       int
}

// ShellPermissionFunc decides on it; an error refuses.
type ShellPermissionFunc func(ctx context.Context, request ShellPermissionRequest) (allow bool, err error)

// GateFileWrite asks for permission before each call of the tool; without a permission function it refuses every one.
func GateFileWrite(tool Tool, root string, permission FilePermissionFunc) Tool {
	var ask func(context.Context, any, int) (bool, error)
	if permission != nil {
		ask = func(ctx context.Context, input any, step int) (bool, error) {
			abs, err := FileSandbox{Root: root}.AbsRoot()
			if err != nil {
				return false, err
			}
			return permission(ctx, FilePermissionRequest{ToolName: tool.Name, Input: input, Root: abs, Step: step})
		}
	}
	return gate(tool, "file", ask)
}

// GateShell asks for permission before each call of the tool; without a permission function it refuses every one.
func GateShell(tool Tool, workingDir string, permission ShellPermissionFunc) Tool {
	var ask func(context.Context, any, int) (bool, error)
	if permission != nil {
		ask = func(ctx context.Context, input any, step int) (bool, error) {
			command, err := textArgument(tool.Name, input, "command", true)
			if err != nil {
				return false, err
			}
			dir, err := ShellSandbox{WorkingDir: workingDir}.AbsWorkingDir()
			if err != nil {
				return false, err
			}
			return permission(ctx, ShellPermissionRequest{
				ToolName: tool.Name, Input: input, Command: command, WorkingDir: dir, Step: step,
			})
		}
	}
	return gate(tool, "shell", ask)
}

// gate runs a tool only where asking for it, with its own context, gives leave.
func gate(tool Tool, kind string, ask func(context.Context, any, int) (bool, error)) Tool {
	execute := tool.Execute
	tool.Execute = func(ctx context.Context, input any, execution ToolExecutionContext) (any, error) {
		if ask == nil {
			return nil, fmt.Errorf("tool %q rejected: no %s permission handler configured (set %sPermission to enable)",
				tool.Name, kind, kind)
		}
		allowed, err := safeAsk(ctx, ask, input, execution.Step)
		if err != nil {
			return nil, fmt.Errorf("tool %q permission check failed: %w", tool.Name, err)
		}
		if !allowed {
			return nil, fmt.Errorf("tool %q rejected by %s permission handler", tool.Name, kind)
		}
		return execute(ctx, input, execution)
	}
	return tool
}

// safeAsk takes a panic for an error, which refuses.
func safeAsk(
	ctx context.Context, ask func(context.Context, any, int) (bool, error), input any, step int,
) (allowed bool, err error) {
	defer func() {
		if thrown := recover(); thrown != nil {
			allowed, err = false, fmt.Errorf("panicked: %v", thrown)
		}
	}()
	return ask(ctx, input, step)
}
