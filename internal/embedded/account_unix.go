//go:build unix

package embedded

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// account is the user as whom PostgreSQL runs. Nil is the user of this process.
type account struct {
	name     string
	uid, gid uint32
}

// chooseAccount returns nil unless this process is root. Root runs PostgreSQL as the owner of the data where there is
// data, else as "postgres", else as "nobody".
func chooseAccount(data string) (*account, error) {
	if os.Geteuid() != 0 {
		return nil, checkOwner(data)
	}
	if info, err := os.Stat(data); err == nil {
		if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Uid != 0 {
			return &account{name: "user " + strconv.Itoa(int(st.Uid)), uid: st.Uid, gid: st.Gid}, nil
		}
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uerr := strconv.ParseUint(u.Uid, 10, 32)
		gid, gerr := strconv.ParseUint(u.Gid, 10, 32)
		if err := errors.Join(uerr, gerr); err != nil {
			return nil, fmt.Errorf("reading the account %q: %w", name, err)
		}
		return &account{name: strconv.Quote(name), uid: uint32(uid), gid: uint32(gid)}, nil
	}
	return nil, errors.New(`it can't run as root, and there is neither a user "postgres" nor a user "nobody" to run it as`)
}

// checkOwner tells somebody who isn't root in words that the data is another user's.
func checkOwner(data string) error {
	info, err := os.Stat(data)
	if err != nil {
		return nil //nolint:nilerr // Nothing there yet, or initdb will say it better.
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok && int(st.Uid) != os.Geteuid() {
		return fmt.Errorf("%s belongs to user %d: start as that user or as root, or choose another data directory", data, st.Uid)
	}
	return nil
}

// own gives the file or folder to the account.
func (a *account) own(path string) error {
	if a == nil {
		return nil
	}
	return os.Chown(path, int(a.uid), int(a.gid))
}

func (a *account) credential() *syscall.Credential {
	if a == nil {
		return nil
	}
	return &syscall.Credential{Uid: a.uid, Gid: a.gid}
}

func alive(pid int) bool {
	err := syscall.Kill(pid, 0)
	return err == nil || errors.Is(err, syscall.EPERM)
}

func signalPID(pid int, sig syscall.Signal) error { return syscall.Kill(pid, sig) }
