//go:build !unix

package embedded

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// ErrInUse is returned when another process holds the data directory.
var ErrInUse = errors.New("in use by another process")

// lockDir opens the lock file; outside Unix the file system is trusted to refuse a second writer by itself.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "LOCK"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("opening the lock of %s: %w", dir, err)
	}
	return f, nil
}
