package embedded_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"pairsync/internal/embedded"
)

// openDir is a folder that an unprivileged user can reach, which a test's own is when its parents let everybody through.
func openDir(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for d := dir; strings.HasPrefix(d, filepath.Join(os.TempDir(), "Test")); d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func startPostgres(t *testing.T, cfg embedded.PostgresConfig) *embedded.Postgres {
	t.Helper()
	cfg.Progress = func(line string) { t.Log(line) }
	p, err := embedded.StartPostgres(t.Context(), cfg)
	if err != nil {
		if strings.Contains(err.Error(), "the download failed") {
			t.Skipf("this machine has no PostgreSQL: %v", err)
		}
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Stop(); err != nil {
			t.Error(err)
		}
	})
	return p
}

func query[T any](t *testing.T, dsn, sql string) T {
	t.Helper()
	var got T
	ctx := t.Context()
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }()
	if err := conn.QueryRow(ctx, sql).Scan(&got); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
	return got
}

func execute(t *testing.T, dsn, sql string) {
	t.Helper()
	ctx := t.Context()
	conn, err := pgx.Connect(ctx, dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(ctx) }()
	if _, err := conn.Exec(ctx, sql); err != nil {
		t.Fatalf("%s: %v", sql, err)
	}
}

func TestPostgresKeepsItsData(t *testing.T) {
	t.Parallel()
	dir := openDir(t)
	p := startPostgres(t, embedded.PostgresConfig{Dir: dir})
	if got := query[string](t, p.URL(), "SHOW fsync"); got != "on" {
		t.Errorf("fsync is %s", got)
	}
	u, err := url.Parse(p.URL())
	if err != nil {
		t.Fatal(err)
	}
	if password, _ := u.User.Password(); len(password) < 20 {
		t.Errorf("the password has %d characters", len(password))
	}
	u.User = url.UserPassword(u.User.Username(), "wrong")
	if conn, err := pgx.Connect(t.Context(), u.String()); err == nil {
		_ = conn.Close(t.Context())
		t.Error("a wrong password opens the database")
	}
	execute(t, p.URL(), "CREATE TABLE t AS SELECT 42 AS n")
	if _, err := embedded.StartPostgres(t.Context(), embedded.PostgresConfig{Dir: dir}); !errors.Is(err, embedded.ErrInUse) {
		t.Errorf("a second server on the directory: %v", err)
	}
	if err := p.Stop(); err != nil {
		t.Fatal(err)
	}
	<-p.Done()

	p = startPostgres(t, embedded.PostgresConfig{Dir: dir})
	if got := query[int](t, p.URL(), "SELECT n FROM t"); got != 42 {
		t.Errorf("the row is %d", got)
	}
}

func TestPostgresEphemeral(t *testing.T) {
	t.Parallel()
	p := startPostgres(t, embedded.PostgresConfig{Dir: openDir(t), Ephemeral: true, MaxConnections: 17})
	for name, want := range map[string]string{"fsync": "off", "max_connections": "17", "listen_addresses": "127.0.0.1"} {
		if got := query[string](t, p.URL(), "SHOW "+name); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
}

func TestPostgresOddPaths(t *testing.T) {
	t.Parallel()
	for name, folder := range map[string]string{"comma, space and \"quote\"": "comma, space and \"quote\"", "long": strings.Repeat("long", 30)} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := startPostgres(t, embedded.PostgresConfig{Dir: filepath.Join(openDir(t), folder), Ephemeral: true})
			query[int](t, p.URL(), "SELECT 1")
		})
	}
}

func TestPostgresRefusesAnotherVersionsData(t *testing.T) {
	t.Parallel()
	dir := openDir(t)
	data := filepath.Join(dir, "data")
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	start := func() error {
		p, err := embedded.StartPostgres(t.Context(), embedded.PostgresConfig{Dir: dir, CacheDir: dir})
		if err == nil {
			_ = p.Stop()
			return errors.New("it started")
		}
		return err
	}
	if err := start(); !strings.Contains(err.Error(), "holds something, but no PostgreSQL data") {
		t.Errorf("a strange folder: %v", err)
	}
	for version, want := range map[string]string{"13": "was made by PostgreSQL 13", "ninety": "PG_VERSION can't be read"} {
		if err := os.WriteFile(filepath.Join(data, "PG_VERSION"), []byte(version+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := start(); !strings.Contains(err.Error(), want) {
			t.Errorf("version %s: got %v, want %q", version, err, want)
		}
	}
}

func TestPostgresWithoutBinaries(t *testing.T) {
	t.Parallel()
	_, err := embedded.StartPostgres(t.Context(), embedded.PostgresConfig{Dir: openDir(t), BinDir: t.TempDir()})
	if err == nil || !strings.Contains(err.Error(), "no PostgreSQL 14 or newer in") {
		t.Fatalf("got %v", err)
	}
	if _, err := embedded.StartPostgres(t.Context(), embedded.PostgresConfig{}); err == nil {
		t.Fatal("it started without a directory")
	}
}

func TestPostgresFixedPortTaken(t *testing.T) {
	t.Parallel()
	p := startPostgres(t, embedded.PostgresConfig{Dir: openDir(t), Ephemeral: true})
	u, err := url.Parse(p.URL())
	if err != nil {
		t.Fatal(err)
	}
	var port int
	if _, err := fmt.Sscan(u.Port(), &port); err != nil {
		t.Fatal(err)
	}
	_, err = embedded.StartPostgres(t.Context(), embedded.PostgresConfig{Dir: openDir(t), Ephemeral: true, Port: port})
	if err == nil || !strings.Contains(err.Error(), "could not bind") {
		t.Fatalf("got %v", err)
	}
}

// TestMain's other half: a process that starts PostgreSQL, says so, and waits to be killed.
const servantEnv = "EMBEDDED_TEST_SERVANT_DIR"

func TestServant(t *testing.T) {
	dir := os.Getenv(servantEnv)
	if dir == "" {
		t.Skip("only runs as the child of another test")
	}
	p, err := embedded.StartPostgres(t.Context(), embedded.PostgresConfig{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	execute(t, p.URL(), "CREATE TABLE IF NOT EXISTS t (n int)")
	fmt.Printf("\nURL %s\n", p.URL())
	<-p.Done()
}

// TestPostgresAfterKill kills the parent without warning, twice, and starts on the same directory at once.
func TestPostgresAfterKill(t *testing.T) {
	t.Parallel()
	dir := openDir(t)
	for round := range 2 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		cmd := exec.CommandContext(ctx, os.Args[0], "-test.run=^TestServant$", "-test.v")
		cmd.Env = append(os.Environ(), servantEnv+"="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		dsn := ""
		for lines := bufio.NewScanner(out); dsn == "" && lines.Scan(); {
			dsn, _ = strings.CutPrefix(lines.Text(), "URL ")
			if dsn == lines.Text() {
				dsn = ""
			}
		}
		if dsn == "" {
			t.Fatal("the servant didn't start")
		}
		execute(t, dsn, fmt.Sprintf("INSERT INTO t VALUES (%d)", round))
		if err := cmd.Process.Signal(syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		_ = cmd.Wait()
	}
	p := startPostgres(t, embedded.PostgresConfig{Dir: dir})
	if got := query[int](t, p.URL(), "SELECT count(*)::int FROM t"); got != 2 {
		t.Errorf("%d of 2 rows are left", got)
	}
}
