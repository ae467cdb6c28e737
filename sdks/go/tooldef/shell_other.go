//go:build !unix

package tooldef

import (
	"context"
	"os/exec"
	"strconv"
)

func shellCommand(ctx context.Context, command string) *exec.Cmd {
	process := exec.CommandContext(ctx, "cmd", "/C", command)
	process.Cancel = func() error {
		killGroup(process.Process.Pid)
		return process.Process.Kill()
	}
	return process
}

// killGroup ends what a command started and left behind.
func killGroup(leader int) {
	_ = exec.Command("taskkill", "/T", "/F", "/PID", strconv.Itoa(leader)).Run()
}
