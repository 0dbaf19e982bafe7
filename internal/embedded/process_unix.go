//go:build unix && !linux

package embedded

import (
	"context"
	"os/exec"
	"strconv"
	"syscall"
	"time"
)

// attributes put the child in a process group of its own, so that Ctrl-C in a terminal reaches only us. Nothing here can
// tell it that we died; the next start clears it away.
func attributes(a *account) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: a.credential(), Setpgid: true}
}

// commandLine returns what a process was started with; empty when there is no such process.
func commandLine(pid int) string {
	//nolint:forbidigo // A look at the process table, bounded by itself.
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, "ps", "-o", "command=", "-p", strconv.Itoa(pid)).Output()
	if err != nil {
		return ""
	}
	return string(out)
}
