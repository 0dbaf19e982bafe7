package embedded

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// elsewhere is where root keeps data that the user as whom PostgreSQL runs could not reach where it was asked for.
const elsewhere = "/var/lib/pairsync"

// whereFile in a data directory tells where its data was moved.
const whereFile = "WHERE"

// cluster is a data directory and what it takes to serve it.
type cluster struct {
	bin binaries
	// home holds data, password and log. It belongs to the account.
	home     string
	account  *account
	password string
}

func (c *cluster) data() string { return filepath.Join(c.home, "data") }

// prepareCluster finds binaries, account and data, and makes the data when there is none.
func prepareCluster(ctx context.Context, cfg PostgresConfig, dir string) (*cluster, error) {
	c := &cluster{home: dir}
	if moved := movedHome(dir); moved != "" {
		c.home = moved
	}
	major, err := dataMajor(c.data())
	if err != nil {
		return nil, err
	}
	if c.account, err = chooseAccount(c.data()); err != nil {
		return nil, err
	}
	if c.bin, err = chooseBinaries(ctx, cfg, major); err != nil {
		return nil, err
	}
	if err := c.settle(ctx, cfg); err != nil {
		return nil, err
	}
	if major == 0 {
		cfg.Progress(fmt.Sprintf("preparing a new PostgreSQL %d in %s", c.bin.major, c.home))
		if err := c.initialise(ctx, cfg); err != nil {
			return nil, err
		}
	}
	password, err := os.ReadFile(c.passwordFile())
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	c.password = strings.TrimSpace(string(password))
	return c, nil
}

func (c *cluster) passwordFile() string { return filepath.Join(c.home, "password") }

// settle gives the home to the account, and moves it when the account can't get there.
func (c *cluster) settle(ctx context.Context, cfg PostgresConfig) error {
	if c.account == nil {
		return nil
	}
	if err := c.canRun(ctx, "/"); err != nil {
		return fmt.Errorf("user %s can't run %s: %w", c.account.name, c.bin.dir, err)
	}
	if err := c.account.own(c.home); err != nil {
		return err
	}
	if c.canRun(ctx, c.home) == nil {
		return nil
	}
	asked := c.home
	var err error
	if c.home, err = newHome(asked); err != nil {
		return fmt.Errorf("user %s can't enter %s, and there is no other place: %w", c.account.name, asked, err)
	}
	if err := c.account.own(c.home); err != nil {
		return err
	}
	if err := c.canRun(ctx, c.home); err != nil {
		return fmt.Errorf("user %s can enter neither %s nor %s: choose a data directory that it can reach", c.account.name, asked, c.home)
	}
	cfg.Progress(fmt.Sprintf("user %s can't enter %s, so the database is kept in %s", c.account.name, asked, c.home))
	return os.WriteFile(filepath.Join(asked, whereFile), []byte(c.home+"\n"), 0o600)
}

// newHome makes another place. Each is new: whoever removes a data directory to begin afresh must not meet the old data
// again. What was asked for below the folder for temporary files stays below it.
func newHome(asked string) (string, error) {
	base := elsewhere
	if rel, err := filepath.Rel(os.TempDir(), asked); err == nil && filepath.IsLocal(rel) {
		base = os.TempDir()
	} else if err := os.MkdirAll(base, 0o755); err != nil { //nolint:gosec // Every user must get through; the homes are 0700.
		return "", err
	}
	return os.MkdirTemp(base, "pairsync-postgres-")
}

// movedHome is where an earlier start moved the data; empty when none did.
func movedHome(dir string) string {
	b, err := os.ReadFile(filepath.Join(dir, whereFile)) //nolint:gosec // The operator names the directory.
	if err != nil {
		return ""
	}
	if home := strings.TrimSpace(string(b)); filepath.IsAbs(home) && exists(home) {
		return home
	}
	return ""
}

// canRun tries it: modes, groups, access lists and mounts are too many rules to work out.
func (c *cluster) canRun(ctx context.Context, in string) error {
	return c.tool(ctx, in, "postgres", "--version")
}

// tool runs one of the binaries as the account and waits for it. The error holds what it printed.
func (c *cluster) tool(ctx context.Context, in, name string, args ...string) error {
	cmd := c.command(ctx, in, name, args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	ch, err := startChild(cmd)
	if err != nil {
		return err
	}
	<-ch.done
	if ch.err != nil {
		return fmt.Errorf("%s: %w: %s", name, ch.err, bytes.TrimSpace(out.Bytes()))
	}
	return nil
}

// command gives the child a plain environment: PGDATA and its kin, or a locale that isn't installed, must not reach it.
func (c *cluster) command(ctx context.Context, in, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(c.bin.dir, name), args...) //nolint:gosec // Binaries that we chose.
	cmd.Dir = in
	cmd.Env = []string{"LC_ALL=C", "TZ=UTC", "PATH=" + c.bin.dir + ":/usr/bin:/bin"}
	cmd.SysProcAttr = attributes(c.account)
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// initialise makes the data beside its place and moves it there when it is whole, so that a start that was interrupted
// leaves nothing that looks like data.
func (c *cluster) initialise(ctx context.Context, cfg PostgresConfig) error {
	fresh := filepath.Join(c.home, "data.new")
	if err := removeAll(ctx, fresh); err != nil {
		return err
	}
	args := []string{"-D", fresh, "-U", superuser, "-E", "UTF8", "--locale=C", "--no-instructions"}
	if cfg.Ephemeral {
		args = append(args, "-A", "trust", "--no-sync")
	} else {
		if err := os.WriteFile(c.passwordFile(), []byte(rand.Text()+"\n"), 0o600); err != nil {
			return err
		}
		if err := c.account.own(c.passwordFile()); err != nil {
			return err
		}
		args = append(args, "-A", "scram-sha-256", "--pwfile", c.passwordFile())
	}
	if err := c.tool(ctx, c.home, "initdb", args...); err != nil {
		return err
	}
	return os.Rename(fresh, c.data())
}

// removeAll removes what an interrupted beginning left. When we were killed, initdb's own children may still be writing there,
// and files that come while others are removed make that fail; but what is removed they can't find again.
func removeAll(ctx context.Context, dir string) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	tick := time.NewTicker(poll)
	defer tick.Stop()
	for {
		err := os.RemoveAll(dir)
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return err
		}
	}
}

// dataMajor is the major version that made the data; zero when there is none.
func dataMajor(data string) (int, error) {
	b, err := os.ReadFile(filepath.Join(data, "PG_VERSION")) //nolint:gosec // The operator names the directory.
	if errors.Is(err, fs.ErrNotExist) {
		if exists(data) {
			return 0, fmt.Errorf("%s holds something, but no PostgreSQL data: move it away", data)
		}
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	major, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return 0, fmt.Errorf("%s/PG_VERSION can't be read: %w", data, err)
	}
	return major, nil
}

func exists(path string) bool {
	_, err := os.Lstat(path) //nolint:gosec // Paths below a directory that the operator names.
	return err == nil
}
