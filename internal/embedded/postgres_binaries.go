package embedded

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
)

// oldestMajor is the oldest PostgreSQL that pairsync works with.
const oldestMajor = 14

// binaries is a folder with initdb and postgres.
type binaries struct {
	dir string
	// version is as postgres tells it, 15.18 for example; major is its first number.
	version string
	major   int
}

// wellKnown are the folders in which packages put the server without putting it on PATH: Debian and Ubuntu, Red Hat and
// its kin, Homebrew on both kinds of Mac and on Linux, Postgres.app, MacPorts.
func wellKnown() []string {
	return []string{
		"/usr/lib/postgresql/*/bin",
		"/usr/pgsql-*/bin",
		"/opt/homebrew/opt/postgresql@*/bin",
		"/usr/local/opt/postgresql@*/bin",
		"/home/linuxbrew/.linuxbrew/opt/postgresql@*/bin",
		"/Applications/Postgres.app/Contents/Versions/*/bin",
		"/opt/local/lib/postgresql*/bin",
	}
}

// chooseBinaries takes the binaries with which data of the major version can be served; any, if wanted is zero.
func chooseBinaries(ctx context.Context, cfg PostgresConfig, wanted int) (binaries, error) {
	have := installed(ctx, cfg)
	for _, b := range have {
		if b.major == wanted || wanted == 0 {
			return b, nil
		}
	}
	if cfg.BinDir == "" {
		b, err := download(ctx, cfg, wanted)
		if err == nil {
			return b, nil
		}
		if wanted == 0 {
			return binaries{}, fmt.Errorf("no PostgreSQL %d or newer on PATH or in the usual folders, and the download failed (%w). %s",
				oldestMajor, err, installHint())
		}
	}
	if wanted == 0 {
		return binaries{}, fmt.Errorf("no PostgreSQL %d or newer in %s", oldestMajor, cfg.BinDir)
	}
	found := "none"
	if len(have) > 0 {
		names := make([]string, len(have))
		for i, b := range have {
			names[i] = b.version
		}
		found = strings.Join(names, ", ")
	}
	return binaries{}, fmt.Errorf("the data in %s was made by PostgreSQL %d, and of that version there are no binaries here (found: %s): "+
		"install PostgreSQL %d, or move the data away", cfg.Dir, wanted, found, wanted)
}

// installed lists usable binaries: PATH first, then the well-known folders, newest first.
func installed(ctx context.Context, cfg PostgresConfig) []binaries {
	if cfg.BinDir != "" {
		b, err := inspect(ctx, cfg.BinDir)
		if err != nil {
			return nil
		}
		return []binaries{b}
	}
	var found []binaries
	if path, err := exec.LookPath("postgres"); err == nil {
		// What is on PATH is often a symbolic link, and initdb looks for its neighbours beside the real file.
		if real, err := filepath.EvalSymlinks(path); err == nil {
			if b, err := inspect(ctx, filepath.Dir(real)); err == nil {
				found = append(found, b)
			}
		}
	}
	var rest []binaries
	for _, pattern := range wellKnown() {
		dirs, _ := filepath.Glob(pattern)
		for _, dir := range dirs {
			if b, err := inspect(ctx, dir); err == nil && !slices.Contains(found, b) {
				rest = append(rest, b)
			}
		}
	}
	slices.SortStableFunc(rest, func(a, b binaries) int { return cmp.Compare(b.major, a.major) })
	return append(found, rest...)
}

// inspect asks the postgres in dir for its version, and refuses a folder that can't serve.
func inspect(ctx context.Context, dir string) (binaries, error) {
	if _, err := os.Stat(filepath.Join(dir, "initdb")); err != nil {
		return binaries{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, filepath.Join(dir, "postgres"), "--version").Output() //nolint:gosec // A folder that we chose.
	if err != nil {
		return binaries{}, err
	}
	version, major, err := parseVersion(out)
	if err != nil {
		return binaries{}, err
	}
	if major < oldestMajor {
		return binaries{}, fmt.Errorf("PostgreSQL %s is too old", version)
	}
	return binaries{dir: dir, version: version, major: major}, nil
}

// parseVersion reads "postgres (PostgreSQL) 15.18 (Debian 15.18-1)".
func parseVersion(out []byte) (version string, major int, err error) {
	m := regexp.MustCompile(`\(PostgreSQL\) ((\d+)\S*)`).FindSubmatch(bytes.TrimSpace(out))
	if m == nil {
		return "", 0, errors.New("it doesn't tell its version")
	}
	major, err = strconv.Atoi(string(m[2]))
	return string(m[1]), major, err
}

// installHint names the command that brings PostgreSQL to this platform.
func installHint() string {
	switch runtime.GOOS {
	case "darwin":
		return "Install it with: brew install postgresql@17"
	case "linux":
		for _, m := range []struct{ tool, command string }{
			{"apt-get", "apt-get install postgresql"},
			{"dnf", "dnf install postgresql-server"},
			{"apk", "apk add postgresql"},
			{"zypper", "zypper install postgresql-server"},
			{"pacman", "pacman -S postgresql"},
		} {
			if _, err := exec.LookPath(m.tool); err == nil {
				return "Install it with: " + m.command
			}
		}
	}
	return "Install PostgreSQL, or give the URL of a server"
}
