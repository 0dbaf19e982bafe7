package embedded

import (
	"fmt"
	"os"
	"strings"
	"syscall"
)

// attributes put the child in a process group of its own, so that Ctrl-C in a terminal reaches only us, and let the kernel
// send it PostgreSQL's immediate shutdown when we die in whatever way.
func attributes(a *account) *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Credential: a.credential(), Setpgid: true, Pdeathsig: syscall.SIGQUIT}
}

// commandLine returns what a process was started with; empty when there is no such process, or only its remains.
func commandLine(pid int) string {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil {
		return ""
	}
	return strings.ReplaceAll(string(b), "\x00", " ")
}
