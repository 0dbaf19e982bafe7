package embedded

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"syscall"
	"time"
)

// child is a process that must not outlive this one.
type child struct {
	process *os.Process
	// done is closed once the process has ended and been reaped; err is set before.
	done chan struct{}
	err  error
}

// startChild starts cmd and reaps it. On Linux the kernel signals the child when its parent dies, but takes "parent" to be
// the thread that forked it; so the goroutine that starts it keeps its thread for as long as the child lives.
func startChild(cmd *exec.Cmd) (*child, error) {
	c := &child{done: make(chan struct{})}
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		c.process = cmd.Process
		started <- err
		if err == nil {
			c.err = cmd.Wait()
			close(c.done)
		}
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return c, nil
}

// stopStep is a signal and how long it gets to work.
type stopStep struct {
	signal   syscall.Signal
	patience time.Duration
}

// stop sends the signals one after another until the child is gone. How it exits doesn't matter.
func (c *child) stop(steps []stopStep) error {
	for _, s := range steps {
		if err := c.process.Signal(s.signal); err != nil && !errors.Is(err, os.ErrProcessDone) {
			return fmt.Errorf("stopping process %d: %w", c.process.Pid, err)
		}
		patience := time.NewTimer(s.patience)
		select {
		case <-c.done:
			patience.Stop()
			return nil
		case <-patience.C:
		}
	}
	return fmt.Errorf("stopping process %d: it survived SIGKILL", c.process.Pid)
}
