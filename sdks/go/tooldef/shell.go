package tooldef

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

const (
	// DefaultShellTimeout is how long a command may run where a ShellSandbox says nothing else.
	DefaultShellTimeout = 30 * time.Second
	// DefaultShellOutputBytes is how much a command may print where a ShellSandbox says nothing else.
	DefaultShellOutputBytes = 64 << 10
	// shellWait is how long what a command left behind may hold its output open.
	shellWait = 500 * time.Millisecond
)

// ShellSandbox bounds the shell tool. It is no jail: a command can do whatever this process can, so gate it.
type ShellSandbox struct {
	// WorkingDir is where commands start; empty: the working directory.
	WorkingDir string
	// Timeout is how long one may run; 0: DefaultShellTimeout.
	Timeout time.Duration
	// MaxOutputBytes is how much one may print; 0: DefaultShellOutputBytes.
	MaxOutputBytes int
}

// AbsWorkingDir is the absolute path of the folder.
func (s ShellSandbox) AbsWorkingDir() (string, error) {
	return filepath.Abs(firstText(s.WorkingDir, "."))
}

// Shell is a tool that runs a command with sh -c (on Windows cmd /C), without input. A command that runs too long or
// prints too much is killed with all that it started. Variables that begin with JOY_TOKEN_ are kept from it. Gate it with
// GateShell.
func Shell(sandbox ShellSandbox) Tool {
	return Tool{
		Name:        "shell",
		Description: "Run a command in the workspace and return what it prints.",
		Parameters: map[string]any{
			"type":       "object",
			"properties": map[string]any{"command": property("The command line.")},
			"required":   []string{"command"},
		},
		Execute: func(ctx context.Context, input any, _ ToolExecutionContext) (any, error) {
			command, err := textArgument("shell", input, "command", true)
			if err != nil {
				return nil, err
			}
			if strings.TrimSpace(command) == "" {
				return nil, errors.New("shell: command is empty")
			}
			result, err := sandbox.run(ctx, command)
			if err != nil {
				return nil, fmt.Errorf("shell: %w", err)
			}
			return result, nil
		},
	}
}

func (s ShellSandbox) run(ctx context.Context, command string) (map[string]any, error) {
	dir, err := s.AbsWorkingDir()
	if err != nil {
		return nil, err
	}
	timeout, limit := s.Timeout, s.MaxOutputBytes
	if timeout <= 0 {
		timeout = DefaultShellTimeout
	}
	if limit <= 0 {
		limit = DefaultShellOutputBytes
	}
	bounded, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	output := &boundedOutput{limit: limit, full: cancel}
	process := shellCommand(bounded, command)
	process.Dir, process.Env = dir, shellEnvironment()
	process.Stdout, process.Stderr, process.WaitDelay = output, output, shellWait
	err = process.Run()
	if process.Process != nil {
		killGroup(process.Process.Pid)
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	var exit *exec.ExitError
	if process.ProcessState == nil || err != nil && !errors.As(err, &exit) &&
		!errors.Is(err, exec.ErrWaitDelay) && bounded.Err() == nil {
		return nil, withoutRoot(err)
	}
	text, exceeded := output.take()
	result := map[string]any{
		"command": command, "output": text, "truncated": exceeded, "exit_code": process.ProcessState.ExitCode(),
	}
	if exceeded {
		result["output_limit_exceeded"] = true
	} else if errors.Is(bounded.Err(), context.DeadlineExceeded) {
		result["timed_out"] = true
	}
	return result, nil
}

// shellEnvironment is this process's, without the gateway's address and key.
func shellEnvironment() []string {
	kept := []string{}
	for _, variable := range os.Environ() {
		if !strings.HasPrefix(variable, "JOY_TOKEN_") {
			kept = append(kept, variable)
		}
	}
	return kept
}

// boundedOutput keeps what is printed, up to a limit; more than that calls full.
type boundedOutput struct {
	mu    sync.Mutex
	data  []byte
	limit int
	over  bool
	full  func()
}

func (o *boundedOutput) Write(data []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	room := o.limit - len(o.data)
	o.data = append(o.data, data[:min(room, len(data))]...)
	if len(data) > room && !o.over {
		o.over = true
		o.full()
	}
	return len(data), nil
}

func (o *boundedOutput) take() (string, bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return strings.ToValidUTF8(string(o.data), "\ufffd"), o.over
}
