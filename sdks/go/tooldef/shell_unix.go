//go:build unix

package tooldef

import (
	"context"
	"os/exec"
	"syscall"
)

// shellCommand runs in a process group of its own, which ends with the context.
func shellCommand(ctx context.Context, command string) *exec.Cmd {
	process := exec.CommandContext(ctx, "sh", "-c", command)
	process.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	process.Cancel = func() error {
		killGroup(process.Process.Pid)
		return nil
	}
	return process
}

// killGroup ends what a command started and left behind.
func killGroup(leader int) { _ = syscall.Kill(-leader, syscall.SIGKILL) }
