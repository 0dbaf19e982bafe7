package embedded

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	// poll is how often a state is looked at that nothing tells us of.
	poll = 10 * time.Millisecond
	// maxSocketPath is the room for a Unix socket's path on the systems we know (104 on macOS, 108 on Linux, with the
	// closing zero byte), and socketName what PostgreSQL adds to its folder.
	maxSocketPath = 103
	socketName    = "/.s.PGSQL.65535"
	// logLimit is the size from which a log starts anew with the next start.
	logLimit = 10 << 20
)

// errTryAgain marks a failed start that another try can mend: somebody took the port, or the last server's memory is
// still held by its dying children.
var errTryAgain = errors.New("try again")

// start runs the server until one is ready.
func (c *cluster) start(ctx context.Context, cfg PostgresConfig) (*child, int, error) {
	again := time.NewTicker(20 * poll)
	defer again.Stop()
	for {
		ch, port, err := c.startOnce(ctx, cfg)
		if !errors.Is(err, errTryAgain) {
			return ch, port, err
		}
		select {
		case <-again.C:
		case <-ctx.Done():
			return nil, 0, err
		}
	}
}

func (c *cluster) startOnce(ctx context.Context, cfg PostgresConfig) (*child, int, error) {
	port := cfg.Port
	if port == 0 {
		var err error
		if port, err = freePort(); err != nil {
			return nil, 0, err
		}
	}
	log, err := openLog(filepath.Join(c.home, "postgres.log"))
	if err != nil {
		return nil, 0, err
	}
	defer func() { _ = log.Close() }() // The server has its own handle.
	before, err := log.Seek(0, io.SeekEnd)
	if err != nil {
		return nil, 0, err
	}
	cmd := c.command(context.WithoutCancel(ctx), c.home, "postgres", c.arguments(cfg, port)...)
	cmd.Stdout, cmd.Stderr = log, log // A file, not a pipe: nobody has to read it, and it tells the story afterwards.
	ch, err := startChild(cmd)
	if err != nil {
		return nil, 0, err
	}
	if err := c.waitReady(ctx, cfg, ch); err != nil {
		err = explain(err, log, before, cfg.Port != 0)
		return nil, 0, errors.Join(err, ch.stop([]stopStep{{syscall.SIGQUIT, 5 * time.Second}, {syscall.SIGKILL, 5 * time.Second}}))
	}
	return ch, port, nil
}

// arguments are the server's settings; the configuration file stays as initdb made it.
func (c *cluster) arguments(cfg PostgresConfig, port int) []string {
	sockets := ""
	if dir := c.data(); len(dir)+len(socketName) <= maxSocketPath {
		sockets = `"` + strings.ReplaceAll(dir, `"`, `""`) + `"` // A list, in which a path may hold commas and spaces.
	}
	args := []string{"-D", c.data()}
	set := func(name, value string) { args = append(args, "-c", name+"="+value) }
	set("listen_addresses", "127.0.0.1")
	set("port", strconv.Itoa(port))
	set("unix_socket_directories", sockets)
	set("max_connections", strconv.Itoa(cmp.Or(cfg.MaxConnections, 100)))
	set("timezone", "UTC")
	set("log_timezone", "UTC")
	if cfg.Ephemeral {
		set("fsync", "off")
		set("synchronous_commit", "off")
		set("full_page_writes", "off")
		set("wal_level", "minimal")
		set("max_wal_senders", "0")
	}
	return args
}

// waitReady watches the status line that the server keeps in its own process file, as pg_ctl does: no driver needed, and
// it can't be mistaken for another server on the port.
func (c *cluster) waitReady(ctx context.Context, cfg PostgresConfig, ch *child) error {
	tick := time.NewTicker(poll)
	defer tick.Stop()
	begun := time.Now()
	told := false
	for {
		pid, status := c.processFile()
		if pid == ch.process.Pid && status == "ready" {
			return nil
		}
		if !told && time.Since(begun) > 3*time.Second {
			cfg.Progress("waiting for PostgreSQL to recover")
			told = true
		}
		select {
		case <-ch.done:
			return fmt.Errorf("it ended while starting (%w)", cmp.Or(ch.err, errors.New("exit status 0")))
		case <-ctx.Done():
			return fmt.Errorf("waiting for it to be ready: %w", ctx.Err())
		case <-tick.C:
		}
	}
}

// processFile reads the first and the eighth line of postmaster.pid; zero when there is none.
func (c *cluster) processFile() (pid int, status string) {
	b, err := os.ReadFile(filepath.Join(c.data(), "postmaster.pid"))
	if err != nil {
		return 0, ""
	}
	lines := strings.Split(string(b), "\n")
	if pid, err = strconv.Atoi(strings.TrimSpace(lines[0])); err != nil {
		return 0, ""
	}
	if len(lines) > 7 {
		status = strings.TrimSpace(lines[7])
	}
	return pid, status
}

// clearStale ends a server that an earlier process of ours left behind. Since we hold the directory's lock, whoever still
// serves it belongs to nobody: on Linux it is on its way out and has to be waited for, elsewhere it has to be told.
func (c *cluster) clearStale(ctx context.Context) error {
	pid, _ := c.processFile()
	if pid == 0 || !alive(pid) {
		return nil
	}
	if !strings.Contains(commandLine(pid), c.data()) {
		// The number now belongs to somebody else, or to remains that nobody reaps. PostgreSQL would take it for a server.
		return os.Remove(filepath.Join(c.data(), "postmaster.pid"))
	}
	for _, sig := range []syscall.Signal{syscall.SIGQUIT, syscall.SIGKILL} {
		if err := signalPID(pid, sig); err != nil && alive(pid) {
			return fmt.Errorf("ending the server that was left behind (process %d): %w", pid, err)
		}
		if gone, err := c.waitGone(ctx, pid); gone || err != nil {
			return err
		}
	}
	return fmt.Errorf("the server that was left behind (process %d) doesn't end", pid)
}

// waitGone gives the process ten seconds.
func (c *cluster) waitGone(ctx context.Context, pid int) (bool, error) {
	tick := time.NewTicker(poll)
	defer tick.Stop()
	patience := time.NewTimer(10 * time.Second)
	defer patience.Stop()
	for strings.Contains(commandLine(pid), c.data()) {
		select {
		case <-tick.C:
		case <-patience.C:
			return false, nil
		case <-ctx.Done():
			return false, fmt.Errorf("waiting for the server that was left behind (process %d): %w", pid, ctx.Err())
		}
	}
	return true, nil
}

// explain adds the last words of the log to the error, and marks what another try can mend.
func explain(err error, log *os.File, from int64, fixedPort bool) error {
	b := make([]byte, 64<<10)
	n, _ := log.ReadAt(b, from)
	said := bytes.TrimSpace(b[:n])
	if bytes.Contains(said, []byte("pre-existing shared memory block")) ||
		(!fixedPort && bytes.Contains(said, []byte("could not create any TCP/IP sockets"))) {
		err = fmt.Errorf("%w: %w", errTryAgain, err)
	}
	const words = 2000
	if len(said) > words {
		said = said[len(said)-words:]
	}
	return fmt.Errorf("%w: %s", err, said)
}

func openLog(path string) (*os.File, error) {
	flags := os.O_RDWR | os.O_CREATE | os.O_APPEND
	if info, err := os.Stat(path); err == nil && info.Size() > logLimit {
		flags |= os.O_TRUNC
	}
	return os.OpenFile(path, flags, 0o600) //nolint:gosec // The operator names the directory.
}

// freePort asks the kernel. Somebody may take the port before the server does, so a start may be tried again.
func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // It doesn't block.
	if err != nil {
		return 0, err
	}
	port := l.Addr().(*net.TCPAddr).Port
	return port, l.Close()
}
