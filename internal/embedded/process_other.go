//go:build !unix

package embedded

import (
	"errors"
	"syscall"
)

// account stands in for the users that this system doesn't have.
type account struct{ name string }

func chooseAccount(string) (*account, error) {
	return nil, errors.New("a local PostgreSQL is brought up on Linux and macOS only: give the URL of a server")
}

func (a *account) own(string) error { return nil }

func attributes(*account) *syscall.SysProcAttr { return nil }

func commandLine(int) string { return "" }

func alive(int) bool { return false }

func signalPID(int, syscall.Signal) error { return errors.ErrUnsupported }
